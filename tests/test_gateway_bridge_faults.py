"""Bridge, node and broker are killed; what the bridge acknowledged to the broker is stored, once.

Every reading has a number.  A tap before the broker tells what was acknowledged, whoever died.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish as once

from tests.bridge_process import BridgeProcess, Source, bridge_config, connected, wait_for, wait_until
from tests.broker import Mosquitto, Tap
from tests.node_process import NodeProcess, Person

pytestmark = pytest.mark.peer

KILLS = int(os.environ.get("HYPERTOUCH_KILLS", "30"))
MESSAGES = int(os.environ.get("HYPERTOUCH_MESSAGES", "20000"))


def number(payload: bytes) -> int:
    """The reading's."""
    return int(payload.removeprefix(b'{"energy":').removesuffix(b"}"))


class Account:
    """LOSS, DUP and PHANTOM of what a tap saw acknowledged; call it when nothing writes any more."""

    def __init__(self, person: Person, tap: Tap, source: Source) -> None:
        self.stored: Counter[int] = Counter({int(v): n for v, n in person.stored().items()})
        self.acknowledged = {number(payload) for payload in tap.seen.acknowledged}
        self.sent_again = {
            number(payload) for payload, _ in tap.seen.forgotten
        }  # by the broker, though acknowledged
        self.loss = self.acknowledged - self.stored.keys()
        self.doubled = {value for value, times in self.stored.items() if times > 1}
        self.phantom = {value for value in self.stored if not 0 <= value < source.sent}

    @property
    def clean(self) -> bool:
        """Nothing was lost, doubled or invented."""
        return not (self.loss or self.doubled or self.phantom)


def all_acknowledged(tap: Tap, source: Source) -> None:
    """Wait until the bridge has acknowledged everything that was published."""
    wait_until(
        lambda: len(tap.seen.acknowledged) >= source.sent,
        tell=lambda: f"{len(tap.seen.acknowledged)} of {source.sent}",
    )


def publish_to_the_end(source: Source, port: int, node: NodeProcess) -> None:
    """Publish a few readings at a time until the node is dead."""

    def dead() -> bool:
        source.publish(port, 20)
        return node.process.poll() is not None

    wait_until(dead)


def resubscribed(tap: Tap, before: int) -> None:
    """Wait until the bridge has subscribed once more."""
    wait_until(lambda: len(tap.seen.filters) > before)


