"""SenML in JSON and in CBOR: RFC 8428, with the secondary units of RFC 8798.

A pack is read whole or not at all: one record that breaks the standard puts all of it in quarantine.
A record that is sound, and measures what we have no kind for, puts it there beside the other readings.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.dialects import cbor, clock
from gateway.dialects.decode import decode
from gateway.dialects.draft import Draft
from gateway.dialects.notebook import Notebook
from gateway.dialects.reading import Reading
from gateway.dialects.values import No, is_number, place, take
from policies.kinds import Kind, catalogue

RELATIVE_BELOW = 2**28  # seconds; smaller times count from now (section 4.5.3)
VERSIONS = frozenset((*range(1, 11), 10 + 2**4))  # RFC 9100: 2**4 is the feature "secondary units"

# What a unit measures where the name does not say.  Not kg, m3, m or %: they measure too many things.
BY_UNIT: Mapping[str, str] = {
    "%EL": "battery",
    "%RH": "humidity",
    "A": "current",
    "Bspl": "sound_pressure",
    "Cel": "temperature",
    "Hz": "frequency",
    "J": "energy",
    "K": "temperature",
    "Pa": "pressure",
    "V": "voltage",
    "VA": "apparent_power",
    "W": "power",
    "Wh": "energy",
    "beat/min": "heart_rate",
    "dBm": "signal_strength",
    "hPa": "pressure",
    "kWh": "energy",
    "kW": "power",
    "lx": "illuminance",
    "m/s": "speed",
    "mA": "current",
    "mV": "voltage",
    "var": "reactive_power",
}

_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9:./_]*")  # section 4.5.1
_NAME_MAX = 512  # characters; a channel and a kind fit well
_LAST_PART = re.compile(r"(?:(.*)[:./])?([^:./]+)")
_COORDINATE = re.compile(r"[:./]?(?:lat|lon|latitude|longitude|location)\Z")


def _text(value: object) -> bool:
    return isinstance(value, str)


def _version(value: object) -> bool:
    return type(value) is int and value in VERSIONS


_LABELS: Mapping[str, Callable[[object], bool]] = {
    **dict.fromkeys(("bt", "bv", "bs", "v", "s", "t", "ut"), is_number),
    **dict.fromkeys(("bn", "bu", "n", "u", "vs", "vd"), _text),
    "vb": lambda value: isinstance(value, bool),
    "bver": _version,
}


class Record(msgspec.Struct, frozen=True):
    """A resolved record (section 4.6): no base fields, time absolute in seconds."""

    name: str
    unit: str | None
    time: float
    value: float | str | bool | None
    sum: float | None
    understood: bool  # false with binary data, or fields we do not know


def read(_topic: str, payload: bytes, arrival: int, _notebook: Notebook) -> Reading:
    """Read a pack; the channel is a record's name without what was measured."""
    draft = Draft("senml", arrival)
    pack = cbor.decode(payload) if cbor.is_pack(payload) else decode(payload)
    records = resolve(pack, arrival / 1000) if isinstance(pack, list) else None
    if not records:
        return draft.refuse()
    halves: dict[tuple[str, float], dict[str, Any]] = {}
    for record in records:
        draft.at(clock.from_seconds(record.time))
        draft.quarantine = draft.quarantine or not record.understood
        if record.unit in ("lat", "lon") and isinstance(record.value, float):
            _coordinate(draft, halves, record)
        else:
            _observe(draft, record)
    draft.quarantine = draft.quarantine or bool(halves)  # half a position
    return draft.finish()


def resolve(pack: Sequence[Any], now: float) -> list[Record] | None:
    """Resolve a pack's base fields and relative times (section 4.6); None if it breaks the standard."""
    base: dict[str, Any] = {}
    records = []
    version = None
    for index, fields in enumerate(pack):
        if not isinstance(fields, dict) or not _sound(fields):
            return None
        if "bver" in fields:
            if version not in (None, fields["bver"]) or (index and version is None):
                return None  # one version a pack, and known from its first record
            version = fields["bver"]
        base.update((label, value) for label, value in fields.items() if label in _BASES)
        record = _resolve(fields, base, now)
        if record is None:
            return None
        records.append(record)
    return records


_BASES = frozenset(("bn", "bt", "bu", "bv", "bs"))
_VALUES = ("v", "vs", "vb", "vd")


def _sound(fields: Mapping[str, Any]) -> bool:
    """Whether every field has its type, there is one value at most, and no field must be understood."""
    for label, value in fields.items():
        check = _LABELS.get(label)
        if not (check(value) if check is not None else not label.endswith("_")):
            return False  # section 4.4: an unknown label that ends in "_" is an error
    return sum(label in fields for label in _VALUES) <= 1


def _resolve(fields: Mapping[str, Any], base: Mapping[str, Any], now: float) -> Record | None:
    name = base.get("bn", "") + fields.get("n", "")
    if len(name) > _NAME_MAX or not _NAME.fullmatch(name):
        return None
    value: float | str | bool | None = fields.get("vs", fields.get("vb"))
    if "v" in fields or ("bv" in base and value is None and "vd" not in fields):
        value = float(base.get("bv", 0)) + float(fields.get("v", 0))
    total = float(base.get("bs", 0)) + float(fields.get("s", 0)) if "bs" in base or "s" in fields else None
    if value is None and total is None and "vd" not in fields:
        return None
    time = float(base.get("bt", 0)) + float(fields.get("t", 0))
    return Record(
        name=name,
        unit=fields.get("u", base.get("bu")),
        time=time + now if time < RELATIVE_BELOW else time,
        value=value,
        sum=total,
        understood="vd" not in fields and fields.keys() <= _LABELS.keys(),
    )


@functools.lru_cache(maxsize=1024)
def series(name: str, unit: str | None) -> tuple[str, Kind, bool] | None:
    """(channel, kind, inverse) of a resolved name and unit; None where neither gives the kind.

    The last part of the name gives it, if it can be in that unit, and is then not part of the channel.
    """
    parts = _LAST_PART.fullmatch(name)
    if parts is not None:
        kind = catalogue().find(parts[2])
        if kind is not None and (unit is None or unit in kind.units or kind.type != "number"):
            return parts[1] or "", kind, kind.inverts(parts[2])
    by_unit = BY_UNIT.get(unit) if unit is not None else None
    return None if by_unit is None else (name, catalogue().kind(by_unit), False)


def _observe(draft: Draft, record: Record) -> None:
    found = series(record.name, record.unit)
    if found is None:
        draft.quarantine = True
        return
    channel, kind, inverse = found
    if record.value is not None:
        odd = kind.type == "number" and not isinstance(record.value, float)
        unit = record.unit if kind.type == "number" else None
        draft.put(channel, kind, No.UNKNOWN if odd else take(kind, record.value, unit, inverse=inverse))
    if record.sum is not None:
        if record.unit == "W":  # watts summed over seconds are joules (section 4.5.4)
            draft.add(channel, draft.kinds.kind("energy"), record.sum, "J")
        else:
            draft.quarantine = True


def _coordinate(draft: Draft, halves: dict[tuple[str, float], dict[str, Any]], record: Record) -> None:
    """Join latitude and longitude of one name and time; whichever comes second makes the place."""
    channel = _COORDINATE.sub("", record.name)
    half = halves.setdefault((channel, record.time), {})
    half[str(record.unit)] = record.value
    if len(half) == 2:
        del halves[channel, record.time]
        draft.put(channel, draft.kinds.kind("location"), place(half["lat"], half["lon"]))
