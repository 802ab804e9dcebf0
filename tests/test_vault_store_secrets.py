"""What was deleted is gone from the files and their logs; who may look at the files; what is in them."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tests.world import DAY_MS, Asked, Device, FaultyFiles, World
from vault.errors import SealError
from vault.grantkey import unwrap
from vault.person import KdfParams, WrappedRoot
from vault.store import grants, people, ticking


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def granted(world: World) -> tuple[Device, Asked]:
    """A meter, and a grant of it that has boxes."""
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    meter.send(1)
    world.flush(meter.person)
    return meter, asked


def secrets(asked: Asked) -> list[bytes]:
    """What must be gone when a grant has ended."""
    boxes = [box for _, _, box in asked.person.world.reader.boxes(asked.person.vault, asked.grant, 0)]
    assert boxes
    return [asked.drawn.wrapped_seed, *boxes, asked.drawn.slot.pepper, asked.drawn.slot.pickup_salt]


def left(world: World, wanted: list[bytes]) -> list[int]:
    """Which of these are somewhere in the node's files."""
    found = world.bytes_on_disk()
    return [n for n, secret in enumerate(wanted) if secret in found]


def test_after_a_revocation_nothing_of_the_grants_keys_is_in_any_file(world: World) -> None:
    meter, asked = granted(world)
    wanted = secrets(asked)
    assert left(world, wanted) == list(range(len(wanted)))  # the control of this search
    meter.person.revoke(asked)
    world.writer.move_all()  # within a second, in a node: the journal is drained
    assert left(world, wanted) == []


@pytest.mark.parametrize("end", ["denied", "lapsed", "returned", "restored"])
def test_the_same_holds_for_every_other_end(world: World, end: str) -> None:
    person = world.person()
    asked = Asked(person, world.brand())
    wanted = [asked.drawn.wrapped_seed, asked.drawn.slot.pepper, asked.drawn.slot.pickup_salt]
    match end:
        case "denied":
            grants.deny(world.writer, person.vault, asked.grant, "no")
        case "returned":
            grants.give_back(world.writer, person.vault, asked.grant)
        case "lapsed":
            world.pass_time(8 * DAY_MS)
            ticking.tick(world.writer, person.vault)
        case _:
            world.close()
            world.data.live.unlink()
            world.open()
    world.writer.move_all()
    assert left(world, wanted) == []


def test_a_reader_in_the_way_delays_it_and_does_not_keep_the_writer_waiting(world: World) -> None:
    meter, asked = granted(world)
    vault, wanted = meter.person.vault, secrets(asked)
    with world.reader.snapshot(vault):
        world.reader.grant(vault, asked.grant)
        meter.person.revoke(asked)  # five seconds would be a time-out of this test
        assert world.writer.busy_checkpoints == {vault}
        assert meter.send(2)
    assert left(world, wanted) != []
    for busy in list(world.writer.busy_checkpoints):  # what a node does every ten seconds
        world.writer.checkpoint(busy)
    world.writer.move_all()
    assert world.writer.busy_checkpoints == set()
    assert left(world, wanted) == []


def test_the_control_without_secure_delete_leaves_them(tmp_path: Path) -> None:
    class Careless(FaultyFiles):
        def connect(self, path: Path) -> sqlite3.Connection:
            connection = super().connect(path)
            connection.execute("PRAGMA secure_delete=OFF")
            return connection

    world = World(tmp_path, Careless())
    meter, asked = granted(world)
    wanted = secrets(asked)
    meter.person.revoke(asked)
    world.writer.move_all()
    assert left(world, wanted) != []


def test_the_token_and_a_later_copy_of_the_disk_open_nothing(world: World) -> None:
    meter, asked = granted(world)
    token, wrapped = asked.token(), asked.drawn.wrapped_seed
    before = world.reader.slot(meter.person.vault, asked.grant)
    assert before is not None
    unwrap(token, before, wrapped, meter.person.vault)  # the control: with the slot it opens
    meter.person.revoke(asked)
    world.reopen()
    slot = world.reader.slot(meter.person.vault, asked.grant)
    assert slot is None
    from vault.grantkey import Slot

    with pytest.raises(SealError):
        unwrap(token, Slot(bytes(32), bytes(32)), wrapped, meter.person.vault)


def test_an_old_wrapping_of_the_root_is_gone_after_a_change_of_passphrase(world: World) -> None:
    person = world.person()
    old, new = person.new.wrapped, WrappedRoot(b"s" * 16, KdfParams(), b"n" * 60, b"r" * 60)
    assert old.by_passphrase in world.bytes_on_disk()
    people.rewrap(world.writer, person.vault, new, b"v" * 32, b"w" * 32)
    found = world.bytes_on_disk()
    assert old.by_passphrase not in found
    assert new.by_passphrase in found
    assert person.told()[-1] == "rewrapped"


def test_readings_channels_kinds_and_names_are_in_no_file(world: World) -> None:
    meter = world.person().device("my secret thermometer")
    meter.publish(raw=b"a payload that nobody understands")
    meter.send(21.125, channel="the bedroom", kind="humidity")
    for stage in ("in the journal", "moved", "merged", "stopped"):
        if stage == "moved":
            world.writer.move_all()
        if stage == "merged":
            world.pass_time(3 * DAY_MS)
            world.writer.close_quiet()
        if stage == "stopped":
            world.close()
        found = world.bytes_on_disk()
        for plain in (b"secret thermometer", b"nobody understands", b"the bedroom", b"humidity", b"21.125"):
            assert plain not in found, stage
    assert bytes(meter.id) in found  # the control: which device it was is not hidden


@pytest.mark.usefixtures("open_umask")
def test_files_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    """E17"""
    from vault.store import backup

    world = World(tmp_path)
    meter, _ = granted(world)
    copy = tmp_path / "copy"
    backup.create(world.writer, meter.person.vault, copy)
    world.reader.vault(meter.person.vault)
    modes = {
        path: stat.S_IMODE(path.stat().st_mode)
        for path in (world.data.path, *world.data.path.rglob("*"), copy)
    }
    assert {path for path in modes if path.is_dir()} == {world.data.path, world.data.vaults, world.data.tls}
    assert len(modes) > 8
    assert {
        path.name: mode for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)
    } == {}


@pytest.mark.usefixtures("open_umask")
def test_modes_that_somebody_loosened_are_tightened_at_start(world: World) -> None:
    world.person()
    world.close()
    paths = [world.data.path, *world.data.path.rglob("*")]
    for path in paths:
        path.chmod(0o777)
    world.open()
    world.writer.state(world.data.vault_ids()[0])
    assert not [path for path in paths if path.stat().st_mode & 0o077]


def test_a_foreign_file_among_the_vaults_is_left_alone(world: World) -> None:
    person = world.person()
    foreign = world.data.vaults / "notes.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE notes (text)")
    before = foreign.read_bytes()
    world.reopen()
    assert world.data.vault_ids() == [person.vault]
    assert foreign.read_bytes() == before
    os.unlink(foreign)
