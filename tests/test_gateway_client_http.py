"""The transport: no key crosses a network in the clear, and every fault has one name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from gateway import wire
from gateway.client.errors import (
    REFUSALS,
    AddressError,
    AnswerError,
    ConflictError,
    InvalidError,
    NotAuthorisedError,
    RefusalError,
    ThrottledError,
    TooLargeError,
    UnavailableError,
    UnreachableError,
)
from gateway.client.http import Http, check_address
from gateway.client.session import expect

GOOD = [
    "http://127.0.0.1:8080",
    "http://127.9.9.9",
    "http://[::1]:8080",
    "http://localhost:1",
    "https://vault.example",
    "https://vault.example:8443/base/",
]
BAD = [
    "http://vault.example",
    "http://192.168.1.7:8080",
    "http://127.0.0.1.example",
    "http://localhost.example",
    "ftp://localhost",
    "localhost:8080",
    "https://",
    "https://user:password@vault.example",
    "https://vault.example/?a=b",
    "https://vault.example/#a",
    "https://vault.example:port",
    "http://[::1",
    "",
]


@pytest.mark.parametrize("address", GOOD)
def test_https_and_loopback_are_spoken_to(address: str) -> None:
    assert check_address(address) == address.rstrip("/")


@pytest.mark.parametrize("address", BAD)
def test_anything_else_is_not(address: str) -> None:
    with pytest.raises(AddressError):
        check_address(address)


@contextmanager
def answering(
    body: bytes, status: int = 200, kind: str = "application/msgpack", **headers: str
) -> Iterator[str]:
    """A server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", kind)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


DONE = wire.encode(wire.Done())
CALL = wire.Salts(bytes(16))


def test_an_answer_is_read() -> None:
    with answering(DONE) as url, Http(url) as http:
        assert http.exchange("/owner/salts", CALL) == wire.Done()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", "text/html"),
        (DONE, "application/json"),
        (b"", "application/msgpack"),
        (b"\xc1", "application/msgpack"),
        (DONE + b"\0", "application/msgpack"),
        (b"\x81\xa4type\xa6Newest", "application/msgpack"),
        (b"\x91" * 5000 + b"\xc0", "application/msgpack"),
    ],
    ids=[
        "a web page",
        "another type",
        "empty",
        "no MessagePack",
        "too much",
        "an unknown reply",
        "deep nesting",
    ],
)
def test_what_is_not_ours_is_told(body: bytes, kind: str) -> None:
    with answering(body, kind=kind) as url, Http(url) as http, pytest.raises(AnswerError):
        http.exchange("/owner/salts", CALL)


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, InvalidError), (413, TooLargeError), (429, ThrottledError), (503, UnavailableError)],
)
def test_a_problem_of_the_door_is_told_in_its_words(status: int, error: type[RefusalError]) -> None:
    body = b'{"type": "about:blank", "title": "no", "detail": "later", "status": 0}'
    with (
        answering(body, status, "application/problem+json") as url,
        Http(url) as http,
        pytest.raises(error) as raised,
    ):
        http.exchange("/owner/salts", CALL)
    assert (raised.value.what, raised.value.hint) == ("no", "later")


def test_a_redirect_is_not_followed() -> None:
    with (
        answering(DONE) as elsewhere,
        answering(b"", 307, "text/plain", location=elsewhere) as url,
        Http(url) as http,
        pytest.raises(AnswerError),
    ):
        http.exchange("/owner/salts", CALL)


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with answering(DONE) as url, Http(url) as http:
        assert http.exchange("/owner/salts", CALL) == wire.Done()


def test_nobody_at_the_address_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        with Http(f"http://127.0.0.1:{taken.getsockname()[1]}") as http, pytest.raises(UnreachableError):
            http.exchange("/owner/salts", CALL)


def test_a_server_that_says_nothing_is_unreachable_after_a_while() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with Http(url, timeout_s=0.2) as http, pytest.raises(UnreachableError, match="in time"):
            http.exchange("/owner/salts", CALL)


def test_an_authority_that_is_no_certificate_is_told() -> None:
    with Http("https://127.0.0.1:1", "no certificate") as http, pytest.raises(AddressError):
        http.exchange("/owner/salts", CALL)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("not_authorised", NotAuthorisedError),
        ("conflict", ConflictError),
        ("throttled", ThrottledError),
        ("of the future", InvalidError),
    ],
)
def test_every_no_has_its_error(code: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        expect(wire.Refused(code, "no", "try later", 7), wire.Done)


def test_the_closed_set_of_codes_is_known() -> None:
    assert set(REFUSALS) == {
        "not_authorised",
        "not_found",
        "conflict",
        "refused",
        "throttled",
        "invalid",
        "unavailable",
        "frozen",
        "too_large",
    }
