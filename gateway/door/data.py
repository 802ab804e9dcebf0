"""Reading under a grant: authenticated by its key, decided per page, told to the ledger, then sent.

The order is the point.  Keys open only for who holds the token; a page is released only against a permit; its
entry in the ledger is durable before its first byte leaves; and whether the grant is still in force is looked
up once more after that, so that a revocation is never later than one page.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

import msgspec
from litestar import Response, get

from gateway.door.context import Door, Held
from gateway.door.cursor import read_cursor, write_cursor
from gateway.door.errors import (
    ProblemError,
    bad_query,
    frozen,
    insufficient_scope,
    invalid_token,
    slow,
    unavailable,
)
from gateway.door.forms import Query, parse_bearer, parse_query
from gateway.door.http import Answer, HttpRequest, TheDoor, source
from gateway.senmlout import MEDIA_TYPE, encode
from gateway.wire import FirstUse, Flush, Record
from policies.decide import Permit, Read, decide
from policies.iso8601 import format_time
from vault.errors import FormatError, SealError
from vault.grantkey import grant_of_token
from vault.ids import BrandId, GrantId
from vault.ledger import Entry
from vault.store.live import Frozen
from vault.store.release import Page, page


@get("/observations")
async def observations(request: HttpRequest, door: TheDoor) -> Answer:
    """One page of readings in order of arrival, and where the next begins."""
    query = parse_query(request.scope["query_string"])
    token = parse_bearer(request.scope["headers"])
    held = _authenticate(door, token, source(request))
    wait = door.grants.take(held.grant, door.clock())
    if wait:
        raise slow(wait)
    read = Read(query.kinds, query.since, query.until)
    permit = _permit(door, held, read)
    after = read_cursor(token, held.grant, query)
    if any(held.slot.pickup_salt):
        await door.tell(FirstUse(held.grant))
    await door.tell(Flush(held.vault))
    found = _open(door, held, permit, after, query.limit)
    await door.tell(Record(held.grant, _entry(door, held, permit, found)))
    _permit(door, _look_again(door, held), read)
    door.serve(held.grant)
    cursor = write_cursor(token, held.grant, query, found.last_seq)
    headers = {
        "Link": f'<{_next(door, query, cursor)}>; rel="next"',
        "Hypertouch-More": "true" if found.more else "false",
    }
    return Response(encode(found.readings), media_type=MEDIA_TYPE, headers=headers)


def _authenticate(door: Door, token: str, source: str) -> Held:
    """Whoever unwraps the grant's key holds its token.

    Raises:
        ProblemError: it opens nothing, whatever the reason; or too many such tokens from this address.
    """
    now = door.clock()
    wait = door.failures.wait(("token", source), now)
    if wait:
        raise slow(wait)
    try:
        grant = grant_of_token(token)
    except FormatError:
        door.failures.charge(("token", source), now)
        raise invalid_token() from None
    vault = door.reader.locate(grant)
    held = door.hold(token, vault, grant) if vault else None
    if held is None:
        door.failures.charge(("token", source), now)
        raise _refused(door, grant, "token")
    return held


def _look_again(door: Door, held: Held) -> Held:
    """The grant as it is now; it may have ended while the page was made. Raises ProblemError."""
    slot, row = door.reader.slot(held.vault, held.grant), door.reader.grant(held.vault, held.grant)
    if slot is None or row is None or slot.pepper != held.slot.pepper:
        raise _refused(door, held.grant, "ended")
    return msgspec.structs.replace(held, row=row, slot=slot)


def _permit(door: Door, held: Held, read: Read) -> Permit:
    """What may be released now; raises ProblemError."""
    now = door.now()
    if door.reader.clock().frozen is not Frozen.NO:
        raise frozen()
    decided = decide(read, held.row.state, now)
    if isinstance(decided, Permit):
        return decided
    if decided.code == "invalid_request":
        raise bad_query(decided.reason)
    if decided.code == "insufficient_scope":
        door.refusals.note(held.grant, held.row.brand, decided.code, now)
        raise insufficient_scope()
    raise _refused(door, held.grant, decided.code)


def _refused(door: Door, grant: GrantId, why: str) -> ProblemError:
    """Unknown, expired and revoked are one answer; that somebody tried is told to whose grant it is."""
    found = door.find(grant)
    if found is not None:
        door.refusals.note(grant, found[1].brand, why, door.clock())
        if why != "token" or door.in_force(grant) is None:
            door.ended(grant)
    return invalid_token()


def _open(door: Door, held: Held, permit: Permit, after: int, limit: int) -> Page:
    try:
        keys = door.keys.keys(held.owner, held.grant, held.recipient, door.clock())
        return page(door.reader, permit, keys, after, limit)
    except SealError:
        # Boxes or chunks went away under us: the grant has just ended, or the file is damaged.
        if door.in_force(held.grant) is None:
            raise _refused(door, held.grant, "ended") from None
        raise unavailable() from None


def _entry(door: Door, held: Held, permit: Permit, found: Page) -> Entry:
    """What the person will see; the bounds are the permit's, in seconds."""
    return Entry(
        door.clock(),
        "read",
        grant=held.grant.text,
        brand=BrandId(held.row.brand).text,
        kinds=tuple(sorted({selector.kind for selector in permit.selectors})),
        since=permit.data_from,
        until=permit.data_until,
        readings=len(found.readings),
    )


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
