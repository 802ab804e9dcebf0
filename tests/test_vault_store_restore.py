"""A vault's generation: a narrowing that was cut short is finished, an older copy ends every grant."""

from __future__ import annotations

import itertools
import random
import shutil
from pathlib import Path

import pytest

from policies.grant import Active, Ended, GrantState, Lapsed, Preparing
from tests.world import Asked, Device, Fault, Killed, Person, World
from vault.store import grants
from vault.store.errors import Unavailable
from vault.store.sector import ClockMark


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def granted(world: World, name: str = "Acme") -> tuple[Device, Asked]:
    """A meter and a grant of it."""
    meter = world.person().device()
    asked = Asked(meter.person, world.brand(name))
    meter.person.approve(asked, meter.selector())
    return meter, asked


def state(asked: Asked) -> GrantState | None:
    """As the person's file has it, when it was opened as a node opens it."""
    return asked.person.world.writer.file(asked.person.vault).state(asked.grant)


def nothing_is_readable(asked: Asked) -> bool:
    """No slot, no wrapped seed, no box."""
    reader, vault = asked.person.world.reader, asked.person.vault
    return (
        reader.slot(vault, asked.grant) is None
        and reader.wrapped_seed(vault, asked.grant) is None
        and reader.boxes(vault, asked.grant, 0) == []
    )


def put_back(world: World, person: Person, copy: Path) -> None:
    """What a host does that was restored, or that lies: an older file in the vault's place."""
    world.close()
    shutil.copy(copy, world.data.vault_db(person.vault))
    world.open()


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_of_a_revocation_it_is_done_or_not_begun(memory_path: Path, after: bool) -> None:
    for step in itertools.count(1):
        world = World(memory_path / f"{step}")
        meter, asked = granted(world)
        meter.send(1)
        token = asked.token()
        world.files.fail(step, Fault.DEAD, after=after)
        try:
            meter.person.revoke(asked)
            break
        except Killed:
            world.crash()
        if isinstance(state(asked), Active):
            assert [one.observation.value for one in asked.pages(asked.keys(token))] == [1.0]
            meter.person.revoke(asked)
        assert nothing_is_readable(asked)
        vault = meter.person.vault
        assert world.writer.live.generation(vault) == world.writer.file(vault).generation() == 2
        assert meter.person.told().count("ended") == 1
        assert "restored" not in meter.person.told()
    assert step > 8


def test_a_live_file_that_fails_leaves_a_revocation_that_is_finished_on_the_next_use(world: World) -> None:
    meter, asked = granted(world)
    vault = meter.person.vault
    for word in ("PWRITE", "FSYNC"):
        world.files.fail(1, persistent=True, only=lambda w, _, word=word: w == word)  # type: ignore[misc]  # bound now
        with pytest.raises(Unavailable):
            grants.revoke(world.writer, vault, asked.grant)
        with pytest.raises(Unavailable):
            world.writer.state(vault)
        assert not meter.send(1)
        world.files.heal()
        world.writer.move_all()
        assert meter.send(2)
        assert nothing_is_readable(asked)
        assert world.writer.live.generation(vault) == world.writer.file(vault).generation()
        asked = Asked(meter.person, world.brand(word))
        meter.person.approve(asked, meter.selector())
    assert "restored" not in meter.person.told()


def test_an_older_copy_of_the_file_ends_every_grant_and_the_ledger_says_so(world: World) -> None:
    meter, first = granted(world)
    person = meter.person
    second, third = Asked(person, world.brand()), Asked(person, world.brand())
    person.prepare(second, person.statement(second, second.terms(meter.selector())))
    token = first.token()
    world.reopen()
    copy = world.data.path.with_name("older.db")
    shutil.copy(world.data.vault_db(person.vault), copy)
    person.revoke(first)
    put_back(world, person, copy)
    kinds = [type(state(asked)) for asked in (first, second, third)]
    assert kinds == [Ended, Ended, Lapsed]
    assert all(nothing_is_readable(asked) for asked in (first, second, third))
    assert person.ledger()[-1].what == "restored"
    assert person.ledger()[-1].times == 3
    with pytest.raises(LookupError):
        first.keys(token)
    assert meter.send(1)  # ingest goes on, and sealed to nobody else
    assert nothing_is_readable(first)


def test_no_approval_of_an_older_copy_goes_through_before_it_is_found_out(world: World) -> None:
    """Whatever is asked first of the vault, its generation is looked at before."""
    meter, other = granted(world)
    asked = Asked(meter.person, world.brand("Globex"))
    terms = asked.terms(meter.selector())
    signed = meter.person.statement(asked, terms)
    world.reopen()
    copy = world.data.path.with_name("older.db")
    shutil.copy(world.data.vault_db(meter.person.vault), copy)
    meter.person.revoke(asked)
    meter.person.revoke(other)
    put_back(world, meter.person, copy)
    outcome = grants.prepare(world.writer, meter.person.vault, asked.grant, signed)
    assert not isinstance(outcome, grants.Prepared)
    assert not isinstance(state(asked), Preparing | Active)


