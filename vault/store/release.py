"""What a grant may read, page by page: only against a ``Permit``, and only with the grant's own keys.

A bucket is released whole or not at all: one that reaches beyond the permit's range, or touches a gap, would
tell of a time that was not given.  A bucket that comes again has a new sequence number; it takes the place of
the former one, and whoever pages by arrival sees it last.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager
from functools import partial
from operator import attrgetter
from typing import Final, Protocol

import msgspec

from policies.decide import Permit
from policies.grant import Gap
from vault.bucket import DAY_MS, span
from vault.chunk import ChunkHeader, open_chunk
from vault.errors import FormatError, SealError
from vault.ids import DeviceId, GrantId, VaultId
from vault.observation import Observation
from vault.segment import RAW, Lane, LaneKey, SegmentHeader, is_reserved, open_grant_box
from vault.store.records import ChunkRow
from vault.store.sieve import Sieve
from vault.suite import Recipient

EXAMINED: Final = 200_000  # readings that one page looks at, where limits leave most of them out
_BATCH: Final = 4_096  # readings that limits are applied to at once

Indexed = tuple[int, int, bytes, int, str]  # first_seq, row, segment, lane number, resolution


class Released(msgspec.Struct, frozen=True):
    """One reading with its sequence number in the vault; ``resolution`` says whether it is a bucket."""

    seq: int
    device: DeviceId
    observation: Observation
    resolution: str = RAW


class Page(msgspec.Struct, frozen=True):
    """Readings in order of arrival; the next page goes on after ``last_seq``, even when this one is empty."""

    readings: list[Released]
    last_seq: int
    more: bool
    lanes: int


_SEQ: Final = attrgetter("seq")


class Source(Protocol):
    """Where sealed chunks come from: a door's ``Reader``, or the owner's client that shows a preview."""

    def snapshot(self, vault: VaultId) -> AbstractContextManager[None]:
        """One view over several calls."""

    def wrapped_seed(self, vault: VaultId, grant: GrantId) -> bytes | None:
        """None once the grant has ended."""

    def boxes(self, vault: VaultId, grant: GrantId, after: int) -> list[tuple[int, bytes, bytes]]:
        """(row, segments, box) of a grant's boxes after a row."""

    def segment_header(self, vault: VaultId, segment: bytes) -> bytes | None:
        """A segment's header; None: not there."""

    def chunk_index(
        self, vault: VaultId, after: int, resolutions: Sequence[str], first_day: int, last_day: int
    ) -> Iterable[Indexed]:
        """Chunks of some resolutions and days (inclusive) that reach beyond a number, by first_seq."""

    def chunk(self, vault: VaultId, row: int) -> ChunkRow | None:
        """One chunk; None: merged into another meanwhile."""


class GrantKeys:
    """The keys of one grant, opened from its boxes as they appear: one a lane and resolution."""

    def __init__(self, vault: VaultId, grant: GrantId, recipient: Recipient, owner_key_id: bytes) -> None:
        self.vault, self.grant = vault, grant
        self._recipient, self._key_id = recipient, owner_key_id
        self._after = 0
        self._keys: dict[tuple[bytes, int, str], tuple[Lane, bytes]] = {}
        self._headers: dict[bytes, SegmentHeader] = {}

    def refresh(self, source: Source) -> None:
        """Open the boxes that are new; raises SealError when one is not this grant's."""
        for row, segments, box in source.boxes(self.vault, self.grant, self._after):
            for key in open_grant_box(self._recipient, self._key_id, self.vault, self.grant, segments, box):
                self._add(key)
            self._after = row

    def find(self, segment: bytes, number: int, resolution: str = RAW) -> tuple[Lane, bytes] | None:
        """The lane with this number and its key at a resolution, if this grant has it."""
        return self._keys.get((segment, number, resolution))

    def header(self, source: Source, segment: bytes) -> SegmentHeader:
        """A segment's header, remembered."""
        header = self._headers.get(segment)
        if header is None:
            encoded = source.segment_header(self.vault, segment)
            if encoded is None:
                raise SealError("a segment is missing")
            header = self._headers[segment] = SegmentHeader.decode(encoded)
        return header

    def _add(self, key: LaneKey) -> None:
        self._keys[key.segment, key.number, key.resolution] = (Lane.decode(key.lane), key.key)


