"""The live file: what must be outside SQLite and outside every backup.

512-byte sectors, each whole or absent (a CRC tells), so that a torn write costs one record and never a
wrong one.  A grant's pepper and pick-up salt are written once and later zeroed.  The clock mark and the
vaults' generations are pairs of sectors, written in turn; the newer whole one counts.
"""

from __future__ import annotations

import binascii
import os
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Final

import msgspec

from vault.grantkey import Slot
from vault.ids import GrantId, VaultId
from vault.labels import KEY_SIZE
from vault.store.files import Files

SECTOR: Final = 512
_BODY = struct.Struct(">4sB3xQ16s16s32s16s")  # magic, record, turn, vault, grant, secret, numbers
_MAGIC: Final = b"HTLV"
_NUMBERS = struct.Struct(">qq")


class Record(IntEnum):
    """What a sector holds; 0 is free."""

    CLOCK = 1  # numbers: mark (ms), total uptime (ms); secret[0]: frozen
    VAULT = 2  # numbers: generation, 0
    PEPPER = 3
    PICKUP = 4


class Frozen(IntEnum):
    """Why grants are refused for now."""

    NO = 0
    AHEAD = 1  # the wall clock ran more than an hour ahead of the uptime clock
    BEHIND = 2  # the wall clock is behind the mark

    @property
    def text(self) -> str:
        """One word for the wire; empty when grants are served."""
        return "" if self is Frozen.NO else self.name.lower()


class ClockMark(msgspec.Struct, frozen=True):
    """The latest time this node believed (ms), its total uptime (ms), and whether grants are frozen."""

    mark: int = 0
    uptime: int = 0
    frozen: Frozen = Frozen.NO


class _Sector(msgspec.Struct, frozen=True):
    record: Record
    turn: int = 0
    vault: bytes = bytes(16)
    grant: bytes = bytes(16)
    secret: bytes = bytes(KEY_SIZE)
    numbers: tuple[int, int] = (0, 0)

    def encode(self) -> bytes:
        body = _BODY.pack(
            _MAGIC, self.record, self.turn, self.vault, self.grant, self.secret, _NUMBERS.pack(*self.numbers)
        ).ljust(SECTOR - 4, b"\0")
        return body + struct.pack(">I", binascii.crc32(body))

    @classmethod
    def decode(cls, data: bytes) -> _Sector | None:
        """None: free, or not whole."""
        if len(data) != SECTOR or binascii.crc32(data[:-4]).to_bytes(4, "big") != data[-4:]:
            return None
        magic, record, turn, vault, grant, secret, numbers = _BODY.unpack_from(data)
        if magic != _MAGIC or record not in Record.__members__.values():
            return None
        return cls(Record(record), turn, vault, grant, secret, _NUMBERS.unpack(numbers))


_Key = tuple[Record, bytes, bytes]


def _key(sector: _Sector) -> _Key:
    return sector.record, sector.vault, sector.grant


