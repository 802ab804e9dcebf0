"""The count of mutants: who is below the share is told, and so is a run that broke off."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.mutants import main


@pytest.mark.parametrize(
    ("codes", "wrong"),
    [
        ([1] * 9 + [0], 0),
        ([1] * 8 + [0, 0], 1),
        ([1] * 8 + [0, 33], 1),
        ([1] * 9 + [36], 0),  # ran for ever
        ([1] * 99 + [None], 1),
        ([], 0),
    ],
)
def test_a_module_below_its_share_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], codes: list[int | None], wrong: int
) -> None:
    found = {"exit_code_by_key": {str(at): code for at, code in enumerate(codes)}}
    (tmp_path / "settle.py.meta").write_bytes(msgspec.json.encode(found))
    assert main(tmp_path) == wrong
    assert ("settle.py" in capsys.readouterr().out) is bool(codes)
