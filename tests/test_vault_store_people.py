"""Vaults, clients, devices, touchpoints and brands: whole or not there, once, and told in the ledger."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.world import Asked, Fault, Killed, Person, RefusedError, World, at, expect
from vault.ids import BrandId, ClientId, DeviceId, TouchpointId, VaultId
from vault.person import Owner
from vault.statement import Enrolment, sign
from vault.store import people
from vault.store.errors import NotAVault, Unavailable
from vault.store.records import No
from vault.store.registry import secret_verifier

KEY = Owner(b"c" * 32).verify_key


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_of_its_making_a_vault_is_whole_or_not_there(
    memory_path: Path, after: bool
) -> None:
    for step in itertools.count(1):
        world = World(memory_path / f"{step}")
        world.files.fail(step, Fault.DEAD, after=after)
        try:
            person = world.person()
            break
        except Killed:
            world.crash()
        for vault in world.data.vault_ids():
            assert world.writer.file(vault).row("SELECT count(*) FROM client") == (1,)
            assert world.writer.state(vault).head.number == 2
        assert not list(world.data.vaults.glob("*.new*"))
    world.files.heal()
    assert person.told() == ["created", "enrolled"]
    assert step > 10


def test_a_vault_whose_making_failed_can_be_made_again(world: World) -> None:
    new = world.person().new
    vault = replace(new, vault=VaultId(b"v" * 16))
    enrolment = sign(
        Owner(b"o" * 32).signing, vault.vault, Enrolment(ClientId(b"c" * 16).text, KEY, "laptop")
    )
    vault = replace(vault, verify_key=Owner(b"o" * 32).verify_key, enrolment=enrolment)
    for step in itertools.count(1):
        world.files.fail(step)
        try:
            assert people.create_vault(world.writer, vault) is None
            break
        except Unavailable:
            assert not world.data.vault_db(vault.vault).exists()
    world.files.heal()
    assert world.writer.state(vault.vault).head.number == 2
    assert people.client_key(world.writer, vault.vault, ClientId(b"c" * 16)) == KEY


def test_a_vault_is_made_once_and_only_for_who_signs_for_it(world: World) -> None:
    person = world.person()
    fresh = replace(person.new, vault=VaultId(b"v" * 16))
    assert outcome(people.create_vault(world.writer, person.new)) == "conflict"
    assert outcome(people.create_vault(world.writer, fresh)) == "not_authorised"  # signed for another vault
    signed = sign(person.owner.signing, fresh.vault, Enrolment(person.client.text, KEY, ""))
    bad = replace(fresh, enrolment=signed, hpke_public=bytes(1216))
    assert outcome(people.create_vault(world.writer, bad)) == "invalid"
    assert world.data.vault_ids() == [person.vault]


def outcome(no: No | None) -> str:
    """The code of a no; "" is yes."""
    return no.code if no is not None else ""


def test_a_client_is_enrolled_by_the_owner_once_and_ends_once(world: World) -> None:
    person = world.person()
    client = ClientId(b"n" * 16)
    enrolment = Enrolment(client.text, KEY, "phone")
    forged = sign(Owner(b"x" * 32).signing, person.vault, enrolment)
    assert outcome(people.enrol(world.writer, person.vault, forged)) == "not_authorised"
    signed = sign(person.owner.signing, person.vault, enrolment)
    assert outcome(people.enrol(world.writer, VaultId(bytes(16)), signed)) == "not_authorised"
    expect(people.enrol(world.writer, person.vault, signed))
    assert outcome(people.enrol(world.writer, person.vault, signed)) == "conflict"
    assert people.client_key(world.writer, person.vault, client) == KEY
    expect(people.end_client(world.writer, person.vault, client))
    assert outcome(people.end_client(world.writer, person.vault, client)) == "not_found"
    assert people.client_key(world.writer, person.vault, client) is None
    assert person.told() == ["created", "enrolled", "enrolled", "enrolled"]


def test_what_is_not_there_is_not_found_and_leaves_no_entry(world: World) -> None:
    person, nobody = world.person(), DeviceId(bytes(16))
    answers = [
        people.rotate_device(world.writer, person.vault, nobody, b"v"),
        people.remove_device(world.writer, person.vault, nobody),
        people.revoke_touchpoint(world.writer, person.vault, TouchpointId(bytes(16))),
        people.new_touchpoint(world.writer, person.vault, TouchpointId(bytes(16)), BrandId(bytes(16))),
        people.end_client(world.writer, person.vault, bytes(16)),
    ]
    assert [outcome(answer) for answer in answers] == ["not_found"] * 5
    assert person.told() == ["created", "enrolled"]
    person.device()
    assert person.told() == ["created", "enrolled", "device"]


def test_an_id_belongs_to_one_vault(world: World) -> None:
    ana, ben = world.person("ana"), world.person("ben")
    meter, brand = ana.device(), world.brand()
    touchpoint = ana.touchpoint(brand)
    for vault in (ana.vault, ben.vault):
        assert outcome(people.add_device(world.writer, vault, meter.id, b"name", b"v")) == "conflict"
        assert outcome(people.new_touchpoint(world.writer, vault, touchpoint, brand)) == "conflict"
    assert world.writer.registry.locate(meter.id) == ana.vault


def test_an_id_of_an_attempt_that_failed_can_be_used_again(world: World) -> None:
    person, device = world.person(), DeviceId(b"d" * 16)
    file = world.data.vault_db(person.vault).name
    world.files.fail(1, only=lambda _, name: name == file)
    with pytest.raises(Unavailable):
        people.add_device(world.writer, person.vault, device, b"name", b"v")
    world.files.heal()
    expect(people.add_device(world.writer, person.vault, device, b"name", b"v"))


def test_a_changed_or_removed_credential_forgets_what_it_had_acknowledged(world: World) -> None:
    """Digests under a key that nobody has any more recognise nothing."""
    ends: list[Callable[[Person, DeviceId], No | None]] = [
        lambda p, d: people.rotate_device(world.writer, p.vault, d, b"v"),
        lambda p, d: people.remove_device(world.writer, p.vault, d),
    ]
    person = world.person()
    for end in ends:
        meter = person.device()
        assert meter.publish(at(world, 0, 1), packet=1)
        expect(end(person, meter.id))
        assert world.writer.file(person.vault).rows("SELECT * FROM recent") == []
    assert world.reader.device_verifier(person.vault, meter.id) is None


def test_counts_of_a_device_are_of_what_was_stored(world: World) -> None:
    meter = world.person().device()
    meter.send(1, 2)
    meter.publish(at(world, 0, 3), packet=1)
    meter.publish(at(world, 0, 3), packet=1, again=True)
    meter.publish(raw=b"?")
    world.crash()
    world.flush(meter.person)
    (row,) = world.reader.devices(meter.person.vault)
    assert (row.readings, row.quarantined, row.last_seen) == (3, 1, world.clock())


def test_digests_are_kept_for_the_latest_messages_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ones go now and then, not with every message."""
    monkeypatch.setattr("vault.store.person.RECENT_MAX", 10)
    monkeypatch.setattr("vault.store.person.TRIM_EVERY", 3)
    meter = world.person().device()
    for packet in range(100):
        assert meter.publish(at(world, 0, packet), packet=packet)
        world.writer.move_all()
    (kept,) = world.writer.file(meter.person.vault).row("SELECT sum(count) FROM recent")
    assert 10 <= kept < 60
    for packet in range(90, 100):
        assert meter.publish(at(world, 0, packet), packet=packet, again=True)
    assert len(meter.person.values()) == 100


