"""Acknowledged means on disk; what was not acknowledged leaves no trace in what comes after."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.world import Asked, Fault, Killed, World, at
from vault.ids import VaultId
from vault.ledger import Entry
from vault.store.errors import Unavailable
from vault.store.state import Arrival, Learned
from vault.store.writer import Note, Writer

INTAKE = ("INSERT", "intake.db")


def on_intake(word: str, file: str) -> bool:
    """The one write of a commit."""
    return (word, file) == INTAKE


def writes_to(word: str, file: str) -> Callable[[str, str], bool]:
    """Writes of one sort to one file."""
    return lambda w, f: (w, f) == (word, file)


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def test_what_was_acknowledged_is_there_after_a_kill(world: World) -> None:
    meter = world.person().device()
    for value in range(20):
        assert meter.send(value)
        world.crash()
    assert meter.person.values() == [float(value) for value in range(20)]


@pytest.mark.parametrize("vaults", [1, 7])
def test_a_commit_is_one_write_however_many_people_sent_something(world: World, vaults: int) -> None:
    meters = [world.person(str(n)).device() for n in range(vaults)]
    arrivals = [meter.arrival(at(world, n, n)) for n, meter in enumerate(meters * 3)]
    for meter in meters:  # their first use reads their files
        world.writer.state(meter.person.vault)
    world.files.seen.clear()
    assert world.writer.commit(arrivals) == set()
    assert world.files.seen == [INTAKE]


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.FULL])
@pytest.mark.parametrize("after", [False, True], ids=["not written", "written, then an error"])
def test_a_commit_that_failed_is_not_acknowledged_and_the_next_one_is(
    world: World, fault: Fault, after: bool
) -> None:
    meter = world.person().device()
    assert meter.send(1)
    world.files.fail(1, fault, after=after, only=on_intake)
    assert not meter.send(2)
    assert world.files.fired
    assert meter.send(3)
    for _ in range(2):
        assert [(one.seq, one.observation.value) for one in meter.person.readings()] == [(1, 1.0), (2, 3.0)]
        world.crash()


def test_a_row_that_was_written_although_it_failed_does_not_come_back(world: World) -> None:
    """Its numbers were given to the next commit."""
    meter = world.person().device()
    assert meter.send(1)
    world.files.fail(1, after=True, only=on_intake)
    assert not meter.send(2)
    assert meter.send(3)
    world.crash()
    assert [(one.seq, one.observation.value) for one in meter.person.readings()] == [(1, 1.0), (2, 3.0)]


def test_while_the_disk_is_full_nothing_is_acknowledged_and_it_recovers_alone(world: World) -> None:
    meter = world.person().device()
    assert meter.send(0)
    world.files.fail(1, Fault.FULL, persistent=True)
    assert [meter.send(value) for value in range(1, 6)] == [False] * 5
    with pytest.raises(Unavailable):
        world.writer.transact(meter.person.vault, Entry(world.clock(), "device"))
    assert world.reader.vault(meter.person.vault) is not None  # reads go on
    world.files.heal()
    assert meter.send(6)
    assert meter.person.values() == [0.0, 6.0]
    assert meter.person.told() == ["created", "enrolled", "device"]


def test_the_ledger_has_no_gap_after_a_commit_that_failed(world: World) -> None:
    person = world.person()
    notes = [Note(person.vault, Entry(world.clock(), "read", readings=n)) for n in range(4)]
    world.writer.commit([], notes[:1])
    world.files.fail(1, only=on_intake)
    with pytest.raises(Unavailable):
        world.writer.commit([], notes[1:2])
    world.writer.commit([], notes[2:3])
    world.writer.transact(person.vault, notes[3].entry)
    assert [entry.readings for entry in person.ledger() if entry.what == "read"] == [0, 2, 3]


def test_a_change_that_failed_leaves_ledger_and_sequence_as_they_were(world: World) -> None:
    person = world.person()
    meter, path = person.device(), world.data.vault_db(person.vault)
    meter.send(1)
    for word in ("BEGIN", "UPDATE", "INSERT", "COMMIT"):
        for after in (False, True):
            world.files.fail(1, after=after, only=writes_to(word, path.name))
            with pytest.raises(Unavailable):
                world.writer.transact(person.vault, Entry(world.clock(), "device", note="failed"))
            world.files.heal()
            assert meter.send(2)
            told = [entry.note for entry in person.ledger()].count("failed")
            assert told == (word == "COMMIT" and after)  # it stands, and the ledger says so
    assert [one.seq for one in person.readings()] == list(range(1, 10))


def test_a_reading_that_nothing_can_hold_does_not_harm_the_others(world: World) -> None:
    """A bug of a reader of payloads must not let a writer forget what it has on disk."""
    ana, ben = world.person("ana").device(), world.person("ben").device()
    assert ana.send(1)
    hostile = ana.arrival(at(world, 0, 2), at(world, 0, 2, "x" * 70_000))
    assert world.writer.commit([hostile, ben.arrival(at(world, 0, 5))]) == {ana.person.vault}
    assert ana.send(3)
    assert ben.send(6)
    assert [(one.seq, one.observation.value) for one in ana.person.readings()] == [(1, 1.0), (2, 3.0)]
    assert ben.person.values() == [5.0, 6.0]


def test_an_error_that_nobody_foresaw_leaves_the_writer_whole(world: World) -> None:
    meter = world.person().device()
    assert meter.send(1)
    for countdown in range(1, 5):
        world.entropy.fails_in = countdown
        with pytest.raises(ZeroDivisionError):
            world.writer.commit([meter.arrival(at(world, 0, 2), at(world, 86_400 * countdown, 2))])
    world.entropy.fails_in = 0
    assert meter.send(3)
    world.crash()
    assert [(one.seq, one.observation.value) for one in meter.person.readings()] == [(1, 1.0), (2, 3.0)]


def test_moving_that_fails_after_a_commit_does_not_take_the_commit_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.store.writer.MOVE_BYTES", 1)
    person = world.person()
    meter = person.device()
    for fails_at, after in itertools.product(range(2, 12), (False, True)):
        world.files.fail(fails_at, after=after)
        assert meter.send(fails_at)
        world.writer.commit([], [])
        world.files.heal()
    assert person.values() == [float(n) for n in range(2, 12) for _ in range(2)]
    world.crash()
    assert len(person.values()) == 20


def test_large_payloads_are_split_over_chunks_that_can_be_opened(world: World) -> None:
    meter = world.person().device()
    big = [meter.arrival(raw=bytes([n]) * 256 * 1024) for n in range(40)]
    assert world.writer.commit(big) == set()
    assert [len(value) for value in meter.person.values()] == [256 * 1024] * 40  # type: ignore[arg-type]  # bytes
    world.reopen()
    assert len(meter.person.values()) == 40


def test_a_message_that_comes_again_counts_once(world: World) -> None:
    meter = world.person().device()
    reading = at(world, 0, 1)
    assert meter.publish(reading, packet=7)
    assert meter.publish(reading, packet=7, again=True)  # while it waits in the journal
    world.writer.move_all()
    assert meter.publish(reading, packet=7, again=True)  # when it is in the file
    world.crash()
    assert meter.publish(reading, packet=7, again=True)  # in the next life
    assert meter.person.values() == [1.0]
    assert meter.publish(reading, packet=7)  # a new message that happens to be the same
    assert meter.publish(at(world, 0, 2), packet=7, again=True)  # another one under the same number
    assert meter.person.values() == [1.0, 1.0, 2.0]


def test_a_message_of_a_commit_that_failed_is_stored_when_it_comes_again(world: World) -> None:
    meter = world.person().device()
    reading = at(world, 0, 1)
    for after in (False, True):
        world.files.fail(1, after=after, only=on_intake)
        assert not meter.publish(reading, packet=1)
        world.files.heal()
    assert meter.publish(reading, packet=1, again=True)
    assert meter.publish(reading, packet=1, again=True)
    assert meter.person.values() == [1.0]


def test_a_message_and_its_copy_in_one_commit_count_once(world: World) -> None:
    meter = world.person().device()
    first = meter.arrival(at(world, 0, 1), packet=1)
    copy = meter.arrival(at(world, 0, 1), packet=1, again=True)
    world.writer.commit([copy, first, copy, copy])
    assert meter.person.values() == [1.0, 1.0]  # the first copy came before anything was remembered


def test_only_the_latest_use_of_a_packet_id_is_remembered(world: World) -> None:
    meter = world.person().device()
    one, two = at(world, 0, 1), at(world, 0, 2)
    meter.publish(one, packet=1)
    meter.publish(two, packet=1)
    for _ in range(2):
        assert meter.publish(two, packet=1, again=True)
        world.crash()
    assert meter.person.values() == [1.0, 2.0]
    meter.publish(one, packet=1, again=True)
    assert meter.person.values() == [1.0, 2.0, 1.0]


@pytest.mark.parametrize("broken", ["garbage", "empty", "another's", "gone"])
def test_one_damaged_vault_does_not_keep_the_others_from_being_stored(world: World, broken: str) -> None:
    """F11: what it had acknowledged waits in the journal, and arrives when the file is well again."""
    ana, ben = world.person("ana").device(), world.person("ben").device()
    world.reopen()
    path = world.data.vault_db(ana.person.vault)
    assert ana.send(1)
    world.kill()
    files = {file: file.read_bytes() for file in path.parent.glob(path.stem + "*")}
    for file in files:
        file.unlink()
    if broken != "gone":
        other = world.data.vault_db(ben.person.vault).read_bytes()
        damaged = {"garbage": files[path][:100] + bytes(8000), "empty": b"", "another's": other}
        path.write_bytes(damaged[broken])
    world.open()
    arrivals = [ana.arrival(at(world, 0, 2)), ben.arrival(at(world, 0, 7))]
    assert world.writer.commit(arrivals) == {ana.person.vault}
    world.writer.move_all()
    world.crash()
    assert ben.send(8)
    assert ben.person.values() == [7.0, 8.0]
    for file, content in files.items():
        file.write_bytes(content)
    world.writer.move_all()  # within a second, in a node
    assert ana.send(3)
    assert ana.person.values() == ([3.0] if broken == "gone" else [1.0, 3.0])


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(("chunks", "expected"), [(1, 12), (3, 4), (1000, 2)])
def test_the_journal_is_moved_in_turns_with_commits_in_between(
    world: World, chunks: int, expected: int, crash: bool
) -> None:
    """What comes meanwhile waits for the next time; a crash between two turns loses and doubles nothing."""
    ana, ben = world.person("ana").device(), world.person("ben").device()
    world.reopen()
    for value in range(6):
        assert ana.send(value)
        assert ben.send(value)
    upto, turns = world.writer.intake.last, 0
    while world.writer.move_turn(upto, chunks):
        turns += 1
        assert ana.send(100 + turns)
        if crash:
            world.crash()  # the next life begins with moving the rest
    assert turns == (1 if crash else expected)
    world.writer.move_all()
    world.crash()
    assert ana.person.values() == [*map(float, range(6)), *(100.0 + n for n in range(1, turns + 1))]
    assert ben.person.values() == [*map(float, range(6))]


def test_a_killed_writer_says_nothing_more(world: World) -> None:
    """A control of the simulator itself."""
    meter = world.person().device()
    world.files.fail(1, Fault.DEAD, only=on_intake)
    for _ in range(2):
        with pytest.raises(Killed):
            world.writer.commit([meter.arrival(at(world, 0, 1))])
    world.crash()
    assert meter.person.values() == []


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_of_a_busy_minute_nothing_acknowledged_is_lost(
    memory_path: Path, after: bool
) -> None:
    """A2: before and after every single write, of the journal, the person's file and the live file."""
    for step in itertools.count(1):
        world = World(memory_path / f"{step}")
        meter = world.person().device()
        acknowledged: list[object] = []
        world.files.fail(step, Fault.DEAD, after=after)
        try:
            for value in range(3):
                sent = meter.arrival(at(world, 0, value), packet=value)
                world.writer.commit([sent])
                acknowledged.append(float(value))
            world.writer.move_all()
            asked = Asked(meter.person, world.brand())
            meter.person.approve(asked, meter.selector())
            meter.send(9)
            acknowledged.append(9.0)
            meter.person.revoke(asked)
            world.close()
        except Killed:
            world.crash()
        else:
            break
        values = meter.person.values()
        assert values[: len(acknowledged)] == acknowledged
        assert len(values) <= len(acknowledged) + 1  # the commit that was cut off may be stored
        meter.publish(at(world, 0, 0), packet=0, again=True)
        assert meter.person.values().count(0.0) == 1
        meter.person.told()
        world.close()
    assert step > 25


class Boastful(Writer):
    """A known-bad control: it says that a commit is stored before it is."""

    def commit(
        self, arrivals: Sequence[Arrival], notes: Sequence[Note] = (), learned: Sequence[Learned] = ()
    ) -> set[VaultId]:
        try:
            return super().commit(arrivals, notes, learned)
        except (Unavailable, Killed):
            return set()


def test_the_control_that_acknowledges_first_loses_readings(world: World) -> None:
    meter = world.person().device()
    world.close()
    boastful = Boastful(world.data, world.files, world.clock, world.entropy)
    world.files.fail(1, only=on_intake)
    assert boastful.commit([meter.arrival(at(world, 0, 1))]) == set()
    boastful.close()
    world.open()
    assert meter.person.values() == []  # acknowledged, and not there: what the other tests look for
