"""The open buckets of one vault: what arrives is gathered here, hour by hour, until an hour is finished.

In memory only.  So a bucket is sealed only by a process that saw all of it; any other is *cut*: it is not
sealed here, its segment says so on disk, and the owner's client makes it from the readings when the day is
over.  Cut are the buckets of a process that ended, those that a reading reached too late, and those for
which there was no room.  Nothing is counted before it is durable, and nothing twice.

An hour is finished ten minutes after its end, if nothing was added in the last ten; a day, when its hours
are.  A kind with durations needs the hour before as well, because its last state goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from vault.bucket import DAY_MS, QUIET_MS, coarser, holds, merge
from vault.gathering import HOLD_MS, HOUR_MS, Gathering, gather
from vault.ids import DeviceId
from vault.observation import Observation
from vault.segment import is_reserved
from vault.store.seriesday import ALL_DAY, DAY, HOURS, Bucket, Gathered, Series, SeriesDay

GATHERINGS_MAX: Final = 65_536  # open hours, and what closed ones came to, that are kept of one vault
LISTED_MAX: Final = 65_536  # readings with durations that are kept of one vault until their hour is finished
EARLY_MS: Final = 300_000  # a reading may lie so far ahead of its arrival
_ALWAYS, _NEVER = -(1 << 62), 1 << 62


class Past(NamedTuple):
    """What a vault's file says of the time before this process.

    ``seen``: when each device was heard last (ms); ``stored``: whether there were readings of a device's day.
    """

    seen: Mapping[bytes, int]
    stored: Callable[[bytes, int], bool]


class Buckets:
    """See the module."""

    def __init__(self, past: Past | None = None) -> None:
        self._past = Past({}, lambda _device, _day: False) if past is None else past
        self._whole: dict[tuple[bytes, int], int] = {}  # device, day -> from when on all of it was seen
        self._gone: set[int] = set()  # days whose segment was closed: what was gathered of them is forgotten
        self._days: dict[int, dict[Series, SeriesDay]] = {}
        self._ends: dict[int, list[SeriesDay]] = {}  # hour since the epoch -> who has an open gathering of it
        self._over: dict[int, list[SeriesDay]] = {}  # day -> who will have a bucket of it
        self._last: dict[Series, tuple[int, Gathering | None]] = {}  # last hours of days that closed
        self._size = self._held = 0
        self._taken: list[tuple[SeriesDay, int]] = []
        self.cuts: set[int] = set()  # days of which a bucket was cut, and the disk does not say so yet

    # --- readings ----------------------------------------------------------------------------------------

    def find(self, device: DeviceId, channel: str, kind: str, day: int) -> SeriesDay | None:
        """Where readings of a series and day are gathered; None: its kind has no buckets.

        Raises:
            Unavailable: it is not known whether there were readings before; nothing was begun.
        """
        if is_reserved(kind) or not coarser(kind):
            return None
        series = (bytes(device), channel, kind)
        found = self._days.get(day, {}).get(series)
        if found is None:
            whole = self._whole_from(device, day)
            unknown = holds(kind) and self._whole_from(device, day - 1) > day * DAY_MS - HOLD_MS
            if day in self._gone and self._past.stored(device, day):
                whole = _NEVER
            found = SeriesDay(device, channel, kind, day, whole)
            self._days.setdefault(day, {})[series] = found
            if unknown or (holds(kind) and self._lost(series, day - 1)):
                self._cut(found, 0)
            elif whole > found.start and ALL_DAY in coarser(kind):
                self._cut(found, DAY)
        return found

    def is_cut_by(self, gathered: Gathered) -> bool:
        """Whether these readings come too late for a bucket of theirs, or for a whole one."""
        to = gathered.to
        if to.is_over:
            return True
        if gathered.low >= to.edge:
            return False
        hours = {(one.time - to.start) // HOUR_MS for one in gathered.observations}
        return any(map(to.is_late, hours))

    def add(self, gathered: Gathered, now: int) -> None:
        """Count readings that are on disk; ``now`` is their arrival (ms)."""
        to, observations, low, high = gathered
        to.latest = max(to.latest, high)
        first, last = (low - to.start) // HOUR_MS, (high - to.start) // HOUR_MS
        if first == last:
            self._add(to, first, observations, now)
            return
        groups: dict[int, list[Observation]] = {}
        for one in observations:
            groups.setdefault((one.time - to.start) // HOUR_MS, []).append(one)
        for hour, group in groups.items():
            self._add(to, hour, group, now)

    def blind(self, since: int, until: int, covers: Callable[[str], bool]) -> None:
        """Never seal what was gathered of a time (ms), of the kinds that ``covers`` names.

        Nor the day's bucket, where an hour of it was sealed before: the day would hold that hour still.
        """
        for day, series in self._days.items():
            first = (since - day * DAY_MS) // HOUR_MS
            last = -(-(until - day * DAY_MS) // HOUR_MS)
            for one in series.values():
                if since <= one.latest and covers(one.kind):
                    for hour in [hour for hour in one.hours if first <= hour < last]:
                        self._lose(one, hour)
                    if any(one.closed >> hour & 1 for hour in range(max(first, 0), min(last, HOURS))):
                        self._cut(one, DAY)

    # --- finished buckets --------------------------------------------------------------------------------

    def due(self, now: int, most: int, quiet: int = QUIET_MS) -> int:
        """How many hours and days of series are finished, up to ``most``; ``quiet`` as in ``take``."""
        return sum(1 for _ in itertools.islice(self._finished(now, quiet), most))

    def take(self, limit: int, now: int, quiet: int = QUIET_MS) -> list[Bucket]:
        """What comes of up to so many finished hours and days of series; ``settle`` or ``undo`` follows.

        ``quiet`` (ms) is for how long nothing was added to those that were added to after their end.
        """
        found: list[Bucket] = []
        for one, bit in self._finished(now, quiet):
            if len(self._taken) >= limit:
                break
            self._taken.append((one, bit))
            if bit == DAY:
                found += one.made(DAY, self._all_day(one))
                continue
            hour = one.hours[bit]
            if not one.closed >> bit & 1:
                hour.close(self._before(one, bit))
                one.closed |= 1 << bit
                one.edge = max(one.edge, one.start + (bit + 1) * HOUR_MS)
            if not one.cut >> bit & 1:
                found += one.made(bit, [hour])
        return found

    def settle(self) -> None:
        """What was taken is on disk."""
        for one, bit in self._taken:
            one.sealed |= 1 << bit
            if bit == DAY:
                self._over[one.day].remove(one)
                self._fold(one)
                continue
            self._ended(one, bit)
            self._fold(one)
        self._taken.clear()

    def undo(self) -> None:
        """What was taken is not on disk: it is finished still."""
        self._taken.clear()

    def close(self, day: int) -> bool:
        """The segment of a day is written no more: forget its buckets; True: not all of them were sealed."""
        cut = day in self.cuts
        self.cuts.discard(day)
        for series, one in self._days.pop(day, {}).items():
            cut = cut or bool(one.cut) or any(not one.sealed >> hour & 1 for hour in one.hours)
            cut = cut or (one.listed and not one.sealed >> DAY & 1)
            last = one.hours.get(HOURS - 1)
            if holds(one.kind) and (last is not None or one.blind >> HOURS - 1 & 1):
                self._last[series] = (day, last)
            self._size -= len(one.total)
            for hour in list(one.hours):
                self._drop(one, hour)
        self._over.pop(day, None)
        self._gone.add(day)
        needed = min(self._days, default=day) - 1
        self._whole = {place: since for place, since in self._whole.items() if place[1] >= needed}
        self._last = {series: last for series, last in self._last.items() if last[0] >= needed}
        return cut

    # --- inside ------------------------------------------------------------------------------------------

    def _whole_from(self, device: bytes, day: int) -> int:
        """From which event time on nothing of a device's day can have been stored before this process."""
        place = (bytes(device), day)
        found = self._whole.get(place)
        if found is None:
            stored = self._past.stored(device, day)
            found = self._past.seen.get(bytes(device), _ALWAYS) + EARLY_MS if stored else _ALWAYS
            self._whole[place] = found
        return found

    def _lost(self, series: Series, day: int) -> bool:
        """Whether the last hour of a day is not all here."""
        one = self._days.get(day, {}).get(series)
        return bool(one is not None and one.blind >> HOURS - 1 & 1) or self._last.get(series) == (day, None)

    def _add(self, to: SeriesDay, hour: int, observations: Sequence[Observation], now: int) -> None:
        gathering = to.hours.get(hour)
        if to.is_late(hour) or (gathering is None and self._size >= GATHERINGS_MAX):
            self._lose(to, hour)
            return
        start = to.start + hour * HOUR_MS
        if gathering is None:
            gathering = to.hours[hour] = gather(to.kind, start)
            self._size += 1
            self._ends.setdefault(start // HOUR_MS, []).append(to)
            if to.is_over:
                self._cut(to, DAY)
            elif not to.listed and ALL_DAY in coarser(to.kind):
                to.listed = True
                self._over.setdefault(to.day, []).append(to)
            if holds(to.kind):
                self._begin(to, hour)
        before = gathering.count
        gathering.add(observations)
        if holds(to.kind):
            self._held += gathering.count - before
        if gathering.overfull or self._held > LISTED_MAX:
            self._lose(to, hour)
        elif now > start + HOUR_MS:
            if to.late is None:
                to.late = {}
            to.late[hour] = now

    def _lose(self, one: SeriesDay, hour: int) -> None:
        """Not all readings of an hour are here: never seal its bucket, nor those that need it."""
        if one.blind >> hour & 1:
            return
        one.blind |= 1 << hour
        one.edge = max(one.edge, one.start + (hour + 1) * HOUR_MS)
        self._cut(one, hour)
        self._drop(one, hour)
        if not holds(one.kind):
            return
        after = self._after(one, hour)
        if after is not None:
            self._cut(after, (hour + 1) % HOURS)

    def _begin(self, one: SeriesDay, hour: int) -> None:
        """The first reading of an hour with durations: is the hour before known, and is the next one open?"""
        if one.start + hour * HOUR_MS - HOLD_MS < one.whole:
            self._cut(one, hour)
        after, number = self._after(one, hour), (hour + 1) % HOURS
        if after is not None and after.closed >> number & 1:
            self._cut(after, number)
        elif after is None and one.day + 1 in self._gone:
            self.cuts.add(one.day + 1)

    def _after(self, one: SeriesDay, hour: int) -> SeriesDay | None:
        """The day that the next hour is of."""
        return one if hour + 1 < HOURS else self._days.get(one.day + 1, {}).get(one.series)

    def _cut(self, one: SeriesDay, bit: int) -> None:
        """Never seal the bucket of an hour, nor its day's."""
        one.cut |= 1 << bit | 1 << DAY
        self.cuts.add(one.day)
        self._size -= len(one.total)
        one.total = []

    def _finished(self, now: int, quiet: int) -> Iterator[tuple[SeriesDay, int]]:
        ended = now - QUIET_MS
        for end in sorted(end for end in self._ends if (end + 1) * HOUR_MS <= ended):
            for one in self._ends[end]:
                hour = end - one.start // HOUR_MS
                rests = one.late is None or one.late.get(hour, ended) <= now - quiet
                if rests and not self._waits(one, hour):
                    yield one, hour
        for day in sorted(day for day in self._over if (day + 1) * DAY_MS <= ended):
            for one in self._over[day]:
                if not one.cut >> DAY & 1 and all(one.sealed >> hour & 1 for hour in one.hours):
                    yield one, DAY

    def _waits(self, one: SeriesDay, hour: int) -> bool:
        """Whether the hour before is needed and not finished."""
        if not holds(one.kind):
            return False
        before = one if hour else self._days.get(one.day - 1, {}).get(one.series)
        number = (hour - 1) % HOURS
        return before is not None and number in before.hours and not before.closed >> number & 1

    def _before(self, one: SeriesDay, hour: int) -> Gathering | None:
        """The hour before, of a kind with durations."""
        if not holds(one.kind):
            return None
        if hour:
            return one.hours.get(hour - 1)
        before = self._days.get(one.day - 1, {}).get(one.series)
        if before is not None and HOURS - 1 in before.hours:
            return before.hours[HOURS - 1]
        day, last = self._last.get(one.series, (None, None))
        return last if day == one.day - 1 else None

    def _all_day(self, one: SeriesDay) -> list[Gathering]:
        """The hours of a day, and those without a reading into which a state goes on."""
        hours = [*one.total, *one.hours.values()]
        for hour in range(HOURS):
            before = None if one.closed >> hour & 1 else self._before(one, hour)
            if before is not None:
                empty = gather(one.kind, one.start + hour * HOUR_MS)
                empty.close(before)
                hours.append(empty)
        return hours

    def _fold(self, one: SeriesDay) -> None:
        """Keep of sealed hours what they come to, for the day; whole is only one that the next may need."""
        over = bool(one.cut >> DAY & 1 or one.sealed >> DAY & 1 or not one.listed)
        for hour in [hour for hour in one.hours if one.sealed >> hour & 1]:
            if holds(one.kind) and (hour == HOURS - 1 or not one.closed >> hour + 1 & 1):
                continue
            if not over:
                self._size += merge(one.total, one.hours[hour])
            self._drop(one, hour)
        if over:
            self._size -= len(one.total)
            one.total = []

    def _drop(self, one: SeriesDay, hour: int) -> None:
        gathering = one.hours.get(hour)
        if gathering is None:
            return
        if not one.sealed >> hour & 1:
            self._ended(one, hour)
        del one.hours[hour]
        self._size -= 1

    def _ended(self, one: SeriesDay, hour: int) -> None:
        """An hour waits for nothing any more."""
        end = one.start // HOUR_MS + hour
        self._ends[end].remove(one)
        if not self._ends[end]:
            del self._ends[end]
        if holds(one.kind):
            self._held -= one.hours[hour].count
