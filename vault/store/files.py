"""The disk as the store sees it: the one place where faults can be put in.

Tests hand the store a subclass whose connections fail on the Nth write or on ``COMMIT``; everything
else in the store is the same.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from importlib import resources
from pathlib import Path
from typing import Final

from vault.store.errors import InUse, NotAVault, TooNew

APPLICATION_ID: Final = 0x48545631  # "HTV1"
SCHEMA_VERSION: Final = 1
BUSY_MS: Final = 5_000


class Files:
    """The real disk."""

    def connect(self, path: Path) -> sqlite3.Connection:
        """Open, or make, a file for writing, in autocommit mode; 0600 whatever the umask."""
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600))
        path.chmod(0o600)
        connection = self.open_sqlite(str(path), uri=False)
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
        return connection

    def connect_readonly(self, path: Path) -> sqlite3.Connection:
        """Open a file that the node writes, for short reads."""
        connection = self.open_sqlite(f"file:{_quoted(path)}?mode=ro", uri=True)
        for pragma in ("trusted_schema=OFF", "temp_store=MEMORY", f"busy_timeout={BUSY_MS}", "query_only=ON"):
            connection.execute("PRAGMA " + pragma)
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


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Bring a file to this version's schema; ``name`` is "person", "node" or "intake".

    Raises:
        TooNew: a newer version wrote it; it is left untouched.
        NotAVault: it is another program's.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise TooNew("a file of the data directory was written by a newer version")
    if version == SCHEMA_VERSION:
        return
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").fetchone()
    if tables and application != APPLICATION_ID:
        raise NotAVault("a file of the data directory is another program's")
    from sqlite_utils import Database, Migrations  # administration only: kept off the doors' start-up

    migrations = Migrations("hypertouch." + name)

    @migrations(name="0001")
    def _first(db: Database) -> None:
        for statement in statements(name):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    migrations.apply(Database(connection))


def statements(name: str) -> list[str]:
    """The statements of ``name``.sql, one by one (``executescript`` would end the transaction)."""
    found: list[str] = []
    pending = ""
    for line in resources.files("vault.store").joinpath(name + ".sql").read_text().splitlines():
        pending += line.split("--")[0] + "\n"
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return found


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path.absolute()))
