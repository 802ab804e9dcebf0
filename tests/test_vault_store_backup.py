"""Copies, their return, hostile ones; files of newer versions; files with a byte flipped."""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest

from policies.grant import Ended, Refusal
from tests.world import Asked, Device, Fault, Killed, World, at
from vault.errors import VaultError
from vault.ids import VaultId
from vault.ledger import Entry
from vault.store import backup
from vault.store.errors import InUse, NotAVault, TooNew, Unavailable
from vault.store.files import SCHEMA_VERSION, Files, lock, migrate
from vault.store.paths import DataDir
from vault.store.reader import Reader
from vault.store.release import page
from vault.store.writer import Writer

FLIPS = 500  # of single bytes of a vault's file


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def granted(world: World) -> tuple[Device, Asked]:
    """A meter with readings, and a grant of it."""
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    for value in range(3):
        assert meter.send(value)
    return meter, asked


def sql(path: Path, *statements: str) -> None:
    """Change a file behind our back."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


# --- backup and restore ----------------------------------------------------------------------------------


def test_a_backup_holds_everything_acknowledged_before_it(world: World, tmp_path: Path) -> None:
    """E11: taken while ingest goes on, and as sealed as the file."""
    meter, asked = granted(world)
    copy = tmp_path / "copy"
    backup.create(world.writer, meter.person.vault, copy)
    for value in range(3, 6):
        assert meter.send(value)
    assert backup.inspect(copy) == meter.person.vault
    assert asked.drawn.slot.pepper not in copy.read_bytes()
    assert not list(tmp_path.glob("copy-*"))
    world.close()
    assert backup.restore(world.data, copy) == meter.person.vault
    world.open()
    assert meter.person.values() == [0.0, 1.0, 2.0]
    assert meter.send(9)
    assert meter.person.values() == [0.0, 1.0, 2.0, 9.0]


def test_a_restore_ends_all_grants_and_revives_none(world: World, tmp_path: Path) -> None:
    meter, asked = granted(world)
    token = asked.token()
    backup.create(world.writer, meter.person.vault, tmp_path / "copy")
    meter.person.revoke(asked)
    for _ in range(2):
        world.close()
        backup.restore(world.data, tmp_path / "copy")
        world.open()
        assert meter.person.told()[-1] == "restored"
        assert isinstance(world.writer.file(meter.person.vault).state(asked.grant), Ended)
        with pytest.raises(LookupError):
            asked.keys(token)


def test_a_restore_on_another_computer_brings_devices_and_touchpoints(world: World, tmp_path: Path) -> None:
    meter, asked = granted(world)
    backup.create(world.writer, meter.person.vault, tmp_path / "copy")
    other = DataDir(tmp_path / "other")
    backup.restore(other, tmp_path / "copy")
    writer = Writer(other, Files(), world.clock, world.entropy)
    assert {writer.registry.locate(found) for found in (meter.id, asked.touchpoint, asked.grant)} == {
        meter.person.vault
    }
    assert writer.commit([meter.arrival(at(world, 0, 7))]) == set()
    writer.close()


def test_a_restore_cannot_take_ids_of_another_vault(world: World, tmp_path: Path) -> None:
    meter, _ = granted(world)
    ben = world.person("ben")
    backup.create(world.writer, ben.vault, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy")) as connection:
        connection.execute(
            "INSERT INTO device (id, name, verifier, created) VALUES (?, x'00', x'00', 1)", (bytes(meter.id),)
        )
        connection.commit()
    world.close()
    backup.restore(world.data, tmp_path / "copy")
    world.open()
    assert world.writer.registry.locate(meter.id) == meter.person.vault


def test_what_waits_in_the_journal_does_not_come_after_a_restore(world: World, tmp_path: Path) -> None:
    """Readings without their segment, and entries without those before them."""
    meter, _ = granted(world)
    backup.create(world.writer, meter.person.vault, tmp_path / "copy")
    assert meter.send(8)
    world.kill()
    backup.restore(world.data, tmp_path / "copy")
    world.open()
    assert meter.person.values() == [0.0, 1.0, 2.0]
    assert meter.person.told()[-1] == "restored"


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_of_a_restore_the_vault_is_the_old_or_the_new(
    memory_path: Path, tmp_path: Path, after: bool
) -> None:
    for step in range(1, 200):
        world = World(memory_path / f"{step}")
        meter, _ = granted(world)
        copy = tmp_path / f"{step}"
        backup.create(world.writer, meter.person.vault, copy)
        meter.send(3)
        world.kill()
        world.files.fail(step, Fault.DEAD, after=after)
        done = False
        with suppress(Killed):
            backup.restore(world.data, copy, world.files)
            done = True
        world.crash()
        assert meter.person.values() in ([0.0, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0])
        assert not done or meter.person.values() == [0.0, 1.0, 2.0]
        assert not done or meter.person.told()[-1] == "restored"
        meter.person.told()
        assert not list(world.data.vaults.glob("*.new*"))
        if done:
            break
    assert step > 10


def test_a_running_node_keeps_its_directory_to_itself(world: World, tmp_path: Path) -> None:
    """A15"""
    meter, _ = granted(world)
    backup.create(world.writer, meter.person.vault, tmp_path / "copy")
    held = lock(world.data.lock)
    with pytest.raises(InUse):
        lock(world.data.lock)
    with pytest.raises(InUse):
        backup.restore(world.data, tmp_path / "copy")
    import os

    os.close(held)
    os.close(lock(world.data.lock))


def test_a_backup_never_writes_over_a_file_and_leaves_no_half_one(world: World, tmp_path: Path) -> None:
    meter, _ = granted(world)
    there = tmp_path / "there"
    there.write_text("mine")
    with pytest.raises(Unavailable):
        backup.create(world.writer, meter.person.vault, there)
    assert there.read_text() == "mine"
    world.files.fail(1, only=lambda word, _: word == "FSYNC")
    with pytest.raises(Unavailable):
        backup.create(world.writer, meter.person.vault, tmp_path / "half")
    assert not (tmp_path / "half").exists()
    with pytest.raises(NotAVault):
        backup.create(world.writer, VaultId(bytes(16)), tmp_path / "nobody")


# --- hostile and newer files -----------------------------------------------------------------------------

TAMPERED = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON chunk BEGIN DELETE FROM ledger; END",
    "a view": "CREATE VIEW v AS SELECT * FROM grant_",
    "a generated column": "ALTER TABLE device ADD COLUMN g INTEGER GENERATED ALWAYS AS (random())",
    "a column": "ALTER TABLE grant_ ADD COLUMN more TEXT",
    "a missing index": "DROP INDEX chunk_by_seq",
    "an index on an expression": "CREATE INDEX i ON device (abs(created))",
    "a trigger with the name of a migration": (
        "CREATE TRIGGER x_sqlite_migrations AFTER INSERT ON chunk BEGIN DELETE FROM ledger; END"
    ),
    "a view with a name of SQLite's": (
        "INSERT INTO sqlite_schema"
        " VALUES ('view', 'sqlite_v', 'sqlite_v', 0, 'CREATE VIEW sqlite_v AS SELECT 1')"
    ),
    "a table of another shape": (
        "UPDATE sqlite_schema SET sql = replace(sql, 'DEFAULT 0', 'DEFAULT 1') WHERE name = 'device'"
    ),
    "another program's mark": "PRAGMA application_id = 7",
    "a later version's mark": f"PRAGMA user_version = {SCHEMA_VERSION + 1}",
    "no vault": "DELETE FROM vault",
    "two vaults": (
        "INSERT INTO vault SELECT zeroblob(16), hpke_public, verify_key, wrapped, login_verifier,"
        " recovery_verifier, generation, intake, moved, next_seq, ledger_number, ledger_hash, created"
        " FROM vault"
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_backup_with_another_schema_is_refused_and_changes_nothing(
    world: World, tmp_path: Path, how: str
) -> None:
    """B14"""
    meter, _ = granted(world)
    copy = tmp_path / "copy"
    backup.create(world.writer, meter.person.vault, copy)
    sql(copy, TAMPERED[how])
    world.close()
    before = {path: path.read_bytes() for path in world.data.path.rglob("*") if path.is_file()}
    with pytest.raises(NotAVault):
        backup.restore(world.data, copy)
    assert before == {path: path.read_bytes() for path in world.data.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("content", [b"", b"not a database" * 100, b"SQLite format 3\0" + bytes(4000)])
def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(NotAVault):
        backup.inspect(tmp_path / "copy")
    with pytest.raises(NotAVault):
        backup.inspect(tmp_path / "nothing")


@pytest.mark.parametrize("which", ["vault", "node_db", "intake_db"])
@pytest.mark.parametrize("in_the_log", [False, True])
def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(
    world: World, which: str, in_the_log: bool
) -> None:
    """E10: whether its mark is in the file or still in the log."""
    meter, _ = granted(world)
    world.reopen()
    world.kill()
    path = world.data.vault_db(meter.person.vault) if which == "vault" else getattr(world.data, which)
    writing = sqlite3.connect(path)
    writing.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    if not in_the_log:
        writing.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = [path, path.with_name(path.name + "-wal")]
    before = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    if which == "vault":
        world.open()
        with pytest.raises(Unavailable):  # as every vault that cannot be opened: the others go on
            world.writer.state(meter.person.vault)
        with pytest.raises(TooNew):
            Files().connect(path)
        world.kill()
    else:
        with pytest.raises(TooNew):
            world.open()
    assert before == [hashlib.sha256(file.read_bytes()).digest() for file in files]
    writing.close()


@pytest.mark.parametrize("name", ["person", "node", "intake"])
def test_a_migration_killed_at_each_write_leaves_the_file_old_or_new(tmp_path: Path, name: str) -> None:
    """E10; and a second run changes nothing."""
    from tests.world import FaultyFiles

    for step in range(1, 100):
        files, path = FaultyFiles(), tmp_path / f"{step}"
        with closing(files.connect(path)) as connection:
            files.fail(step, Fault.DEAD)
            try:
                migrate(connection, name)
                break
            except Killed:
                files.heal()
        with closing(files.connect(path)) as connection:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            assert tables == 0
            migrate(connection, name)
            done = connection.execute("SELECT name, sql FROM sqlite_schema").fetchall()
            migrate(connection, name)
            assert connection.execute("SELECT name, sql FROM sqlite_schema").fetchall() == done
    assert step > 4


def test_another_programs_file_is_not_taken_over(tmp_path: Path) -> None:
    for number, statement in enumerate(
        ("CREATE TABLE theirs (x)", f"PRAGMA user_version = {SCHEMA_VERSION}")
    ):
        path = tmp_path / f"{number}"
        sql(path, statement)
        with closing(Files().connect(path)) as connection, pytest.raises(NotAVault):
            migrate(connection, "node")


# --- flipped bytes ---------------------------------------------------------------------------------------


def test_a_flipped_byte_never_gives_a_wrong_reading_or_entry_and_harms_no_other_vault(world: World) -> None:
    """B13: detected, or without effect; what fails, fails as ours."""
    meter, asked = granted(world)
    ben = world.person("ben").device()
    ben.send(1)
    meter.publish(*(at(world, 86_400 * day, day) for day in range(3)), raw=b"payload" * 20)
    token, person = asked.token(), meter.person
    world.reopen()
    right, entries, readable = (
        set(map(repr, person.readings())),
        person.ledger(),
        set(map(repr, asked.read())),
    )
    world.close()
    path, chance, outcomes = (
        world.data.vault_db(person.vault),
        random.Random(13),
        {"right": 0, "found out": 0},
    )
    whole = path.read_bytes()
    for number in range(FLIPS):
        place = chance.randrange(len(whole))
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << chance.randrange(8))]) + whole[place + 1 :]
        )
        for log in path.parent.glob(path.name + "-*"):
            log.unlink()
        outcome = look(world, asked, token, right, readable, entries)
        assert outcome != "wrong", place
        outcomes[outcome] += 1
        if number % 25 == 0:
            world.open()
            refused = world.writer.commit([meter.arrival(at(world, 0, 1)), ben.arrival(at(world, 0, 2))])
            assert refused <= {person.vault}
            with suppress(Unavailable):
                world.close()
    assert outcomes["found out"] > 10
    world.open()
    assert set(map(float, map(str, ben.person.values()))) == {1.0, 2.0}


def look(
    world: World, asked: Asked, token: str, right: set[str], readable: set[str], entries: Sequence[Entry]
) -> str:
    """Read everything through a door, as brand and as person: "right", "found out" or "wrong"."""
    person = asked.person
    try:
        world._reader = Reader(world.data)
        permit = asked.permit()
        found = (
            ()
            if isinstance(permit, Refusal)
            else page(world.reader, permit, asked.keys(token), 0, 99).readings
        )
        mine = person.opened()
        told = person.entries()
    except (VaultError, LookupError):
        return "found out"
    except AssertionError:  # the ledger's chain, as a client follows it
        return "found out"
    finally:
        world._close_reader()
    wrong = {*map(repr, found)} - readable or {*map(repr, mine)} - right or told != entries[: len(told)]
    return "wrong" if wrong else "right"


def test_the_control_reads_a_changed_value_where_nothing_is_sealed(world: World, tmp_path: Path) -> None:
    """What the flips above would do to rows that no seal covers: a clear column is believed."""
    person = world.person()
    world.close()
    path = world.data.vault_db(person.vault)
    shutil.copy(path, tmp_path / "copy")
    sql(path, "UPDATE vault SET created = created + 1")
    with closing(sqlite3.connect(path)) as changed, closing(sqlite3.connect(tmp_path / "copy")) as kept:
        assert (
            changed.execute("SELECT created FROM vault").fetchone()
            != kept.execute("SELECT created FROM vault").fetchone()
        )
