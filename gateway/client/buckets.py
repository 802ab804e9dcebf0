"""Buckets that a crash cut, made again: only the owner's client has the readings and the keys.

The same code gathers as in the writer (``vault.bucket``), so both come to the same.  What is made again must
not tell more than what was there: a bucket of numbers comes again only with ``FEWEST`` more readings, and one
that a blackout touched after it may have been read never does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gateway.client.day import Kept
from gateway.client.read import DAY_MS
from gateway.client.recipients import Known, Series
from policies.kinds import catalogue
from vault.bucket import FEWEST, SPANS, coarser, finish
from vault.errors import FormatError
from vault.gathering import HOUR_MS, Gathering, gather
from vault.observation import Observation, Summary

HOURS = 24
TRIES = 3  # for a day that changes while it is read


class Bucket(NamedTuple):
    """One bucket of a series; ``seqs`` None where it is new, else it is as it was, under its own numbers."""

    series: Series
    resolution: str
    start: int
    observations: tuple[Observation, ...]
    seqs: tuple[int, ...] | None = None


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
        if not known.blacked_out(series.kind, kept.observation.time):
            hours.setdefault(kept.observation.time // HOUR_MS * HOUR_MS, []).append(kept)
    if numbers:
        hours = {hour: _in_company(some, old.get(("hour", hour), ())) for hour, some in hours.items()}
    try:
        gathered = _gather(series.kind, start, hours, before, known) if names else []
        return [
            bucket
            for name in names
            for at, some in _spans(name, start, gathered)
            if not known.withheld(series.kind, name, at)
            and (bucket := _bucket(series, name, at, some, old.get((name, at), [])))
        ]
    except FormatError:  # a value that its kind no longer takes
        return left(series, old, known)


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
    previous = gather(kind, start - HOUR_MS)
    previous.add([one.observation for one in before if not known.blacked_out(kind, one.observation.time)])
    previous.close()
    made: list[Gathering] = []
    for hour in range(start, start + DAY_MS, HOUR_MS):
        here = gather(kind, hour)
        here.add([kept.observation for kept in hours.get(hour, ())])
        here.close(previous)
        made.append(here)
        previous = here
    return made


def _spans(name: str, start: int, gathered: list[Gathering]) -> Iterator[tuple[int, list[Gathering]]]:
    if SPANS[name] == HOUR_MS:
        yield from ((hour.start, [hour]) for hour in gathered)
    else:
        yield start, gathered


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
