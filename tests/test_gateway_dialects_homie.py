"""Homie: what a device says of itself, and what its values mean from then on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import DialectSettings, Notebook, Reading, read
from vault.observation import Observation

NOW = 1_790_000_000_000
VALUE = "homie/5/super-car/engine/temperature"
ABOUT = "homie/5/super-car/$description"

# unit -> what a hundred of it is in °C, in decimals
DEGREES = {"°C": 100.0, "°F": 37.777777778, "C": 100.0}


def described(unit: str | None, datatype: str = "float", **more: Any) -> bytes:
    about = {"datatype": datatype, **more} if unit is None else {"datatype": datatype, "unit": unit, **more}
    nodes = {"engine": {"properties": {"temperature": about}}}
    return json.dumps({"homie": "5.0", "version": 1, "name": "Supercar", "nodes": nodes}).encode()


def tell(notebook: Notebook, topic: str, payload: str | bytes) -> Reading:
    """Read a message, and learn what it teaches."""
    found = read(topic, payload if isinstance(payload, bytes) else payload.encode(), NOW, notebook)
    for lesson in found.lessons:
        notebook.learn(lesson)
    return found


def temperature(value: float) -> Reading:
    return Reading(
        "homie", (Observation("super-car/engine/temperature", "temperature", NOW, value),), False, 0
    )


NOT_UNDERSTOOD = Reading("homie", (), quarantine=True, dropped=0)


@given(st.lists(st.sampled_from(tuple(DEGREES)), min_size=1, max_size=4))
def test_the_last_description_counts(units: list[str]) -> None:
    notebook = Notebook()
    assert tell(notebook, VALUE, "100") == NOT_UNDERSTOOD
    for unit in units:
        tell(notebook, ABOUT, described(unit))
        assert tell(notebook, VALUE, "100") == temperature(DEGREES[unit])
    assert len(notebook.lessons) == 1


ATTRIBUTES = {"$unit": "°F", "$datatype": "float", "$settable": "false", "$name": "Engine temperature"}


@given(st.permutations(tuple(ATTRIBUTES.items())))
def test_homie_4_says_it_in_any_order(said: list[tuple[str, str]]) -> None:
    notebook = Notebook()
    topic = "homie/super-car/engine/temperature"
    for attribute, text in said:
        known = {f"{topic}/$unit", f"{topic}/$datatype"} <= notebook.facts.keys()
        assert tell(notebook, topic, "100").quarantine is not known
        tell(notebook, f"{topic}/{attribute}", text)
    assert tell(notebook, topic, "100") == temperature(DEGREES["°F"])


@pytest.mark.parametrize(
    "about",
    [
        described(None),
        described("rpm"),
        described("furlongs"),
        described("°C", "string"),
        described("°C", "json"),
        b'{"homie":"5.0","version":2}',
        b'{"homie":"5.0","version":2,"nodes":{}}',
        b"",
        b"not a description",
    ],
)
def test_a_number_without_a_unit_that_fits_is_kept_and_not_guessed(about: bytes) -> None:
    notebook = Notebook()
    tell(notebook, ABOUT, described("°C"))
    tell(notebook, ABOUT, about)
    expected = temperature(100.0) if about == b"not a description" else NOT_UNDERSTOOD
    assert tell(notebook, VALUE, "100") == expected


def test_what_was_learned_outlives_the_process() -> None:
    before = Notebook()
    tell(before, ABOUT, described("°F"))
    after = Notebook(DialectSettings(), Notebook.decode_lessons(before.lessons_bytes()))
    assert read(VALUE, b"100", NOW, after) == temperature(DEGREES["°F"])


def test_a_description_that_is_repeated_teaches_nothing_new() -> None:
    notebook = Notebook()
    lessons = tell(notebook, ABOUT, described("°C")).lessons
    assert lessons
    assert not any(notebook.learn(lesson) for lesson in read(ABOUT, described("°C"), NOW, notebook).lessons)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("21.5", temperature(21.5)),
        ("-3", temperature(-3.0)),
        ("1e1", NOT_UNDERSTOOD),
        ("21,5", NOT_UNDERSTOOD),
        ("99999", Reading("homie", (), quarantine=False, dropped=1)),
        ('{"value":21.5}', NOT_UNDERSTOOD),
    ],
)
def test_a_value_is_what_its_datatype_says_or_nothing(payload: str, expected: Reading) -> None:
    notebook = Notebook()
    tell(notebook, ABOUT, described("°C"))
    assert tell(notebook, VALUE, payload) == expected


def test_a_setting_is_no_reading() -> None:
    notebook = Notebook()
    tell(notebook, ABOUT, described("°C", settable=True))
    assert tell(notebook, VALUE, "21") == Reading("homie", (), quarantine=False, dropped=0)


def test_one_device_does_not_explain_another() -> None:
    notebook = Notebook()
    tell(notebook, ABOUT, described("°C"))
    assert tell(notebook, VALUE.replace("super-car", "old-car"), "100") == NOT_UNDERSTOOD
