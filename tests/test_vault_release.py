"""A device is released: its credential and what was tied to it end together, and a statement stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace as but

from policies.grant import Active, Ended, Refusal
from tests.world import Asked, Device, Fault, Killed, Person, RefusedError, World, expect
from vault.ids import DeviceId
from vault.person import Owner
from vault.statement import Enrolment, Release, Signed, sign, verify
from vault.store import grants, handover, people
from vault.store.errors import Unavailable
from vault.store.handover import DATE_WINDOW_MS, pause_device, release_device
from vault.store.records import DeviceRow, No


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def said(device: Device, /, **other: object) -> Release:
    """What a release says."""
    made = Release(device.id.text, device.person.world.clock(), "sale", to="the buyer")
    return but(made, **other)


def signed(device: Device, /, **other: object) -> Signed:
    """The owner's word for it."""
    return sign(device.person.owner.signing, device.person.vault, said(device, **other))


def release(device: Device) -> No | None:
    return release_device(device.person.world.writer, device.person.vault, device.id, signed(device))


def row(device: Device) -> DeviceRow:
    """The device as the host knows it."""
    device.person.world.flush(device.person)
    rows = device.person.world.reader.devices(device.person.vault)
    return next(one for one in rows if one.device == device.id)


def given(person: Person, brand: str, *devices: Device) -> Asked:
    """A grant on temperatures of these."""
    asked = Asked(person, person.world.brand(brand))
    person.approve(asked, *(device.selector() for device in devices))
    return asked


def test_the_grants_that_name_only_this_device_end_and_the_others_go_on(world: World) -> None:
    person = world.person()
    car, meter = person.device("car"), person.device("meter")
    alone, both, other = given(person, "A", car), given(person, "B", car, meter), given(person, "C", meter)
    car.send(1)
    meter.send(2)
    tokens = {asked: asked.token() for asked in (alone, both, other)}
    expect(release(car))
    states = {asked: person.world.writer.file(person.vault).state(asked.grant) for asked in tokens}
    assert isinstance(ended := states[alone], Ended)
    assert ended.why == "revoked"
    assert [type(states[asked]) for asked in (both, other)] == [Active, Active]
    assert isinstance(alone.permit(), Refusal)
    with pytest.raises(LookupError):
        alone.keys(tokens[alone])
    assert [one.observation.value for one in both.pages(both.keys(tokens[both]))] == [1.0, 2.0]
    assert [one.observation.value for one in other.pages(other.keys(tokens[other]))] == [2.0]
    assert person.values() == [1.0, 2.0]  # what it sent stays
    assert [(one.what, one.note) for one in person.ledger()[-2:]] == [
        ("device", "released"),
        ("ended", "revoked"),
    ]


def test_the_statement_stays_beside_the_device_and_its_credential_is_gone(world: World) -> None:
    car = world.person().device("car")
    expect(pause_device(world.writer, car.person.vault, car.id, paused=True))
    expect(release(car))
    found = row(car)
    assert found.released is not None
    assert verify(car.person.owner.verify_key, car.person.vault, found.released) == said(car)
    assert (found.ended, found.paused) == (world.clock(), None)
    assert world.reader.device_verifier(car.person.vault, car.id) is None
    again = release(car)
    assert isinstance(again, No)
    assert again.code == "conflict"


def test_an_approval_that_was_cut_off_ends_too(world: World) -> None:
    person = world.person()
    car = person.device("car")
    asked = Asked(person, world.brand())
    person.prepare(asked, person.statement(asked, asked.terms(car.selector())))
    expect(release(car))
    assert not world.writer.state(person.vault).open.readers
    with pytest.raises(RefusedError):
        person.prepare(asked, person.statement(asked, asked.terms(car.selector())))


ONE_FAULT: dict[str, tuple[str, dict[str, object]]] = {
    "of another device": ("invalid", {"device": DeviceId(bytes(16)).text}),
    "dated two hours ago": ("invalid", {"released": -2}),
    "dated in two hours": ("invalid", {"released": 2}),
    "to whom cannot be shown": ("invalid", {"to": "\x1b[31m"}),
    "a name that cannot be shown": ("invalid", {"name": "a\u202eb"}),
    "more words than a statement has": ("invalid", {"to": "x" * 201}),
}


