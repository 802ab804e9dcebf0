"""Asking and collecting: CIBA in poll mode with Rich Authorization Requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, assert_never

from litestar import get, post

from gateway.door.clients import authenticate
from gateway.door.context import Door
from gateway.door.errors import OAuthError, invalid_request, oauth_slow, oauth_unavailable
from gateway.door.http import OAUTH_BODY, Answer, HttpRequest, TheDoor, answer_json, read_form, source
from gateway.door.metadata import GRANT_TYPE, authorization_server, protected_resource
from gateway.wire import AskGrant, PickedUp, Refused
from policies.errors import RequestError
from policies.grant import Active, Denied, Ended, Lapsed, Paused, Pending, Preparing
from policies.granted import granted_details
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.request import format_details, parse_details
from policies.strict import canonical, unshowable
from vault.errors import FormatError, VaultError
from vault.grantkey import draw, grant_of_pickup, pick_up
from vault.ids import GrantId, TouchpointId, VaultId
from vault.store.records import BrandRow, GrantRow
from vault.store.sector import Frozen

DEFAULT_EXPIRY_S: Final = 7 * DAY  # people answer in days
LONGEST_EXPIRY_S: Final = 30 * DAY
PICKUP_MS: Final = 15 * 60_000  # after the first pick-up, the same token again
MAX_MESSAGE: Final = 100  # characters


@get(["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"])
async def server_metadata(door: TheDoor) -> Answer:
    """RFC 8414; the second address is where OpenID's clients look."""
    return answer_json(authorization_server(door.config))


@get("/.well-known/oauth-protected-resource")
async def resource_metadata(door: TheDoor) -> Answer:
    """RFC 9728."""
    return answer_json(protected_resource(door.config))


