"""What a device declared is in the journal with the commit that brought it, and then in the file."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from tests.world import Device, Fault, Killed, World, at, expect
from vault.device import unwrap_notes, verifier, wrap_notes
from vault.ids import DeviceId
from vault.store import people
from vault.store.errors import Unavailable
from vault.store.intake import Delta, condense, join
from vault.store.records import SETTINGS_MAX
from vault.store.state import Learned


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def hub(world: World) -> Device:
    return world.person().device("hub")


def learn(device: Device, *lessons: bytes, value: float | None = None) -> bool:
    """One commit with all that the device declared so far, as often as it changed, and perhaps a reading."""
    world, vault = device.person.world, device.person.vault
    arrivals = [] if value is None else [device.arrival(at(world, 0, value))]
    told = [Learned(vault, device.id, one) for one in lessons]
    try:
        return vault not in world.writer.commit(arrivals, [], told)
    except Unavailable:
        return False


def known(device: Device) -> bytes | None:
    """What a device that connects now is known to have declared."""
    world = device.person.world
    newest = world.writer.learned(device.id)
    return newest or world.reader.learned(device.person.vault, device.id)


def test_the_last_of_a_commit_and_of_many_counts(world: World) -> None:
    device = hub(world)
    assert known(device) is None
    assert learn(device, b"one", b"two")
    assert known(device) == b"two"
    assert world.reader.learned(device.person.vault, device.id) is None  # not moved yet
    for number in range(5):
        assert learn(device, b"%d" % number, value=number)
    world.flush(device.person)
    assert world.writer.learned(device.id) is None
    assert known(device) == b"4"
    assert device.person.values() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_many_commits_are_moved_as_one() -> None:
    deltas = [
        Delta(b"v", learned=[(b"a", b"%d" % n), (b"b", b"x")], resent=[(b"a", 1, b"8 bytes.")])
        for n in range(3)
    ]
    deltas[1].learned.append((b"a", b"again"))
    condense(deltas[1])
    assert deltas[1].learned == [(b"a", b"again"), (b"b", b"x")]
    joined = join(deltas)
    assert joined.learned == [(b"a", b"2"), (b"b", b"x")]
    assert joined.resent == [(b"a", 1, b"8 bytes." * 3)]


def test_what_is_in_the_journal_only_is_known_after_a_crash_also_while_it_cannot_be_moved(
    world: World,
) -> None:
    device = hub(world)
    assert learn(device, b"old")
    world.flush(device.person)
    assert learn(device, b"new")
    file = world.data.vault_db(device.person.vault).name
    world.kill()
    world.files.fail(1, Fault.FULL, persistent=True, only=lambda _, name: name == file)
    world.open()
    assert world.reader.learned(device.person.vault, device.id) == b"old"
    assert known(device) == b"new"
    world.files.heal()
    world.writer.move_all()
    assert world.writer.learned(device.id) is None
    assert world.reader.learned(device.person.vault, device.id) == b"new"


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_what_was_acknowledged_is_known(memory_path: Path, after: bool) -> None:
    for step in itertools.count(1):
        world = World(memory_path / f"{step}{after}")
        device, told = hub(world), [b""]
        world.files.fail(step, Fault.DEAD, after=after)
        try:
            for number in range(4):
                assert learn(device, b"%d" % number, value=number)
                told.append(b"%d" % number)
                if number % 2:
                    world.writer.move_all()
            break
        except Killed:
            world.crash()
        last = int(told[-1] or b"-1")
        assert known(device) in {told[-1] or None, b"%d" % (last + 1)}  # or one that nobody heard of
        world.flush(device.person)
        assert known(device) in {told[-1] or None, b"%d" % (last + 1)}
        assert device.person.values() == list(map(float, range(int(known(device) or b"-1") + 1)))  # together
        world.kill()
        shutil.rmtree(memory_path / f"{step}{after}")
    assert step > 8


def test_a_commit_that_failed_taught_nothing(world: World) -> None:
    device = hub(world)
    assert learn(device, b"one")
    world.files.fail(1, only=lambda word, file: (word, file) == ("INSERT", "intake.db"))
    assert not learn(device, b"two", value=2)
    world.files.heal()
    assert known(device) == b"one"
    world.crash()
    assert known(device) == b"one"


def test_lessons_of_one_device_are_not_anothers_and_survive_its_new_password(world: World) -> None:
    device = hub(world)
    other = device.person.device("other")
    stranger = world.person("ben").device()
    assert learn(device, b"mine")
    world.flush(device.person)
    assert (known(other), known(stranger)) == (None, None)
    key = device.person.owner.notes_key(device.id)
    wrapped = wrap_notes(device.id, b"new", key, bytes(12))
    kept = verifier(device.id, b"new")
    expect(people.rotate_device(world.writer, device.person.vault, device.id, kept, wrapped))
    found, _, learned = world.reader.device_notes(device.person.vault, device.id)
    assert learned == b"mine"
    assert unwrap_notes(device.id, b"new", found or b"") == key


def test_lessons_of_a_device_that_is_gone_go_nowhere(world: World) -> None:
    device = hub(world)
    expect(people.remove_device(world.writer, device.person.vault, device.id))
    nobody = Learned(device.person.vault, DeviceId(b"?" * 16), b"x")
    assert world.writer.commit([], [], [nobody]) == set()
    world.flush(device.person)
    assert world.reader.device_notes(device.person.vault, device.id) == (None, None, None)
    assert world.reader.learned(device.person.vault, nobody.device) is None


def test_settings_are_set_and_taken_back_each_with_its_entry(world: World) -> None:
    device = hub(world)
    vault, writer = device.person.vault, world.writer
    for settings in (b"one", b"two", b""):
        expect(people.set_device(writer, vault, device.id, settings))
        (row,) = world.reader.devices(vault)
        assert row.settings == (settings or None)
    assert [entry.note for entry in device.person.ledger() if entry.what == "device"] == [
        "added", "changed", "changed", "changed",
    ]  # fmt: skip
    large, gone = bytes(SETTINGS_MAX + 1), DeviceId(b"?" * 16)
    answers = [
        people.set_device(writer, vault, device.id, large),
        people.add_device(writer, vault, gone, b"n", b"v", b"", large),
        people.add_device(writer, vault, gone, b"n", b"v", large),
        people.rotate_device(writer, vault, device.id, b"v", large),
        people.set_device(writer, vault, gone, b"one"),
    ]
    assert [no.code if no else "" for no in answers] == ["invalid"] * 4 + ["not_found"]


def test_the_counts_of_a_device_come_one_by_one(world: World) -> None:
    device = hub(world)
    for _ in range(2):
        assert device.publish(foreign=3, gaps=5)
        assert device.publish(gaps=-1, blob=b"t\0image")
    world.crash()
    world.flush(device.person)
    (row,) = world.reader.devices(device.person.vault)
    assert (row.foreign, row.gaps, row.blobs, row.duplicates, row.readings) == (6, 8, 2, 0, 0)
