"""From the readings that wait in a lane to a sealed chunk, and from many chunks of a lane to few."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final

from vault.chunk import ChunkHeader, Sequenced, open_chunk, plain_size, seal_chunk
from vault.ids import Entropy
from vault.observation import Observation
from vault.segment import RAW, Lane, SegmentHeader
from vault.store.lanes import OpenLane, OpenSegment
from vault.store.records import SealedChunk
from vault.suite import NONCE_SIZE

MERGED_READINGS: Final = 65_536  # most in one merged chunk
MERGED_BYTES: Final = 8 << 20  # of columns; payloads in quarantine may have 256 KiB each


def seal_waiting(lane: OpenLane, entropy: Entropy) -> list[SealedChunk]:
    """Seal what waits in a lane, and let it go: one chunk, or several where one could not hold it."""
    readings = Sequenced(lane.seqs, lane.observations)
    lane.seqs, lane.observations = [], []
    groups: Iterable[Sequenced] = (readings,)
    if len(readings.seqs) > MERGED_READINGS or plain_size(readings) > MERGED_BYTES:
        each = zip(readings.seqs, readings.observations, strict=True)
        groups = regroup(Sequenced([seq], [observation]) for seq, observation in each)
    return [
        seal_readings(lane.segment.header, lane.number, lane.lane, lane.key, group, entropy)
        for group in groups
    ]


def seal_readings(
    segment: SegmentHeader, number: int, lane: Lane, key: bytes, readings: Sequenced, entropy: Entropy
) -> SealedChunk:
    """One chunk of readings in order of arrival."""
    first, last, count = readings.seqs[0], readings.seqs[-1], len(readings.seqs)
    header = ChunkHeader(segment, lane, first, last, count)
    body = seal_chunk(key, header, readings, entropy(NONCE_SIZE))
    return SealedChunk(segment.segment, number, RAW, first, last, count, body)


def merge_segment(connection: sqlite3.Connection, segment: OpenSegment, entropy: Entropy) -> None:
    """Inside a transaction: merge the chunks of a segment's lanes and mark it closed.

    The sequence numbers of the readings stay, so that whoever pages by them misses nothing.
    """
    for lane in segment.lanes.values():
        chunks = connection.execute(
            "SELECT first_seq, last_seq, count, body FROM chunk"
            " WHERE segment = ? AND number = ? ORDER BY first_seq",
            (segment.header.segment, lane.number),
        ).fetchall()
        if len(chunks) < 2:
            continue
        connection.execute(
            "DELETE FROM chunk WHERE segment = ? AND number = ?", (segment.header.segment, lane.number)
        )
        opened = (
            open_chunk(lane.key, ChunkHeader(segment.header, lane.lane, first, last, count), body)
            for first, last, count, body in chunks
        )
        for readings in regroup(opened):
            merged = seal_readings(segment.header, lane.number, lane.lane, lane.key, readings, entropy)
            connection.execute(
                "INSERT INTO chunk (segment, number, resolution, first_seq, last_seq, count, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    merged.segment,
                    merged.number,
                    RAW,
                    merged.first_seq,
                    merged.last_seq,
                    merged.count,
                    merged.body,
                ),
            )
    connection.execute("UPDATE segment SET open = 0 WHERE id = ?", (segment.header.segment,))


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
