"""Who may read what: the live grants by their signed terms, and the times that nobody is to get.

Pure, but for ``look``, which asks the host.  A grant counts here only with terms that this vault's owner
signed, or that a standing rule of theirs yields; one that is doubtful gets no key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from gateway import wire
from gateway.client.answered import doubtful
from gateway.client.session import Session
from policies.grant import Active, Gap, Paused, Preparing
from policies.terms import Terms
from vault.bucket import SPANS
from vault.gathering import HOUR_MS
from vault.ids import DeviceId, GrantId
from vault.segment import Lane, is_reserved
from vault.store.records import BlackoutRow, GrantRow

FOREVER: Final = 1 << 62


class Series(NamedTuple):
    """A channel of a device and what it reports."""

    device: DeviceId
    channel: str
    kind: str

    @classmethod
    def of(cls, lane: Lane) -> Series:
        """The series that a lane holds some of."""
        return cls(lane.device, lane.channel, lane.kind)


class Reader(msgspec.Struct, frozen=True):
    """A live grant: its key, the terms that were signed, and the gaps in which nothing was given (s)."""

    grant: GrantId
    public: bytes
    terms: Terms
    gaps: tuple[Gap, ...] = ()

    def resolution(self, series: Series) -> str | None:
        """In how much detail a series is given; None: it is not."""
        if is_reserved(series.kind):
            return None
        for one in self.terms.selectors:
            named = one.channels is None or series.channel in one.channels
            if named and (one.device, one.kind) == (series.device.text, series.kind):
                return self.terms.resolution_of(one)
        return None

    def covers(self, since: int, until: int) -> bool:
        """Whether all of [since, until), milliseconds, is given."""
        within = self.terms.data_from * 1000 <= since and until <= self.terms.data_until * 1000
        return within and not meets(self.gaps, since, until)


class Blackout(NamedTuple):
    """Of [since, until), seconds, nothing of these kinds (none: all) is given; ``made`` is milliseconds."""

    since: int
    until: int
    kinds: frozenset[str]
    made: int

    @classmethod
    def of(cls, row: BlackoutRow) -> Blackout:
        """As far as it came: one that was taken back holds for what had happened by then."""
        until = row.until if row.ended is None else min(row.until, -(-row.ended // 1000))
        return cls(row.since, until, frozenset(row.kinds), row.made)

    def touches(self, kind: str, since: int, until: int) -> bool:
        """Whether anything of a kind in [since, until), milliseconds, is kept back."""
        return self.keeps(kind) and self.since * 1000 < until and since < self.until * 1000

    def keeps(self, kind: str) -> bool:
        """Whether it is of this kind."""
        return not self.kinds or kind in self.kinds


class Known(NamedTuple):
    """What decides about every key that the client seals."""

    readers: tuple[Reader, ...] = ()
    blackouts: tuple[Blackout, ...] = ()

    def blacked_out(self, kind: str, time: int) -> bool:
        """Whether a reading is for nobody."""
        return any(one.touches(kind, time, time + 1) for one in self.blackouts)

    def withheld(self, kind: str, resolution: str, start: int) -> bool:
        """Whether a bucket is never sealed again: a blackout was made when it may have been sealed already.

        Whoever read it then and reads it now would find in the difference what was blacked out.  So it is
        with a day of which one hour may have been: the day without it, beside that hour, would tell.
        """
        end = start + SPANS[resolution]
        return any(
            one.touches(kind, start, end) and one.made >= _hour_end(max(one.since * 1000, start))
            for one in self.blackouts
        )

    def taken(self, kind: str, start: int, end: int) -> bool:
        """Whether a bucket of this time may have been sealed before a blackout took it away."""
        return any(one.touches(kind, start, end) and one.made >= end for one in self.blackouts)

    def readers_of(self, series: Series, resolution: str, since: int, until: int) -> tuple[Reader, ...]:
        """The grants that are given all of [since, until) of a series at this resolution."""
        return tuple(
            one for one in self.readers if one.resolution(series) == resolution and one.covers(since, until)
        )


def _hour_end(time: int) -> int:
    """When the hour of a time is over, milliseconds."""
    return (time // HOUR_MS + 1) * HOUR_MS


def meets(gaps: Iterable[Gap], since: int, until: int) -> bool:
    """Whether a gap (s) and [since, until), milliseconds, have a moment in common."""
    return any(first * 1000 < until and since < last * 1000 for first, last in gaps)


def look(session: Session) -> Known:
    """The grants that live now, but for doubtful ones, and every blackout."""
    rows = session.ask(wire.GetGrants(), wire.Grants).grants
    return Known(tuple(readers_in(session, rows)), blackouts(session))


def blackouts(session: Session) -> tuple[Blackout, ...]:
    """Every blackout that held for any time."""
    rows = session.ask(wire.GetBlackouts(), wire.Blackouts).blackouts
    found = (Blackout.of(row) for row in rows)
    return tuple(one for one in found if one.since < one.until)


def readers_in(session: Session, rows: Sequence[GrantRow]) -> Iterable[Reader]:
    """The live grants among these rows, but for doubtful ones."""
    doubts = {row.grant for row in doubtful(session, rows)}
    for row in rows:
        state = row.state
        if not isinstance(state, Preparing | Active | Paused) or row.grant in doubts:
            continue
        gaps = state.gaps
        if isinstance(state, Paused):  # until it goes on
            gaps = (*gaps, (state.since // 1000, FOREVER))
        yield Reader(GrantId(row.grant), row.public, state.terms, gaps)
