"""One series on one UTC day, as far as its readings are in memory, and the buckets that come of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from vault.bucket import DAY_MS, SPANS, coarser, finish
from vault.gathering import HOUR_MS, Gathering
from vault.ids import DeviceId
from vault.observation import Observation

HOURS: Final = DAY_MS // HOUR_MS
DAY: Final = HOURS  # the bit of the day's own bucket, after those of its hours
ALL_DAY: Final = "day"  # the resolution of that bucket
_NEVER: Final = -(1 << 62)  # before all times

Series: TypeAlias = tuple[bytes, str, str]  # device, channel, kind


class Bucket(msgspec.Struct, frozen=True):
    """A finished bucket; ``day`` and [start, end) (ms) are what it is of, ``observations`` what is sealed."""

    device: DeviceId
    channel: str
    kind: str
    resolution: str
    day: int
    start: int
    end: int
    observations: Sequence[Observation]


class SeriesDay:
    """One series on one UTC day: its hours, and of which of its buckets, by bits, something is to be said.

    ``blind``: not all of its readings are here.  ``cut``: it is never sealed; blind, or what it needs is.
    ``closed``: it takes no more.  ``sealed``: nothing is left to do.  From ``whole`` (ms) on every reading
    was seen; before ``edge`` lies something that a reading comes too late for; ``latest`` is the last one's.
    """

    __slots__ = (
        "blind",
        "channel",
        "closed",
        "cut",
        "day",
        "device",
        "edge",
        "hours",
        "kind",
        "late",
        "latest",
        "listed",
        "sealed",
        "total",
        "whole",
    )

    def __init__(self, device: DeviceId, channel: str, kind: str, day: int, whole: int) -> None:
        self.device, self.channel, self.kind, self.day = device, channel, kind, day
        self.whole = self.edge = whole
        self.latest = _NEVER
        self.hours: dict[int, Gathering] = {}
        self.total: list[Gathering] = []  # what sealed hours came to, for the day's bucket
        self.late: dict[int, int] | None = None  # hour -> when the last of those came that came after its end
        self.listed = False  # among those that will have a bucket of the day
        self.blind = self.cut = self.closed = self.sealed = 0

    @property
    def start(self) -> int:
        """Milliseconds."""
        return self.day * DAY_MS

    @property
    def series(self) -> Series:
        """Which series it is."""
        return bytes(self.device), self.channel, self.kind

    @property
    def is_over(self) -> bool:
        """Whether its day was sealed, or came to nothing: whatever comes now comes too late for that."""
        return bool(self.sealed >> DAY & 1)

    def is_late(self, hour: int) -> bool:
        """Whether a reading of this hour comes too late, or not all that came before it was seen."""
        early = self.start + hour * HOUR_MS < self.whole
        return early or bool((self.blind | self.closed) >> hour & 1)

    def made(self, bit: int, hours: Sequence[Gathering]) -> Iterator[Bucket]:
        """The buckets of an hour, or of the day, that come of these closed gatherings."""
        start = self.start + (0 if bit == DAY else bit * HOUR_MS)
        for resolution in coarser(self.kind):
            if (resolution == ALL_DAY) is not (bit == DAY):
                continue
            found = finish(resolution, self.channel, self.kind, start, hours)
            if found:
                end = start + SPANS[resolution]
                yield Bucket(self.device, self.channel, self.kind, resolution, self.day, start, end, found)


class Gathered(NamedTuple):
    """Readings that wait for their commit: of one lane, between these times (ms)."""

    to: SeriesDay
    observations: Sequence[Observation]
    low: int
    high: int
