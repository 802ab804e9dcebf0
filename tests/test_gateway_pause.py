"""A device that is paused, and one that is released: cut at once, told why, and nothing more is taken."""

from __future__ import annotations

from gateway import wire
from tests.mqtt_client import RawClient, connect, publish
from tests.node_process import PASSWORD, NodeProcess, Person, now_ms
from tests.test_gateway_node_owner import envelope, told
from vault.ids import DeviceId
from vault.statement import Release, sign
from vault.store.reader import Reader


def pause(person: Person, paused: bool) -> str:
    """What the node says to it."""
    return told(person, envelope(person, wire.PauseDevice(bytes(person.device), paused)))


def readings(person: Person) -> list[int]:
    """How many of each device are in the person's file."""
    reader = Reader(person.data)
    counts = [row.readings for row in reader.devices(person.vault)]
    reader.close()
    return counts


def answered(person: Person, node: NodeProcess, level: int, password: bytes = PASSWORD) -> bytes:
    """The body of CONNACK, without the properties of 5."""
    with RawClient(node.port) as client:
        client.send(connect(level, "meter", person.device.text, password))
        first, body = client.receive()
        assert first == 0x20
        return body[:2]


def test_a_paused_device_is_cut_and_told_so_until_it_is_resumed(person: Person, node: NodeProcess) -> None:
    with RawClient(node.port) as old, RawClient(node.port) as new:
        old.send(connect(4, "a", person.device.text, PASSWORD))
        new.send(connect(5, "b", person.device.text, PASSWORD))
        assert (old.receive()[0], new.receive()[0]) == (0x20, 0x20)
        old.send(publish("meter", b'{"energy":1}', packet_id=1))
        assert old.receive() == (0x40, b"\x00\x01")
        assert pause(person, True) == "done"
        assert new.receive()[1][0] == 0x98  # DISCONNECT, administrative action
        assert old.closed()
    assert answered(person, node, 4) == b"\x00\x05"
    assert answered(person, node, 5) == b"\x00\x87"
    assert answered(person, node, 4, b"wrong") == b"\x00\x04"  # who has not the password learns nothing
    assert pause(person, True) == "conflict"
    assert pause(person, False) == "done"
    with RawClient(node.port) as client:
        client.send(connect(4, "a", person.device.text, PASSWORD))
        assert client.receive() == (0x20, b"\x00\x00")
        client.send(publish("meter", b'{"energy":2}', packet_id=2))
        assert client.receive() == (0x40, b"\x00\x02")
        assert pause(person, False) == "conflict"
        client.send(publish("meter", b'{"energy":3}', packet_id=3))  # and that cut nothing
        assert client.receive() == (0x40, b"\x00\x03")
    node.end()
    assert person.stored() == {1.0: 1, 2.0: 1, 3.0: 1}


def test_nothing_that_was_queued_is_stored_after_the_pause_and_a_retry_is_stored_once(person: Person) -> None:
    """Commits take half a second, so that the messages behind the first wait when the call comes."""
    with NodeProcess(person.data, "slow", "5") as node:
        with RawClient(node.port) as client:
            client.send(connect(4, "meter", person.device.text, PASSWORD, clean=False))
            assert client.receive()[0] == 0x20
            client.send(publish("meter", b'{"energy":0}', packet_id=1))
            client.send(*(publish("meter", b'{"energy":%d}' % n, packet_id=n + 1) for n in range(1, 20)))
            assert pause(person, True) == "done"
            (kept,) = readings(person)
            acknowledged = set()
            try:
                while True:
                    _, body = client.receive()
                    acknowledged.add(int.from_bytes(body[:2], "big") - 1)
            except (EOFError, OSError):
                pass
        node.end()
    before = person.stored()
    assert sum(before.values()) == kept < 20
    assert set(before) >= {float(n) for n in acknowledged}
    with NodeProcess(person.data) as node:
        assert pause(person, False) == "done"
        with RawClient(node.port) as client:
            client.send(connect(4, "meter", person.device.text, PASSWORD, clean=False))
            assert client.receive()[0] == 0x20
            missing = sorted(set(range(20)) - acknowledged)
            client.send(*(publish("meter", b'{"energy":%d}' % n, packet_id=n + 1, dup=True) for n in missing))
            for _ in missing:
                assert client.receive()[0] == 0x40
        node.end()
    assert person.stored() == {float(n): 1 for n in range(20)}


def test_a_released_device_is_cut_and_its_password_is_wrong_from_then_on(
    person: Person, node: NodeProcess
) -> None:
    statement = Release(person.device.text, now_ms(), "rental")
    signed = sign(person.owner.signing, person.vault, statement)
    with RawClient(node.port) as client:
        client.send(connect(4, "meter", person.device.text, PASSWORD))
        assert client.receive()[0] == 0x20
        assert told(person, envelope(person, wire.ReleaseDevice(bytes(person.device), signed))) == "done"
        assert client.closed()
    assert answered(person, node, 4) == b"\x00\x04"
    assert told(person, envelope(person, wire.ReleaseDevice(bytes(person.device), signed))) == "conflict"


def test_a_stranger_cuts_nobody(person: Person, node: NodeProcess) -> None:
    """An owner who names another's device is told that there is none, and it stays connected."""
    other = DeviceId(bytes(16))
    with RawClient(node.port) as client:
        client.send(connect(4, "meter", person.device.text, PASSWORD))
        assert client.receive()[0] == 0x20
        assert told(person, envelope(person, wire.PauseDevice(bytes(other), True))) == "not_found"
        client.send(publish("meter", b'{"energy":1}', packet_id=1))
        assert client.receive() == (0x40, b"\x00\x01")
