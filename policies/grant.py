"""The life of a grant: what a brand asked, what the person gave, and how it ends.

``TRANSITIONS`` is the whole of it; GRANTS.md draws it, and a test keeps the two alike.  Event times are
milliseconds since the Unix epoch, bounds of terms are seconds; both come from the caller, who owns the clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal, TypeAlias, assert_never

import msgspec

from policies.errors import TermsError
from policies.iso8601 import LAST_SECOND
from policies.minimise import Limit
from policies.request import RESOLUTIONS_SUPPORTED, Ask, Mode, format_details
from policies.strict import canonical

ASKS_LABEL = b"hypertouch 1 asks"
TERMS_LABEL = b"hypertouch 1 terms"
HASH_SIZE = 32  # bytes, SHA-256

RefusalCode = Literal[
    # of advance
    "not_approved", "already_approved", "already_active", "denied", "lapsed", "ended", "not_yet", "over",
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


class Selector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of one device; ``channels`` None means every channel of it, future ones too.

    ``resolution`` None means that of the terms.
    """

    device: str
    kind: str
    channels: tuple[str, ...] | None = None
    resolution: str | None = None

    def __post_init__(self) -> None:
        if self.channels is not None and not self.channels:
            raise TermsError("a selector names at least one channel, or None for all of them")


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is given, exactly as the person was shown it.

    Bounds are seconds since the Unix epoch, half-open: data with event time in [data_from, data_until) may be
    read while now < access_until.  Purpose, promises and benefit are the brand's own words.
    """

    selectors: tuple[Selector, ...]
    resolution: str = RESOLUTIONS_SUPPORTED[0]
    data_from: int
    data_until: int
    access_until: int
    purpose: str
    purpose_text: str = ""
    retention: str | None = None
    recipients: tuple[str, ...] = ()
    benefit: str = ""
    mode: Mode = "read"
    uses: int | None = None  # how often it may be read; None: as often as the brand likes
    budget: int | None = None  # answers in a UTC day; None: this version's default where mode is answer
    limits: tuple[Limit, ...] = ()  # at most one a kind

    def __post_init__(self) -> None:
        if not self.selectors:
            raise TermsError("terms give something: at least one selector")
        places = {(selector.device, selector.kind) for selector in self.selectors}
        if len(places) != len(self.selectors):
            raise TermsError("terms name a kind of a device once")
        if not 0 <= self.data_from < self.data_until <= LAST_SECOND:
            raise TermsError("data_from is before data_until, both in seconds since 1970")
        if not 0 <= self.access_until <= LAST_SECOND:
            raise TermsError("access_until is in seconds since 1970")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds given, each once, in alphabetical order."""
        return tuple(sorted({selector.kind for selector in self.selectors}))

    def resolution_of(self, selector: Selector) -> str:
        """In how much detail a selector's readings are given."""
        return self.resolution if selector.resolution is None else selector.resolution


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
    """The person lets a grant rest."""


class Resume(_Event, frozen=True, tag="resume"):
    """The person lets it go on; of the time between nothing is given."""


class Exhaust(_Event, frozen=True, tag="exhaust"):
    """It was read as often as the terms allow."""


class Disuse(_Event, frozen=True, tag="disuse"):
    """Nobody used it for ``UNUSED_MS``."""


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


def ask_hash(asks: tuple[Ask, ...]) -> bytes:
    """Return the hash of a request's details, 32 bytes: of what the brand can no longer change."""
    return hashlib.sha256(ASKS_LABEL + b"\0" + canonical(format_details(asks))).digest()


def terms_hash(request_hash: bytes, terms: Terms) -> bytes:
    """Return what an approval signs, 32 bytes: one request answered with exactly these terms (GRANTS.md).

    Raises:
        TermsError: ``request_hash`` has not 32 bytes, so where it ends would be in doubt.
    """
    if len(request_hash) != HASH_SIZE:
        raise TermsError("the hash of a request has 32 bytes")
    return hashlib.sha256(TERMS_LABEL + b"\0" + request_hash + canonical(_plain(terms))).digest()


def _plain(terms: Terms) -> dict[str, object]:
    """Terms as JSON values; the order of selectors and channels says nothing, so it is fixed here."""
    plain: dict[str, object] = msgspec.structs.asdict(terms)
    selectors = sorted(terms.selectors, key=lambda selector: (selector.device, selector.kind))
    plain["selectors"] = [
        {
            "device": selector.device,
            "kind": selector.kind,
            "channels": None if selector.channels is None else sorted(set(selector.channels)),
        }
        for selector in selectors
    ]
    plain["recipients"] = list(terms.recipients)
    return plain


def _enter(target: type[GrantState], state: GrantState, event: Event) -> GrantState:
    if isinstance(event, Approve):
        return Preparing(event.terms, event.at)
    match state, event:
        case Active(gaps=gaps), Revise(terms=terms):
            return Preparing(terms, event.at, gaps)
        case Active(), Pause():
            return Paused(state.terms, state.approved, state.active, event.at, state.gaps)
        case Paused(), Resume():
            gap = (state.since // 1000, -(-event.at // 1000))
            return Active(state.terms, state.approved, state.active, (*state.gaps, gap))
    if target is Denied:
        reason = event.reason if isinstance(event, Deny) else "taken back before it was answered"
        return Denied(event.at, reason)
    if isinstance(state, Preparing | Active | Paused):
        if isinstance(event, Commit):
            return Active(state.terms, state.approved, event.at, state.gaps)
        return Ended(event.at, _ENDINGS[type(event)], state.terms)
    return Lapsed(event.at)


def _untimely(state: GrantState, event: Event) -> Refusal | None:
    """Refuse what comes too early or too late, to the millisecond: a bound itself is already over."""
    match state, event:
        case Pending(), Approve() if event.at >= state.expires:
            return Refusal("lapsed", "The time to answer this request is over.")
        case Pending(), Approve() if event.at >= event.terms.access_until * 1000:
            return Refusal("over", "These terms would be over before they begin.")
        case Preparing(), Commit() if event.at >= state.terms.access_until * 1000:
            return Refusal("over", "The time of access is over.")
        case Pending(), Lapse() if event.at < state.expires:
            return Refusal("not_yet", "There is still time to answer this request.")
        case ((Preparing() | Active() | Paused()), Expire()) if event.at < state.terms.access_until * 1000:
            return Refusal("not_yet", "The time of access is not over.")
        case _:
            return None


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
