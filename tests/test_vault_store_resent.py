"""Devices that send their readings again: each is stored once, a corrected one beside the first."""

from __future__ import annotations

import itertools
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.world import DAY_MS, Device, Fault, Killed, World, at, expect, scratch
from vault.device import Notes
from vault.ids import VaultId
from vault.observation import Observation
from vault.store import people
from vault.store.records import DeviceRow
from vault.store.resent import OpenDays


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def phone(world: World) -> Device:
    return world.person().device("phone")


def send(device: Device, *readings: Observation, **how: object) -> bool:
    return device.publish(*readings, resends=True, **how)


def counted(device: Device) -> tuple[int, int]:
    """(readings, duplicates) as the owner is told."""
    device.person.world.flush(device.person)
    row: DeviceRow = next(
        row for row in device.person.world.reader.devices(device.person.vault) if row.device == device.id
    )
    return row.readings, row.duplicates


def test_a_window_that_is_sent_again_adds_what_is_new(world: World) -> None:
    device = phone(world)
    readings = [at(world, -minute * 60, minute) for minute in range(60)]
    assert send(device, *readings[:40])
    assert send(device, *readings[:40])  # in the journal
    world.flush(device.person)
    assert send(device, *readings[10:50])  # in the file, the day still open
    world.reopen()
    assert send(device, *readings)  # in the file, after a start
    world.crash()
    assert send(device, *readings)
    assert device.person.values() == [float(minute) for minute in range(60)]
    assert counted(device) == (60, 40 + 30 + 50 + 60)


def test_two_of_one_message_and_two_messages_of_one_commit_are_one(world: World) -> None:
    device, one = phone(world), at(world, 0, 1)
    twice, again = device.arrival(one, one, resends=True), device.arrival(one, resends=True)
    assert world.writer.commit([twice, again]) == set()
    assert device.person.values() == [1.0]
    assert counted(device) == (1, 2)


def test_another_value_at_the_same_time_is_a_correction_and_both_stay(world: World) -> None:
    device = phone(world)
    for value in (71.0, 71.5, 71.0):
        send(device, at(world, -60, value))
    assert device.person.values() == [71.0, 71.5]


def test_another_channel_kind_or_device_is_another_reading(world: World) -> None:
    device = phone(world)
    other = device.person.device("watch")
    send(device, at(world, 0, 1), at(world, 0, 1, kind="humidity"), at(world, 0, 1, channel="left"))
    send(other, at(world, 0, 1))
    assert device.person.values() == [1.0] * 4
    assert counted(other) == (1, 0)


def test_a_device_that_does_not_send_again_is_never_asked(world: World) -> None:
    """The control: equal readings of any other device are readings each."""
    device, one = phone(world), at(world, 0, 1)
    device.publish(one)
    device.publish(one)
    assert device.person.values() == [1.0, 1.0]
    assert world.writer.file(device.person.vault).rows("SELECT * FROM resent") == []


def test_of_a_clock_that_nobody_believed_the_devices_own_time_counts(world: World) -> None:
    """Such readings are stored under their arrival, which is another each time."""
    device, long_ago = phone(world), world.clock() - 900 * DAY_MS
    for _ in range(3):
        now = world.clock()
        send(device, *(Observation("", "steps", now, float(n), long_ago + n) for n in range(5)))
        world.pass_time(DAY_MS + 1)
        world.reopen()
    assert device.person.values() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_what_was_not_stored_is_not_remembered(world: World) -> None:
    device, one = phone(world), at(world, 0, 1)
    assert send(device, at(world, -1, 0))
    world.files.fail(1, Fault.FULL, only=lambda word, file: (word, file) == ("INSERT", "intake.db"))
    assert not send(device, one)
    world.files.heal()
    assert send(device, one)
    assert device.person.values() == [0.0, 1.0]
    assert counted(device) == (2, 0)


@pytest.mark.parametrize("dup", [False, True])
def test_after_a_crash_between_commit_and_acknowledgement_it_counts_once(world: World, dup: bool) -> None:
    """Also where a client forgets to say DUP."""
    device, readings = phone(world), [at(world, -n, n) for n in range(5)]
    assert send(device, *readings, packet=7)
    world.crash()  # before the device heard of it
    assert send(device, *readings, packet=7, again=dup)
    assert device.person.values() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert counted(device) == (5, 0 if dup else 5)


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_nothing_is_lost_or_doubled(memory_path: Path, after: bool) -> None:
    for step in itertools.count(1):
        world = World(memory_path / f"{step}{after}")
        device, readings = phone(world), [at(world, -n * 3600, n) for n in range(30)]
        assert send(device, *readings[:10])
        world.files.fail(step, Fault.DEAD, after=after)
        try:
            assert send(device, *readings[5:20])
            world.writer.move_all()
            assert send(device, *readings[10:])
            world.writer.move_all()
            break
        except Killed:
            world.crash()
        send(device, *readings)
        assert sorted(map(float, device.person.values())) == [float(n) for n in range(30)]  # type: ignore[arg-type]  # a number
        world.kill()
        shutil.rmtree(memory_path / f"{step}{after}")
    assert step > 10


