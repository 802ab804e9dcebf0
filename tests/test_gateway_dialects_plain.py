"""Plain JSON objects, numbers and words; and the values that all dialects share."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import Reading, read
from gateway.dialects.plain import USUAL_MAX
from gateway.dialects.values import No, take
from policies.kinds import parse
from vault.observation import Observation, Place

NOW = 1_790_000_000_000
T = "home/t1"


def observed(*series: tuple[str, str, Any], quarantine: bool = False, dropped: int = 0) -> Reading:
    found = tuple(Observation(channel, kind, NOW, value) for channel, kind, value in series)
    return Reading("plain", found, quarantine, dropped)


OBJECTS: dict[str, tuple[dict[str, Any], Reading]] = {
    "names and aliases": (
        {"temperature": 21.5, "hum": 44.2, "Battery": 97},
        observed((T, "temperature", 21.5), (T, "humidity", 44.2), (T, "battery", 97.0)),
    ),
    "one unknown field": (
        {"temperature": 21.5, "mood": 3},
        observed((T, "temperature", 21.5), quarantine=True),
    ),
    "only unknown fields": ({"mood": 3, "id": "x"}, observed(quarantine=True)),
    "an empty object": ({}, observed()),
    "objects within": (
        {"kitchen": {"temperature": 21}, "attic": {"north": {"temperature": 9}}},
        observed((f"{T}/kitchen", "temperature", 21.0), (f"{T}/attic/north", "temperature", 9.0)),
    ),
    "objects three levels down": ({"a": {"b": {"c": {"temperature": 9}}}}, observed(quarantine=True)),
    "an array": ({"temperature": [21, 22]}, observed(quarantine=True)),
    "a unit": ({"temperature": 68, "unit": "°F"}, observed((T, "temperature", 20.0))),
    "a unit of one of two": (
        {"temperature": 68, "humidity": 40, "unit": "F"},
        observed((T, "temperature", 20.0), (T, "humidity", 40.0)),
    ),
    "a unit of neither": (
        {"temperature": 68, "motion": True, "unit": "furlong"},
        observed((T, "motion", True), quarantine=True),
    ),
    "a unit that is no text": ({"temperature": 68, "unit": 5}, observed(quarantine=True)),
    "a value with its unit, within": (
        {"temperature": {"value": 68, "unit": "°F"}},
        observed((f"{T}/temperature", "temperature", 20.0)),
    ),
    "numbers in quotes": (
        {"temperature": "21.5", "humidity": "+40"},
        observed((T, "temperature", 21.5), (T, "humidity", 40.0)),
    ),
    "words for nothing": (
        {"temperature": None, "humidity": "unavailable", "battery": "", "power": "NaN"},
        observed(dropped=4),
    ),
    "out of range": ({"battery": 101, "humidity": -1, "heart_rate": 0}, observed(dropped=3)),
    "a number for a word": ({"temperature": True, "motion": 2}, observed(quarantine=True)),
    "a word for a number": ({"temperature": "warm"}, observed(quarantine=True)),
    "the state of a switch": ({"state": "ON"}, observed((T, "switch", True))),
    "a state that may be any enumeration": ({"state": 1}, observed(quarantine=True)),
    "the state of a cover": ({"state": "OPEN"}, observed(quarantine=True)),
    "a position": (
        {"lat": 48.85833, "lon": 2.29513, "acc": 5, "speed": 3},
        observed((T, "location", Place(48.85833, 2.29513, 5.0)), (T, "speed", 3.0)),
    ),
    "a position in long words, without accuracy": (
        {"latitude": 48, "longitude": 2},
        observed((T, "location", Place(48.0, 2.0))),
    ),
    "half a position": ({"lat": 48.85833}, observed(quarantine=True)),
    "a position off the globe": ({"lat": 91, "lon": 2}, observed(dropped=1)),
    "a position that the phone calls invalid": ({"lat": 48, "lon": 2, "acc": -1}, observed(dropped=1)),
    "a position in words": ({"lat": "north", "lon": 2}, observed(quarantine=True)),
    "an event": ({"event": "screen_opened"}, observed((T, "app_event", "screen_opened"))),
    "an event that is a kind": ({"event": "check_in"}, observed((T, "check_in", "check_in"))),
    "an event with details": (
        {"event": "purchase", "price": 3.2, "item": "espresso", "currency": "EUR", "note": None},
        observed((T, "purchase", 'purchase {"currency":"EUR","item":"espresso","price":3.2}')),
    ),
    "an event that tells of the heart": (
        {"event": "workout_ended", "heart_rate": 131, "sport": "rowing"},
        observed((T, "heart_rate", 131.0), (T, "app_event", 'workout_ended {"sport":"rowing"}')),
    ),
    "an event at a place": (
        {"event": "check_in", "lat": 48, "lon": 2},
        observed((T, "location", Place(48.0, 2.0)), (T, "check_in", "check_in")),
    ),
    "an event with objects within": (
        {"event": "opened", "extra": {"heart_rate": 131}},
        observed((T, "app_event", "opened"), quarantine=True),
    ),
    "an event with an accuracy of nothing": (
        {"event": "opened", "acc": 5},
        observed((T, "app_event", 'opened {"acc":5}')),
    ),
    "an event without a name": ({"event": ""}, observed(quarantine=True)),
    "an event that is a number": ({"event": 7}, observed(quarantine=True)),
    "an event whose name looks like details": ({"event": 'a {"b":1}'}, observed(quarantine=True)),
    "an event of more than 4 KiB": ({"event": "a" * 4097}, observed(quarantine=True)),
    "an event of more than 4 KiB in UTF-8": ({"event": "é" * 2049}, observed(quarantine=True)),
    "an event of an enormous number": (
        {"event": "a", "n": 2**64},
        observed((T, "app_event", "a"), quarantine=True),
    ),
}


@pytest.mark.parametrize(("document", "expected"), OBJECTS.values(), ids=OBJECTS.keys())
def test_objects(document: dict[str, Any], expected: Reading) -> None:
    assert read(T, json.dumps(document).encode(), NOW) == expected


BARE: dict[str, tuple[str, str, Reading]] = {
    "a number": ("home/temperature", "21.5", observed(("home/temperature", "temperature", 21.5))),
    "a number with a sign": (
        "home/temperature",
        "+21.5",
        observed(("home/temperature", "temperature", 21.5)),
    ),
    "a number with space around": ("home/temp", " 21.5\r\n", observed(("home/temp", "temperature", 21.5))),
    "a number with its unit": (
        "home/temperature",
        "68 °F",
        observed(("home/temperature", "temperature", 20.0)),
    ),
    "a number in another's unit": ("home/temperature", "68 lx", observed(quarantine=True)),
    "an event that begins with a number": (
        "app/purchase",
        "2 espressi",
        observed(("app/purchase", "purchase", "2 espressi")),
    ),
    "a number in quotes": ("home/temperature", '"21.5"', observed(("home/temperature", "temperature", 21.5))),
    "a word": ("hall/motion", "ON", observed(("hall/motion", "motion", True))),
    "true": ("hall/motion", "true", observed(("hall/motion", "motion", True))),
    "one": ("hall/motion", "1", observed(("hall/motion", "motion", True))),
    "an event": ("app/purchase", "two espressi", observed(("app/purchase", "purchase", "two espressi"))),
    "the state of a switch": ("hall/lamp/state", "OFF", observed(("hall/lamp/state", "switch", False))),
    "the state of a sensor": (
        "x/hall/motion/state",
        "OFF",
        observed(("x/hall/motion/state", "motion", False)),
    ),
    "a state that may be anything": ("x/mode/state", "1", observed(quarantine=True)),
    "a topic that is only a kind": ("temperature", "21.5", observed(("temperature", "temperature", 21.5))),
    "nothing": ("home/temperature", "", observed(dropped=1)),
    "a word for nothing": ("home/temperature", "unavailable", observed(dropped=1)),
    "a value in an object": (
        "home/temperature",
        '{"value":68,"unit":"°F"}',
        observed(("home/temperature", "temperature", 20.0)),
    ),
    "a topic that says nothing": ("home/t1", "21.5", observed(quarantine=True)),
    "a document cut off on an event's topic": ("app/purchase", '{"item":', observed(quarantine=True)),
    "control characters on an event's topic": ("app/purchase", "a\x1b[31mb", observed(quarantine=True)),
    "no topic": ("", "21.5", observed(quarantine=True)),
}


@pytest.mark.parametrize(("topic", "payload", "expected"), BARE.values(), ids=BARE.keys())
def test_bare_numbers_and_words(topic: str, payload: str, expected: Reading) -> None:
    assert read(topic, payload.encode(), NOW) == expected


WORDS = [
    ("motion", "ON", True),
    ("motion", "off", False),
    ("motion", 1, True),
    ("motion", 0.0, False),
    ("motion", "detected", True),
    ("smoke", "clear", False),
    ("door", "open", True),
    ("door", "closed", False),
    ("door", True, True),
    ("contact", True, False),  # Zigbee2MQTT: contact is made, the door is closed
    ("contact", "open", True),
    ("Contact", "ON", False),
    ("presence", "not_home", False),
    ("availability", "online", True),
]


@pytest.mark.parametrize(("field", "word", "expected"), WORDS)
def test_words_for_yes_and_no(field: str, word: object, expected: bool) -> None:
    (found,) = read(T, json.dumps({field: word}).encode(), NOW).observations
    assert found.value is expected


def test_a_text_kind_takes_only_its_values() -> None:
    kinds = parse(
        '[stage]\nlabel="s"\ntype="text"\nvalues=["light","deep"]\ntier="special"\ncategory="Health"'
    )
    stage = kinds.kind("stage")
    assert take(stage, "deep") == "deep"
    assert take(stage, "snoring") is No.UNKNOWN
    assert take(stage, 1) is No.UNKNOWN
    assert take(stage, None) is No.DROPPED


@given(
    st.dictionaries(
        st.sampled_from(
            ["temperature", "humidity", "hum", "battery", "energy", "value", "time", "lat", "mood"]
        ),
        st.sampled_from(
            [0, 21.5, -0.0, 100, 101, -400, True, None, "21", 1795219200, 2**70, {"temperature": 3}]
        ),
        max_size=4,
    ),
    st.sampled_from(["sensors/attic", "a" * 63, "a" * 64, "ü" * 63, "home/temperature"]),
)
def test_the_short_way_of_usual_messages_says_what_the_long_way_says(
    fields: dict[str, object], topic: str
) -> None:
    """Only short payloads take it, and white space is none of a reading's business."""
    payload = json.dumps(fields).encode()
    assert read(topic, payload, NOW) == read(topic, payload + b" " * USUAL_MAX, NOW)