@contextmanager
def bridged(person: Person, tap: Tap) -> Iterator[BridgeProcess]:
    """A bridge that is subscribed, whether a node runs or not."""
    with BridgeProcess(person.data, bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")) as bridge:
        wait_until(lambda: bool(tap.seen.filters))
        yield bridge


def test_nothing_is_lost_or_doubled_when_the_bridge_is_killed_at_random(
    person: Person, tmp_path: Path
) -> None:
    """ACCEPTANCE A5: what it had not acknowledged comes again, and counts once."""
    chance, source = random.Random(5), Source()
    with Mosquitto(tmp_path / "m") as broker, Tap(broker.port) as tap, NodeProcess(person.data) as node:
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")
        with BridgeProcess(person.data, wanted):
            wait_for(person.data, connected)  # from now on the broker has a session
        for _ in range(KILLS):
            with BridgeProcess(person.data, wanted) as bridge:
                killer = threading.Timer(chance.uniform(0.25, 0.6), bridge.process.kill)
                killer.start()
                source.publish(broker.port, 200)
                bridge.process.wait(30)
                killer.join()
        with BridgeProcess(person.data, wanted) as bridge:
            all_acknowledged(tap, source)
            assert bridge.end()[0] == 0
        node.end()
    account = Account(person, tap, source)
    assert account.clean
    assert len(account.stored) == source.sent
    assert tap.seen.unknown == 0


@pytest.mark.parametrize("point", ["after-recv", "after-commit", "after-ack"])
def test_a_kill_at_each_point_is_absorbed(person: Person, tmp_path: Path, point: str) -> None:
    """ACCEPTANCE A2 and A5, for a bridge; twenty are in flight, as Mosquitto lets them."""
    source = Source()
    with Mosquitto(tmp_path / "m") as broker, Tap(broker.port) as tap, NodeProcess(person.data) as node:
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")
        with BridgeProcess(person.data, wanted) as bridge:
            wait_for(person.data, connected)
        for at in (1, 7, 33):
            source.publish(broker.port, 100)
            with BridgeProcess(person.data, wanted, point, str(at)) as bridge:
                bridge.process.wait(30)
        again = Counter(tap.seen.again)
        with BridgeProcess(person.data, wanted) as bridge:
            all_acknowledged(tap, source)
            bridge.end()
        node.end()
    account = Account(person, tap, source)
    assert account.clean
    assert len(account.stored) == source.sent
    if point != "after-ack":
        assert sum(again.values()) >= 20  # it fired: what was in flight came again


def test_a_bridge_that_acknowledges_before_the_commit_is_found_out(person: Person, tmp_path: Path) -> None:
    """The known-bad control of the tests above."""
    source = Source()
    with Mosquitto(tmp_path / "m") as broker, Tap(broker.port) as tap, NodeProcess(person.data) as node:
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")
        with BridgeProcess(person.data, wanted):
            wait_for(person.data, connected)
        source.publish(broker.port, 100)
        with BridgeProcess(person.data, wanted, "early", "7") as bridge:
            bridge.process.wait(30)
        with BridgeProcess(person.data, wanted) as bridge:
            all_acknowledged(tap, source)
            bridge.end()
        node.end()
    assert Account(person, tap, source).loss


def test_nothing_is_lost_or_doubled_when_the_node_is_killed(person: Person, tmp_path: Path) -> None:
    """What was handed over and not answered is handed over again, and recognised."""
    chance, source = random.Random(6), Source()
    with Mosquitto(tmp_path / "m") as broker, Tap(broker.port) as tap, bridged(person, tap) as bridge:
        for _ in range(KILLS):
            with NodeProcess(person.data) as node:
                killer = threading.Timer(chance.uniform(0.0, 0.3), node.process.kill)
                killer.start()
                source.publish(broker.port, 200)
                node.process.wait(30)
                killer.join()
        with NodeProcess(person.data) as node:
            all_acknowledged(tap, source)
            assert bridge.end()[0] == 0
            node.end()
    account = Account(person, tap, source)
    assert account.clean
    assert len(account.stored) == source.sent


@pytest.mark.parametrize("point", ["after-recv", "after-insert", "after-commit", "after-ack"])
def test_a_node_killed_at_each_point_of_a_commit_is_absorbed(
    person: Person, tmp_path: Path, point: str
) -> None:
    source = Source()
    with Mosquitto(tmp_path / "m") as broker, Tap(broker.port) as tap, bridged(person, tap) as bridge:
        for at in ("1", "2", "5"):
            with NodeProcess(person.data, point, at) as node:
                publish_to_the_end(source, broker.port, node)
        with NodeProcess(person.data) as node:
            all_acknowledged(tap, source)
            bridge.end()
            node.end()
    account = Account(person, tap, source)
    assert account.clean
    assert len(account.stored) == source.sent


def test_acknowledgements_of_an_earlier_connection_are_dropped(person: Person, tmp_path: Path) -> None:
    """ACCEPTANCE A10: cut between arrival and commit; what forgets its session begins its ids anew."""
    source = Source()
    with Mosquitto(tmp_path / "m", "persistence false") as broker, Tap(broker.port) as tap:
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")
        with NodeProcess(person.data, "slow", "3") as node, BridgeProcess(person.data, wanted) as bridge:
            for turn in range(max(3, KILLS // 6)):
                wait_for(person.data, connected)
                source.publish(broker.port, 40)
                wait_until(lambda: len(tap.seen.delivered) > len(tap.seen.acknowledged))
                before = len(tap.seen.filters)
                if turn % 2:
                    broker.kill()
                    broker.start()
                else:
                    tap.cut()
                resubscribed(tap, before)
            wait_for(person.data, lambda found: connected(found) and not found[0].waiting)
            bridge.end()
            node.end()
    account = Account(person, tap, source)
    assert tap.seen.unknown == 0
    assert not account.loss
    assert not account.phantom
    assert account.doubled <= account.sent_again


def test_what_a_broker_queues_while_the_bridge_is_away_is_stored_once(person: Person, tmp_path: Path) -> None:
    """ACCEPTANCE A14, with a broker that was told not to drop anything."""
    source = Source()
    with Mosquitto(tmp_path / "m") as broker, Tap(broker.port) as tap, NodeProcess(person.data) as node:
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")
        with BridgeProcess(person.data, wanted) as bridge:
            wait_for(person.data, connected)
            bridge.end()
        source.publish(broker.port, MESSAGES)
        assert len(source.acknowledged) == MESSAGES
        with BridgeProcess(person.data, wanted) as bridge:
            wait_until(lambda: len(tap.seen.acknowledged) == MESSAGES, 150)
            bridge.end()
        node.end()
    account = Account(person, tap, source)
    assert account.clean
    assert account.stored.keys() == source.acknowledged


def test_a_broker_with_its_usual_settings_drops_what_it_acknowledged(person: Person, tmp_path: Path) -> None:
    """The control of the test above, and why ``doctor`` looks at ``max_queued_messages``."""
    source = Source()
    usual = Mosquitto(tmp_path / "m", "max_queued_messages 1000")
    with usual as broker, Tap(broker.port) as tap, NodeProcess(person.data) as node:
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")
        with BridgeProcess(person.data, wanted) as bridge:
            wait_for(person.data, connected)
            bridge.end()
        source.publish(broker.port, 3000)
        with BridgeProcess(person.data, wanted) as bridge:
            wait_for(person.data, lambda found: connected(found) and found[0].stored >= 1000)
            bridge.end()
        node.end()
    account = Account(person, tap, source)
    assert len(source.acknowledged) == 3000
    assert 1000 <= len(account.stored) <= 1100
    assert account.clean  # nothing that we acknowledged


def test_nothing_we_acknowledged_is_lost_when_the_broker_is_killed(person: Person, tmp_path: Path) -> None:
    """ACCEPTANCE A4: a broker that saves every second comes back with what it knew then.

    What it had forgotten that we acknowledged, it sends again; that is the only thing that is stored twice.
    """
    chance, source = random.Random(4), Source()
    with Mosquitto(tmp_path / "m", "autosave_interval 1") as broker, Tap(broker.port) as tap:
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")
        with NodeProcess(person.data) as node, BridgeProcess(person.data, wanted) as bridge:
            for _ in range(max(5, KILLS // 3)):
                wait_for(person.data, connected)
                killer = threading.Timer(chance.uniform(0.0, 1.5), broker.kill)
                killer.start()
                source.publish(broker.port, 1000)
                killer.join()
                broker.start()
            wait_for(person.data, lambda found: connected(found) and not found[0].waiting)
            bridge.end()
            node.end()
    account = Account(person, tap, source)
    assert not account.loss
    assert not account.phantom
    assert account.doubled <= account.sent_again
    assert tap.seen.unknown == 0


@pytest.mark.parametrize("saved", ["in flight", "queued"])
def test_what_a_killed_broker_forgot_that_we_acknowledged(person: Person, tmp_path: Path, saved: str) -> None:
    """It sends that again.  What it had sent before it saved bears DUP, and is recognised.  What it had only
    queued comes as new, and counts twice: nothing in MQTT tells it from a reading that is the same again.
    """
    source, count = Source(), 3000
    with Mosquitto(tmp_path / "m") as broker, Tap(broker.port) as tap, NodeProcess(person.data) as node:
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")
        with BridgeProcess(person.data, wanted) as bridge:
            wait_for(person.data, connected)
            bridge.end()
        source.publish(broker.port, count)
        if saved == "in flight":
            with BridgeProcess(person.data, wanted, "after-recv", "1") as bridge:
                bridge.process.wait(30)
        broker.save()
        with BridgeProcess(person.data, wanted) as bridge:
            all_acknowledged(tap, source)
            bridge.end()
        before = len(tap.seen.delivered)
        broker.kill()
        broker.start()
        with BridgeProcess(person.data, wanted) as bridge:
            wait_until(lambda: len(tap.seen.delivered) == before + count)
            wait_for(person.data, lambda found: connected(found) and not found[0].waiting)
            bridge.end()
        node.end()
    account = Account(person, tap, source)
    as_new = {number(payload) for payload, dup in tap.seen.forgotten if not dup}
    assert len(tap.seen.forgotten) == count
    assert not account.loss
    assert not account.phantom
    assert account.doubled == as_new
    if saved == "queued":
        assert len(as_new) == count
    else:
        assert len(as_new) < count


def test_a_flood_is_held_back_while_the_node_is_away(person: Person, tmp_path: Path) -> None:
    """ACCEPTANCE A13: 64 MiB at once, from a broker without bounds; memory is bounded, nothing is lost."""
    size, count = 128 << 10, 512
    unbounded = Mosquitto(tmp_path / "m", "max_inflight_messages 0", "max_inflight_bytes 0")
    with unbounded as broker, Tap(broker.port, refuse_version=5) as tap, bridged(person, tap) as bridge:
        before = resident(bridge)
        messages: list[Any] = [
            ("home/meter", json.dumps({"energy": value, "text": "x" * size}), 1, False)
            for value in range(count)
        ]
        once.multiple(messages, port=broker.port)
        wait_until(lambda: len(tap.seen.delivered) > 60)  # as many as it holds
        with NodeProcess(person.data) as node:
            wait_until(lambda: len(tap.seen.acknowledged) == count)
            assert resident(bridge, "VmHWM:") - before < 64 << 10
            bridge.end()
            node.end()
    assert person.stored() == {float(value): 1 for value in range(count)}


def resident(bridge: BridgeProcess, field: str = "VmRSS:") -> int:
    """KiB of memory, or the most that there ever was."""
    lines = Path(f"/proc/{bridge.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
