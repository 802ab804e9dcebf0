"""Buckets: what the readings of an hour or a day come to, without the readings.

Pure: readings in, observations whose value is an ``Aggregate`` out; FORMAT.md, "Buckets", says what each
means.  The writer gathers while readings arrive, the owner's client when it makes a day again; both must
come to the same.  So nothing depends on the order of the readings or on how they came apart: sums are kept
exactly and rounded once, and of readings of one time the greatest is the last.
"""

from __future__ import annotations

import abc
import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import mul
from types import MappingProxyType
from typing import Any, Final

from policies.kinds import Kind, catalogue
from vault.cell import cell_of, on_earth, parent
from vault.errors import FormatError
from vault.observation import Aggregate, Observation, Place, Share, Stay, Summary, Tally, Value
from vault.segment import RAW

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
SPANS: Final[Mapping[str, int]] = MappingProxyType(
    {"hour": HOUR_MS, "day": DAY_MS, "h3-7": HOUR_MS, "h3-5": HOUR_MS}
)  # resolution -> milliseconds of a bucket; a place's bucket is one cell and hour
FEWEST: Final = 5  # numbers in a bucket: with fewer, what is told of them is them
HOLD_MS: Final = HOUR_MS  # a state lasts until the next reading, and no longer than this
QUIET_MS: Final = 600_000  # a bucket is finished when it has been over, and nothing was added, for so long
LISTED_MAX: Final = 4096  # readings with a duration that are kept of an hour: more than one a second
LARGEST: Final = 1e100  # of a number in a bucket: squares stay finite

_PENDING: Final = 64  # numbers that wait to be added up together


@functools.cache
def coarser(kind: str) -> tuple[str, ...]:
    """The resolutions at which a kind has buckets, finest first; none of what is no kind."""
    found = _kind(kind)
    return () if found is None else tuple(name for name in found.resolutions if name != RAW)


def holds(kind: str) -> bool:
    """Whether a kind has durations: then a reading tells of the hour after its own, too."""
    found = _kind(kind)
    return found is not None and found.type in ("boolean", "place")


def gather(kind: str, start: int, most: int = LISTED_MAX) -> Gathering:
    """Begin to gather the readings of one series in the hour that begins at ``start`` (ms).

    ``most`` bounds what is kept of kinds with durations.  Raises FormatError for a kind without buckets.
    """
    found = _kind(kind)
    if found is None or not coarser(kind):
        raise FormatError("a kind without buckets")
    match found.type:
        case "number":
            return _Numbers(found, start)
        case "event" | "text":
            return _Counts(found, start)
        case "boolean" | "place":
            return _States(found, start, most)


class Gathering(abc.ABC):
    """Readings of one series in one hour; a value that its kind cannot have is not counted.

    ``overfull``: there were more than could be kept, so no true bucket can be made of it, and none is.
    """

    __slots__ = ("count", "kind", "overfull", "start")

    def __init__(self, kind: Kind, start: int) -> None:
        self.kind, self.start = kind, start
        self.count = 0
        self.overfull = False

    @abc.abstractmethod
    def add(self, observations: Sequence[Observation]) -> None:
        """Take readings of this series and hour, in any order, before it is closed."""

    @abc.abstractmethod
    def close(self, before: Gathering | None = None) -> None:
        """Keep totals only, once.  ``before`` is the hour before, whose last state goes on into this one."""


def finish(
    resolution: str, channel: str, kind: str, start: int, hours: Iterable[Gathering]
) -> list[Observation]:
    """The bucket that begins at ``start`` (ms): one observation, or one for each value or cell.

    ``hours`` are closed gatherings: the one of that hour, or all that there are of a day.  Nothing comes of
    too few numbers, nor where an hour is overfull.
    """
    within = range(start, start + SPANS[resolution])
    found = list(hours)
    if any(hour.start not in within or hour.kind.name != kind for hour in found):
        raise FormatError("an hour of another bucket")
    if any(hour.overfull for hour in found):
        return []
    return [Observation(channel, kind, start, value) for value in _values(resolution, found)]


