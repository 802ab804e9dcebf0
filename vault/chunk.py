"""Chunks: the readings of one lane at one resolution, as columns under zstd and AES-256-GCM.

A chunk's plaintext is ``zstd(columns)``; FORMAT.md, "Chunks", draws the bytes.  Integers are stored
as differences with their bytes transposed, which zstd then makes nearly vanish for regular series.
Everything here works on whole columns, because a person's year is half a million readings.
"""

from __future__ import annotations

import itertools
import math
import operator
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from vault.errors import FormatError
from vault.labels import VERSION, pack, vec
from vault.observation import Observation, Place, Value
from vault.segment import RAW, Lane, SegmentHeader
from vault.suite import SUITE, aead_open, aead_seal

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError

CHUNK_MAGIC: Final = b"HTC"
LEVEL: Final = 3  # of zstd
READINGS_MAX: Final = 1 << 20  # in one chunk
PLAIN_MAX: Final = 64 << 20  # bytes of columns; a decoder never makes more of one chunk
NUMBER, BOOLEAN, TEXT, PLACE, BLOB = range(5)  # how a column of values is tagged
DECIMALS: Final = 6  # most digits behind the point that are stored as integers
PLAIN_DOUBLES: Final = 255  # the scale of a column of doubles as they are

_EXACT: Final = float(1 << 53)
_PROBE: Final = 8  # readings that are tried first: most series need the same few decimals throughout
_INT64: Final = range(-(1 << 63), 1 << 63)

# One for all chunks: making its tables takes ten times as long as a small chunk.  A call is one frame, and
# nothing of it stays for the next; threads wait for each other.
_COMPRESSOR: Final = ZstdCompressor(LEVEL)

T = TypeVar("T", float, bool, str, bytes, Place)


class ChunkHeader(msgspec.Struct, frozen=True):
    """What a chunk is bound to; sequence numbers are the vault's own, in order of arrival."""

    segment: SegmentHeader
    lane: Lane
    first_seq: int
    last_seq: int
    count: int
    resolution: str = RAW

    def encode(self) -> bytes:
        """The additional data of the seal."""
        return (
            CHUNK_MAGIC
            + bytes((VERSION, SUITE))
            + self.segment.encode()
            + self.lane.encode()
            + vec(self.resolution.encode())
            + pack("QQI", self.first_seq, self.last_seq, self.count)
        )


class Sequenced(msgspec.Struct, frozen=True, array_like=True):
    """Readings of one lane and their sequence numbers, strictly rising."""

    seqs: Sequence[int]
    observations: Sequence[Observation]


def seal_chunk(key: bytes, header: ChunkHeader, readings: Sequenced, nonce: bytes) -> bytes:
    """Seal readings of one value type under their lane's resolution key; raises FormatError."""
    return aead_seal(key, nonce, deflate(encode_columns(readings)), header.encode())


def open_chunk(key: bytes, header: ChunkHeader, sealed: bytes) -> Sequenced:
    """Inverse of ``seal_chunk``.

    Raises:
        SealError: another key, another header, or altered bytes.
        FormatError: the writer was wrong.
    """
    readings = decode_columns(_inflate(aead_open(key, sealed, header.encode())), header.lane)
    if (len(readings.seqs), readings.seqs[0], readings.seqs[-1]) != (
        header.count,
        header.first_seq,
        header.last_seq,
    ):
        raise FormatError("a chunk holds other readings than its header says")
    return readings


