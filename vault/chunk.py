"""Chunks: the readings of one lane at one resolution, as columns under zstd and AES-256-GCM.

A chunk's plaintext is ``zstd(columns)``; FORMAT.md, "Chunk", draws the bytes, and ``columns`` and ``values``
write them.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from vault.bucket import SPANS
from vault.columns import Columns, integers, rising
from vault.errors import FormatError
from vault.labels import VERSION, pack, vec
from vault.observation import Aggregate, Observation, Share
from vault.segment import RAW, Lane, SegmentHeader
from vault.suite import SUITE, aead_open, aead_seal
from vault.values import decode_values, encode_values, fits

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError

CHUNK_MAGIC: Final = b"HTC"
LEVEL: Final = 3  # of zstd
READINGS_MAX: Final = 1 << 20  # in one chunk
PLAIN_MAX: Final = 64 << 20  # bytes of columns; a decoder never makes more of one chunk

# One for all chunks: making its tables takes ten times as long as a small chunk.  A call is one frame, and
# nothing of it stays for the next; threads wait for each other.
_COMPRESSOR: Final = ZstdCompressor(LEVEL)


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
    """Seal readings or buckets of one value type under their lane's resolution key; raises FormatError."""
    _check_resolution(readings, header.resolution)
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
    _check_resolution(readings, header.resolution)
    return readings


def _check_resolution(readings: Sequenced, resolution: str) -> None:
    """Readings are raw, buckets are not, and begin where buckets of their size do."""
    span = 1 if resolution == RAW else SPANS.get(resolution)
    if span is None:
        raise FormatError("a chunk of an unknown resolution")
    observations = readings.observations
    looked_at = observations[:1] if resolution == RAW else observations  # all are of one type
    if not observations or not fits([one.value for one in looked_at], resolution):
        raise FormatError("a chunk holds what is not of its resolution")
    if span > 1 and any(one.time % span for one in observations):
        raise FormatError("a bucket begins between two")


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
    if claimed and isinstance(values[0], Aggregate):
        raise FormatError("no device's clock was asked for a bucket")
    plain = b"".join(
        (
            struct.pack(">I", len(observations)),
            integers(readings.seqs),
            integers([observation.time for observation in observations]),
            *encode_values(values),
            integers([index for index, _ in claimed]),
            integers([time for _, time in claimed]),
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
        elif isinstance(value, Share):
            size += 4 * len(value.value)
        else:  # all of a lane are of one type
            break
    return size


def decode_columns(data: bytes, lane: Lane) -> Sequenced:
    """Inverse of ``encode_columns``; raises FormatError."""
    if len(data) > PLAIN_MAX:
        raise FormatError("a chunk is larger than its format allows")
    reader = Columns(data)
    (count,) = struct.unpack(">I", reader.take(4))
    if not 0 < count <= READINGS_MAX:
        raise FormatError("a chunk holds between one reading and a million")
    seqs, times = reader.integers(count), reader.integers(count)
    values = decode_values(reader, count)
    indices = reader.indices(count)
    claims = dict(zip(indices, reader.integers(len(indices)), strict=True))
    reader.end()
    if not rising(seqs) or (claims and isinstance(values[0], Aggregate)):
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
