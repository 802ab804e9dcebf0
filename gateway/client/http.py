"""Calls over HTTP: MessagePack there and back, every fault of the transport as one of our errors.

One connection pool a command. No redirects, no proxies and no settings from the environment: whoever
can set a variable must not be able to send a person's keys elsewhere.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import msgspec

from gateway.address import is_loopback
from gateway.client.errors import (
    AddressError,
    AnswerError,
    ClientError,
    InvalidError,
    ThrottledError,
    TooLargeError,
    UnavailableError,
    UnreachableError,
)
from gateway.wire import NOT_OURS, AnyReply, Call, Envelope, encode

if TYPE_CHECKING:
    import httpx

TIMEOUT_S: Final = 30.0  # for connecting, and between two pieces of an answer
MAX_ANSWER: Final = 96 << 20  # bytes
MEDIA_TYPE: Final = "application/msgpack"
PROBLEM: Final = "application/problem+json"
_REPLY: Final[msgspec.msgpack.Decoder[AnyReply]] = msgspec.msgpack.Decoder(AnyReply)


class Http:
    """Speaks to one door.

    ``base_url`` is https, or http on loopback. ``ca_pem`` is the only authority that is believed; None:
    the system's own.
    """

    def __init__(self, base_url: str, ca_pem: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Raises AddressError. Connects with the first exchange."""
        self.base_url = check_address(base_url)
        self._ca_pem = ca_pem
        self._timeout_s = timeout_s
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def exchange(self, path: str, call: Call | Envelope) -> AnyReply:
        """Post one call and return the answer, a ``Refused`` included.

        Raises:
            UnreachableError: nobody answered.
            AnswerError: what answered is not a door of ours, or a newer one that we do not understand.
        """
        body = self._post(path, encode(call))
        try:
            return _REPLY.decode(body)
        except NOT_OURS:
            raise AnswerError("the server's answer is not in a format this version knows") from None

    def _post(self, path: str, body: bytes) -> bytes:
        if self._client is None:
            self._client = connect(self.base_url, self._ca_pem, self._timeout_s)
        headers = {"content-type": MEDIA_TYPE, "accept": MEDIA_TYPE, "accept-encoding": "identity"}
        with faults(), self._client.stream("POST", path, content=body, headers=headers) as answer:
            kind = answer.headers.get("content-type", "").partition(";")[0].strip()
            if kind not in (MEDIA_TYPE, PROBLEM):
                raise AnswerError(f"what answers at {self.base_url} is not a Hypertouch server")
            received = bytearray()
            for piece in answer.iter_raw():
                received += piece
                if len(received) > MAX_ANSWER:
                    raise AnswerError("the server's answer is larger than any we asked for")
            if kind == PROBLEM:
                raise _problem(answer.status_code, bytes(received))
            return bytes(received)


def check_address(base_url: str) -> str:
    """The base URL without a slash at its end.

    Raises:
        AddressError: not a base URL, or plain http to another computer.
    """
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname or "", parts.port  # the port is checked when it is read
    except ValueError:
        raise AddressError("the server's address is not a URL") from None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise AddressError("the server's address is not like https://host:port")
    if parts.scheme == "http" and not is_loopback(host):
        raise AddressError("http is for this computer only; over a network the address begins with https")
    return base_url.rstrip("/")


def connect(base_url: str, ca_pem: str | None, timeout_s: float = TIMEOUT_S) -> httpx.Client:
    """An HTTP client for one server, as this package wants them."""
    import httpx  # 0.2 s: never at the start of a command that does not need it

    return httpx.Client(
        base_url=base_url,
        verify=_tls(ca_pem) if base_url.startswith("https:") else True,
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
        headers={"user-agent": "hypertouch"},
    )


@contextmanager
def faults() -> Iterator[None]:
    """Turn what httpx raises into ours; its texts may hold what nobody should see."""
    import httpx

    try:
        yield
    except httpx.TimeoutException:
        raise UnreachableError("the server did not answer in time") from None
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise UnreachableError("the server's certificate is signed by nobody you trust") from None
        raise UnreachableError("nobody answers at the server's address") from None
    except httpx.RemoteProtocolError:
        raise UnreachableError("the server closed the connection") from None
    except httpx.HTTPError:
        raise UnreachableError("the connection to the server broke") from None


def _tls(ca_pem: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca_pem or None)
    except ssl.SSLError:
        raise AddressError("the server's authority is not a certificate in PEM") from None


def _problem(status: int, body: bytes) -> ClientError:
    """The error for a problem (RFC 9457) that came before anybody looked at the call."""
    try:
        said = msgspec.json.decode(body, type=_Problem)
    except NOT_OURS:
        return AnswerError("the server's answer is not in a format this version knows")
    kind = {413: TooLargeError, 429: ThrottledError}.get(status, InvalidError)
    return (UnavailableError if status >= 500 else kind)(said.title, said.detail)


class _Problem(msgspec.Struct):
    title: str = "the server could not answer"
    detail: str = ""
