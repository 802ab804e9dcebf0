"""Whether terms give more than others: what tells narrowing a grant from extending it."""

from __future__ import annotations

from decimal import Decimal

from policies.grant import Refusal
from policies.kinds import Catalogue
from policies.minimise import MINUTES, Limit
from policies.terms import Selector, Terms
from policies.wishes import MODES_SUPPORTED


def widens(before: Terms, after: Terms, catalogue: Catalogue) -> Refusal | None:
    """Why ``after`` gives more than ``before`` does, in one sentence; None: it lies within it.

    Limits that cannot be compared, such as one reading in 10 minutes and one in 15, count as more.
    """
    told = {(one.device, one.kind): one for one in before.selectors}
    for selector in after.selectors:
        label = catalogue.kind(selector.kind).label
        had = told.get((selector.device, selector.kind))
        if had is None or not _channels_within(had, selector):
            return _more(f"gives {label} of more devices or channels")
        known = catalogue.kind(selector.kind).resolutions
        if known.index(after.resolution_of(selector)) < known.index(before.resolution_of(had)):
            return _more(f"gives {label} in more detail")
    if after.data_from < before.data_from:
        return _more("reaches further back")
    if after.data_until > before.data_until or after.access_until > before.access_until:
        return _more("lasts longer")
    if MODES_SUPPORTED.index(after.mode) > MODES_SUPPORTED.index(before.mode):
        return _more("lets more be read")
    if not _at_most(before.uses, after.uses):
        return _more("may be read more often")
    if not _at_most(before.budget, after.budget):
        return _more("allows more answers")
    strict = {limit.kind: limit for limit in after.limits}
    for limit in before.limits:
        if limit.kind in after.kinds and not _as_strict(
            limit, strict.get(limit.kind, Limit(kind=limit.kind))
        ):
            return _more(f"limits {catalogue.kind(limit.kind).label} less")
    return None


def _more(what: str) -> Refusal:
    return Refusal("wider_than_asked", f"It {what} than now.")


def _channels_within(had: Selector, selector: Selector) -> bool:
    if had.channels is None:
        return True
    return selector.channels is not None and set(selector.channels) <= set(had.channels)


def _at_most(had: int | None, has: int | None) -> bool:
    return had is None or (has is not None and has <= had)


def _as_strict(had: Limit, has: Limit) -> bool:
    """Whether whatever passes the second limit passes the first one, too."""
    return (
        _is_multiple(had.round, has.round)
        and (had.every is None or (has.every is not None and has.every % had.every == 0))
        and _hours_within(had, has)
        and (had.fewest is None or (has.fewest is not None and has.fewest >= had.fewest))
        and set(had.drop) <= set(has.drop)
    )


def _is_multiple(had: str | None, has: str | None) -> bool:
    return had is None or (has is not None and Decimal(has) % Decimal(had) == 0)


def _hours_within(had: Limit, has: Limit) -> bool:
    if had.hours is None:
        return True
    return has.hours is not None and has.zone == had.zone and _minutes(has.hours) <= _minutes(had.hours)


def _minutes(hours: tuple[int, int]) -> set[int]:
    since, until = hours
    return set(range(since, until) if since < until else [*range(since, MINUTES), *range(until)])
