"""What takes the place of what in one day: readings that a blackout hides, buckets that are to be complete.

Pure but for the random bytes of the draft.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.client.buckets import Bucket, Old, left, make_buckets
from gateway.client.day import Day, Kept, Part, raw_of
from gateway.client.recipients import Blackout, Known, Reader, Series
from gateway.client.rewrite import Draft
from vault.bucket import span
from vault.segment import RAW, SegmentHeader
from vault.store.records import ChunkPlace, SegmentRow


class Plan(NamedTuple):
    """What takes the place of what, in one day; ``fresh`` counts the buckets that are new."""

    draft: Draft
    gone: list[ChunkPlace]
    whole: list[bytes]
    fresh: int


def plan_day(
    draft: Draft,
    day: Day,
    before: Day | None,
    known: Known,
    *,
    moving: Sequence[Blackout] = (),
    buckets: bool = True,
) -> Plan:
    """Put into the draft what a day is to have that it has not.

    Lanes that hold anything of the blackouts ``moving`` are sealed anew: what is inside for nobody, what is
    outside for those who may read it.  Without ``buckets`` none is made, because the day is not over: those
    that a blackout leaves stay, and the others go.
    """
    gone: list[ChunkPlace] = []
    fresh = 0
    for series in day.series:
        parts = day.of(series)
        raw = [part for part in parts if part.place.resolution == RAW]
        mixed = [part for part in raw if _inside(part.kept, series.kind, moving)]
        _put_raw(draft, series, raw_of(mixed), known)
        gone += [part.place for part in mixed]
        there = [part for part in parts if part.place.resolution != RAW]
        old = _newest(there)
        if buckets:
            carried = before.last_hour(series) if before else ()
            made = make_buckets(series, day.day, raw_of(raw), carried, old, known)
        else:
            made = left(series, old, known)
        if _unchanged(made, old):
            continue
        put_buckets(draft, series, made, known)
        gone += [part.place for part in there]
        fresh += sum(bucket.seqs is None for bucket in made)
    whole = list(map(_id, day.rows)) if buckets else []
    return Plan(draft, gone, whole, fresh)


def _inside(kept: Iterable[Kept], kind: str, moving: Sequence[Blackout]) -> bool:
    return any(
        one.touches(kind, each.observation.time, each.observation.time + 1) for each in kept for one in moving
    )


def _newest(parts: Iterable[Part]) -> Old:
    """The buckets there are; of one that came again, the later."""
    found: Old = {}
    for part in parts:
        by_start: dict[int, list[Kept]] = {}
        for kept in part.kept:
            by_start.setdefault(kept.observation.time, []).append(kept)
        for start, some in by_start.items():
            place = part.place.resolution, start
            if place not in found or some[-1].seq > found[place][-1].seq:
                found[place] = some
    return found


def _unchanged(made: list[Bucket], old: Old) -> bool:
    return all(bucket.seqs is not None for bucket in made) and len(made) == len(old)


def _put_raw(draft: Draft, series: Series, raw: Sequence[Kept], known: Known) -> None:
    groups: dict[tuple[Reader, ...], list[Kept]] = {}
    inside: list[Kept] = []
    for kept in raw:
        time = kept.observation.time
        if known.blacked_out(series.kind, time):
            inside.append(kept)
        else:
            groups.setdefault(known.readers_of(series, RAW, time, time + 1), []).append(kept)
    for readers, some in groups.items():
        draft.put(series, RAW, readers, some)
    if inside:
        draft.put(series, RAW, (), inside)


def put_buckets(draft: Draft, series: Series, made: Sequence[Bucket], known: Known) -> None:
    """Each bucket in a lane of exactly those who may read all of it."""
    groups: dict[tuple[str, tuple[Reader, ...]], list[Bucket]] = {}
    for bucket in made:
        end = bucket.start + span(bucket.resolution)
        readers = known.readers_of(series, bucket.resolution, bucket.start, end)
        groups.setdefault((bucket.resolution, readers), []).append(bucket)
    for (resolution, readers), some in groups.items():
        items = [
            (None if bucket.seqs is None else bucket.seqs[at], one)
            for bucket in some
            for at, one in enumerate(bucket.observations)
        ]
        draft.put(series, resolution, readers, items)


def _id(row: SegmentRow) -> bytes:
    return bytes(SegmentHeader.decode(row.header).segment)
