"""What the brand is told of what was given: ``authorization_details`` again, without devices."""

from __future__ import annotations

import msgspec

from policies.iso8601 import format_span, format_time
from policies.minimise import Limit
from policies.request import ACTIONS_SUPPORTED, DETAIL_TYPE
from policies.terms import Terms
from policies.wishes import RESOLUTIONS_SUPPORTED


def granted_details(terms: Terms) -> list[dict[str, object]]:
    """Write the terms as ``authorization_details`` for the brand (RFC 9396, section 7).

    One detail for the kinds that are given alike: at one resolution, with the same limits.  The finest come
    first; a kind that some devices give in another detail than others is in both.
    """
    limits = {limit.kind: limit for limit in terms.limits}
    alike: dict[tuple[int, Limit], set[str]] = {}
    for selector in terms.selectors:
        limit = msgspec.structs.replace(limits.get(selector.kind, Limit(kind="")), kind="")
        rank = RESOLUTIONS_SUPPORTED.index(terms.resolution_of(selector))
        alike.setdefault((rank, limit), set()).add(selector.kind)
    groups = sorted((rank, sorted(kinds), limit) for (rank, limit), kinds in alike.items())
    return [_detail(terms, RESOLUTIONS_SUPPORTED[rank], kinds, limit) for rank, kinds, limit in groups]


def _detail(terms: Terms, resolution: str, kinds: list[str], limit: Limit) -> dict[str, object]:
    less = _minimised(limit)
    return {
        "type": DETAIL_TYPE,
        "actions": list(ACTIONS_SUPPORTED),
        "datatypes": kinds,
        "resolution": resolution,
        **({} if terms.mode == "read" else {"mode": terms.mode}),
        **({} if terms.uses is None else {"uses": terms.uses}),
        **({} if terms.budget is None else {"budget": terms.budget}),
        **({"minimised": less} if less else {}),
        "data_from": format_time(terms.data_from),
        "data_until": format_time(terms.data_until),
        "access_until": format_time(terms.access_until),
        "purpose": terms.purpose,
        "purpose_text": terms.purpose_text,
        **({} if terms.retention is None else {"retention": terms.retention}),
        "recipients": list(terms.recipients),
        "benefit": terms.benefit,
    }


def _minimised(limit: Limit) -> dict[str, object]:
    """What the person left out beyond the resolution, as the brand has to know it to read the figures."""
    less: dict[str, object] = {}
    if limit.round is not None:
        less["round"] = limit.round
    if limit.every is not None:
        less["every"] = format_span(limit.every)
    if limit.hours is not None:
        since, until = limit.hours
        less["hours"] = {"from": _clock(since), "until": _clock(until), "zone": limit.zone}
    if limit.fewest is not None:
        less["fewest"] = limit.fewest
    if limit.drop:
        less["drop"] = sorted(set(limit.drop))
    return less


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