def page(
    source: Source, permit: Permit, keys: GrantKeys, after: int, limit: int, upto: int | None = None
) -> Page:
    """Up to ``limit`` readings that arrived after sequence number ``after``, and not after ``upto``.

    A page holds all of a bucket or nothing of it, be it longer than ``limit`` for that: so all of a bucket
    that a page holds takes the place of what earlier pages held of it.

    Chunks of different lanes overlap in sequence, so they are merged as they are opened.  What the permit
    does not cover is left out, whatever the keys could open.

    Raises:
        SealError: the grant ended meanwhile, or a box, a segment or a chunk is damaged.
    """
    if permit.empty or (upto is not None and upto <= after):
        return Page([], after, False, 0)
    with source.snapshot(keys.vault):  # a merge may replace chunks between one query and the next
        if source.wrapped_seed(keys.vault, keys.grant) is None:
            raise SealError("the grant has ended")
        # In this very view: a chunk whose box came a moment later would be passed by, and never seen again.
        try:
            keys.refresh(source)
            return _page(_Arrivals(source, permit, keys), permit, after, limit, upto)
        except FormatError:
            raise SealError("a box, a segment or a chunk is damaged") from None


def _page(arrivals: _Arrivals, permit: Permit, after: int, limit: int, upto: int | None) -> Page:
    # Limits come before the range: a range that moves second by second must not get round them.
    sieve = Sieve(permit.limits, partial(arrivals.before, after)) if permit.limits else None
    found: list[Released] = []
    examined, latest = 0, None
    for batch in arrivals.since(after, upto, _BATCH if sieve else 1):
        if latest is not None and examined >= EXAMINED and not _one_bucket(latest, batch[0]):
            return Page(found, latest.seq, True, len(arrivals.lanes))
        found += sieve.pass_on(batch, arrivals.covers) if sieve else filter(arrivals.covers, batch)
        end = _whole(found, limit)
        if end is not None:
            return Page(found[:end], found[end - 1].seq, True, len(arrivals.lanes))
        if sieve:
            examined, latest = examined + len(batch), batch[-1]
    return Page(found, arrivals.reached, False, len(arrivals.lanes))


def _whole(found: Sequence[Released], limit: int) -> int | None:
    """Where a page ends that there is more than enough for: before the bucket that it has no room for.

    If that is its first one, after it.  None: its end is not known yet.
    """
    if len(found) <= limit:
        return None
    end = limit
    while end and _one_bucket(found[end - 1], found[end]):
        end -= 1
    if end:
        return end
    end = limit
    while end < len(found) and _one_bucket(found[end - 1], found[end]):
        end += 1
    return end if end < len(found) else None


def _one_bucket(one: Released, other: Released) -> bool:
    """Whether two that follow each other are of one bucket: several cells of an hour, or words."""
    return one.resolution != RAW and _bucket(one) == _bucket(other)


def _bucket(one: Released) -> tuple[DeviceId, str, str, str, int]:
    observation = one.observation
    return one.device, observation.channel, observation.kind, one.resolution, observation.time


