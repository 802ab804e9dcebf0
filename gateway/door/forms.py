"""Reading what arrives over HTTP, strictly: forms, queries and the headers that decide something.  Pure.

Two parsers that differ on a repeated parameter or header can be played against each other, so none may be
repeated (RFC 6749, section 3.1).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Final
from urllib.parse import parse_qsl, unquote_plus

import msgspec

from gateway.door.errors import (
    ProblemError,
    bad_query,
    invalid_client,
    invalid_request,
    no_token,
    not_json,
)
from gateway.questions import FUNCTIONS, MOST_CELLS, PERIODS, Function, Period, Question
from policies.iso8601 import parse_time

Headers = Iterable[tuple[bytes, bytes]]  # names in lower case, as ASGI has them

FORM: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 64
MAX_LIMIT: Final = 1000  # readings a page
ANSWERS_BODY: Final = 4 << 10  # bytes
_QUERY: Final = ("kind", "from", "until", "limit", "cursor")
_DIGITS: Final = 32  # of a number
_FORM: Final = (
    f"A question has kind, function ({', '.join(FUNCTIONS)}) and period ({', '.join(PERIODS)}), and may have"
    f" from, until, threshold (a number) and cells (a list of up to {MOST_CELLS} texts); nothing else."
)


class Credentials(msgspec.Struct, frozen=True):
    """What a client says it is."""

    client_id: str
    secret: str


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """The body of ``POST /answers``."""

    kind: str
    function: Function
    period: Period
    since: str | None = None
    until: str | None = None
    threshold: float | None = None
    cells: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_CELLS)] = ()


class Query(msgspec.Struct, frozen=True):
    """What ``GET /observations`` asks for; times are seconds, half-open."""

    kinds: tuple[str, ...] | None
    since: int | None
    until: int | None
    limit: int
    cursor: str


def single(headers: Headers, name: bytes) -> str | None:
    """The value of a header; None: not sent.

    Raises:
        ProblemError: sent twice, or not ASCII.
    """
    values = [value for key, value in headers if key == name]
    if len(values) > 1:
        raise bad_query(f"The header {name.decode()} is sent twice: send it once.")
    if not values:
        return None
    try:
        return values[0].decode("ascii").strip()
    except UnicodeDecodeError:
        raise bad_query(f"The header {name.decode()} is not ASCII.") from None


def parse_form(content_type: str | None, body: bytes) -> dict[str, str]:
    """The parameters of a form; one without a value counts as not sent.

    Raises:
        OAuthError: another media type, not UTF-8, more than 64 fields, or one of them twice.
    """
    if (content_type or "").partition(";")[0].strip().lower() != FORM:
        raise invalid_request(f"Send the parameters in the body, as {FORM}.")
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise invalid_request(f"The body is not {FORM} in UTF-8 with at most {MAX_FIELDS} fields.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise invalid_request("A parameter is sent twice: send each once.")
    return {name: value for name, value in form.items() if value}


def parse_query(raw: bytes) -> Query:
    """What to read; ``kind`` alone may be repeated.

    Raises:
        ProblemError: an unknown or repeated parameter, a token, or a value that is not of its form.
    """
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise bad_query("The query is not percent-encoded UTF-8.") from None
    kinds = tuple(dict.fromkeys(value for name, value in pairs if name == "kind"))
    others = [(name, value) for name, value in pairs if name != "kind"]
    if any(name == "access_token" for name, _ in others):
        raise token_in_url()
    if len({name for name, _ in others}) != len(others):
        raise bad_query("A parameter is sent twice; only kind may be.")
    if {name for name, _ in others} - set(_QUERY):
        raise bad_query(f"A parameter is unknown; there are {', '.join(_QUERY)}.")
    given = dict(others)
    return Query(
        kinds or None, _moment(given, "from"), _moment(given, "until"), _limit(given), given.get("cursor", "")
    )


def parse_question(headers: Headers, query: bytes, body: bytes) -> Question:
    """What is asked of ``POST /answers``.

    Raises:
        ProblemError: something in the address, another media type, not JSON, or anything unknown, named twice
            or not of its form.
    """
    if query:
        if b"access_token" in query:
            raise token_in_url()
        raise bad_query("Send the question in the body, nothing in the address.")
    if (single(headers, b"content-type") or "").partition(";")[0].strip().lower() != "application/json":
        raise not_json()
    try:
        members = json.loads(
            body.decode(),
            object_pairs_hook=_members,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_number,
        )
        asked = msgspec.convert(members, Asked)
    except msgspec.ValidationError:
        raise bad_query(_FORM) from None
    except (ValueError, RecursionError):
        raise bad_query("The body is not strict JSON in UTF-8, each member named once.") from None
    times = {"from": asked.since, "until": asked.until}
    given = {name: text for name, text in times.items() if text is not None}
    return Question(
        asked.kind,
        asked.function,
        asked.period,
        _moment(given, "from"),
        _moment(given, "until"),
        asked.threshold,
        asked.cells,
    )


def token_in_url() -> ProblemError:
    """Addresses end up in logs and histories; a token must not."""
    return bad_query(
        "An access token in the address is refused, because addresses are written to logs."
        " Send it in the header: Authorization: Bearer htg_... and revoke this one."
    )


def parse_bearer(headers: Headers) -> str:
    """The access token.

    Raises:
        ProblemError: no Authorization header, another scheme, or more than one.
    """
    scheme, _, token = (single(headers, b"authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise no_token()
    return token.strip()


def parse_client(headers: Headers, form: Mapping[str, str]) -> Credentials:
    """Who asks, by HTTP Basic or by the form (RFC 6749, section 2.3.1).

    Raises:
        OAuthError: neither or both, or not of its form.
    """
    header = single(headers, b"authorization")
    posted = form.get("client_id"), form.get("client_secret")
    if header is None:
        if posted[0] is None or posted[1] is None:
            raise invalid_client()
        return Credentials(posted[0], posted[1])
    found = _basic(header)
    if posted[1] is not None or posted[0] not in (None, found.client_id):
        raise invalid_request("The client authenticates twice: use Basic or the form, not both.")
    return found


def _basic(header: str) -> Credentials:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise invalid_client()
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
        if not colon:
            raise invalid_client()
        return Credentials(unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict"))
    except (binascii.Error, UnicodeError):
        raise invalid_client() from None


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _number(digits: str) -> float:
    value = float(digits) if len(digits) <= _DIGITS else math.inf
    if not math.isfinite(value):
        raise ValueError("a number is too large, or none")
    return value


def _moment(given: Mapping[str, str], name: str) -> int | None:
    if name not in given:
        return None
    try:
        return parse_time(given[name])
    except ValueError:
        raise bad_query(f"{name} is no moment: write it like 2026-01-31T00:00:00Z.") from None


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("limit", str(MAX_LIMIT))
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise bad_query(f"limit is a number from 1 to {MAX_LIMIT}.")
    return int(text)
