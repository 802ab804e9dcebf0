"""The client's side of MQTT for tests: an encoder that can lie, and a blocking client that sees raw packets.

Independent of ``gateway.mqtt`` but for its structs, so that a shared misunderstanding does not hide.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self


def varint(value: int) -> bytes:
    """A variable byte integer."""
    out = bytearray()
    while True:
        value, group = divmod(value, 128)
        out.append(group | (0x80 if value else 0))
        if not value:
            return bytes(out)


def field(value: bytes | str) -> bytes:
    """A string or binary data with its two-byte length."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def frame(first: int, body: bytes) -> bytes:
    """A packet with this first byte."""
    return bytes((first,)) + varint(len(body)) + body


def props(version: int, raw: bytes = b"") -> bytes:
    """Properties given as their bytes; nothing for MQTT 3."""
    return varint(len(raw)) + raw if version == 5 else b""


def connect(
    version: int = 4,
    client_id: str = "me",
    username: str | None = "meter",
    password: bytes | None = b"right",
    *,
    clean: bool = True,
    keep_alive: int = 0,
    will: tuple[str, bytes, int, bool] | None = None,
    properties: bytes = b"",
    will_properties: bytes = b"",
) -> bytes:
    """CONNECT."""
    flags = (username is not None) << 7 | (password is not None) << 6 | clean << 1
    if will is not None:
        flags |= 0x04 | will[2] << 3 | will[3] << 5
    body = (
        field("MQIsdp" if version == 3 else "MQTT") + bytes((version, flags)) + keep_alive.to_bytes(2, "big")
    )
    body += props(version, properties) + field(client_id)
    if will is not None:
        body += props(version, will_properties) + field(will[0]) + field(will[1])
    for value in (username, password):
        body += field(value) if value is not None else b""
    return frame(0x10, body)


def publish(
    topic: str | bytes,
    payload: bytes,
    qos: int = 1,
    packet_id: int = 1,
    *,
    version: int = 4,
    dup: bool = False,
    retain: bool = False,
    properties: bytes = b"",
) -> bytes:
    """PUBLISH."""
    body = (
        field(topic) + (packet_id.to_bytes(2, "big") if qos else b"") + props(version, properties) + payload
    )
    return frame(0x30 | dup << 3 | qos << 1 | retain, body)


def subscribe(
    packet_id: int, filters: Iterable[tuple[str, int]], version: int = 4, raw: bytes = b""
) -> bytes:
    """SUBSCRIBE."""
    wanted = b"".join(field(name) + bytes((qos,)) for name, qos in filters)
    return frame(0x82, packet_id.to_bytes(2, "big") + props(version, raw) + wanted)


def unsubscribe(packet_id: int, filters: Iterable[str], version: int = 4) -> bytes:
    """UNSUBSCRIBE."""
    return frame(0xA2, packet_id.to_bytes(2, "big") + props(version) + b"".join(map(field, filters)))


def pubrel(packet_id: int) -> bytes:
    """PUBREL."""
    return frame(0x62, packet_id.to_bytes(2, "big"))


PINGREQ = b"\xc0\0"
DISCONNECT = b"\xe0\0"
PINGRESP = (0xD0, b"")


class RawClient:
    """A blocking socket that reads packets as ``(first byte, body)``; every wait ends after ten seconds."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, receive_buffer: int = 0) -> None:
        plain = socket.socket()
        plain.settimeout(10)
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.connect(("127.0.0.1", port))
        self.socket = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def packed(self, *data: bytes) -> bytes:
        """Packets as they go over this connection."""
        return b"".join(data)

    def raw(self, *data: bytes) -> None:
        """Write these bytes, whatever they are."""
        self.socket.sendall(b"".join(data))

    def send(self, *data: bytes) -> None:
        """Write packets in one piece."""
        self.raw(self.packed(*data))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive(self) -> tuple[int, bytes]:
        """The next packet.

        Raises:
            EOFError: the server closed the connection.
        """
        try:
            first = self._exactly(1)[0]
            size = shift = 0
            while True:
                group = self._exactly(1)[0]
                size |= (group & 0x7F) << shift
                shift += 7
                if group < 0x80:
                    return first, self._exactly(size)
        except ConnectionResetError:
            raise EOFError from None

    def connect(self, *, version: int = 4, client_id: str = "me", **options: object) -> bytes:
        """Send CONNECT with the right password, and give the body of CONNACK."""
        self.send(connect(version, client_id, **options))  # type: ignore[arg-type]  # passed through by name
        first, body = self.receive()
        assert first == 0x20
        return body

    def barrier(self) -> list[tuple[int, bytes]]:
        """Ping, and give every packet that came before the answer."""
        self.send(PINGREQ)
        before = []
        while (packet := self.receive()) != PINGRESP:
            before.append(packet)
        return before

    def rest(self) -> list[tuple[int, bytes]]:
        """Wait until the server has closed: every packet it still sent."""
        packets = []
        try:
            while True:
                packets.append(self.receive())
        except EOFError:
            return packets

    def closed(self) -> bool:
        """Wait until the server has closed, without another packet."""
        return self.rest() == []

    def quiet(self) -> bool:
        """Whether nothing has arrived that was not read."""
        return not select.select([self.socket], [], [], 0)[0]


def ids(packets: Sequence[tuple[int, bytes]], first: int) -> list[int]:
    """The packet ids of the packets with this first byte."""
    return [int.from_bytes(body[:2], "big") for kind, body in packets if kind == first]
