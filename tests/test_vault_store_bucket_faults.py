"""Whatever fails, and wherever, a bucket is whole, or it is missing and the disk says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.buckets_oracle import (
    AWAY,
    HOME,
    HOUR_MS,
    MINUTE_MS,
    go_to,
    never_partial_never_twice,
    send,
    start_of,
)
from tests.world import DAY_MS, Device, Fault, Killed, World
from vault.observation import Observation
from vault.store.buckets import Buckets, Past
from vault.store.errors import Unavailable


@pytest.fixture
def world(memory_path: Path) -> World:
    made = World(memory_path)
    made.clock.now = made.clock.now // DAY_MS * DAY_MS
    return made


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
