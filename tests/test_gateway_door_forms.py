"""What arrives over HTTP is read strictly: what two parsers could read differently is refused."""

from __future__ import annotations

import base64

import pytest

from gateway.door.errors import DoorError, OAuthError, ProblemError
from gateway.door.forms import (
    FORM,
    Credentials,
    Query,
    parse_bearer,
    parse_client,
    parse_form,
    parse_query,
    single,
)

ALL = Query(None, None, None, 1000, "")


def basic(text: str) -> list[tuple[bytes, bytes]]:
    """An Authorization header of HTTP Basic."""
    return [(b"authorization", b"Basic " + base64.b64encode(text.encode()))]


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=%C3%A4+b%26c", {"a": "ä b&c"}),
        (b"a=&b=2", {"b": "2"}),  # RFC 6749, section 3.1: sent without a value is not sent
    ],
)
def test_a_form_is_read(body: bytes, form: dict[str, str]) -> None:
    assert parse_form(FORM, body) == form
    assert parse_form(f"{FORM}; charset=UTF-8", body) == form


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b"a=1&a=1"),
        (FORM, b"a=&a=1"),
        (FORM, b"a"),
        (FORM, b"a=%FF"),
        (FORM, "a=ä".encode()),
        (FORM, b"&".join(b"a%d=1" % n for n in range(65))),
        ("application/json", b"{}"),
        ("multipart/form-data; boundary=x", b""),
        (None, b"a=1"),
    ],
)
def test_a_form_that_could_be_read_in_two_ways_is_refused(content_type: str | None, body: bytes) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_form(content_type, body)
    assert caught.value.error == "invalid_request"


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (b"", ALL),
        (b"kind=energy&kind=power&kind=energy", Query(("energy", "power"), None, None, 1000, "")),
        (
            b"from=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z",
            Query(None, 1767225600, 1767312000, 1000, ""),
        ),
        (b"limit=1&cursor=abc", Query(None, None, None, 1, "abc")),
    ],
)
def test_a_query_is_read(raw: bytes, query: Query) -> None:
    assert parse_query(raw) == query


@pytest.mark.parametrize(
    "raw",
    [
        b"kinds=energy",
        b"limit=1&limit=1",
        b"limit=0",
        b"limit=1001",
        b"limit=-1",
        b"limit=%D9%A1",  # a digit, but not one of ours
        b"limit=99999999999999999999",
        b"from=2026-01-01",
        b"from=2026-01-01T00:00:00+00:00",
        b"from=2026-02-30T00:00:00Z",
        b"from=",
        b"access_token=htg_x",
        b"kind=%FF",
        b"&".join(b"kind=a%d" % n for n in range(65)),
    ],
)
def test_a_query_that_means_nothing_is_refused(raw: bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_query(raw)
    assert caught.value.status == 400


def test_a_token_in_the_address_is_told_where_it_belongs() -> None:
    with pytest.raises(ProblemError, match="bad-request") as caught:
        parse_query(b"access_token=htg_secret")
    assert "Authorization: Bearer" in caught.value.detail
    assert "secret" not in caught.value.detail


def test_a_header_that_decides_something_comes_once() -> None:
    headers = [(b"authorization", b"Bearer a"), (b"host", b"x"), (b"authorization", b"Bearer b")]
    assert single(headers, b"host") == "x"
    assert single(headers, b"cookie") is None
    with pytest.raises(ProblemError):
        parse_bearer(headers)
    with pytest.raises(ProblemError):
        single([(b"host", "ä".encode())], b"host")


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Bearer ", b"Basic YTpi", b"htg_x", b"DPoP x"])
def test_without_a_token_nobody_says_what_was_wrong_with_it(value: bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_bearer([(b"authorization", value)])
    assert caught.value.headers["WWW-Authenticate"] == 'Bearer realm="hypertouch"'


def test_the_scheme_has_no_case() -> None:
    assert parse_bearer([(b"authorization", b"bEARER  abc ")]) == "abc"


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        (basic("id:secret"), {}),
        (basic("id:secret"), {"client_id": "id"}),
        (basic("%69d:se%63ret"), {}),  # both halves are form-encoded first (RFC 6749, section 2.3.1)
        ([], {"client_id": "id", "client_secret": "secret"}),
    ],
)
def test_a_client_says_who_it_is(headers: list[tuple[bytes, bytes]], form: dict[str, str]) -> None:
    assert parse_client(headers, form) == Credentials("id", "secret")


@pytest.mark.parametrize(
    ("headers", "form", "error"),
    [
        ([], {}, "invalid_client"),
        ([], {"client_id": "id"}, "invalid_client"),
        ([(b"authorization", b"Bearer x")], {}, "invalid_client"),
        ([(b"authorization", b"Basic !")], {}, "invalid_client"),
        ([(b"authorization", b"Basic aWQ=")], {}, "invalid_client"),
        (basic("id:%FF"), {}, "invalid_client"),
        (basic("id:secret"), {"client_secret": "secret"}, "invalid_request"),
        (basic("id:secret"), {"client_id": "id", "client_secret": "secret"}, "invalid_request"),
        (basic("id:secret"), {"client_id": "other"}, "invalid_request"),
    ],
)
def test_a_client_says_it_once(headers: list[tuple[bytes, bytes]], form: dict[str, str], error: str) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_client(headers, form)
    assert caught.value.error == error


def test_a_description_holds_only_what_the_standard_allows() -> None:
    error = OAuthError("invalid_request", 'a "quoted" \\ \x1b[31m ä')
    assert error.description == "a ?quoted? ? ?[31m ?"
    assert isinstance(error, DoorError)
