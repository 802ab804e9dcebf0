"""What products say, in their own words, and what is to be read of it: vectors/devices/<dialect>.jsonl.

Each line is one message with its ``source``; what to expect of it was written by hand, from the product's
own documents.  ``expect`` lists [channel, kind, value, time], time in ms or null for the arrival, a place
as [lat, lon, accuracy]; a fifth element is the device's own time where that is not believed.
``lessons_from`` are messages that came before; ``facts`` what this one teaches.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.dialects import DialectSettings, Notebook, Reading, read
from vault.observation import Observation, Place

VECTORS = Path(__file__).parent / "vectors" / "devices"
NOW = 1_790_000_000_000


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """A topic and what came on it: text, or bytes in hexadecimal digits."""

    topic: str
    payload: str | None = None
    payload_hex: str | None = None

    @property
    def octets(self) -> bytes:
        return bytes.fromhex(self.payload_hex or "") if self.payload is None else self.payload.encode()


class Vector(Message, forbid_unknown_fields=True, kw_only=True):
    """One line of a file."""

    source: str
    expect: list[list[Any]]
    note: str = ""
    dialect: str = ""  # that of the file, unless the message is no longer told to be in it
    arrival: int = NOW
    settings: dict[str, Any] = {}
    lessons_from: list[Message] = []
    facts: dict[str, str] | None = None
    quarantine: bool = False
    dropped: int = 0
    foreign: int = 0
    blob: bool = False
    sequence: tuple[str, int] | None = None


def load(path: Path) -> list[Vector]:
    lines = path.read_text("utf-8").splitlines()
    found = [msgspec.json.decode(line, type=Vector) for line in lines if line]
    for vector in found:
        vector.dialect = vector.dialect or path.stem
    return found


FILES = sorted(VECTORS.glob("*.jsonl"))
ALL = [
    pytest.param(vector, id=f"{path.stem}-{at}") for path in FILES for at, vector in enumerate(load(path), 1)
]


def run(vector: Vector) -> Reading:
    notebook = Notebook(msgspec.convert(vector.settings, DialectSettings))
    for message in vector.lessons_from:
        for lesson in read(message.topic, message.octets, vector.arrival, notebook).lessons:
            notebook.learn(lesson)
    return read(vector.topic, vector.octets, vector.arrival, notebook)


def expected(vector: Vector) -> list[Observation]:
    found = []
    for channel, kind, value, time, *claimed in vector.expect:
        whole = Place(*value) if isinstance(value, list) else value
        found.append(Observation(channel, kind, vector.arrival if time is None else time, whole, *claimed))
    return found


def differences(vector: Vector, reading: Reading) -> dict[str, tuple[Any, Any]]:
    """What was found, and what was expected instead; the order of readings in a message means nothing."""
    facts: dict[str, str] = {}
    for lesson in reading.lessons:
        facts |= lesson.facts
    pairs = {
        "dialect": (reading.dialect, vector.dialect),
        "observations": (sorted(map(repr, reading.observations)), sorted(map(repr, expected(vector)))),
        "quarantine": (reading.quarantine, vector.quarantine),
        "dropped": (reading.dropped, vector.dropped),
        "foreign": (reading.foreign, vector.foreign),
        "blob": (reading.blob, vector.blob),
        "facts": (facts if vector.facts is not None else None, vector.facts),
        "sequence": (reading.sequence if vector.sequence is not None else None, vector.sequence),
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("vector", ALL)
def test_a_product_s_own_message_is_read_as_a_person_would(vector: Vector) -> None:
    assert differences(vector, run(vector)) == {}


def test_every_vector_says_where_it_is_from() -> None:
    assert FILES
    assert all(vector.source for path in FILES for vector in load(path))


def _shift(vector: Vector) -> None:
    vector.expect[0][2] += 0.1


ALTERED: dict[str, Callable[[Vector], None]] = {
    "another value": _shift,
    "another channel": lambda vector: vector.expect[0].__setitem__(0, "elsewhere"),
    "another kind": lambda vector: vector.expect[0].__setitem__(1, "humidity"),
    "another time": lambda vector: vector.expect[0].__setitem__(3, NOW - 1),
    "one reading more": lambda vector: vector.expect.append(list(vector.expect[0])),
    "one reading fewer": lambda vector: vector.expect.clear(),
    "kept for teaching": lambda vector: setattr(vector, "quarantine", True),
    "something dropped": lambda vector: setattr(vector, "dropped", 1),
    "somebody else's": lambda vector: setattr(vector, "foreign", 1),
    "another dialect": lambda vector: setattr(vector, "dialect", "plain"),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED.keys())
def test_an_altered_vector_is_noticed(alter: Callable[[Vector], None]) -> None:
    """The comparison itself, held against one fault each."""
    vector = control()
    assert differences(vector, run(vector)) == {}
    alter(vector)
    assert differences(vector, run(vector)) != {}


def control() -> Vector:
    """A message of one reading that is a number."""
    return msgspec.json.decode(_control(), type=Vector)


@functools.cache
def _control() -> bytes:
    return json.dumps(
        {
            "source": "Shelly Gen1 topic form",
            "dialect": "shelly",
            "topic": "shellies/shellyht-208500/sensor/temperature",
            "payload": "22.5",
            "expect": [["shellyht-208500/sensor", "temperature", 22.5, None]],
        }
    ).encode()
