"""Columns of a chunk: integers, numbers and blobs, to bytes and back (FORMAT.md, "Chunk").

Integers are stored as differences with their bytes transposed, which zstd then makes nearly vanish for
regular series.  Everything here works on whole columns, because a person's year is half a million readings.
"""

from __future__ import annotations

import itertools
import math
import operator
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from vault.errors import FormatError

DECIMALS: Final = 6  # most digits behind the point that are stored as integers
PLAIN_DOUBLES: Final = 255  # the scale of a column of doubles as they are

_EXACT: Final = float(1 << 53)
_PROBE: Final = 8  # readings that are tried first: most series need the same few decimals throughout
_INT64: Final = range(-(1 << 63), 1 << 63)


def field(data: bytes) -> bytes:
    """A length (uint32) and the bytes."""
    return struct.pack(">I", len(data)) + data


def blobs(items: Sequence[bytes]) -> Iterator[bytes]:
    """Their lengths, then all of them joined."""
    yield integers([len(item) for item in items])
    yield field(b"".join(items))


def integers(values: Sequence[int]) -> bytes:
    """Signed 64-bit integers: the first, then differences modulo 2^64; bytes transposed."""
    if not values:
        return field(b"")
    if min(values) not in _INT64 or max(values) not in _INT64:
        raise FormatError("an integer has more than 64 bits")
    differences = [values[0], *map(operator.sub, itertools.islice(values, 1, None), values)]
    try:
        return field(_transpose(array("q", differences)))
    except OverflowError:  # two integers at either end of the range
        return field(_transpose(array("q", map(_wrap, differences))))


def _wrap(number: int) -> int:
    """The same modulo 2^64, as a signed integer."""
    return (number - _INT64.start) % (1 << 64) + _INT64.start


def numbers(values: list[float]) -> bytes:
    """IEEE 754 doubles, as scaled integers where that is exact, else as they are; one tag byte."""
    if not values:
        return bytes((0,)) + integers([])
    for decimals in range(DECIMALS + 1):
        scale = 10.0**decimals
        whole = _whole(values[:_PROBE], scale)
        if whole is not None and len(values) > _PROBE:
            whole = _whole(values, scale)
        if whole is not None:
            return bytes((decimals,)) + integers(whole)
    return bytes((PLAIN_DOUBLES,)) + field(_transpose(array("d", values)))


def _whole(values: list[float], scale: float) -> list[int] | None:
    """Integers that divided by ``scale`` are exactly these; None: there are none."""
    scaled = [value * scale for value in values]
    if not (min(scaled) > -_EXACT and max(scaled) < _EXACT) or math.isnan(sum(scaled)):
        return None
    whole = list(map(round, scaled))
    if [number / scale for number in whole] != values or (0 in whole and _negative_zero(values)):
        return None
    return whole


def _negative_zero(values: Iterable[float]) -> bool:
    return any(math.copysign(1.0, value) < 0 for value in values if value == 0)


def _transpose(column: array[int] | array[float]) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    raw = column.tobytes()
    return b"".join(raw[i::8] for i in range(8))


def rising(values: Sequence[int]) -> bool:
    """Whether each is more than the one before."""
    return all(map(operator.lt, values, itertools.islice(values, 1, None)))


class Columns:
    """Takes columns off the front of a chunk's plaintext; raises FormatError for what does not fit."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next bytes, exactly so many."""
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise FormatError("a column is cut short")
        self._at += size
        return part

    def end(self) -> None:
        """Nothing may follow."""
        if self._at != len(self._data):
            raise FormatError("bytes follow the last column")

    def field(self) -> bytes:
        """Inverse of ``field``."""
        (size,) = struct.unpack(">I", self.take(4))
        return self.take(size)

    def integers(self, count: int | None = None) -> list[int]:
        """Inverse of ``integers``; ``count`` is how many there must be."""
        column = array("q")
        self._fill(column, count)
        found = list(itertools.accumulate(column))
        if found and (min(found) not in _INT64 or max(found) not in _INT64):
            return list(map(_wrap, found))
        return found

    def indices(self, count: int) -> list[int]:
        """Which of ``count`` readings have what the next column holds."""
        indices = self.integers()
        if indices and not (indices[0] >= 0 and indices[-1] < count and rising(indices)):
            raise FormatError("a column belongs to readings that are not there")
        return indices

    def numbers(self, count: int) -> list[float]:
        """Inverse of ``numbers``."""
        (decimals,) = self.take(1)
        if decimals == PLAIN_DOUBLES:
            column = array("d")
            self._fill(column, count)
            return list(column)
        if decimals > DECIMALS:
            raise FormatError("a column of numbers has an unknown scale")
        scale = 10.0**decimals
        return [whole / scale for whole in self.integers(count)]

    def blobs(self, count: int) -> list[bytes]:
        """Inverse of ``blobs``."""
        sizes, joined = self.integers(count), self.field()
        if sum(sizes) != len(joined) or min(sizes) < 0:
            raise FormatError("a column of texts does not fit its lengths")
        ends = list(itertools.accumulate(sizes))
        return [joined[end - size : end] for size, end in zip(sizes, ends, strict=True)]

    def _fill(self, column: array[int] | array[float], count: int | None) -> None:
        planes = self.field()
        size = len(planes) // 8
        if size * 8 != len(planes) or (count is not None and size != count):
            raise FormatError("a column has another length than its chunk")
        raw = bytearray(len(planes))
        for i in range(8):
            raw[i::8] = planes[i * size : (i + 1) * size]
        column.frombytes(raw)
        if sys.byteorder == "big":
            column.byteswap()
