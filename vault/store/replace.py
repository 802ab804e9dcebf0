"""The signed replacement: merging what a crash left in pieces.

A segment whose process died is whole but in many small chunks, and only the owner has its key.  The owner's
client opens it, makes one chunk of each lane's many under the same lane keys, and signs what it did; the
writer swaps them in one transaction.  Boxes stay as they are, because no key changes.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence

import msgspec

from vault.errors import VaultError
from vault.ids import VaultId, plain
from vault.statement import Replacement, Signed, verify
from vault.store.records import No, SealedChunk
from vault.store.writer import Writer

_Place = tuple[bytes, int, str]
_EXTENT = (
    "SELECT min(first_seq), max(last_seq), sum(count) FROM chunk"
    " WHERE segment = ? AND number = ? AND resolution = ?"
)
_DELETE = "DELETE FROM chunk WHERE segment = ? AND number = ? AND resolution = ?"


def digest(chunks: Sequence[SealedChunk]) -> bytes:
    """What a replacement is signed over: SHA-256 of the chunks in canonical MessagePack."""
    return hashlib.sha256(msgspec.msgpack.encode(list(chunks), enc_hook=plain)).digest()


def apply_merge(writer: Writer, vault: VaultId, signed: Signed, chunks: Sequence[SealedChunk]) -> No | None:
    """Swap merged chunks in and close their segments, if the owner signed exactly these.

    A lane is replaced whole: the merged chunks must hold as many readings, and end at the same sequence
    numbers, as the chunks they stand for.
    """
    file = writer.file(vault)
    try:
        statement = verify(file.vault.verify_key, vault, signed)
    except VaultError:
        return No("not_authorised", "the replacement is not signed by this vault's owner")
    named = (
        {bytes(segment) for segment in statement.segments} if isinstance(statement, Replacement) else set()
    )
    if not isinstance(statement, Replacement) or statement.digest != digest(chunks):
        return No("invalid", "the replacement is of other chunks")
    if named != {chunk.segment for chunk in chunks} or statement.supersedes != statement.segments:
        return No("invalid", "the replacement names other segments")
    writer.move(vault)
    being_written = {bytes(s.header.segment) for s in writer.state(vault).open.segments.values()}
    for segment in named:
        row = file.row("SELECT open, ledger FROM segment WHERE id = ?", (segment,))
        if row != (1, 0) or segment in being_written:
            return No("conflict", "a segment is closed already, or being written", "nothing needs to be done")
    lanes: dict[_Place, list[SealedChunk]] = {}
    for chunk in chunks:
        lanes.setdefault((chunk.segment, chunk.number, chunk.resolution), []).append(chunk)
    for place, merged in lanes.items():
        before = file.row(_EXTENT, place)
        ends = min(c.first_seq for c in merged), max(c.last_seq for c in merged), sum(c.count for c in merged)
        if before != ends:
            return No("conflict", "a lane holds other readings than the replacement", "try again")

    def steps(connection: sqlite3.Connection) -> None:
        connection.executemany(_DELETE, lanes)
        connection.executemany(
            "INSERT INTO chunk (segment, number, resolution, first_seq, last_seq, count, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [msgspec.structs.astuple(chunk) for chunk in chunks],
        )
        sql = "UPDATE segment SET open = 0, cut = 1 WHERE id = ?"  # whoever wrote it took its buckets along
        connection.executemany(sql, [(segment,) for segment in named])

    writer.transact(vault, None, steps)
    return None
