"""Copies of a person's file, as encrypted as the file itself, and their return.

A copy holds no pepper and no pick-up salt, and an older generation than the live file's: whoever puts it
back ends all its grants, and the ledger says so.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from vault.ids import VaultId
from vault.store.errors import InUse, NotAVault, StoreError, Unavailable
from vault.store.files import APPLICATION_ID, SCHEMA_VERSION, Files, lock, statements
from vault.store.live import Live
from vault.store.paths import DataDir
from vault.store.person import PersonFile
from vault.store.writer import Writer


def create(writer: Writer, vault: VaultId, path: Path) -> None:
    """Copy a vault's file while ingest goes on; everything acknowledged before the call is in it.

    Raises:
        Unavailable: the copy could not be written; what there is of it is removed.
    """
    writer.move(vault)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise Unavailable("the backup's file is there already, or cannot be made") from error
    try:
        copy = sqlite3.connect(path)
        writer.file(vault).connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.close()
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    except (sqlite3.Error, OSError) as error:
        path.unlink(missing_ok=True)
        raise Unavailable("the backup could not be written") from error


def restore(data: DataDir, path: Path, files: Files | None = None) -> VaultId:
    """Put a backup in its vault's place; the node must not run.

    The generation in the live file is raised, so that the node ends every grant when it opens the file.

    Raises:
        InUse: a node runs on this data directory.
        NotAVault: not a backup of ours, or one whose schema was tampered with.
    """
    files = files or Files()
    vault = inspect(path)
    data.create()
    held = lock(data.lock)
    try:
        place = data.vault_db(vault)
        copy = place.with_suffix(".new")
        copy.unlink(missing_ok=True)
        source, target = files.connect_readonly(path), files.connect(copy)
        source.backup(target)
        source.close()
        target.close()
        live = Live(files, data.live)
        generation = max(_generation(copy, files), live.generation(vault) or 0)
        live.end_grants(vault, [], generation + 1)
        live.close()
        for stale in (place, *(place.with_name(place.name + end) for end in ("-wal", "-shm"))):
            stale.unlink(missing_ok=True)
        copy.rename(place)
    except (sqlite3.Error, OSError) as error:
        raise Unavailable("the backup could not be put in place") from error
    finally:
        os.close(held)
    return vault


def inspect(path: Path) -> VaultId:
    """Which vault a backup is of.

    Raises:
        NotAVault: another program's file, another schema (a view or trigger of somebody's), or damaged.
    """
    try:
        connection = Files().connect_readonly(path)
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION_ID or version > SCHEMA_VERSION:
                raise NotAVault("this file is not a backup that this version can read")
            if _schema(connection) != _expected():
                raise NotAVault("this backup's schema is not ours: it was tampered with")
            if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise NotAVault("this backup is damaged")
            return VaultId(connection.execute("SELECT id FROM vault").fetchone()[0])
        finally:
            connection.close()
    except (sqlite3.Error, OSError, TypeError):
        raise NotAVault("this file is not a backup of a vault") from None


def _generation(path: Path, files: Files) -> int:
    file = PersonFile(files, path)
    try:
        return file.generation()
    finally:
        file.close()


def _schema(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """(type, name, bare SQL) of everything that is not SQLite's own or the migrations' record."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {
        (kind, name, "".join(line.split("--")[0].strip() for line in sql.splitlines()).replace(" ", ""))
        for kind, name, sql in rows
        if not name.startswith("sqlite_") and "_sqlite_migrations" not in name
    }


def _expected() -> set[tuple[str, str, str]]:
    connection = sqlite3.connect(":memory:")
    for statement in statements("person"):
        connection.execute(statement)
    try:
        return _schema(connection)
    finally:
        connection.close()


__all__ = ["InUse", "NotAVault", "StoreError", "create", "inspect", "restore"]
