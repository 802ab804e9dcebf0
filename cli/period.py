"""The time a command is about, as it was asked for."""

from __future__ import annotations

from typing import NamedTuple

from cli.times import moment
from gateway import wire
from gateway.client.session import Session
from vault.bucket import DAY_MS


class Period(NamedTuple):
    """[since, until) in milliseconds."""

    since: int
    until: int


def period(session: Session, since: str | None, until: str | None) -> Period:
    """What was asked for, cut to the days that hold anything."""
    now = session.clock()
    overview = session.ask(wire.GetOverview(), wire.Overview)
    if overview.first_day is None or overview.last_day is None:
        return Period(0, 0)
    start = moment(since, now) if since else 0
    end = moment(until, now) if until else now + DAY_MS
    return Period(max(start, overview.first_day * DAY_MS), min(end, (overview.last_day + 1) * DAY_MS))
