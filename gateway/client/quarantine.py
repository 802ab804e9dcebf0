"""What was kept whole of a device: opened here, and taken out of quarantine once it is understood.

A call is atomic (``vault.store.taught``) and bounded, and a payload leaves in the call that brings its
readings: whatever is cut off, doing it again does the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from gateway import wire
from gateway.client.device import Device
from gateway.client.errors import AnswerError, ConflictError
from gateway.client.read import UNREADABLE, Archive, OpenSegment
from gateway.client.session import Session
from gateway.client.shapes import Kept
from gateway.client.teach import Stored, understand
from gateway.client.tidy import chunks_of
from gateway.dialects import Notebook, Reading
from vault.chunk import ChunkHeader, Sequenced, open_chunk, plain_size
from vault.errors import VaultError
from vault.observation import Observation
from vault.segment import QUARANTINE, RAW, lane_key, resolution_key
from vault.statement import sign
from vault.store.records import NewReading, SealedChunk, Stretch, Taught
from vault.store.sealing import seal_readings
from vault.store.taught import replacement

CALL_READINGS: Final = 8_192  # in one call: everybody's commits wait for it
CALL_BYTES: Final = 4 << 20  # of payloads that are opened for one call
TRIES: Final = 5  # of a segment that changes meanwhile

Looked = list[tuple[Kept, Reading]]


class Applied(msgspec.Struct):
    """What came of it: payloads that left, their readings that are new, and values that are none."""

    payloads: int = 0
    readings: int = 0
    dropped: int = 0


class Part(msgspec.Struct):
    """Payloads of one lane that lie in one chunk."""

    segment: OpenSegment
    number: int
    key: bytes
    payloads: Sequenced

    @property
    def stretch(self) -> Stretch:
        """Where they lie."""
        seqs = self.payloads.seqs
        return Stretch(bytes(self.segment.header.segment), self.number, seqs[0], seqs[-1], len(seqs))

    @property
    def kept(self) -> list[Kept]:
        """They themselves, in their order."""
        pairs = zip(self.payloads.seqs, self.payloads.observations, strict=True)
        return [Kept.of(seq, observation) for seq, observation in pairs]

    def without(self, gone: set[int]) -> Part | None:
        """What stays; None: nothing."""
        pairs = zip(self.payloads.seqs, self.payloads.observations, strict=True)
        stay = [(seq, one) for seq, one in pairs if seq not in gone]
        if not stay:
            return None
        return Part(self.segment, self.number, self.key, Sequenced(*zip(*stay, strict=True)))

    def sealed(self, session: Session) -> SealedChunk:
        """As a chunk that stands for the former."""
        lane = self.segment.lanes[self.number]
        header = self.segment.header
        return seal_readings(header, self.number, lane, self.key, self.payloads, session.entropy)


class Quarantine:
    """Of one device."""

    def __init__(self, session: Session, device: Device) -> None:
        self._session, self._device = session, device
        self._archive = Archive(session)

    def payloads(self) -> Iterator[Kept]:
        """Every payload that is kept, day by day."""
        for segment in self._segments():
            for part in self._parts(segment):
                yield from part.kept

    def stored(self, looked: Looked) -> Stored:
        """The readings that are in the vault already, among those that these payloads would give."""
        wanted = {(one.channel, one.kind) for _, reading in looked for one in reading.observations}
        times = [one.time for _, reading in looked for one in reading.observations]
        if not times:
            return Stored(())
        readings = self._archive.readings(
            min(times),
            max(times) + 1,
            lambda lane: lane.device == self._device.id and (lane.channel, lane.kind) in wanted,
        )
        return Stored((reading.seq, reading.observation) for reading in readings)

    def apply(self, notebook: Notebook, progress: Callable[[float], object] = lambda _: None) -> Applied:
        """Take out all that the notebook understands; raises ConflictError where it never holds still."""
        done = Applied()
        segments = self._segments()
        for number, segment in enumerate(segments, start=1):
            for attempt in range(1, TRIES + 1):
                try:
                    for taught, left in self._calls(segment, notebook):
                        self._tell(taught)
                        done.payloads += left
                        done.readings += len(taught.readings)
                        done.dropped += taught.dropped
                    break
                except ConflictError:  # more came, or the segment was closed: look again
                    if attempt == TRIES:
                        raise
            progress(number / len(segments))
        return done

    def _tell(self, taught: Taught) -> None:
        session = self._session
        statement = sign(session.owner.signing, session.pins.vault, replacement(taught))
        session.tell(wire.Teach(statement, taught), wire.Done)

    def _calls(self, segment: OpenSegment, notebook: Notebook) -> Iterator[tuple[Taught, int]]:
        """(what to apply, how many payloads leave by it), call by call."""
        parts = self._parts(segment)
        understood = [
            (kept, reading)
            for part in parts
            for kept in part.kept
            if (reading := understand(kept, notebook)) is not None
        ]
        stored = self.stored(understood)
        waiting = {
            kept.seq: _Understood(stored.take(kept, reading), reading.dropped) for kept, reading in understood
        }
        call = _Call()
        for part in parts:
            rest: Part | None = part
            while rest is not None and (here := [seq for seq in rest.payloads.seqs if seq in waiting]):
                size = plain_size(rest.payloads)
                taken = call.fitting(here, waiting, size)
                if taken:
                    remains = rest.without(set(taken))
                    sealed = None if remains is None else remains.sealed(self._session)
                    call.take(rest.stretch, sealed, size)
                    call.understand(waiting.pop(seq) for seq in taken)
                    rest = remains
                if len(taken) < len(here):
                    yield call.taught(self._device), call.payloads
                    call = _Call()
        if call.payloads:
            yield call.taught(self._device), call.payloads

    def _segments(self) -> list[OpenSegment]:
        """Those in which something of this device was kept, the oldest first."""
        overview = self._session.ask(wire.GetOverview(), wire.Overview)
        if overview.first_day is None or overview.last_day is None:
            return []
        found = self._archive.segments(overview.first_day, overview.last_day)
        return [segment for segment in found if self._numbers(segment)]

    def _numbers(self, segment: OpenSegment) -> set[int]:
        return {
            number
            for number, lane in segment.lanes.items()
            if lane.device == self._device.id and lane.kind == QUARANTINE
        }

    def _parts(self, segment: OpenSegment) -> list[Part]:
        """What is kept in a segment now, in order of arrival; raises AnswerError when it does not open."""
        numbers = self._numbers(segment)
        rows = [row for row in chunks_of(self._session, segment) if row.number in numbers]
        found: dict[int, Part] = {}
        for row in rows:
            lane = segment.lanes[row.number]
            key = resolution_key(lane_key(segment.key, lane), RAW)
            header = ChunkHeader(segment.header, lane, row.first_seq, row.last_seq, row.count)
            try:
                found[row.first_seq] = Part(segment, row.number, key, open_chunk(key, header, row.body))
            except VaultError:
                raise AnswerError(UNREADABLE) from None
        return [found[seq] for seq in sorted(found)]


class _Understood(msgspec.Struct, frozen=True):
    """What one payload gives."""

    readings: list[Observation]
    dropped: int


class _Call:
    """A call in the making."""

    def __init__(self) -> None:
        self.payloads = 0
        self._size = self._dropped = 0
        self._stretches: list[Stretch] = []
        self._chunks: list[SealedChunk] = []
        self._readings: list[NewReading] = []

    def fitting(self, seqs: list[int], waiting: dict[int, _Understood], size: int) -> list[int]:
        """The first of these payloads that the call has room for; one at least, where it is empty."""
        if self._stretches and self._size + size > CALL_BYTES:
            return []
        room = CALL_READINGS - len(self._readings)
        totals = itertools.accumulate(len(waiting[seq].readings) for seq in seqs)
        fits = sum(1 for total in totals if total <= room)
        return seqs[: max(fits, 0 if self._stretches else 1)]

    def take(self, stretch: Stretch, remains: SealedChunk | None, size: int) -> None:
        """A stretch, and what stays of it."""
        self._stretches.append(stretch)
        self._size += size
        if remains is not None:
            self._chunks.append(remains)

    def understand(self, some: Iterable[_Understood]) -> None:
        """Payloads of it that leave."""
        for one in some:
            self.payloads += 1
            self._readings += filter(None, map(NewReading.of, one.readings))
            self._dropped += one.dropped

    def taught(self, device: Device) -> Taught:
        """The call."""
        return Taught(
            bytes(device.id),
            tuple(self._stretches),
            tuple(self._chunks),
            tuple(self._readings),
            self._dropped,
        )
