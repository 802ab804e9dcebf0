"""The benchmark runs, in its smallest form, and says what its README says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.bench.__main__ import HISTORY, NAMES, main
from tests.bench.report import Report, Row, Section, Series, Target, at_least, at_most, render, row
from tests.bench.sizes import SMALLEST

README = Path(__file__).parent / "bench" / "README.md"


TOGETHER = [*([name] for name in NAMES if name not in HISTORY), [name for name in NAMES if name in HISTORY]]


@pytest.mark.slow
@pytest.mark.parametrize("names", TOGETHER, ids=" ".join)
def test_every_section_runs_and_its_json_has_the_documented_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str]
) -> None:
    """Whether targets are met is not asked: a test has no quiet machine to itself."""
    file = tmp_path / "bench.json"
    only = [word for name in names for word in ("--only", name)]
    main(["--json", str(file), *only], size=SMALLEST)
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    assert [section.name for section in report.sections] == names
    for section in report.sections:
        assert section.rows
        for found in section.rows:
            assert found.series[0].side == "hypertouch"
            assert all(one.samples for one in found.series)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("struct", [Report, Section, Row, Series, Target])
def test_the_readme_names_every_key(struct: type[msgspec.Struct]) -> None:
    text = README.read_text()
    assert [name for name in struct.__struct_fields__ if f"`{name}`" not in text] == []


def test_the_readme_names_every_section() -> None:
    text = README.read_text()
    assert [name for name in NAMES if f"| `{name}` |" not in text] == []


def test_medians_are_compared_not_single_runs() -> None:
    found = row("messages", "/s", [10.0, 30.0, 1000.0], mosquitto=[60.0, 1.0, 70.0])
    assert [(one.median, one.ratio) for one in found.series] == [(30.0, None), (60.0, 0.5)]


def test_a_side_that_was_left_out_has_no_column() -> None:
    section = Section("ingest", "", [row("messages", "/s", [1.0], mosquitto=[])], left_out=["no mosquitto"])
    assert "mosquitto" not in render(section).splitlines()[1]
    assert "LEFT OUT: no mosquitto" in render(section)


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (at_least("a", 0.5, 0.5), "met"),
        (at_least("a", 0.49, 0.5), "NOT MET"),
        (at_most("a", 10.0, 10), "met"),
        (at_most("a", 10.1, 10), "NOT MET"),
        (at_least("a", None, 1), "not measured"),
    ],
)
def test_a_target_is_met_or_not_or_was_not_measured(target: Target, verdict: str) -> None:
    line = render(Section("s", "", [], targets=[target])).splitlines()[-1]
    assert line.endswith(f" {verdict}")
