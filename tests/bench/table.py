"""Readings without a vault: one row each, in plain text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

Row = tuple[bytes, str, int, float]  # device, kind, event time in milliseconds, value

SCHEMA: Final = (
    "CREATE TABLE reading (seq INTEGER PRIMARY KEY, device BLOB NOT NULL, kind TEXT NOT NULL,"
    " time INTEGER NOT NULL, value REAL NOT NULL) STRICT",
    "CREATE INDEX reading_by_kind ON reading (kind, seq)",
)
INSERT: Final = "INSERT INTO reading (device, kind, time, value) VALUES (?, ?, ?, ?)"
PAGE: Final = (
    "SELECT seq, device, kind, time, value FROM reading WHERE kind = ? AND seq > ? ORDER BY seq LIMIT ?"
)


def fill(path: Path, rows: Iterable[Row]) -> int:
    """Write rows in order of arrival to a new file; the bytes that it then has."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", *SCHEMA, "BEGIN"):
        connection.execute(statement)
    connection.executemany(INSERT, rows)
    connection.execute("COMMIT")
    connection.close()
    return path.stat().st_size
