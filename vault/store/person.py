"""One person's file, as the writer has it open."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from policies.grant import GrantState
from vault.bucket import DAY_MS
from vault.device import DIGEST_SIZE
from vault.ids import GrantId, VaultId
from vault.ledger import Head
from vault.person import owner_key_id
from vault.store.errors import Unavailable, unavailable
from vault.store.files import BUSY_MS, Files, migrate
from vault.store.holders import HOLDER, holder
from vault.store.intake import RECENT_SIZE, Delta
from vault.store.recipients import Blackout, LiveGrant
from vault.store.records import STATE, VaultRow
from vault.store.resent import RESENT_DAYS, RESENT_MAX, split

RECENT_MAX: Final = 16_384  # digests kept for one client id; no client has more in flight
RECENT_ROWS: Final = 1_024  # in as many rows; a quiet device has one message a row
TRIM_EVERY: Final = 64  # rows of a client, about, until those beyond are looked for and deleted
_DAMAGED: Final = "a vault's file is damaged"


class PersonFile:
    """A connection to one person's file; only the writer's thread uses it."""

    def __init__(self, files: Files, path: Path) -> None:
        with unavailable("a vault's file cannot be opened"):
            self.connection = files.connect(path)
        try:
            with unavailable("a vault's file cannot be opened"):
                migrate(self.connection, "person")
                self.connection.execute("PRAGMA foreign_keys=ON")
            self.vault = self._vault()
        except BaseException:
            self.connection.close()
            raise
        self.id = VaultId(self.vault.vault)
        self.key_id = owner_key_id(self.vault.hpke_public, self.vault.verify_key)

    def close(self) -> None:
        """Give the file back."""
        self.connection.close()

    def transact(self, *steps: Callable[[sqlite3.Connection], object]) -> None:
        """Run steps in one durable transaction; raises Unavailable, and then none of them happened."""
        with unavailable("a vault's file could not be written"):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                for step in steps:
                    step(self.connection)
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def checkpoint(self) -> bool:
        """Empty the write-ahead log, and deleted bytes with it; False: a reader or the disk was in the way.

        It does not wait for readers: everybody's commits would wait with it.
        """
        try:
            self.connection.execute("PRAGMA busy_timeout=0")
            busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            self.connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        except sqlite3.Error:
            return False
        return not busy

    def row(self, sql: str, values: Sequence[object] = ()) -> Any:
        """The first row of a query, or None; raises Unavailable."""
        with unavailable(_DAMAGED):
            return self.connection.execute(sql, values).fetchone()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query; raises Unavailable."""
        with unavailable(_DAMAGED):
            return self.connection.execute(sql, values).fetchall()

    def next_seq(self) -> int:
        """The sequence number of the next reading."""
        return int(self.row("SELECT next_seq FROM vault")[0])

    def head(self) -> Head:
        """The ledger's head."""
        return Head(*self.row("SELECT ledger_number, ledger_hash FROM vault"))

    def generation(self) -> int:
        """Raised by every narrowing."""
        return int(self.row("SELECT generation FROM vault")[0])

    def standing(self) -> tuple[int, int, int]:
        """Three numbers that only grow: an older copy of the file is behind in one of them, or the same."""
        generation, number, next_seq = self.row("SELECT generation, ledger_number, next_seq FROM vault")
        return generation, number, next_seq

    def states(self) -> list[tuple[GrantId, GrantState]]:
        """Every request and grant."""
        rows = self.rows("SELECT id, state FROM grant_")
        with unavailable(_DAMAGED):
            return [(GrantId(grant), STATE.decode(state)) for grant, state in rows]

    def state(self, grant: GrantId) -> GrantState | None:
        """One request or grant; None: not in this vault."""
        row = self.row("SELECT state FROM grant_ WHERE id = ?", (grant,))
        with unavailable(_DAMAGED):
            return STATE.decode(row[0]) if row else None

    def live_grants(self) -> Iterator[LiveGrant]:
        """Whom new readings are sealed to: see ``vault.store.holders``."""
        return filter(None, (holder(self, row) for row in self.rows(HOLDER)))

    def live_grant(self, grant: GrantId, state: GrantState | None = None) -> LiveGrant | None:
        """One of them, or what it would be in another state; None: nothing is sealed to it."""
        row = self.row(HOLDER + " WHERE id = ?", (grant,))
        return holder(self, row, state) if row else None

    def blackouts(self) -> list[Blackout]:
        """Times in which nothing is sealed to anybody; one that was taken back holds for what was before."""
        rows = self.rows("SELECT since, until, kinds, ended FROM blackout")
        found: list[Blackout] = []
        for since, until, named, ended in rows:
            with unavailable(_DAMAGED):
                kinds = msgspec.json.decode(named, type=frozenset[str])
            end = until * 1000 if ended is None else min(until * 1000, ended)
            if since * 1000 < end:
                found.append(Blackout(since * 1000, end, kinds or None))
        return found

    def last_seen(self) -> dict[bytes, int]:
        """When each device was heard last (ms)."""
        return dict(self.rows("SELECT id, last_seen FROM device WHERE last_seen NOT NULL"))

    def has_readings(self, device: bytes, day: int) -> bool:
        """Whether a device has a lane in a segment of this day."""
        sql = (
            "SELECT EXISTS (SELECT 1 FROM segment JOIN lane ON lane.segment = segment.id"
            " WHERE segment.ledger = 0 AND segment.day = ? AND lane.device = ?)"
        )
        return bool(self.row(sql, (day, device))[0])

    def recent(self, device: bytes, client: bytes) -> dict[int, bytes]:
        """Packet id -> digest of what this client id had acknowledged, latest only."""
        blobs = self.rows(
            "SELECT digests FROM recent WHERE device = ? AND client = ? ORDER BY id", (device, client)
        )
        return {number: digest for (blob,) in blobs for number, digest in read_recent(blob)}

    def resent(self, device: bytes, day: int) -> Iterator[bytes]:
        """Digests of a device's readings of a day, oldest first."""
        blobs = self.rows(
            "SELECT digests FROM resent WHERE device = ? AND day = ? ORDER BY id", (device, day)
        )
        return (digest for (blob,) in blobs for digest in split(blob))

    def _vault(self) -> VaultRow:
        row = self.row(
            "SELECT id, hpke_public, verify_key, generation, ledger_number, ledger_hash, created FROM vault"
        )
        if row is None:
            raise Unavailable(_DAMAGED)
        return VaultRow(*row)


