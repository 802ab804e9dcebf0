"""Messages a second from Mosquitto into the vault, beside what else reads a broker; ours are on the disk."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from gateway.bridge import config
from gateway.bridge.config import BridgeConfig, BridgeTask, Broker
from gateway.bridge.config import Credential as BridgeCredential
from gateway.bridge.filters import Mapping
from gateway.bridge.look import forget
from gateway.client.device import Credential as DeviceCredential
from gateway.rpcclient import call_sync
from gateway.wire import BridgeState, BridgeStates, Deliver, Done, GetBridges, Message
from tests.bench import peers
from tests.bench.consumer import BATCH
from tests.bench.load import Credential, Load, payload
from tests.bench.report import Section, row
from tests.bench.rig import Child, Household, Server, fresh_data, running
from tests.bench.sizes import Size
from vault.ids import DeviceId

CONNECTIONS: Final = 10
WINDOW: Final = 200
PATIENCE_S: Final = 120.0
POLL_S: Final = 0.01


def measure(size: Size, directory: Path) -> Section:
    """Each in turn, as often as ``size`` says."""
    program, messages = peers.find_mosquitto(), size.consumed // CONNECTIONS * CONNECTIONS
    socket: list[float] = []
    ours: list[float] = []
    piped: list[float] = []
    rows: list[float] = []
    with ExitStack() as stack:
        server = stack.enter_context(running(fresh_data(directory / "bridged")))
        device = Household(server).device("hub")
        broker = stack.enter_context(peers.mosquitto(program, directory)) if program else 0
        for _ in range(size.repeats):
            socket.append(_handed_over(server, device, messages))
            if broker:
                ours.append(_bridged(server, device, broker, messages))
                piped.append(_piped(broker, messages))
                rows.append(_rows(broker, directory, messages))
    found = [row("handed over at the socket", "/s", socket)]
    if broker:
        found.append(row("from Mosquitto", "/s", ours, mosquitto_sub=piped, **{"+ sqlite": rows}))
    return Section(
        name="bridge",
        title="QoS 1 messages a second from an existing broker; three readings each",
        rows=found,
        notes=[
            "hypertouch: one worker, one device; from the start of whoever publishes to the last commit.",
            "mosquitto_sub: the same into a file, acknowledged when it is read, without an fsync.",
            f"+ sqlite: a paho-mqtt consumer; a row a reading, up to {BATCH:,} messages a commit.",
            "At the socket: what the node alone takes, in batches of 500, one after the other.",
        ],
        left_out=[] if program else ["mosquitto is not installed, so there is no broker to bridge."],
    )


def _handed_over(server: Server, device: DeviceCredential, messages: int) -> float:
    begun = time.perf_counter()
    for start in range(0, messages, 500):
        told = [
            Message("sensors/hub", payload(number), 1, number % 60_000 + 1)
            for number in range(start, min(start + 500, messages))
        ]
        call = Deliver(device.device, device.password.encode(), "bench", told)
        if call_sync(server.data.socket, call) != Done():
            raise RuntimeError("the node takes nothing")
    return messages / (time.perf_counter() - begun)


def _bridged(server: Server, device: DeviceCredential, broker: int, messages: int) -> float:
    wanted = _configured(device, broker)
    config.directory(server.data).mkdir(mode=0o700, exist_ok=True)
    path = config.path_of(server.data, wanted.name)
    path.touch(mode=0o600)
    path.write_bytes(config.encode(wanted))
    with Child("gateway.bridge.run", BridgeTask(str(path), str(server.data.socket))):
        _wait(lambda: any(state.connected for state in _states(server)))
        begun = time.perf_counter()
        with _publishing(broker, messages):
            _wait(lambda: sum(state.stored for state in _states(server)) >= messages)
        seconds = time.perf_counter() - begun
    asyncio.run(forget(wanted))  # or the broker would keep for it what is published for the others
    return messages / seconds


def _configured(device: DeviceCredential, broker: int) -> BridgeConfig:
    return BridgeConfig(
        name="bench",
        broker=Broker.parse(f"mqtt://127.0.0.1:{broker}"),
        client_id="bench",
        mappings=[Mapping("sensors/#", "hub")],
        devices={"hub": BridgeCredential(DeviceId(device.device).text, device.password)},
    )


def _piped(broker: int, messages: int) -> float:
    words = ["mosquitto_sub", "-p", str(broker), "-q", "1", "-t", "sensors/#", "-C", str(messages)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as reading:
        time.sleep(0.3)  # it does not say when it has subscribed
        begun = time.perf_counter()
        with _publishing(broker, messages):
            reading.wait(PATIENCE_S)
        return messages / (time.perf_counter() - begun)


def _rows(broker: int, directory: Path, messages: int) -> float:
    with peers.consumer(broker, directory, messages) as child, _publishing(broker, messages):
        kept = peers.kept(child)
    return kept.messages / kept.seconds


@contextmanager
def _publishing(broker: int, messages: int) -> Iterator[None]:
    """Have the broker get messages from a process of its own until the block ends."""
    load = Load(broker, [Credential("", "")], CONNECTIONS, WINDOW, messages)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        if process.stdin is not None:
            process.stdin.write(msgspec.json.encode(load))
            process.stdin.close()
        yield
    finally:
        process.wait(PATIENCE_S)


def _states(server: Server) -> list[BridgeState]:
    answer = call_sync(server.data.socket, GetBridges())
    return answer.states if isinstance(answer, BridgeStates) else []


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the bridge does not do its work")
        time.sleep(POLL_S)