class _Arrivals:
    """What a grant's keys open of the series and days of a permit, in order of arrival.

    ``lanes`` were looked into, and ``reached`` is how far.
    """

    def __init__(self, source: Source, permit: Permit, keys: GrantKeys) -> None:
        self._source, self._permit, self._keys = source, permit, keys
        self._since, self._until = permit.data_from * 1000, permit.data_until * 1000
        self._resolutions = sorted({one.resolution or RAW for one in permit.selectors})
        self._allowed: dict[tuple[Lane, str], bool] = {}
        self.lanes: set[tuple[bytes, int]] = set()
        self.reached = 0

    def since(self, after: int, upto: int | None, least: int) -> Iterator[list[Released]]:
        """Batches of at least so many, but the last; none twice, and none earlier than one before it."""
        self.reached = after
        waiting: list[Released] = []
        for first_seq, row, segment, number, resolution in self._index(after):
            if upto is not None and first_seq > upto:
                break
            ready = bisect_left(waiting, first_seq, key=_SEQ)
            if ready >= least:
                yield waiting[:ready]
                del waiting[:ready]
            opened = self._open(row, segment, number, resolution)
            if opened is None:
                continue
            self.lanes.add((segment, number))
            new = [one for one in opened if one.seq > after and (upto is None or one.seq <= upto)]
            self.reached = max(self.reached, new[-1].seq if new else after)
            waiting += new
            waiting.sort(key=_SEQ)  # two runs that are sorted: one pass
        if waiting:
            yield waiting

    def before(self, after: int, kinds: Set[str], day: int) -> list[Released]:
        """Readings of some kinds and one day that had arrived by then, in order."""
        earlier = [
            one
            for first_seq, row, segment, number, _ in self._source.chunk_index(
                self._keys.vault, 0, (RAW,), day, day
            )
            if first_seq <= after
            for one in self._open(row, segment, number, RAW, kinds) or ()
            if one.seq <= after
        ]
        return sorted(earlier, key=_SEQ)

    def covers(self, one: Released) -> bool:
        """Whether all of a reading lies within the permit's range; of a bucket to its very end."""
        time = one.observation.time
        return self._since <= time and time + span(one.resolution) <= self._until

    def _index(self, after: int) -> Iterable[Indexed]:
        first, last = self._since // DAY_MS, (self._until - 1) // DAY_MS
        return self._source.chunk_index(self._keys.vault, after, self._resolutions, first, last)

    def _open(
        self, row: int, segment: bytes, number: int, resolution: str, kinds: Set[str] | None = None
    ) -> list[Released] | None:
        """What lies outside of gaps in a chunk; None: not this grant's at this resolution."""
        known = self._keys.find(segment, number, resolution)
        if known is None:
            return None
        lane, key = known
        if not self._gives(lane, resolution) or (kinds is not None and lane.kind not in kinds):
            return None
        chunk = self._source.chunk(self._keys.vault, row)
        if chunk is None or chunk.resolution != resolution:
            return None
        header = self._keys.header(self._source, segment)
        place = ChunkHeader(header, lane, chunk.first_seq, chunk.last_seq, chunk.count, resolution)
        readings, gaps = open_chunk(key, place, chunk.body), self._permit.gaps
        pairs = zip(readings.seqs, readings.observations, strict=True)
        opened = [Released(seq, lane.device, observation, resolution) for seq, observation in pairs]
        return [one for one in opened if not _in_gap(gaps, one)] if gaps else opened

    def _gives(self, lane: Lane, resolution: str) -> bool:
        """Whether the permit gives this lane at exactly this resolution."""
        found = self._allowed.get((lane, resolution))
        if found is None:
            found = self._allowed[lane, resolution] = not is_reserved(lane.kind) and any(
                selector.device == lane.device.text
                and selector.kind == lane.kind
                and (selector.resolution or RAW) == resolution
                and (selector.channels is None or lane.channel in selector.channels)
                for selector in self._permit.selectors
            )
        return found


def _in_gap(gaps: Iterable[Gap], one: Released) -> bool:
    """Whether any of a reading, or of a bucket, is of a time when nothing was given."""
    begin, end = one.observation.time, one.observation.time + span(one.resolution)
    return any(begin < until * 1000 and since * 1000 < end for since, until in gaps)
