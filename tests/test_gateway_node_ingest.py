"""What a device may store in a day."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from gateway.node.config import NodeConfig
from gateway.node.ingest import Quota
from tests.mqtt_client import RawClient, connect, publish
from tests.node_process import PASSWORD, Person
from vault.ids import DeviceId
from vault.store.paths import DataDir

ONE, OTHER = DeviceId(bytes(16)), DeviceId(b"\1" * 16)


def test_a_device_has_its_own_bytes_a_day_and_new_ones_the_next() -> None:
    quota = Quota(100)
    assert quota.take(ONE, 60, today=5)
    assert not quota.take(ONE, 41, today=5)
    assert quota.take(ONE, 40, today=5)
    assert not quota.take(ONE, 1, today=5)
    assert quota.take(OTHER, 100, today=5)
    assert quota.take(ONE, 100, today=6)


def test_beyond_it_nothing_is_acknowledged_or_stored(tmp_path: Path) -> None:
    person = Person(DataDir(tmp_path / "node"))
    config = NodeConfig(data=str(person.data.path), mqtt_port=0, device_day_bytes=30)
    node = subprocess.Popen(
        [sys.executable, "-m", "gateway.node.run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert node.stdin is not None
        assert node.stdout is not None
        node.stdin.write(msgspec.json.encode(config) + b"\n")
        node.stdin.flush()
        port = msgspec.json.decode(node.stdout.readline())["mqtt_port"]
        with RawClient(port) as client:
            client.send(connect(4, "meter", person.device.text, PASSWORD))
            client.receive()
            client.send(publish("meter", b'{"energy":1}', packet_id=1))
            assert client.receive() == (0x40, b"\x00\x01")
            client.send(publish("meter", b'{"energy":2,"power":3}', packet_id=2))
            assert client.closed()
    finally:
        node.terminate()
        node.communicate(timeout=20)
    assert person.stored() == {1.0: 1}
