"""Values of readings, for people and for programs."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from cli.render import count, number
from policies.kinds import catalogue
from vault.observation import Place, Share, Stay, Summary, Tally, Value

# Units are stored by their SenML or UCUM names; people know these by others.
SPOKEN: Final = {
    "Cel": "°C",
    "%RH": "%",
    "%EL": "%",
    "deg": "°",
    "ug/m3": "µg/m³",
    "mg/m3": "mg/m³",
    "m3": "m³",
    "m3/h": "m³/h",
    "m/s2": "m/s²",
    "W/m2": "W/m²",
    "Bq/m3": "Bq/m³",
    "kg/m2": "kg/m²",
    "uS/cm": "µS/cm",
    "uT": "µT",
    "Ohm": "Ω",
    "pH": "",
    "mm[Hg]": "mmHg",
    "mL/(kg.min)": "mL/kg a minute",
    "1/min": "a minute",
    "/": "",
    "count": "",
    "beat/min": "bpm",
}


def unit_of(kind: str) -> str:
    """The unit a kind is stored in; "" for one without, or one that is not in the vocabulary."""
    found = catalogue().find(kind)
    return found.unit if found is not None and found.name == kind else ""


def spoken_unit(kind: str) -> str:
    """The same as people know it: ``°C``."""
    unit = unit_of(kind)
    return SPOKEN.get(unit, unit)


def label_of(kind: str) -> str:
    """What a person calls a kind."""
    found = catalogue().find(kind)
    return found.label if found is not None and found.name == kind else kind


def words(value: Value, unit: str) -> str:
    """``0.412 kWh``, ``yes``, ``52.52000, 13.40500 (within 12 m)``; not escaped."""
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            spoken = SPOKEN.get(unit, unit)
            return f"{number(value)} {spoken}".strip()
        case Place(lat, lon, accuracy):
            near = "" if accuracy is None else f" (within {number(accuracy)} m)"
            return f"{lat:.5f}, {lon:.5f}{near}"
        case bytes():
            return count(len(value), "byte")
        case str():
            return value
        case Summary(count=many, sum=total):
            return f"{words(total / many, unit)} on average of {count(many, 'reading')}"
        case Tally(count=many, true=true):
            return f"{true} of {many}"
        case Share(value=text, count=many):
            return f"{text}: {many}"
        case Stay(cell=cell, seconds=seconds):
            return f"in {cell}" if seconds is None else f"{seconds // 60} min in {cell}"


def plain(value: Value) -> object:
    """What JSON can say: numbers, texts, flags; places and buckets by the names of their fields."""
    match value:
        case Place(lat, lon, accuracy):
            place = {"lat": lat, "lon": lon}
            return place if accuracy is None else place | {"accuracy": accuracy}
        case float() if not math.isfinite(value):
            return str(value)
        case bytes():
            return value.hex()
        case Summary() | Tally() | Share() | Stay():
            return msgspec.structs.asdict(value)
        case _:
            return value
