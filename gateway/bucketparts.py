"""A bucket taken apart into named figures, as the records of a pack hold them, and put together again.

Pure.  A figure that the person's limits left out of a bucket is missing here, and None in the bucket.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias, cast

from vault.errors import FormatError
from vault.observation import Aggregate, Share, Stay, Summary, Tally

OF_KIND: Final = "the kind's"  # in place of a unit
_Parts: TypeAlias = Mapping[str, tuple[str, str, bool]]  # part -> (field, unit, whether it is always there)

# What the figures of a bucket are called, and in which order they come; the first begins a bucket.
PARTS: Final[Mapping[type[Aggregate], _Parts]] = MappingProxyType(
    {
        Summary: {
            "count": ("count", "count", True),
            "sum": ("sum", OF_KIND, True),
            "min": ("low", OF_KIND, False),
            "max": ("high", OF_KIND, False),
            "sumsq": ("squares", "", False),
        },
        Tally: {
            "count": ("count", "count", True),
            "true": ("true", "count", True),
            "seconds": ("seconds", "s", False),
        },
        Share: {"value": ("value", "", True), "count": ("count", "count", True)},
        Stay: {
            "cell": ("cell", "", True),
            "seconds": ("seconds", "s", False),
            "count": ("count", "count", True),
        },
    }
)
FIRST: Final = frozenset(next(iter(parts)) for parts in PARTS.values())
MOST: Final = max(map(len, PARTS.values()))
_WHOLE: Final = frozenset({"count", "true", "seconds"})  # fields that are whole numbers
_WORDS: Final = frozenset({"value", "cell"})


def take_apart(bucket: Aggregate, unit: str) -> Iterator[tuple[str, float | str, str]]:
    """(part, value, unit) of what is in a bucket, of a kind with this unit."""
    for part, (field, own, _) in PARTS[type(bucket)].items():
        value = getattr(bucket, field)
        if value is not None:
            yield part, value, unit if own == OF_KIND else own


def put_together(figures: Sequence[tuple[str, float | bool | str]]) -> tuple[Aggregate, int]:
    """The bucket at the front of (part, value), and how many of them it took.

    Raises:
        FormatError: it is none.
    """
    for kind, parts in PARTS.items():
        found = _fields(parts, figures)
        if all(field in found for field, _, always in parts.values() if always):
            make = cast(Callable[..., Aggregate], kind)
            return make(*(found.get(field) for field, _, _ in parts.values())), len(found)
    raise FormatError("a bucket without its parts")


def _fields(parts: _Parts, figures: Sequence[tuple[str, float | bool | str]]) -> dict[str, float | str]:
    """The fields at the front, as long as they come in order."""
    order, found = list(parts), dict[str, float | str]()
    for part, value in figures:
        if part not in order or (not found and part != order[0]):
            break
        del order[: order.index(part) + 1]
        field = parts[part][0]
        found[field] = _value(field, value)
    return found


def _value(field: str, value: float | bool | str) -> float | str:
    """The value of a field, of the type that it has."""
    match value:
        case bool():
            pass
        case str() if field in _WORDS:
            return value
        case str() if field not in _WHOLE and value in ("nan", "inf", "-inf"):
            return float(value)
        case float() if field in _WHOLE and value.is_integer() and value >= 0:
            return int(value)
        case float() if field not in _WHOLE | _WORDS and math.isfinite(value):
            return value
    raise FormatError("a part of a bucket has another type")
