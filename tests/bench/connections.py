"""What many connections cost: memory while they are idle, and the wait for an acknowledgement."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from tests.bench import peers
from tests.bench.ingest import devices
from tests.bench.load import Credential
from tests.bench.paced import Pace, Paced, Waits, connected
from tests.bench.report import Section, Target, at_most, row
from tests.bench.rig import Server, fresh_data, running
from tests.bench.sizes import Size

IDLE_KIB: Final = 40.0
P99_MS: Final = 50.0
RATE: Final = 2.0  # messages a second of one connection
_BROKER: Final = "mosquitto"


def measure(size: Size, directory: Path) -> Section:
    """Memory in a server of its own for each kind; then the waits, both sides in turn."""
    tcp, websocket = (_idle(size.idle, directory / name, websocket=name == "ws") for name in ("tcp", "ws"))
    program = peers.find_mosquitto()
    ours: list[Waits] = []
    framed: list[Waits] = []
    theirs: list[Waits] = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(fresh_data(directory / "paced")))
        credentials = devices(server)
        broker = stack.enter_context(peers.mosquitto(program, directory)) if program else 0
        for _ in range(size.repeats):
            ours.append(_paced(server.mqtt_port, credentials, size))
            if broker:
                theirs.append(_paced(broker, credentials, size))
            framed.append(_paced(server.ws_port, credentials, size, websocket=True))
    beside = {_BROKER: theirs}
    return Section(
        name="connections",
        title=f"{size.idle:,} idle connections; {size.paced} connections at {RATE:g} messages a second",
        rows=[
            row("memory each, TCP", "KiB", [tcp]),
            row("memory each, WebSocket", "KiB", [websocket]),
            row("PUBACK, median", "ms", [one.median for one in ours], **_each(beside, "median")),
            row("PUBACK, p99", "ms", [one.p99 for one in ours], **_each(beside, "p99")),
            row("PUBACK, longest", "ms", [one.most for one in ours], **_each(beside, "most")),
            row("WebSocket, p99", "ms", [one.p99 for one in framed]),
        ],
        targets=[
            *_memory(size, tcp, websocket),
            *_waits(size, [one.p99 for one in ours], sum(one.lost for one in (*ours, *framed))),
        ],
        notes=[
            "Idle: connected, one message published at QoS 1 and acknowledged; the node's resident memory"
            " with all of them, less that with one.",
            "The wait is from when a message was due, whatever was sent meanwhile (open loop), to its PUBACK;"
            " QoS 1, ours on the disk, mosquitto's in its memory.",
        ],
        left_out=[] if program else ["mosquitto is not installed, so nothing stands beside ours."],
    )


def _each(beside: dict[str, list[Waits]], field: str) -> dict[str, list[float]]:
    return {side: [getattr(one, field) for one in waits] for side, waits in beside.items()}


def _memory(size: Size, tcp: float, websocket: float) -> list[Target]:
    enough = size.idle >= 1000  # with fewer, what a node grows by anyway is shared by few
    return [
        at_most("idle, TCP: <= 40 KiB", tcp if enough else None, IDLE_KIB),
        at_most("idle, WebSocket: <= 40 KiB", websocket if enough else None, IDLE_KIB),
    ]


def _waits(size: Size, p99: list[float], lost: int) -> list[Target]:
    enough = size.paced >= 500
    return [
        at_most("p99 of 500 x 2/s <= 50 ms", sorted(p99)[len(p99) // 2] if enough else None, P99_MS),
        at_most("not acknowledged", lost, 0),
    ]


def _idle(count: int, directory: Path, *, websocket: bool) -> float:
    """KiB that a connection takes in the node."""
    directory.mkdir()
    with running(fresh_data(directory / "node")) as server:
        return asyncio.run(_held(server, devices(server), count, websocket=websocket))


async def _held(server: Server, credentials: list[Credential], count: int, *, websocket: bool) -> float:
    port = server.ws_port if websocket else server.mqtt_port
    await _publish(await connected(port, credentials, 1, websocket=websocket))
    before = server.node.rss()
    await _publish(await connected(port, credentials, count, websocket=websocket))
    return 1024 * (server.node.rss() - before) / count


async def _publish(connections: list[Paced]) -> None:
    """One message each, acknowledged."""
    for one in connections:
        one.send(0.0)
    while any(one.due for one in connections):
        await asyncio.sleep(0.01)


def _paced(port: int, credentials: list[Credential], size: Size, *, websocket: bool = False) -> Waits:
    pace = Pace(port, credentials, size.paced, RATE, size.seconds, websocket)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.paced"],
        input=msgspec.json.encode(pace),
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    return msgspec.json.decode(done.stdout, type=Waits)
