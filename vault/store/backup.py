"""Copies of a person's file, as encrypted as the file itself, and their return.

A copy holds no pepper and no pick-up salt, and an older generation than the live file's: whoever puts it
back ends all its grants, and the ledger says so.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from vault.ids import VaultId
from vault.store.errors import NotAVault, StoreError, Unavailable, unavailable
from vault.store.files import APPLICATION_ID, SCHEMA_VERSION, Files, lock, migrate
from vault.store.intake import Intake
from vault.store.live import Live
from vault.store.paths import DataDir
from vault.store.person import PersonFile
from vault.store.registry import Registry
from vault.store.writer import Writer


def create(writer: Writer, vault: VaultId, path: Path) -> None:
    """Copy a vault's file while ingest goes on; everything acknowledged before the call is in it.

    Raises:
        Unavailable: the copy could not be written; what there is of it is removed.
    """
    writer.move(vault)
    writer.state(vault)
    with unavailable("the backup's file is there already, or cannot be made"):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _copy(writer.files, writer.data.vault_db(vault), path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def restore(data: DataDir, path: Path, files: Files | None = None) -> VaultId:
    """Put a backup in its vault's place; the node must not run.

    The generation in the live file is raised, so that the node ends every grant when it opens the file.
    What the node had acknowledged since the backup, and not yet moved into the file, goes with the file.

    Raises:
        InUse: a node runs on this data directory.
        NotAVault: not a backup of ours, or one whose schema was tampered with.
        Unavailable: the disk did not take it; the vault is as it was, but for its grants.
    """
    files = files or Files()
    vault = inspect(path)
    data.create()
    held = lock(data.lock)
    try:
        place = data.vault_db(vault)
        copy = place.with_suffix(".new")
        with unavailable("the backup could not be put in place"):
            for leftover in copy.parent.glob(copy.name + "*"):
                leftover.unlink()
            os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _copy(files, path, copy)
            generation = _register(data, files, vault, copy)
            live = Live(files, data.live)
            live.end_grants(vault, (), max(generation, live.generation(vault) or 0) + 1)
            live.close()
            _put_in_place(files, copy, place)
    finally:
        os.close(held)
    return vault


def _copy(files: Files, source: Path, target: Path) -> None:
    """A consistent copy into an empty file, on a connection of its own: the writer's is not needed."""
    with (
        unavailable("the backup could not be written"),
        closing(files.connect_readonly(source)) as original,
        closing(files.open_sqlite(str(target), uri=False)) as copy,
    ):
        original.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    with unavailable("the backup could not be written"):
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            files.fsync(descriptor)
        finally:
            os.close(descriptor)
        files.fsync_directory(target.parent)


def _register(data: DataDir, files: Files, vault: VaultId, copy: Path) -> int:
    """Make the copy a file of this node: where its ids are found, and which rows of the journal are not its.

    Returns the copy's generation.
    """
    intake, registry = Intake(files, data.intake_db, os.urandom), Registry(files, data.node_db, os.urandom)
    file = PersonFile(files, copy)
    try:
        ids = "SELECT id FROM device UNION SELECT id FROM touchpoint UNION SELECT id FROM grant_"
        for (found,) in file.rows(ids):
            registry.place(found, vault)
        passed = (intake.id, intake.last)
        file.transact(lambda c: c.execute("UPDATE vault SET intake = ?, moved = ?", passed))
        if not file.checkpoint():
            raise Unavailable("the backup could not be put in place")
        return file.generation()
    finally:
        file.close()
        registry.close()
        intake.close()


def _put_in_place(files: Files, copy: Path, place: Path) -> None:
    """Rename over the old file; its log must be gone before, or it would be read as the new one's."""
    logs = [place.with_name(place.name + end) for end in ("-wal", "-shm")]
    if any(log.exists() for log in logs):
        with suppress(StoreError, sqlite3.Error):  # damaged: then there is nothing to bring home
            files.connect(place).close()
    for log in logs:
        log.unlink(missing_ok=True)
    copy.rename(place)
    files.fsync_directory(place.parent)


def inspect(path: Path) -> VaultId:
    """Which vault a backup is of.

    Raises:
        NotAVault: another program's file, another schema (a view or trigger of somebody's), or damaged.
    """
    try:
        with closing(Files().connect_readonly(path)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION_ID or not 0 < version <= SCHEMA_VERSION:
                raise NotAVault("this file is not a backup that this version can read")
            if _schema(connection) != _expected(version):
                raise NotAVault("this backup's schema is not ours: it was tampered with")
            if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise NotAVault("this backup is damaged")
            ((vault,),) = connection.execute("SELECT id FROM vault").fetchall()
            return VaultId(vault)
    except (sqlite3.Error, OSError, ValueError):
        raise NotAVault("this file is not a backup of a vault") from None


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str, str, str]]:
    """(type, name, table, SQL in single spaces) of everything there is."""
    rows = connection.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema")
    return {(kind, name, table, " ".join(sql.split())) for kind, name, table, sql in rows}


def _expected(version: int) -> set[tuple[str, str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, "person", version)
        return _schema(connection)