def test_the_oldest_digests_of_a_day_go_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("person", "resent"):
        monkeypatch.setattr(f"vault.store.{module}.RESENT_MAX", 16)
    device = phone(world)
    readings = [at(world, -n, n) for n in range(100)]
    for reading in readings:
        send(device, reading)
        world.flush(device.person)
    rows = world.writer.file(device.person.vault).rows("SELECT length(digests) FROM resent")
    assert sum(size for (size,) in rows) == 16 * 8
    for start in (False, True):
        if start:
            world.reopen()
        before = len(device.person.values())
        send(device, *readings[-16:])
        assert len(device.person.values()) == before
    send(device, readings[0])
    assert len(device.person.values()) == 101  # forgotten: stored twice, and not lost


def test_digests_of_days_that_nothing_can_come_from_any_more_go(world: World) -> None:
    device = phone(world)
    send(device, at(world, 0, 1), at(world, -86_400, 2))
    send(device, Observation("", "steps", world.clock(), 3.0, 0))
    day = world.clock() // DAY_MS
    file = world.writer.file(device.person.vault)
    for passed, left in (
        (0, [-1, day - 1, day]),
        (400, [-1, day, day + 400]),
        (401, [-1, day + 400, day + 401]),
    ):
        world.clock.now = (day + passed) * DAY_MS
        send(device, at(world, 0, passed))
        world.flush(device.person)
        assert [row[0] for row in file.rows("SELECT DISTINCT day FROM resent ORDER BY day")] == left


def test_of_a_removed_device_no_digest_stays(world: World) -> None:
    device = phone(world)
    send(device, at(world, 0, 1))
    expect(people.remove_device(world.writer, device.person.vault, device.id))
    assert world.writer.file(device.person.vault).rows("SELECT * FROM resent") == []


def test_what_is_on_disk_cannot_be_compared_with_a_guess(world: World) -> None:
    """The digest is keyed: without the device's notes key nothing on the disk tells what was sent."""
    device, one = phone(world), at(world, 0, 1)
    send(device, one)
    world.close()
    assert device.notes.reading_digest(one) in world.bytes_on_disk()
    assert Notes(device.id, b"k" * 32).reading_digest(one) not in world.bytes_on_disk()


def test_a_day_is_read_once_and_few_stay_open() -> None:
    asked: Counter[int] = Counter()

    def stored(vault: VaultId, device: bytes, day: int) -> list[bytes]:
        del vault, device
        asked[day] += 1
        return [bytes((day, n)) for n in range(10)]

    vault, days = VaultId(bytes(16)), OpenDays(stored, limit=30)
    for day in (1, 2, 3, 1):
        assert len(days.find(vault, b"d", day) or days.open(vault, b"d", day, [])) == 10
    assert asked == {1: 1, 2: 1, 3: 1}
    opened = days.open(vault, b"d", 4, [b"new"])
    assert list(opened)[-1] == b"new"
    assert days.find(vault, b"d", 2) is None  # the one that was not asked for the longest
    assert days.find(vault, b"d", 1) is not None
    days.forget(vault)
    assert days.find(vault, b"d", 1) is None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 60), st.integers(1, 40)),
        st.tuples(st.just("pass"), st.integers(1, 20), st.just(0)),
        st.tuples(
            st.sampled_from(["fail", "flush", "reopen", "crash", "correct", "lost"]), st.just(0), st.just(0)
        ),
    ),
    min_size=5,
    max_size=25,
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40)
@given(STEPS, st.integers(0, 2**32))
def test_whatever_is_sent_again_each_reading_is_stored_once(
    steps: list[tuple[str, int, int]], seed: int
) -> None:
    """The oracle is a set of (time, value); windows reach over midnight, and little memory closes days."""
    chance, place = random.Random(seed), scratch()
    world = World(place)
    world.writer.days._limit = 50
    device, known, sent = phone(world), set[tuple[int, float]](), 0
    values: dict[int, float] = {}

    def window(back: int, size: int) -> list[Observation]:
        hour = world.clock() // 3_600_000
        hours = [hour - back + n for n in range(size) if hour - back + n <= hour]
        return [Observation("", "steps", h * 3_600_000, values.setdefault(h, float(h % 97))) for h in hours]

    try:
        for what, first, second in steps:
            match what:
                case "send":
                    readings = window(first, second)
                    if readings:
                        assert send(device, *readings)
                        known |= {(one.time, float(one.value)) for one in readings}  # type: ignore[arg-type]  # a number
                        sent += len(readings)
                case "lost":  # stored, but the device never heard: it sends the same once more
                    readings = window(5, 6)
                    assert send(device, *readings, packet=chance.randrange(1, 9))
                    world.crash()
                    world.writer.days._limit = 50
                    assert send(device, *readings)
                    known |= {(one.time, float(one.value)) for one in readings}  # type: ignore[arg-type]  # a number
                    sent += 2 * len(readings)
                case "fail":
                    world.files.fail(1, only=lambda word, file: (word, file) == ("INSERT", "intake.db"))
                    assert not send(device, *window(50, 51))
                    world.files.heal()
                case "correct":
                    for hour in chance.sample(sorted(values), min(3, len(values))):
                        values[hour] += 0.5
                case "pass":
                    world.pass_time(first * 3_600_000)
                case "flush":
                    world.flush(device.person)
                case "reopen":
                    world.reopen()
                    world.writer.days._limit = 50
                case "crash":
                    world.crash()
                    world.writer.days._limit = 50
        stored = [(one.observation.time, one.observation.value) for one in device.person.readings()]
        assert Counter(stored) == Counter(known)
        assert counted(device) == (len(known), sent - len(known))
    finally:
        world.close()
        shutil.rmtree(place)
