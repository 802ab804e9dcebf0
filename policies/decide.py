"""Whether a brand may read: the only place that makes a permit, and the store releases nothing without one.

Default is no.  Access is refused from the very millisecond it ends; a permit never reaches beyond its grant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import NoReturn, assert_never, final

import msgspec

from policies.errors import PermitError, TermsError
from policies.grant import (
    Active,
    Denied,
    Ended,
    Gap,
    GrantState,
    Lapsed,
    Paused,
    Pending,
    Preparing,
    Refusal,
    refuse_without_grant,
)
from policies.iso8601 import LAST_SECOND
from policies.minimise import Limit
from policies.terms import Selector, Terms
from policies.wishes import Mode

_MADE_HERE = object()


class Read(msgspec.Struct, frozen=True):
    """What a brand wants to read now: kinds (None: all it may), event times in seconds, half-open.

    ``since`` None means from the beginning, ``until`` None to the end of what is given.  ``answers``: it
    wants figures computed from the data, and not the data.
    """

    kinds: tuple[str, ...] | None = None
    since: int | None = None
    until: int | None = None
    answers: bool = False

    def __post_init__(self) -> None:
        for bound in (self.since, self.until):
            if bound is not None and abs(bound) > LAST_SECOND:
                raise TermsError("a read is bounded in seconds, not milliseconds")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Permit:
    """Leave to release exactly this, decided at one moment; ask again for the next page.

    Bounds are seconds, half-open; where the read and the grant do not meet, the range is empty
    (``data_from == data_until``) and the answer is an empty page.  Each selector says its resolution.
    Nothing of the time of a gap is released, nor a bucket that touches one; ``limits`` are applied to what
    is left, at most one a kind.  Made by ``decide`` alone: Python cannot stop a program from forging
    objects, but nobody makes one by mistake.
    """

    selectors: tuple[Selector, ...]
    data_from: int
    data_until: int
    access_until: int
    gaps: tuple[Gap, ...]  # those that meet the range, whole and in order
    limits: tuple[Limit, ...]
    mode: Mode
    made_by: dataclasses.InitVar[object]

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _MADE_HERE:
            raise PermitError("only decide makes a permit")

    def __init_subclass__(cls) -> NoReturn:
        raise PermitError("a permit has no subclasses")

    def __reduce__(self) -> NoReturn:
        raise PermitError("a permit is not copied or sent elsewhere: decide again there")

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it to release."""
        return self.data_from >= self.data_until


def decide(read: Read, state: GrantState, now_ms: int, *, used: int = 0) -> Permit | Refusal:
    """Decide one page of a read, at ``now_ms`` (milliseconds since the Unix epoch).

    ``used`` is how many uses of the grant had begun before this one; 0 for a further page of one that goes
    on.
    """
    match state:
        case Active():
            return _decide_active(read, state, now_ms, used)
        case Paused():
            return Refusal("paused", "This grant is paused.")
        case Preparing():
            return Refusal("not_active", "This grant is approved, but not yet in force.")
        case Pending() | Denied() | Lapsed() | Ended():
            return refuse_without_grant(state)
        case _:
            assert_never(state)


def _decide_active(read: Read, state: Active, now_ms: int, used: int) -> Permit | Refusal:
    terms = state.terms
    if now_ms >= terms.access_until * 1000:
        return Refusal("expired", "The time of access is over.")
    if terms.mode == "answer" and not read.answers:
        return Refusal("answers_only", "This grant gives answers, and not the data.")
    if terms.uses is not None and used >= terms.uses:
        return Refusal("used_up", "This grant was used as often as it may be.")
    if read.since is not None and read.until is not None and read.until < read.since:
        return Refusal("invalid_request", "The read ends before it begins.")
    kinds = terms.kinds
    if read.kinds is not None:
        if not read.kinds:
            return Refusal("invalid_request", "The read names no kind.")
        if not set(read.kinds) <= set(kinds):
            return Refusal("insufficient_scope", "The read names a kind that this grant does not give.")
        kinds = read.kinds
    since = _clip(terms.data_from if read.since is None else read.since, terms)
    until = _clip(terms.data_until if read.until is None else read.until, terms)
    return Permit(
        selectors=tuple(_explicit(terms, kinds)),
        data_from=since,
        data_until=until,
        access_until=terms.access_until,
        gaps=tuple(gap for gap in state.gaps if gap[0] < until and gap[1] > since),
        limits=tuple(limit for limit in terms.limits if limit.kind in kinds),
        mode=terms.mode,
        made_by=_MADE_HERE,
    )


def _explicit(terms: Terms, kinds: tuple[str, ...]) -> Iterable[Selector]:
    for selector in terms.selectors:
        if selector.kind in kinds:
            yield msgspec.structs.replace(selector, resolution=terms.resolution_of(selector))


def _clip(moment: int, terms: Terms) -> int:
    """Move a moment to the nearest bound of the grant: a read outside becomes an empty range at its edge."""
    return min(max(moment, terms.data_from), terms.data_until)
