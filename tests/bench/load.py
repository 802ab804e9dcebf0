"""A load of QoS 1 messages: pipelined, counted by their acknowledgements, cheap enough to load a server.

Messages are encoded before the clock starts, and all have one size, so that what may be sent is a slice.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast

import msgspec

from tests.mqtt_client import connect, publish

_ACK: Final = 4  # bytes of a PUBACK in MQTT 3.1.1
_IDS: Final = 60_000  # packet ids used in turn


class Credential(msgspec.Struct, frozen=True):
    """How a device of the load connects."""

    username: str
    password: str


class Load(msgspec.Struct, frozen=True):
    """``connections`` send ``messages`` in all, each with at most ``window`` unacknowledged.

    ``base`` is the first level of their topics, which says what dialect they speak.
    """

    port: int
    credentials: list[Credential]
    connections: int
    window: int
    messages: int
    base: str = "sensors"


class Measured(msgspec.Struct, frozen=True):
    """What came of it."""

    seconds: float
    acknowledged: int

    @property
    def rate(self) -> float:
        """Acknowledged messages a second."""
        return self.acknowledged / self.seconds


def payload(number: int) -> bytes:
    """Three fields, always of one length."""
    return b'{"temperature":%04.1f,"humidity":%04.1f,"battery":%02d}' % (
        18 + number % 70 / 10,
        40 + number % 90 / 10,
        50 + number % 49,
    )


class _Device(asyncio.Protocol):
    def __init__(self, load: Load, credential: Credential, number: int, share: int) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._window, self._share = load.window, share
        self._hello = connect(
            client_id=f"bench-{number}", username=credential.username, password=credential.password.encode()
        )
        topic = f"{load.base}/device-{number % len(load.credentials):02d}"
        packets = [publish(topic, payload(i), qos=1, packet_id=i % _IDS + 1) for i in range(min(share, _IDS))]
        self._size = len(packets[0])
        self._bytes = memoryview(b"".join(packets) * (-(-share // _IDS)))
        self._sent = self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._write(self._hello)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if not self.ready.done():
            self.ready.set_result(None)
            return
        acknowledged = (self._received - _ACK) // _ACK  # CONNACK has four bytes as well
        if acknowledged >= self._share:
            if not self.finished.done():
                self.finished.set_result(None)
            return
        self.fill(acknowledged)

    def connection_lost(self, error: Exception | None) -> None:
        for future in (self.ready, self.finished):
            if not future.done():
                future.set_exception(error or ConnectionError("the server closed the connection"))

    def fill(self, acknowledged: int = 0) -> None:
        """Send what the window allows."""
        upto = min(self._share, acknowledged + self._window)
        if upto > self._sent:
            self._write(self._bytes[self._sent * self._size : upto * self._size])
            self._sent = upto

    def close(self) -> None:
        """Leave."""
        self._write(b"\xe0\x00")
        self._transport.close()

    def _write(self, data: bytes | memoryview) -> None:
        cast(asyncio.Transport, self._transport).write(data)  # uvloop's is one in all but name


async def run(load: Load) -> Measured:
    """Connect everybody, then send and count."""
    loop = asyncio.get_running_loop()
    share = load.messages // load.connections
    devices = [
        _Device(load, load.credentials[i % len(load.credentials)], i, share) for i in range(load.connections)
    ]
    for device in devices:
        await loop.create_connection(lambda device=device: device, "127.0.0.1", load.port)  # type: ignore[misc]  # bound now
    await asyncio.gather(*(device.ready for device in devices))
    begun = time.perf_counter()
    for device in devices:
        device.fill()
    await asyncio.gather(*(device.finished for device in devices))
    seconds = time.perf_counter() - begun
    for device in devices:
        device.close()
    return Measured(seconds, share * load.connections)


if __name__ == "__main__":
    import sys

    import uvloop

    result = uvloop.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Load)))
    sys.stdout.buffer.write(msgspec.json.encode(result))
