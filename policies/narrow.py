"""From what was asked to what is given: never wider, and in bounds that whole segments can keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from policies.grant import Refusal, Selector, Terms
from policies.iso8601 import DAY, format_time
from policies.request import ACTIONS_SUPPORTED, DETAIL_TYPE, MAX_SPAN, Ask

DEFAULT_DURATION = 30 * DAY  # seconds; where neither the brand nor the person says

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
    history: History = "none",
    data_from: int | None = None,
    duration_s: int | None = None,
    until: int | None = None,
    first_day: int = 0,
) -> Bounds | Refusal:
    """Settle the bounds between the ask and the person's choice.

    The person says how far back (``history``, or ``data_from`` exactly, in seconds) and for how long
    (``duration_s`` from now, or ``until`` exactly, in seconds).  ``history`` "all" reaches back to what was
    asked or, where the brand did not say, to ``first_day`` (days since the epoch).  Whatever the person says,
    the result lies within the ask; a bound in the past moves inward to a UTC midnight.

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

    # An end the person sets in the past only limits the data: reading it takes place after now.
    access_until = _earliest(chosen if chosen is not None and chosen > now_s else None, ask.access_end)
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


def make_terms(asks: tuple[Ask, ...], selectors: Iterable[Selector], bounds: Bounds) -> Terms:
    """Join the person's choice with the words of the request, which all its asks share.

    Raises:
        TermsError: the selectors or bounds give nothing.
    """
    ask = asks[0]
    return Terms(
        selectors=tuple(sorted(set(selectors), key=lambda selector: (selector.device, selector.kind))),
        resolution=ask.ideal,
        data_from=bounds.data_from,
        data_until=bounds.data_until,
        access_until=bounds.access_until,
        purpose=ask.purpose,
        purpose_text=ask.purpose_text,
        retention=ask.retention,
        recipients=ask.recipients,
        benefit=ask.benefit,
    )


def exceeds(asks: tuple[Ask, ...], terms: Terms) -> Refusal | None:
    """Tell why the terms are no answer to this request, or None if they lie within it.

    Whoever accepts an approval checks this: a client must not give more than was asked, nor other words.
    """
    ask = asks[0]
    asked = {kind for one in asks for kind in one.kinds}
    extra = [kind for kind in terms.kinds if kind not in asked]
    if extra:
        return Refusal("wider_than_asked", f"The terms give {extra[0]}, which was not asked for.")
    if terms.resolution not in (ask.ideal, ask.minimum):
        return Refusal("wider_than_asked", "The terms give another detail than was asked for.")
    if ask.data_from is not None and terms.data_from < ask.data_from:
        return Refusal("wider_than_asked", "The terms reach back further than was asked.")
    if ask.data_until is not None and terms.data_until > ask.data_until:
        return Refusal("wider_than_asked", "The terms give data for longer than was asked.")
    if ask.access_end is not None and terms.access_until > ask.access_end:
        return Refusal("wider_than_asked", "The terms give access for longer than was asked.")
    said = (ask.purpose, ask.purpose_text, ask.retention, ask.recipients, ask.benefit)
    if said != (terms.purpose, terms.purpose_text, terms.retention, terms.recipients, terms.benefit):
        return Refusal("not_as_asked", "The terms do not say what the brand said.")
    return None


def granted_details(terms: Terms) -> list[dict[str, object]]:
    """Write the terms as ``authorization_details`` for the brand (RFC 9396, section 7), without devices."""
    return [
        {
            "type": DETAIL_TYPE,
            "actions": list(ACTIONS_SUPPORTED),
            "datatypes": list(terms.kinds),
            "resolution": terms.resolution,
            "data_from": format_time(terms.data_from),
            "data_until": format_time(terms.data_until),
            "access_until": format_time(terms.access_until),
            "purpose": terms.purpose,
            "purpose_text": terms.purpose_text,
            **({} if terms.retention is None else {"retention": terms.retention}),
            "recipients": list(terms.recipients),
            "benefit": terms.benefit,
        }
    ]


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
