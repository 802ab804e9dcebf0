"""A day that the owner's client read and sealed again: buckets that a crash cut, and blackouts in the past.

What comes lies in one new segment, whose key the client drew: lanes of its own, boxes for exactly the grants
that may read them.  The node cannot open any of it.  It holds the call to what it can see: that the owner
signed it, that nobody writes to that day any more, that no reading is lost or invented, and that brands who
page by sequence numbers will meet every bucket.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Final, NamedTuple

import msgspec

from policies.grant import Active, Paused, Preparing
from policies.wishes import RESOLUTIONS_SUPPORTED
from vault.bucket import DAY_MS
from vault.chunk import READINGS_MAX
from vault.errors import FormatError, VaultError
from vault.ids import ID_SIZE, GrantId, VaultId, plain
from vault.labels import KEY_SIZE
from vault.ledger import Entry
from vault.segment import RAW, SegmentHeader
from vault.statement import Replacement, Signed, verify
from vault.store.person import PersonFile
from vault.store.records import ChunkPlace, No, Rewritten
from vault.store.writer import Writer
from vault.suite import ENCAPSULATION_SIZE, TAG_SIZE

LABEL: Final = "rewritten"  # begins what is signed
RESERVE_MAX: Final = 65_536  # sequence numbers in one call
_MOST: Final = (65_536, 65_536, 16_384, 1_024)  # chunks, places, lanes, boxes: everybody's commits wait
_OWNER_BOX_SIZE: Final = ENCAPSULATION_SIZE + KEY_SIZE + TAG_SIZE
_AGAIN: Final = No("conflict", "the day changed meanwhile", "try again")
_AT: Final = "segment = ? AND number = ? AND resolution = ?"


class _Extent(NamedTuple):
    """Raw readings of one device: how many, and between which sequence numbers."""

    readings: int = 0
    first: int = 1 << 63
    last: int = 0

    def and_of(self, readings: int, first: int, last: int) -> _Extent:
        """Of both."""
        return _Extent(self.readings + readings, min(self.first, first), max(self.last, last))


def digest(rewritten: Rewritten) -> bytes:
    """What a replacement is signed over: SHA-256 of the label and the rewritten in canonical MessagePack."""
    return hashlib.sha256(msgspec.msgpack.encode((LABEL, rewritten), enc_hook=plain)).digest()


def replacement(rewritten: Rewritten) -> Replacement:
    """What the owner signs; raises FormatError where the new segment's header is none."""
    before = {bytes(place.segment) for place in rewritten.gone} | {bytes(one) for one in rewritten.whole}
    segments: tuple[bytes, ...] = ()
    if rewritten.header:
        segments = (bytes(SegmentHeader.decode(rewritten.header).segment),)
    return Replacement(tuple(sorted(before)), segments, digest(rewritten))


def reserve(writer: Writer, vault: VaultId, count: int) -> int | No:
    """Set sequence numbers aside, durably; the first of them."""
    if not 0 < count <= RESERVE_MAX:
        return No("invalid", f"between 1 and {RESERVE_MAX} numbers are reserved at once")
    writer.move(vault)
    first = writer.state(vault).next_seq
    after = first + count
    writer.transact(
        vault, None, lambda c: c.execute("UPDATE vault SET next_seq = max(next_seq, ?)", (after,))
    )
    writer.state(vault).skip_to(after)
    return first


