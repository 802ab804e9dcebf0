"""Buckets: what the readings of an hour or a day come to, without the readings.

Pure: readings in, observations whose value is an ``Aggregate`` out; FORMAT.md, "Buckets", says what each
means.  The writer gathers while readings arrive, the owner's client when it makes a day again; both must
come to the same.  So nothing depends on the order of the readings or on how they came apart: sums are kept
exactly and rounded once, and of readings of one time the greatest is the last.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from policies import kinds
from vault.cell import parent
from vault.errors import FormatError
from vault.gathering import HOUR_MS, Counts, Gathering, Numbers, States, exactly, find
from vault.observation import Aggregate, Observation, Share, Stay, Summary, Tally
from vault.segment import RAW

DAY_MS: Final = 24 * HOUR_MS
SPANS: Final[Mapping[str, int]] = MappingProxyType(
    {name: seconds * 1000 for name, seconds in kinds.SPANS.items() if name != RAW}
)  # resolution -> milliseconds of a bucket; a place's bucket is one cell and hour
FEWEST: Final = 5  # numbers in a bucket: with fewer, what is told of them is them
QUIET_MS: Final = 600_000  # a bucket is finished when it has been over, and nothing was added, for so long


def span(resolution: str) -> int:
    """How long (ms) what lies at one time is about: a reading, or a bucket that begins there."""
    return 1 if resolution == RAW else SPANS[resolution]


@functools.lru_cache(maxsize=1024)
def coarser(kind: str) -> tuple[str, ...]:
    """The resolutions at which a kind has buckets, finest first; none of what is no kind."""
    found = find(kind)
    return () if found is None else tuple(name for name in found.resolutions if name != RAW)


@functools.lru_cache(maxsize=1024)
def holds(kind: str) -> bool:
    """Whether a kind has durations: then a reading tells of the hour after its own, too."""
    found = find(kind)
    return found is not None and found.type in ("boolean", "place")


def finish(
    resolution: str, channel: str, kind: str, start: int, hours: Iterable[Gathering]
) -> list[Observation]:
    """The bucket that begins at ``start`` (ms): one observation, or one for each value or cell.

    ``hours`` are closed gatherings: the one of that hour, or all that there are of a day.  Nothing comes of
    too few numbers, nor where an hour is overfull.  Raises FormatError for hours that do not belong there.
    """
    if resolution not in coarser(kind):
        raise FormatError("a resolution that a kind does not have")
    within = range(start, start + SPANS[resolution])
    found = list(hours)
    if any(hour.start not in within or hour.kind.name != kind for hour in found):
        raise FormatError("an hour of another bucket")
    if any(hour.overfull for hour in found):
        return []
    return [Observation(channel, kind, start, value) for value in _values(resolution, found)]


def merge(totals: list[Gathering], hour: Gathering) -> int:
    """Add a closed hour to the totals of its like; how many totals were added to the list.

    Hours with few numbers stay as they are: added up they would be many, and ``finish`` treats few apart.
    """
    for total in totals:
        match total, hour:
            case (Numbers(), Numbers()) if min(total.count, hour.count) >= FEWEST:
                total.low, total.high = min(total.low, hour.low), max(total.high, hour.high)
                total.sums = exactly([*total.sums, *hour.sums])
                total.squares = exactly([*total.squares, *hour.squares])
            case Counts(), Counts():
                total.counts.update(hour.counts)
            case States(), States():
                total.counts.update(hour.counts)
                total.held.update(hour.held)
            case _:
                continue
        total.count += hour.count
        return 0
    totals.append(hour)
    return 1


def _values(resolution: str, hours: list[Gathering]) -> Iterable[Aggregate]:
    numbers = [hour for hour in hours if isinstance(hour, Numbers)]
    if numbers:
        return _summary(numbers)
    counts, held = Counter[Any](), Counter[Any]()
    for hour in hours:
        if isinstance(hour, Counts | States):
            counts.update(hour.counts)
        if isinstance(hour, States):
            held.update(hour.held)
    if not counts.total():
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


def _summary(hours: list[Numbers]) -> list[Summary]:
    """Few numbers of an hour that has no bucket go into the day's only among ``FEWEST`` of their like.

    Otherwise whoever has the hours and the day would find them in the difference.
    """
    enough = [hour for hour in hours if hour.count >= FEWEST]
    few = [hour for hour in hours if 0 < hour.count < FEWEST]
    if sum(hour.count for hour in few) >= FEWEST:
        enough += few
    if not enough:
        return []
    sums = exactly([part for hour in enough for part in hour.sums])
    squares = exactly([part for hour in enough for part in hour.squares])
    return [
        Summary(
            sum(hour.count for hour in enough),
            sums[0] if sums else 0.0,
            min(hour.low for hour in enough) + 0.0,  # of two zeros, the one without a sign
            max(hour.high for hour in enough) + 0.0,
            squares[0] if squares else 0.0,
        )
    ]


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
