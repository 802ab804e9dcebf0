"""From what was asked to what is given: never wider, and in bounds that whole segments can keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from policies.grant import Refusal
from policies.iso8601 import DAY, HOUR
from policies.kinds import SPANS, catalogue
from policies.minimise import Limit, whole_every
from policies.request import MAX_SPAN, Ask
from policies.terms import Selector, Terms
from policies.wishes import MODES_SUPPORTED, RESOLUTIONS_SUPPORTED, Mode

DEFAULT_DURATION = 30 * DAY  # seconds; where neither the brand nor the person says
LEEWAY = HOUR  # seconds between settling the bounds and answering with them: two clocks, and time to look

History: TypeAlias = Literal["none", "all"] | int  # an int is a number of days back from now


class Bounds(msgspec.Struct, frozen=True):
    """Seconds since the Unix epoch, half-open, as in ``Terms``."""

    data_from: int
    data_until: int
    access_until: int


def settle_bounds(
    ask: Ask,
    *,
    now_s: int,
    history: History | None = None,
    data_from: int | None = None,
    duration_s: int | None = None,
    until: int | None = None,
    first_day: int = 0,
) -> Bounds | Refusal:
    """Settle the bounds between the ask and the person's choice.

    The person says how far back (``history``, or ``data_from`` exactly, in seconds) and for how long
    (``duration_s`` from now, or ``until`` exactly, in seconds).  Who says nothing gives what would still do:
    the minimum of the brand's ``history`` and ``duration``, and no history where it has no such wish.
    ``history`` "all" reaches back to what was asked or, where the brand did not say, to ``first_day`` (days
    since the epoch).  Whatever the person says, the result lies within the ask; a bound in the past moves
    inward to a UTC midnight.

    Raises:
        ValueError: both ``duration_s`` and ``until``, a duration below a second, a negative history.
    """
    if duration_s is not None and until is not None:
        raise ValueError("a duration and an end exclude each other")
    if (duration_s is not None and duration_s < 1) or (isinstance(history, int) and history < 0):
        raise ValueError("a duration is at least a second, a history not negative")
    chosen = now_s + duration_s if duration_s is not None else until
    if chosen is not None and chosen - now_s > MAX_SPAN:
        return Refusal("too_long", "A grant lasts at most ten years.")
    if history is None:
        history = "none" if ask.history is None else ask.history.minimum
    enough = None if ask.duration is None else now_s + ask.duration.minimum * DAY
    ask = _widest(ask, now_s)

    # An end the person sets in the past only limits the data: reading it takes place after now.
    wanted = chosen if chosen is not None and chosen > now_s else enough
    access_until = _earliest(wanted, ask.access_end)
    if access_until is None:
        access_until = now_s + DEFAULT_DURATION
    if access_until <= now_s:
        return Refusal("over", "What was asked for is over.")

    end = _earliest(chosen, ask.data_until, access_until) or 0
    start = _start(ask, history, now_s, first_day) if data_from is None else data_from
    start = max(start, ask.data_from or 0)
    if start < now_s:
        start = min(-(-start // DAY) * DAY, now_s)
    if end <= now_s:
        end = end // DAY * DAY
    if end <= start:
        return Refusal("empty", _why_empty(end, now_s))
    return Bounds(start, end, access_until)


def make_terms(
    asks: tuple[Ask, ...],
    selectors: Iterable[Selector],
    bounds: Bounds,
    *,
    mode: Mode | None = None,
    uses: int | None = None,
    budget: int | None = None,
    limits: Iterable[Limit] = (),
) -> Terms:
    """Join the person's choice with the words of the request, which all its asks share.

    What the person does not choose is the least that would still do: a selector without a resolution gets
    the minimum asked for its kind, ``mode`` None is the minimum, and a kind that was asked for at a frequency
    is given that seldom.  A limit of a kind that is not given says nothing, and is left out.

    Raises:
        TermsError: the selectors or bounds give nothing, or what is chosen contradicts itself.
    """
    ask = asks[0]
    asked = _by_kind(asks)
    given = {one: one.resolution or asked.get(one.kind, ask).minimum for one in selectors}
    alike = len(set(given.values())) == 1
    explicit = {
        msgspec.structs.replace(one, resolution=None if alike else resolution)
        for one, resolution in given.items()
    }
    if mode is None:
        mode = ask.mode_minimum
    return Terms(
        selectors=tuple(sorted(explicit, key=lambda selector: (selector.device, selector.kind))),
        # Where they differ it is nobody's; the coarsest, so that a mistake would give less.
        resolution=max(given.values(), key=RESOLUTIONS_SUPPORTED.index, default=ask.minimum),
        data_from=bounds.data_from,
        data_until=bounds.data_until,
        access_until=bounds.access_until,
        purpose=ask.purpose,
        purpose_text=ask.purpose_text,
        retention=ask.retention,
        recipients=ask.recipients,
        benefit=ask.benefit,
        mode=mode,
        uses=1 if mode == "once" and uses is None else uses,
        budget=budget,
        limits=tuple(_limits(asked, given, limits)),
    )


def exceeds(
    asks: tuple[Ask, ...], terms: Terms, *, answered_s: int, before: Terms | None = None
) -> Refusal | None:
    """Tell why the terms are no answer to this request, or None if they lie within it.

    Whoever accepts an approval checks this: a client must not give more than was asked, nor other words.
    ``answered_s`` is when it is answered (seconds), from which the brand's ``history`` and ``duration``
    count; ``before`` are the terms that these take the place of, whose history may stay.
    """
    ask = _widest(asks[0], answered_s, LEEWAY, before)
    return _exceeds_kinds(asks, terms) or _exceeds_bounds(ask, terms) or _says_otherwise(ask, terms)


def _exceeds_kinds(asks: tuple[Ask, ...], terms: Terms) -> Refusal | None:
    asked = _by_kind(asks)
    every = {limit.kind: limit.every or 0 for limit in terms.limits}
    for selector in terms.selectors:
        kind, given = selector.kind, terms.resolution_of(selector)
        ask = asked.get(kind)
        if ask is None:
            return Refusal("wider_than_asked", f"The terms give {kind}, which was not asked for.")
        known = catalogue().kind(kind).resolutions  # the one asked for is among them
        if given not in known or known.index(given) < known.index(ask.ideal):
            return Refusal("wider_than_asked", f"The terms give {kind} in another detail than was asked for.")
        if ask.frequency is not None and max(SPANS[given], every.get(kind, 0)) < ask.frequency.ideal:
            return Refusal("wider_than_asked", f"The terms give {kind} more often than was asked.")
    return None


def _exceeds_bounds(ask: Ask, terms: Terms) -> Refusal | None:
    if ask.data_from is not None and terms.data_from < ask.data_from:
        return Refusal("wider_than_asked", "The terms reach back further than was asked.")
    if ask.data_until is not None and terms.data_until > ask.data_until:
        return Refusal("wider_than_asked", "The terms give data for longer than was asked.")
    if ask.access_end is not None and terms.access_until > ask.access_end:
        return Refusal("wider_than_asked", "The terms give access for longer than was asked.")
    if MODES_SUPPORTED.index(terms.mode) > MODES_SUPPORTED.index(ask.mode):
        return Refusal("wider_than_asked", "The terms give it in another way than was asked.")
    return None


def _says_otherwise(ask: Ask, terms: Terms) -> Refusal | None:
    said = (ask.purpose, ask.purpose_text, ask.retention, ask.recipients, ask.benefit)
    if said != (terms.purpose, terms.purpose_text, terms.retention, terms.recipients, terms.benefit):
        return Refusal("not_as_asked", "The terms do not say what the brand said.")
    return None


def _by_kind(asks: tuple[Ask, ...]) -> dict[str, Ask]:
    return {kind: ask for ask in asks for kind in ask.kinds}


def _limits(asked: dict[str, Ask], given: dict[Selector, str], limits: Iterable[Limit]) -> list[Limit]:
    """The person's limits, and those that a wish for a frequency comes to, by kind."""
    finest: dict[str, int] = {}
    for selector, resolution in given.items():
        finest[selector.kind] = min(SPANS[resolution], finest.get(selector.kind, SPANS[resolution]))
    made = [limit for limit in limits if limit.kind in finest]
    said = {limit.kind for limit in made if limit.every is not None}
    for kind, span in finest.items():
        wish = asked[kind].frequency if kind in asked else None
        if wish is None or kind in said or span >= wish.minimum:
            continue
        own = next((limit for limit in made if limit.kind == kind), Limit(kind=kind))
        made = [limit for limit in made if limit is not own]
        made.append(msgspec.structs.replace(own, every=whole_every(wish.minimum)))
    return sorted(made, key=lambda limit: limit.kind)


def _widest(ask: Ask, answered_s: int, leeway: int = 0, before: Terms | None = None) -> Ask:
    """The ask with the bounds that its ideals come to at this moment."""
    since, until, access = ask.data_from, ask.data_until, ask.access_until
    if ask.history is not None:
        since = max(0, answered_s - leeway - ask.history.ideal * DAY)
        if before is not None:
            since = min(since, before.data_from)
    if ask.duration is not None:
        until = access = answered_s + leeway + ask.duration.ideal * DAY
    return msgspec.structs.replace(ask, data_from=since, data_until=until, access_until=access)


def _start(ask: Ask, history: History, now_s: int, first_day: int) -> int:
    match history:
        case "none":
            return now_s
        case "all":
            return first_day * DAY if ask.data_from is None else ask.data_from
        case days:
            return max(0, now_s - days * DAY)


def _earliest(*moments: int | None) -> int | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _why_empty(end: int, now_s: int) -> str:
    if end <= now_s:
        return "Only the past is left of this; say how much history to give, in whole UTC days."
    return "These bounds leave no time in which there could be data."
