"""The live file: what must be outside SQLite and outside every backup.

512-byte sectors, each whole or absent (a CRC tells), so that a torn write costs one record and never a
wrong one.  A grant's pepper and pick-up salt are written once and later zeroed.  The clock mark, the
vaults' generations and the grants' counters are pairs of sectors, written in turn; the newer whole one
counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from vault.grantkey import Slot
from vault.ids import GrantId, VaultId
from vault.labels import KEY_SIZE
from vault.store.errors import Unavailable, unavailable
from vault.store.files import Files
from vault.store.sector import NOTHING, SECTOR, ClockMark, Counter, Key, Record, Sector, of_grant


class LiveReader:
    """Reads single sectors of the live file; a door's view."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._places: dict[Key, list[int]] = {}

    def close(self) -> None:
        """Give the descriptor back, once."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def slot(self, vault: VaultId, grant: GrantId) -> Slot | None:
        """A grant's secrets; None once it has ended. A used token's pick-up salt reads as zeros."""
        pepper = self._find((Record.PEPPER, vault, grant))
        if pepper is None:
            return None
        pickup = self._look((Record.PICKUP, vault, grant))  # written with the pepper, so known where it is
        return Slot(pepper.secret, pickup.secret if pickup else bytes(KEY_SIZE))

    def generation(self, vault: VaultId) -> int | None:
        """A vault's generation; None: not known here."""
        found = self._find((Record.VAULT, vault, NOTHING))
        return found.numbers[0] if found else None

    def counter(self, vault: VaultId, grant: GrantId) -> Counter:
        """How often a grant was used."""
        found = self._find((Record.COUNTER, vault, grant))
        return found.counter if found else Counter()

    def clock(self) -> ClockMark:
        """The clock mark."""
        found = self._find((Record.CLOCK, NOTHING, NOTHING))
        return found.clock if found else ClockMark()

    def _find(self, key: Key) -> Sector | None:
        found = self._look(key)
        if found is None:
            self._places = {}
            for place, sector in self._scan():
                self._places.setdefault(sector.key, []).append(place)
            found = self._look(key)
        return found

    def _look(self, key: Key) -> Sector | None:
        sectors = (Sector.decode(self._read(place)) for place in self._places.get(key, ()))
        return max((s for s in sectors if s and s.key == key), key=lambda s: s.turn, default=None)

    def _read(self, place: int) -> bytes:
        return os.pread(self._descriptor, SECTOR, place * SECTOR)

    def _scan(self) -> Iterator[tuple[int, Sector]]:
        for place in range(os.fstat(self._descriptor).st_size // SECTOR):
            if sector := Sector.decode(self._read(place)):
                yield place, sector


class Live:
    """The node's view: reads everything once, writes single sectors, says when they are durable.

    What it holds in memory is what is meant to be on disk.  After a failed write or fsync nothing is known
    of the sectors it concerned, so they are written again before anything else is.
    """

    def __init__(self, files: Files, path: Path) -> None:
        self._files = files
        self.existed = path.exists() and path.stat().st_size > 0
        self._sectors: dict[Key, list[tuple[int, Sector]]] = {}
        self._grants: dict[bytes, set[bytes]] = {}
        self._free: list[int] = []
        self._unsure: dict[int, bytes] = {}
        self._answered: dict[bytes, tuple[int, int]] = {}  # of a grant: a day, and its answers so far
        with unavailable("the live file cannot be opened"):
            self._descriptor = files.open_live(path)
            if not self.existed:
                files.fsync_directory(path.parent)
            self._end = os.fstat(self._descriptor).st_size // SECTOR
            for place in range(self._end):
                sector = Sector.decode(os.pread(self._descriptor, SECTOR, place * SECTOR))
                if sector is None:
                    self._free.append(place)
                else:
                    self._note(place, sector)

    def close(self) -> None:
        """Give the descriptor back, once."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def settle(self) -> None:
        """Write what is not known to be durable, and fsync; raises Unavailable."""
        if self._unsure:
            with unavailable("the live file could not be written"):
                for place, data in self._unsure.items():
                    self._files.pwrite(self._descriptor, data, place * SECTOR)
                self._files.fsync(self._descriptor)
            self._unsure.clear()

    def clock(self) -> ClockMark:
        """The clock mark as last written."""
        found = self._newest((Record.CLOCK, NOTHING, NOTHING))
        return found.clock if found else ClockMark()

    def set_clock(self, mark: ClockMark) -> None:
        """Write the clock mark; durable when it returns."""
        self._alternate(Sector.of_clock(mark))

    def generation(self, vault: VaultId) -> int | None:
        """A vault's generation; None: this live file has never seen it."""
        found = self._newest((Record.VAULT, vault, NOTHING))
        return found.numbers[0] if found else None

    def set_generation(self, vault: VaultId, generation: int) -> None:
        """Write a vault's generation; durable when it returns."""
        self._alternate(Sector(Record.VAULT, vault=vault, numbers=(generation, 0)))

    def counter(self, vault: VaultId, grant: GrantId) -> Counter:
        """How often a grant was used."""
        found = self._newest((Record.COUNTER, vault, grant))
        return found.counter if found else Counter()

    def set_counter(self, vault: VaultId, grant: GrantId, counter: Counter) -> None:
        """Write how often a grant was used; durable when it returns.

        The first time writes both of the pair: a reader that knows one place of a pair looks for no other.
        """
        key = (Record.COUNTER, vault, grant)
        if key not in self._sectors:
            self._write(self._place(), Sector(Record.COUNTER, vault=vault, grant=grant))
        self._alternate(Sector.of_counter(vault, grant, counter))

    def answered(self, grant: GrantId, counter: Counter) -> int:
        """The answers of a counter's day that were given; all that were reserved, if that is not known."""
        day, given = self._answered.get(grant, (None, 0))
        return given if day == counter.day else counter.answers

    def note_answer(self, grant: GrantId, day: int, given: int) -> None:
        """How many of the answers that are reserved were given; this is in memory alone."""
        self._answered[grant] = day, given

    def vaults(self) -> list[VaultId]:
        """The vaults that have requests or grants."""
        return [VaultId(vault) for vault in self._grants]

    def grants(self, vault: VaultId) -> set[GrantId]:
        """The grants of a vault that have a slot."""
        return {GrantId(grant) for grant in self._grants.get(vault, ())}

    def has_pickup(self, vault: VaultId, grant: GrantId) -> bool:
        """Whether the token can still be picked up."""
        return (Record.PICKUP, vault, grant) in self._sectors

    def create_slot(self, vault: VaultId, grant: GrantId, slot: Slot) -> None:
        """Write a grant's secrets; durable when it returns. Comes before the grant's row."""
        self.settle()
        self._write(self._place(), Sector(Record.PEPPER, 0, vault, grant, slot.pepper))
        self._write(self._place(), Sector(Record.PICKUP, 0, vault, grant, slot.pickup_salt))
        try:
            self.settle()
        except Unavailable:
            self._erase(*of_grant(vault, grant))
            raise

    def erase_slot(self, vault: VaultId, grant: GrantId) -> None:
        """Zero a grant's secrets; durable when it returns."""
        self._erase(*of_grant(vault, grant))
        self.settle()

    def erase_pickup(self, vault: VaultId, grant: GrantId) -> None:
        """Zero the pick-up salt; durable when it returns."""
        self._erase((Record.PICKUP, vault, grant))
        self.settle()

    def end_grants(self, vault: VaultId, grants: Iterable[GrantId], generation: int) -> None:
        """The commit of a narrowing: slots zeroed, generation raised, one fsync for both."""
        self.settle()
        for grant in grants:
            self._erase(*of_grant(vault, grant))
        self.set_generation(vault, generation)

    def _erase(self, *keys: Key) -> None:
        for key in keys:
            for place, _ in self._sectors.pop(key, ()):
                self._unsure[place] = bytes(SECTOR)
                self._free.append(place)
            record, vault, grant = key
            if record is Record.COUNTER:
                self._answered.pop(grant, None)
            if record is Record.PEPPER and vault in self._grants:
                self._grants[vault].discard(grant)
                if not self._grants[vault]:
                    del self._grants[vault]

    def _newest(self, key: Key) -> Sector | None:
        return max((s for _, s in self._sectors.get(key, ())), key=lambda s: s.turn, default=None)

    def _alternate(self, sector: Sector) -> None:
        """Write over the older of the pair, when the newer is known to be durable."""
        if not all(place not in self._unsure for place, _ in self._sectors.get(sector.key, ())):
            self.settle()
        pair = sorted(self._sectors.get(sector.key, ()), key=lambda item: item[1].turn)
        place = pair[0][0] if len(pair) > 1 else self._place()
        newer = msgspec.structs.replace(sector, turn=pair[-1][1].turn + 1 if pair else 1)
        if len(pair) > 1:
            self._sectors[sector.key].remove(pair[0])
        self._write(place, newer)
        self.settle()

    def _place(self) -> int:
        if self._free:
            return self._free.pop()
        self._end += 1
        return self._end - 1

    def _write(self, place: int, sector: Sector) -> None:
        self._unsure[place] = sector.encode()
        self._note(place, sector)

    def _note(self, place: int, sector: Sector) -> None:
        self._sectors.setdefault(sector.key, []).append((place, sector))
        if sector.record is Record.PEPPER:
            self._grants.setdefault(sector.vault, set()).add(sector.grant)
