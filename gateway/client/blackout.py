"""A time in which nobody gets anything: from now on the node keeps it back, what was before is sealed anew.

Readings of the past lie in lanes that grants have keys of.  They move to new lanes, those inside for nobody
and those outside for whom they were for; buckets that the time touches go, and never come again.  What a
brand has read before stays read: the ledger says by whom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gateway import wire
from gateway.client.day import Day, read_day
from gateway.client.errors import ConflictError, TermsError
from gateway.client.plan import plan_day
from gateway.client.read import Archive
from gateway.client.rebuild import TRIES, cut_days, past, rebuild
from gateway.client.recipients import look
from gateway.client.rewrite import Draft, submit
from gateway.client.session import Session
from policies.iso8601 import DAY
from vault.bucket import DAY_MS
from vault.ids import ID_SIZE


class ReadBefore(msgspec.Struct, frozen=True):
    """What a grant may have read of a time: how often, how many readings at most, and when last (ms)."""

    grant: str
    brand: str
    times: int
    readings: int
    last: int


class BlackedOut(msgspec.Struct, frozen=True):
    """How many days were sealed anew, which ones are left for later, and who had read before."""

    id: bytes
    days: int = 0
    waiting: tuple[int, ...] = ()
    read: tuple[ReadBefore, ...] = ()


def black_out(
    session: Session,
    archive: Archive,
    since: int,
    until: int,
    kinds: Sequence[str] = (),
    progress: Callable[[float], object] = lambda _: None,
) -> BlackedOut:
    """Keep back [since, until), seconds of event time, of some kinds, or of all; past and to come.

    Whatever is cut off between is made good by ``tidy``.

    Raises:
        TermsError: it ends before it begins.
        ConflictError: a day changes faster than it can be read.
    """
    if until <= since:
        raise TermsError("a blackout begins before it ends")
    made = session.entropy(ID_SIZE)
    session.tell(wire.AddBlackout(made, since, until, list(kinds)), wire.Done)
    now = session.clock() // 1000
    if since >= now:
        return BlackedOut(made)
    first, last = since // DAY, (min(until, now) - 1) // DAY
    session.follow()  # the generation was raised
    rebuilt = rebuild(session, archive, cut_days(archive, first, last), progress)
    moved = sum(_move(session, archive, day) for day in rebuilt.waiting)
    waiting = tuple(day for day in rebuilt.waiting if (day + 1) * DAY_MS <= session.clock())
    return BlackedOut(made, rebuilt.days + moved, waiting, read_before(session, since, until, kinds))


def _move(session: Session, archive: Archive, day: int) -> bool:
    """Of a day that is still written: readings move, buckets go, and none is made; whether there was any."""
    for attempt in range(1, TRIES + 1):
        known = look(session)
        here: Day = read_day(archive, day)
        draft = Draft(session.owner, session.pins.vault, day, session.entropy)
        plan = plan_day(draft, here, None, known, moving=past(known.blackouts), buckets=False)
        if not plan.gone:
            return False
        try:
            submit(session, plan.draft, plan.gone, ())
            break
        except ConflictError:  # something came meanwhile: look again
            if attempt == TRIES:
                raise
            session.follow()
    session.follow()  # the generation was raised
    return True


def read_before(
    session: Session, since: int, until: int, kinds: Sequence[str] = ()
) -> tuple[ReadBefore, ...]:
    """Who may have read something of [since, until), seconds: the ledger says too much, never too little."""
    found: dict[str, ReadBefore] = {}
    for _, entry in session.ledger():
        if entry.what != "read" or (kinds and entry.kinds and not set(kinds) & set(entry.kinds)):
            continue
        if (entry.until is not None and entry.until <= since) or (entry.since or 0) >= until:
            continue
        one = found.get(entry.grant, ReadBefore(entry.grant, entry.brand, 0, 0, 0))
        found[entry.grant] = ReadBefore(
            entry.grant,
            entry.brand,
            one.times + entry.times,
            one.readings + entry.readings,
            max(one.last, entry.time),
        )
    return tuple(found.values())