def encode_columns(readings: Sequenced) -> bytes:
    """count (uint32) || seq || time || type (uint8) || values || claimed; see FORMAT.md.

    Raises:
        FormatError: no readings, too many, or values of two types: ``plain_size`` tells beforehand.
    """
    observations = readings.observations
    if not 0 < len(observations) == len(readings.seqs) <= READINGS_MAX:
        raise FormatError("a chunk holds between one reading and a million")
    values = [observation.value for observation in observations]
    claimed = [(i, o.claimed) for i, o in enumerate(observations) if o.claimed is not None]
    plain = b"".join(
        (
            struct.pack(">I", len(observations)),
            _integers(readings.seqs),
            _integers([observation.time for observation in observations]),
            *_values(values),
            _integers([index for index, _ in claimed]),
            _integers([time for _, time in claimed]),
        )
    )
    if len(plain) > PLAIN_MAX:
        raise FormatError("readings are larger than one chunk can be")
    return plain


def plain_size(readings: Sequenced) -> int:
    """No less than the bytes that ``encode_columns`` makes of these readings."""
    size = 128 + 64 * len(readings.observations)
    for observation in readings.observations:
        value = observation.value
        if isinstance(value, str):
            size += 4 * len(value)
        elif isinstance(value, bytes):
            size += len(value)
        else:  # all of a lane are of one type
            break
    return size


def decode_columns(data: bytes, lane: Lane) -> Sequenced:
    """Inverse of ``encode_columns``; raises FormatError."""
    if len(data) > PLAIN_MAX:
        raise FormatError("a chunk is larger than its format allows")
    reader = _Reader(data)
    (count,) = struct.unpack(">I", reader.take(4))
    if not 0 < count <= READINGS_MAX:
        raise FormatError("a chunk holds between one reading and a million")
    seqs, times = reader.integers(count), reader.integers(count)
    values = reader.values(count)
    indices = reader.indices(count)
    claims = dict(zip(indices, reader.integers(len(indices)), strict=True))
    reader.end()
    if not _rising(seqs):
        raise FormatError("a chunk's columns do not fit together")
    channel, kind = lane.channel, lane.kind
    if claims:
        observations = [
            Observation(channel, kind, time, value, claims.get(index))
            for index, (time, value) in enumerate(zip(times, values, strict=True))
        ]
    else:
        observations = [
            Observation(channel, kind, time, value) for time, value in zip(times, values, strict=True)
        ]
    return Sequenced(seqs, observations)


def _values(values: Sequence[Value]) -> Iterator[bytes]:
    match values[0]:
        case bool():
            yield bytes((BOOLEAN,))
            yield _field(bytes(_all(values, bool)))
        case float():
            yield bytes((NUMBER,))
            yield _numbers(list(_all(values, float)))
        case str():
            yield bytes((TEXT,))
            yield from _blobs([_utf8(text) for text in _all(values, str)])
        case bytes():
            yield bytes((BLOB,))
            yield from _blobs(list(_all(values, bytes)))
        case Place():
            places = list(_all(values, Place))
            accurate = [(i, p.accuracy) for i, p in enumerate(places) if p.accuracy is not None]
            yield bytes((PLACE,))
            yield _numbers([place.lat for place in places])
            yield _numbers([place.lon for place in places])
            yield _integers([index for index, _ in accurate])
            yield _numbers([accuracy for _, accuracy in accurate])
        case _:  # an int passes for a float where types are checked
            raise FormatError("a chunk holds no values of this type")


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


def _rising(numbers: Sequence[int]) -> bool:
    return all(map(operator.lt, numbers, itertools.islice(numbers, 1, None)))


def deflate(columns: bytes) -> bytes:
    """One whole zstd frame that names its size."""
    return _COMPRESSOR.compress(columns, ZstdCompressor.FLUSH_FRAME)


def _inflate(packed: bytes) -> bytes:
    """One whole zstd frame and nothing else; stops at ``PLAIN_MAX`` instead of filling the memory."""
    decompressor = ZstdDecompressor()
    try:
        plain: bytes = decompressor.decompress(packed, max_length=PLAIN_MAX + 1)
    except ZstdError:
        raise FormatError("a chunk is not zstd") from None
    if not decompressor.eof or decompressor.unused_data or len(plain) > PLAIN_MAX:
        raise FormatError("a chunk is not one zstd frame of the size its format allows")
    return plain


