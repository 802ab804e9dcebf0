"""The disk as the store sees it: the one place where faults can be put in.

Tests hand the store a subclass whose connections fail on the Nth write or on ``COMMIT``; everything
else in the store is the same.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import quote

from vault.store.errors import InUse, NotAVault, TooNew

APPLICATION_ID: Final = 0x48545631  # "HTV1"
SCHEMA_VERSION: Final = 3  # of every file of a data directory
BUSY_MS: Final = 5_000


class Files:
    """The real disk."""

    def connect(self, path: Path) -> sqlite3.Connection:
        """Open, or make, a file for writing, in autocommit mode; 0600 whatever the umask.

        Raises:
            TooNew: a newer version wrote it; not a byte of it is changed.
        """
        if path.exists():
            self._refuse_newer(path)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600))
        path.chmod(0o600)
        connection = self.open_sqlite(str(path), uri=False)
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # NORMAL loses acknowledged rows in a power cut
            "secure_delete=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
            "temp_store=MEMORY",
            f"busy_timeout={BUSY_MS}",
        ):
            connection.execute("PRAGMA " + pragma)

    def _refuse_newer(self, path: Path) -> None:
        """Ask before anything is written: even choosing the journal mode would change the file."""
        with closing(self.connect_readonly(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise TooNew("a file of the data directory was written by a newer version")

    def connect_readonly(self, path: Path) -> sqlite3.Connection:
        """Open a file that the node writes, for short reads."""
        connection = self.open_sqlite(f"file:{_quoted(path)}?mode=ro", uri=True)
        try:
            for pragma in (
                "trusted_schema=OFF",
                "cell_size_check=ON",
                "temp_store=MEMORY",
                f"busy_timeout={BUSY_MS}",
                "query_only=ON",
            ):
                connection.execute("PRAGMA " + pragma)
        except BaseException:
            connection.close()
            raise
        return connection

    def open_sqlite(self, name: str, *, uri: bool) -> sqlite3.Connection:
        """The factory that tests replace; one thread uses a connection at a time."""
        return sqlite3.connect(name, uri=uri, isolation_level=None, check_same_thread=False)

    def open_live(self, path: Path) -> int:
        """A descriptor of the live file, made if it is not there."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
        return descriptor

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of it."""
        if os.pwrite(descriptor, data, offset) != len(data):
            raise OSError("a write to the live file was cut short")

    def fsync(self, descriptor: int) -> None:
        """Make what was written durable."""
        os.fsync(descriptor)

    def fsync_directory(self, path: Path) -> None:
        """Make names that were made, changed or removed in a directory durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock(path: Path, wait_s: float = 0.0) -> int:
    """Take the data directory for this process; the descriptor holds it.

    ``wait_s`` is for a process that is just going.

    Raises:
        InUse: another process has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise InUse("another node runs on this data directory") from None
            time.sleep(0.02)
        else:
            return descriptor


def migrate(connection: sqlite3.Connection, name: str, to: int = SCHEMA_VERSION) -> None:
    """Bring a file to a version's schema, whole or not at all; ``name`` is "person", "node" or "intake".

    Each version's statements stay what they were: a file of any version goes through those it lacks.

    Raises:
        NotAVault: it is another program's.
        TooNew: a newer version wrote it.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (tables or version) and application != APPLICATION_ID:
        raise NotAVault("a file of the data directory is another program's")
    if version > to:
        raise TooNew("a file of the data directory was written by a newer version")
    if version == to:
        return
    from sqlite_utils import Database, Migrations  # administration only: kept off the doors' start-up

    migrations = Migrations("hypertouch." + name)

    def step(number: int) -> None:
        @migrations(name=f"{number:04}")
        def _apply(db: Database) -> None:
            for statement in statements(name, number):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {number}")

    for number in range(1, to + 1):
        step(number)
    database = Database(connection)
    with database.atomic():  # the table of migrations, too: half a file would be another program's
        migrations.apply(database)


def is_current(path: Path) -> bool:
    """Whether a file has this version's schema, by its header (SQLite's file format, 1.3) and not its log."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(64)[60:], "big") == SCHEMA_VERSION


def statements(name: str, version: int = 1) -> list[str]:
    """What a version adds, statement by statement (``executescript`` would end the transaction).

    The first is in ``name``.sql, a later one in ``name``.VERSION.sql, where that version changed this file.
    """
    file = resources.files("vault.store").joinpath(name + (".sql" if version == 1 else f".{version}.sql"))
    if version > 1 and not file.is_file():
        return []
    found: list[str] = []
    pending = ""
    for line in file.read_text().splitlines():
        pending += line.split("--")[0] + "\n"
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return found


def _quoted(path: Path) -> str:
    return quote(str(path.absolute()))
