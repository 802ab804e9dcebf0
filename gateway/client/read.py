"""A person reads their own data: owner's boxes, lane names and chunks are opened here, in the client.

Readings come ordered by event time, and by arrival where two have the same time.  Days are read a few at
a time, so a year needs the memory of a week.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from gateway import wire
from gateway.client.errors import AnswerError
from gateway.client.session import Session
from vault.bucket import DAY_MS
from vault.chunk import ChunkHeader, open_chunk
from vault.errors import VaultError
from vault.ids import DeviceId, VaultId
from vault.observation import Observation
from vault.person import Owner
from vault.segment import (
    RAW,
    Lane,
    SegmentHeader,
    is_reserved,
    lane_key,
    open_lane_name,
    open_owner_box,
    resolution_key,
)
from vault.store.records import ChunkRow, SegmentRow

BATCH_DAYS: Final = 8  # read at once
UNREADABLE: Final = "a part of the vault does not open with your key"

Wanted = Callable[[Lane], bool]


class Reading(NamedTuple):
    """A reading and the vault's own number of its arrival, which no other reading has."""

    device: DeviceId
    seq: int
    observation: Observation


class OpenSegment(msgspec.Struct, frozen=True):
    """A segment whose owner's box was opened, and its lanes by number."""

    header: SegmentHeader
    key: bytes
    lanes: dict[int, Lane]


def open_segment(owner: Owner, vault: VaultId, row: SegmentRow) -> OpenSegment:
    """Open the owner's box and the names of the lanes.

    Raises:
        AnswerError: another vault's, or one that does not open.
    """
    try:
        header = SegmentHeader.decode(row.header)
        if header.vault != vault:
            raise AnswerError("the server shows a part of another vault")
        key = open_owner_box(owner.hpke, owner.key_id, header, row.owner_box)
        lanes = {lane.number: open_lane_name(key, header, lane.number, lane.name) for lane in row.lanes}
    except VaultError:
        raise AnswerError(UNREADABLE) from None
    return OpenSegment(header, key, lanes)


def open_readings(segment: OpenSegment, chunk: ChunkRow) -> Iterator[Reading]:
    """The readings of one chunk; raises AnswerError when it does not open."""
    try:
        lane = segment.lanes[chunk.number]
        header = ChunkHeader(
            segment.header, lane, chunk.first_seq, chunk.last_seq, chunk.count, chunk.resolution
        )
        key = resolution_key(lane_key(segment.key, lane), chunk.resolution)
        opened = open_chunk(key, header, chunk.body)
    except (VaultError, KeyError):
        raise AnswerError(UNREADABLE) from None
    for seq, observation in zip(opened.seqs, opened.observations, strict=True):
        yield Reading(lane.device, seq, observation)


def ordered(readings: Iterable[Reading]) -> list[Reading]:
    """By event time, then by arrival; a reading that was met twice, as while chunks merge, counts once."""
    unique = {reading.seq: reading for reading in readings}
    return sorted(unique.values(), key=lambda reading: (reading.observation.time, reading.seq))


class Archive:
    """The segments of one session's vault; none is opened twice."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._open: dict[bytes, OpenSegment] = {}

    def opened(self, rows: Iterable[SegmentRow]) -> list[OpenSegment]:
        """These segments, in their order."""
        return [self._opened(row) for row in rows]

    def segments(self, first_day: int, last_day: int) -> list[OpenSegment]:
        """All segments of some UTC days (days since the epoch, both included)."""
        return self.opened(self.rows(first_day, last_day))

    def rows(self, first_day: int, last_day: int) -> list[SegmentRow]:
        """The same, as the host keeps them."""
        return self._session.ask(wire.GetSegments(first_day, last_day), wire.Segments).segments

    def readings(
        self,
        since: int,
        until: int,
        wanted: Wanted,
        progress: Callable[[float], object] | None = None,
    ) -> Iterator[Reading]:
        """Readings with event time in [since, until), milliseconds, in order; ``progress`` hears 0 to 1."""
        if until <= since:
            return
        first, last = since // DAY_MS, (until - 1) // DAY_MS
        for start in range(first, last + 1, BATCH_DAYS):
            end = min(start + BATCH_DAYS - 1, last)
            for day in self._days(start, end, wanted):
                for reading in day:
                    if since <= reading.observation.time < until:
                        yield reading
            if progress is not None:
                progress((end - first + 1) / (last - first + 1))

    def arrived(self, after: int, first_day: int, last_day: int, wanted: Wanted) -> list[Reading]:
        """What arrived after a sequence number, in order of arrival."""
        found = self.chunks(self.segments(first_day, last_day), wanted, after)
        readings = {one.seq: one for segment, chunk in found for one in open_readings(segment, chunk)}
        return sorted((one for one in readings.values() if one.seq > after), key=lambda one: one.seq)

    def _days(self, first: int, last: int, wanted: Wanted) -> Iterator[list[Reading]]:
        """A segment holds readings of its own day only, so that days can be ordered one by one."""
        found = list(self.chunks(self.segments(first, last), wanted))
        found.sort(key=lambda pair: pair[0].header.day)
        for _, day in itertools.groupby(found, key=lambda pair: pair[0].header.day):
            yield ordered(one for segment, chunk in day for one in open_readings(segment, chunk))

    def chunks(
        self,
        segments: list[OpenSegment],
        wanted: Wanted,
        since_seq: int = 0,
        resolutions: Container[str] = (RAW,),
    ) -> Iterator[tuple[OpenSegment, ChunkRow]]:
        """Chunks of the lanes that are wanted, with their segments; raises AnswerError."""
        numbers = {
            bytes(segment.header.segment): (
                segment,
                {number for number, lane in segment.lanes.items() if wanted(lane)},
            )
            for segment in segments
        }
        ids = [segment for segment, (_, lanes) in numbers.items() if lanes]
        after: int | None = 0
        while ids and after is not None:
            answer = self._session.ask(wire.GetChunks(ids, after, since_seq), wire.Chunks)
            for chunk in answer.chunks:
                segment, lanes = numbers.get(chunk.segment, (None, set()))
                if chunk.resolution not in resolutions:
                    continue
                if segment is not None and self._holds(segment, lanes, chunk):
                    yield segment, chunk
            if answer.after is not None and answer.after <= after:
                raise AnswerError("the server repeats itself")
            after = answer.after

    def _holds(self, segment: OpenSegment, lanes: set[int], chunk: ChunkRow) -> bool:
        """Whether the chunk is in a lane that was asked for; one of an unknown lane is the host's fault."""
        if chunk.number not in segment.lanes:
            raise AnswerError(UNREADABLE)
        return chunk.number in lanes

    def _opened(self, row: SegmentRow) -> OpenSegment:
        """An open segment gets more lanes while we read, so it is looked at again."""
        known = self._open.get(row.header)
        if known is None:
            known = self._open[row.header] = open_segment(self._session.owner, self._session.pins.vault, row)
        for lane in row.lanes:
            if lane.number not in known.lanes:
                try:
                    known.lanes[lane.number] = open_lane_name(known.key, known.header, lane.number, lane.name)
                except VaultError:
                    raise AnswerError(UNREADABLE) from None
        return known


def is_reading(lane: Lane) -> bool:
    """Every lane but those of payloads that were kept whole."""
    return not is_reserved(lane.kind)
