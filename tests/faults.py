"""A disk that fails when told: on the Nth write of the store, once or from then on, or by dying there.

``FaultyFiles`` is the store's own file layer with connections that count what they write.  A fault comes
before a write (it never happened) or after it (it did, and yet an error is all that the store hears: so
after a failed fsync).  ``DEAD`` raises ``Killed`` from then on, as if the process were gone.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from vault.store.files import Files

T = TypeVar("T")
WRITES = ("BEGIN", "COMMIT", "INSERT", "UPDATE", "DELETE", "CREATE", "SAVEPOINT", "RELEASE")


class Killed(BaseException):
    """The process ended here; nothing of it may go on."""


class Fault(Enum):
    """What goes wrong."""

    EIO = (errno.EIO, "disk I/O error")
    FULL = (errno.ENOSPC, "database or disk is full")
    DEAD = (0, "")


class FaultyFiles(Files):
    """Counts the writes of the store in ``writes``; ``fail`` says what happens to one of them.

    ``seen`` lists the writes by their first word and file.  ``synchronous`` NORMAL is a known-bad control.
    """

    def __init__(self, synchronous: str = "FULL") -> None:
        self.synchronous = synchronous
        self.writes = 0
        self.seen: list[tuple[str, str]] = []
        self._connections: WeakSet[sqlite3.Connection] = WeakSet()
        self._at: int | None = None
        self._fault = Fault.EIO
        self._persistent = self._after = False
        self._only: Callable[[str, str], bool] = lambda _word, _file: True

    def fail(
        self,
        at: int,
        fault: Fault = Fault.EIO,
        *,
        persistent: bool = False,
        after: bool = False,
        only: Callable[[str, str], bool] | None = None,
    ) -> None:
        """Let the ``at``-th write from now (from 1) go wrong; of those that are ``only``(word, file name)."""
        self._only = only or (lambda _word, _file: True)
        self.writes, self._at, self._fault = 0, at, fault
        self._persistent, self._after = persistent or fault is Fault.DEAD, after

    def heal(self) -> None:
        """All goes well from now on."""
        self.writes, self._at = 0, None

    @property
    def armed(self) -> bool:
        """Whether a write may go wrong."""
        return self._at is not None and (self._persistent or self.writes < self._at)

    @property
    def fired(self) -> bool:
        """Whether the fault came to pass."""
        return self._at is not None and self.writes >= self._at

    # --- what the store calls -------------------------------------------------------------------------

    def connect(self, path: Path) -> sqlite3.Connection:
        connection = super().connect(path)
        connection.execute(f"PRAGMA synchronous={self.synchronous}")
        return connection

    def open_sqlite(self, name: str, *, uri: bool) -> sqlite3.Connection:
        made = sqlite3.connect(
            name, uri=uri, isolation_level=None, check_same_thread=False, factory=self._factory(name)
        )
        self._connections.add(made)
        return made

    def abandon(self) -> None:
        """Give back every connection there is, as a process does that ends."""
        for connection in list(self._connections):
            with suppress(sqlite3.Error):
                connection.close()

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> None:
        self._around("PWRITE", "live", OSError, lambda: os.pwrite(descriptor, data, offset))

    def fsync(self, descriptor: int) -> None:
        self._around("FSYNC", "live", OSError, lambda: os.fsync(descriptor))

    def _factory(self, name: str) -> type[sqlite3.Connection]:
        files, file = self, Path(name.removeprefix("file:").partition("?")[0]).name

        class Counting(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
                run = super().execute
                word = sql.split(None, 1)[0].rstrip(";").upper()
                if word not in WRITES and "checkpoint" not in sql:
                    return run(sql, parameters)
                return files._around(word, file, sqlite3.OperationalError, lambda: run(sql, parameters))

            def executemany(self, sql: str, parameters: Iterable[Any]) -> sqlite3.Cursor:
                run, rows = super().executemany, list(parameters)
                if not rows:
                    return run(sql, rows)
                word = sql.split(None, 1)[0]
                return files._around(word, file, sqlite3.OperationalError, lambda: run(sql, rows))

        return Counting

    def _around(self, word: str, file: str, error: type[Exception], write: Callable[[], T]) -> T:
        if not self._only(word, file):
            return write()
        self.writes += 1
        self.seen.append((word, file))
        hit = self._at is not None and (
            self.writes >= self._at if self._persistent else self.writes == self._at
        )
        if not hit:
            return write()
        if self._after and self.writes == self._at:
            write()
        number, text = self._fault.value
        if self._fault is Fault.DEAD:
            raise Killed
        raise OSError(number, text) if error is OSError else error(text)
