"""The client's side of WebSockets for tests: frames that can lie, around the packets of ``RawClient``.

Written from RFC 6455 and independent of the library that the door uses.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl

from tests.mqtt_client import RawClient

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_FRAME = 60_000
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


def frame(
    payload: bytes, opcode: int = BINARY, *, fin: bool = True, mask: bool = True, rsv: int = 0, lie: int = 0
) -> bytes:
    """A frame; ``lie`` is added to the length that it names."""
    size = len(payload) + lie
    head = bytes((fin << 7 | rsv << 4 | opcode,))
    if size < 126:
        head += bytes((mask << 7 | size,))
    elif size < 1 << 16:
        head += bytes((mask << 7 | 126,)) + size.to_bytes(2, "big")
    else:
        head += bytes((mask << 7 | 127,)) + size.to_bytes(8, "big")
    if not mask:
        return head + payload
    key = os.urandom(4)
    words = len(payload) // 4 + 1
    whole = int.from_bytes(payload.ljust(4 * words, b"\0"), "big") ^ int.from_bytes(key * words, "big")
    return head + key + whole.to_bytes(4 * words, "big")[: len(payload)]


def request(path: str = "/mqtt", without: str = "", **headers: str) -> bytes:
    """A request for an upgrade; headers are named with ``_`` for ``-``, and replace those that it has."""
    fields = {
        "host": "localhost",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": base64.b64encode(bytes(16)).decode(),
        "sec-websocket-version": "13",
        "sec-websocket-protocol": "mqtt",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    fields.pop(without, None)
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode()


class WebSocketClient(RawClient):
    """As ``RawClient``, with every ``send`` in frames; ``closing`` is the code of the door's Close."""

    def __init__(
        self,
        port: int,
        tls: ssl.SSLContext | None = None,
        receive_buffer: int = 0,
        *,
        upgrade: bytes | None = None,
        early: bytes = b"",
    ) -> None:
        super().__init__(port, tls, receive_buffer)
        self.closing: int | None = None
        self.opcodes: list[int] = []  # of the frames that came
        self._payload = b""
        self.socket.sendall((request() if upgrade is None else upgrade) + early)
        self.status, self.headers = self._answer()

    def _answer(self) -> tuple[int, dict[str, str]]:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            try:
                byte = self.socket.recv(1)
            except ConnectionResetError:
                byte = b""
            if not byte:
                return 0, {}
            head += byte
        first, *lines = head.decode().split("\r\n")[:-2]
        named = (line.partition(":") for line in lines)
        return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in named}

    def packed(self, *data: bytes) -> bytes:
        """Packets in frames that the door takes from anybody."""
        joined = b"".join(data)
        return b"".join(frame(joined[at : at + _FRAME]) for at in range(0, len(joined), _FRAME) or (0,))

    def _wire(self, size: int) -> bytes:
        return RawClient._exactly(self, size)

    def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload; raises EOFError."""
        try:
            first, size = self._wire(2)
            assert first & 0x70 == 0
            assert size < 0x80, "a server's frames are not masked"
            if size >= 126:
                size = int.from_bytes(self._wire(2 if size == 126 else 8), "big")
            opcode, payload = first & 15, self._wire(size)
        except ConnectionResetError:
            raise EOFError from None
        self.opcodes.append(opcode)
        if opcode == CLOSE:
            self.closing = int.from_bytes(payload[:2], "big") if payload else 1005
        return opcode, payload

    def _exactly(self, size: int) -> bytes:
        while len(self._payload) < size:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                raise EOFError
            if opcode == BINARY:
                self._payload += payload
        data, self._payload = self._payload[:size], self._payload[size:]
        return data

    def finished(self) -> bool:
        """After a Close: whether the connection ends, too."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            return False
        return True


def accept_key(key: str) -> str:
    """What a server answers to a key, RFC 6455, section 4.2.2."""
    digest = hashlib.sha1(key.encode() + _GUID)  # noqa: S324  the RFC's choice; it protects nothing
    return base64.b64encode(digest.digest()).decode()
