"""A real bridge between Debian's Mosquitto and a real node: transports, versions, sessions, whose is what."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import msgspec
import pytest
from paho.mqtt import publish as once
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gateway.bridge.config import BridgeConfig, Broker, Credential, check, load, path_of
from gateway.bridge.connection import RECEIVE_MAX, SESSION_S, Connection, Login, Slot
from gateway.bridge.filters import Mapping
from gateway.errors import BridgeConfigError
from gateway.mqtt import PACKET_LIMIT
from gateway.node.tls import open_tls
from tests.bridge_process import (
    BridgeProcess,
    Source,
    bridge_config,
    connected,
    states,
    wait_for,
    wait_until,
)
from tests.broker import Mosquitto, Tap, packets
from tests.node_process import NodeProcess, Person
from tests.peers import require_peer
from vault.ids import DeviceId

pytestmark = pytest.mark.peer


def stores(person: Person, count: int) -> None:
    """Wait until so many messages were stored, and none waits."""
    wait_for(
        person.data,
        lambda found: sum(one.stored for one in found) >= count and not any(one.waiting for one in found),
    )


def problem(person: Person) -> str:
    """What keeps the bridge from its work, once something does."""
    wait_for(person.data, lambda found: bool(found) and bool(found[0].problem))
    return states(person.data)[0].problem


def test_readings_go_from_the_broker_into_the_vault(person: Person, tmp_path: Path) -> None:
    source = Source()
    with Mosquitto(tmp_path / "m") as broker, Tap(broker.port) as tap, NodeProcess(person.data) as node:
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{tap.port}", "home/#")
        with BridgeProcess(person.data, wanted) as bridge:
            wait_for(person.data, connected)
            source.publish(broker.port, 10)
            stores(person, 10)
            (state,) = states(person.data)
            assert bridge.end() == (0, "")
        wait_for(person.data, lambda found: found == [])
        node.end()
    assert (state.bridge, state.device, state.version, state.expiry) == ("home", "meter", "5", SESSION_S)
    assert (state.stored, state.waiting, state.dropped, state.refused, state.problem) == (10, 0, 0, 0, "")
    assert state.last is not None
    assert abs(state.last - time.time() * 1000) < 60_000
    assert tap.seen.connects == [(5, wanted.session("meter", 0), False)]  # never a clean start
    assert person.stored() == {float(value): 1 for value in range(10)}


def test_a_broker_is_reached_over_tls_with_an_authority_of_its_own(person: Person, tmp_path: Path) -> None:
    made = tmp_path / "tls"
    made.mkdir()
    open_tls(made, ["localhost"], time.time())
    settings = (f"cafile {made}/ca.pem", f"certfile {made}/server.pem", f"keyfile {made}/server.key")
    source = Source(ca=f"{made}/ca.pem")
    with Mosquitto(tmp_path / "m", *settings) as broker, NodeProcess(person.data) as node:
        url = f"mqtts://localhost:{broker.port}"
        with BridgeProcess(person.data, bridge_config(person, url)):
            assert problem(person) == "the broker's certificate is not signed by an authority that we trust"
        with BridgeProcess(person.data, bridge_config(person, f"mqtt://127.0.0.1:{broker.port}")):
            wait_for(person.data, lambda found: bool(found) and "TLS" not in found[0].problem)
        wanted = bridge_config(person, url, ca_pem=(made / "ca.pem").read_text())
        with BridgeProcess(person.data, wanted):
            wait_for(person.data, connected)
            source.publish(broker.port, 3)
            stores(person, 3)
        node.end()
    assert len(person.stored()) == 3


def test_a_broker_is_reached_over_websockets(person: Person, tmp_path: Path) -> None:
    source = Source()
    with Mosquitto(tmp_path / "m", second="websockets") as broker, NodeProcess(person.data) as node:
        with BridgeProcess(person.data, bridge_config(person, f"ws://127.0.0.1:{broker.second_port}/mqtt")):
            wait_for(person.data, connected)
            source.publish(broker.port, 500)
            stores(person, 500)
        node.end()
    assert person.stored() == {float(value): 1 for value in range(500)}


def test_a_broker_that_does_not_speak_5_is_spoken_to_in_3_1_1(person: Person, tmp_path: Path) -> None:
    source = Source()
    with (
        Mosquitto(tmp_path / "m") as broker,
        Tap(broker.port, refuse_version=5) as tap,
        NodeProcess(person.data) as node,
    ):
        with BridgeProcess(person.data, bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")):
            wait_for(person.data, connected)
            assert states(person.data)[0].version == "3.1.1"
            once.single("home/meter", b"x" * (PACKET_LIMIT + 1), qos=1, port=broker.port)
            source.publish(broker.port, 50)
            stores(person, 50)
            assert states(person.data)[0].dropped == 1  # more than a device may send, and told
            assert states(person.data)[0].expiry is None  # the broker does not say
        node.end()
    assert [(version, clean) for version, _, clean in tap.seen.connects] == [(5, False), (4, False)]
    assert tap.seen.delivered
    assert len(person.stored()) == 50


def test_a_wrong_password_is_told_and_a_right_one_works(person: Person, tmp_path: Path) -> None:
    words = tmp_path / "words"
    subprocess.run([require_peer("mosquitto_passwd"), "-b", "-c", words, "bridge", "right"], check=True)
    with Mosquitto(tmp_path / "m", "allow_anonymous false", f"password_file {words}") as broker:
        url = f"mqtt://127.0.0.1:{broker.port}"
        with NodeProcess(person.data) as node:
            with BridgeProcess(person.data, bridge_config(person, url, username="bridge", password="wrong")):
                assert problem(person) == "the broker does not let this user in"
            with BridgeProcess(person.data, bridge_config(person, url, username="bridge", password="right")):
                wait_for(person.data, connected)
            node.end()


def test_overlapping_filters_bring_each_message_once(person: Person, tmp_path: Path) -> None:
    """With a broker that sends a message for each subscription that it matches, as it may."""
    source = Source("home/attic/power")
    filters = ("home/+/power", "home/attic/+", "home/attic/power")
    careless = Mosquitto(tmp_path / "m", "allow_duplicate_messages true")
    with careless as broker, Tap(broker.port) as tap, NodeProcess(person.data) as node:
        with BridgeProcess(person.data, bridge_config(person, f"mqtt://127.0.0.1:{tap.port}", *filters)):
            wait_for(person.data, connected)
            once.single("home/cellar/light", b'{"energy":777}', qos=1, port=broker.port)  # nobody's
            source.publish(broker.port, 20)
            stores(person, 20)
            wait_until(lambda: len(tap.seen.acknowledged) == 21)
        node.end()
    assert tap.seen.filters == ["home/+/+"]
    assert person.stored() == {float(value): 1 for value in range(20)}


def test_a_broker_would_send_a_message_for_each_overlapping_filter(tmp_path: Path) -> None:
    """The control of the test above."""
    came: list[bytes | bytearray] = []
    subscribed = threading.Event()
    with Mosquitto(tmp_path / "m", "allow_duplicate_messages true") as broker:
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _c, _u, message: came.append(message.payload)
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        client.subscribe([("a/+", 1), ("+/b", 1)])
        assert subscribed.wait(10)
        once.multiple([("a/b", "x", 1, False), ("a/end", "end", 1, False)], port=broker.port)
        wait_until(lambda: b"end" in came)
        client.disconnect()
        client.loop_stop()
    assert came == [b"x", b"x", b"end"]


def test_retained_messages_are_state_and_no_new_readings(person: Person, tmp_path: Path) -> None:
    source = Source()
    with Mosquitto(tmp_path / "m") as broker, NodeProcess(person.data) as node:
        for topic in ("home/a", "home/b"):
            once.single(topic, b'{"energy":500}', qos=1, retain=True, port=broker.port)
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{broker.port}")
        with BridgeProcess(person.data, wanted):
            wait_for(person.data, lambda found: connected(found) and found[0].retained == 2)
            source.publish(broker.port, 5, retain=True)  # live: new, whatever is kept of it
            stores(person, 5)
        with BridgeProcess(person.data, wanted):
            wait_for(person.data, lambda found: connected(found) and found[0].retained == 3)
        node.end()
    assert person.stored() == {float(value): 1 for value in range(5)}


def test_two_workers_share_what_comes(person: Person, tmp_path: Path) -> None:
    source = Source()
    with Mosquitto(tmp_path / "m") as broker, Tap(broker.port) as tap, NodeProcess(person.data) as node:
        once.single("home/a", b'{"energy":500}', qos=1, retain=True, port=broker.port)
        wanted = bridge_config(person, f"mqtt://127.0.0.1:{tap.port}", "home/#", workers=2)
        with BridgeProcess(person.data, wanted), BridgeProcess(person.data, wanted, worker=1):
            wait_for(person.data, lambda found: len(found) == 2 and connected(found))
            source.publish(broker.port, 400)
            stores(person, 400)
            shares = [one.stored for one in states(person.data)]
            assert states(person.data)[0].retained  # one of them has looked at the state
        node.end()
    assert min(shares) > 0
    assert set(tap.seen.filters) == {"$share/hypertouch-home/home/#", "home/#"}
    assert len({name for _, name, clean in tap.seen.connects if not clean}) == 2
    assert person.stored() == {float(value): 1 for value in range(400)}


def test_quality_of_service_0_is_kept_while_the_node_is_away(person: Person, tmp_path: Path) -> None:
    """Nothing is promised for it; it is counted once all the same."""
    source = Source()
    with (
        Mosquitto(tmp_path / "m") as broker,
        Tap(broker.port) as tap,
        BridgeProcess(person.data, bridge_config(person, f"mqtt://127.0.0.1:{tap.port}")),
    ):
        wait_until(lambda: bool(tap.seen.filters))
        for fault in ("after-commit", "after-recv"):
            with NodeProcess(person.data, fault, "1") as node:
                source.publish(broker.port, 30, qos=0)
                node.process.wait(30)
        with NodeProcess(person.data) as node:
            stores(person, 60)
            node.end()
    assert person.stored() == {float(value): 1 for value in range(60)}


def test_a_device_that_is_refused_does_not_hold_up_the_others(person: Person, tmp_path: Path) -> None:
    """Its messages are not acknowledged, and stay with the broker."""
    ghost = DeviceId.new(os.urandom)
    with Mosquitto(tmp_path / "m") as broker, Tap(broker.port) as tap, NodeProcess(person.data) as node:
        wanted = msgspec.structs.replace(
            bridge_config(person, f"mqtt://127.0.0.1:{tap.port}", "home/#"),
            mappings=[Mapping("home/#", "meter"), Mapping("home/ghost/+", "ghost")],
            devices={
                **bridge_config(person, "mqtt://x").devices,
                "ghost": Credential(ghost.text, "a" * 26),
            },
        )
        meter, other = Source("home/meter"), Source("home/ghost/meter")
        other.sent = 10_000
        with BridgeProcess(person.data, wanted):
            wait_for(person.data, lambda found: len(found) == 2 and connected(found))
            other.publish(broker.port, RECEIVE_MAX + 200)  # more than its session may have in flight
            meter.publish(broker.port, 100)
            wait_for(person.data, lambda found: len(found) == 2 and found[1].stored == 100)
            refused = states(person.data)[0]
        node.end()
    assert refused.device == "ghost"
    assert refused.problem == "the device was paused or removed, or has another password"
    assert refused.connected
    assert refused.stored == 0
    assert refused.waiting == RECEIVE_MAX
    assert refused.refused > 0
    assert person.stored() == {float(value): 1 for value in range(100)}


def test_another_client_with_our_client_id_is_told(person: Person) -> None:
    """By a broker that says so, as MQTT 5 has it: session taken over."""
    with socket.create_server(("127.0.0.1", 0)) as server, NodeProcess(person.data) as node:

        def serve() -> None:
            link, _ = server.accept()
            answers = {0x10: b"\x20\x03\x00\x00\x00", 0x80: b"\x90\x04\x00\x01\x00\x01\xe0\x02\x8e\x00"}
            with link:
                for first, _, _ in packets(link):
                    link.sendall(answers.get(first & 0xF0, b""))

        threading.Thread(target=serve, daemon=True).start()
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        with BridgeProcess(person.data, bridge_config(person, url)):
            assert problem(person) == "another client connected to the broker with our client id"
        node.end()


def test_acknowledgements_leave_in_the_order_of_the_messages() -> None:
    """MQTT 5, section 4.6, whatever is stored first; and none leaves for a connection that ended."""
    acknowledged: list[int] = []

    def serve(server: socket.socket) -> None:
        link, _ = server.accept()
        with link:
            for first, body, _ in packets(link):
                if first == 0x10:
                    three = b"".join(b"\x32\x06\x00\x01t\x00" + bytes((number, 0)) for number in (1, 2, 3))
                    link.sendall(b"\x20\x03\x00\x00\x00" + three)
                elif first == 0x40:
                    acknowledged.append(int.from_bytes(body[:2], "big"))

    async def scene(port: int) -> None:
        slots: dict[int, Slot] = {}

        def received(connection: Connection, message: MQTTMessage) -> None:
            slots[message.mid] = connection.expect(message.mid)

        broker, version = Broker.parse(f"mqtt://127.0.0.1:{port}"), MQTTProtocolVersion.MQTTv5
        connection = Connection(broker, Login("me"), version, received)
        await connection.open()
        while len(slots) < 3:
            await asyncio.sleep(0.01)
        slots[3].settle()
        slots[1].settle()
        while acknowledged != [1]:
            await asyncio.sleep(0.01)
        slots[2].settle()
        while acknowledged != [1, 2, 3]:
            await asyncio.sleep(0.01)
        connection.close()
        assert slots[1].gone
        late = connection.expect(4)
        late.settle()

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=serve, args=(server,))
        serving.start()
        asyncio.run(asyncio.wait_for(scene(server.getsockname()[1]), 30))
        serving.join(10)
    assert acknowledged == [1, 2, 3]


def test_a_configuration_that_others_can_read_is_refused(person: Person) -> None:
    wanted = bridge_config(person, "mqtt://127.0.0.1:1")
    with BridgeProcess(person.data, wanted) as bridge:
        bridge.end()
    path_of(person.data, "home").chmod(0o644)
    with pytest.raises(BridgeConfigError, match="open to others"):
        load(path_of(person.data, "home"))
    with pytest.raises(BridgeConfigError):
        load(path_of(person.data, "none"))


@pytest.mark.parametrize(
    ("text", "broker"),
    [
        ("mqtt://127.0.0.1", Broker("127.0.0.1", 1883, False, False)),
        ("mqtts://broker.example", Broker("broker.example", 8883, True, False)),
        ("mqtts://[::1]:8884", Broker("::1", 8884, True, False)),
        ("ws://ha.local:1884", Broker("ha.local", 1884, False, True, "/mqtt")),
        ("wss://broker.example/mq", Broker("broker.example", 443, True, True, "/mq")),
    ],
)
def test_an_address_is_read_and_written(text: str, broker: Broker) -> None:
    assert Broker.parse(text) == broker
    assert Broker.parse(broker.url) == broker


@pytest.mark.parametrize(
    "text",
    "|127.0.0.1:1883|http://x|mqtt://|mqtt://u:p@x|mqtt://x:0|mqtt://x:99999|mqtt://x/y|mqtt://x?y|wss://x/#y"
    "|mqtt://x y|mqtt://x\n".split("|"),
)
def test_what_is_no_address_of_a_broker_is_refused(text: str) -> None:
    with pytest.raises(BridgeConfigError):
        Broker.parse(text)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "../x"},
        {"workers": 0},
        {"workers": 17},
        {"client_id": ""},
        {"client_id": "a/b"},
        {"password": "x"},
        {"mappings": []},
        {"mappings": [Mapping("#", "meter"), Mapping("#", "meter")]},
        {"mappings": [Mapping("a#", "meter")]},
        {"mappings": [Mapping("#", "other")]},
        {"devices": {"meter": Credential("no id", "x")}},
    ],
)
def test_a_configuration_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    good = BridgeConfig(
        name="home",
        broker=Broker.parse("mqtt://127.0.0.1"),
        client_id="hypertouch-home",
        mappings=[Mapping("#", "meter")],
        devices={"meter": Credential("a" * 26, "x" * 26)},
    )
    assert check(good) == good
    with pytest.raises(BridgeConfigError):
        check(msgspec.structs.replace(good, **change))
