"""Readings of one series in one hour, gathered into what they come to (FORMAT.md, "Buckets").

Numbers take the same memory however many they are.  Of kinds with durations all readings are kept until the
hour is closed, because they may come in any order; so their number has a bound.
"""

from __future__ import annotations

import abc
import math
from collections import Counter
from collections.abc import Sequence
from operator import mul
from typing import Any, Final

from policies.kinds import Kind, catalogue
from vault.cell import cell_of, on_earth
from vault.errors import FormatError
from vault.observation import Observation, Place, Value
from vault.segment import RAW

HOUR_MS: Final = 3_600_000
HOLD_MS: Final = HOUR_MS  # a state lasts until the next reading, and no longer than this
LISTED_MAX: Final = 4096  # readings with a duration that are kept of an hour: more than one a second
LARGEST: Final = 1e100  # of a number in a bucket: squares stay finite

_PENDING: Final = 64  # numbers that wait to be added up together


def gather(kind: str, start: int, most: int = LISTED_MAX) -> Gathering:
    """Begin to gather the readings of one series in the hour that begins at ``start`` (ms).

    ``most`` bounds what is kept of kinds with durations.  Raises FormatError for a kind without buckets.
    """
    found = find(kind)
    if found is None or found.resolutions == (RAW,):
        raise FormatError("a kind without buckets")
    match found.type:
        case "number":
            return Numbers(found, start)
        case "event" | "text":
            return Counts(found, start)
        case "boolean" | "place":
            return States(found, start, most)


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


class Numbers(Gathering):
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
            values = [value for value in values if is_number(value)]
            self.count -= many - len(values)
            low, high = min(values, default=0.0), max(values, default=0.0)
        if values:
            self.low, self.high = min(self.low, low), max(self.high, high)
            self.sums = exactly([*self.sums, *values])
            self.squares = exactly([*self.squares, *map(mul, values, values)])


def is_number(value: Value) -> bool:
    """Whether it counts in a bucket of numbers."""
    return isinstance(value, float) and abs(value) <= LARGEST


def exactly(terms: list[float]) -> list[float]:
    """The sum, as few floats that stand for it exactly; the first is the sum, correctly rounded.

    ``fsum`` rounds once, and what is left over is summed again until nothing is.  So the same numbers give
    the same floats in whatever order, and however they were added up before.
    """
    found = []
    while rest := math.fsum(terms):
        found.append(rest)
        terms.append(-rest)
    return found


class Counts(Gathering):
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


class States(Gathering):
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
        carried = before.last() if isinstance(before, States) else None
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


def find(name: str) -> Kind | None:
    """The kind of exactly this name."""
    found = catalogue().find(name)
    return found if found is not None and found.name == name else None
