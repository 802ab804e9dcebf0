"""Open segments: which lane a reading goes to, and under which keys; in memory only.

Readings share a lane only if the same recipients may read them when they are written, by event time.
Every (series, recipients) of a segment therefore has a *part* of its own, numbered by the writer; a change
of recipients retires the lanes it touches, and their series go on under the next unused part.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from policies.grant import Selector, Terms
from vault.ids import DeviceId, Entropy, GrantId, SegmentId, VaultId
from vault.labels import KEY_SIZE
from vault.observation import Observation
from vault.segment import (
    RAW,
    Lane,
    LaneKey,
    SegmentHeader,
    is_reserved,
    lane_key,
    resolution_key,
    seal_grant_box,
    seal_lane_name,
    seal_owner_box,
)
from vault.store.intake import Delta, LaneDelta, SegmentDelta
from vault.suite import NONCE_SIZE

DAY_MS = 86_400_000
_BEGINNING, _END = -(1 << 62), 1 << 62


class LiveGrant(msgspec.Struct, frozen=True):
    """A live grant as the writer needs it; bounds are milliseconds of event time, half-open."""

    grant: GrantId
    public: bytes
    selectors: tuple[Selector, ...]
    since: int
    until: int

    @classmethod
    def of(cls, grant: GrantId, public: bytes, terms: Terms) -> LiveGrant:
        """From the terms of a verified statement."""
        return cls(grant, public, terms.selectors, terms.data_from * 1000, terms.data_until * 1000)

    def selects(self, device: str, channel: str, kind: str) -> bool:
        """Whether a series is among those that were granted; one of the vault's own kinds never is."""
        return not is_reserved(kind) and any(
            s.kind == kind and s.device == device and (s.channels is None or channel in s.channels)
            for s in self.selectors
        )


class OpenLane:
    """A lane being written: its key, for whom, the event times it takes, and what waits for the commit."""

    __slots__ = ("key", "lane", "number", "observations", "readers", "segment", "seqs", "since", "until")

    def __init__(
        self,
        segment: OpenSegment,
        number: int,
        lane: Lane,
        readers: tuple[LiveGrant, ...],
        since: int,
        until: int,
    ) -> None:
        self.segment, self.number, self.lane = segment, number, lane
        self.key = resolution_key(lane_key(segment.key, lane), RAW)
        self.readers, self.since, self.until = readers, since, until
        self.seqs: list[int] = []
        self.observations: list[Observation] = []


class OpenSegment:
    """A segment being written; its key exists here and in the owner's box, nowhere else."""

    __slots__ = ("header", "key", "lanes", "last_write", "numbers", "parts")

    def __init__(self, header: SegmentHeader, key: bytes) -> None:
        self.header, self.key = header, key
        self.lanes: dict[int, OpenLane] = {}
        self.parts: dict[tuple[bytes, str, str], int] = {}
        self.numbers = 0
        self.last_write = 0


class OpenVault:
    """The open segments of one vault and the grants that new readings are sealed to."""

    def __init__(self, vault: VaultId, hpke_public: bytes, owner_key_id: bytes, entropy: Entropy) -> None:
        self.vault, self._public, self._key_id, self._entropy = vault, hpke_public, owner_key_id, entropy
        self.readers: dict[GrantId, LiveGrant] = {}
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
        return self._open_lane(device, observation, delta, now)

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
            entry = LaneKey(lane.segment.header.segment, lane.number, lane.lane.encode(), RAW, lane.key)
            for reader in lane.readers:
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

    def close(self, day: int) -> OpenSegment:
        """Take a segment out of use."""
        segment = self.segments.pop(day)
        for place in [place for place in self._index if place[1] == day]:
            del self._index[place]
        return segment

    def _retire(self, selectors: Iterable[Selector]) -> None:
        touched = {(s.device, s.kind) for s in selectors}
        for place in [p for p in self._index if (DeviceId(p[0]).text, p[3]) in touched]:
            del self._index[place]

    def _open_lane(self, device: DeviceId, observation: Observation, delta: Delta, now: int) -> OpenLane:
        channel, kind, time = observation.channel, observation.kind, observation.time
        day = time // DAY_MS
        segment = self.segments.get(day)
        if segment is None:
            segment = self.segments[day] = self.new_segment(day, delta)
            self._begun.append(day)
        segment.last_write = now
        readers, since, until = self._readers_at(device.text, channel, kind, time)
        series = (bytes(device), channel, kind)
        part = segment.parts.get(series, 0)
        segment.parts[series] = part + 1
        lane = Lane(device, channel, kind, part)
        opened = OpenLane(segment, segment.numbers, lane, readers, since, until)
        segment.numbers += 1
        segment.lanes[opened.number] = opened
        name = seal_lane_name(segment.key, segment.header, opened.number, lane, self._entropy(NONCE_SIZE))
        delta.lanes.append(LaneDelta(segment.header.segment, opened.number, device, name))
        self._index.setdefault((device, day, channel, kind), []).append(opened)
        self._fresh.append(opened)
        return opened

    def _readers_at(
        self, device: str, channel: str, kind: str, time: int
    ) -> tuple[tuple[LiveGrant, ...], int, int]:
        """Who may read a series at this event time, and the stretch of time around it where that holds."""
        matching = [r for r in self.readers.values() if r.selects(device, channel, kind)]
        edges = [edge for r in matching for edge in (r.since, r.until)]
        since = max((edge for edge in edges if edge <= time), default=_BEGINNING)
        until = min((edge for edge in edges if edge > time), default=_END)
        return tuple(r for r in matching if r.since <= time < r.until), since, until
