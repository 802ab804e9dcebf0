"""Answers instead of data: one figure a day, week or month, made of what a grant gives and nothing else.

Pure: readings and buckets in, figures out.  Whoever asks has decided beforehand what may go in, and has let
it pass the limits of the grant.  A figure of fewer than ``FEWEST`` readings is not told, nor how many there
were: it would be them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from gateway.questions import Question
from gateway.senmlout import Outgoing
from policies.iso8601 import DAY
from policies.kinds import Kind
from vault.bucket import FEWEST, QUIET_MS, finish, holds
from vault.cell import is_cell, parent
from vault.gathering import HOUR_MS, Gathering, Numbers, gather
from vault.observation import Aggregate, Observation, Share, Stay, Summary, Tally

MOST_HELD: Final = 150_000  # hours of series, and buckets, that one answer keeps in memory
MOST_LISTED: Final = 1 << 20  # raw readings with durations of an hour, as many as an answer may look at
_Key: TypeAlias = tuple[bytes, str, str, int]  # device, channel, resolution, time


class Answer(msgspec.Struct, frozen=True):
    """The figure of one period, in seconds; ``complete`` when it will not change any more.

    ``value`` and ``readings`` are None where there are too few readings to tell of.
    """

    since: int
    until: int
    value: float | None
    unit: str
    readings: int | None
    complete: bool


class Figures:
    """Takes what was released, in the order of its arrival, and tells the figures of some periods."""

    def __init__(self, question: Question, kind: Kind, spans: list[tuple[int, int]]) -> None:
        self._question, self._kind, self._spans = question, kind, spans
        self._cells = frozenset(question.cells)
        self._hours: dict[tuple[bytes, str], dict[int, Gathering]] = {}
        self._buckets: dict[_Key, dict[str, Aggregate]] = {}  # by value or cell
        self._held = 0  # hours

    def add(self, readings: Iterable[Outgoing]) -> None:
        """Take a page more.  What it holds of a bucket is all of it, and takes the place of a former one."""
        fresh: dict[_Key, dict[str, Aggregate]] = {}
        raw: dict[tuple[bytes, str, int], list[Observation]] = {}
        for one in readings:
            observation = one.observation
            if isinstance(observation.value, Aggregate):
                part = _part(observation.value)
                key = (one.device, observation.channel, one.resolution, observation.time)
                fresh.setdefault(key, {})[part] = observation.value
            else:
                hour = observation.time // HOUR_MS * HOUR_MS
                raw.setdefault((one.device, observation.channel, hour), []).append(observation)
        self._buckets |= fresh
        for (device, channel, start), found in raw.items():
            hours = self._hours.setdefault((device, channel), {})
            if start not in hours:
                hours[start] = gather(self._kind.name, start, MOST_LISTED)
                self._held += 1
            hours[start].add(found)

    @property
    def overfull(self) -> bool:
        """Whether more was taken than one answer may keep: a device can have very many channels."""
        return self._held + len(self._buckets) > MOST_HELD

    def answers(self, now_ms: int, incomplete: Collection[int]) -> list[Answer]:
        """One for each period; ``incomplete`` are the days whose buckets are not all there.  Call it once."""
        starts = [since for since, _ in self._spans]
        totals = [_Total() for _ in self._spans]
        for time, bucket in self._figures():
            index = bisect_right(starts, time // 1000) - 1
            if index >= 0 and time // 1000 < self._spans[index][1]:
                self._fold(totals[index], bucket)
        return [
            self._answer(span, total, now_ms, incomplete)
            for span, total in zip(self._spans, totals, strict=True)
        ]

    def _figures(self) -> Iterator[tuple[int, Aggregate]]:
        for key, parts in self._buckets.items():
            yield from ((key[3], bucket) for bucket in parts.values())
        resolution = "h3-7" if self._kind.type == "place" else "hour"
        lasts = holds(self._kind.name)
        for (_, channel), hours in self._hours.items():
            for start in [start for start in hours if start + HOUR_MS not in hours] if lasts else ():
                hours[start + HOUR_MS] = gather(self._kind.name, start + HOUR_MS)  # a state lasts into it
            for start, hour in hours.items():
                hour.close(hours.get(start - HOUR_MS))
            for start, hour in hours.items():
                if isinstance(hour, Numbers):
                    if hour.count:
                        yield start, Summary(hour.count, math.fsum(hour.sums), hour.low, hour.high, 0.0)
                    continue
                for made in finish(resolution, channel, self._kind.name, start, [hour]):
                    if isinstance(made.value, Aggregate):
                        yield start, made.value

    def _fold(self, total: _Total, bucket: Aggregate) -> None:
        total.readings += bucket.count
        match bucket:
            case Summary(sum=part, low=low, high=high):
                total.sums.append(part)
                total.lows.append(low)
                total.highs.append(high)
            case Tally(seconds=seconds):
                total.seconds.append(seconds)
            case Stay(cell=cell, seconds=seconds):
                if cell in self._cells or (is_cell(cell, "h3-7") and parent(cell) in self._cells):
                    total.seconds.append(seconds)
            case Share():
                pass

    def _answer(
        self, span: tuple[int, int], total: _Total, now_ms: int, incomplete: Collection[int]
    ) -> Answer:
        since, until = span
        over = now_ms >= until * 1000 + QUIET_MS
        whole = not any(day in incomplete for day in range(since // DAY, until // DAY))
        enough = total.readings >= FEWEST
        value = self._value(total) if enough else None
        readings = total.readings if enough else None
        return Answer(since, until, value, self._unit(), readings, over and whole)

    def _value(self, total: _Total) -> float | None:
        """None: what it is made of was left out by the person."""
        threshold = self._question.threshold or 0.0
        match self._question.function:
            case "mean":
                return math.fsum(total.sums) / total.readings
            case "sum":
                return math.fsum(total.sums)
            case "min":
                return _of_all(total.lows, min)
            case "max":
                return _of_all(total.highs, max)
            case "count":
                return total.readings
            case "above":
                return _of_all(total.highs, lambda highs: sum(high > threshold for high in highs))
            case "below":
                return _of_all(total.lows, lambda lows: sum(low < threshold for low in lows))
            case "time_in" | "dwell":
                return _of_all(total.seconds, sum)

    def _unit(self) -> str:
        match self._question.function:
            case "count" | "above" | "below":
                return "count"
            case "time_in" | "dwell":
                return "s"
            case _:
                return self._kind.unit


class _Total:
    """What the buckets of one period come to."""

    __slots__ = ("highs", "lows", "readings", "seconds", "sums")

    def __init__(self) -> None:
        self.readings = 0
        self.sums, self.lows, self.highs = list[float](), list[float | None](), list[float | None]()
        self.seconds = list[float | None]()


def _of_all(figures: Sequence[float | None], tell: Callable[[Sequence[float]], float]) -> float | None:
    """What all of these come to, or None where one of them was left out."""
    told = [figure for figure in figures if figure is not None]
    return tell(told) if len(told) == len(figures) else None


def _part(bucket: Aggregate) -> str:
    """What tells a bucket's observations apart where it has several."""
    match bucket:
        case Share(value=value):
            return value
        case Stay(cell=cell):
            return cell
        case Summary() | Tally():
            return ""