def _values(resolution: str, hours: list[Gathering]) -> Iterable[Aggregate]:
    numbers = [hour for hour in hours if isinstance(hour, _Numbers)]
    if numbers:
        return _summary(numbers)
    counts, held = Counter[Any](), Counter[Any]()
    for hour in hours:
        if isinstance(hour, _Counts | _States):
            counts.update(hour.counts)
        if isinstance(hour, _States):
            held.update(hour.held)
    if not counts:
        return []
    match hours[0].kind.type:
        case "event":
            return [Tally(counts.total(), counts.total(), 0)]
        case "boolean":
            return [Tally(counts.total(), counts[True], held[True] // 1000)]
        case "text":
            return [Share(value, counts[value]) for value in sorted(counts)]
        case _:
            return _stays(resolution, counts, held)


class _Numbers(Gathering):
    """Numbers: what they come to, exactly, and a few that wait to be added up."""

    __slots__ = ("_pending", "high", "low", "squares", "sums")

    def __init__(self, kind: Kind, start: int) -> None:
        super().__init__(kind, start)
        self._pending: list[Any] = []
        self.low, self.high = math.inf, -math.inf
        self.sums, self.squares = list[float](), list[float]()

    def add(self, observations: Sequence[Observation]) -> None:
        """See ``Gathering``."""
        self._pending += [observation.value for observation in observations]
        self.count += len(observations)
        if len(self._pending) >= _PENDING:
            self._fold()

    def close(self, before: Gathering | None = None) -> None:
        """See ``Gathering``."""
        del before  # numbers have no durations
        self._fold()

    def _fold(self) -> None:
        values, self._pending = self._pending, []
        try:
            low, high = min(values, default=0.0), max(values, default=0.0)
            good = -LARGEST <= low <= high <= LARGEST and not math.isnan(sum(values))
        except TypeError:
            good = False
        if not good:
            many = len(values)
            values = [value for value in values if isinstance(value, float) and abs(value) <= LARGEST]
            self.count -= many - len(values)
            low, high = min(values, default=0.0), max(values, default=0.0)
        if values:
            self.low, self.high = min(self.low, low), max(self.high, high)
            self.sums = _exactly([*self.sums, *values])
            self.squares = _exactly([*self.squares, *map(mul, values, values)])


def _exactly(terms: list[float]) -> list[float]:
    """The sum, as few floats that stand for it exactly; the first is the sum, correctly rounded.

    ``fsum`` rounds once, and what is left over is summed again until nothing is.  So the same numbers give
    the same floats in whatever order, and however they were added up before.
    """
    found = []
    while rest := math.fsum(terms):
        found.append(rest)
        terms.append(-rest)
    return found


def _summary(hours: list[_Numbers]) -> list[Summary]:
    """Few numbers of an hour that has no bucket go into the day's only among ``FEWEST`` of their like.

    Otherwise whoever has the hours and the day would find them in the difference.
    """
    enough = [hour for hour in hours if hour.count >= FEWEST]
    few = [hour for hour in hours if 0 < hour.count < FEWEST]
    if sum(hour.count for hour in few) >= FEWEST:
        enough += few
    if not enough:
        return []
    sums = _exactly([part for hour in enough for part in hour.sums])
    squares = _exactly([part for hour in enough for part in hour.squares])
    return [
        Summary(
            sum(hour.count for hour in enough),
            sums[0] if sums else 0.0,
            min(hour.low for hour in enough) + 0.0,  # of two zeros, the one without a sign
            max(hour.high for hour in enough) + 0.0,
            squares[0] if squares else 0.0,
        )
    ]


class _Counts(Gathering):
    """Events, whose names are free words and are not kept, and texts of a closed list."""

    __slots__ = ("counts",)

    def __init__(self, kind: Kind, start: int) -> None:
        super().__init__(kind, start)
        self.counts = Counter[str]()

    def add(self, observations: Sequence[Observation]) -> None:
        """See ``Gathering``."""
        if self.kind.type == "event":
            self.counts[""] += len(observations)
            self.count += len(observations)
            return
        values = [observation.value for observation in observations]
        known = [value for value in values if isinstance(value, str) and value in self.kind.values]
        self.counts.update(known)
        self.count += len(known)

    def close(self, before: Gathering | None = None) -> None:
        """See ``Gathering``."""


class _States(Gathering):
    """Booleans and places: each reading holds until the next one, at most ``HOLD_MS``.

    ``counts`` are readings, ``held`` milliseconds; of true and false, or of cells at ``h3-7``.
    """

    __slots__ = ("_last", "_listed", "_most", "counts", "held")

    def __init__(self, kind: Kind, start: int, most: int) -> None:
        super().__init__(kind, start)
        self._most = most
        self._listed: list[tuple[int, Any]] = []
        self._last: tuple[int, Any] | None = None
        self.counts, self.held = Counter[Any](), Counter[Any]()

    def add(self, observations: Sequence[Observation]) -> None:
        """See ``Gathering``."""
        fits = _is_position if self.kind.type == "place" else _is_boolean
        found = [(one.time, one.value) for one in observations if fits(one.value)]
        self._listed += found
        self.count += len(found)
        if len(self._listed) > self._most:
            self.overfull = True
            self._settle()

    def close(self, before: Gathering | None = None) -> None:
        """See ``Gathering``."""
        states = self._settle()
        carried = before.last() if isinstance(before, _States) else None
        if carried is not None and carried[0] + HOLD_MS > self.start:
            states.insert(0, carried)
        ends = [*(time for time, _ in states[1:]), self.start + HOUR_MS]
        for (time, state), end in zip(states, ends, strict=False):  # no state, and still an end
            self.held[state] += max(min(end, time + HOLD_MS) - max(time, self.start), 0)

    def last(self) -> tuple[int, Any] | None:
        """The latest time (ms) and the state that began then."""
        latest = max((time for time, _ in self._listed), default=None)
        if latest is not None:
            states = self._states(latest)
            self._last = max(states if self._last is None else [*states, self._last])
        return self._last

    def _settle(self) -> list[tuple[int, Any]]:
        """Count what is listed and let it go; the states in order of time."""
        self.last()
        states = sorted(self._states())
        self.counts.update(state for _, state in states)
        self._listed = []
        return states

    def _states(self, at: int | None = None) -> list[tuple[int, Any]]:
        listed = [one for one in self._listed if at is None or one[0] == at]
        if self.kind.type == "boolean":
            return listed
        return [(time, cell_of(place, "h3-7")) for time, place in listed]


def _is_boolean(value: Value) -> bool:
    return isinstance(value, bool)


def _is_position(value: Value) -> bool:
    return isinstance(value, Place) and on_earth(value)


def _stays(resolution: str, counts: Counter[Any], held: Counter[Any]) -> list[Stay]:
    if resolution == "h3-5":
        counts, held = _parents(counts), _parents(held)
    cells = sorted(cell for cell in counts.keys() | held.keys() if counts[cell] or held[cell] >= 1000)
    return [Stay(cell, held[cell] // 1000, counts[cell]) for cell in cells]


def _parents(of: Counter[Any]) -> Counter[Any]:
    found = Counter[Any]()
    for cell, many in of.items():
        found[parent(cell)] += many
    return found


def _kind(name: str) -> Kind | None:
    found = catalogue().find(name)
    return found if found is not None and found.name == name else None
