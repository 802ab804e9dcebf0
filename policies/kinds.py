"""The vocabulary: what a reading can be, in which unit, and how sensitive it is.

The entries are in ``kinds.toml`` beside this file, which also says what each field means.  Nothing
here knows a device or a protocol: dialects look their field names up and convert with what they find.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

import msgspec

from policies.iso8601 import DAY, HOUR

ValueType = Literal["number", "boolean", "text", "place", "event"]
Tier = Literal["ordinary", "personal", "special"]

# What a kind can be given at, by the type of its values, finest first (DESIGN section 3).
RESOLUTIONS: Mapping[ValueType, tuple[str, ...]] = {
    "number": ("raw", "hour", "day"),
    "boolean": ("raw", "hour", "day"),
    "text": ("raw", "hour", "day"),  # of a closed list only: counts of free words would be the words
    "place": ("raw", "h3-7", "h3-5"),
    "event": ("raw", "hour", "day"),
}

# Seconds of a bucket, by resolution; of cells it is the time that a dwell is told for.
SPANS: Mapping[str, int] = {"raw": 0, "hour": HOUR, "day": DAY, "h3-7": HOUR, "h3-5": HOUR}


class Kind(msgspec.Struct, frozen=True):
    """One entry of the vocabulary; compared and stored by its ``name``."""

    name: str
    label: str  # what a person reads
    type: ValueType
    unit: str  # canonical, of the SenML registries or UCUM; "" if there is none
    units: dict[str, tuple[float, float]]  # accepted unit -> (scale, offset), the canonical one included
    low: float | None  # plausible, inclusive; a value outside is no reading
    high: float | None
    values: tuple[str, ...]  # the closed list, type text
    tier: Tier
    category: str  # a term of https://w3id.org/dpv/pd
    resolutions: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    inverse: tuple[str, ...] = ()  # aliases whose true is our false

    def canonical(self, value: float, unit: str) -> float | None:
        """Express a number in this kind's unit; None when the unit is not one of ours.

        Decimals of up to 15 digits come out as decimals: 101325 Pa is 1013.25 hPa, not 1013.2500000000001.
        """
        found = self.units.get(unit)
        if found is None:
            return None
        scale, offset = found
        if offset:
            return round(value * scale + offset, 9)  # only temperatures: a nano-degree is noise
        return value if scale == 1.0 else float(f"{value * scale:.15g}")

    def inverts(self, name: str) -> bool:
        """Whether true under this alias is our false."""
        return bool(self.inverse) and _key(name) in self.inverse

    def plausible(self, value: float) -> bool:
        """Whether a number in the canonical unit can be a reading; NaN and infinities never are."""
        low = float("-inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        return low <= value <= high and abs(value) != float("inf")


class Catalogue:
    """All kinds, found by name or alias."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        """Index the kinds.

        Raises:
            ValueError: two kinds claim one name or alias.
        """
        self._kinds = {kind.name: kind for kind in kinds}
        self._index: dict[str, Kind] = {}
        for kind in self._kinds.values():
            for name in (kind.name, *kind.aliases):
                if self._index.setdefault(_key(name), kind) is not kind:
                    raise ValueError(f"{name!r} is claimed by two kinds")

    def find(self, name: str) -> Kind | None:
        """Find a kind by name or alias, in any case, "-" and " " read as "_"."""
        found = self._index.get(name)  # nearly every field name is already in the form of the index
        return found if found is not None else self._index.get(_key(name))

    def kind(self, name: str) -> Kind:
        """Return the kind of exactly this name.

        Raises:
            KeyError: there is none; an alias is not a name.
        """
        return self._kinds[name]

    def names(self) -> tuple[str, ...]:
        """Every name, in the order of the file."""
        return tuple(self._kinds)


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One table of the file."""

    label: str
    type: ValueType
    tier: Tier
    category: str
    unit: str = ""
    units: dict[str, str | tuple[str, str]] = {}
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    inverse: tuple[str, ...] = ()


def parse(text: str) -> Catalogue:
    """Read a vocabulary in TOML.

    Raises:
        ValueError: not TOML, a field too many or too few, a bad number, an alias claimed twice.
    """
    entries = msgspec.toml.decode(text, type=dict[str, _Entry])
    return Catalogue(_kind(name, entry) for name, entry in entries.items())


@functools.lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """Return the vocabulary of this release."""
    return parse(importlib.resources.files("policies").joinpath("kinds.toml").read_text("utf-8"))


def _kind(name: str, entry: _Entry) -> Kind:
    units = {entry.unit: (1.0, 0.0)} if entry.type == "number" else {}
    for unit, factors in entry.units.items():
        scale, offset = (factors, "0") if isinstance(factors, str) else factors
        units[unit] = (_rational(scale), _rational(offset))
    return Kind(
        name=name,
        label=entry.label,
        type=entry.type,
        unit=entry.unit,
        units=units,
        low=entry.low,
        high=entry.high,
        values=entry.values,
        tier=entry.tier,
        category=entry.category,
        resolutions=RESOLUTIONS[entry.type] if entry.type != "text" or entry.values else ("raw",),
        aliases=entry.aliases,
        inverse=entry.inverse,
    )


def _rational(text: str) -> float:
    """The float nearest to "5/9", "0.3048" or "1852/3600"."""
    return float(Fraction(text))


def _key(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")
