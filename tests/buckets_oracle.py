"""What buckets there should be, made from the readings in a vault with none of the store's code."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from tests.world import DAY_MS, Device, Person, World
from vault.observation import Aggregate, Observation, Place, Share, Stay, Summary, Tally, Value
from vault.store.release import Released

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
NOON = 12 * HOUR_MS
HOME, AWAY = Place(52.5, 13.4), Place(52.6, 13.6)
Key = tuple[str, str, str, int, Value]  # device, channel, kind, start, what it says
BOOLEAN, EVENT, TEXT = "motion", "button", "activity"


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
