"""Payloads that were kept whole and are now understood: they leave quarantine as their readings come in.

The owner's client alone can open them, so it reads them, and signs a replacement of the stretches of
quarantine that they lie in: what stays is sealed again under the same lane keys.  The readings travel in the
same call, in clear as a device's do, for only the writer knows who may read them today.  Both happen in one
transaction: a payload is in quarantine or its readings are in the vault, never both and never neither.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Final, assert_never

import msgspec

from policies.kinds import Catalogue, catalogue
from vault.bucket import DAY_MS
from vault.errors import VaultError
from vault.ids import DeviceId, VaultId, plain
from vault.ledger import Entry
from vault.observation import Observation, Place
from vault.segment import CHANNEL_MAX, QUARANTINE, RAW
from vault.statement import Replacement, Signed, verify
from vault.store.records import No, Stretch, Taught
from vault.store.state import Arrival
from vault.store.writer import Writer

LABEL: Final = "taught"  # begins what is signed: a merge's digest is of a list of chunks
READINGS_MAX: Final = 65_536  # in one call: everybody's commits wait for it
PAST_MS: Final = 400 * DAY_MS  # before its payload's day, and no further, a reading may lie
FUTURE_MS: Final = 300_000  # from now
EVENT_MAX: Final = 4096  # bytes of an event's word
_AGAIN: Final = No("conflict", "what is in quarantine changed meanwhile", "try again")
_WITHIN: Final = "segment = ? AND number = ? AND resolution = 'raw' AND last_seq >= ? AND first_seq <= ?"


def digest(taught: Taught) -> bytes:
    """What a replacement is signed over: SHA-256 of the label and the taught in canonical MessagePack."""
    return hashlib.sha256(msgspec.msgpack.encode((LABEL, taught), enc_hook=plain)).digest()


def replacement(taught: Taught) -> Replacement:
    """What the owner signs."""
    segments = tuple(sorted({bytes(stretch.segment) for stretch in taught.stretches}))
    return Replacement(segments, segments, digest(taught))


def apply_taught(writer: Writer, vault: VaultId, signed: Signed, taught: Taught) -> No | None:
    """Take payloads out of quarantine and their readings in, if the owner signed exactly this.

    A stretch must be of this device's quarantine and hold as many payloads as there are; some of them must
    leave, so that no call is ever applied twice.
    """
    file, now, device = writer.file(vault), writer.clock(), DeviceId(taught.device)
    try:
        statement = verify(file.vault.verify_key, vault, signed)
    except VaultError:
        return No("not_authorised", "the replacement is not signed by this vault's owner")
    if statement != replacement(taught) or not taught.stretches:
        return No("invalid", "the replacement is of something else")
    left = _leaving(taught)
    if left is None:
        return No("invalid", "what stays is not of the stretches it is to stand for")
    writer.move(vault)
    days: list[int] = []
    written = {bytes(s.header.segment): s for s in writer.state(vault).open.segments.values()}
    for stretch in taught.stretches:
        row = file.row(
            "SELECT day, ledger, device FROM segment JOIN lane ON lane.segment = segment.id"
            " WHERE lane.segment = ? AND lane.number = ?",
            (stretch.segment, stretch.number),
        )
        if row is None or row[1:] != (0, device):
            return No("not_found", "there is no such part of this device's quarantine")
        days.append(row[0])
        segment = written.get(bytes(stretch.segment))
        if segment and (lane := segment.lanes.get(stretch.number)) and lane.lane.kind != QUARANTINE:
            return No("invalid", "readings are not replaced")
        extent = file.row(
            f"SELECT min(first_seq), max(last_seq), sum(count) FROM chunk WHERE {_WITHIN}",  # noqa: S608 (constant)
            _places(stretch),
        )
        if extent != (stretch.first_seq, stretch.last_seq, stretch.count):
            return _AGAIN
    bounds = range(min(days) * DAY_MS - PAST_MS, now + FUTURE_MS + 1)
    kinds = catalogue()
    if taught.dropped < 0 or len(taught.readings) > READINGS_MAX:
        return No("invalid", "more than is taken in one call")
    readings = [one.observation for one in taught.readings]
    if not all(one.time in bounds and is_reading(one, kinds) for one in readings):
        return No("invalid", "something among the readings is none")

    def steps(connection: sqlite3.Connection) -> None:
        connection.executemany(f"DELETE FROM chunk WHERE {_WITHIN}", map(_places, taught.stretches))  # noqa: S608 (constant)
        connection.executemany(
            "INSERT INTO chunk (segment, number, resolution, first_seq, last_seq, count, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [msgspec.structs.astuple(chunk) for chunk in taught.chunks],
        )
        connection.execute(
            "UPDATE device SET quarantined = max(0, quarantined - ?) WHERE id = ?", (left, device)
        )
        connection.executemany(
            "UPDATE segment SET open = 0 WHERE id = ?"
            " AND NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.segment = segment.id)",
            [(one.segment,) for one in taught.stretches if bytes(one.segment) not in written],
        )

    arrival = Arrival(vault, device, min(days) * DAY_MS, readings, dropped=taught.dropped)
    told = tuple(sorted({one.kind for one in readings}))
    entry = Entry(now, "device", kinds=told, readings=len(readings), note="taught")
    writer.transact(vault, entry, steps, arrivals=[arrival])
    return None


def is_reading(one: Observation, kinds: Catalogue) -> bool:
    """Whether a device could have been understood so: a kind of the vocabulary, and a value it can have."""
    try:
        kind = kinds.kind(one.kind)
        if len(one.channel.encode()) > CHANNEL_MAX:
            return False
    except (KeyError, UnicodeEncodeError):
        return False
    value = one.value
    match kind.type:
        case "number":
            return isinstance(value, float) and kind.plausible(value)
        case "boolean":
            return isinstance(value, bool)
        case "text":
            return value in kind.values
        case "event":
            return isinstance(value, str) and 0 < len(value.encode("utf-8", "replace")) <= EVENT_MAX
        case "place":
            return isinstance(value, Place) and _on_earth(value)
        case _:
            assert_never(kind.type)


def _on_earth(place: Place) -> bool:
    radius = place.accuracy
    return abs(place.lat) <= 90 and abs(place.lon) <= 180 and (radius is None or 0 <= radius < float("inf"))


def _leaving(taught: Taught) -> int | None:
    """How many payloads leave quarantine; None: the chunks are not what could stay of the stretches."""
    reached: dict[tuple[bytes, int], int] = {}
    waiting = list(taught.chunks)
    left = 0
    for stretch in taught.stretches:
        place = bytes(stretch.segment), stretch.number
        if stretch.first_seq <= reached.get(place, 0) or stretch.last_seq < stretch.first_seq:
            return None
        at, stay = stretch.first_seq, 0
        while waiting and (bytes(waiting[0].segment), waiting[0].number) == place:
            chunk = waiting[0]
            if chunk.first_seq > stretch.last_seq:
                break
            whole = 0 < chunk.count <= chunk.last_seq - chunk.first_seq + 1
            if not whole or chunk.first_seq < at or chunk.last_seq > stretch.last_seq:
                return None
            if chunk.resolution != RAW:
                return None
            at, stay = chunk.last_seq + 1, stay + chunk.count
            del waiting[0]
        if stay >= stretch.count:
            return None
        left += stretch.count - stay
        reached[place] = stretch.last_seq
    return None if waiting else left


def _places(stretch: Stretch) -> tuple[bytes, int, int, int]:
    return stretch.segment, stretch.number, stretch.first_seq, stretch.last_seq