def apply_rewrite(writer: Writer, vault: VaultId, signed: Signed, rewritten: Rewritten) -> No | None:
    """Swap it in, if the owner signed exactly this and the day is as it was when they read it.

    Where raw readings move, some grant may read less than before: the vault's generation is raised, so that
    an older copy is known as one, and what was deleted is taken out of the files' logs.
    """
    file, now = writer.file(vault), writer.now()
    try:
        statement = verify(file.vault.verify_key, vault, signed)
    except VaultError:
        return No("not_authorised", "the replacement is not signed by this vault's owner")
    try:
        if statement != replacement(rewritten):
            return No("invalid", "the replacement is of something else")
        header = SegmentHeader.decode(rewritten.header) if rewritten.header else None
    except FormatError:
        return No("invalid", "the new segment is none")
    if (no := _shape(vault, header, rewritten)) is not None:
        return no
    writer.move(vault)
    day = _day(file, rewritten, header)
    if day is None:
        return No("invalid", "a replacement is of one day that is stored here")
    written = writer.state(vault).open
    over = day not in written.segments and now >= (day + 1) * DAY_MS
    if not over and (rewritten.reserved or rewritten.whole):
        return No("conflict", "readings of this day are still being written", "try again later")
    if any(written.is_written(place.segment, place.number) for place in rewritten.gone):
        return No("conflict", "readings are still written to a part that is to go", "try again")
    if (no := _unfit(writer, file, vault, rewritten, header)) is not None:
        return no
    moved = _extents(file, rewritten)
    if moved is None:
        return _AGAIN

    def steps(connection: sqlite3.Connection) -> None:
        connection.executemany(f"DELETE FROM chunk WHERE {_AT}", map(_at, rewritten.gone))  # noqa: S608 (constant)
        if header is not None:
            connection.execute(
                "INSERT INTO segment (id, day, header, owner_box, ledger, open, cut)"
                " VALUES (?, ?, ?, ?, 0, 0, 0)",
                (header.segment, day, rewritten.header, rewritten.owner_box),
            )
        insert = connection.executemany
        insert(
            "INSERT INTO lane VALUES (?, ?, ?, ?)",
            [(statement.segments[0], one.number, one.device, one.name) for one in rewritten.lanes],
        )
        insert(
            "INSERT INTO chunk (segment, number, resolution, first_seq, last_seq, count, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [msgspec.structs.astuple(chunk) for chunk in rewritten.chunks],
        )
        insert(
            "INSERT INTO grant_box (grant_, segments, box) VALUES (?, ?, ?)",
            [msgspec.structs.astuple(box) for box in rewritten.boxes],
        )
        insert("UPDATE segment SET cut = 0 WHERE id = ?", [(segment,) for segment in rewritten.whole])

    if not moved:
        writer.transact(vault, None, steps)
        return None
    since = day * DAY_MS // 1000
    entry = Entry(now, "blackout", since=since, until=since + DAY_MS // 1000, readings=moved, note="past")
    writer.transact(vault, entry, steps, generation=file.generation() + 1)
    return None


def _shape(vault: VaultId, header: SegmentHeader | None, rewritten: Rewritten) -> No | None:
    """What is wrong with it by itself."""
    if header is None:
        if rewritten.lanes or rewritten.chunks or rewritten.boxes or rewritten.owner_box or rewritten.gone:
            return No("invalid", "what is sealed has a segment")
        return None if rewritten.whole else No("invalid", "a replacement of nothing")
    segment = bytes(header.segment)
    if header.vault != vault or len(rewritten.owner_box) != _OWNER_BOX_SIZE:
        return No("invalid", "the new segment is not this vault's")
    lists = (rewritten.chunks, rewritten.gone, rewritten.lanes, rewritten.boxes)
    if any(len(one) > most for one, most in zip(lists, _MOST, strict=True)):
        return No("invalid", "more than is taken in one call")
    numbers = {lane.number for lane in rewritten.lanes}
    if len(numbers) != len(rewritten.lanes) or len(set(rewritten.gone)) != len(rewritten.gone):
        return No("invalid", "something is named twice")
    if any(box.segments != segment for box in rewritten.boxes):
        return No("invalid", "a box names another segment")
    last: dict[tuple[int, str], int] = {}
    for chunk in rewritten.chunks:
        place = chunk.number, chunk.resolution
        known = bytes(chunk.segment) == segment and chunk.number in numbers
        whole = 0 < chunk.count <= min(READINGS_MAX, chunk.last_seq - chunk.first_seq + 1)
        if not known or not whole or chunk.resolution not in RESOLUTIONS_SUPPORTED:
            return No("invalid", "a chunk is in no lane of the new segment")
        if chunk.first_seq <= last.get(place, 0):
            return No("invalid", "the chunks of a lane are not in order")
        last[place] = chunk.last_seq
    return None


def _day(file: PersonFile, rewritten: Rewritten, header: SegmentHeader | None) -> int | None:
    """The one day of all that is named; None: there are several, or something is not here."""
    whole = {bytes(one) for one in rewritten.whole}
    days = {header.day} if header is not None else set()
    for segment in whole | {bytes(place.segment) for place in rewritten.gone}:
        row = file.row("SELECT day, open FROM segment WHERE id = ? AND ledger = 0", (segment,))
        if row is None or (row[1] and segment in whole):
            return None
        days.add(row[0])
    return days.pop() if len(days) == 1 else None


def _unfit(
    writer: Writer, file: PersonFile, vault: VaultId, rewritten: Rewritten, header: SegmentHeader | None
) -> No | None:
    """What is wrong with it in this vault."""
    if header is not None and file.row("SELECT 1 FROM segment WHERE id = ?", (header.segment,)):
        return No("conflict", "this segment is stored already", "nothing needs to be done")
    if rewritten.generation != file.generation():
        return No("conflict", "somebody may read less than before", "try again")
    devices = {bytes(lane.device) for lane in rewritten.lanes}
    if any(file.row("SELECT 1 FROM device WHERE id = ?", (device,)) is None for device in devices):
        return No("not_found", "there is no such device")
    for grant in {bytes(box.grant) for box in rewritten.boxes}:
        if len(grant) != ID_SIZE or not isinstance(file.state(GrantId(grant)), Preparing | Active | Paused):
            return No("conflict", "a grant is not in force any more", "try again")
    buckets = [chunk for chunk in rewritten.chunks if chunk.resolution != RAW]
    if any(chunk.last_seq >= writer.state(vault).next_seq for chunk in buckets):
        return No("invalid", "a sequence number was not reserved")
    # A brand may have paged beyond the numbers that were reserved, if anything has come since.
    if rewritten.reserved and _latest(file) >= rewritten.reserved:
        return No("conflict", "readings arrived meanwhile", "try again")
    return None


def _latest(file: PersonFile) -> int:
    """The highest sequence number that is stored."""
    sql = "SELECT max(last_seq) FROM chunk WHERE resolution = ?"
    found = (file.row(sql, (resolution,)) for resolution in RESOLUTIONS_SUPPORTED)
    return max((row[0] for row in found if row[0] is not None), default=0)


def _extents(file: PersonFile, rewritten: Rewritten) -> int | None:
    """How many raw readings move; None: what is gone is not here, or not what comes in its stead.

    By device, which is all that the node can see of a lane: as many as before, from the same first to the
    same last sequence number.
    """
    before: dict[bytes, _Extent] = {}
    for place in rewritten.gone:
        row = file.row(
            "SELECT device, sum(count), min(first_seq), max(last_seq)"  # noqa: S608 (constant)
            " FROM chunk JOIN lane USING (segment, number)"
            f" WHERE {_AT} GROUP BY device",
            _at(place),
        )
        if row is None:
            return None
        if place.resolution == RAW:
            before[row[0]] = before.get(row[0], _Extent()).and_of(*row[1:])
    devices = {lane.number: bytes(lane.device) for lane in rewritten.lanes}
    after: dict[bytes, _Extent] = {}
    for chunk in rewritten.chunks:
        if chunk.resolution == RAW:
            device = devices[chunk.number]
            extent = after.get(device, _Extent())
            after[device] = extent.and_of(chunk.count, chunk.first_seq, chunk.last_seq)
    return sum(extent.readings for extent in before.values()) if before == after else None


def _at(place: ChunkPlace) -> tuple[bytes, int, str]:
    return place.segment, place.number, place.resolution
