"""Power cuts and failing sectors, seen beneath SQLite: what was not synced may be gone, torn or there."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.vfs import FULL, IOERR_WRITE, Disk, watching
from tests.world import Device, FaultyFiles, World, at
from vault.store.errors import Unavailable

IMAGES = 20  # a seed


def busy_day(world: World, disk: Disk, memory_path: Path, chance: random.Random) -> int:
    """Two people's devices send; the power is cut after each commit.  Returns how many readings were lost."""
    meters = [world.person(str(n)).device() for n in range(2)]
    acknowledged: dict[Device, list[float]] = {meter: [] for meter in meters}
    lost = 0
    for n in range(IMAGES):
        for meter in meters:
            assert meter.publish(at(world, n, n), at(world, n, n + 0.5))
            acknowledged[meter] += [n, n + 0.5]
        if n % 4 == 3:
            world.writer.move_all()
        lost += cut(disk, memory_path / f"cut-{n}", acknowledged, chance)
    return lost


def cut(disk: Disk, image: Path, acknowledged: dict[Device, list[float]], chance: random.Random) -> int:
    """Start a node on what a power cut leaves; count what is missing."""
    disk.cut(image / "node", chance)
    after = World(image)
    lost = 0
    for meter, values in acknowledged.items():
        person = meter.person
        before, person.world = person.world, after
        lost += len(set(values) - set(person.values()))
        person.told()
        person.world = before
        with closing(sqlite3.connect(after.data.vault_db(person.vault))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    after.close()
    shutil.rmtree(image)
    return lost


@pytest.mark.parametrize("seed", range(8))
def test_a_power_cut_loses_nothing_that_was_acknowledged(memory_path: Path, seed: int) -> None:
    with watching(memory_path / "node") as disk:
        world = World(memory_path)
        assert busy_day(world, disk, memory_path, random.Random(seed)) == 0
        world.close()


def test_the_control_without_full_syncs_does_lose_readings(memory_path: Path) -> None:
    with watching(memory_path / "node") as disk:
        world = World(memory_path, FaultyFiles(synchronous="NORMAL"))
        assert busy_day(world, disk, memory_path, random.Random(1)) > 0
        world.close()


def test_a_commit_is_one_fsync_of_the_journal_however_many_people_sent_something(memory_path: Path) -> None:
    with watching(memory_path / "node") as disk:
        world = World(memory_path)
        meters = [world.person(str(n)).device() for n in range(5)]
        assert world.writer.commit([meter.arrival(at(world, 0, 0)) for meter in meters]) == set()
        disk.synced.clear()
        assert world.writer.commit([meter.arrival(at(world, 0, 1)) for meter in meters]) == set()
        assert disk.synced == ["intake.db-wal"]
        world.close()


@pytest.mark.parametrize("code", [IOERR_WRITE, FULL], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])
def test_a_write_that_fails_loses_nothing_whichever_it_is(
    memory_path: Path, code: int, persistent: bool
) -> None:
    """A8: the Nth write of the day, for every N there is."""
    for nth in range(1, 60, 3):
        path = memory_path / f"{nth}"
        with watching(path / "node") as disk:
            world = World(path)
            meter = world.person().device()
            disk.fail_write(nth, code, persistent=persistent)
            acknowledged = messages(world, meter)
            disk.heal()
            check(world, meter, acknowledged)
        shutil.rmtree(path)


@pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])
def test_after_a_failed_fsync_nothing_is_acknowledged_that_a_power_cut_could_take(
    memory_path: Path, persistent: bool
) -> None:
    """A9: what was written before it may never reach the disk, whatever a later fsync says."""
    for nth in range(1, 16):
        path = memory_path / f"{nth}"
        with watching(path / "node") as disk:
            world = World(path)
            meter = world.person().device()
            disk.fail_sync(nth, persistent=persistent)
            acknowledged = messages(world, meter)
            disk.heal()
            values: dict[Device, list[float]] = {meter: [float(value) for value in acknowledged]}
            assert cut(disk, path / "cut", values, random.Random(nth)) == 0
            check(world, meter, acknowledged)
        shutil.rmtree(path)


def messages(world: World, meter: Device) -> list[int]:
    """Eight messages, moved and merged now and then; which of them were acknowledged."""
    acknowledged = []
    for value in range(8):
        if meter.publish(at(world, 0, value), packet=value):
            acknowledged.append(value)
        if value % 3 == 2:
            try:
                world.writer.move_all()
            except Unavailable:
                continue
    return acknowledged


def check(world: World, meter: Device, acknowledged: list[int]) -> None:
    """They are there once, then all of them after they were sent again; ledger and file are whole."""
    assert [value for value in meter.person.values() if value in acknowledged] == acknowledged
    for value in range(8):
        assert meter.publish(at(world, 0, value), packet=value, again=True)
    world.crash()
    assert sorted(map(float, map(str, meter.person.values()))) == [float(value) for value in range(8)]
    meter.person.told()
    world.close()
    with closing(sqlite3.connect(world.data.vault_db(meter.person.vault))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
