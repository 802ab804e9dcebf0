"""The intake journal: one INSERT of one blob makes everything of a commit durable, for all vaults.

A blob carries, for each vault, the chunks *and* every segment header, box, lane name, ledger entry and
redelivery digest they first need: nothing is acknowledged before its owner's box is on disk.  Rows are
later moved into the persons' files and dropped; what a crash leaves is moved at the next start, once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from vault.device import DIGEST_SIZE
from vault.ids import Entropy, plain
from vault.ledger import Head, SealedEntry
from vault.store.errors import Unavailable, unavailable
from vault.store.files import Files, migrate
from vault.store.records import SealedChunk

RECENT_SIZE: Final = 2 + DIGEST_SIZE  # bytes: packet id || digest


class SegmentDelta(msgspec.Struct, array_like=True):
    """A segment that was opened."""

    id: bytes
    day: int
    header: bytes
    owner_box: bytes
    ledger: bool


class LaneDelta(msgspec.Struct, array_like=True):
    """A lane that was opened."""

    segment: bytes
    number: int
    device: bytes
    name: bytes


class DeviceDelta(msgspec.Struct, array_like=True):
    """What a commit adds to a device's counts."""

    id: bytes
    last_seen: int
    readings: int = 0
    quarantined: int = 0
    dropped: int = 0
    duplicates: int = 0
    gaps: int = 0
    foreign: int = 0
    blobs: int = 0


class Delta(msgspec.Struct, array_like=True):
    """What one commit adds to one vault's file."""

    vault: bytes
    segments: list[SegmentDelta] = msgspec.field(default_factory=list)
    lanes: list[LaneDelta] = msgspec.field(default_factory=list)
    boxes: list[tuple[bytes, bytes, bytes]] = msgspec.field(default_factory=list)  # grant, segments, box
    chunks: list[SealedChunk] = msgspec.field(default_factory=list)
    ledger: list[SealedEntry] = msgspec.field(default_factory=list)
    recent: list[tuple[bytes, bytes, int, bytes]] = msgspec.field(
        default_factory=list
    )  # device, client, n, digests
    devices: list[DeviceDelta] = msgspec.field(default_factory=list)
    next_seq: int = 0
    head: Head | None = None
    learned: list[tuple[bytes, bytes]] = msgspec.field(default_factory=list)  # device, sealed lessons
    resent: list[tuple[bytes, int, bytes]] = msgspec.field(default_factory=list)  # device, day, digests
    cuts: list[int] = msgspec.field(default_factory=list)  # days of which a bucket is not sealed


_COUNTS: Final = tuple(name for name in DeviceDelta.__struct_fields__ if name not in ("id", "last_seen"))
_LISTS: Final = tuple(n for n in Delta.__struct_fields__ if n not in ("vault", "next_seq", "head"))


