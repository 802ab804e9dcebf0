"""Finished buckets are sealed once and whole, whatever happens; what cannot be is cut, and the disk says so.

The oracle makes the buckets from the raw readings in the vault, with none of the store's code.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.buckets_oracle import (
    AWAY,
    BOOLEAN,
    EVENT,
    HOME,
    HOUR_MS,
    MINUTE_MS,
    NOON,
    TEXT,
    expected,
    found,
    go_to,
    housekeeping,
    send,
    start_of,
    whole,
)
from tests.world import DAY_MS, Asked, Device, Fault, World
from vault.observation import Observation, Summary, Value
from vault.store import buckets
from vault.store.errors import Unavailable
from vault.store.recipients import Blackout
from vault.store.sector import ClockMark, Frozen


@pytest.fixture
def world(memory_path: Path) -> World:
    made = World(memory_path)
    made.clock.now = made.clock.now // DAY_MS * DAY_MS
    return made


# --- whole -------------------------------------------------------------------------------------------------


def busy_day(device: Device, start: int) -> None:
    """Readings of every type, some hours with few, some with none."""
    home = True
    for minute in range(0, 24 * 60, 7):
        time = start + minute * MINUTE_MS
        hour = minute // 60
        if hour not in (3, 17):
            send(device, time, 20.0 + minute % 13 / 10, 21.5 - minute % 7)
        if hour == 17 and minute % 60 < 14:
            send(device, time, 1.25)
        if minute % 35 == 0:
            home = not home
            send(device, time, home, kind=BOOLEAN)
            send(device, time, HOME if home else AWAY, kind="location")
        if minute % 49 == 0:
            send(device, time, "press", kind=EVENT, channel="button")
        if minute % 90 < 7:
            send(device, time, "walking" if home else "running", kind=TEXT)
        if minute % 20 < 7:
            housekeeping(device.person.world)


def test_every_bucket_of_a_day_is_sealed_once_and_is_what_the_readings_come_to(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    busy_day(device, start)
    go_to(world, start + DAY_MS + 11 * MINUTE_MS)
    sealed = found(device.person)
    assert sealed == expected(device.person)
    assert sorted((resolution, len(some)) for resolution, some in sealed.items()) == [
        ("day", 5), ("h3-5", 48), ("h3-7", 48), ("hour", 86)
    ]  # fmt: skip
    go_to(world, start + DAY_MS + 25 * MINUTE_MS)
    assert world.writer.state(device.person.vault).open.segments == {}
    assert whole(device.person)


def test_a_state_goes_on_from_one_day_into_the_next(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    for day in range(3):
        for minute in (5, 23 * 60 + 40):
            send(device, start + day * DAY_MS + minute * MINUTE_MS, True, kind=BOOLEAN)
            housekeeping(world)
            send(device, start + day * DAY_MS + minute * MINUTE_MS + 1000, HOME, kind="location")
    go_to(world, start + 3 * DAY_MS + 30 * MINUTE_MS)
    assert whole(device.person)
    assert len(found(device.person)["day"]) == 3


@pytest.mark.parametrize(("minutes", "sealed"), [(59, 0), (69, 0), (70, 1), (200, 1)])
def test_an_hour_is_finished_ten_minutes_after_its_end(world: World, minutes: int, sealed: int) -> None:
    device = world.person().device()
    send(device, start_of(world), *map(float, range(6)))
    world.pass_time(minutes * MINUTE_MS)
    world.writer.seal_buckets()
    assert len(device.person.buckets().get("hour", [])) == sealed


def test_what_came_late_is_sealed_at_once_for_whoever_is_given_it(world: World) -> None:
    person = world.person()
    device = person.device()
    start = start_of(world)
    world.pass_time(DAY_MS + HOUR_MS)
    send(device, start, *map(float, range(9)))
    send(device, start + DAY_MS, *map(float, range(7)))  # of an hour that has just ended
    asked = Asked(person, world.brand(), resolution="hour")
    terms = asked.terms(device.selector(), history=True)
    signed = person.statement(asked, terms)
    seen = []
    for passed in (0, 99, 1):
        world.pass_time(passed)
        person.prepare(asked, signed)
        seen.append({name: len(some) for name, some in person.buckets().items() if name != "raw"})
    assert seen == [{}, {}, {"hour": 1, "day": 1}]
    send(device, start + HOUR_MS - 1, 3.0)  # it comes after all
    assert person.cut() == {start // DAY_MS}
    go_to(world, start + DAY_MS + 2 * HOUR_MS)
    assert len(person.buckets()["hour"]) == 2


@pytest.mark.parametrize("first", [1, 6])
def test_an_hour_that_comes_after_its_day_was_sealed_cuts_the_day(world: World, first: int) -> None:
    """Also where the day had come to nothing: what it is of now is another day."""
    device = world.person().device()
    start = start_of(world)
    world.pass_time(DAY_MS)
    send(device, start, *map(float, range(first)))
    world.pass_time(11 * MINUTE_MS)
    while world.writer.seal_buckets():
        pass
    assert device.person.cut() == set()
    send(device, start + 5 * HOUR_MS, *map(float, range(7)))
    assert device.person.cut() == {start // DAY_MS}
    world.pass_time(11 * MINUTE_MS)
    while world.writer.seal_buckets():
        pass
    assert len(device.person.buckets()["hour"]) == 1 + (first >= 5)
    assert len(device.person.buckets().get("day", [])) == (first >= 5)
    go_to(world, world.clock() + HOUR_MS)
    assert device.person.cut() == {start // DAY_MS}


@pytest.mark.parametrize(("readings", "sealed"), [(4, 0), (5, 1)])
def test_fewer_than_five_numbers_have_no_bucket(world: World, readings: int, sealed: int) -> None:
    device = world.person().device()
    start = start_of(world)
    send(device, start, *map(float, range(readings)))
    go_to(world, start + 2 * DAY_MS)
    assert [len(some) for some in device.person.buckets().values()] == [sealed] * (2 * sealed)
    assert device.person.cut() == set()


def test_a_day_that_is_uploaded_late_at_once_is_whole_and_sealed_ten_quiet_minutes_later(
    world: World,
) -> None:
    phone = world.person().device()
    start = start_of(world)
    world.clock.now = start + DAY_MS + NOON
    for part in range(4):
        send(phone, start + part * 5 * HOUR_MS, *map(float, range(part, part + 7)))
        send(phone, start + part * 5 * HOUR_MS, AWAY if part % 2 else HOME, kind="location")
        world.pass_time(MINUTE_MS)
    world.writer.seal_buckets()
    assert phone.person.buckets() == {}
    world.pass_time(9 * MINUTE_MS)
    housekeeping(world)
    assert whole(phone.person)
    assert len(phone.person.buckets()["hour"]) == 4


def test_a_reading_that_comes_while_an_hour_is_not_finished_is_in_it(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    send(device, start, *map(float, range(5)))
    for minute in (65, 74, 83):
        world.clock.now = start + minute * MINUTE_MS
        send(device, start + MINUTE_MS, float(minute))
        world.writer.seal_buckets()
        assert device.person.buckets() == {}
    go_to(world, start + DAY_MS + 11 * MINUTE_MS)
    assert whole(device.person)


def test_a_change_of_recipients_cuts_no_bucket(world: World) -> None:
    from tests.world import Asked

    device = world.person().device()
    start = start_of(world)
    asked = [Asked(device.person, world.brand(str(n))) for n in range(3)]
    for n, one in enumerate(asked):
        send(device, start + n * 10 * MINUTE_MS, 1.0, 2.0)
        device.person.approve(one, device.selector())
    device.person.revoke(asked[0])
    send(device, start + 50 * MINUTE_MS, 3.0)
    go_to(world, start + DAY_MS + 11 * MINUTE_MS)
    assert len({one.seq for one in device.person.readings()}) == 7
    assert whole(device.person)


# --- or cut ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["crash", "reopen"])
def test_a_node_that_did_not_see_all_of_an_hour_does_not_seal_it(world: World, how: str) -> None:
    device = world.person().device()
    start = start_of(world)
    for minute in range(0, 300, 5):
        send(device, start + minute * MINUTE_MS, float(minute))
        housekeeping(world)
        if minute == 130:
            getattr(world, how)()
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    assert device.person.cut() == {start // DAY_MS}
    sealed, made = found(device.person), expected(device.person, day_too=False)
    assert sealed["hour"] < made["hour"]
    assert sorted(key[3] - start for key in sealed["hour"]) == [0, HOUR_MS, 3 * HOUR_MS, 4 * HOUR_MS]
    assert "day" not in sealed


def test_the_next_day_is_whole_again_and_another_device_was_never_touched(world: World) -> None:
    person = world.person()
    first, other = person.device(), person.device("other")
    start = start_of(world)
    send(first, start, *map(float, range(5)))
    world.crash()
    for day, device in [(0, other), (1, first), (1, other)]:
        for hour in (2, 3):
            send(device, start + day * DAY_MS + hour * HOUR_MS, *map(float, range(6)))
    go_to(world, start + 2 * DAY_MS + 30 * MINUTE_MS)
    days = Counter((key[0], key[3]) for key in found(person)["day"])
    assert days == {
        (other.id.text, start): 1,
        (first.id.text, start + DAY_MS): 1,
        (other.id.text, start + DAY_MS): 1,
    }
    assert person.cut() == set()  # nothing came of that device's day after the crash; its segment stays open


def test_a_crash_leaves_its_segment_open_and_the_merge_marks_it_cut(world: World) -> None:
    device = world.person().device()
    send(device, start_of(world), *map(float, range(5)))
    world.crash()
    world.pass_time(2 * DAY_MS)
    housekeeping(world)
    rows = world.writer.file(device.person.vault).rows("SELECT open, cut FROM segment WHERE ledger = 0")
    assert rows == [(1, 0)]


@pytest.mark.parametrize("kind", ["location", BOOLEAN])
def test_a_state_that_may_have_begun_before_the_crash_cuts_the_hour_after_it_too(
    world: World, kind: str
) -> None:
    device = world.person().device()
    start = start_of(world)
    state: tuple[Value, Value] = (HOME, AWAY) if kind == "location" else (True, False)
    for minute in range(0, 360, 10):
        send(device, start + minute * MINUTE_MS, state[minute // 10 % 3 == 0], kind=kind)
        if minute == 70:
            world.crash()
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    resolution = "h3-7" if kind == "location" else "hour"
    sealed, made = found(device.person)[resolution], expected(device.person)[resolution]
    assert sealed <= made
    assert {key[3] - start for key in made} - {key[3] - start for key in sealed} == {
        0, HOUR_MS, 2 * HOUR_MS
    }  # fmt: skip
    assert device.person.cut() == {start // DAY_MS}


def test_a_reading_that_comes_after_its_bucket_was_sealed_cuts_it_in_the_same_commit(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    send(device, start, *map(float, range(5)))
    go_to(world, start + 2 * HOUR_MS)
    before = found(device.person)
    assert device.person.cut() == set()
    send(device, start + MINUTE_MS, 9.0)
    assert device.person.cut() == {start // DAY_MS}
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    assert found(device.person) == before
    assert device.person.cut() == {start // DAY_MS}


@pytest.mark.parametrize("kept", [True, False])
def test_a_reading_that_comes_after_its_day_was_closed_cuts_it(world: World, kept: bool) -> None:
    """Whether or not the vault was in memory all the while."""
    device = world.person().device()
    start = start_of(world)
    send(device, start + 5 * HOUR_MS, *map(float, range(5)))
    world.clock.now = start + DAY_MS
    if kept:
        send(device, world.clock(), 1.0)
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    before = found(device.person)
    assert whole(device.person) or kept
    assert device.person.cut() == set()
    send(device, start + 5 * HOUR_MS + 1, *map(float, range(9)))
    assert device.person.cut() == {start // DAY_MS}
    send(device, start + 7 * HOUR_MS, *map(float, range(9)))
    go_to(world, start + DAY_MS + 60 * MINUTE_MS)
    assert found(device.person)["day"] == before["day"]
    assert before["hour"] <= found(device.person)["hour"]
    assert {key[3] - start for key in (found(device.person)["hour"] - before["hour"])} <= {7 * HOUR_MS}


def test_what_comes_again_is_not_counted_twice(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    for n in range(6):
        reading = Observation("", "temperature", start + n * 1000, float(n))
        for again in (False, True, True):
            assert device.publish(reading, packet=n, again=again, resends=True)
    go_to(world, start + DAY_MS + 11 * MINUTE_MS)
    assert [one.observation.value for one in device.person.buckets()["hour"]] == [
        Summary(6, 15.0, 0.0, 5.0, 55.0)
    ]


def test_a_commit_that_failed_is_in_no_bucket(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    send(device, start, *map(float, range(5)))
    world.files.fail(1, only=lambda _, file: file == "intake.db")
    assert not device.publish(Observation("", "temperature", start, 100.0))
    world.files.heal()
    go_to(world, start + DAY_MS + 11 * MINUTE_MS)
    assert whole(device.person)


def test_a_commit_of_buckets_that_failed_is_tried_again(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    send(device, start, *map(float, range(5)))
    send(device, start, HOME, kind="location")
    world.clock.now = start + 2 * HOUR_MS
    for _ in range(3):
        world.files.fail(1, Fault.FULL, only=lambda _, file: file == "intake.db")
        with pytest.raises(Unavailable):
            world.writer.seal_buckets()
        world.files.heal()
        assert device.person.buckets() == {}
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    assert whole(device.person)


def test_a_stop_in_the_middle_of_an_hour_marks_the_day_as_cut_and_seals_what_was_finished(
    world: World,
) -> None:
    device = world.person().device()
    start = start_of(world)
    send(device, start, *map(float, range(5)))
    send(device, start + 90 * MINUTE_MS, *map(float, range(5)))
    world.reopen()
    assert device.person.cut() == {start // DAY_MS}
    assert [one.observation.time for one in device.person.buckets()["hour"]] == [start]


def test_a_stop_after_all_was_sealed_cuts_nothing(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    send(device, start, *map(float, range(5)))
    world.clock.now = start + DAY_MS + 11 * MINUTE_MS
    world.reopen()
    assert whole(device.person)


# --- bounds ------------------------------------------------------------------------------------------------


def test_beyond_the_bound_of_hours_buckets_are_cut_and_readings_are_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "GATHERINGS_MAX", 3)
    device = world.person().device()
    start = start_of(world)
    for n in range(5):
        send(device, start, *map(float, range(5)), channel=f"{n}")
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    assert len(device.person.values()) == 25
    assert len(device.person.buckets()["hour"]) == 3
    assert found(device.person)["hour"] < expected(device.person)["hour"]
    assert device.person.cut() == {start // DAY_MS}


def test_beyond_the_bound_of_states_buckets_are_cut_and_room_is_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "LISTED_MAX", 10)
    device = world.person().device()
    start = start_of(world)
    for n in range(4):
        send(device, start, HOME, HOME, HOME, kind="location", channel=f"{n}")
    go_to(world, start + 2 * HOUR_MS)
    assert {key[1] for key in found(device.person)["h3-7"]} == {"0", "1", "2"}
    for n in range(3):
        send(device, start + 3 * HOUR_MS, HOME, HOME, HOME, kind="location", channel=f"{n}")
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    assert {key[1] for key in found(device.person)["h3-7"] if key[3] != start} == {"0", "1", "2"}
    assert device.person.cut() == {start // DAY_MS}
    open_ = world.writer.state(device.person.vault).open.buckets
    assert (open_._size, open_._held) == (0, 0)


def test_nothing_is_kept_of_days_that_are_over(world: World) -> None:
    device = world.person().device()
    for day in range(4):
        busy_day(device, start_of(world))
        go_to(world, start_of(world) + DAY_MS)
        go_to(world, start_of(world) + 30 * MINUTE_MS)
        open_ = world.writer.state(device.person.vault).open.buckets
        assert (open_._size, open_._held, open_._ends, open_._over, open_._days) == (0, 0, {}, {}, {}), day
        assert len(open_._last) <= 2
        assert len(open_._whole) <= 2
        world.clock.now = start_of(world) + DAY_MS
    assert device.person.cut() == set()


def test_a_vault_with_open_buckets_is_kept_in_memory(world: World) -> None:
    device = world.person().device()
    send(device, start_of(world), *map(float, range(5)))
    state = world.writer.state(device.person.vault)
    go_to(world, start_of(world) + 30 * MINUTE_MS)
    assert world.writer.state(device.person.vault) is state


def test_many_vaults_take_turns_and_one_that_is_damaged_keeps_nobody_waiting(world: World) -> None:
    devices = [world.person(str(n)).device() for n in range(5)]
    start = start_of(world)
    for device in devices:
        for channel in "abcd":
            send(device, start, *map(float, range(5)), channel=channel)
    world.clock.now = start + 2 * HOUR_MS
    assert world.writer.seal_buckets(limit=10) == 10
    assert [len(device.person.buckets()["hour"]) for device in devices] == [2] * 5
    assert world.writer.seal_buckets() == 0
    assert [len(device.person.buckets()["hour"]) for device in devices] == [4] * 5


def test_nothing_is_sealed_while_the_clock_is_not_believed(world: World) -> None:
    device = world.person().device()
    send(device, start_of(world), *map(float, range(5)))
    mark = world.writer.live.clock()
    world.pass_time(3 * HOUR_MS)
    world.writer.live.set_clock(ClockMark(mark.mark, mark.uptime, Frozen.AHEAD))
    assert world.writer.seal_buckets() == 0
    assert device.person.buckets() == {}
    world.writer.live.set_clock(ClockMark(mark.mark, mark.uptime, Frozen.NO))
    world.writer.seal_buckets()
    assert len(device.person.buckets()["hour"]) == 1


# --- blackouts ---------------------------------------------------------------------------------------------


def test_what_lies_in_a_blackout_is_in_no_bucket_and_the_rest_is_in_a_whole_one(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    state = world.writer.state(device.person.vault)
    send(device, start, 1.0, 2.0, 3.0, 4.0, 5.0)
    begins, ends = start + 30 * MINUTE_MS, start + 90 * MINUTE_MS
    world.clock.now = begins
    state.open.set_blackouts([Blackout(begins, ends, frozenset({"temperature"}))])
    for minute in (30, 45, 60, 89):
        send(device, start + minute * MINUTE_MS, *(100.0 + n for n in range(6)))
        send(device, start + minute * MINUTE_MS, 55.0, 56.0, kind="humidity")
    send(device, ends, *map(float, range(7)))
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    hours = [one.observation for one in device.person.buckets()["hour"]]
    summed = {
        (one.kind, one.time - start): one.value.count for one in hours if isinstance(one.value, Summary)
    }
    assert summed == {("temperature", 0): 5, ("temperature", HOUR_MS): 7}
    assert max(one.value.high or 0.0 for one in hours if isinstance(one.value, Summary)) == 6.0
    assert device.person.cut() == set()
    (day,) = [one.observation.value for one in device.person.buckets()["day"] if
              one.observation.kind == "temperature"]  # fmt: skip
    assert isinstance(day, Summary)
    assert day.count == 12


def test_a_blackout_of_the_past_cuts_what_was_gathered_of_it(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    for hour in range(4):
        send(device, start + hour * HOUR_MS + NOON, *map(float, range(5)))
    open_ = world.writer.state(device.person.vault).open
    open_.set_blackouts([Blackout(start + NOON + HOUR_MS, start + NOON + 2 * HOUR_MS)])
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    assert sorted(key[3] - start - NOON for key in found(device.person)["hour"]) == [
        0, 2 * HOUR_MS, 3 * HOUR_MS
    ]  # fmt: skip
    assert "day" not in found(device.person)
    assert device.person.cut() == {start // DAY_MS}


def test_a_blackout_of_an_hour_that_was_sealed_keeps_it_out_of_the_day(world: World) -> None:
    device = world.person().device()
    start = start_of(world)
    for hour in range(4):
        send(device, start + hour * HOUR_MS + NOON, *map(float, range(5)))
    go_to(world, start + NOON + 4 * HOUR_MS + 30 * MINUTE_MS)
    assert len(found(device.person)["hour"]) == 4  # the control: what is to be hidden was sealed before
    open_ = world.writer.state(device.person.vault).open
    open_.set_blackouts([Blackout(start + NOON + HOUR_MS, start + NOON + 2 * HOUR_MS)])
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    assert "day" not in found(device.person)