def test_a_paused_grant_of_this_device_alone_ends_with_it(world: World) -> None:
    car = world.person().device("car")
    asked = Asked(car.person, world.brand())
    car.person.approve(asked, car.selector())
    expect(grants.pause(world.writer, car.person.vault, asked.grant, paused=True))
    expect(release(car))
    assert isinstance(world.writer.file(car.person.vault).state(asked.grant), Ended)
    assert world.reader.slot(car.person.vault, asked.grant) is None


@pytest.mark.parametrize("fault", ONE_FAULT)
def test_a_statement_with_one_fault_changes_nothing(world: World, fault: str) -> None:
    car = world.person().device("car")
    code, other = ONE_FAULT[fault]
    if isinstance(hours := other.get("released"), int):
        other = {"released": world.clock() + hours * DATE_WINDOW_MS}
    before = row(car)
    no = release_device(world.writer, car.person.vault, car.id, signed(car, **other))
    assert isinstance(no, No)
    assert (no.code, row(car)) == (code, before)
    expect(release(car))  # the control


def test_only_the_owner_releases_and_only_with_a_release(world: World) -> None:
    person = world.person()
    car, vault = person.device("car"), person.vault
    stranger = sign(Owner(b"x" * 32).signing, vault, said(car))
    elsewhere = sign(person.owner.signing, world.person("ben").vault, said(car))
    enrolment = sign(person.owner.signing, vault, Enrolment(person.client.text, bytes(32), ""))
    for bad, code in (
        (stranger, "not_authorised"),
        (elsewhere, "not_authorised"),
        (but(signed(car), signature=bytes(64)), "not_authorised"),
        (enrolment, "invalid"),
    ):
        no = release_device(world.writer, vault, car.id, bad)
        assert isinstance(no, No)
        assert no.code == code
    unknown = Release(DeviceId(b"u" * 16).text, world.clock(), "sale")
    no = release_device(world.writer, vault, DeviceId(b"u" * 16), sign(person.owner.signing, vault, unknown))
    assert isinstance(no, No)
    assert no.code == "not_found"
    assert row(car).ended is None


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.EIO])
def test_cut_off_at_any_write_all_of_it_happened_or_none_and_again_completes_it(
    memory_path: Path, fault: Fault, after: bool
) -> None:
    for step in range(1, 60):
        world = World(memory_path / f"{step}")
        person = world.person()
        car = person.device("car")
        asked = given(person, "A", car)
        car.send(1)
        token = asked.token()
        world.files.fail(step, fault, after=after)
        outcome: No | None = None
        try:
            outcome = release(car)
            fired = world.files.fired
        except (Killed, Unavailable):
            fired = True
        world.files.heal()
        world.crash()
        assert outcome is None
        released, state = row(car).released, person.world.writer.file(person.vault).state(asked.grant)
        assert (released is not None) is isinstance(state, Ended)
        if released is None:
            expect(release(car))
        with pytest.raises(LookupError):
            asked.keys(token)
        assert row(car).ended is not None
        assert person.told().count("ended") == 1
        world.close()
        if not fired:
            break
    assert 5 < step < 59


def test_a_pause_keeps_the_credential_and_is_told_once(world: World) -> None:
    car = world.person().device("car")
    vault = car.person.vault

    def pause(paused: bool) -> str:
        no = pause_device(world.writer, vault, car.id, paused=paused)
        return no.code if no else "done"

    assert (pause(False), pause(True), pause(True)) == ("conflict", "done", "conflict")
    assert (row(car).paused, world.reader.is_paused(vault, car.id)) == (world.clock(), True)
    assert world.reader.device_verifier(vault, car.id) is not None
    world.crash()
    assert row(car).paused == world.clock()
    assert (pause(False), pause(False)) == ("done", "conflict")
    assert not world.reader.is_paused(vault, car.id)
    assert [one.note for one in car.person.ledger() if one.what == "device"] == ["added", "paused", "resumed"]
    expect(people.remove_device(world.writer, vault, car.id))
    assert pause(True) == "not_found"
    assert isinstance(handover.pause_device(world.writer, vault, DeviceId(bytes(16)), paused=True), No)