class LiveReader:
    """Reads single sectors of the live file; a door's view."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._places: dict[_Key, list[int]] = {}

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)

    def slot(self, vault: VaultId, grant: GrantId) -> Slot | None:
        """A grant's secrets; None once it has ended. A used token's pick-up salt reads as zeros."""
        pepper = self._find((Record.PEPPER, vault, grant))
        if pepper is None:
            return None
        pickup = self._find((Record.PICKUP, vault, grant))
        return Slot(pepper.secret, pickup.secret if pickup else bytes(KEY_SIZE))

    def generation(self, vault: VaultId) -> int | None:
        """A vault's generation; None: not known here."""
        found = self._find((Record.VAULT, vault, bytes(16)))
        return found.numbers[0] if found else None

    def clock(self) -> ClockMark:
        """The clock mark."""
        found = self._find((Record.CLOCK, bytes(16), bytes(16)))
        return ClockMark(*found.numbers, Frozen(found.secret[0])) if found else ClockMark()

    def _find(self, key: _Key) -> _Sector | None:
        found = self._look(key)
        if found is None:
            self._places = {}
            for place, sector in self._scan():
                self._places.setdefault(_key(sector), []).append(place)
            found = self._look(key)
        return found

    def _look(self, key: _Key) -> _Sector | None:
        sectors = (_Sector.decode(self._read(place)) for place in self._places.get(key, ()))
        return max((s for s in sectors if s and _key(s) == key), key=lambda s: s.turn, default=None)

    def _read(self, place: int) -> bytes:
        return os.pread(self._descriptor, SECTOR, place * SECTOR)

    def _scan(self) -> Iterator[tuple[int, _Sector]]:
        for place in range(os.fstat(self._descriptor).st_size // SECTOR):
            if sector := _Sector.decode(self._read(place)):
                yield place, sector


class Live:
    """The node's view: reads everything once, writes single sectors, says when they are durable."""

    def __init__(self, files: Files, path: Path) -> None:
        self._files = files
        self.existed = path.exists() and path.stat().st_size > 0
        self._descriptor = files.open_live(path)
        self._sectors: dict[_Key, list[tuple[int, _Sector]]] = {}
        self._free: list[int] = []
        self._end = os.fstat(self._descriptor).st_size // SECTOR
        for place in range(self._end):
            sector = _Sector.decode(os.pread(self._descriptor, SECTOR, place * SECTOR))
            if sector is None:
                self._free.append(place)
            else:
                self._sectors.setdefault(_key(sector), []).append((place, sector))

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)

    def clock(self) -> ClockMark:
        """The clock mark as last written."""
        found = self._newest((Record.CLOCK, bytes(16), bytes(16)))
        return ClockMark(*found.numbers, Frozen(found.secret[0])) if found else ClockMark()

    def set_clock(self, mark: ClockMark) -> None:
        """Write the clock mark; durable when it returns."""
        secret = bytes((mark.frozen,)).ljust(KEY_SIZE, b"\0")
        self._alternate(_Sector(Record.CLOCK, secret=secret, numbers=(mark.mark, mark.uptime)))

    def generation(self, vault: VaultId) -> int | None:
        """A vault's generation; None: this live file has never seen it."""
        found = self._newest((Record.VAULT, vault, bytes(16)))
        return found.numbers[0] if found else None

    def set_generation(self, vault: VaultId, generation: int) -> None:
        """Write a vault's generation; durable when it returns."""
        self._alternate(_Sector(Record.VAULT, vault=vault, numbers=(generation, 0)))

    def slots(self) -> set[tuple[bytes, bytes]]:
        """(vault, grant) of every slot there is."""
        return {(vault, grant) for record, vault, grant in self._sectors if record >= Record.PEPPER}

    def has_pickup(self, vault: VaultId, grant: GrantId) -> bool:
        """Whether the token can still be picked up."""
        return (Record.PICKUP, vault, grant) in self._sectors

    def create_slot(self, vault: VaultId, grant: GrantId, slot: Slot) -> None:
        """Write a grant's secrets; durable when it returns. Comes before the grant's row."""
        self._write(self._place(), _Sector(Record.PEPPER, 0, vault, grant, slot.pepper))
        self._write(self._place(), _Sector(Record.PICKUP, 0, vault, grant, slot.pickup_salt))
        self._files.fsync(self._descriptor)

    def erase_pickup(self, vault: VaultId, grant: GrantId) -> None:
        """Zero the pick-up salt; durable when it returns."""
        self._erase((Record.PICKUP, vault, grant))

    def end_grants(self, vault: VaultId, grants: list[GrantId], generation: int) -> None:
        """The commit of a narrowing: slots zeroed, generation raised, one fsync for both."""
        for grant in grants:
            for record in (Record.PEPPER, Record.PICKUP):
                self._erase((record, vault, grant), sync=False)
        self.set_generation(vault, generation)

    def _erase(self, key: _Key, *, sync: bool = True) -> None:
        for place, _ in self._sectors.pop(key, ()):
            self._files.pwrite(self._descriptor, bytes(SECTOR), place * SECTOR)
            self._free.append(place)
        if sync:
            self._files.fsync(self._descriptor)

    def _newest(self, key: _Key) -> _Sector | None:
        return max((s for _, s in self._sectors.get(key, ())), key=lambda s: s.turn, default=None)

    def _alternate(self, sector: _Sector) -> None:
        """Write over the older of the pair."""
        pair = sorted(self._sectors.get(_key(sector), ()), key=lambda item: item[1].turn)
        place = pair[0][0] if len(pair) > 1 else self._place()
        newer = msgspec.structs.replace(sector, turn=pair[-1][1].turn + 1 if pair else 1)
        if len(pair) > 1:
            self._sectors[_key(sector)].remove(pair[0])
        self._write(place, newer)
        self._files.fsync(self._descriptor)

    def _place(self) -> int:
        if self._free:
            return self._free.pop()
        self._end += 1
        return self._end - 1

    def _write(self, place: int, sector: _Sector) -> None:
        self._files.pwrite(self._descriptor, sector.encode(), place * SECTOR)
        self._sectors.setdefault(_key(sector), []).append((place, sector))
