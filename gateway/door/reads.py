"""What an owner may look at, answered from the store: no network, and no look at who asks.

Whoever calls this has verified the envelope, and has had the node move what it acknowledged.
"""

from __future__ import annotations

from typing import Final, assert_never

import msgspec

from gateway import wire
from gateway.door.config import DoorConfig
from vault.ids import VaultId
from vault.ledger import Head
from vault.store.reader import Reader
from vault.store.sealedreader import CHUNK_BYTES
from vault.store.sector import Frozen
from vault.suite import SUITE

SEGMENTS_MAX: Final = 10_000  # asked for in one call
STRANGER: Final = wire.Refused(
    "not_authorised", "this server does not know this client", "log in again: hypertouch login"
)


class Sizes(msgspec.Struct, frozen=True):
    """How much one answer holds at the most: bytes of chunks, entries of the ledger."""

    chunk_bytes: int = CHUNK_BYTES
    entries: int = 10_000


SIZES: Final = Sizes()


def look(
    reader: Reader, config: DoorConfig, vault: VaultId, call: wire.OwnerRead, sizes: Sizes = SIZES
) -> wire.AnyReply:
    """Answer a read of this vault's owner, in one view of the person's file; a no is ``Refused``."""
    with reader.snapshot(vault):
        match call:
            case wire.GetOverview():
                return _overview(reader, vault)
            case wire.GetDevices():
                return wire.Devices(
                    reader.devices(vault),
                    config.mqtt_host,
                    config.mqtt_port,
                    config.mqtt_tls,
                    config.ca_fingerprint,
                )
            case wire.GetLearned(device=device):
                return wire.Learned(reader.learned(vault, device))
            case wire.GetGrants():
                return wire.Grants(reader.grants(vault))
            case wire.GetTouchpoints():
                return wire.Touchpoints(reader.touchpoints(vault))
            case wire.GetBrands():
                return wire.Brands(reader.brands())
            case wire.GetClients():
                return wire.Clients(reader.clients(vault))
            case wire.GetSegments():
                return _segments(reader, vault, call)
            case wire.GetChunks():
                return _chunks(reader, vault, call, sizes.chunk_bytes)
            case wire.GetLedger():
                return _ledger(reader, vault, call, sizes.entries)
            case wire.GetRules():
                return wire.StandingRulesReply(reader.rules(vault))
            case wire.GetBlackouts():
                return wire.Blackouts(reader.blackouts(vault))
            case _:
                assert_never(call)


def _overview(reader: Reader, vault: VaultId) -> wire.AnyReply:
    row, counts, mark = reader.vault(vault), reader.overview(vault), reader.clock()
    if row is None:
        return STRANGER
    return wire.Overview(
        hpke_public=row.hpke_public,
        verify_key=row.verify_key,
        suite=SUITE,
        generation=row.generation,
        head=Head(row.ledger_number, row.ledger_hash),
        created=row.created,
        devices=counts.devices,
        pending=counts.pending,
        active=counts.active,
        readings=counts.readings,
        first_day=counts.first_day,
        last_day=counts.last_day,
        frozen="" if mark.frozen is Frozen.NO else mark.frozen.text,
    )


def _segments(reader: Reader, vault: VaultId, call: wire.GetSegments) -> wire.AnyReply:
    return wire.Segments(reader.segments(vault, _clip(call.first_day), _clip(call.last_day)))


def _chunks(reader: Reader, vault: VaultId, call: wire.GetChunks, most: int) -> wire.AnyReply:
    if len(call.segments) > SEGMENTS_MAX:
        return wire.Refused("too_large", f"more than {SEGMENTS_MAX} segments", "ask for fewer at a time")
    found = reader.chunks(vault, call.segments, _clip(call.after), _clip(call.since_seq), most)
    full = sum(len(chunk.body) for chunk in found) >= most
    return wire.Chunks(found, found[-1].row if full else None)


def _ledger(reader: Reader, vault: VaultId, call: wire.GetLedger, most: int) -> wire.AnyReply:
    row = reader.vault(vault)
    if row is None:
        return STRANGER
    limit = min(max(call.limit, 1), most)
    entries, segments = reader.ledger(vault, _clip(call.after), limit)
    return wire.Ledger(entries, segments, Head(row.ledger_number, row.ledger_hash), row.generation)


def _clip(number: int) -> int:
    """SQLite counts in 64 bits; MessagePack goes one further."""
    return min(number, 2**63 - 1)
