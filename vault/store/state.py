"""What the writer knows of one vault in memory, and how it seals what arrived for it.

All of it can be made again from the vault's file, but for the open segments, whose keys are nowhere else.
Sealing moves numbers on before anything is on disk: ``settle`` says that it is, ``undo`` that it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from vault.bucket import DAY_MS, QUIET_MS
from vault.ids import DeviceId, Entropy, VaultId
from vault.ledger import Entry, Head, extend, seal_entry
from vault.observation import Observation
from vault.segment import BLOB_KIND, QUARANTINE
from vault.store.buckets import Buckets, Past
from vault.store.intake import Delta, DeviceDelta, condense
from vault.store.lanes import OpenLane, OpenSegment
from vault.store.openvault import OpenVault
from vault.store.person import PersonFile, read_recent, write_recent
from vault.store.recipients import LiveGrant
from vault.store.resent import OpenDays, day_of
from vault.store.sealing import seal_buckets, seal_waiting
from vault.store.seriesday import Gathered

Digests = dict[int, bytes]  # packet id -> digest of its latest message


class Special(msgspec.Struct, frozen=True, gc=False):
    """What few messages have: nearly every one goes without.

    ``blob`` is a whole payload with its topic that is not to be read at all.  ``digests``, one of each
    observation, are of a device that sends its readings again: those that are remembered are not stored.
    ``foreign`` counts readings of sensors that are not the owner's, ``gaps`` numbered messages that are
    missing (fewer than none: one came late).
    """

    blob: bytes | None = None
    digests: Sequence[bytes] = ()
    foreign: int = 0
    gaps: int = 0


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One message of a device, read and ready to be stored; ``at`` is its arrival in milliseconds.

    ``quarantine`` is the whole payload with its topic, where not all of it was understood; ``dropped`` counts
    values out of range.  ``recent`` is (client key, packet id, digest) of a QoS 1 or 2 message; with
    ``redelivered`` it is stored only if that digest is not remembered.
    """

    vault: VaultId
    device: DeviceId
    at: int
    observations: Sequence[Observation]
    quarantine: bytes | None = None
    dropped: int = 0
    recent: tuple[bytes, int, bytes] | None = None
    redelivered: bool = False
    special: Special | None = None


class Learned(msgspec.Struct, frozen=True):
    """All that a device declared itself so far, sealed: durable with the messages that said so."""

    vault: VaultId
    device: DeviceId
    sealed: bytes


class _Numbers(NamedTuple):
    next_seq: int
    head: Head
    ledger: OpenSegment | None


