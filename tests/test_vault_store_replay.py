"""Rows of the journal reach the persons' files once, whatever happened between the two."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.world import Asked, Device, Fault, Killed, World, at
from vault.ledger import Entry
from vault.store.writer import Note


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def change(path: Path, *sql: str) -> None:
    """What a host, or another program, does to a file."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in sql:
            connection.execute(statement)
        connection.commit()


def between(word: str, file: str) -> Callable[[str, str], bool]:
    """One sort of write to one file."""
    return lambda w, f: (w, f) == (word, file)


def sends(meter: Device, values: range) -> None:
    """Send and have it acknowledged."""
    for value in values:
        assert meter.publish(at(meter.person.world, 0, value), packet=value)


def test_killed_between_the_persons_file_and_the_journals_delete_rows_move_once(world: World) -> None:
    ana, ben = world.person("ana").device(), world.person("ben").device()
    sends(ana, range(3))
    sends(ben, range(2))
    world.files.fail(1, Fault.DEAD, only=between("DELETE", "intake.db"))
    with pytest.raises(Killed):
        world.writer.move_all()
    world.crash()
    assert ana.person.values() == [0.0, 1.0, 2.0]
    assert ben.person.values() == [0.0, 1.0]


def test_killed_between_two_persons_files_each_row_moves_once(world: World) -> None:
    meters = [world.person(str(n)).device() for n in range(3)]
    for meter in meters:
        sends(meter, range(2))
    for nth in range(1, 4):
        world.files.fail(nth, Fault.DEAD, only=lambda word, _: word == "COMMIT", after=True)
        with pytest.raises(Killed):
            world.writer.move_all()
        world.crash()
        for meter in meters:
            sends(meter, range(2 * nth, 2 * nth + 2))
    assert [meter.person.values() for meter in meters] == [[float(n) for n in range(8)]] * 3


def test_a_file_that_cannot_be_written_for_a_while_gets_its_rows_once(world: World) -> None:
    """The rows keep their numbers: the file may have taken them although an error was all we heard."""
    ana, ben = world.person("ana").device(), world.person("ben").device()
    file = world.data.vault_db(ana.person.vault).name
    for after in (False, True):
        sends(ana, range(2))
        sends(ben, range(1))
        world.files.fail(1, after=after, persistent=True, only=between("COMMIT", file))
        world.writer.move_all()
        assert ben.send(9)
        world.writer.move_all()
        world.files.heal()
        world.crash()
    assert ana.person.values() == [0.0, 1.0] * 2
    assert ben.person.values() == [0.0, 9.0] * 2


def test_a_damaged_vaults_rows_wait_alone_in_the_journal(world: World) -> None:
    ana, ben = world.person("ana").device(), world.person("ben").device()
    world.writer.commit([ana.arrival(at(world, 0, 1)), ben.arrival(at(world, 0, 2))])
    file = world.data.vault_db(ana.person.vault).name
    world.files.fail(1, persistent=True, only=between("BEGIN", file))
    world.writer.move_all()
    ((_, deltas),) = world.writer.intake.pending()
    assert [delta.vault for delta in deltas] == [ana.person.vault]
    world.files.heal()
    world.writer.move_all()
    assert world.writer.intake.pending() == []
    assert (ana.person.values(), ben.person.values()) == ([1.0], [2.0])


def test_a_journal_of_another_id_is_not_confused_with_the_one_before(world: World) -> None:
    """Its rows are numbered from one again."""
    meter = world.person().device()
    sends(meter, range(5))
    world.reopen()
    world.kill()
    for path in world.data.path.glob("intake.db*"):
        path.unlink()
    world.open()
    sends(meter, range(5, 7))
    world.crash()
    assert meter.person.values() == [float(n) for n in range(7)]


def test_rows_of_a_vault_that_was_erased_are_let_go_and_all_others_move(world: World) -> None:
    ana, ben = world.person("ana").device(), world.person("ben").device()
    sends(ana, range(2))
    sends(ben, range(2))
    world.kill()
    for path in world.data.vaults.glob(ana.person.vault.text + "*"):
        path.unlink()
    world.open()
    assert world.writer.intake.pending() == []
    assert ben.person.values() == [0.0, 1.0]


def test_another_programs_mark_in_a_vaults_header_does_not_make_its_rows_go(world: World) -> None:
    """A flipped byte of the header is damage, not an erasure."""
    meter = world.person().device()
    world.reopen()
    sends(meter, range(2))
    world.kill()
    path = world.data.vault_db(meter.person.vault)
    change(path, "PRAGMA application_id = 7")
    world.open()
    world.crash()
    change(path, f"PRAGMA application_id = {0x48545631}")
    world.writer.move_all()
    assert meter.person.values() == [0.0, 1.0]


def test_entries_and_digests_of_the_journal_arrive_with_their_readings(world: World) -> None:
    meter = world.person().device()
    reading = meter.arrival(at(world, 0, 1), packet=3)
    world.writer.commit([reading], [Note(meter.person.vault, Entry(world.clock(), "read", readings=1))])
    world.crash()
    assert meter.person.told()[-1] == "read"
    assert meter.publish(at(world, 0, 1), packet=3, again=True)
    assert meter.person.values() == [1.0]


def test_rows_of_a_file_that_was_turned_back_bring_no_gap_into_its_ledger(world: World) -> None:
    meter = world.person().device()
    note = Note(meter.person.vault, Entry(world.clock(), "read"))
    world.reopen()
    path = world.data.vault_db(meter.person.vault)
    older = path.read_bytes()
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    meter.person.revoke(asked)
    sends(meter, range(3))
    world.writer.commit([], [note])
    world.kill()
    path.with_name(path.name + "-wal").unlink()
    path.write_bytes(older)
    world.open()
    assert meter.person.told() == ["created", "enrolled", "device", "restored"]
    assert meter.person.values() == [0.0, 1.0, 2.0]
    assert meter.send(5)


def test_a_damaged_journal_stops_the_node_and_stays_as_it_is(world: World) -> None:
    from vault.store.errors import Unavailable

    meter = world.person().device()
    sends(meter, range(1))
    world.kill()
    change(world.data.intake_db, "UPDATE intake SET deltas = x'c1'")
    before = world.data.intake_db.read_bytes()
    with pytest.raises(Unavailable):
        world.open()
    assert world.data.intake_db.read_bytes() == before
