"""Finished buckets are sealed once and whole, whatever happens; what cannot be is cut, and the disk says so.

The oracle makes the buckets from the raw readings in the vault, with none of the store's code.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.world import DAY_MS, Device, Fault, Killed, Person, World
from vault.observation import Aggregate, Observation, Place, Share, Stay, Summary, Tally, Value
from vault.store import buckets
from vault.store.buckets import Buckets, Past
from vault.store.errors import Unavailable
from vault.store.lanes import Blackout
from vault.store.live import ClockMark, Frozen
from vault.store.release import Released

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
NOON = 12 * HOUR_MS
HOME, AWAY = Place(52.5, 13.4), Place(52.6, 13.6)
Key = tuple[str, str, str, int, Value]  # device, channel, kind, start, what it says
BOOLEAN, EVENT, TEXT = "motion", "button", "activity"


@pytest.fixture
def world(memory_path: Path) -> World:
    made = World(memory_path)
    made.clock.now = made.clock.now // DAY_MS * DAY_MS
    return made


def start_of(world: World) -> int:
    """The day's beginning, milliseconds."""
    return world.clock() // DAY_MS * DAY_MS


def go_to(world: World, time: int) -> None:
    """Let the time come, with what a node does every ten seconds."""
    world.clock.now = max(world.clock.now, time)
    housekeeping(world)


def housekeeping(world: World) -> None:
    """What a node does every ten seconds."""
    while world.writer.seal_buckets():
        pass
    world.writer.close_quiet()


def send(device: Device, time: int, *values: Value, kind: str = "temperature", channel: str = "") -> None:
    """Readings of this time, sent then or, where that has gone by, now."""
    clock = device.person.world.clock
    clock.now = max(clock.now, time)
    assert device.publish(*(Observation(channel, kind, time, value) for value in values))


# --- the oracle --------------------------------------------------------------------------------------------


def expected(person: Person, *, day_too: bool = True, before: int | None = None) -> dict[str, Counter[Key]]:
    """Every bucket there should be of the readings in the vault, or of those before a sequence number."""
    series = defaultdict[tuple[str, str, str], list[tuple[int, Value]]](list)
    for one in person.readings():
        if before is None or one.seq < before:
            of = one.observation
            series[one.device.text, of.channel, of.kind].append((of.time, of.value))
    made = defaultdict[str, Counter[Key]](Counter)
    for place, readings in series.items():
        for resolution, start, value in _buckets(place[2], sorted(readings, key=lambda one: one[0])):
            if day_too or resolution != "day":
                made[resolution][*place, start, value] += 1
    return dict(made)


def found(person: Person) -> dict[str, Counter[Key]]:
    """Every bucket there is."""
    return {resolution: Counter(map(_key, some)) for resolution, some in person.buckets().items()}


def _key(one: Released) -> Key:
    of = one.observation
    return one.device.text, of.channel, of.kind, of.time, of.value


