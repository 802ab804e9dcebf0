"""Buckets that a crash cut, made again: only the owner's client has the readings and the keys.

The same code gathers as in the writer (``vault.bucket``), so both come to the same.  What is made again must
not tell more than what was there: a bucket of numbers comes again only with ``FEWEST`` more readings, and one
that a blackout touched after it may have been read never does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from operator import attrgetter
from typing import NamedTuple

from gateway.client.day import Kept
from gateway.client.recipients import Known, Series
from policies.kinds import catalogue
from vault.bucket import DAY_MS, FEWEST, SPANS, coarser, finish
from vault.errors import FormatError
from vault.gathering import HOUR_MS, Gathering, gather, is_number
from vault.observation import Observation, Summary

HOURS = 24
TRIES = 3  # for a day that changes while it is read
MOST = 1 << 20  # readings with durations of an hour: what overfills a node gets its bucket here


class Bucket(NamedTuple):
    """One bucket of a series; ``seqs`` None where it is new, else it is as it was, under its own numbers."""

    series: Series
    resolution: str
    start: int
    observations: tuple[Observation, ...]
    seqs: tuple[int, ...] | None = None


_seq = attrgetter("seq")
Old = dict[tuple[str, int], list[Kept]]  # (resolution, start) -> the newest of it


def make_buckets(
    series: Series, day: int, raw: Sequence[Kept], before: Sequence[Kept], old: Old, known: Known
) -> list[Bucket]:
    """Every bucket of a series and day, finest first.

    ``raw`` are the day's readings, ``before`` those of the hour before it, ``old`` the buckets there are.
    Nothing of a blackout is in any.
    """
    names, start = coarser(series.kind), day * DAY_MS
    numbers = bool(names) and catalogue().kind(series.kind).type == "number"
    hours: dict[int, list[Kept]] = {}
    for kept in raw:
        fits = not numbers or is_number(kept.observation.value)
        if fits and not known.blacked_out(series.kind, kept.observation.time):
            hours.setdefault(kept.observation.time // HOUR_MS * HOUR_MS, []).append(kept)
    few: list[Kept] = []
    if numbers:
        hours = {hour: _in_company(some, old.get(("hour", hour), ())) for hour, some in hours.items()}
        lost = _lost(series.kind, raw, start, old, known)
        hours, few = _apart(hours, start, old, lost)
    try:
        gathered = _gather(series.kind, start, hours, before, known) if names else []
        rest = _together(series.kind, start, few)
        return [
            bucket
            for name in names
            for at, some in _spans(name, start, gathered, rest)
            if not known.withheld(series.kind, name, at)
            and (bucket := _bucket(series, name, at, some, old.get((name, at), [])))
        ]
    except FormatError:  # a value that its kind no longer takes
        return left(series, old, known)


def _apart(
    hours: dict[int, list[Kept]], start: int, old: Old, lost: Set[int]
) -> tuple[dict[int, list[Kept]], list[Kept]]:
    """Hours of numbers that have a bucket, and the numbers of the others that go into the day's.

    What a sealed day holds of hours without a bucket came first of all that there is of them.  It stays
    together, and such an hour gets no bucket any more: beside the day, it would tell the others.  More is
    added to it by ``FEWEST`` at once.  ``lost`` are such hours of a day that is not there any more.
    """
    free = {hour: some for hour, some in hours.items() if ("hour", hour) not in old}
    held = sum(_count(some) for (name, _), some in old.items() if name == "hour")
    there = max(0, _count(old.get(("day", start), [])) - held)
    by_arrival = sorted((kept.seq, hour) for hour, some in free.items() for kept in some)
    bound = {hour for _, hour in by_arrival[:there]} | lost
    own = {
        hour: some
        for hour, some in hours.items()
        if hour not in free or (hour not in bound and len(some) >= FEWEST)
    }
    few = sorted((kept for hour, some in free.items() if hour not in own for kept in some), key=_seq)
    return own, few if len(few) - there >= FEWEST else few[:there]


def _lost(kind: str, raw: Sequence[Kept], start: int, old: Old, known: Known) -> set[int]:
    """Hours without a bucket of which a day may have held numbers before a blackout took it away.

    It was sealed while each of them had fewer than ``FEWEST``: with more, they had a bucket of their own.
    """
    found = Counter[int]()
    if not known.taken(kind, start, start + DAY_MS):
        return set()
    for kept in sorted(raw, key=_seq):
        hour = kept.observation.time // HOUR_MS * HOUR_MS
        if ("hour", hour) not in old and is_number(kept.observation.value):
            found[hour] += 1
            if found[hour] == FEWEST and not known.withheld(kind, "hour", hour):
                found[hour] -= 1
                break
    return set(found) if sum(min(count, FEWEST - 1) for count in found.values()) >= FEWEST else set()


def _count(some: Sequence[Kept]) -> int:
    """How many numbers a bucket is of."""
    return sum(one.observation.value.count for one in some if isinstance(one.observation.value, Summary))


def _together(kind: str, start: int, few: Sequence[Kept]) -> list[Gathering]:
    """Numbers of several hours, as one."""
    if not few:
        return []
    found = gather(kind, start)
    found.add([kept.observation for kept in few])
    found.close()
    return [found]


def _in_company(some: list[Kept], old: Sequence[Kept]) -> list[Kept]:
    """Without the few that came after the hour was sealed: with them, the difference would be them.

    So the day does without them, too.
    """
    sealed = max((kept.seq for kept in old), default=None)
    if sealed is None:
        return some
    late = sum(kept.seq > sealed for kept in some)
    return some if late >= FEWEST else [kept for kept in some if kept.seq < sealed]


def _gather(
    kind: str, start: int, hours: dict[int, list[Kept]], before: Sequence[Kept], known: Known
) -> list[Gathering]:
    previous = gather(kind, start - HOUR_MS, MOST)
    previous.add([one.observation for one in before if not known.blacked_out(kind, one.observation.time)])
    previous.close()
    made: list[Gathering] = []
    for hour in range(start, start + DAY_MS, HOUR_MS):
        here = gather(kind, hour, MOST)
        here.add([kept.observation for kept in hours.get(hour, ())])
        here.close(previous)
        made.append(here)
        previous = here
    return made


def _spans(
    name: str, start: int, gathered: list[Gathering], rest: list[Gathering]
) -> Iterator[tuple[int, list[Gathering]]]:
    if SPANS[name] == HOUR_MS:
        yield from ((hour.start, [hour]) for hour in gathered)
    else:
        yield start, [*gathered, *rest]


def _bucket(series: Series, name: str, start: int, hours: list[Gathering], old: list[Kept]) -> Bucket | None:
    """What is to be there; None: nothing."""
    new = finish(name, series.channel, series.kind, start, hours)
    if not new:
        return None
    before = [kept.observation for kept in old]
    if old and (before == new or _too_alike(before, new)):
        return Bucket(series, name, start, tuple(before), tuple(kept.seq for kept in old))
    return Bucket(series, name, start, tuple(new))


def _too_alike(before: list[Observation], new: list[Observation]) -> bool:
    """Whether two summaries differ by so few readings that their difference would tell them."""
    counts = [one.value.count for one in (*before, *new) if isinstance(one.value, Summary)]
    return len(counts) == 2 and abs(counts[1] - counts[0]) < FEWEST


def left(series: Series, old: Old, known: Known) -> list[Bucket]:
    """The buckets there are, as they are, but for those that are never to be sealed again."""
    return [
        Bucket(series, name, start, tuple(one.observation for one in some), tuple(one.seq for one in some))
        for (name, start), some in sorted(old.items())
        if not known.withheld(series.kind, name, start)
    ]
