"""Between Litestar and the handlers: where a request comes from, what it says, and how answers look."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency

from gateway.address import is_loopback
from gateway.door.context import Door
from gateway.door.errors import PROBLEM, DoorError, OAuthError, ProblemError, invalid_request
from gateway.door.forms import FORM, parse_form, single
from gateway.door.limits import source_key

HttpRequest: TypeAlias = Request[Any, Any, Any]
Answer: TypeAlias = Response[bytes]
TheDoor: TypeAlias = NamedDependency[Door]

OAUTH_PATHS: Final = frozenset({"/bc-authorize", "/token", "/introspect", "/revoke"})
OAUTH_BODY: Final = 64 << 10  # bytes
JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via")
ALWAYS: Final = {
    b"cache-control": b"no-store",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}


def answer_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """JSON, as every endpoint but the owner's answers."""
    body = msgspec.json.encode(value)
    return Response(body, media_type=JSON, status_code=status, headers=dict(headers or {}))


def answer_error(request: HttpRequest, error: DoorError) -> Answer:
    """A no, in the form that its endpoint's standard wants."""
    if request.scope["path"].rstrip("/") in OAUTH_PATHS and isinstance(error, ProblemError):
        error = OAuthError("invalid_request", error.detail, error.status, error.headers)
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # what is still to come is not waited for
        error.headers = {**error.headers, "Connection": "close"}
    match error:
        case OAuthError():
            body: dict[str, object] = {"error": error.error, "error_description": error.description}
            return answer_json(body, error.status, error.headers)
        case ProblemError():
            body = {
                "type": PROBLEM + error.slug,
                "title": error.title,
                "status": error.status,
                "detail": error.detail,
            }
            answer = answer_json(body, error.status, error.headers)
            answer.media_type = PROBLEM_JSON
            return answer
        case _:
            raise TypeError("an error of the door has one of two forms")


async def read_form(request: HttpRequest) -> dict[str, str]:
    """The parameters of an OAuth request; raises OAuthError, ProblemError."""
    if request.scope["query_string"]:  # addresses end up in logs
        raise invalid_request("Send every parameter in the body, none in the address.")
    content_type = single(request.scope["headers"], b"content-type")
    return parse_form(content_type, await request.body()) if content_type else parse_form(FORM, b"")


def address(request: HttpRequest) -> str:
    """The peer of the socket, whatever any header says."""
    client = request.scope["client"]
    return client[0] if client else ""


def source(request: HttpRequest) -> str:
    """The peer as a key for limits."""
    return source_key(address(request))


def is_local(request: HttpRequest) -> bool:
    """Whether a program on this machine asks, and not a proxy or a web page in somebody's name."""
    headers = request.scope["headers"]
    if any(name in FORWARDED or name == b"origin" for name, _ in headers):
        return False
    host = single(headers, b"host")
    return is_loopback(address(request)) and host is not None and is_loopback(_hostname(host))


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
