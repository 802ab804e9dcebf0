"""Columns of values: one type a chunk, readings as they came or what a bucket came to (FORMAT.md, "Chunk").

What is decoded is checked as strictly as what is written, so that a reader meets no aggregate that cannot be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from policies.iso8601 import DAY, HOUR
from vault.cell import LEVELS, looks_like_cell
from vault.columns import Columns, blobs, field, integers, numbers
from vault.errors import FormatError
from vault.observation import Aggregate, Place, Share, Stay, Summary, Tally, Value
from vault.segment import RAW

NUMBER, BOOLEAN, TEXT, PLACE, BLOB, SUMMARY, TALLY, SHARE, STAY = range(9)  # how a column is tagged

_CELL_DIGITS: Final = 15
_FIELDS: Final = {
    Summary: (int, float, float, float, float),
    Tally: (int, int, int),
    Share: (str, int),
    Stay: (str, int, int),
}

T = TypeVar("T", float, bool, str, bytes, Place, Summary, Tally, Share, Stay)
A = TypeVar("A", Summary, Tally, Share, Stay)
N = TypeVar("N", float, int)


def encode_values(values: Sequence[Value]) -> Iterator[bytes]:
    """type (uint8) || values; raises FormatError for two types, or an aggregate that cannot be."""
    match values[0]:
        case bool():
            yield bytes((BOOLEAN,))
            yield field(bytes(_all(values, bool)))
        case float():
            yield bytes((NUMBER,))
            yield numbers(list(_all(values, float)))
        case str():
            yield bytes((TEXT,))
            yield from blobs([_utf8(text) for text in _all(values, str)])
        case bytes():
            yield bytes((BLOB,))
            yield from blobs(list(_all(values, bytes)))
        case Place():
            yield bytes((PLACE,))
            yield from _places(list(_all(values, Place)))
        case Summary() | Tally() | Share() | Stay():
            yield from _aggregates(values)
        case _:  # an int passes for a float where types are checked
            raise FormatError("a chunk holds no values of this type")


def decode_values(columns: Columns, count: int) -> Sequence[Value]:
    """Inverse of ``encode_values``; raises FormatError."""
    (tag,) = columns.take(1)
    if tag == NUMBER:
        return columns.numbers(count)
    if tag == BOOLEAN:
        return _booleans(columns.field(), count)
    if tag == TEXT:
        return _texts(columns, count)
    if tag == PLACE:
        return _positions(columns, count)
    if tag == BLOB:
        return columns.blobs(count)
    aggregates = _read_aggregates(tag, columns, count)
    if not all(map(_can_be, aggregates)):
        raise FormatError("a bucket that cannot be")
    return aggregates


def fits(values: Sequence[Value], resolution: str) -> bool:
    """Whether a chunk of this resolution may hold values of one type like these."""
    if resolution in LEVELS:
        return all(isinstance(one, Stay) and looks_like_cell(one.cell, resolution) for one in values)
    return not isinstance(values[0], Stay) and isinstance(values[0], Aggregate) is (resolution != RAW)


def _places(places: list[Place]) -> Iterator[bytes]:
    accurate = [(i, p.accuracy) for i, p in enumerate(places) if p.accuracy is not None]
    yield numbers([place.lat for place in places])
    yield numbers([place.lon for place in places])
    yield integers([index for index, _ in accurate])
    yield numbers([accuracy for _, accuracy in accurate])


def _positions(columns: Columns, count: int) -> list[Place]:
    lats, lons, indices = columns.numbers(count), columns.numbers(count), columns.indices(count)
    accuracies = dict(zip(indices, columns.numbers(len(indices)), strict=True))
    return [Place(lat, lon, accuracies.get(i)) for i, (lat, lon) in enumerate(zip(lats, lons, strict=True))]


def _booleans(flags: bytes, count: int) -> list[bool]:
    if len(flags) != count or not set(flags) <= {0, 1}:
        raise FormatError("a column of booleans does not fit")
    return [flag == 1 for flag in flags]


def _texts(columns: Columns, count: int) -> list[str]:
    try:
        return [item.decode() for item in columns.blobs(count)]
    except UnicodeDecodeError:
        raise FormatError("a text is not UTF-8") from None


def _aggregates(values: Sequence[Value]) -> Iterator[bytes]:
    match values[0]:
        case Summary():
            summaries = list(_sound(values, Summary))
            yield bytes((SUMMARY,))
            yield integers([one.count for one in summaries])
            yield numbers([one.sum for one in summaries])
            yield numbers(_told(one.low for one in summaries))
            yield numbers(_told(one.high for one in summaries))
            yield numbers(_told(one.squares for one in summaries))
        case Tally():
            tallies = list(_sound(values, Tally))
            yield bytes((TALLY,))
            yield integers([one.count for one in tallies])
            yield integers([one.true for one in tallies])
            yield integers(_told(one.seconds for one in tallies))
        case Share():
            shares = list(_sound(values, Share))
            yield bytes((SHARE,))
            yield from blobs([_utf8(one.value) for one in shares])
            yield integers([one.count for one in shares])
        case _:
            stays = list(_sound(values, Stay))
            yield bytes((STAY,))
            yield integers([int(one.cell, 16) for one in stays])
            yield integers(_told(one.seconds for one in stays))
            yield integers([one.count for one in stays])


def _read_aggregates(tag: int, columns: Columns, count: int) -> Sequence[Aggregate]:
    if tag == SUMMARY:
        counts = columns.integers(count)
        return list(map(Summary, counts, *(columns.numbers(count) for _ in range(4))))
    if tag == TALLY:
        return list(map(Tally, *(columns.integers(count) for _ in range(3))))
    if tag == SHARE:
        return list(map(Share, _texts(columns, count), columns.integers(count)))
    if tag == STAY:
        cells = [f"{cell:0{_CELL_DIGITS}x}" for cell in columns.integers(count)]
        return list(map(Stay, cells, columns.integers(count), columns.integers(count)))
    raise FormatError("a column of an unknown type")


def _can_be(value: Aggregate) -> bool:
    """Whether some readings could have come to this, and nothing of it was left out."""
    match value:
        case Summary(count, total, float(low), float(high), float(squares)):
            finite = all(map(math.isfinite, (total, low, high, squares)))
            return count >= 1 and finite and low <= high and squares >= 0.0
        case Tally(count, true, int(seconds)):
            return count >= 1 and 0 <= true <= count and 0 <= seconds <= DAY
        case Share(count=count):
            return count >= 1
        case Stay(cell, int(seconds), count):
            known = any(looks_like_cell(cell, resolution) for resolution in LEVELS)
            return known and 0 <= seconds <= HOUR and count >= 0 and seconds + count >= 1
        case _:
            return False


def _sound(values: Sequence[Value], kind: type[A]) -> Iterator[A]:
    """The same, each of this type, with fields of the right types, and one that can be."""
    for value in _all(values, kind):
        fields = tuple(map(type, msgspec.structs.astuple(value)))
        if fields != _FIELDS[kind] or not _can_be(value):
            raise FormatError("a bucket that cannot be")
        yield value


def _told(figures: Iterable[N | None]) -> list[N]:
    """The same: ``_sound`` let none through from which a figure was left out."""
    return [figure for figure in figures if figure is not None]


def _all(values: Sequence[Value], kind: type[T]) -> Iterable[T]:
    for value in values:
        if type(value) is not kind:
            raise FormatError("a chunk holds values of one type")
        yield value


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise FormatError("a text is not UTF-8") from None
