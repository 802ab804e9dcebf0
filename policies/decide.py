"""Whether a brand may read: the only place that makes a permit, and the store releases nothing without one.

Default is no.  Access is refused from the very millisecond it ends; a permit never reaches beyond its grant.
"""

from __future__ import annotations

import dataclasses
from typing import NoReturn, assert_never, final

import msgspec

from policies.errors import PermitError, TermsError
from policies.grant import (
    Active,
    Denied,
    Ended,
    GrantState,
    Lapsed,
    Paused,
    Pending,
    Preparing,
    Refusal,
    Selector,
    Terms,
    refuse_without_grant,
)
from policies.iso8601 import LAST_SECOND

_MADE_HERE = object()


class Read(msgspec.Struct, frozen=True):
    """What a brand wants to read now: kinds (None: all it may), event times in seconds, half-open.

    ``since`` None means from the beginning, ``until`` None to the end of what is given.
    """

    kinds: tuple[str, ...] | None = None
    since: int | None = None
    until: int | None = None

    def __post_init__(self) -> None:
        for bound in (self.since, self.until):
            if bound is not None and abs(bound) > LAST_SECOND:
                raise TermsError("a read is bounded in seconds, not milliseconds")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Permit:
    """Leave to release exactly this, decided at one moment; ask again for the next page.

    Bounds are seconds, half-open; where the read and the grant do not meet, the range is empty
    (``data_from == data_until``) and the answer is an empty page.  Made by ``decide`` alone: Python cannot
    stop a program from forging objects, but nobody makes one by mistake.
    """

    selectors: tuple[Selector, ...]
    resolution: str
    data_from: int
    data_until: int
    access_until: int
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


def decide(read: Read, state: GrantState, now_ms: int) -> Permit | Refusal:
    """Decide one page of a read, at ``now_ms`` (milliseconds since the Unix epoch)."""
    match state:
        case Active(terms=terms):
            return _decide_active(read, terms, now_ms)
        case Paused():
            return Refusal("paused", "This grant is paused.")
        case Preparing():
            return Refusal("not_active", "This grant is approved, but not yet in force.")
        case Pending() | Denied() | Lapsed() | Ended():
            return refuse_without_grant(state)
        case _:
            assert_never(state)


def _decide_active(read: Read, terms: Terms, now_ms: int) -> Permit | Refusal:
    if now_ms >= terms.access_until * 1000:
        return Refusal("expired", "The time of access is over.")
    if read.since is not None and read.until is not None and read.until < read.since:
        return Refusal("invalid_request", "The read ends before it begins.")
    selectors = terms.selectors
    if read.kinds is not None:
        if not read.kinds:
            return Refusal("invalid_request", "The read names no kind.")
        if not set(read.kinds) <= set(terms.kinds):
            return Refusal("insufficient_scope", "The read names a kind that this grant does not give.")
        selectors = tuple(selector for selector in selectors if selector.kind in read.kinds)
    since = _clip(terms.data_from if read.since is None else read.since, terms)
    until = _clip(terms.data_until if read.until is None else read.until, terms)
    return Permit(
        selectors=selectors,
        resolution=terms.resolution,
        data_from=since,
        data_until=until,
        access_until=terms.access_until,
        made_by=_MADE_HERE,
    )


def _clip(moment: int, terms: Terms) -> int:
    """Move a moment to the nearest bound of the grant: a read outside becomes an empty range at its edge."""
    return min(max(moment, terms.data_from), terms.data_until)
