"""From readings that wait in a lane, and finished buckets, to sealed chunks; from many chunks to few."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Final

import msgspec

from vault.chunk import ChunkHeader, Sequenced, open_chunk, plain_size, seal_chunk
from vault.ids import Entropy
from vault.observation import Observation
from vault.segment import RAW, Lane, SegmentHeader
from vault.store.intake import Delta
from vault.store.lanes import OpenLane, OpenSegment
from vault.store.openvault import OpenVault
from vault.store.records import SealedChunk
from vault.store.seriesday import Bucket
from vault.suite import NONCE_SIZE

MERGED_READINGS: Final = 65_536  # most in one merged chunk
MERGED_BYTES: Final = 8 << 20  # of columns; payloads in quarantine may have 256 KiB each


def seal_waiting(lane: OpenLane, entropy: Entropy) -> list[SealedChunk]:
    """Seal what waits in a lane, and let it go: one chunk, or several where one could not hold it."""
    readings = Sequenced(lane.seqs, lane.observations)
    lane.seqs, lane.observations = [], []
    return _seal(lane, lane.key, readings, RAW, entropy)


def seal_buckets(
    vault: OpenVault, buckets: Iterable[Bucket], next_seq: int, delta: Delta, entropy: Entropy
) -> int:
    """Number finished buckets and seal them into ``delta``: one chunk a lane and resolution.

    Returns the sequence number after the last.
    """
    found: dict[tuple[int, str], tuple[OpenLane, list[Observation]]] = {}
    for bucket in buckets:
        lane = vault.lane_of_bucket(bucket, delta)
        if lane is not None:
            found.setdefault((id(lane), bucket.resolution), (lane, []))[1].extend(bucket.observations)
    for (_, resolution), (lane, observations) in found.items():
        readings = Sequenced(range(next_seq, next_seq + len(observations)), observations)
        key = lane.resolution_key(resolution)
        delta.chunks += _seal(lane, key, readings, resolution, entropy)
        next_seq += len(observations)
    return next_seq


def seal_readings(
    segment: SegmentHeader,
    number: int,
    lane: Lane,
    key: bytes,
    readings: Sequenced,
    entropy: Entropy,
    resolution: str = RAW,
) -> SealedChunk:
    """One chunk of readings, or of buckets, in order of arrival; the key is of this resolution."""
    first, last, count = readings.seqs[0], readings.seqs[-1], len(readings.seqs)
    header = ChunkHeader(segment, lane, first, last, count, resolution)
    body = seal_chunk(key, header, readings, entropy(NONCE_SIZE))
    return SealedChunk(segment.segment, number, resolution, first, last, count, body)


def merge_segment(connection: sqlite3.Connection, segment: OpenSegment, entropy: Entropy) -> None:
    """Inside a transaction: merge the chunks of a segment's lanes and mark it closed, and cut if it is.

    The sequence numbers of the readings stay, so that whoever pages by them misses nothing.
    """
    for lane in segment.lanes.values():
        rows = connection.execute(
            "SELECT resolution, first_seq, last_seq, count, body FROM chunk"
            " WHERE segment = ? AND number = ? ORDER BY resolution, first_seq",
            (segment.header.segment, lane.number),
        ).fetchall()
        for resolution, group in itertools.groupby(rows, key=itemgetter(0)):
            chunks = [row[1:] for row in group]
            if len(chunks) > 1:
                _merge(connection, lane, resolution, chunks, entropy)
    connection.execute(
        "UPDATE segment SET open = 0, cut = max(cut, ?) WHERE id = ?",
        (int(segment.cut), segment.header.segment),
    )


def _merge(
    connection: sqlite3.Connection,
    lane: OpenLane,
    resolution: str,
    chunks: list[tuple[int, int, int, bytes]],
    entropy: Entropy,
) -> None:
    """Few chunks of a lane and resolution for its many."""
    header, key = lane.segment.header, lane.resolution_key(resolution)
    opened = (
        open_chunk(key, ChunkHeader(header, lane.lane, first, last, count, resolution), body)
        for first, last, count, body in chunks
    )
    merged = [
        seal_readings(header, lane.number, lane.lane, key, readings, entropy, resolution)
        for readings in regroup(opened)
    ]
    connection.execute(
        "DELETE FROM chunk WHERE segment = ? AND number = ? AND resolution = ?",
        (header.segment, lane.number, resolution),
    )
    connection.executemany(
        "INSERT INTO chunk (segment, number, resolution, first_seq, last_seq, count, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        map(msgspec.structs.astuple, merged),
    )


def _seal(
    lane: OpenLane, key: bytes, readings: Sequenced, resolution: str, entropy: Entropy
) -> list[SealedChunk]:
    groups: Iterable[Sequenced] = (readings,)
    if len(readings.seqs) > MERGED_READINGS or plain_size(readings) > MERGED_BYTES:
        each = zip(readings.seqs, readings.observations, strict=True)
        groups = regroup(Sequenced([seq], [observation]) for seq, observation in each)
    return [
        seal_readings(lane.segment.header, lane.number, lane.lane, key, group, entropy, resolution)
        for group in groups
    ]


def regroup(chunks: Iterator[Sequenced]) -> Iterator[Sequenced]:
    """The same readings in as few groups as the format allows."""
    seqs: list[int] = []
    observations: list[Observation] = []
    size = 0
    for chunk in chunks:
        more = plain_size(chunk)
        if seqs and (len(seqs) + len(chunk.seqs) > MERGED_READINGS or size + more > MERGED_BYTES):
            yield Sequenced(seqs, observations)
            seqs, observations, size = [], [], 0
        size += more
        seqs.extend(chunk.seqs)
        observations.extend(chunk.observations)
    if seqs:
        yield Sequenced(seqs, observations)
