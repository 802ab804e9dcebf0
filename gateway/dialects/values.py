"""One field of a payload to one value of a kind."""

from __future__ import annotations

import enum
import re
from typing import Any, TypeGuard

from policies.kinds import Kind
from vault.observation import Place, Value

INTEGER_MAX = 2**53  # beyond, a float no longer holds every integer
TEXT_MAX = 4096  # bytes of UTF-8 in an event


class No(enum.Enum):
    """Why a field is not a value."""

    DROPPED = "understood, and no reading: out of range, a sentinel, nothing"
    UNKNOWN = "not understood"


_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,17})?")
_SENTINELS = frozenset(
    ("", "nan", "+nan", "-nan", "inf", "+inf", "-inf", "null", "none", "unknown", "unavailable", "n/a")
)

_SWITCH = {"on": True, "off": False, "true": True, "false": False, "1": True, "0": False}
# Words that say themselves which way round they are, whatever the field's true is.
_OPEN = {"open": True, "opened": True, "closed": False}
_CLEAR: dict[str, dict[str, bool]] = {
    "door": _OPEN,
    "garage_door": _OPEN,
    "lock": {"unlocked": True, "locked": False},
    "window": _OPEN,
}
_SENSED = {**_SWITCH, "yes": True, "no": False, "detected": True, "clear": False}
_WORDS: dict[str, dict[str, bool]] = {
    "switch": _SWITCH,  # no more than these: "open" on a cover's or "lock" on a lock's state is not "on"
    "connectivity": {**_SWITCH, "online": True, "offline": False, "connected": True, "disconnected": False},
    "lock": {},  # an "on" may be either
    "presence": {**_SENSED, "home": True, "not_home": False, "away": False},
}


def take(kind: Kind, raw: object, unit: str | None = None, *, inverse: bool = False) -> Value | No:
    """Read a decoded JSON value as a value of a kind.

    ``unit`` is the unit the number is in, None for the kind's own.  ``inverse`` says that the field's
    true is the kind's false.
    """
    match kind.type:
        case "number":
            return _number(kind, raw, unit)
        case "boolean":
            return _boolean(kind, raw, inverse)
        case "event":
            return _event(raw)
        case "text":
            return raw if isinstance(raw, str) and raw in kind.values else _nothing(raw)
        case "place":
            return _nothing(raw)  # a place is several fields: see ``place``


def place(lat: object, lon: object, accuracy: object = None) -> Place | No:
    """Read a position in degrees and, where there is one, its radius in metres."""
    if not is_number(lat) or not is_number(lon):
        return No.DROPPED if lat is None or lon is None else No.UNKNOWN
    if accuracy is not None and not is_number(accuracy):
        return No.UNKNOWN
    lat, lon = float(lat), float(lon)
    radius = None if accuracy is None else float(accuracy)
    if not -90.0 <= lat <= 90.0 or not -180.0 <= lon <= 180.0 or (radius is not None and radius < 0.0):
        return No.DROPPED  # a negative radius is how phones say that the position is invalid
    return Place(lat, lon, radius)


def is_number(raw: Any) -> TypeGuard[float]:
    """Whether a decoded JSON value is a number that a float holds: not a bool, not 2**53 or more."""
    return raw.__class__ is float or (raw.__class__ is int and -INTEGER_MAX < raw < INTEGER_MAX)


def number_in(text: str) -> float | None:
    """The number that a text is, sign and decimals only; None if it is something else."""
    return float(text) if _NUMBER.fullmatch(text) else None


def _number(kind: Kind, raw: Any, unit: str | None) -> float | No:
    if is_number(raw):
        value = float(raw)
    elif isinstance(raw, str):
        read = number_in(raw)
        if read is None:
            return _nothing(raw.lower())
        value = read
    else:
        return _nothing(raw)
    if unit is not None:
        converted = kind.canonical(value, unit)
        if converted is None:
            return No.UNKNOWN
        value = converted
    return value if kind.plausible(value) else No.DROPPED


def _boolean(kind: Kind, raw: Any, inverse: bool) -> bool | No:
    if raw.__class__ is bool:
        return bool(raw) is not inverse
    if is_number(raw):
        return (raw == 1) is not inverse if raw in (0, 1) else No.UNKNOWN
    if not isinstance(raw, str):
        return _nothing(raw)
    word = raw.lower()
    if word in _CLEAR.get(kind.name, ()):
        return _CLEAR[kind.name][word]
    meant = _WORDS.get(kind.name, _SENSED).get(word)
    return _nothing(word) if meant is None else meant is not inverse


def _event(raw: object) -> str | No:
    if not isinstance(raw, str) or not raw:
        return No.DROPPED if raw is None or raw == "" else No.UNKNOWN
    return raw if len(raw.encode()) <= TEXT_MAX else No.UNKNOWN


def _nothing(raw: object) -> No:
    """What a value that is not of the kind's type is: one of the many words for "none", or not understood."""
    return No.DROPPED if raw is None or (isinstance(raw, str) and raw in _SENTINELS) else No.UNKNOWN
