"""SenML: resolution as in RFC 8428 section 4.6, and what of it is a reading."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from gateway.dialects import Reading, read
from gateway.dialects.senml import BY_UNIT, Record, resolve, series
from policies.kinds import catalogue
from vault.observation import Observation, Place

SENML = pathlib.Path(__file__).parent / "vectors" / "senml"
NOW = 1_498_780_179_000  # ms; "now" of the standard's resolved examples
DEV = "urn:dev:ow:10e2073a01080063"


def reading(*observations: Observation, quarantine: bool = False, dropped: int = 0) -> Reading:
    return Reading("senml", observations, quarantine, dropped)


def senml(*records: Any) -> Reading:
    return read("any/topic", json.dumps(records).encode(), NOW)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_standard_s_examples_resolve_as_the_standard_says(number: int) -> None:
    pack = json.loads((SENML / f"ex{number}.gen.json").read_text("utf-8"))
    resolved = json.loads((SENML / f"ex{number}.gen.resolved.json").read_text("utf-8"))
    expected = [Record(r["n"], r["u"], r["t"], r["v"], None, understood=True) for r in resolved]
    assert resolve(pack, NOW / 1000) == expected


def test_a_name_that_ends_in_a_kind_leaves_the_rest_as_channel() -> None:
    assert senml(
        {"bn": f"{DEV}:", "n": "voltage", "u": "V", "v": 120.1}, {"n": "current", "v": 1.2}
    ) == reading(Observation(DEV, "voltage", NOW, 120.1), Observation(DEV, "current", NOW, 1.2))


SERIES: dict[str, tuple[str, str | None, tuple[str, str] | None]] = {
    "the kind after a colon": (f"{DEV}:temperature", "Cel", (DEV, "temperature")),
    "an alias after a slash": ("house/kitchen/temp", None, ("house/kitchen", "temperature")),
    "a kind of two words after a dot": ("watch.heart_rate", "beat/min", ("watch", "heart_rate")),
    "nothing but a kind": ("humidity", "%RH", ("", "humidity")),
    "no kind, and a unit": (DEV, "Cel", (DEV, "temperature")),
    "a kind in a unit of something else": (f"{DEV}:battery", "V", (f"{DEV}:battery", "voltage")),
    "a name that ends in a separator": (f"{DEV}:", "lx", (f"{DEV}:", "illuminance")),
    "neither": (DEV, None, None),
    "a unit that measures too many things": (DEV, "kg", None),
    "a unit we do not know": (DEV, "kat", None),
}


@pytest.mark.parametrize(("name", "unit", "expected"), SERIES.values(), ids=SERIES.keys())
def test_channel_and_kind_follow_from_name_and_unit(
    name: str, unit: str | None, expected: tuple[str, str] | None
) -> None:
    found = series(name, unit)
    assert (None if found is None else (found[0], found[1].name)) == expected


def test_every_unit_that_names_a_kind_is_one_that_the_kind_accepts() -> None:
    for unit, name in BY_UNIT.items():
        assert unit in catalogue().kind(name).units


VALUES: dict[str, tuple[list[dict[str, Any]], Reading]] = {
    "a base value is added": (
        [{"bn": "t", "bu": "Cel", "bv": 20, "v": 1.5}, {}],
        reading(Observation("t", "temperature", NOW, 21.5), Observation("t", "temperature", NOW, 20.0)),
    ),
    "kelvin become degrees": (
        [{"n": "t", "u": "K", "v": 294.65}],
        reading(Observation("t", "temperature", NOW, 21.5)),
    ),
    "watts summed over seconds are energy": (
        [{"n": "meter:power", "u": "W", "v": 500, "s": 7_200_000}],
        reading(Observation("meter", "power", NOW, 500.0), Observation("meter", "energy", NOW, 2.0)),
    ),
    "a base sum is added, and a sum needs no value": (
        [{"n": "meter:power", "u": "W", "bs": 3_600_000, "s": 3_600_000}],
        reading(Observation("meter", "energy", NOW, 2.0)),
    ),
    "a sum of anything else is not understood": (
        [{"n": "t", "u": "Cel", "v": 20, "s": 5}],
        reading(Observation("t", "temperature", NOW, 20.0), quarantine=True),
    ),
    "a boolean": ([{"n": "hall:motion", "vb": True}], reading(Observation("hall", "motion", NOW, True))),
    "a boolean whose alias is the inverse": (
        [{"n": "hall:contact", "vb": True}],
        reading(Observation("hall", "door", NOW, False)),
    ),
    "a string is an event": (
        [{"n": "app:check_in", "vs": "gym"}],
        reading(Observation("app", "check_in", NOW, "gym")),
    ),
    "a string is no number": ([{"n": "temperature", "vs": "21.5"}], reading(quarantine=True)),
    "data is not understood": ([{"n": "temperature", "vd": "AQID"}], reading(quarantine=True)),
    "a base unit does not disturb a boolean": (
        [{"bn": "hall:", "bu": "Cel", "n": "motion", "vb": False}],
        reading(Observation("hall", "motion", NOW, False)),
    ),
    "out of range is dropped": ([{"n": "battery", "u": "%EL", "v": 101}], reading(dropped=1)),
    "latitude and longitude are a place": (
        [
            {"bn": DEV, "bu": "%RH", "v": 20},
            {"u": "lon", "v": 24.30621},
            {"u": "lat", "v": 60.07965},
        ],
        reading(
            Observation(DEV, "humidity", NOW, 20.0),
            Observation(DEV, "location", NOW, Place(60.07965, 24.30621)),
        ),
    ),
    "also where the name says it again": (
        [{"bn": "phone:", "n": "lat", "u": "lat", "v": 60}, {"n": "lon", "u": "lon", "v": 24}],
        reading(Observation("phone", "location", NOW, Place(60.0, 24.0))),
    ),
    "half a place is not understood": ([{"n": "phone", "u": "lat", "v": 60}], reading(quarantine=True)),
    "a field that we need not know": (
        [{"n": "temperature", "v": 20, "colour": "red"}],
        reading(Observation("", "temperature", NOW, 20.0), quarantine=True),
    ),
    "the version of secondary units": (
        [{"bver": 26, "n": "p", "u": "hPa", "v": 1013}],
        reading(Observation("p", "pressure", NOW, 1013.0)),
    ),
}


@pytest.mark.parametrize(("pack", "expected"), VALUES.values(), ids=VALUES.keys())
def test_values(pack: list[dict[str, Any]], expected: Reading) -> None:
    assert senml(*pack) == expected


TIMES = {
    "no time is now": ({}, NOW, None),
    "a small time counts from now": ({"t": -10}, NOW - 10_000, None),
    "and may lie a little ahead": ({"bt": 60, "t": 60}, NOW + 120_000, None),
    "2**28 and more is absolute": ({"t": 2**28}, NOW, 2**28 * 1000),
    "base and record are added before they are told apart": ({"bt": NOW // 1000, "t": -0.5}, NOW - 500, None),
    "a minute too far ahead": ({"t": 360}, NOW, NOW + 360_000),
    "beyond the calendar": ({"t": 1e300}, NOW, 253_402_300_799_999),
    "before the calendar": ({"t": -1e300}, NOW, -62_135_596_800_000),
}


@pytest.mark.parametrize(("fields", "time", "claimed"), TIMES.values(), ids=TIMES.keys())
def test_times(fields: dict[str, float], time: int, claimed: int | None) -> None:
    found = senml({"n": "temperature", "v": 20, **fields})
    assert found == reading(Observation("", "temperature", time, 20.0, claimed))


SOUND = {"n": "temperature", "v": 20}
UNSOUND: dict[str, list[Any]] = {
    "no record": [],
    "a record that is no object": [SOUND, 1],
    "no name": [{"v": 20}],
    "a name with a space": [{"n": "my temperature", "v": 20}],
    "a name that begins with a separator": [{"n": ":temperature", "v": 20}],
    "a name of many bytes": [{"n": "a" * 600, "u": "Cel", "v": 20}],
    "no value and no sum": [{"n": "temperature"}],
    "two values": [{**SOUND, "vb": True}],
    "a value of another type": [{"n": "temperature", "v": "20"}],
    "a boolean for a number": [{"n": "temperature", "v": True}],
    "a time that is text": [{**SOUND, "t": "now"}],
    "a unit that is a number": [{**SOUND, "u": 1}],
    "a field that must be understood": [{**SOUND, "x_": 1}],
    "a version we do not know": [{**SOUND, "bver": 11}],
    "a version that is true": [{**SOUND, "bver": True}],
    "two versions": [{**SOUND, "bver": 10}, {**SOUND, "bver": 5}],
    "a version that comes late": [SOUND, {**SOUND, "bver": 10}],
}


@pytest.mark.parametrize("pack", UNSOUND.values(), ids=UNSOUND.keys())
def test_one_record_that_breaks_the_standard_quarantines_the_pack(pack: list[Any]) -> None:
    assert senml(*pack) == reading(quarantine=True)


def test_the_sound_record_is_read() -> None:
    """The control for the table above."""
    assert senml(SOUND) == reading(Observation("", "temperature", NOW, 20.0))
