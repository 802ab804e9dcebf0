"""Apps and browsers against a real node: MQTT in WebSockets, plain and with TLS, stored sealed and once."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gateway.rpcclient import call_sync
from gateway.wire import GetStatus, NodeStatus
from tests import mqtt_client as client
from tests.mqtt_client import ids
from tests.node_process import PASSWORD, NodeProcess, Person
from tests.websocket_client import WebSocketClient
from vault.store.paths import DataDir

LOOPBACK = {"ws_host": "127.0.0.1", "ws_port": 0, "wss_host": "127.0.0.1", "wss_port": 0}
KINDS = [
    (tls, version, qos)
    for tls in (False, True)
    for version in (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5)
    for qos in (0, 1, 2)
]


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    """A vault with one device."""
    return Person(DataDir(tmp_path_factory.mktemp("node")))


@pytest.fixture(scope="module")
def node(person: Person) -> Iterator[NodeProcess]:
    """A node that listens for WebSockets."""
    with NodeProcess(person.data, **LOOPBACK) as running:
        yield running


def publish(person: Person, node: NodeProcess, values: list[int], kind: tuple[bool, int, int]) -> None:
    """Publish readings with paho, and return when they were acknowledged as their QoS says."""
    tls, version, qos = kind
    device = paho.Client(
        CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion(version), transport="websockets"
    )
    device.username_pw_set(person.device.text, PASSWORD.decode())
    if tls:
        device.tls_set(ca_certs=str(person.data.tls / "ca.pem"))
    device.connect("localhost" if tls else "127.0.0.1", node.ready["wss_port" if tls else "ws_port"])
    device.loop_start()
    try:
        for sent in [device.publish("meter", b'{"energy":%d}' % value, qos) for value in values]:
            sent.wait_for_publish(30)
            assert sent.is_published()
    finally:
        device.disconnect()
        device.loop_stop()


def test_a_browser_over_tls_needs_the_authority(person: Person, node: NodeProcess) -> None:
    port = node.ready["wss_port"]
    with pytest.raises(ssl.SSLCertVerificationError):
        WebSocketClient(port, ssl.create_default_context())
    trusting = ssl.create_default_context(cafile=str(person.data.tls / "ca.pem"))
    with WebSocketClient(port, trusting) as device:
        assert device.status == 101


@pytest.mark.slow
def test_paho_over_websockets_through_a_real_node(person: Person, node: NodeProcess) -> None:
    """Plain and TLS, 3.1.1 and 5, QoS 0, 1 and 2: every reading is in the vault once."""
    for number, kind in enumerate(KINDS):
        publish(person, node, list(range(100 * number, 100 * number + 100)), kind)
    status = call_sync(person.data.socket, GetStatus())
    assert isinstance(status, NodeStatus)
    assert status.ws == f"127.0.0.1:{node.ready['ws_port']}"
    assert status.wss == f"127.0.0.1:{node.ready['wss_port']}"
    assert status.mqtts == ""
    code, said = node.end()
    assert (code, said) == (0, "")
    stored = person.stored()
    assert sorted(stored) == [float(value) for value in range(100 * len(KINDS))]
    assert set(stored.values()) == {1}


@pytest.mark.slow
def test_five_hundred_upgrades_without_connect_disturb_nobody(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """B9: closed within five seconds, while another device is acknowledged within one."""
    other = Person(DataDir(tmp_path_factory.mktemp("node")))
    with NodeProcess(other.data, **LOOPBACK) as node, ExitStack() as stack:
        begun = time.monotonic()
        silent = [stack.enter_context(WebSocketClient(node.ready["ws_port"])) for _ in range(500)]
        opened = time.monotonic()
        device = stack.enter_context(WebSocketClient(node.ready["ws_port"]))
        device.send(client.connect(4, "meter", other.device.text, PASSWORD))
        assert device.receive() == (0x20, b"\0\0")
        waits = []
        for n in range(1, 101):
            sent = time.monotonic()
            device.send(client.publish("meter", b'{"energy":%d}' % n, 1, n))
            assert ids([device.receive()], 0x40) == [n]
            waits.append(time.monotonic() - sent)
        assert sorted(waits)[98] < 1
        assert all(one.rest() == [] for one in silent)
        assert time.monotonic() - opened < 5.5
        assert opened - begun < 5
        assert device.barrier() == []
