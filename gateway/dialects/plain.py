"""Plain JSON objects, and plain numbers and words on topics that end in what was measured.

Fields are found by the vocabulary's names and aliases.  An object within an object is part of the
channel.  ``time``, ``timestamp`` or ``ts`` is when, ``unit`` what in; ``lat`` and ``lon`` together are
a location; ``event`` names something that happened, with the other fields as its details.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.dialects import clock
from gateway.dialects.decode import decode, word
from gateway.dialects.draft import CHANNEL_MAX, Draft, child, plain_numbers
from gateway.dialects.reading import Reading
from gateway.dialects.values import is_number, number_in, place, take
from policies.kinds import catalogue
from vault.observation import Observation

MAX_NESTING = 2  # objects below the first
USUAL_MAX = 512  # bytes of a payload whose names of fields are worth remembering

TIMES = ("time", "timestamp", "ts", "Time", "Timestamp")
UNITS = ("unit", "units", "unit_of_measurement")
LATITUDES = ("lat", "latitude")
LONGITUDES = ("lon", "lng", "long", "longitude")
ACCURACIES = ("acc", "accuracy", "horizontal_accuracy")

_TIMES = frozenset(TIMES)
_UNITS = frozenset(UNITS)
_PLACE = frozenset((*LATITUDES, *LONGITUDES, *ACCURACIES))
_SPECIAL = frozenset((*UNITS, *LATITUDES, "event"))  # without one of these, an object is a list of fields
_FOREIGN_UNIT = "\0"  # a unit that no kind has
_ABSENT = object()
_NUMBERS = (float, int)  # and not bool


def read(topic: str, payload: bytes, arrival: int, zone: datetime.tzinfo) -> Reading:
    """Read a JSON object, or one number or word for the kind that the topic ends in.

    ``zone`` is where times without one are.
    """
    document = decode(payload)
    if document.__class__ is dict:
        usual = _usual(topic, document, len(payload), arrival)
        if usual is not None:
            return usual
        return read_fields(topic, document, arrival, zone)
    draft = Draft("plain", arrival)
    name = topic_kind(topic)
    kind = draft.kinds.find(name) if name is not None else None
    value = word(payload) if document is None else document
    if name is None or kind is None or value is None:
        return draft.refuse()
    unit = None
    if kind.type == "number" and isinstance(value, str):  # "21.5 °C"
        number, _, rest = value.partition(" ")
        if rest and number_in(number) is not None:
            value, unit = number, rest if rest in kind.units else _FOREIGN_UNIT
    _field(draft, topic, name, value, unit)
    return draft.finish()


def read_fields(topic: str, fields: Mapping[str, Any], arrival: int, zone: datetime.tzinfo) -> Reading:
    """Read the fields of a document."""
    draft = Draft("plain", arrival)
    if not _TIMES.isdisjoint(fields):
        draft.at(clock.from_json(_first(fields, TIMES), zone))
        fields = {name: value for name, value in fields.items() if name not in _TIMES}
    _object(draft, topic, fields, topic.rpartition("/")[2], MAX_NESTING)
    return draft.finish()


def _usual(topic: str, fields: Mapping[str, Any], size: int, arrival: int) -> Reading | None:
    """What nearly every message is: plausible numbers, each in its kind's own unit; None: something else.

    Says nothing that ``_object`` would not say; it is three times as fast.
    """
    kinds = _number_kinds(tuple(fields)) if size <= USUAL_MAX and len(topic) <= CHANNEL_MAX // 4 else None
    if kinds is None:
        return None
    observations: list[Observation] = []
    for (kind, low, high), value in zip(kinds, fields.values(), strict=True):
        if value.__class__ not in _NUMBERS or not low <= value <= high:
            return None
        observations.append(Observation(topic, kind, arrival, float(value)))
    return Reading("plain", tuple(observations), False, 0)


@functools.lru_cache(maxsize=1024)
def _number_kinds(names: tuple[str, ...]) -> tuple[tuple[str, float, float], ...] | None:
    """(kind, low, high) of fields with these names, where all are numbers; a device's names stay the same."""
    known = plain_numbers()
    return tuple(known[name] for name in names) if all(name in known for name in names) else None


def topic_kind(topic: str) -> str | None:
    """The last level of a topic where it is a kind or alias, or the one before a last "state"."""
    before, last = ["", *topic[-128:].split("/")][-2:]  # no name of ours is as long
    return _kind_of_levels(before, last)


