"""What must hold of a reading, whatever was sent."""

from __future__ import annotations

import math

import msgspec

from gateway.dialects import Notebook, Reading, read
from gateway.dialects.reading import NAMES
from gateway.dialects.rules import Rule
from policies.kinds import Kind, catalogue
from vault.observation import Observation, Place, Value

DAY = 86_400_000  # ms
MAX_AGE = 400 * DAY
MAX_AHEAD = 300_000
LESSONS_MAX = 4096
KNOWN = {*NAMES, "taught"}


def hold(topic: str, payload: bytes, arrival: int, notebook: Notebook) -> Reading:
    """Read a message, and check what comes out against what the vault and the brands rely on.

    What it teaches is learned as well: the notebook may be changed.
    """
    before = notebook.lessons
    found = read(topic, payload, arrival, notebook)
    assert notebook.lessons == before, "reading changes nothing"
    assert found.dialect in KNOWN
    assert found.dropped >= 0
    assert found.foreign >= 0
    for observation in found.observations:
        check(observation, arrival)
    if found.blob:
        assert not found.observations
        assert not found.quarantine
    if found.sequence is not None:
        assert 0 < len(found.sequence[0].encode()) <= 1024
        assert 0 <= found.sequence[1] < 2**63
    for lesson in found.lessons:
        assert len(lesson.source.encode()) <= 4096
        for rule in lesson.rules:
            assert msgspec.convert(msgspec.to_builtins(rule), Rule) == rule
        notebook.learn(lesson)
    assert len(notebook.lessons) <= LESSONS_MAX
    msgspec.json.encode(found)
    return found


def whole(found: Reading) -> bool:
    """Whether nothing was taken out of a payload that is in quarantine."""
    return (found.observations, found.quarantine, found.lessons, found.blob) == ((), True, (), False)


def check(observation: Observation, arrival: int) -> None:
    """Fail if the vault could not rely on this."""
    kind = catalogue().kind(observation.kind)
    assert len(observation.channel.encode()) <= 255
    assert arrival - MAX_AGE <= observation.time <= arrival + MAX_AHEAD
    assert observation.claimed is None or observation.time == arrival
    assert observation.claimed is None or abs(observation.claimed) < 2**53
    _value(kind, observation.value)


def _value(kind: Kind, value: Value) -> None:
    match value:
        case bool():
            assert kind.type == "boolean"
        case float() as number:
            assert kind.type == "number"
            assert math.isfinite(number)
            assert kind.plausible(number)
        case str() as text:
            assert kind.type in ("event", "text")
            assert "\0" not in text
            assert 0 < len(text.encode()) <= 4096
            assert kind.type == "event" or text in kind.values
        case Place() as place:
            assert kind.type == "place"
            assert abs(place.lat) <= 90
            assert abs(place.lon) <= 180
            assert place.accuracy is None or 0 <= place.accuracy < math.inf
        case other:
            raise AssertionError(f"a value of {type(other)}")
