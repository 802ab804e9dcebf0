"""The life of a grant: what a brand asked, what the person gave, and how it ends.

``TRANSITIONS`` is the whole of it; GRANTS.md draws it, and a test keeps the two alike.  Event times are
milliseconds since the Unix epoch, bounds of terms are seconds; both come from the caller, who owns the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, assert_never

import msgspec

from policies.iso8601 import DAY
from policies.terms import Terms

UNUSED_MS = 90 * DAY * 1000  # a grant that nobody uses for so long ends
GAPS_MAX = 64  # pauses of one grant
USE_MS = 3_600_000  # for so long the further pages of a use are given
DEFAULT_BUDGET = 24  # answers in a UTC day, where terms of mode answer say nothing

RefusalCode = Literal[
    # of advance
    "not_approved", "already_approved", "already_active", "denied", "lapsed", "ended", "not_yet", "over",
    "too_often",
    # of settle_bounds and exceeds
    "empty", "too_long", "wider_than_asked", "not_as_asked",
    # of decide, besides not_approved, denied, lapsed and ended
    "not_active", "paused", "expired", "insufficient_scope", "invalid_request", "answers_only", "used_up",
]  # fmt: skip
Why: TypeAlias = Literal["revoked", "expired", "returned", "restored", "used up", "unused"]
Gap: TypeAlias = tuple[int, int]  # seconds of event time, half-open, in which nothing was given


class Refusal(msgspec.Struct, frozen=True):
    """A no, with its reason in one sentence for the person or the log; the code is for programs."""

    code: RefusalCode
    reason: str


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times are milliseconds."""


class Pending(_State, frozen=True, tag="pending"):
    """Asked, not answered; lapses at ``expires``."""

    asked: int
    expires: int


class Preparing(_State, frozen=True, tag="preparing"):
    """Approved, or narrowed or extended; the keys of the history are being handed over.

    Nothing can be read meanwhile.
    """

    terms: Terms
    approved: int
    gaps: tuple[Gap, ...] = ()


class Active(_State, frozen=True, tag="active"):
    """In force: the only state in which anything can be read.  ``gaps`` are when it was paused."""

    terms: Terms
    approved: int
    active: int
    gaps: tuple[Gap, ...] = ()


class Paused(_State, frozen=True, tag="paused"):
    """Resting by the person's will ``since`` then: nothing can be read, nothing new is sealed."""

    terms: Terms
    approved: int
    active: int
    since: int
    gaps: tuple[Gap, ...] = ()


class Denied(_State, frozen=True, tag="denied"):
    """Answered with no, or taken back before it was answered."""

    at: int
    reason: str


class Lapsed(_State, frozen=True, tag="lapsed"):
    """Never answered in time."""

    at: int


class Ended(_State, frozen=True, tag="ended"):
    """Over for ever; the terms stay, so that what was given and promised can still be told."""

    at: int
    why: Why
    terms: Terms


