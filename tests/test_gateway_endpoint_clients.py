"""Real clients, unchanged, are content with the door: paho-mqtt also in WebSockets, mosquitto's over TCP."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.node.tls import open_tls
from tests.mqtt_door import Door, Opened, door
from tests.peers import require_peer

VERSIONS = {
    "3.1": MQTTProtocolVersion.MQTTv31,
    "3.1.1": MQTTProtocolVersion.MQTTv311,
    "5": MQTTProtocolVersion.MQTTv5,
}


def properties_of(kind: int) -> Properties:
    """Properties of MQTT 5 for a packet of this kind."""
    return Properties(kind)  # type: ignore[no-untyped-call]  # paho has no annotation there


class Paho:
    """A paho client in its own thread, with what it was told."""

    def __init__(
        self,
        running: Door,
        version: str = "3.1.1",
        client_id: str = "me",
        *,
        clean: bool = True,
        ca: Path | None = None,
    ) -> None:
        protocol = VERSIONS[version]
        self.v5 = version == "5"
        self.clean = clean
        self.port = running.port
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            None if self.v5 else clean,
            protocol=protocol,
            transport="websockets" if running.websocket else "tcp",
        )
        self.client.username_pw_set("meter", "right")
        if ca is not None:
            self.client.tls_set(ca_certs=str(ca), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.changed = threading.Condition()
        self.connects: list[tuple[bool, str]] = []
        self.published: list[int] = []
        self.granted: list[list[int]] = []
        self.messages: list[str] = []
        self.disconnects: list[str] = []
        self.client.on_connect = lambda _c, _u, flags, reason, _p: self.note(
            self.connects, (flags.session_present, str(reason))
        )
        self.client.on_publish = lambda _c, _u, mid, _r, _p: self.note(self.published, mid)
        self.client.on_subscribe = lambda _c, _u, _m, reasons, _p: self.note(
            self.granted, [reason.value for reason in reasons]
        )
        self.client.on_message = lambda _c, _u, message: self.note(self.messages, message.topic)
        self.client.on_disconnect = lambda _c, _u, _f, reason, _p: self.note(self.disconnects, str(reason))

    def note(self, where: list[Any], what: Any) -> None:
        with self.changed:
            where.append(what)
            self.changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout=30)

    def __enter__(self) -> Paho:
        more: dict[str, Any] = {}
        if self.v5:
            more["clean_start"] = self.clean
            if not self.clean:
                more["properties"] = properties_of(PacketTypes.CONNECT)
                more["properties"].SessionExpiryInterval = 3600
        self.client.connect("localhost", self.port, keepalive=30, **more)
        self.client.loop_start()
        self.wait(lambda: bool(self.connects))
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", VERSIONS)
def test_paho_publishes_and_everything_is_stored_once(version: str, qos: int, opened: Opened) -> None:
    payloads = [b"%d" % n for n in range(300)]
    with opened() as running, Paho(running, version) as device:
        assert device.connects == [(False, "Success")]
        for payload in payloads:
            device.client.publish("zigbee2mqtt/kitchen", payload, qos)
        device.wait(lambda: len(device.published) == 300)
        running.ingest.wait(lambda: len(running.ingest.stored) == 300)
        assert running.ingest.payloads() == payloads
        assert device.disconnects == []


@pytest.mark.parametrize("version", VERSIONS)
def test_paho_is_told_nothing_before_the_commit(version: str, opened: Opened) -> None:
    with opened() as running, Paho(running, version) as device:
        running.ingest.held = True
        info = device.client.publish("a", b"1", 1)
        running.ingest.wait(lambda: len(running.ingest.submitted) == 1)
        device.client.subscribe("own/commands", 1)
        device.wait(lambda: device.granted == [[1]])
        assert device.published == []
        assert not info.is_published()
        running.release()
        device.wait(lambda: len(device.published) == 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_paho_subscribes_to_its_own_topics_and_hears_nothing(version: str, opened: Opened) -> None:
    with opened() as running, Paho(running, version) as device:
        device.client.subscribe([("cmnd/meter/#", 2), ("meter/state", 0)])
        device.wait(lambda: device.granted == [[2, 0]])
        device.client.publish("meter/state", b"on", 1, retain=True)
        device.client.publish("cmnd/meter/POWER", b"on", 2)
        device.wait(lambda: len(device.published) == 2)
        device.client.unsubscribe("cmnd/meter/#")
        assert device.messages == []
        assert running.ingest.topics() == ["meter/state", "cmnd/meter/POWER"]


@pytest.mark.parametrize("version", VERSIONS)
def test_paho_with_a_will_is_content_and_the_will_is_not_published(version: str, opened: Opened) -> None:
    with opened() as running:
        device = Paho(running, version)
        device.client.will_set("meter/LWT", b"Offline", 1, retain=True)
        with device:
            device.client.publish("a", b"1", 1)
            device.wait(lambda: len(device.published) == 1)
            running.call(lambda: running.endpoint.disconnect("meter"))
            device.wait(lambda: bool(device.disconnects))
        assert running.ingest.topics() == ["a"]


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("version", VERSIONS)
def test_paho_with_a_persistent_session_delivers_after_an_interruption(
    version: str, qos: int, opened: Opened
) -> None:
    """The connection breaks between commit and acknowledgement: the message comes again, marked as such."""
    with opened() as running, Paho(running, version, clean=False) as device:
        running.ingest.held = True
        device.client.publish("a", b"1", qos)
        running.ingest.wait(lambda: len(running.ingest.submitted) == 1)
        running.ingest.links["meter"].known.add("me")
        running.call(lambda: running.endpoint.disconnect("meter"))
        running.release()
        device.wait(lambda: len(device.published) == 1)
        assert [present for present, _ in device.connects] == [
            False,
            version != "3.1",
        ]  # which has no such flag
        running.ingest.wait(lambda: len(running.ingest.stored) == 2)
        [(_, first), (_, again)] = running.ingest.stored
        assert (again.payload, again.packet_id) == (first.payload, first.packet_id)
        assert (first.dup, again.dup, again.fresh) == (False, True, True)


REFUSALS = {
    "3.1": "Bad user name or password",
    "3.1.1": "Bad user name or password",
    "5": "Bad user name or password",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_paho_is_told_that_its_password_is_wrong(version: str, opened: Opened) -> None:
    with opened() as running:
        device = Paho(running, version)
        device.client.username_pw_set("meter", "wrong")
        with device:
            assert device.connects[0] == (False, "Bad user name or password")
        assert running.ingest.submitted == []


def test_paho_5_without_a_name_is_given_one(opened: Opened) -> None:
    with opened() as running, Paho(running, "5", "") as device:
        device.client.publish("a", b"1", 1)
        device.wait(lambda: len(device.published) == 1)


def test_paho_5_with_every_property_of_a_message(opened: Opened) -> None:
    with opened() as running, Paho(running, "5") as device:
        properties = properties_of(PacketTypes.PUBLISH)
        properties.PayloadFormatIndicator = 1
        properties.MessageExpiryInterval = 60
        properties.ContentType = "application/senml+json"
        properties.ResponseTopic = "answers/me"
        properties.CorrelationData = b"1"
        properties.UserProperty = [("firmware", "1.2"), ("firmware", "1.3")]
        device.client.publish("a", b"[]", 1, properties=properties)
        device.wait(lambda: len(device.published) == 1)
        assert running.ingest.payloads() == [b"[]"]


@pytest.mark.parametrize("version", VERSIONS)
def test_paho_over_tls_pins_the_authority(version: str, tmp_path: Path, opened: Opened) -> None:
    ours = open_tls(tmp_path, [], time.time())
    with opened(tls=ours.context) as running, Paho(running, version, ca=ours.ca_path) as device:
        for n in range(50):
            device.client.publish("a", b"%d" % n, 1)
        device.wait(lambda: len(device.published) == 50)
        assert len(running.ingest.stored) == 50


# --- mosquitto's clients ----------------------------------------------------------------------


def peer(running: Door, command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run one of mosquitto's clients as the device ``meter``."""
    name, *arguments = command.split()
    where = ["-h", "localhost", "-p", str(running.port), "-u", "meter"]
    return subprocess.run(
        [require_peer(name), *where, *arguments], timeout=60, capture_output=True, check=False, input=stdin
    )


