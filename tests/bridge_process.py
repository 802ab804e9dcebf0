"""A real bridge process between a Mosquitto and a node, with faults put in where a test asks for one.

Run as a program it *is* the bridge, started with a fault: ``python -m tests.bridge_process FAULT N``.
Faults:

- ``after-recv``: the process kills itself when the Nth message has come from the broker;
- ``after-commit``: when the node has answered that the Nth message is stored, before it is acknowledged;
- ``after-ack``: when N messages were acknowledged;
- ``early``: known bad, acknowledges before it hands over, and kills itself after N messages.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from gateway.bridge import config, run
from gateway.bridge.config import BridgeConfig, BridgeTask, Broker, Credential
from gateway.bridge.connection import Connection, Slot
from gateway.bridge.filters import Mapping
from gateway.bridge.lane import Held, Lane
from gateway.rpcclient import NodeError, call_sync
from gateway.wire import BridgeState, BridgeStates, GetBridges
from tests.node_process import PASSWORD, Person
from tests.told import ToldProcess
from vault.store.paths import DataDir


def bridge_config(person: Person, url: str, *filters: str, **more: Any) -> BridgeConfig:
    """A configuration that maps filters to the person's one device."""
    return BridgeConfig(
        name="home",
        broker=Broker.parse(url),
        client_id="hypertouch-home",
        mappings=[Mapping(one, "meter") for one in filters or ("#",)],
        devices={"meter": Credential(person.device.text, PASSWORD.decode())},
        **more,
    )


class BridgeProcess(ToldProcess):
    """A worker of a bridge; ``fault`` as above."""

    def __init__(self, data: DataDir, wanted: BridgeConfig, *fault: str, worker: int = 0) -> None:
        config.directory(data).mkdir(mode=0o700, exist_ok=True)
        path = config.path_of(data, wanted.name)
        path.touch(mode=0o600)
        path.write_bytes(config.encode(wanted))
        words = ["tests.bridge_process", *fault] if fault else ["gateway.bridge.run"]
        super().__init__(words, BridgeTask(str(path), str(data.socket), worker))


def states(data: DataDir) -> list[BridgeState]:
    """How the bridges fare, as the node knows; none while it is away."""
    try:
        answer = call_sync(data.socket, GetBridges(), 10)
    except NodeError:
        return []
    assert isinstance(answer, BridgeStates)
    return answer.states


def wait_for(data: DataDir, good: Callable[[list[BridgeState]], bool], patience_s: float = 60) -> None:
    """Wait until the bridges fare so."""
    wait_until(lambda: good(states(data)), patience_s, lambda: repr(states(data)))


def connected(found: Sequence[BridgeState]) -> bool:
    """All that there are, and there is one."""
    return bool(found) and all(state.connected for state in found)


def wait_until(
    condition: Callable[[], bool], patience_s: float = 60, tell: Callable[[], str] = lambda: ""
) -> None:
    """Wait for what other processes bring about."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, tell()
        time.sleep(0.02)


class Source:
    """Publishes numbered readings to a broker and remembers which the broker acknowledged."""

    def __init__(self, topic: str = "home/meter", ca: str = "") -> None:
        self.topic, self.ca = topic, ca
        self.sent = 0
        self.acknowledged: set[int] = set()

    def publish(self, port: int, count: int, qos: int = 1, **options: Any) -> None:
        """Publish the next readings; returns when all were acknowledged, or the broker went away."""
        for part in range(0, count, 20_000):  # paho queues so many packet ids as there are
            self._publish(port, min(20_000, count - part), qos, options)

    def _publish(self, port: int, count: int, qos: int, options: dict[str, Any]) -> None:
        client = Client(CallbackAPIVersion.VERSION2, client_id="")
        client.max_inflight_messages_set(1000)
        if self.ca:
            client.tls_set(self.ca)
        client.connect("localhost" if self.ca else "127.0.0.1", port)
        client.loop_start()
        waiting: list[tuple[int, MQTTMessageInfo]] = []
        try:
            for value in range(self.sent, self.sent + count):
                payload = b'{"energy":%d}' % value
                waiting.append((value, client.publish(self.topic, payload, qos=qos, **options)))
            self.sent += count
            deadline = time.monotonic() + 60
            while not all(_acknowledged(info) for _, info in waiting):
                if not client.is_connected() and time.monotonic() > deadline - 59:
                    break
                assert time.monotonic() < deadline
                time.sleep(0.005)
        finally:
            self.acknowledged |= {value for value, info in waiting if _acknowledged(info)}
            client.disconnect()
            client.loop_stop()


def _acknowledged(info: MQTTMessageInfo) -> bool:
    """Whether the broker has; one that was published while the broker was away counts as not."""
    return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and info.is_published()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _put_in(fault: str, number: int) -> None:
    """Replace one step of the bridge by one that fails."""
    count = 0
    take, hand_over, stored, settle = Lane.take, Lane._hand_over, Lane._stored, Connection.settle

    def faulty_take(self: Lane, message: Any, place: Any) -> None:
        nonlocal count
        if fault == "after-recv":
            count += 1
            if count >= number:
                _die()
        take(self, message, place)

    async def faulty_hand_over(self: Lane, batch: list[Held]) -> None:
        nonlocal count
        for held in batch if fault == "early" else ():
            if held.place is not None:
                held.place.settle()
            count += 1
        if fault == "early" and count >= number:
            time.sleep(0.05)
            _die()
        await hand_over(self, batch)

    def faulty_stored(self: Lane, batch: list[Held]) -> None:
        nonlocal count
        if fault == "after-commit":
            count += len(batch)
            if count >= number:
                _die()
        stored(self, batch)

    def faulty_settle(self: Connection, slot: Slot) -> None:
        nonlocal count
        settle(self, slot)
        if fault == "after-ack":
            count += 1
            if count >= number:
                _die()

    Lane.take = faulty_take  # type: ignore[method-assign]  # a fault is put in
    Lane._hand_over = faulty_hand_over  # type: ignore[method-assign]  # a fault is put in
    Lane._stored = faulty_stored  # type: ignore[method-assign]  # a fault is put in
    Connection.settle = faulty_settle  # type: ignore[method-assign]  # a fault is put in


if __name__ == "__main__":
    _put_in(sys.argv[1], int(sys.argv[2]))
    sys.exit(run.main())