def test_login_takes_the_right_key_of_the_right_kind(world: World) -> None:
    person, writer = world.person(), world.writer
    new = replace(person.new.wrapped, salt=b"t" * 16)
    people.rewrap(writer, person.vault, new, b"p" * 32, b"r" * 32)
    assert people.check_login(writer, person.vault, b"p" * 32, "passphrase") == (
        new,
        person.owner.hpke.public,
        person.owner.verify_key,
    )
    assert people.check_login(writer, person.vault, b"r" * 32, "recovery") is not None
    assert people.check_login(writer, person.vault, b"r" * 32, "passphrase") is None
    assert people.check_login(writer, VaultId(bytes(16)), b"p" * 32, "passphrase") is None
    people.rewrap(writer, person.vault, new, b"q" * 32, b"")
    assert people.check_login(writer, person.vault, b"q" * 32, "passphrase") is not None
    assert people.check_login(writer, person.vault, b"r" * 32, "recovery") is not None


def test_killed_at_each_write_of_a_change_of_passphrase_one_of_the_two_opens(memory_path: Path) -> None:
    """E9: old or new, never both or neither."""
    for step, after in itertools.product(range(1, 9), (False, True)):
        world = World(memory_path / f"{step}{after}")
        person = world.person()
        old = world.writer.file(person.vault).row("SELECT login_verifier FROM vault")[0]
        world.files.fail(step, Fault.DEAD, after=after)
        try:
            people.rewrap(world.writer, person.vault, person.new.wrapped, b"n" * 32, b"")
        except Killed:
            world.crash()
        opening = [
            people.check_login(world.writer, person.vault, key, "passphrase") for key in (old, b"n" * 32)
        ]
        assert sum(found is not None for found in opening) == 1
        person.told()


