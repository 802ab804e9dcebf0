"""What a grant may read, page by page: only against a ``Permit``, and only with the grant's own keys."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter
from typing import Final

import msgspec

from policies.decide import Permit
from vault.chunk import ChunkHeader, open_chunk
from vault.errors import FormatError, SealError
from vault.ids import DeviceId, GrantId, VaultId
from vault.observation import Observation
from vault.segment import Lane, LaneKey, SegmentHeader, is_reserved, open_grant_box
from vault.store.lanes import DAY_MS
from vault.store.reader import Reader
from vault.suite import Recipient

_Waiting = tuple[int, Observation, DeviceId]
_SEQ: Final = itemgetter(0)


class Released(msgspec.Struct, frozen=True):
    """One reading with its sequence number in the vault."""

    seq: int
    device: DeviceId
    observation: Observation


class Page(msgspec.Struct, frozen=True):
    """Readings in order of arrival; the next page goes on after ``last_seq``, even when this one is empty."""

    readings: list[Released]
    last_seq: int
    more: bool
    lanes: int


class GrantKeys:
    """The lane keys of one grant, opened from its boxes as they appear."""

    def __init__(self, vault: VaultId, grant: GrantId, recipient: Recipient, owner_key_id: bytes) -> None:
        self.vault, self.grant = vault, grant
        self._recipient, self._key_id = recipient, owner_key_id
        self._after = 0
        self._keys: dict[tuple[bytes, int], tuple[Lane, bytes]] = {}
        self._headers: dict[bytes, SegmentHeader] = {}

    def refresh(self, reader: Reader) -> None:
        """Open the boxes that are new; raises SealError when one is not this grant's."""
        for row, segments, box in reader.boxes(self.vault, self.grant, self._after):
            for key in open_grant_box(self._recipient, self._key_id, self.vault, self.grant, segments, box):
                self._add(key)
            self._after = row

    def find(self, segment: bytes, number: int) -> tuple[Lane, bytes] | None:
        """The lane with this number and its key, if this grant has it."""
        return self._keys.get((segment, number))

    def header(self, reader: Reader, segment: bytes) -> SegmentHeader:
        """A segment's header, remembered."""
        header = self._headers.get(segment)
        if header is None:
            encoded = reader.segment_header(self.vault, segment)
            if encoded is None:
                raise SealError("a segment is missing")
            header = self._headers[segment] = SegmentHeader.decode(encoded)
        return header

    def _add(self, key: LaneKey) -> None:
        self._keys[key.segment, key.number] = (Lane.decode(key.lane), key.key)


def page(reader: Reader, permit: Permit, keys: GrantKeys, after: int, limit: int) -> Page:
    """Up to ``limit`` readings that arrived after sequence number ``after``.

    Chunks of different lanes overlap in sequence, so they are merged as they are opened.  What the permit
    does not cover is left out, whatever the keys could open.

    Raises:
        SealError: the grant ended meanwhile, or a box, a segment or a chunk is damaged.
    """
    if permit.empty:
        return Page([], after, False, 0)
    with reader.snapshot(keys.vault):  # a merge may replace chunks between one query and the next
        if reader.wrapped_seed(keys.vault, keys.grant) is None:
            raise SealError("the grant has ended")
        # In this very view: a chunk whose box came a moment later would be passed by, and never seen again.
        try:
            keys.refresh(reader)
            return _page(reader, permit, keys, after, limit)
        except FormatError:
            raise SealError("a box, a segment or a chunk is damaged") from None


def _page(reader: Reader, permit: Permit, keys: GrantKeys, after: int, limit: int) -> Page:
    allowed: dict[Lane, bool] = {}
    since, until = permit.data_from * 1000, permit.data_until * 1000
    waiting: list[_Waiting] = []  # opened, by sequence number
    found: list[Released] = []
    lanes: set[tuple[bytes, int]] = set()
    reached = after

    def take(before: int | None) -> bool:
        """Move what is in order to the page; True: it is full, and there is more."""
        ready = len(waiting) if before is None else bisect_left(waiting, before, key=_SEQ)
        room = min(ready, limit - len(found))
        found.extend(Released(seq, device, observation) for seq, observation, device in waiting[:room])
        del waiting[:room]
        return ready > room

    for first_seq, row, segment, number in reader.chunk_index(keys.vault, after):
        known = keys.find(segment, number)
        if known is None:
            continue
        lane, key = known
        if take(first_seq):
            return Page(found, found[-1].seq, True, len(lanes))
        if lane not in allowed:
            allowed[lane] = _covers(permit, lane)
        day = keys.header(reader, segment).day * DAY_MS
        if not allowed[lane] or day >= until or day + DAY_MS <= since:
            continue
        chunk = reader.chunk(keys.vault, row)
        if chunk is None:
            continue
        header = ChunkHeader(
            keys.header(reader, segment), lane, chunk.first_seq, chunk.last_seq, chunk.count, chunk.resolution
        )
        readings = open_chunk(key, header, chunk.body)
        lanes.add((segment, number))
        new = bisect_right(readings.seqs, after)
        waiting.extend(
            (seq, observation, lane.device)
            for seq, observation in zip(readings.seqs[new:], readings.observations[new:], strict=True)
            if since <= observation.time < until
        )
        waiting.sort(key=_SEQ)  # two runs that are sorted: one pass
        del waiting[limit + 1 :]  # beyond the page; one is enough to know that there is more
        reached = max(reached, chunk.last_seq)
    full = take(None)
    if full:
        return Page(found, found[-1].seq, True, len(lanes))
    return Page(found, max(reached, found[-1].seq if found else after), False, len(lanes))


def _covers(permit: Permit, lane: Lane) -> bool:
    return not is_reserved(lane.kind) and any(
        selector.device == lane.device.text
        and selector.kind == lane.kind
        and (selector.channels is None or lane.channel in selector.channels)
        for selector in permit.selectors
    )
