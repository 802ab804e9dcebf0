"""An owner's calls over the node's socket: only an enrolled client's, once, in time."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import wire
from gateway.dialects import DialectSettings
from gateway.rpcclient import call_sync
from policies.rules import Rules, encode_rules
from tests.mqtt_client import RawClient, connect, publish
from tests.node_process import PASSWORD, UNLOCKING, NodeProcess, Person, now_ms
from vault.device import Notes
from vault.ids import DeviceId, VaultId
from vault.ledger import Head
from vault.statement import StandingRules, sign
from vault.store.paths import DataDir
from vault.store.reader import Reader


def envelope(person: Person, call: wire.OwnerCall, created: int | None = None) -> wire.Envelope:
    """A call as the person's client signs it."""
    made = wire.Envelope(
        vault=bytes(person.vault),
        client=bytes(person.client),
        created=now_ms() if created is None else created,
        nonce=os.urandom(16),
        seen=Head(),
        body=wire.encode(call),
    )
    return made.signed(person.client_key)


def told(person: Person, made: wire.Envelope) -> str:
    """What the node answers: "done", or the code of its refusal."""
    reply = call_sync(person.data.socket, wire.Carried(made))
    return reply.code if isinstance(reply, wire.Refused) else "done"


def removal(person: Person) -> wire.OwnerCall:
    """A call that has an effect."""
    return wire.RemoveDevice(bytes(person.device))


FAULTS: dict[str, Callable[[Person], wire.Envelope]] = {
    "another client's id": lambda p: msgspec.structs.replace(envelope(p, removal(p)), client=bytes(16)),
    "another vault": lambda p: msgspec.structs.replace(envelope(p, removal(p)), vault=bytes(16)),
    "another key": lambda p: envelope(p, removal(p)).signed(Ed25519PrivateKey.generate()),
    "no signature": lambda p: msgspec.structs.replace(envelope(p, removal(p)), signature=b""),
    "another body": lambda p: msgspec.structs.replace(
        envelope(p, wire.RemoveDevice(bytes(16))), body=wire.encode(removal(p))
    ),
    "a nonce that was not signed": lambda p: msgspec.structs.replace(
        envelope(p, removal(p)), nonce=os.urandom(16)
    ),
    "too old": lambda p: envelope(p, removal(p), now_ms() - wire.NONCE_WINDOW_MS - 5_000),
    "from the future": lambda p: envelope(p, removal(p), now_ms() + wire.NONCE_WINDOW_MS + 5_000),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_with_one_fault_changes_nothing(person: Person, node: NodeProcess, fault: str) -> None:
    assert node.port
    assert told(person, FAULTS[fault](person)) == "not_authorised"
    reader = Reader(person.data)
    assert [row.ended for row in reader.devices(person.vault)] == [None]
    reader.close()


def test_the_call_without_a_fault_is_done_once(person: Person, node: NodeProcess) -> None:
    """The control, and a replay of it."""
    assert node.port
    made = envelope(person, removal(person))
    assert told(person, made) == "done"
    assert told(person, made) == "not_authorised"


def test_removing_a_device_cuts_its_connection_and_takes_nothing_more(
    person: Person, node: NodeProcess
) -> None:
    """ACCEPTANCE C6."""
    with RawClient(node.port) as client:
        client.send(connect(4, "meter", person.device.text, PASSWORD))
        assert client.receive()[0] == 0x20
        client.send(publish("meter", b'{"energy":1}', packet_id=1))
        assert client.receive() == (0x40, b"\x00\x01")
        assert told(person, envelope(person, removal(person))) == "done"
        begun = time.monotonic()
        assert client.closed()
        assert time.monotonic() - begun < 5
    with RawClient(node.port) as client:
        client.send(connect(4, "meter", person.device.text, PASSWORD))
        assert client.receive() == (0x20, b"\x00\x04")
    node.end()
    assert person.stored() == {1.0: 1}


def test_a_rotated_password_ends_the_old_one(person: Person, node: NodeProcess) -> None:
    from vault.device import verifier

    call = wire.RotateDevice(bytes(person.device), verifier(person.device, b"the new one"))
    assert told(person, envelope(person, call)) == "done"
    for password, answer in ((PASSWORD, b"\x00\x04"), (b"the new one", b"\x00\x00")):
        with RawClient(node.port) as client:
            client.send(connect(4, "meter", person.device.text, password))
            assert client.receive() == (0x20, answer)


def test_what_is_set_for_a_device_holds_at_once_and_what_it_declares_for_good(
    person: Person, node: NodeProcess
) -> None:
    """A device that says its time without a zone; a device that says what its topics are; then a kill."""
    notes = Notes(person.device, person.owner.notes_key(person.device))
    local = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 9 * 3600))
    said = b'{"Time":"%s","AM2301":{"Temperature":%s}}'
    config = {
        "name": "Attic", "state_topic": "attic/seven", "device_class": "temperature", "unique_id": "seven",
        "unit_of_measurement": "°C", "value_template": "{{ value_json.t }}",
    }  # fmt: skip
    with RawClient(node.port) as client:
        client.send(connect(4, "hub", person.device.text, PASSWORD))
        assert client.receive()[0] == 0x20
        settings = notes.seal_settings(
            msgspec.msgpack.encode(DialectSettings(timezone="Asia/Tokyo")), os.urandom(12)
        )
        assert told(person, envelope(person, wire.SetDevice(bytes(person.device), settings))) == "done"
        client.send(
            publish("tele/meter/SENSOR", said % (local.encode(), b"21"), packet_id=1),
            publish("homeassistant/sensor/seven/config", msgspec.json.encode(config), packet_id=2),
        )
        assert [client.receive() for _ in range(2)] == [(0x40, b"\x00\x01"), (0x40, b"\x00\x02")]
        node.process.kill()
    with NodeProcess(person.data) as again:
        with RawClient(again.port) as client:
            client.send(connect(4, "hub", person.device.text, PASSWORD))
            assert client.receive()[0] == 0x20
            client.send(publish("attic/seven", b'{"t":22}', packet_id=3))
            assert client.receive() == (0x40, b"\x00\x03")
        again.end()
    attic = {one.value: one for one in person.readings()}
    assert set(attic) == {21.0, 22.0}  # and nothing in quarantine
    assert abs(attic[21.0].time - now_ms()) < 60_000
    assert not attic[21.0].clock_suspect  # nine hours ahead, as in UTC, it would be


