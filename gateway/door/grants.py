"""What a brand may know and do about its own grants: introspection, revocation, Grant Management."""

from __future__ import annotations

from typing import assert_never

from litestar import Response, delete, get, post
from litestar.params import FromPath

from gateway.door.clients import authenticate
from gateway.door.context import Door
from gateway.door.errors import (
    OAuthError,
    ProblemError,
    invalid_request,
    oauth_unavailable,
    slow,
    unavailable,
    unknown_grant,
)
from gateway.door.http import OAUTH_BODY, Answer, HttpRequest, TheDoor, answer_json, read_form, source
from gateway.wire import Done, Refused, ReturnGrant
from policies.grant import Active, Denied, Ended, GrantState, Lapsed, Paused, Pending, Preparing
from policies.granted import granted_details
from policies.iso8601 import format_time
from vault.errors import FormatError
from vault.grantkey import grant_of_token
from vault.ids import BrandId, GrantId
from vault.store.records import BrandRow, GrantRow


@post("/introspect", status_code=200, request_max_body_size=OAUTH_BODY)
async def introspect(request: HttpRequest, door: TheDoor) -> Answer:
    """Whether a token of one's own is in force (RFC 7662); everybody else's is not."""
    form = await read_form(request)
    brand = authenticate(door, request.scope["headers"], form, source(request))
    row = _own_token(door, brand, form)
    if row is None or not isinstance(row.state, Active):
        return answer_json({"active": False})
    terms = row.state.terms
    return answer_json(
        {
            "active": True,
            "client_id": BrandId(row.brand).text,
            "token_type": "Bearer",
            "iss": door.config.public_url,
            "iat": row.state.active // 1000,
            "exp": terms.access_until,
            "authorization_details": granted_details(terms),
            "grant_id": GrantId(row.grant).text,
        }
    )


@post("/revoke", status_code=200, request_max_body_size=OAUTH_BODY)
async def revoke(request: HttpRequest, door: TheDoor) -> Answer:
    """Give a token back, and the grant with it (RFC 7009); a token that is none of one's own: done, too."""
    form = await read_form(request)
    brand = authenticate(door, request.scope["headers"], form, source(request))
    row = _own_token(door, brand, form)
    if row is not None:
        await door.tell(ReturnGrant(row.grant), oauth_unavailable)
        door.forget(GrantId(row.grant))
    return answer_json({})


@get("/grants/{grant_id:str}")
async def show_grant(request: HttpRequest, door: TheDoor, grant_id: FromPath[str]) -> Answer:
    """The state of one's own request or grant."""
    row = _own(request, door, grant_id)
    return answer_json(
        {
            "grant_id": grant_id,
            **_status(row.state),
            "asked_at": format_time(row.asked // 1000),
        }
    )


@delete("/grants/{grant_id:str}", status_code=204)
async def return_grant(request: HttpRequest, door: TheDoor, grant_id: FromPath[str]) -> Response[None]:
    """Give a grant back, or take a request back that nobody answered yet."""
    row = _own(request, door, grant_id)
    reply = await door.ask(ReturnGrant(row.grant))
    match reply:
        case Done():
            door.forget(GrantId(row.grant))
            return Response(None, status_code=204)
        case Refused(code="conflict"):
            raise ProblemError("ended", "The grant has ended already.", "There is nothing left to end.", 409)
        case _:
            raise unavailable()


def _own_token(door: Door, brand: BrandRow, form: dict[str, str]) -> GrantRow | None:
    """The grant whose token this is, if it is this brand's and has not ended."""
    if "token" not in form:
        raise invalid_request("token is missing.")
    try:
        grant = grant_of_token(form["token"])
    except FormatError:
        return None
    found = door.find(grant)
    if found is None or found[1].brand != brand.brand:
        return None
    held = door.hold(form["token"], found[0], grant)
    return held.row if held and (not isinstance(held.row.state, Active) or door.in_force(grant)) else None


def _own(request: HttpRequest, door: Door, grant_id: str) -> GrantRow:
    """The brand's own grant; raises ProblemError, of one kind for unknown ones and for others'."""
    try:
        brand = authenticate(door, request.scope["headers"], {}, source(request))
    except OAuthError as error:
        raise _problem(error) from None
    try:
        found = door.find(GrantId.parse(grant_id))
    except FormatError:
        found = None
    if found is None or found[1].brand != brand.brand:
        raise unknown_grant()
    return found[1]


def _problem(error: OAuthError) -> ProblemError:
    if error.status == 429:
        return slow(int(error.headers["Retry-After"]))
    return ProblemError(
        "unauthorized",
        "The client must authenticate.",
        "Send client_id and client_secret as HTTP Basic credentials.",
        401,
        error.headers,
    )


def _status(state: GrantState) -> dict[str, object]:
    match state:
        case Pending(expires=expires):
            return {"status": "pending", "expires_at": format_time(expires // 1000)}
        case Preparing():
            return {"status": "pending"}  # nothing can be read yet: to a brand this is one state
        case Active(terms=terms):
            return {"status": "active", "authorization_details": granted_details(terms)}
        case Paused():
            return {"status": "paused"}
        case Denied():
            return {"status": "denied"}
        case Lapsed():
            return {"status": "lapsed"}
        case Ended(at=at, why=why):
            return {"status": "ended", "ended_at": format_time(at // 1000), "why": why}
        case _:
            assert_never(state)