@post("/bc-authorize", status_code=200, request_max_body_size=OAUTH_BODY)
async def bc_authorize(request: HttpRequest, door: TheDoor) -> Answer:
    """A brand asks the person behind a touchpoint (CIBA, section 7.1)."""
    form = await read_form(request)
    brand = authenticate(door, request.scope["headers"], form, source(request))
    now = door.now()
    if "request" in form:
        raise invalid_request("Signed requests are not supported: send the parameters themselves.")
    hint, expires_in, message = _login_hint(form), _expiry(form), _binding_message(form)
    if "authorization_details" not in form:
        raise invalid_request("authorization_details is missing: say what you ask for, as a JSON list.")
    try:
        asks = parse_details(form["authorization_details"], catalogue(), purposes(), now // 1000)
    except RequestError as error:
        raise OAuthError("invalid_authorization_details", str(error)) from None
    # An address that leads nowhere costs as much as one that does: keys are drawn and the node is asked.
    grant = GrantId.new(door.entropy)
    vault = door.reader.locate(hint) or VaultId.new(door.entropy)
    drawn = draw(vault, grant, door.entropy)
    reply = await door.ask(
        AskGrant(
            grant=grant,
            touchpoint=hint,
            brand=brand.brand,
            public=drawn.public,
            wrapped_seed=drawn.wrapped_seed,
            slot=drawn.slot,
            ask=canonical(format_details(asks)),
            binding_message=message,
            expires=now + expires_in * 1000,
        ),
        oauth_unavailable,
    )
    if isinstance(reply, Refused):
        raise _refused_ask(reply)
    return answer_json(
        {
            "auth_req_id": drawn.auth_req_id,
            "expires_in": expires_in,
            "interval": door.config.poll_interval,
        }
    )


@post("/token", status_code=200, request_max_body_size=OAUTH_BODY)
async def token(request: HttpRequest, door: TheDoor) -> Answer:
    """A brand polls for the person's answer (CIBA, sections 10.1 and 11)."""
    form = await read_form(request)
    brand = authenticate(door, request.scope["headers"], form, source(request))
    if form.get("grant_type") is None:
        raise invalid_request(f"grant_type is missing: send {GRANT_TYPE}.")
    if form["grant_type"] != GRANT_TYPE:
        raise OAuthError("unsupported_grant_type", f"The only grant_type is {GRANT_TYPE}.")
    if "auth_req_id" not in form:
        raise invalid_request("auth_req_id is missing: send the one from /bc-authorize.")
    vault, row = _own_request(door, brand, form["auth_req_id"])
    now = door.now()
    match row.state:
        case Pending(expires=expires) if now >= expires:
            raise _expired()
        case Pending() | Preparing():
            _pick_up(door, form["auth_req_id"], vault, row)  # only whoever asked is told that it waits
            if not door.pace.keeps(row.grant, now):
                raise OAuthError("slow_down", "Wait five seconds longer between two polls than you did.")
            raise OAuthError("authorization_pending", "The person has not answered yet: go on polling.")
        case Active(terms=terms) if now < terms.access_until * 1000:
            if door.reader.clock().frozen is not Frozen.NO:
                raise oauth_unavailable(60)
            if row.picked_up is not None and now > row.picked_up + PICKUP_MS:
                raise _used()
            access_token = _pick_up(door, form["auth_req_id"], vault, row)
            if row.picked_up is None:
                await door.tell(PickedUp(row.grant), oauth_unavailable)
            door.pace.forget(row.grant)
            door.serve(GrantId(row.grant))
            return answer_json(
                {
                    "access_token": access_token,
                    "token_type": "Bearer",
                    "expires_in": terms.access_until - now // 1000,
                    "authorization_details": granted_details(terms),
                    "grant_id": GrantId(row.grant).text,
                }
            )
        case Denied():
            raise OAuthError("access_denied", "The person said no. Ask again only with something new to say.")
        case Lapsed():
            raise _expired()
        case Active() | Paused() | Ended():
            raise OAuthError("invalid_grant", "The grant has ended. Ask for a new one at /bc-authorize.")
        case _:
            assert_never(row.state)


def _own_request(door: Door, brand: BrandRow, auth_req_id: str) -> tuple[VaultId, GrantRow]:
    """The request that this client made; another's looks like none at all."""
    try:
        found = door.find(grant_of_pickup(auth_req_id))
    except FormatError:
        found = None
    if found is None or found[1].brand != brand.brand:
        raise _unknown()
    return found


def _pick_up(door: Door, auth_req_id: str, vault: VaultId, row: GrantRow) -> str:
    grant = GrantId(row.grant)
    slot, wrapped = door.reader.slot(vault, grant), door.reader.wrapped_seed(vault, grant)
    if slot is None or wrapped is None:
        raise _unknown()
    if not any(slot.pickup_salt):
        raise _used()
    try:
        return pick_up(auth_req_id, slot, wrapped, vault)
    except VaultError:
        raise _unknown() from None


def _login_hint(form: Mapping[str, str]) -> TouchpointId:
    hints = [name for name in ("login_hint", "login_hint_token", "id_token_hint") if name in form]
    if hints != ["login_hint"]:
        raise invalid_request("Send exactly one hint, login_hint, with the touchpoint the person gave you.")
    try:
        return TouchpointId.parse(form["login_hint"])
    except FormatError:
        raise _nobody() from None


def _expiry(form: Mapping[str, str]) -> int:
    text = form.get("requested_expiry", str(DEFAULT_EXPIRY_S))
    if not (text.isascii() and text.isdecimal() and len(text) <= 7 and 1 <= int(text) <= LONGEST_EXPIRY_S):
        raise invalid_request(f"requested_expiry is a number of seconds from 1 to {LONGEST_EXPIRY_S}.")
    return int(text)


def _binding_message(form: Mapping[str, str]) -> str:
    text = form.get("binding_message", "")
    if len(text) > MAX_MESSAGE or unshowable(text) is not None or text != text.strip():
        raise OAuthError(
            "invalid_binding_message",
            f"binding_message is plain words on one line, at most {MAX_MESSAGE} characters.",
        )
    return text


def _refused_ask(reply: Refused) -> OAuthError:
    match reply.code:
        case "not_found":
            return _nobody()
        case "conflict":
            return invalid_request("A request at this touchpoint still waits: poll the one you have.")
        case "throttled":
            return oauth_slow(max(1, reply.retry_after))
        case "invalid" | "refused" | "too_large":
            return invalid_request("The request cannot be put before the person as it stands.")
        case _:
            return oauth_unavailable(max(5, reply.retry_after))


def _nobody() -> OAuthError:
    """Unknown, ended and somebody else's touchpoint: all alike."""
    return OAuthError(
        "unknown_user_id", "login_hint leads to nobody: ask the person for a touchpoint made for you."
    )


def _unknown() -> OAuthError:
    return OAuthError("invalid_grant", "The auth_req_id is not one of yours.")


def _used() -> OAuthError:
    return OAuthError("invalid_grant", "The token was handed out and used: go on with it, or ask anew.")


def _expired() -> OAuthError:
    return OAuthError("expired_token", "The person did not answer in time. Ask again at /bc-authorize.")
