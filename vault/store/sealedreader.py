"""Read-only views of what is sealed in a data directory: segments, chunks, boxes and the ledger.

Every call is one short transaction on a connection that cannot write, unless it is made in a ``snapshot``.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from vault.ids import GrantId, VaultId
from vault.ledger import SealedEntry
from vault.store.errors import unavailable
from vault.store.files import Files
from vault.store.paths import DataDir
from vault.store.reading import segment_rows
from vault.store.records import ChunkRow, SegmentRow

OPEN_FILES: Final = 64
CHUNK_BYTES: Final = 8 << 20  # of chunk bodies in one answer
FEW_DAYS: Final = 62  # up to which chunks are looked up day by day
DAMAGED: Final = "a file of the data directory is damaged"
_CHUNK = "SELECT id, segment, number, resolution, first_seq, last_seq, count, body FROM chunk"
# A plus keeps a condition out of the plan: of few days the segments lead, else the index alone is read.
_INDEX_BY_DAY = (
    "SELECT first_seq, id, segment, number, resolution FROM chunk WHERE segment IN"
    " (SELECT id FROM segment WHERE ledger = 0 AND day BETWEEN ?1 AND ?2) AND +last_seq > ?3"
    " AND +resolution IN (SELECT value FROM json_each(?4)) ORDER BY first_seq"
)
_INDEX_BY_SEQ = (
    "SELECT first_seq, id, segment, number, resolution FROM chunk WHERE +segment IN"
    " (SELECT id FROM segment WHERE ledger = 0 AND day BETWEEN ?1 AND ?2) AND last_seq > ?3"
    " AND resolution IN (SELECT value FROM json_each(?4)) ORDER BY first_seq"
)


class SealedReader:
    """Vaults' files, opened as they are asked for; raises as ``Reader`` does."""

    def __init__(self, data: DataDir, max_open: int, files: Files) -> None:
        self._data, self._max_open, self._files = data, max_open, files
        self._open: OrderedDict[VaultId, sqlite3.Connection] = OrderedDict()

    def close(self) -> None:
        """Give every file back."""
        for connection in self._open.values():
            connection.close()

    @contextmanager
    def snapshot(self, vault: VaultId) -> Iterator[None]:
        """One view of a vault over several calls; keep it to milliseconds, it holds the log back."""
        connection = self._must(vault)
        with unavailable(DAMAGED):
            connection.execute("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):  # nothing was written: of a damaged file there is nothing to end
                connection.execute("ROLLBACK")

    def wrapped_seed(self, vault: VaultId, grant: GrantId) -> bytes | None:
        """A grant's wrapped private key; None once it has ended."""
        row = one(self._must(vault), "SELECT wrapped_seed FROM grant_ WHERE id = ?", grant)
        return row[0] if row and row[0] else None

    def boxes(self, vault: VaultId, grant: GrantId, after: int) -> list[tuple[int, bytes, bytes]]:
        """(row, segments, box) of a grant's boxes after a row."""
        sql = "SELECT id, segments, box FROM grant_box WHERE grant_ = ? AND id > ? ORDER BY id"
        return rows_of(self._must(vault), sql, grant, after)

    def segments(self, vault: VaultId, first_day: int, last_day: int) -> list[SegmentRow]:
        """Segments of readings, by day."""
        with unavailable(DAMAGED):
            return segment_rows(self._must(vault), first_day, last_day)

    def segment_header(self, vault: VaultId, segment: bytes) -> bytes | None:
        """A segment's header; None: not in this vault."""
        row = one(self._must(vault), "SELECT header FROM segment WHERE id = ?", segment)
        return row[0] if row else None

    def chunks(
        self,
        vault: VaultId,
        segments: Sequence[bytes],
        after: int,
        since_seq: int,
        limit_bytes: int = CHUNK_BYTES,
    ) -> list[ChunkRow]:
        """Chunks of some segments after a row, as many as fit; sizes are looked at before bodies."""
        sizes: list[tuple[int, int]] = []
        for segment in set(segments):
            sql = "SELECT id, length(body) FROM chunk WHERE segment = ? AND id > ? AND last_seq > ?"
            sizes += rows_of(self._must(vault), sql, segment, after, since_seq)
        sizes.sort()
        before = itertools.accumulate((size for _, size in sizes), initial=0)
        fitting = [row for (row, _), total in zip(sizes, before, strict=False) if total < limit_bytes]
        return [chunk for row in fitting if (chunk := self.chunk(vault, row)) is not None]

    def chunk_index(
        self, vault: VaultId, after: int, resolutions: Sequence[str], first_day: int, last_day: int
    ) -> Iterator[tuple[int, int, bytes, int, str]]:
        """(first_seq, row, segment, lane number, resolution) of chunks, in the order of first_seq.

        Of some resolutions and days (inclusive), and reaching beyond a sequence number.
        """
        by_day = not after and last_day - first_day <= FEW_DAYS
        named = json.dumps(list(resolutions))
        sql = _INDEX_BY_DAY if by_day else _INDEX_BY_SEQ
        return iter(rows_of(self._must(vault), sql, first_day, last_day, after, named))

    def chunk(self, vault: VaultId, row: int) -> ChunkRow | None:
        """One chunk; None: merged into another meanwhile."""
        found = one(self._must(vault), _CHUNK + " WHERE id = ?", row)
        return ChunkRow(*found) if found else None

    def last_seq(self, vault: VaultId) -> int:
        """The sequence number of what arrived last, of all that is in the file."""
        return int(one(self._must(vault), "SELECT next_seq FROM vault")[0]) - 1

    def incomplete_days(
        self, vault: VaultId, devices: Sequence[bytes], first_day: int, last_day: int, today: int
    ) -> list[int]:
        """Days (inclusive) of which some readings of these devices are in no bucket yet, in order.

        Of today that is so of course, and not told.
        """
        sql = (
            "SELECT DISTINCT day FROM segment WHERE ledger = 0 AND day BETWEEN ?1 AND ?2"
            " AND (cut = 1 OR (open = 1 AND day < ?3)) AND EXISTS (SELECT 1 FROM lane"
            " WHERE lane.segment = segment.id AND hex(device) IN (SELECT value FROM json_each(?4)))"
            " ORDER BY day"
        )
        named = json.dumps([device.hex().upper() for device in devices])
        return [day for (day,) in rows_of(self._must(vault), sql, first_day, last_day, today, named)]

    def ledger(self, vault: VaultId, after: int, limit: int) -> tuple[list[SealedEntry], list[SegmentRow]]:
        """Entries after a number, and the segments they are sealed under."""
        connection = self._must(vault)
        sql = "SELECT number, segment, sealed FROM ledger WHERE number > ? ORDER BY number LIMIT ?"
        entries = [SealedEntry(*row) for row in rows_of(connection, sql, after, limit)]
        sql = "SELECT header, owner_box, open FROM segment WHERE id = ?"
        named = dict.fromkeys(entry.segment for entry in entries)
        rows = [row for segment in named if (row := one(connection, sql, segment))]
        return entries, [SegmentRow(header, box, [], bool(is_open)) for header, box, is_open in rows]

    def _must(self, vault: VaultId) -> sqlite3.Connection:
        connection = self._vault(vault)
        if connection is None:
            raise LookupError("no such vault")
        return connection

    def _vault(self, vault: VaultId) -> sqlite3.Connection | None:
        connection = self._open.get(vault)
        if connection is None:
            path = self._data.vault_db(vault)
            if not path.exists():
                return None
            with unavailable(DAMAGED):
                connection = self._open[vault] = self._files.connect_readonly(path)
            while len(self._open) > self._max_open:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(vault)
        return connection


def one(connection: sqlite3.Connection, sql: str, *values: object) -> Any:
    """The first row of a query, or None; raises Unavailable."""
    with unavailable(DAMAGED):
        return connection.execute(sql, values).fetchone()


def rows_of(connection: sqlite3.Connection, sql: str, *values: object) -> list[Any]:
    """Every row of a query; raises Unavailable."""
    with unavailable(DAMAGED):
        return connection.execute(sql, values).fetchall()
