"""The limits of a grant on readings that come in batches, page after page (policies.minimise).

A limit on how often a series is given lets the first of each stretch through, of all that the terms give.  So
it is decided before the range of a read is, and what arrived before the page counts, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from itertools import chain
from typing import Generic, TypeVar

import msgspec

from policies.minimise import Limit, Outgoing, minimise
from vault.bucket import DAY_MS
from vault.segment import RAW

R = TypeVar("R", bound=Outgoing)


class Sieve(Generic[R]):
    """``before(kinds, day)`` gives what arrived before the first batch, of some kinds and one UTC day."""

    def __init__(self, limits: Iterable[Limit], before: Callable[[Set[str], int], list[R]]) -> None:
        limits = tuple(limits)
        self._before = before
        self._turns = [_turns(limit) for limit in limits if limit.every is not None]
        self._kinds = frozenset(limit.kind for limit in self._turns)
        self._rest = [msgspec.structs.replace(limit, every=None) for limit in limits]
        self._firsts: dict[int, list[R]] = {}  # by day: which readings took the stretches so far

    def pass_on(self, batch: list[R], covers: Callable[[R], bool]) -> list[R]:
        """What the limits leave of a batch that ``covers`` agrees to; call it once for each, in order."""
        if self._kinds:
            batch = self._take_turns(batch)
        return minimise(self._rest, filter(covers, batch))

    def _take_turns(self, batch: list[R]) -> list[R]:
        days = {one.observation.time // DAY_MS for one in batch if self._counts(one)}
        for day in days - self._firsts.keys():
            self._firsts[day] = minimise(self._turns, self._before(self._kinds, day))
        kept = minimise(self._turns, batch, chain.from_iterable(self._firsts[day] for day in days))
        for one in kept:
            if self._counts(one):
                self._firsts[one.observation.time // DAY_MS].append(one)
        return kept

    def _counts(self, one: R) -> bool:
        """Whether it takes a stretch from readings that come later; buckets never do."""
        return one.observation.kind in self._kinds and one.resolution == RAW


def _turns(limit: Limit) -> Limit:
    """Of a limit what decides whose turn it is."""
    return Limit(kind=limit.kind, every=limit.every, hours=limit.hours, zone=limit.zone)
