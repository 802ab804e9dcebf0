"""The open segments of one vault: which lane a reading or a bucket goes to; in memory only.

Readings share a lane only if the same recipients may read them when they are written, by event time.
Every (series, recipients) of a segment therefore has a *part* of its own, numbered by the writer; a change
of recipients retires the lanes it touches, and their series go on under the next unused part.

A key K_lr of a lane goes to exactly the grants in ``OpenLane.readers[r]``, which are chosen when the lane is
opened and never change.  What is sealed under it spans a time that every one of these grants may read all
of, and no other grant: a raw reading lies in the lane's stretch of time, and a bucket goes into a lane only
if the grants that may read the whole bucket, at its resolution, are those.  A lane that is retired takes
nothing more, because the owner's client may have sealed its keys to somebody else since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from policies.terms import Selector
from vault.bucket import DAY_MS, coarser
from vault.ids import DeviceId, Entropy, GrantId, SegmentId, VaultId
from vault.labels import KEY_SIZE
from vault.observation import Observation
from vault.segment import (
    RAW,
    Lane,
    LaneKey,
    SegmentHeader,
    is_reserved,
    seal_grant_box,
    seal_lane_name,
    seal_owner_box,
)
from vault.store.buckets import Buckets
from vault.store.intake import Delta, LaneDelta, SegmentDelta
from vault.store.lanes import OpenLane, OpenSegment, Readers
from vault.store.recipients import Blackout, LiveGrant
from vault.store.seriesday import Bucket, SeriesDay
from vault.suite import NONCE_SIZE

_BEGINNING, _END = -(1 << 62), 1 << 62
_NOBODY: Final[tuple[LiveGrant, ...]] = ()


class OpenVault:
    """The open segments of one vault, its open buckets, and the grants that new readings are sealed to."""

    def __init__(
        self,
        vault: VaultId,
        hpke_public: bytes,
        owner_key_id: bytes,
        entropy: Entropy,
        buckets: Buckets | None = None,
    ) -> None:
        self.vault, self._public, self._key_id, self._entropy = vault, hpke_public, owner_key_id, entropy
        self.buckets = Buckets() if buckets is None else buckets
        self.readers: dict[GrantId, LiveGrant] = {}
        self.blackouts: tuple[Blackout, ...] = ()
        self.segments: dict[int, OpenSegment] = {}
        self._index: dict[tuple[bytes, int, str, str], list[OpenLane]] = {}
        self._fresh: list[OpenLane] = []  # opened since the last commit that is durable
        self._begun: list[int] = []  # days whose segment was

    def lane_for(self, device: DeviceId, observation: Observation, delta: Delta, now: int) -> OpenLane:
        """The lane of a reading, opened if need be; what opening adds to disk goes into ``delta``."""
        time = observation.time
        place = (device, time // DAY_MS, observation.channel, observation.kind)
        lanes = self._index.get(place)
        if lanes is not None:
            for lane in lanes:
                if lane.since <= time < lane.until:
                    return lane
        return self._lane_of_readings(device, observation, delta, now)

    def lane_of_bucket(self, bucket: Bucket, delta: Delta) -> OpenLane | None:
        """A lane whose readers at the bucket's resolution are those who may read all of it.

        None: its segment is written no more.
        """
        segment = self.segments.get(bucket.day)
        if segment is None:
            return None
        readers = self._readers_of(
            bucket.device.text, bucket.channel, bucket.kind, bucket.resolution, bucket.start, bucket.end
        )
        place = (bucket.device, bucket.day, bucket.channel, bucket.kind)
        for lane in self._index.get(place, ()):
            if _same(lane.readers.get(bucket.resolution, _NOBODY), readers):
                return lane
        return self._open_lane(
            segment,
            bucket.device,
            bucket.channel,
            bucket.kind,
            {bucket.resolution: readers},
            (0, 0),
            None,
            delta,
        )

    def new_segment(self, day: int, delta: Delta, *, ledger: bool = False) -> OpenSegment:
        """Open a segment and write its owner's box; it is the caller's to keep."""
        header = SegmentHeader(self.vault, SegmentId.new(self._entropy), day)
        segment = OpenSegment(header, self._entropy(KEY_SIZE))
        box = seal_owner_box(self._public, self._key_id, header, segment.key)
        delta.segments.append(SegmentDelta(header.segment, day, header.encode(), box, ledger))
        return segment

    def seal_boxes(self, delta: Delta) -> None:
        """Append the grants' boxes for the lanes that this commit opened: one box a grant."""
        keys: dict[GrantId, list[LaneKey]] = {}
        for lane in self._fresh:
            segment, name = lane.segment.header.segment, lane.lane.encode()
            for resolution, readers in lane.readers.items():
                if not readers:
                    continue
                key = lane.key if resolution == RAW else lane.resolution_key(resolution)
                entry = LaneKey(segment, lane.number, name, resolution, key)
                for reader in readers:
                    keys.setdefault(reader.grant, []).append(entry)
        for grant, entries in keys.items():
            segments, box = seal_grant_box(
                self.readers[grant].public, self._key_id, self.vault, grant, entries
            )
            delta.boxes.append((grant, segments, box))

    def settle(self) -> None:
        """What was opened is on disk."""
        self._fresh.clear()
        self._begun.clear()

    def undo(self) -> None:
        """What was opened is not on disk: forget it.  Its numbers and parts are not given again, because a
        box that did not make it to an end may lie somewhere all the same.
        """
        for lane in self._fresh:
            series = lane.lane.device, lane.segment.header.day, lane.lane.channel, lane.lane.kind
            self._index[series].remove(lane)
            del lane.segment.lanes[lane.number]
        for day in self._begun:
            self.segments.pop(day, None)
        self.settle()

    def admit(self, reader: LiveGrant) -> None:
        """From now on readings of these series are sealed to this grant as well."""
        self.readers[reader.grant] = reader
        self._retire(reader.selectors)

    def dismiss(self, grant: GrantId) -> None:
        """From now on nothing is sealed to this grant."""
        if reader := self.readers.pop(grant, None):
            self._retire(reader.selectors)

    def is_written(self, segment: bytes, number: int) -> bool:
        """Whether more may still come into a lane: it is open, and no change of recipients retired it."""
        return any(
            lane.number == number and lane.segment.header.segment == segment
            for lanes in self._index.values()
            for lane in lanes
        )

    def set_blackouts(self, blackouts: Iterable[Blackout]) -> None:
        """From now on nobody is given what lies in these times, and it is in no bucket.

        Open buckets that may hold something of it are cut: they are never sealed.
        """
        before, self.blackouts = self.blackouts, tuple(blackouts)
        changed = set(before) ^ set(self.blackouts)
        if not changed:
            return
        for place in [p for p in self._index if any(one.covers(p[3]) for one in changed)]:
            del self._index[place]
        for one in set(self.blackouts) - set(before):
            self.buckets.blind(one.since, one.until, one.covers)

    def close(self, day: int) -> OpenSegment:
        """Take a segment out of use; its ``cut`` says whether a bucket of its day was not sealed."""
        segment = self.segments.pop(day)
        segment.cut |= self.buckets.close(day)
        for place in [place for place in self._index if place[1] == day]:
            del self._index[place]
        return segment

    def _retire(self, selectors: Iterable[Selector]) -> None:
        touched = {(s.device, s.kind) for s in selectors}
        for place in [p for p in self._index if (DeviceId(p[0]).text, p[3]) in touched]:
            del self._index[place]

    def _lane_of_readings(
        self, device: DeviceId, observation: Observation, delta: Delta, now: int
    ) -> OpenLane:
        channel, kind, time = observation.channel, observation.kind, observation.time
        day = time // DAY_MS
        segment = self.segments.get(day)
        if segment is None:
            segment = self.segments[day] = self.new_segment(day, delta)
            self._begun.append(day)
        segment.last_write = now
        raw, since, until, dark = self._readers_at(device.text, channel, kind, time)
        readers = {RAW: raw}
        start = day * DAY_MS
        for resolution in () if is_reserved(kind) else coarser(kind):
            readers[resolution] = self._readers_of(
                device.text, channel, kind, resolution, start, start + DAY_MS
            )
        gathered = None if dark else self.buckets.find(device, channel, kind, day)
        return self._open_lane(segment, device, channel, kind, readers, (since, until), gathered, delta)

    def _open_lane(
        self,
        segment: OpenSegment,
        device: DeviceId,
        channel: str,
        kind: str,
        readers: Readers,
        times: tuple[int, int],
        gathered: SeriesDay | None,
        delta: Delta,
    ) -> OpenLane:
        series = (bytes(device), channel, kind)
        part = segment.parts.get(series, 0)
        segment.parts[series] = part + 1
        lane = Lane(device, channel, kind, part)
        opened = OpenLane(segment, segment.numbers, lane, readers, *times, gathered)
        segment.numbers += 1
        segment.lanes[opened.number] = opened
        name = seal_lane_name(segment.key, segment.header, opened.number, lane, self._entropy(NONCE_SIZE))
        delta.lanes.append(LaneDelta(segment.header.segment, opened.number, device, name))
        self._index.setdefault((device, segment.header.day, channel, kind), []).append(opened)
        self._fresh.append(opened)
        return opened

    def _readers_at(
        self, device: str, channel: str, kind: str, time: int
    ) -> tuple[tuple[LiveGrant, ...], int, int, bool]:
        """Who may read raw readings of a series at this event time; from when until when that holds around
        it; and whether that is in a blackout, and so nobody.
        """
        matching = [r for r in self.readers.values() if r.reads(device, channel, kind) == RAW]
        dark = [(one.since, one.until) for one in self.blackouts if one.covers(kind)]
        stretches = [(r.since, r.until) for r in matching] + [gap for r in matching for gap in r.gaps]
        edges = [edge for stretch in (*stretches, *dark) for edge in stretch]
        since = max((edge for edge in edges if edge <= time), default=_BEGINNING)
        until = min((edge for edge in edges if edge > time), default=_END)
        if any(begins <= time < ends for begins, ends in dark):
            return _NOBODY, since, until, True
        return tuple(r for r in matching if r.may(time, time + 1)), since, until, False

    def _readers_of(
        self, device: str, channel: str, kind: str, resolution: str, start: int, end: int
    ) -> tuple[LiveGrant, ...]:
        """Who may read all that a bucket of this time can hold."""
        return tuple(
            reader
            for reader in self.readers.values()
            if reader.reads(device, channel, kind) == resolution and reader.may(start, end)
        )


def _same(some: Collection[LiveGrant], others: Collection[LiveGrant]) -> bool:
    return {reader.grant for reader in some} == {reader.grant for reader in others}
