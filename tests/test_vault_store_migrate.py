"""Files of an earlier version are brought to this one: whole or not at all, with all that they hold.

``vectors/version-1.tar.gz`` is the data directory of a node of version 1, killed where it stood: ana, a
meter, a grant of it, a payload in quarantine, a reading that is in the journal only.  It is never made again.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.world import START, Fault, FaultyFiles, Killed, Person, World
from vault.ids import DeviceId, VaultId
from vault.person import Owner
from vault.store import backup
from vault.store.errors import NotAVault, TooNew
from vault.store.files import SCHEMA_VERSION, Files, migrate
from vault.store.paths import DataDir
from vault.store.records import DeviceRow

OLD = Path(__file__).parent / "vectors" / "version-1.tar.gz"
ANA = VaultId.parse("z7zvnmk64ulbxntamrlum2urpa")
METER = DeviceId.parse("vrnnndsga4idva4rfycwtfenvy")
KEPT = [1.0, b"?", 2.0]


def unpack(path: Path) -> DataDir:
    """The old node's directory, in the place where a world looks for one."""
    data = DataDir(path / "node")
    with tarfile.open(OLD) as tar:
        tar.extractall(data.path, filter="data")
    return data


def ana(world: World) -> Person:
    """Whose vault it is; her client has the root."""
    person = Person.__new__(Person)
    person.world, person.vault, person.owner = world, ANA, Owner(hashlib.sha256(b"ana").digest())
    return person


def versions(data: DataDir) -> set[int]:
    """Of every file."""
    found = set()
    for path in (data.node_db, data.intake_db, data.vault_db(ANA)):
        with closing(sqlite3.connect(path)) as connection:
            found |= set(connection.execute("PRAGMA user_version").fetchone())
    return found


def schema(path: Path) -> set[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema"))


def test_a_node_of_version_1_goes_on_with_everything_it_had(memory_path: Path) -> None:
    data = unpack(memory_path)
    assert versions(data) == {1}
    world = World(memory_path)
    (row,) = world.reader.devices(ANA)  # before the writer has touched it
    assert row == DeviceRow(METER, row.name, START, None, START, 2, 1, 0)
    assert versions(data) == {SCHEMA_VERSION}
    person = ana(world)
    assert person.values() == KEPT
    assert person.told() == ["created", "enrolled", "device", "touchpoint", "asked", "approved", "active"]
    assert len(world.writer.state(ANA).open.readers) == 1
    assert len(person.cut()) == 1  # there were no buckets then
    world.reopen()
    assert person.values() == KEPT


def test_a_file_that_was_migrated_and_one_that_is_new_are_alike(memory_path: Path) -> None:
    data = unpack(memory_path)
    world = World(memory_path)
    fresh = world.person("ben").vault
    world.close()
    assert schema(data.vault_db(ANA)) == schema(data.vault_db(fresh))


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_of_a_migration_a_file_is_old_or_new(memory_path: Path, after: bool) -> None:
    for step in itertools.count(1):
        place = memory_path / f"{step}{after}"
        data, files = unpack(place), FaultyFiles()
        files.fail(step, Fault.DEAD, after=after, only=lambda _, file: file.startswith(ANA.text))
        try:
            World(place, files)
            break
        except Killed:
            files.heal()
            files.abandon()
        assert versions(data) <= {1, SCHEMA_VERSION}
        world = World(place)
        assert ana(world).values() == KEPT
        assert versions(data) == {SCHEMA_VERSION}
        world.kill()
        shutil.rmtree(place)
    assert step > 12


def test_a_full_disk_leaves_the_file_as_it_is_until_there_is_room(memory_path: Path) -> None:
    data, files = unpack(memory_path), FaultyFiles()
    files.fail(1, Fault.FULL, persistent=True, only=lambda _, file: file == data.vault_db(ANA).name)
    world = World(memory_path, files)
    assert versions(data) == {1, SCHEMA_VERSION}
    files.heal()
    world.writer.move_all()
    assert ana(world).values() == KEPT


def test_one_damaged_file_does_not_keep_the_node_from_starting(memory_path: Path) -> None:
    data = unpack(memory_path)
    data.vault_db(VaultId(b"d" * 16)).write_bytes(b"not a file of ours" * 10)
    data.vault_db(VaultId(b"e" * 16)).touch()
    world = World(memory_path)
    assert ana(world).values() == KEPT


def old_backup(path: Path) -> Path:
    """A copy of ana's vault as version 1 made it."""
    data, made = unpack(path / "old"), path / "ana.backup"
    with closing(sqlite3.connect(data.vault_db(ANA))) as one, closing(sqlite3.connect(made)) as copy:
        one.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    return made


def test_a_backup_of_version_1_is_restored_and_then_of_this_version(memory_path: Path) -> None:
    made = old_backup(memory_path)
    before = made.read_bytes()
    world = World(memory_path)
    world.close()
    assert backup.restore(world.data, made) == ANA
    assert made.read_bytes() == before
    world.open()
    assert versions(world.data) == {SCHEMA_VERSION}
    person = ana(world)
    assert person.values() == KEPT[:2]  # what was in the other node's journal is not in the copy
    assert person.told()[-1] == "restored"


@pytest.mark.parametrize(
    "change",
    [
        "CREATE VIEW theirs AS SELECT 1",
        "CREATE TRIGGER theirs AFTER INSERT ON chunk BEGIN SELECT 1; END",
        "ALTER TABLE device ADD COLUMN settings BLOB",
        "PRAGMA user_version = 2",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -1",
        f"PRAGMA user_version = {SCHEMA_VERSION + 1}",
    ],
)
def test_a_backup_of_version_1_with_another_schema_is_refused(memory_path: Path, change: str) -> None:
    made = old_backup(memory_path)
    with closing(sqlite3.connect(made)) as connection:
        connection.execute(change)
        connection.commit()
    with pytest.raises(NotAVault):
        backup.inspect(made)


def test_a_file_of_a_newer_version_is_left_as_it_is(memory_path: Path) -> None:
    path = memory_path / "newer.db"
    connection = Files().connect(path)
    migrate(connection, "person")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(TooNew):
        migrate(connection, "person")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(TooNew):
        Files().connect(path)
    assert path.read_bytes() == before