def condense(delta: Delta) -> None:
    """One row a client, a device, a day of digests, however many messages there were; the last lessons."""
    digests: dict[tuple[bytes, bytes], list[bytes]] = {}
    for device, client, _, blob in delta.recent:
        digests.setdefault((device, client), []).append(blob)
    joined = ((d, c, b"".join(blobs)) for (d, c), blobs in digests.items())
    delta.recent = [(d, c, len(blob) // RECENT_SIZE, blob) for d, c, blob in joined]
    counts: dict[bytes, DeviceDelta] = {}
    for one in delta.devices:
        total = counts.setdefault(one.id, DeviceDelta(one.id, one.last_seen))
        total.last_seen = max(total.last_seen, one.last_seen)
        for name in _COUNTS:
            setattr(total, name, getattr(total, name) + getattr(one, name))
    delta.devices = list(counts.values())
    delta.learned = list(dict(delta.learned).items())
    days: dict[tuple[bytes, int], list[bytes]] = {}
    for device, day, blob in delta.resent:
        days.setdefault((device, day), []).append(blob)
    delta.resent = [(device, day, b"".join(blobs)) for (device, day), blobs in days.items()]
    delta.cuts = sorted(set(delta.cuts))


def join(deltas: list[Delta]) -> Delta:
    """Several commits' worth of one vault as one, so that moving them costs one pass."""
    joined = Delta(deltas[0].vault)
    for delta in deltas:
        for name in _LISTS:
            getattr(joined, name).extend(getattr(delta, name))
        joined.next_seq = delta.next_seq or joined.next_seq
        joined.head = delta.head or joined.head
    condense(joined)
    return joined


_ENCODER = msgspec.msgpack.Encoder(enc_hook=plain)
_DECODER = msgspec.msgpack.Decoder(list[Delta])


class Intake:
    """The journal file; raises Unavailable throughout."""

    def __init__(self, files: Files, path: Path, entropy: Entropy) -> None:
        self._files, self._path = files, path
        self._broken = False
        self._sizes: dict[int, int] = {}  # rows there are, and of how many vaults each tells
        with unavailable("the intake journal cannot be opened"):
            self._connection = self._open()
            row = self._connection.execute("SELECT id FROM journal").fetchone()
            if row is None:
                self._connection.execute("INSERT INTO journal VALUES (?)", (entropy(16),))
                row = self._connection.execute("SELECT id FROM journal").fetchone()
            self.id: bytes = row[0]
            self.last = self._highest()

    def append(self, deltas: list[Delta]) -> int:
        """Make a commit durable and return its row number.

        Raises:
            Unavailable: the disk did not take it. The journal is opened again and cut back to the last
                row that is known to be durable, because after a failed fsync nothing is known of the rest;
                until that is done, nothing more is taken.
        """
        blob = _ENCODER.encode(deltas)
        with self._writing("the intake journal could not be written"):
            self._connection.execute("INSERT INTO intake (deltas) VALUES (?)", (blob,))
            self.last = self._highest()
        self._sizes[self.last] = len(deltas)
        return self.last

    def pending(self) -> list[tuple[int, list[Delta]]]:
        """What a former process left, in order."""
        with unavailable("the intake journal is damaged"):
            rows = self._connection.execute("SELECT id, deltas FROM intake ORDER BY id")
            found = [(number, _DECODER.decode(blob)) for number, blob in rows]
        self._sizes = {number: len(deltas) for number, deltas in found}
        return found

    def keep(self, kept: Mapping[int, list[Delta]]) -> None:
        """Forget all but these deltas of these rows, which keep their numbers: each file says by them how
        far it came.
        """
        gone = [(number,) for number in self._sizes if number not in kept]
        shrunk = [(n, deltas) for n, deltas in kept.items() if len(deltas) < self._sizes[n]]
        if not gone and not shrunk:
            return
        with self._writing("the intake journal could not be emptied"):
            run = self._connection.execute
            run("BEGIN IMMEDIATE")
            self._connection.executemany("DELETE FROM intake WHERE id = ?", gone)
            for number, deltas in shrunk:
                run("UPDATE intake SET deltas = ? WHERE id = ?", (_ENCODER.encode(deltas), number))
            run("COMMIT")
        self._sizes = {number: len(deltas) for number, deltas in kept.items()}

    def truncate(self) -> None:
        """Let nothing that was forgotten stay in the log: boxes of a grant that ended."""
        with unavailable("the intake journal could not be emptied"):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = self._files.connect(self._path)
        try:
            migrate(connection, "intake")
            connection.execute("PRAGMA wal_autocheckpoint=4096")
        except BaseException:
            connection.close()
            raise
        return connection

    def _highest(self) -> int:
        """The counter, not max(id): numbers of dropped rows are never given again."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'intake'").fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        if self._broken:
            self._mend()
        try:
            with unavailable(what):
                yield
        except Unavailable:
            self._broken = True
            with suppress(Unavailable):  # then before the next write
                self._mend()
            raise

    def _mend(self) -> None:
        """What a failed write left may be on disk or not: make sure that it is not."""
        with unavailable("the intake journal cannot be opened"):
            self._connection.close()
            self._connection = self._open()
            self._connection.execute("DELETE FROM intake WHERE id > ?", (self.last,))
        self._broken = False