@functools.lru_cache(maxsize=1024)
def _kind_of_levels(before: str, last: str) -> str | None:
    if last.lower() == "state" and catalogue().find(before) is not None:
        return before  # ESPHome: <device>/sensor/temperature/state
    return last if catalogue().find(last) is not None else None


def _object(draft: Draft, channel: str, fields: Mapping[str, Any], subject: str, nesting: int) -> None:
    """Read the fields of one object; ``subject`` is what a field called "value" would be of."""
    unit = None
    if not _SPECIAL.isdisjoint(fields):
        unit = _unit(draft, fields, subject)
        fields = {name: value for name, value in fields.items() if name not in _UNITS}
        if _location(draft, channel, fields):
            fields = {name: value for name, value in fields.items() if name not in _PLACE}
        if "event" in fields:
            _event(draft, channel, fields)
            return
    plausible = draft.plain_numbers(channel) if unit is None else {}
    for name, value in fields.items():
        bounds = plausible.get(name)
        if bounds is not None and value.__class__ in _NUMBERS and bounds[1] <= value <= bounds[2]:
            draft.put_number(channel, bounds[0], float(value))  # nearly every field of nearly every message
        elif value.__class__ is not dict:
            _field(draft, channel, subject if name == "value" else name, value, unit)
        elif nesting:
            _object(draft, child(channel, name), value, name, nesting - 1)
        else:
            draft.quarantine = True


def _field(draft: Draft, channel: str, name: str, value: object, unit: str | None) -> None:
    """Read one field, or note that it was not understood."""
    kind = draft.kinds.find(name)
    if kind is None or (kind.name == "switch" and name.lower() == "state" and is_number(value)):
        draft.quarantine = True  # "state": 1 may be of any enumeration
        return
    applies = unit if unit in kind.units or unit == _FOREIGN_UNIT else None
    draft.add(channel, kind, value, applies, inverse=kind.inverts(name))


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of these fields that is there, else ``_ABSENT``."""
    return next((fields[name] for name in names if name in fields), _ABSENT)


def _unit(draft: Draft, fields: Mapping[str, Any], subject: str) -> str | None:
    """The unit that an object states, for those of its numbers that can be in it.

    {"temperature": 70, "humidity": 40, "unit": "°F"} is about the temperature alone.  Where it fits
    no number, the numbers are in a unit that we cannot convert, and are not readings.
    """
    unit = _first(fields, UNITS)
    if unit is _ABSENT:
        return None
    kinds = [draft.kinds.find(subject if name == "value" else name) for name in fields]
    if isinstance(unit, str) and any(kind is not None and unit in kind.units for kind in kinds):
        return unit
    draft.quarantine = True
    return _FOREIGN_UNIT


def _location(draft: Draft, channel: str, fields: Mapping[str, Any]) -> bool:
    """Read a position where both its coordinates are there."""
    lat, lon = _first(fields, LATITUDES), _first(fields, LONGITUDES)
    if lat is _ABSENT or lon is _ABSENT:
        return False
    accuracy = _first(fields, ACCURACIES)
    found = place(lat, lon, None if accuracy is _ABSENT else accuracy)
    draft.put(channel, draft.kinds.kind("location"), found)
    return True


def _event(draft: Draft, channel: str, fields: Mapping[str, Any]) -> None:
    """Read {"event": NAME, ...}: kind NAME where that is one, else app_event.

    The value is the name, and where there are details a space and a JSON object of them, keys sorted.
    Fields that are kinds of their own become readings of their own: a heart rate must not hide in an
    app_event, which is given away more easily.
    """
    details: dict[str, str | float | bool] = {}
    for name, value in fields.items():
        if name == "event":
            continue
        if draft.kinds.find(name) is not None:
            _field(draft, channel, name, value, None)
        elif isinstance(value, str | bool) or is_number(value):
            details[name] = value
        elif value is not None:
            draft.quarantine = True
    title = fields["event"]
    if not isinstance(title, str) or not title or " {" in title:
        draft.quarantine = True
        return
    named = draft.kinds.find(title)
    kind = named if named is not None and named.type == "event" else draft.kinds.kind("app_event")
    text = f"{title} {msgspec.json.encode(details, order='sorted').decode()}" if details else title
    draft.put(channel, kind, take(kind, text))
