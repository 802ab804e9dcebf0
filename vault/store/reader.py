"""Read-only views of a data directory: what a door works with.

Every call is one short transaction on a connection that cannot write.  One thread uses a reader.
"""

from __future__ import annotations

from typing import Any

import msgspec

from policies.grant import Active, Paused, Pending, Preparing
from vault.grantkey import Slot
from vault.ids import GrantId, VaultId
from vault.statement import Signed
from vault.store.errors import unavailable
from vault.store.files import Files
from vault.store.live import LiveReader
from vault.store.paths import DataDir
from vault.store.records import (
    STATE,
    BlackoutRow,
    BrandRow,
    ClientRow,
    DeviceRow,
    GrantRow,
    RuleAnswer,
    TouchpointRow,
    VaultRow,
)
from vault.store.registry import BrandSecret, find_brand, list_brands
from vault.store.sealedreader import DAMAGED, OPEN_FILES, SealedReader, one, rows_of
from vault.store.sector import ClockMark, Counter

_DEVICE = (
    "SELECT id, name, created, ended, last_seen, readings, quarantined, dropped, wrapped_notes IS NOT NULL,"
    " settings, paused, released, duplicates, gaps, foreign_, blobs FROM device"
)
_GRANT = (
    "SELECT id, brand, state, public, ask, binding_message, asked, statement, picked_up,"
    " last_used, rule FROM grant_"
)
_VAULT = "SELECT id, hpke_public, verify_key, generation, ledger_number, ledger_hash, created FROM vault"
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


class Reader(SealedReader):
    """See the module; raises Unavailable where a file is damaged, LookupError where a vault is not here."""

    def __init__(self, data: DataDir, max_open: int = OPEN_FILES, files: Files | None = None) -> None:
        super().__init__(data, max_open, files or Files())
        self._node = self._files.connect_readonly(data.node_db)
        self._live = LiveReader(data.live)

    def close(self) -> None:
        """Give every file back."""
        super().close()
        self._node.close()
        self._live.close()

    # --- the node ---------------------------------------------------------------------------------

    def locate(self, wanted: bytes) -> VaultId | None:
        """The vault of a device, grant or touchpoint."""
        row = one(self._node, "SELECT vault FROM located WHERE id = ?", wanted)
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

    def vault(self, vault: VaultId) -> VaultRow | None:
        """What is in clear about a vault; None: not here."""
        connection = self._vault(vault)
        row = one(connection, _VAULT) if connection else None
        return VaultRow(*row) if row else None

    def overview(self, vault: VaultId) -> OverviewRow:
        """Counts for a first look."""
        connection = self._must(vault)
        packed = rows_of(connection, "SELECT state FROM grant_")
        with unavailable(DAMAGED):
            states = [STATE.decode(state) for (state,) in packed]
        devices, readings = one(
            connection,
            "SELECT count(*) FILTER (WHERE ended IS NULL), coalesce(sum(readings), 0) FROM device",
        )
        days = one(connection, "SELECT min(day), max(day) FROM segment WHERE ledger = 0")
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
        row = one(connection, sql, client) if connection else None
        return row[0] if row else None

    def clients(self, vault: VaultId) -> list[ClientRow]:
        """Who may speak for the owner."""
        rows = rows_of(self._must(vault), "SELECT id, name, enrolled, ended FROM client ORDER BY enrolled")
        return [ClientRow(*row) for row in rows]

    def devices(self, vault: VaultId) -> list[DeviceRow]:
        """Every device, ended ones too."""
        return [self._device(row) for row in rows_of(self._must(vault), _DEVICE + " ORDER BY created")]

    def learned(self, vault: VaultId, device: bytes) -> bytes | None:
        """What a device declared itself, sealed; None: nothing, or there is no such device."""
        row = one(self._must(vault), "SELECT learned FROM device WHERE id = ?", device)
        return row[0] if row else None

    def device_notes(self, vault: VaultId, device: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
        """(wrapped notes key, settings, lessons) of a device, each sealed, or None where there are none."""
        sql = "SELECT wrapped_notes, settings, learned FROM device WHERE id = ?"
        row = one(self._must(vault), sql, device)
        return (row[0], row[1], row[2]) if row else (None, None, None)

    def device_verifier(self, vault: VaultId, device: bytes) -> bytes | None:
        """What a device's password is checked against; None: unknown or removed."""
        connection = self._vault(vault)
        sql = "SELECT verifier FROM device WHERE id = ? AND ended IS NULL"
        row = one(connection, sql, device) if connection else None
        return row[0] if row else None

    def is_paused(self, vault: VaultId, device: bytes) -> bool:
        """Whether nothing of a device is taken for now."""
        row = one(self._must(vault), "SELECT paused FROM device WHERE id = ?", device)
        return row is not None and row[0] is not None

    def has_recent(self, vault: VaultId, device: bytes, client: bytes) -> bool:
        """Whether anything of this client id was acknowledged and may come again."""
        sql = "SELECT 1 FROM recent WHERE device = ? AND client = ? LIMIT 1"
        return one(self._must(vault), sql, device, client) is not None

    def touchpoints(self, vault: VaultId) -> list[TouchpointRow]:
        """Every touchpoint, ended ones too."""
        rows = rows_of(self._must(vault), "SELECT id, brand, created, ended FROM touchpoint ORDER BY created")
        return [TouchpointRow(*row) for row in rows]

    def grants(self, vault: VaultId) -> list[GrantRow]:
        """Every request and grant, newest first."""
        rows = rows_of(self._must(vault), _GRANT + " ORDER BY asked DESC, id")
        return [self._grant(vault, row) for row in rows]

    def grant(self, vault: VaultId, grant: GrantId) -> GrantRow | None:
        """One request or grant, as it is now."""
        row = one(self._must(vault), _GRANT + " WHERE id = ?", grant)
        return self._grant(vault, row) if row else None

    def rules(self, vault: VaultId) -> list[Signed]:
        """Every version of the standing rules, the newest last."""
        rows = rows_of(self._must(vault), "SELECT signed FROM rules ORDER BY version")
        with unavailable(DAMAGED):
            return [_SIGNED.decode(signed) for (signed,) in rows]

    def blackouts(self, vault: VaultId) -> list[BlackoutRow]:
        """Every blackout, those that are over or ended too."""
        sql = "SELECT id, since, until, kinds, made, ended FROM blackout ORDER BY made, id"
        rows = rows_of(self._must(vault), sql)
        with unavailable(DAMAGED):
            return [
                BlackoutRow(id_, since, until, _KINDS.decode(kinds), made, ended)
                for id_, since, until, kinds, made, ended in rows
            ]

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