class VaultState:
    """See the module; ``remembered`` tells which digests of a client id are on disk, ``days`` of readings."""

    __slots__ = (
        "_arrived",
        "_days",
        "_entropy",
        "_gathered",
        "_known",
        "_remembered",
        "_resent",
        "_stored",
        "_waiting",
        "head",
        "ledger",
        "next_seq",
        "open",
    )

    def __init__(
        self,
        file: PersonFile,
        readers: Sequence[LiveGrant],
        entropy: Entropy,
        remembered: Callable[[bytes, bytes], Digests],
        days: OpenDays,
        stored: Callable[[bytes, int], bool] = lambda _device, _day: False,
    ) -> None:
        buckets = Buckets(Past(file.last_seen(), stored))
        self.open = OpenVault(file.id, file.vault.hpke_public, file.key_id, entropy, buckets)
        self.open.readers.update({reader.grant: reader for reader in readers})
        self.open.blackouts = tuple(file.blackouts())
        self.next_seq = file.next_seq()
        self.head = file.head()
        self.ledger: OpenSegment | None = None
        self._entropy, self._remembered = entropy, remembered
        self._waiting: list[OpenLane] = []
        self._gathered: list[Gathered] = []  # counted when this commit is on disk
        self._arrived = 0  # when that commit was made
        self._known: dict[tuple[bytes, bytes], Digests] = {}
        self._days = days
        self._resent: dict[tuple[bytes, int], list[bytes]] = {}  # digests that this commit adds
        self._stored = _Numbers(self.next_seq, self.head, None)

    def seal(
        self,
        arrivals: Sequence[Arrival],
        entries: Sequence[Entry],
        now: int,
        learned: Sequence[Learned] = (),
    ) -> Delta:
        """Everything that these add to the vault's file; undone when it raises."""
        delta = Delta(self.open.vault, learned=[(one.device, one.sealed) for one in learned])
        self._arrived = now
        try:
            for arrival in arrivals:
                self._take(arrival, delta, now)
            for entry in entries:
                self.append(entry, delta)
            self.open.seal_boxes(delta)
            for lane in self._waiting:
                self._gather(lane)
                delta.chunks.extend(seal_waiting(lane, self._entropy))
        except BaseException:
            self.undo()
            raise
        delta.cuts = self._cuts()
        delta.next_seq = self.next_seq if arrivals else 0
        delta.resent = [(device, day, b"".join(told)) for (device, day), told in self._resent.items() if told]
        condense(delta)
        return delta

    def seal_buckets(self, limit: int, now: int, quiet: int = QUIET_MS) -> Delta | None:
        """The chunks of up to so many finished hours and days of series; None: nothing has to be written.

        ``settle`` or ``undo`` follows, unless it raises.
        """
        delta = Delta(self.open.vault)
        try:
            taken = self.open.buckets.take(limit, now, quiet)
            found = seal_buckets(self.open, taken, self.next_seq, delta, self._entropy)
            self.open.seal_boxes(delta)
        except BaseException:
            self.undo()
            raise
        delta.cuts = self._cuts()
        if found == self.next_seq and not delta.cuts:
            self.settle()
            return None
        self.next_seq = delta.next_seq = found
        return delta

    def append(self, entry: Entry, delta: Delta) -> None:
        """Number, seal and chain a ledger entry into ``delta``."""
        day = entry.time // DAY_MS
        if self.ledger is None or self.ledger.header.day != day:
            self.ledger = self.open.new_segment(day, delta, ledger=True)
        header = self.ledger.header
        sealed = seal_entry(self.ledger.key, header, self.head.number + 1, entry, self._entropy(12))
        self.head = delta.head = extend(header.vault, self.head, sealed)
        delta.ledger.append(sealed)

    def settle(self) -> None:
        """What was sealed since the last time is durable."""
        self._stored = _Numbers(self.next_seq, self.head, self.ledger)
        self._waiting.clear()
        buckets = self.open.buckets
        for day in self._cuts():
            if segment := self.open.segments.get(day):
                segment.cut = True
        buckets.cuts.clear()
        for gathered in self._gathered:
            buckets.add(gathered, self._arrived)
        self._gathered.clear()
        buckets.settle()
        self._known.clear()
        self._resent.clear()
        self.open.settle()

    def skip_to(self, next_seq: int) -> None:
        """The numbers below are given already, durably: the owner's client reserved them."""
        self.next_seq = max(self.next_seq, next_seq)
        self._stored = self._stored._replace(next_seq=self.next_seq)

    def undo(self) -> None:
        """What was sealed since the last time is not stored, and nobody was told that it is."""
        self.next_seq, self.head, self.ledger = self._stored
        for lane in self._waiting:
            lane.seqs, lane.observations = [], []
        self._waiting.clear()
        self._gathered.clear()
        self.open.buckets.undo()
        self._known.clear()
        self._days.close(self.open.vault, self._resent)
        self._resent.clear()
        self.open.undo()

    def idle(self, today: int) -> bool:
        """Whether nothing would be lost by making this again: no key is held, and nobody to seal to."""
        ledger = self.ledger is not None and self.ledger.header.day >= today
        return not (self.open.segments or self.open.readers or ledger)

    def _take(self, arrival: Arrival, delta: Delta, now: int) -> None:
        device, recent = arrival.device, arrival.recent
        if recent is not None:
            client, packet_id, digest = recent
            if arrival.redelivered and self._digests(device, client, delta).get(packet_id) == digest:
                return
            delta.recent.append((device, client, 1, write_recent(packet_id, digest)))
            if self._known and (known := self._known.get((device, client))) is not None:
                known[packet_id] = digest
        observations = arrival.observations
        special = arrival.special
        if special is not None:
            observations = self._special(arrival, special, delta)
        readings = len(observations)
        if arrival.quarantine is not None:
            observations = [*observations, Observation("", QUARANTINE, arrival.at, arrival.quarantine)]
        if special is not None and special.blob is not None:
            observations = [*observations, Observation("", BLOB_KIND, arrival.at, special.blob)]
        seq = self.next_seq
        for observation in observations:
            lane = self.open.lane_for(device, observation, delta, now)
            if not lane.seqs:
                self._waiting.append(lane)
            lane.seqs.append(seq)
            lane.observations.append(observation)
            seq += 1
        self.next_seq = seq
        counts = delta.devices[-1] if delta.devices and delta.devices[-1].id == device else None
        if counts is None:
            counts = DeviceDelta(device, arrival.at)
            delta.devices.append(counts)
        counts.last_seen = arrival.at
        counts.readings += readings
        counts.quarantined += arrival.quarantine is not None
        counts.dropped += arrival.dropped

    def _gather(self, lane: OpenLane) -> None:
        """Note what waits in a lane for the buckets it belongs to; what comes too late cuts its day."""
        if lane.gathered is None:
            return
        times = [one.time for one in lane.observations]
        gathered = Gathered(lane.gathered, lane.observations, min(times), max(times))
        self._gathered.append(gathered)
        lane.segment.last_write = self._arrived
        if not lane.segment.cut and self.open.buckets.is_cut_by(gathered):
            self.open.buckets.cuts.add(lane.segment.header.day)

    def _cuts(self) -> list[int]:
        """The days that this commit marks as cut."""
        segments = self.open.segments
        return [d for d in self.open.buckets.cuts if (segment := segments.get(d)) is None or not segment.cut]

    def _special(self, arrival: Arrival, special: Special, delta: Delta) -> Sequence[Observation]:
        """Count what few messages have; the readings that are to be stored."""
        new = self._new(arrival, special.digests) if special.digests else arrival.observations
        counts = DeviceDelta(arrival.device, arrival.at)
        counts.duplicates = len(arrival.observations) - len(new)
        counts.gaps, counts.foreign = special.gaps, special.foreign
        counts.blobs = int(special.blob is not None)
        delta.devices.append(counts)
        return new

    def _new(self, arrival: Arrival, digests: Sequence[bytes]) -> Sequence[Observation]:
        """The readings of a message that were not stored before: their digests are remembered from now on."""
        vault, device = self.open.vault, arrival.device
        new: list[Observation] = []
        for observation, digest in zip(arrival.observations, digests, strict=True):
            number = day_of(observation)
            added = self._resent.setdefault((device, number), [])
            day = self._days.find(vault, device, number)
            if day is None:
                day = self._days.open(vault, device, number, added)
            if digest not in day:
                self._days.add(day, digest)
                added.append(digest)
                new.append(observation)
        return new

    def _digests(self, device: bytes, client: bytes, delta: Delta) -> Digests:
        """What this client id had acknowledged, and what this commit holds; looked up once a commit."""
        known = self._known.get((device, client))
        if known is None:
            known = self._known[device, client] = self._remembered(device, client)
            for other, other_client, _, blob in delta.recent:
                if (other, other_client) == (device, client):
                    known.update(read_recent(blob))
        return known