def _buckets(kind: str, readings: list[tuple[int, Value]]) -> Iterable[tuple[str, int, Aggregate]]:
    hours = sorted({time // HOUR_MS for time, _ in readings})
    if kind == "temperature":
        by_hour = {hour: [v for t, v in readings if t // HOUR_MS == hour] for hour in hours}
        for hour, some in by_hour.items():
            if len(some) >= 5:
                yield "hour", hour * HOUR_MS, _summary(some)
        for day in {hour // 24 for hour in hours}:
            mine = [some for hour, some in by_hour.items() if hour // 24 == day]
            few = [value for some in mine if len(some) < 5 for value in some]
            all_day = [value for some in mine if len(some) >= 5 for value in some]
            all_day += few if len(few) >= 5 else []
            if all_day:
                yield "day", day * DAY_MS, _summary(all_day)
    elif kind == BOOLEAN:
        for resolution, span in (("hour", HOUR_MS), ("day", DAY_MS)):
            for start in sorted({time // span * span for time, _ in readings}):
                some = [value for time, value in readings if start <= time < start + span]
                true = _held(readings, True, start, start + span) // 1000
                yield resolution, start, Tally(len(some), some.count(True), true)
    elif kind == "location":
        import h3

        cells = [(time, h3.latlng_to_cell(v.lat, v.lon, 7)) for time, v in readings if isinstance(v, Place)]
        for resolution, level in (("h3-7", 7), ("h3-5", 5)):
            coarse = [(time, h3.cell_to_parent(cell, level)) for time, cell in cells]
            for hour in hours:
                here = Counter(cell for time, cell in coarse if time // HOUR_MS == hour)
                for cell in {cell for _, cell in coarse}:
                    seconds = _held(coarse, cell, hour * HOUR_MS, (hour + 1) * HOUR_MS) // 1000
                    if here[cell] or seconds:
                        yield resolution, hour * HOUR_MS, Stay(cell, seconds, here[cell])
    else:
        for resolution, span in (("hour", HOUR_MS), ("day", DAY_MS)):
            for start in sorted({time // span * span for time, _ in readings}):
                some = [value for time, value in readings if start <= time < start + span]
                if kind == TEXT:
                    for text, count in Counter(some).items():
                        yield resolution, start, Share(str(text), count)
                else:
                    yield resolution, start, Tally(len(some), len(some), 0)


def _summary(some: list[Value]) -> Summary:
    values = [value for value in some if isinstance(value, float)]
    squares = math.fsum(value * value for value in values)
    return Summary(len(values), math.fsum(values), min(values), max(values), squares)


def _held(readings: Iterable[tuple[int, object]], state: object, start: int, end: int) -> int:
    """Milliseconds in [start, end) in which a state held: until the next reading, an hour at most."""
    times = list(readings)
    held = 0
    for number, (time, value) in enumerate(times):
        until = min(times[number + 1][0] if number + 1 < len(times) else time + HOUR_MS, time + HOUR_MS)
        if value == state:
            held += max(0, min(until, end) - max(time, start))
    return held


def whole(person: Person) -> bool:
    """Every bucket is there once, and the disk says so."""
    return found(person) == expected(person) and not person.cut()


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
    highs = [one.value.high for one in hours if isinstance(one.value, Summary)]
    assert max(highs) == 6.0
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


# --- misfortunes -------------------------------------------------------------------------------------------


def story(world: World, device: Device, start: int) -> None:
    """A day with everything in it, and what a node does meanwhile."""
    for hour in (0, 1, 2, 23):
        time = start + hour * HOUR_MS
        device.person.world.clock.now = max(world.clock(), time)
        for n in range(3):
            at = time + n * 10 * MINUTE_MS
            world.clock.now = max(world.clock(), at)
            readings = [Observation("", "temperature", at, float(n + k)) for k in range(3)]
            states = [Observation("", "location", at, HOME if n % 2 else AWAY)]
            device.publish(*readings, *states)
        try:
            world.writer.move_all()
            housekeeping_on_a_bad_disk(world)
        except Unavailable:
            continue
    world.clock.now = max(world.clock(), start + DAY_MS + 11 * MINUTE_MS)
    housekeeping_on_a_bad_disk(world)


def housekeeping_on_a_bad_disk(world: World) -> None:
    try:
        world.writer.seal_buckets()
    except Unavailable:
        return
    world.writer.close_quiet()


def never_partial_never_twice(person: Person) -> None:
    """Each bucket is what all readings that came before it come to, and there once.

    Where it is not what all of them come to, or is not there, the disk says so.
    """
    made, sealed = expected(person), found(person)
    for resolution, some in person.buckets().items():
        assert max(sealed[resolution].values()) == 1
        for seq in {one.seq for one in some}:
            then = expected(person, before=seq)
            (one,) = [one for one in some if one.seq == seq]
            assert _key(one) in then[resolution], resolution
    rows = person.world.writer.file(person.vault).rows(
        "SELECT day FROM segment WHERE ledger = 0 AND (open = 1 OR cut = 1)"
    )
    told = {day for (day,) in rows}
    for resolution, there in made.items():
        missing = there - sealed.get(resolution, Counter())
        assert {key[3] // DAY_MS for key in missing} <= told, resolution


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("after", [False, True])
def test_whatever_write_fails_a_bucket_is_whole_or_missing_and_told(
    memory_path: Path, fault: Fault, after: bool
) -> None:
    for step in range(1, 200, 1 if fault is Fault.DEAD else 3):
        world = World(memory_path / f"{step}")
        start = world.clock.now = start_of(world)
        device = world.person().device()
        world.files.fail(step, fault, after=after)
        try:
            story(world, device, start)
            fired = world.files.fired
        except Killed:
            fired = True
            world.crash()
        world.files.heal()
        world.writer.move_all()
        go_to(world, start + DAY_MS + 12 * MINUTE_MS)
        never_partial_never_twice(device.person)
        go_to(world, start + DAY_MS + 40 * MINUTE_MS)
        never_partial_never_twice(device.person)
        world.close()
        if not fired:
            break
    assert step > 40


class _Hasty(Buckets):
    """The known-bad control: seals an hour of which it did not see the beginning."""

    def __init__(self, _past: Past | None = None) -> None:
        super().__init__(None)


def test_the_control_that_believes_it_saw_everything_is_found_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.store.state.Buckets", _Hasty)
    device = world.person().device()
    start = start_of(world)
    send(device, start, *map(float, range(5)))
    world.crash()
    send(device, start + MINUTE_MS, *map(float, range(5)))
    go_to(world, start + DAY_MS + 30 * MINUTE_MS)
    with pytest.raises(AssertionError):
        never_partial_never_twice(device.person)
