"""Read-only views of a data directory: what a door works with.

Every call is one short transaction on a connection that cannot write.  One thread uses a reader.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec

from policies.grant import Active, Paused, Pending, Preparing
from vault.grantkey import Slot
from vault.ids import GrantId, VaultId
from vault.ledger import SealedEntry
from vault.statement import Signed
from vault.store.errors import unavailable
from vault.store.files import Files
from vault.store.live import LiveReader
from vault.store.paths import DataDir
from vault.store.reading import segment_rows
from vault.store.records import (
    STATE,
    BlackoutRow,
    BrandRow,
    ChunkRow,
    ClientRow,
    DeviceRow,
    GrantRow,
    RuleAnswer,
    SegmentRow,
    TouchpointRow,
    VaultRow,
)
from vault.store.registry import BrandSecret, find_brand, list_brands
from vault.store.sector import ClockMark, Counter

OPEN_FILES: Final = 64
CHUNK_BYTES: Final = 8 << 20  # of chunk bodies in one answer
FEW_DAYS: Final = 62  # up to which chunks are looked up day by day
DAMAGED: Final = "a file of the data directory is damaged"
_DEVICE = (
    "SELECT id, name, created, ended, last_seen, readings, quarantined, dropped, wrapped_notes IS NOT NULL,"
    " settings, paused, released, duplicates, gaps, foreign_, blobs FROM device"
)
_GRANT = (
    "SELECT id, brand, state, public, ask, binding_message, asked, statement, picked_up,"
    " last_used, rule FROM grant_"
)
_CHUNK = "SELECT id, segment, number, resolution, first_seq, last_seq, count, body FROM chunk"
_VAULT = "SELECT id, hpke_public, verify_key, generation, ledger_number, ledger_hash, created FROM vault"
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
_SIGNED = msgspec.msgpack.Decoder(Signed)
_RULED = msgspec.msgpack.Decoder(RuleAnswer)
_KINDS = msgspec.json.Decoder(tuple[str, ...])


class OverviewRow(msgspec.Struct, frozen=True):
    """Counts of a vault; days are days since the epoch."""

    devices: int
    pending: int
    active: int
    readings: int
    first_day: int | None
    last_day: int | None


class Reader:
    """See the module; raises Unavailable where a file is damaged, LookupError where a vault is not here."""

    def __init__(self, data: DataDir, max_open: int = OPEN_FILES, files: Files | None = None) -> None:
        self._data, self._max_open, self._files = data, max_open, files or Files()
        self._node = self._files.connect_readonly(data.node_db)
        self._live = LiveReader(data.live)
        self._open: OrderedDict[VaultId, sqlite3.Connection] = OrderedDict()

    def close(self) -> None:
        """Give every file back."""
        for connection in (self._node, *self._open.values()):
            connection.close()
        self._live.close()

    # --- the node ---------------------------------------------------------------------------------

    def locate(self, wanted: bytes) -> VaultId | None:
        """The vault of a device, grant or touchpoint."""
        row = _one(self._node, "SELECT vault FROM located WHERE id = ?", wanted)
        return VaultId(row[0]) if row else None

    def brand(self, brand: bytes) -> BrandSecret | None:
        """A brand and its secret's verifier; ended ones too."""
        with unavailable(DAMAGED):
            return find_brand(self._node, brand)

    def brands(self) -> list[BrandRow]:
        """Every brand of this node."""
        with unavailable(DAMAGED):
            return list_brands(self._node)

    def clock(self) -> ClockMark:
        """Whether grants are frozen, and the latest time the node believed."""
        return self._live.clock()

    def slot(self, vault: VaultId, grant: GrantId) -> Slot | None:
        """A grant's secrets; None once it has ended."""
        return self._live.slot(vault, grant)

    def counter(self, vault: VaultId, grant: GrantId) -> Counter:
        """How often a grant was used; all zeros: never, or it has ended."""
        return self._live.counter(vault, grant)

    # --- one vault --------------------------------------------------------------------------------

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

    def vault(self, vault: VaultId) -> VaultRow | None:
        """What is in clear about a vault; None: not here."""
        connection = self._vault(vault)
        row = _one(connection, _VAULT) if connection else None
        return VaultRow(*row) if row else None

    def overview(self, vault: VaultId) -> OverviewRow:
        """Counts for a first look."""
        connection = self._must(vault)
        packed = _all(connection, "SELECT state FROM grant_")
        with unavailable(DAMAGED):
            states = [STATE.decode(state) for (state,) in packed]
        devices, readings = _one(
            connection,
            "SELECT count(*) FILTER (WHERE ended IS NULL), coalesce(sum(readings), 0) FROM device",
        )
        days = _one(connection, "SELECT min(day), max(day) FROM segment WHERE ledger = 0")
        return OverviewRow(
            devices,
            sum(isinstance(state, Pending) for state in states),
            sum(isinstance(state, Active | Preparing) for state in states),
            readings,
            *days,
        )

    def client_key(self, vault: VaultId, client: bytes) -> bytes | None:
        """An enrolled client's Ed25519 key; None: unknown or ended."""
        connection = self._vault(vault)
        sql = "SELECT verify_key FROM client WHERE id = ? AND ended IS NULL"
        row = _one(connection, sql, client) if connection else None
        return row[0] if row else None

    def clients(self, vault: VaultId) -> list[ClientRow]:
        """Who may speak for the owner."""
        rows = _all(self._must(vault), "SELECT id, name, enrolled, ended FROM client ORDER BY enrolled")
        return [ClientRow(*row) for row in rows]

    def devices(self, vault: VaultId) -> list[DeviceRow]:
        """Every device, ended ones too."""
        return [self._device(row) for row in _all(self._must(vault), _DEVICE + " ORDER BY created")]

    def learned(self, vault: VaultId, device: bytes) -> bytes | None:
        """What a device declared itself, sealed; None: nothing, or there is no such device."""
        row = _one(self._must(vault), "SELECT learned FROM device WHERE id = ?", device)
        return row[0] if row else None

    def device_notes(self, vault: VaultId, device: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
        """(wrapped notes key, settings, lessons) of a device, each sealed, or None where there are none."""
        sql = "SELECT wrapped_notes, settings, learned FROM device WHERE id = ?"
        row = _one(self._must(vault), sql, device)
        return (row[0], row[1], row[2]) if row else (None, None, None)

    def device_verifier(self, vault: VaultId, device: bytes) -> bytes | None:
        """What a device's password is checked against; None: unknown or removed."""
        connection = self._vault(vault)
        sql = "SELECT verifier FROM device WHERE id = ? AND ended IS NULL"
        row = _one(connection, sql, device) if connection else None
        return row[0] if row else None

    def is_paused(self, vault: VaultId, device: bytes) -> bool:
        """Whether nothing of a device is taken for now."""
        row = _one(self._must(vault), "SELECT paused FROM device WHERE id = ?", device)
        return row is not None and row[0] is not None

    def has_recent(self, vault: VaultId, device: bytes, client: bytes) -> bool:
        """Whether anything of this client id was acknowledged and may come again."""
        sql = "SELECT 1 FROM recent WHERE device = ? AND client = ? LIMIT 1"
        return _one(self._must(vault), sql, device, client) is not None

    def touchpoints(self, vault: VaultId) -> list[TouchpointRow]:
        """Every touchpoint, ended ones too."""
        rows = _all(self._must(vault), "SELECT id, brand, created, ended FROM touchpoint ORDER BY created")
        return [TouchpointRow(*row) for row in rows]

    def grants(self, vault: VaultId) -> list[GrantRow]:
        """Every request and grant, newest first."""
        rows = _all(self._must(vault), _GRANT + " ORDER BY asked DESC, id")
        return [self._grant(vault, row) for row in rows]

    def grant(self, vault: VaultId, grant: GrantId) -> GrantRow | None:
        """One request or grant, as it is now."""
        row = _one(self._must(vault), _GRANT + " WHERE id = ?", grant)
        return self._grant(vault, row) if row else None

    def rules(self, vault: VaultId) -> list[Signed]:
        """Every version of the standing rules, the newest last."""
        rows = _all(self._must(vault), "SELECT signed FROM rules ORDER BY version")
        with unavailable(DAMAGED):
            return [_SIGNED.decode(signed) for (signed,) in rows]

    def blackouts(self, vault: VaultId) -> list[BlackoutRow]:
        """Every blackout, those that are over or ended too."""
        sql = "SELECT id, since, until, kinds, made, ended FROM blackout ORDER BY made, id"
        rows = _all(self._must(vault), sql)
        with unavailable(DAMAGED):
            return [
                BlackoutRow(id_, since, until, _KINDS.decode(kinds), made, ended)
                for id_, since, until, kinds, made, ended in rows
            ]

    def wrapped_seed(self, vault: VaultId, grant: GrantId) -> bytes | None:
        """A grant's wrapped private key; None once it has ended."""
        row = _one(self._must(vault), "SELECT wrapped_seed FROM grant_ WHERE id = ?", grant)
        return row[0] if row and row[0] else None

    def boxes(self, vault: VaultId, grant: GrantId, after: int) -> list[tuple[int, bytes, bytes]]:
        """(row, segments, box) of a grant's boxes after a row."""
        sql = "SELECT id, segments, box FROM grant_box WHERE grant_ = ? AND id > ? ORDER BY id"
        return _all(self._must(vault), sql, grant, after)

    def segments(self, vault: VaultId, first_day: int, last_day: int) -> list[SegmentRow]:
        """Segments of readings, by day."""
        with unavailable(DAMAGED):
            return segment_rows(self._must(vault), first_day, last_day)

    def segment_header(self, vault: VaultId, segment: bytes) -> bytes | None:
        """A segment's header; None: not in this vault."""
        row = _one(self._must(vault), "SELECT header FROM segment WHERE id = ?", segment)
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
            sizes += _all(self._must(vault), sql, segment, after, since_seq)
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
        return iter(_all(self._must(vault), sql, first_day, last_day, after, named))

    def last_seq(self, vault: VaultId) -> int:
        """The sequence number of what arrived last, of all that is in the file."""
        return int(_one(self._must(vault), "SELECT next_seq FROM vault")[0]) - 1

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
        return [day for (day,) in _all(self._must(vault), sql, first_day, last_day, today, named)]

    def chunk(self, vault: VaultId, row: int) -> ChunkRow | None:
        """One chunk; None: merged into another meanwhile."""
        found = _one(self._must(vault), _CHUNK + " WHERE id = ?", row)
        return ChunkRow(*found) if found else None

    def ledger(self, vault: VaultId, after: int, limit: int) -> tuple[list[SealedEntry], list[SegmentRow]]:
        """Entries after a number, and the segments they are sealed under."""
        connection = self._must(vault)
        sql = "SELECT number, segment, sealed FROM ledger WHERE number > ? ORDER BY number LIMIT ?"
        entries = [SealedEntry(*row) for row in _all(connection, sql, after, limit)]
        sql = "SELECT header, owner_box, open FROM segment WHERE id = ?"
        named = dict.fromkeys(entry.segment for entry in entries)
        rows = [row for segment in named if (row := _one(connection, sql, segment))]
        return entries, [SegmentRow(header, box, [], bool(is_open)) for header, box, is_open in rows]

    # --- inside -----------------------------------------------------------------------------------

    def _device(self, row: tuple[Any, ...]) -> DeviceRow:
        named = dict(zip(DeviceRow.__struct_fields__, row, strict=True))
        named["notes"] = bool(named["notes"])
        with unavailable(DAMAGED):
            named["released"] = _SIGNED.decode(named["released"]) if named["released"] else None
        return DeviceRow(**named)

    def _grant(
        self,
        vault: VaultId,
        row: tuple[
            bytes, bytes, bytes, bytes, bytes, str, int, bytes | None, int | None, int | None, bytes | None
        ],
    ) -> GrantRow:
        grant, brand, state, public, ask, message, asked, statement, picked_up, last_used, rule = row
        known = self.brand(brand)
        with unavailable(DAMAGED):
            decoded, signed = STATE.decode(state), _SIGNED.decode(statement) if statement else None
            ruled = _RULED.decode(rule) if rule else None
        counted = isinstance(decoded, Active | Paused | Preparing) and decoded.terms.uses is not None
        return GrantRow(
            grant=grant,
            brand=brand,
            brand_name=known.row.name if known else "",
            brand_site=known.row.site if known else "",
            state=decoded,
            public=public,
            ask=ask,
            binding_message=message,
            asked=asked,
            statement=signed,
            picked_up=picked_up,
            last_used=last_used,
            rule=ruled,
            used=self.counter(vault, GrantId(grant)).uses if counted else 0,
        )

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


def _one(connection: sqlite3.Connection, sql: str, *values: object) -> Any:
    with unavailable(DAMAGED):
        return connection.execute(sql, values).fetchone()


def _all(connection: sqlite3.Connection, sql: str, *values: object) -> list[Any]:
    with unavailable(DAMAGED):
        return connection.execute(sql, values).fetchall()