def test_every_older_copy_of_a_life_full_of_changes_is_found_out(world: World) -> None:
    """E12: fifty of them, taken at random moments and put back at the end."""
    chance, vault = random.Random(12), None
    meter, asked = granted(world)
    vault, path = meter.person.vault, world.data.vault_db(meter.person.vault)
    copies: list[Path] = []
    for n in range(50):
        meter.send(n)
        if chance.random() < 0.5:
            asked = Asked(meter.person, world.brand(f"{n}"))
            meter.person.approve(asked, meter.selector())
        world.reopen()
        copies.append(path.with_name(f"{n}.copy"))
        shutil.copy(path, copies[-1])
        if n % 10 == 9:
            meter.person.revoke(asked)
    last = path.with_name("last.copy")
    world.reopen()
    shutil.copy(path, last)
    live = world.data.live.read_bytes()
    for copy in copies:
        world.close()
        shutil.copy(copy, path)
        world.data.live.write_bytes(live)
        world.open()
        world.writer.state(vault)
        assert not any(isinstance(s, Active | Preparing) for _, s in world.writer.file(vault).states())
        assert meter.person.told()[-1] == "restored"
        assert world.writer.live.grants(vault) == set()


def test_a_lost_live_file_ends_every_grant_of_every_vault_at_start(world: World) -> None:
    meter, asked = granted(world)
    ben = world.person("ben")
    world.close()
    world.data.live.unlink()
    world.open()
    for person in (meter.person, ben):
        assert person.told()[-1] == "restored"
    assert isinstance(state(asked), Ended)
    assert nothing_is_readable(asked)
    world.reopen()
    assert meter.person.told().count("restored") == 1


def test_an_older_live_file_costs_grants_and_brings_none_back(world: World) -> None:
    meter, asked = granted(world)
    world.reopen()
    older = world.data.live.read_bytes()
    meter.person.revoke(asked)
    world.close()
    world.data.live.write_bytes(older)
    world.open()
    assert nothing_is_readable(asked)
    assert "restored" not in meter.person.told()


def test_a_slot_without_a_request_is_cleared_at_start(world: World) -> None:
    person, brand = world.person(), world.brand()
    for nth in itertools.count(1):
        world.files.fail(nth, Fault.DEAD, only=lambda word, file: file != "node.db" and word != "PWRITE")
        try:
            asked = Asked(person, brand)
            break
        except Killed:
            world.crash()
        world.writer.state(person.vault)
        assert world.writer.live.grants(person.vault) == set()
        assert world.data.live.read_bytes().count(b"HTLV") <= 3
    world.files.heal()
    assert world.writer.live.grants(person.vault) == {asked.grant}
    assert nth > 3


def test_a_file_that_was_replaced_while_it_was_closed_is_found_out_in_a_running_node(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many files are kept open."""
    monkeypatch.setattr("vault.store.writer.OPEN_FILES", 1)
    meter, asked = granted(world)
    path = world.data.vault_db(meter.person.vault)
    ben = world.person("ben").device()
    older = path.read_bytes()
    meter.send(1)
    meter.person.revoke(asked)
    assert ben.send(1)
    world.writer.move_all()
    world.writer.file(ben.person.vault)  # the meter's is closed now
    world._close_reader()
    path.write_bytes(older)
    meter.send(2)
    with pytest.raises(Unavailable):
        world.writer.file(meter.person.vault)
    world.writer.move_all()
    assert meter.person.told()[-1] == "restored"
    assert meter.send(3)
    assert meter.person.values()[-1] == 3.0


def test_many_vaults_take_turns_with_few_open_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.store.writer.OPEN_FILES", 2)
    meters = [world.person(str(n)).device() for n in range(5)]
    for value in range(4):
        assert all(meter.send(value) for meter in meters)
        world.writer.move_all()
    assert [meter.person.values() for meter in meters] == [[0.0, 1.0, 2.0, 3.0]] * 5
    world.pass_time(3 * 86_400_000)
    world.writer.close_quiet()
    assert all(meter.send(4) for meter in meters)
    assert [len(meter.person.values()) for meter in meters] == [5] * 5


def test_vaults_that_are_quiet_and_give_nothing_are_forgotten(world: World) -> None:
    """The writer's memory does not grow with everybody who ever sent something."""
    meters = [world.person(str(n)).device() for n in range(3)]
    asked = Asked(meters[0].person, world.brand())
    meters[0].person.approve(asked, meters[0].selector())
    for meter in meters:
        meter.send(1)
    world.pass_time(3 * 86_400_000)
    world.writer.move_all()
    world.writer.close_quiet()
    assert set(world.writer._states) == {meters[0].person.vault}
    assert world.writer.vaults() == [meters[0].person.vault]
    assert all(meter.send(2) for meter in meters)
    assert [len(meter.person.values()) for meter in meters] == [2, 2, 2]


def test_the_time_of_decisions_does_not_go_back(world: World) -> None:
    world.writer.live.set_clock(ClockMark(world.clock() + 5000, 0))
    assert world.writer.now() == world.clock() + 5000
    world.pass_time(6000)
    assert world.writer.now() == world.clock()
