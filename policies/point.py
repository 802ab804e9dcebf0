"""The most private point at which one kind of a request still serves, within the limits of the rules."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import msgspec

from policies.iso8601 import DAY
from policies.kinds import SPANS, Kind
from policies.minimise import MINUTES, whole_every
from policies.narrow import DEFAULT_DURATION
from policies.request import Ask
from policies.rules import Rule, within
from policies.wishes import Mode


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """How kinds would be given; ``history`` is days back, ``duration`` days from now.

    ``duration`` None: to the end that was asked for or, without one, as long as a grant lasts by itself.
    ``every`` is seconds; ``hours`` are local minutes of the day in ``zone``, outside which nothing is given.
    """

    resolutions: tuple[tuple[str, str], ...]
    history: int = 0
    duration: int | None = None
    mode: Mode = "read"
    uses: int | None = None
    every: int | None = None
    hours: tuple[int, int] | None = None
    zone: str = "UTC"


class Stop(msgspec.Struct, frozen=True):
    """A rule leaves less than would still serve: which, and what is needed.  No rule: it cannot be at all."""

    rule: Rule | None
    needs: str


def settle_point(ask: Ask, kind: Kind, limits: Sequence[Rule], now_s: int) -> Point | Stop:
    """The point of one kind, or what stops it; whatever the rules leave open is the minimum of the ask."""
    resolution = _resolution(ask, kind, limits)
    if isinstance(resolution, Stop):
        return resolution
    history = 0 if ask.history is None else ask.history.minimum
    for rule in limits:
        if rule.history is not None and history > rule.history:
            return Stop(rule, f"{history} days of history")
        if rule.answers and ask.mode_minimum != "answer":
            return Stop(rule, "the data itself")
        if rule.every is not None and ask.frequency is not None and ask.frequency.minimum < rule.every:
            return Stop(rule, f"a reading in every {ask.frequency.minimum} seconds")
    days = min(
        (rule for rule in limits if rule.days is not None), key=lambda rule: rule.days or 0, default=None
    )
    duration = cut(ask, None if days is None else days.days, now_s)
    if isinstance(duration, str):
        return Stop(days, duration)
    hours = _hours([rule for rule in limits if rule.quiet is not None])
    if isinstance(hours, Stop):
        return hours
    return Point(
        resolutions=((kind.name, resolution),),
        history=history,
        duration=duration,
        mode=ask.mode_minimum,
        uses=1 if ask.mode_minimum == "once" else None,
        every=_every(ask, limits, resolution),
        hours=None if hours is None else hours[0],
        zone="UTC" if hours is None else hours[1],
    )


def cut(ask: Ask, most: int | None, now_s: int) -> int | str | None:
    """Days from now of an ask under a rule of ``most`` days, as in ``Point``; a text: what it needs."""
    if ask.duration is not None:
        need = ask.duration.minimum
        return need if most is None or need <= most else f"{need} days"
    if most is None:
        return None
    if ask.data_from is not None and ask.data_from >= now_s + most * DAY:
        return "days that begin later"
    end = now_s + DEFAULT_DURATION if ask.access_end is None else ask.access_end
    return most if end > now_s + most * DAY else None


def _resolution(ask: Ask, kind: Kind, limits: Iterable[Rule]) -> str | Stop:
    """The coarsest from the minimum to the ideal that all rules agree to; quiet hours need less than days."""
    known = kind.resolutions
    if ask.minimum not in known:
        return Stop(None, f"{kind.label} at {ask.minimum}")
    first = known.index(ask.ideal) if ask.ideal in known else known.index(ask.minimum)
    stop: Stop | None = None
    for resolution in reversed(known[first : known.index(ask.minimum) + 1]):
        rule = next((rule for rule in limits if _forbids(rule, kind, resolution)), None)
        if rule is None:
            return resolution
        stop = stop or Stop(rule, f"it at {resolution}")
    return stop or Stop(None, f"{kind.label} at {ask.minimum}")


def _forbids(rule: Rule, kind: Kind, resolution: str) -> bool:
    if rule.quiet is not None:
        return SPANS[resolution] >= DAY
    return rule.detail != "" and not within(rule.detail, kind, resolution)


def _every(ask: Ask, limits: Iterable[Rule], resolution: str) -> int | None:
    """How seldom, where the resolution alone does not see to it."""
    wanted = 0 if ask.frequency is None else whole_every(ask.frequency.minimum)
    every = max([wanted, *(rule.every or 0 for rule in limits)])
    return every if every > SPANS[resolution] else None


def _hours(quiet: Sequence[Rule]) -> tuple[tuple[int, int], str] | Stop | None:
    """The longest time of the day that no rule wants quiet, and its zone."""
    if not quiet:
        return None
    zone = quiet[0].zone
    if other := next((rule for rule in quiet if rule.zone != zone), None):
        return Stop(other, f"hours in one time zone, and another rule counts in {zone}")
    found = _longest(frozenset(rule.quiet for rule in quiet if rule.quiet is not None))
    return Stop(quiet[0], "an hour of the day") if found is None else (found, zone)


@functools.lru_cache(maxsize=64)  # every kind of a request asks the same
def _longest(quiet: frozenset[tuple[int, int]]) -> tuple[int, int] | None:
    """The longest stretch of the day that lies in none of these; the earliest of several."""
    silent: set[int] = set()
    for since, until in quiet:
        silent.update(range(since, until) if since < until else (*range(since, MINUTES), *range(until)))
    runs: list[tuple[int, int]] = []  # length, first minute
    for minute in range(MINUTES):
        if minute not in silent and (minute - 1) % MINUTES in silent:
            length = next(n for n in range(1, MINUTES + 1) if (minute + n) % MINUTES in silent)
            runs.append((length, -minute))
    if not runs:
        return None
    length, first = max(runs)
    return -first, (-first + length) % MINUTES or MINUTES
