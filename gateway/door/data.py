"""Reading under a grant: page after page, in order of arrival (access.py has the order of what is done)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, urlencode

from litestar import Response, get

from gateway.door import access
from gateway.door.context import Door, Held
from gateway.door.cursor import Place, read_cursor, write_cursor
from gateway.door.forms import Query, parse_bearer, parse_query
from gateway.door.http import Answer, HttpRequest, TheDoor, source
from gateway.senmlout import MEDIA_TYPE, encode
from policies.decide import Permit, Read
from policies.grant import Active
from policies.iso8601 import DAY, format_time
from vault.ids import DeviceId
from vault.segment import RAW
from vault.store.release import Page, page

MOST_SPANS: Final = 64  # in a header


@get("/observations")
async def observations(request: HttpRequest, door: TheDoor) -> Answer:
    """One page of readings in order of arrival, and where the next begins."""
    query = parse_query(request.scope["query_string"])
    token = parse_bearer(request.scope["headers"])
    held = access.authenticate(door, token, source(request))
    read = Read(query.kinds, query.since, query.until)
    allowed = access.permit(door, held, read)
    place = read_cursor(token, held.slot.pepper, held.grant, query)
    await access.catch_up(door, held)
    place = await _begin(door, held, read, place)
    with access.opened(door, held) as keys:
        upto = place.upto if place.use else None
        found = page(door.reader, allowed, keys, place.after, query.limit, upto)
    incomplete = incomplete_days(door, held, allowed)
    await access.account(door, held, read, allowed, len(found.readings))
    cursor = write_cursor(token, held.slot.pepper, held.grant, query, _goes_on(place, found))
    headers = {
        "Link": f'<{_next(door, query, cursor)}>; rel="next"',
        "Hypertouch-More": "true" if found.more else "false",
        **_uses_left(door, held),
        **({"Hypertouch-Incomplete": spans_of(incomplete)} if incomplete else {}),
    }
    return Response(encode(found.readings), media_type=MEDIA_TYPE, headers=headers)


def incomplete_days(door: Door, held: Held, allowed: Permit) -> list[int]:
    """Days of the range of which not every bucket is there yet; none where raw readings are given."""
    devices = {one.device for one in allowed.selectors if one.resolution != RAW}
    if not devices or allowed.empty:
        return []
    today = door.now() // (DAY * 1000)
    first, last = allowed.data_from // DAY, min((allowed.data_until - 1) // DAY, today)
    named = [bytes(DeviceId.parse(device)) for device in sorted(devices)]
    return door.reader.incomplete_days(held.vault, named, first, last, today)


def spans_of(days: Iterable[int]) -> str:
    """Days and stretches of days, as in ISO 8601; of very many the last one is as long as needed."""
    stretches: list[tuple[int, int]] = []
    for day in days:
        if stretches and (day == stretches[-1][1] + 1 or len(stretches) == MOST_SPANS):
            stretches[-1] = (stretches[-1][0], day)
        else:
            stretches.append((day, day))
    return ", ".join(
        _date(first) if first == last else f"{_date(first)}/{_date(last)}" for first, last in stretches
    )


async def _begin(door: Door, held: Held, read: Read, place: Place) -> Place:
    """Within which use this page is; a new one is counted before anything is read."""
    state = held.row.state
    if not isinstance(state, Active) or state.terms.uses is None or place.goes_on(door.now()):
        return place
    upto = door.reader.last_seq(held.vault)
    began = door.now()
    number = await access.count_use(door, held)
    access.permit(door, held, read, used=number - 1)
    return Place(place.after, number, began, upto)


def _goes_on(place: Place, found: Page) -> Place:
    """Where the next page begins; after the last page of a use, another one does."""
    if found.more:
        return Place(found.last_seq, place.use, place.began, place.upto)
    return Place(found.last_seq)


def _uses_left(door: Door, held: Held) -> dict[str, str]:
    state = held.row.state
    if not isinstance(state, Active) or state.terms.uses is None:
        return {}
    left = state.terms.uses - door.reader.counter(held.vault, held.grant).uses
    return {"Hypertouch-Uses-Left": str(max(0, left))}


def _next(door: Door, query: Query, cursor: str) -> str:
    """The address of the next page: the same query, canonically written."""
    pairs = [("kind", kind) for kind in query.kinds or ()]
    pairs += [
        (name, format_time(moment))
        for name, moment in (("from", query.since), ("until", query.until))
        if moment is not None
    ]
    pairs += [("limit", str(query.limit)), ("cursor", cursor)]
    return f"{door.config.public_url}/observations?{urlencode(pairs, quote_via=quote)}"


def _date(day: int) -> str:
    return format_time(day * DAY).partition("T")[0]