NAMES = {"3.1": "mqttv31", "3.1.1": "mqttv311", "5": "mqttv5"}


@pytest.mark.peer
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", NAMES)
def test_mosquitto_pub_sends_one_message(version: str, qos: int) -> None:
    command = f"mosquitto_pub -P right -V {NAMES[version]} -q {qos} -t tele/plug/SENSOR -m 21.5 -r"
    with door() as running:
        done = peer(running, f"{command} --will-topic lwt --will-payload gone")
        assert (done.returncode, done.stderr) == (0, b"")
        running.ingest.wait(lambda: len(running.ingest.stored) == 1)
        assert (running.ingest.topics(), running.ingest.payloads()) == (["tele/plug/SENSOR"], [b"21.5"])


@pytest.mark.peer
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", NAMES)
def test_mosquitto_pub_sends_a_thousand_lines(version: str, qos: int) -> None:
    lines = [b"%d" % n for n in range(1000)]
    persistent = "-i me -c -x 60" if version == "5" else "-i me -c"
    command = f"mosquitto_pub -P right -V {NAMES[version]} -q {qos} -t a -l {persistent}"
    with door() as running:
        done = peer(running, command, b"\n".join(lines) + b"\n")
        assert (done.returncode, done.stderr) == (0, b"")
        running.ingest.wait(lambda: len(running.ingest.stored) == 1000)
        assert running.ingest.payloads() == lines


@pytest.mark.peer
@pytest.mark.parametrize("version", NAMES)
def test_mosquitto_sub_subscribes_and_hears_nothing(version: str) -> None:
    with door() as running:
        done = peer(running, f"mosquitto_sub -P right -V {NAMES[version]} -q 2 -t # -t cmnd/me -W 1 -d")
        assert done.returncode == 27  # its time was up
        assert b"Subscribed (mid: 1): 2, 2" in done.stdout
        assert b"received PUBLISH" not in done.stdout


@pytest.mark.peer
@pytest.mark.parametrize("version", NAMES)
def test_mosquitto_pub_is_told_that_its_password_is_wrong(version: str) -> None:
    with door() as running:
        done = peer(running, f"mosquitto_pub -P wrong -V {NAMES[version]} -q 1 -t a -m x")
        assert done.returncode != 0
        assert b"user" in done.stderr.lower() + done.stdout.lower()
        assert running.ingest.submitted == []


@pytest.mark.peer
def test_mosquitto_pub_over_tls_pins_the_authority(tmp_path: Path) -> None:
    ours = open_tls(tmp_path, [], time.time())
    with door(tls=ours.context) as running:
        done = peer(running, f"mosquitto_pub -P right -q 1 -t a -m x --cafile {ours.ca_path}")
        assert (done.returncode, done.stderr) == (0, b"")
        assert running.ingest.payloads() == [b"x"]
