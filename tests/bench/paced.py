"""Devices at their own pace: what is sent does not wait for what was answered (an open loop).

Started as a process with a ``Pace`` as JSON on standard input; says a ``Waits``.  A wait runs from the moment
a message was due, so a server that stalls is charged for everything that it kept from being sent.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import Final, cast

import msgspec

from tests.bench.load import Credential, payload
from tests.mqtt_client import connect, publish
from tests.websocket_client import request

ENDED_S: Final = 10.0  # for the last acknowledgements


class Pace(msgspec.Struct, frozen=True):
    """``connections`` send ``rate`` messages a second each, for so long; over WebSockets where asked for."""

    port: int
    credentials: list[Credential]
    connections: int
    rate: float
    seconds: float
    websocket: bool = False


class Waits(msgspec.Struct, frozen=True):
    """From when a message was due to its PUBACK, milliseconds; ``lost``: not acknowledged in time."""

    median: float
    p99: float
    most: float
    messages: int
    lost: int


def framed(packet: bytes) -> bytes:
    """A packet as a client's frame; a mask of zeros is one, too."""
    size = len(packet)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x82" + length + bytes(4) + packet


class Paced(asyncio.Protocol):
    """One device's connection; acknowledgements come in the order of the messages (MQTT-4.6.0-2)."""

    def __init__(self, credential: Credential, number: int, *, websocket: bool) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waits: list[float] = []
        self.due: deque[float] = deque()
        self._websocket = websocket
        self._name = f"paced-{number}"
        self._credential = credential
        self._upgraded = not websocket
        self._data = b""
        self._sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        if self._websocket:
            self._transport.write(request())
        else:
            self._hello()

    def _hello(self) -> None:
        one = self._credential
        packet = connect(client_id=self._name, username=one.username, password=one.password.encode())
        self._transport.write(framed(packet) if self._websocket else packet)

    def send(self, due: float) -> None:
        """One message, which was due then."""
        packet = publish(self._name, payload(self._sent), packet_id=self._sent % 60_000 + 1)
        self._sent += 1
        self.due.append(due)
        self._transport.write(framed(packet) if self._websocket else packet)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._upgraded:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if end:
                self._upgraded, self._data = head.startswith(b"HTTP/1.1 101"), rest
                self._hello()
            return
        while (packet := self._next()) is not None:
            for at in range(0, len(packet), 4):
                if packet[at] == 0x20 and not self.ready.done():
                    self.ready.set_result(None)
                elif packet[at] == 0x40:
                    self.waits.append(time.perf_counter() - self.due.popleft())

    def _next(self) -> bytes | None:
        """Whole packets of four bytes, as CONNACK and PUBACK are."""
        skip, size = 0, len(self._data) // 4 * 4
        if self._websocket:
            if len(self._data) < 4:
                return None
            skip, size = 2, self._data[1]
            if size == 126:
                skip, size = 4, int.from_bytes(self._data[2:4], "big")
        if not size or len(self._data) < skip + size:
            return None
        packet, self._data = self._data[skip : skip + size], self._data[skip + size :]
        return packet

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(error or ConnectionError("the server closed the connection"))

    def close(self) -> None:
        """Leave."""
        self._transport.close()


async def connected(
    port: int, credentials: list[Credential], count: int, *, websocket: bool = False
) -> list[Paced]:
    """So many connections, all of them accepted."""
    loop = asyncio.get_running_loop()
    devices = [Paced(credentials[n % len(credentials)], n, websocket=websocket) for n in range(count)]
    for device in devices:
        await loop.create_connection(lambda device=device: device, "127.0.0.1", port)  # type: ignore[misc]  # bound now
        await device.ready
    return devices


async def run(pace: Pace) -> Waits:
    """Connect everybody, then send at the pace, spread evenly."""
    devices = await connected(pace.port, pace.credentials, pace.connections, websocket=pace.websocket)
    total = round(pace.connections * pace.rate * pace.seconds)
    begun, step = time.perf_counter() + 0.1, 1 / (pace.connections * pace.rate)
    for number in range(total):
        due = begun + number * step
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        devices[number % len(devices)].send(due)
    deadline = time.perf_counter() + ENDED_S
    while any(device.due for device in devices) and time.perf_counter() < deadline:
        await asyncio.sleep(0.01)
    waits = sorted(wait for device in devices for wait in device.waits)
    for device in devices:
        device.close()
    return Waits(
        median=1000 * waits[len(waits) // 2],
        p99=1000 * waits[math.ceil(0.99 * len(waits)) - 1],
        most=1000 * waits[-1],
        messages=total,
        lost=total - len(waits),
    )


if __name__ == "__main__":
    import sys

    import uvloop

    result = uvloop.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Pace)))
    sys.stdout.buffer.write(msgspec.json.encode(result))
