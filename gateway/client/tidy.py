"""Merging what a crash left in pieces, and completing what it cut: only the owner's client has the keys.

Pieces are merged first (``vault.store.replace``); then the days of which readings are in no bucket yet are
made whole (``gateway.client.rebuild``), and with them a blackout in the past that was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from gateway import wire
from gateway.client.errors import AnswerError, ConflictError
from gateway.client.read import Archive, OpenSegment, open_segment
from gateway.client.rebuild import cut_days, rebuild
from gateway.client.session import Session
from vault.bucket import DAY_MS
from vault.chunk import ChunkHeader, Sequenced, open_chunk
from vault.errors import VaultError
from vault.ids import Entropy
from vault.segment import lane_key, resolution_key
from vault.statement import Replacement, sign
from vault.store.records import ChunkRow, SealedChunk, SegmentRow
from vault.store.replace import digest
from vault.store.sealing import regroup, seal_readings


class Tidied(msgspec.Struct, frozen=True):
    """How many segments were merged, and how many chunks there were before and are now.

    ``days`` are complete now, with so many new ``buckets``; ``waiting`` are not over, or still written.
    """

    segments: int = 0
    before: int = 0
    after: int = 0
    days: int = 0
    buckets: int = 0
    waiting: int = 0


def tidy(session: Session, now: int, progress: Callable[[float], object] = lambda _: None) -> Tidied:
    """Merge every segment that no process writes to any more, and complete days; ``now`` is milliseconds.

    Raises:
        AnswerError: a part of the vault does not open, or the host does not show what it took.
        ConflictError: a day changes faster than it can be read.
    """
    overview = session.ask(wire.GetOverview(), wire.Overview)
    if overview.first_day is None or overview.last_day is None:
        return Tidied()
    days = overview.first_day, max(overview.last_day, now // DAY_MS)
    rows = [row for row in session.ask(wire.GetSegments(*days), wire.Segments).segments if row.open]
    done = Tidied()
    for number, row in enumerate(rows, start=1):
        segment = open_segment(session.owner, session.pins.vault, row)
        before = chunks_of(session, segment)
        merged = merge(segment, before, session.entropy)
        if merged and _replaced(session, row, segment, merged):
            done = Tidied(done.segments + 1, done.before + len(before), done.after + len(merged))
        progress(number / len(rows) / 2)
    archive = Archive(session)
    made = rebuild(session, archive, cut_days(archive, *days), lambda part: progress(0.5 + part / 2))
    progress(1.0)
    return msgspec.structs.replace(done, days=made.days, buckets=made.buckets, waiting=len(made.waiting))


def merge(segment: OpenSegment, chunks: Iterable[ChunkRow], entropy: Entropy) -> list[SealedChunk]:
    """As few chunks as the format allows, a lane at a time, under the lanes' own keys; raises AnswerError."""
    lanes: dict[tuple[int, str], list[ChunkRow]] = {}
    for chunk in chunks:
        lanes.setdefault((chunk.number, chunk.resolution), []).append(chunk)
    merged: list[SealedChunk] = []
    for (number, resolution), rows in sorted(lanes.items()):
        lane = segment.lanes.get(number)
        if lane is None:
            raise AnswerError("the server shows a part of the vault that has no name")
        key = resolution_key(lane_key(segment.key, lane), resolution)
        rows.sort(key=lambda row: row.first_seq)
        merged += [
            seal_readings(segment.header, number, lane, key, readings, entropy, resolution)
            for readings in regroup(_open(segment, key, row) for row in rows)
        ]
    return merged


def _open(segment: OpenSegment, key: bytes, row: ChunkRow) -> Sequenced:
    lane = segment.lanes[row.number]
    header = ChunkHeader(segment.header, lane, row.first_seq, row.last_seq, row.count, row.resolution)
    try:
        return open_chunk(key, header, row.body)
    except VaultError:
        raise AnswerError("a part of the vault does not open with your key") from None


def chunks_of(session: Session, segment: OpenSegment) -> list[ChunkRow]:
    """All chunks of a segment, page by page."""
    found: list[ChunkRow] = []
    after: int | None = 0
    while after is not None:
        answer = session.ask(wire.GetChunks([bytes(segment.header.segment)], after), wire.Chunks)
        found += answer.chunks
        after = answer.after
    return found


def _replaced(session: Session, row: SegmentRow, segment: OpenSegment, merged: list[SealedChunk]) -> bool:
    """False: the segment is being written, or was closed meanwhile."""
    ids = (bytes(segment.header.segment),)
    statement = sign(session.owner.signing, session.pins.vault, Replacement(ids, ids, digest(merged)))
    try:
        session.tell(wire.Replace(statement, merged), wire.Done)
    except ConflictError:
        return False
    return row.open
