"""The fuzzers' entry points, fed by hypothesis: the same functions that atheris drives for hours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import Notebook, Reading
from tests import oracle
from tests.fuzz import codec, dialects
from vault.observation import Observation

ROOT = Path(__file__).parent.parent
TARGETS: dict[str, ModuleType] = {"codec": codec, "dialects": dialects}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_every_seed_is_sound(target: ModuleType) -> None:
    seeds = target.seeds()
    assert seeds
    for seed in seeds:
        target.one(seed)


@settings(max_examples=300)
@given(st.sampled_from(sorted(TARGETS)), st.data())
def test_no_bytes_break_a_target(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    seed = data.draw(st.just(b"") | st.sampled_from(target.seeds()))
    at = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(at, min(len(seed), at + 8)))
    one: Callable[[bytes], None] = target.one
    one(seed[:at] + data.draw(st.binary(max_size=40)) + seed[end:])


def test_a_dialect_that_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: one that stumbles over a letter, and one that believes every time."""

    def stumbles(topic: str, payload: bytes, arrival: int, _notebook: Notebook) -> Reading:
        if b"z" in payload:
            raise KeyError("z")
        time = arrival + 10**9 if b"y" in payload else arrival
        return Reading("plain", (Observation(topic[:60], "temperature", time, 20.0),), False, 0)

    monkeypatch.setattr(oracle, "read", stumbles)
    dialects.one(b"    fine")
    with pytest.raises(KeyError):
        dialects.one(b"    z")
    with pytest.raises(AssertionError):
        dialects.one(b"    y")


def test_without_its_tool_the_command_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (1, "fuzzing needs atheris: pip install .[fuzz]\n")


_WITHOUT = """
import sys
sys.modules["atheris"] = None
from tests.fuzz.__main__ import main
sys.exit(main(["fuzz", "dialects"]))
"""