def test_a_brand_is_known_by_its_secret_until_it_ends(world: World) -> None:
    registry = world.writer.registry
    brand, secret = registry.add_brand("Acme", "https://acme.example", 1)
    found = registry.brand(brand)
    assert found is not None
    assert found.verifier == secret_verifier(secret)
    assert secret.encode() not in world.bytes_on_disk()
    assert registry.end_brand(brand, 2)
    assert not registry.end_brand(brand, 3)
    assert [row.ended for row in world.reader.brands()] == [2]
    with pytest.raises(RefusedError):
        Asked(world.person(), brand)


def test_an_invitation_is_good_once_and_for_its_time(world: World) -> None:
    registry = world.writer.registry
    code = registry.invite(100)
    assert not registry.redeem(code, 100)
    assert registry.redeem(code, 99)
    assert not registry.redeem(code, 98)
    assert not registry.redeem("hti_" + "a" * 52, 1)


def test_a_node_file_that_fails_or_is_damaged_is_an_error_of_ours(world: World) -> None:
    world.files.fail(1, only=lambda _, file: file == "node.db")
    with pytest.raises(Unavailable):
        world.writer.registry.add_brand("Acme", "", 1)
    world.files.heal()
    world.close()
    with closing(sqlite3.connect(world.data.node_db)) as connection:
        connection.execute("DROP TABLE located")
        connection.commit()
    world.open()
    with pytest.raises(Unavailable):
        world.writer.registry.locate(bytes(16))
    with pytest.raises(Unavailable):
        world.reader.locate(bytes(16))


def test_a_vault_that_is_not_here_is_said_so(world: World) -> None:
    nobody = VaultId(bytes(16))
    with pytest.raises(NotAVault):
        world.writer.state(nobody)
    with pytest.raises(LookupError):
        world.reader.overview(nobody)
    assert world.reader.vault(nobody) is None
    assert people.wrapped_root(world.writer, nobody) is None


def test_an_overview_counts_what_is_there(world: World) -> None:
    meter = world.person().device()
    asked, other = Asked(meter.person, world.brand()), Asked(meter.person, world.brand("Globex"))
    meter.person.approve(asked, meter.selector())
    meter.send(1, 2)
    world.flush(meter.person)
    today = world.clock() // 86_400_000
    counts = world.reader.overview(meter.person.vault)
    assert (counts.devices, counts.pending, counts.active, counts.readings) == (1, 1, 1, 2)
    assert (counts.first_day, counts.last_day) == (today, today)
    assert {row.grant for row in world.reader.grants(meter.person.vault)} == {asked.grant, other.grant}


def test_chunks_are_given_as_many_as_fit_and_all_of_them_in_the_end(world: World) -> None:
    meter = world.person().device()
    for value in range(10):
        meter.send(value)
    world.flush(meter.person)
    (row,) = world.reader.segments(meter.person.vault, 0, 1 << 30)
    segment = meter.person.open_segment(row)[0].segment
    whole = world.reader.chunks(meter.person.vault, [segment, segment], 0, 0)
    assert len(whole) == 10
    for limit in (1, 100, 500, 1 << 20):
        found, after = [], 0
        while some := world.reader.chunks(meter.person.vault, [segment], after, 0, limit):
            assert sum(len(chunk.body) for chunk in some[:-1]) < limit
            found += some
            after = some[-1].row
        assert found == whole