def write_recent(packet_id: int, digest: bytes) -> bytes:
    """One entry of ``recent.digests``."""
    return packet_id.to_bytes(2, "big") + digest


def read_recent(blob: bytes) -> Iterator[tuple[int, bytes]]:
    """Inverse of joined ``write_recent``, oldest first."""
    for at in range(0, len(blob), RECENT_SIZE):
        yield int.from_bytes(blob[at : at + 2], "big"), blob[at + 2 : at + RECENT_SIZE]


def apply(connection: sqlite3.Connection, delta: Delta) -> None:
    """Add what a commit brought, inside a transaction."""
    insert = connection.executemany
    insert(
        "INSERT INTO segment (id, day, header, owner_box, ledger, open) VALUES (?, ?, ?, ?, ?, 1)",
        [(s.id, s.day, s.header, s.owner_box, int(s.ledger)) for s in delta.segments],
    )
    insert(
        "INSERT INTO lane VALUES (?, ?, ?, ?)", [(x.segment, x.number, x.device, x.name) for x in delta.lanes]
    )
    insert("INSERT INTO grant_box (grant_, segments, box) VALUES (?, ?, ?)", delta.boxes)
    insert(
        "INSERT INTO chunk (segment, number, resolution, first_seq, last_seq, count, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(c.segment, c.number, c.resolution, c.first_seq, c.last_seq, c.count, c.body) for c in delta.chunks],
    )
    insert("INSERT INTO recent (device, client, count, digests) VALUES (?, ?, ?, ?)", delta.recent)
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM recent").fetchone()
    insert(
        "UPDATE device SET last_seen = max(coalesce(last_seen, 0), ?), readings = readings + ?,"
        " quarantined = quarantined + ?, dropped = dropped + ?, duplicates = duplicates + ?, gaps = gaps + ?,"
        " foreign_ = foreign_ + ?, blobs = blobs + ? WHERE id = ?",
        [(*msgspec.structs.astuple(d)[1:], d.id) for d in delta.devices],
    )
    insert("UPDATE device SET learned = ? WHERE id = ?", [(blob, device) for device, blob in delta.learned])
    insert("INSERT INTO resent (device, day, digests) VALUES (?, ?, ?)", delta.resent)
    insert("UPDATE segment SET cut = 1 WHERE ledger = 0 AND day = ?", [(day,) for day in delta.cuts])
    if delta.next_seq:
        connection.execute("UPDATE vault SET next_seq = max(next_seq, ?)", (delta.next_seq,))
    if delta.head is not None:
        insert("INSERT INTO ledger VALUES (?, ?, ?)", [(e.number, e.segment, e.sealed) for e in delta.ledger])
        connection.execute(
            "UPDATE vault SET ledger_number = ?, ledger_hash = ?", (delta.head.number, delta.head.hash)
        )
    for number, (device, client, count, _) in enumerate(delta.recent, start=last + 1 - len(delta.recent)):
        if count >= TRIM_EVERY or zlib.crc32(client, number) % TRIM_EVERY == 0:
            _trim_recent(connection, device, client)
    for device, day, _ in delta.resent:
        _trim_resent(connection, device, day)
    seen = {device.id: device.last_seen // DAY_MS for device in delta.devices}
    insert(
        "DELETE FROM resent WHERE device = ? AND day >= 0 AND day < ?",
        [(device, seen[device] - RESENT_DAYS) for device in {row[0] for row in delta.resent} & set(seen)],
    )


def continues(connection: sqlite3.Connection, delta: Delta) -> bool:
    """Whether the entries of a delta come next in the ledger; False: the file is an older copy."""
    (number,) = connection.execute("SELECT ledger_number FROM vault").fetchone()
    return not delta.ledger or bool(delta.ledger[0].number == number + 1)


def _trim_recent(connection: sqlite3.Connection, device: bytes, client: bytes) -> None:
    kept = 0
    rows = connection.execute(
        "SELECT id, count FROM recent WHERE device = ? AND client = ? ORDER BY id DESC", (device, client)
    ).fetchall()
    for row, (number, count) in enumerate(rows, start=1):
        kept += count
        if kept >= RECENT_MAX or row == RECENT_ROWS:
            connection.execute(
                "DELETE FROM recent WHERE device = ? AND client = ? AND id < ?", (device, client, number)
            )
            return


def _trim_resent(connection: sqlite3.Connection, device: bytes, day: int) -> None:
    kept = 0
    rows = connection.execute(
        "SELECT id, length(digests) FROM resent WHERE device = ? AND day = ? ORDER BY id DESC", (device, day)
    )
    for number, size in rows.fetchall():
        kept += size // DIGEST_SIZE
        if kept >= RESENT_MAX:
            connection.execute(
                "DELETE FROM resent WHERE device = ? AND day = ? AND id < ?", (device, day, number)
            )
            return
