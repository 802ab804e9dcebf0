"""One UTC day of a vault as it is stored: every lane at every resolution, opened with the owner's key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from gateway.client.read import Archive, OpenSegment, is_reading, open_readings
from gateway.client.recipients import Series
from policies.wishes import RESOLUTIONS_SUPPORTED
from vault.bucket import DAY_MS
from vault.gathering import HOUR_MS
from vault.observation import Observation
from vault.segment import RAW, Lane
from vault.store.records import ChunkPlace, ChunkRow, SegmentRow


class Kept(NamedTuple):
    """Something stored: its sequence number, and the reading or the bucket."""

    seq: int
    observation: Observation


class Part(msgspec.Struct):
    """All that one lane holds at one resolution, in order of arrival."""

    place: ChunkPlace
    series: Series
    kept: list[Kept]


class Day(msgspec.Struct, frozen=True):
    """A day (since the epoch), its segments as the host keeps them, and what they hold."""

    day: int
    rows: Sequence[SegmentRow]
    parts: Sequence[Part]

    @property
    def over(self) -> bool:
        """Whether every segment of it was closed."""
        return not any(row.open for row in self.rows)

    @property
    def cut(self) -> bool:
        """Whether readings may be in no bucket yet."""
        return any(row.cut for row in self.rows)

    @property
    def series(self) -> list[Series]:
        """Every series that has anything here."""
        return sorted({part.series for part in self.parts})

    def of(self, series: Series) -> list[Part]:
        """The lanes of one series."""
        return [part for part in self.parts if part.series == series]

    def last_hour(self, series: Series) -> list[Kept]:
        """Raw readings of a series in the last hour of the day."""
        since = (self.day + 1) * DAY_MS - HOUR_MS
        parts = [part for part in self.of(series) if part.place.resolution == RAW]
        return [kept for part in parts for kept in part.kept if kept.observation.time >= since]


def read_day(archive: Archive, day: int, wanted: Callable[[Lane], bool] = is_reading) -> Day:
    """Read a day; raises AnswerError where a part of it does not open."""
    rows = archive.rows(day, day)
    return Day(day, rows, gathered(archive.chunks(archive.opened(rows), wanted, 0, RESOLUTIONS_SUPPORTED)))


def gathered(chunks: Iterable[tuple[OpenSegment, ChunkRow]]) -> list[Part]:
    """Chunks, opened, by lane and resolution; raises AnswerError."""
    parts: dict[ChunkPlace, Part] = {}
    seen: dict[ChunkPlace, set[int]] = {}
    for segment, chunk in chunks:
        lane = segment.lanes[chunk.number]
        place = ChunkPlace(bytes(segment.header.segment), chunk.number, chunk.resolution)
        part = parts.setdefault(place, Part(place, Series.of(lane), []))
        known = seen.setdefault(place, set())  # met twice, while chunks merge
        part.kept += [
            Kept(one.seq, one.observation) for one in open_readings(segment, chunk) if one.seq not in known
        ]
        known.update(kept.seq for kept in part.kept)
    for part in parts.values():
        part.kept.sort(key=lambda kept: kept.seq)
    return sorted(parts.values(), key=lambda part: msgspec.structs.astuple(part.place))


def raw_of(parts: Iterable[Part]) -> list[Kept]:
    """Raw readings of some lanes, each once, in order of arrival."""
    found = {kept.seq: kept for part in parts if part.place.resolution == RAW for kept in part.kept}
    return [found[seq] for seq in sorted(found)]
