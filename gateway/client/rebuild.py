"""Days whose buckets are incomplete, made whole: they are read, gathered again, and swapped in."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from gateway.client.day import Day, read_day
from gateway.client.errors import ConflictError
from gateway.client.plan import plan_day
from gateway.client.read import Archive
from gateway.client.recipients import Blackout, Known, look
from gateway.client.rewrite import Draft, submit
from gateway.client.session import Session
from vault.bucket import DAY_MS
from vault.segment import RAW, SegmentHeader
from vault.store.records import SegmentRow

TRIES = 3  # for a day that changes while it is read


class Rebuilt(msgspec.Struct, frozen=True):
    """How many days are complete now, how many buckets were sealed for it, and which days must wait."""

    days: int = 0
    buckets: int = 0
    waiting: tuple[int, ...] = ()


def cut_days(archive: Archive, first_day: int, last_day: int) -> list[int]:
    """The days, both included, of which some readings are in no bucket yet."""
    rows = archive.rows(first_day, last_day)
    return sorted({_day(row) for row in rows if row.cut})


def rebuild(
    session: Session,
    archive: Archive,
    days: Iterable[int],
    progress: Callable[[float], object] = lambda _: None,
) -> Rebuilt:
    """Complete the buckets of these days (since the epoch); those that are not over, or are written, wait.

    Raises:
        AnswerError: a part of the vault does not open, or the host does not show what it took.
        ConflictError: a day changes faster than it can be read.
    """
    done = Rebuilt()
    wanted = sorted(set(days))
    known: Known | None = None
    previous: Day | None = None
    for number, day in enumerate(wanted, start=1):
        for attempt in range(1, TRIES + 1):
            try:
                here = read_day(archive, day)
                if not here.cut:
                    break
                if not here.over or session.clock() < (day + 1) * DAY_MS:
                    done = msgspec.structs.replace(done, waiting=(*done.waiting, day))
                    break
                if known is None or attempt > 1:
                    session.follow()
                    known = look(session)
                if previous is None or previous.day != day - 1:
                    previous = read_day(archive, day - 1)
                done = _rebuild(session, here, previous, known, done)
                previous = here
                break
            except ConflictError:  # something came meanwhile: look again
                if attempt == TRIES:
                    raise
        progress(number / len(wanted))
    return done


def _rebuild(session: Session, day: Day, before: Day, known: Known, done: Rebuilt) -> Rebuilt:
    draft = Draft(session.owner, session.pins.vault, day.day, session.entropy)
    plan = plan_day(draft, day, before, known, moving=past(known.blackouts))
    submit(session, plan.draft, plan.gone, plan.whole)
    if any(place.resolution == RAW for place in plan.gone):  # that raised the vault's generation
        session.follow()
    return Rebuilt(done.days + 1, done.buckets + plan.fresh, done.waiting)


def past(blackouts: Iterable[Blackout]) -> list[Blackout]:
    """Those that were made after they began: readings of theirs may lie in lanes that somebody reads."""
    return [one for one in blackouts if one.made > one.since * 1000]


def _day(row: SegmentRow) -> int:
    return SegmentHeader.decode(row.header).day