def _field(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _blobs(items: Sequence[bytes]) -> Iterator[bytes]:
    yield _integers([len(item) for item in items])
    yield _field(b"".join(items))


def _integers(values: Sequence[int]) -> bytes:
    """Signed 64-bit integers: the first, then differences modulo 2^64; bytes transposed."""
    if not values:
        return _field(b"")
    if min(values) not in _INT64 or max(values) not in _INT64:
        raise FormatError("an integer has more than 64 bits")
    differences = [values[0], *map(operator.sub, itertools.islice(values, 1, None), values)]
    try:
        return _field(_transpose(array("q", differences)))
    except OverflowError:  # two integers at either end of the range
        return _field(_transpose(array("q", map(_wrap, differences))))


def _wrap(number: int) -> int:
    """The same modulo 2^64, as a signed integer."""
    return (number - _INT64.start) % (1 << 64) + _INT64.start


def _numbers(values: list[float]) -> bytes:
    """IEEE 754 doubles, as scaled integers where that is exact, else as they are; one tag byte."""
    if not values:
        return bytes((0,)) + _integers([])
    for decimals in range(DECIMALS + 1):
        scale = 10.0**decimals
        whole = _whole(values[:_PROBE], scale)
        if whole is not None and len(values) > _PROBE:
            whole = _whole(values, scale)
        if whole is not None:
            return bytes((decimals,)) + _integers(whole)
    return bytes((PLAIN_DOUBLES,)) + _field(_transpose(array("d", values)))


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


class _Reader:
    """Takes columns off the front of a chunk's plaintext."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise FormatError("a column is cut short")
        self._at += size
        return part

    def end(self) -> None:
        if self._at != len(self._data):
            raise FormatError("bytes follow the last column")

    def field(self) -> bytes:
        (size,) = struct.unpack(">I", self.take(4))
        return self.take(size)

    def integers(self, count: int | None = None) -> list[int]:
        column = array("q")
        self._fill(column, count)
        numbers = list(itertools.accumulate(column))
        if numbers and (min(numbers) not in _INT64 or max(numbers) not in _INT64):
            return list(map(_wrap, numbers))
        return numbers

    def indices(self, count: int) -> list[int]:
        """Which of ``count`` readings have what the next column holds."""
        indices = self.integers()
        if indices and not (indices[0] >= 0 and indices[-1] < count and _rising(indices)):
            raise FormatError("a column belongs to readings that are not there")
        return indices

    def numbers(self, count: int) -> list[float]:
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
        sizes, joined = self.integers(count), self.field()
        if sum(sizes) != len(joined) or min(sizes) < 0:
            raise FormatError("a column of texts does not fit its lengths")
        ends = list(itertools.accumulate(sizes))
        return [joined[end - size : end] for size, end in zip(sizes, ends, strict=True)]

    def values(self, count: int) -> Sequence[Value]:
        (tag,) = self.take(1)
        if tag == NUMBER:
            return self.numbers(count)
        if tag == BOOLEAN:
            flags = self.field()
            if len(flags) != count or not set(flags) <= {0, 1}:
                raise FormatError("a column of booleans does not fit")
            return [flag == 1 for flag in flags]
        if tag == TEXT:
            try:
                return [item.decode() for item in self.blobs(count)]
            except UnicodeDecodeError:
                raise FormatError("a text is not UTF-8") from None
        if tag == BLOB:
            return self.blobs(count)
        if tag == PLACE:
            lats, lons, indices = self.numbers(count), self.numbers(count), self.indices(count)
            accuracies = dict(zip(indices, self.numbers(len(indices)), strict=True))
            return [
                Place(lat, lon, accuracies.get(i))
                for i, (lat, lon) in enumerate(zip(lats, lons, strict=True))
            ]
        raise FormatError("a column of an unknown type")

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