GrantState: TypeAlias = Pending | Preparing | Active | Paused | Denied | Lapsed | Ended


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened, and when: milliseconds."""

    at: int


class Approve(_Event, frozen=True, tag="approve"):
    """The person said yes to exactly these terms."""

    terms: Terms


class Commit(_Event, frozen=True, tag="commit"):
    """The keys of the history were handed over."""


class Deny(_Event, frozen=True, tag="deny"):
    """The person said no."""

    reason: str = ""


class Lapse(_Event, frozen=True, tag="lapse"):
    """The time to answer is over."""


class Revoke(_Event, frozen=True, tag="revoke"):
    """The person ended it."""


class Expire(_Event, frozen=True, tag="expire"):
    """The time of access is over."""


class Return(_Event, frozen=True, tag="return"):
    """The brand gave it back."""


class Restore(_Event, frozen=True, tag="restore"):
    """The vault was restored from a backup, which may be older than a revocation."""


class Revise(_Event, frozen=True, tag="revise"):
    """The person narrowed or extended a grant in force: exactly these terms from now on."""

    terms: Terms


class Pause(_Event, frozen=True, tag="pause"):
    """The person lets a grant rest; at most ``GAPS_MAX`` times."""


class Resume(_Event, frozen=True, tag="resume"):
    """The person lets it go on; of the time between nothing is given."""


class Exhaust(_Event, frozen=True, tag="exhaust"):
    """It was read as often as the terms allow."""


class Disuse(_Event, frozen=True, tag="disuse"):
    """Nobody used it for ``UNUSED_MS``; ``last_used`` is milliseconds, 0 for never."""

    last_used: int


Event: TypeAlias = (
    Approve | Commit | Deny | Lapse | Revoke | Expire | Return | Restore
    | Revise | Pause | Resume | Exhaust | Disuse
)  # fmt: skip

# What is not here is refused.  Denied, Lapsed and Ended lead nowhere: no event revives a grant.
TRANSITIONS: Mapping[type[GrantState], Mapping[type[Event], type[GrantState]]] = {
    Pending: {
        Approve: Preparing,
        Deny: Denied,
        Lapse: Lapsed,
        Revoke: Denied,  # so that a yes which arrives after it comes too late
        Return: Denied,
        Restore: Lapsed,
    },
    Preparing: {Commit: Active, Revoke: Ended, Expire: Ended, Return: Ended, Restore: Ended},
    Active: {
        Revise: Preparing,
        Pause: Paused,
        Revoke: Ended,
        Expire: Ended,
        Return: Ended,
        Restore: Ended,
        Exhaust: Ended,
        Disuse: Ended,
    },
    Paused: {Resume: Active, Revoke: Ended, Expire: Ended, Return: Ended, Restore: Ended},
    Denied: {},
    Lapsed: {},
    Ended: {},
}

_ENDINGS: Mapping[type[Event], Why] = {
    Revoke: "revoked",
    Expire: "expired",
    Return: "returned",
    Restore: "restored",
    Exhaust: "used up",
    Disuse: "unused",
}


def advance(state: GrantState, event: Event) -> GrantState | Refusal:
    """Return the state after the event, or why there is none; total over both.

    A refused event changes nothing.  Whoever stores grants applies this with its ledger entry, at once.
    """
    target = TRANSITIONS[type(state)].get(type(event))
    if target is None:
        return _refuse(state, event)
    return _untimely(state, event) or _enter(target, state, event)


def _enter(target: type[GrantState], state: GrantState, event: Event) -> GrantState:
    match state, event:
        case Pending(), Approve():
            return Preparing(event.terms, event.at)
        case Active(), Revise():
            return Preparing(event.terms, event.at, state.gaps)
        case Active(), Pause():
            return Paused(state.terms, state.approved, state.active, event.at, state.gaps)
        case Paused(), Resume():
            return Active(state.terms, state.approved, state.active, _with_gap(state, event.at))
    if target is Denied:
        reason = event.reason if isinstance(event, Deny) else "taken back before it was answered"
        return Denied(event.at, reason)
    if isinstance(state, Preparing | Active | Paused):
        if isinstance(event, Commit):
            return Active(state.terms, state.approved, event.at, state.gaps)
        return Ended(event.at, _ENDINGS[type(event)], state.terms)
    return Lapsed(event.at)


def _with_gap(state: Paused, at: int) -> tuple[Gap, ...]:
    """The gaps and the one that ends now: whole seconds, outward; disjoint, in order.

    A clock that was put back in between makes it no shorter than the second in which it began.
    """
    since, until = state.since // 1000, -(-max(at, state.since + 1) // 1000)
    apart = [gap for gap in state.gaps if gap[1] < since or gap[0] > until]
    touched = [gap for gap in state.gaps if gap not in apart]
    joined = min([since, *(gap[0] for gap in touched)]), max([until, *(gap[1] for gap in touched)])
    return tuple(sorted([*apart, joined]))


def _untimely(state: GrantState, event: Event) -> Refusal | None:
    """Refuse what comes too early or too late, to the millisecond: a bound itself is already over."""
    match state, event:
        case Pending(), Approve() if event.at >= state.expires:
            return Refusal("lapsed", "The time to answer this request is over.")
        case Pending(), Approve() if event.at >= event.terms.access_until * 1000:
            return Refusal("over", "These terms would be over before they begin.")
        case Preparing(), Commit() if _is_over(state, event.at):
            return Refusal("over", "The time of access is over.")
        case Pending(), Lapse() if event.at < state.expires:
            return Refusal("not_yet", "There is still time to answer this request.")
        case Active(), Revise() if event.at >= event.terms.access_until * 1000:
            return Refusal("over", "These terms would be over before they begin.")
        case ((Active() | Paused()), (Revise() | Pause() | Resume())) if _is_over(state, event.at):
            return Refusal("over", "The time of access is over.")  # nothing puts it off afterwards
        case Active(), Pause() if len(state.gaps) >= GAPS_MAX:
            return Refusal("too_often", f"A grant can be paused {GAPS_MAX} times; revoke it to end it.")
        case ((Preparing() | Active() | Paused()), Expire()) if not _is_over(state, event.at):
            return Refusal("not_yet", "The time of access is not over.")
        case Active(), Disuse() if event.at < _idle_since(state, event.last_used) + UNUSED_MS:
            return Refusal("not_yet", "This grant was used, or came into force, less than 90 days ago.")
        case _:
            return None


def _is_over(state: Preparing | Active | Paused, at: int) -> bool:
    return at >= state.terms.access_until * 1000


def _idle_since(state: Active, last_used: int) -> int:
    """Since when it could have been used: neither a pause nor a late start is held against a brand."""
    resumed = state.gaps[-1][1] * 1000 if state.gaps else 0
    return max(state.active, state.terms.data_from * 1000, resumed, last_used)


def _refuse(state: GrantState, event: Event) -> Refusal:
    match state:
        case Preparing():
            return Refusal("already_approved", "This request is approved already; revoke it to end it.")
        case Active() if isinstance(event, Commit | Resume):
            return Refusal("already_active", "This grant is in force already.")
        case Paused():
            return Refusal("paused", "This grant is paused; resume it first.")
        case Active():
            return Refusal("already_approved", "This request is approved already; revoke it to end it.")
        case Pending() | Denied() | Lapsed() | Ended():
            return refuse_without_grant(state)
        case _:
            assert_never(state)


def refuse_without_grant(state: Pending | Denied | Lapsed | Ended) -> Refusal:
    """Return why there is no grant, or none any more."""
    match state:
        case Pending():
            return Refusal("not_approved", "This request is not approved.")
        case Denied():
            return Refusal("denied", "This request was denied.")
        case Lapsed():
            return Refusal("lapsed", "This request was not answered in time.")
        case Ended():
            return Refusal("ended", "This grant has ended.")
        case _:
            assert_never(state)