def test_unknown_vaults_look_like_known_ones(person: Person, node: NodeProcess) -> None:
    """ACCEPTANCE D12: their salts are there, differ, and never change; a login fails alike."""
    assert node.port
    unknown = VaultId.new(os.urandom)
    salts = [call_sync(person.data.socket, wire.Salts(bytes(unknown))) for _ in range(2)]
    other = call_sync(person.data.socket, wire.Salts(os.urandom(16)))
    assert isinstance(other, wire.KdfReply)
    assert salts[0] == salts[1] != other
    known = call_sync(person.data.socket, wire.Login(bytes(person.vault), b"wrong" * 7, "passphrase"))
    assert known == call_sync(person.data.socket, wire.Login(bytes(unknown), b"wrong" * 7, "passphrase"))
    right = wire.Login(bytes(person.vault), UNLOCKING.login_key, "passphrase")
    assert isinstance(call_sync(person.data.socket, right), wire.LoginReply)


def test_parallel_guesses_are_throttled_and_another_source_is_not(person: Person, node: NodeProcess) -> None:
    assert node.port
    guess = wire.Login(bytes(person.vault), b"wrong" * 7, "passphrase", "192.0.2.1")
    codes = [getattr(call_sync(person.data.socket, guess), "code", "") for _ in range(30)]
    assert codes == ["not_authorised"] * 10 + ["throttled"] * 20
    right = wire.Login(bytes(person.vault), UNLOCKING.login_key, "passphrase", "192.0.2.2")
    assert isinstance(call_sync(person.data.socket, right), wire.LoginReply)


def test_the_socket_and_every_file_are_the_owners_alone(tmp_path: Path, open_umask: None) -> None:
    """ACCEPTANCE E17: 0600 and 0700 whatever the umask."""
    del open_umask
    person = Person(DataDir(tmp_path / "node"))
    with NodeProcess(person.data) as node:
        assert node.port
        modes = {
            (path.is_dir(), stat.S_IMODE(path.lstat().st_mode))
            for path in (person.data.path, *person.data.path.rglob("*"))
        }
    assert modes == {(True, 0o700), (False, 0o600)}


def test_rules_blackouts_and_pauses_reach_the_store_over_the_socket(
    person: Person, node: NodeProcess
) -> None:
    assert node.port
    statement = StandingRules(1, encode_rules(Rules()), now_ms())
    signed = sign(person.owner.signing, person.vault, statement)
    now = now_ms() // 1000
    calls: list[tuple[wire.OwnerCall, str]] = [
        (wire.SetRules(signed), "done"),
        (wire.SetRules(signed), "conflict"),
        (wire.AddBlackout(b"b" * 16, now, now + 60, []), "done"),
        (wire.AddBlackout(b"b", now, now + 60, []), "invalid"),
        (wire.EndBlackout(b"b" * 16), "done"),
        (wire.EndBlackout(b"c" * 16), "not_found"),
        (wire.PauseGrant(bytes(16), True), "not_found"),
        (wire.PauseGrant(b"", True), "invalid"),
    ]
    assert [told(person, envelope(person, call)) for call, _ in calls] == [answer for _, answer in calls]
    reader = Reader(person.data)
    assert reader.rules(person.vault) == [signed]
    assert [row.id for row in reader.blackouts(person.vault)] == [b"b" * 16]
    reader.close()


def test_uses_are_counted_of_grants_there_are(person: Person, node: NodeProcess) -> None:
    assert node.port
    for raw, code in ((bytes(16), "not_found"), (b"short", "not_found")):
        reply = call_sync(person.data.socket, wire.Count(raw, "use"))
        assert isinstance(reply, wire.Refused)
        assert reply.code == code


def test_twenty_devices_have_twenty_secrets() -> None:
    """ACCEPTANCE C8: ids are drawn, not counted."""
    assert len({DeviceId.new(os.urandom) for _ in range(20)}) == 20
