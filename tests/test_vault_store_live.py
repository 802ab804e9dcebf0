"""The live file: torn sectors, failed writes, and secrets that are gone when they should be."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults import Fault, FaultyFiles, Killed
from vault.grantkey import Slot
from vault.ids import GrantId, VaultId
from vault.store.errors import Unavailable
from vault.store.live import Live, LiveReader
from vault.store.sector import SECTOR, ClockMark, Counter, Frozen

VAULT, OTHER = VaultId(b"v" * 16), VaultId(b"w" * 16)
GRANTS = [GrantId(bytes([n]) * 16) for n in range(1, 5)]
SLOT = Slot(b"P" * 32, b"S" * 32)


class Dropping(FaultyFiles):
    """When an fsync fails, nothing of what it was for is on the disk, and the kernel calls it clean."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.synced = path, path.read_bytes()

    def fsync(self, descriptor: int) -> None:
        try:
            super().fsync(descriptor)
        except OSError:
            self.path.write_bytes(self.synced)
            raise
        self.synced = self.path.read_bytes()


def only(word: str) -> Callable[[str, str], bool]:
    """One sort of write."""
    return lambda w, _: w == word


@pytest.fixture
def path(memory_path: Path) -> Path:
    return memory_path / "live"


def filled(path: Path) -> None:
    """Two slots, a clock and two generations, each written more than once."""
    live = Live(FaultyFiles(), path)
    live.create_slot(VAULT, GRANTS[0], SLOT)
    live.create_slot(VAULT, GRANTS[1], Slot(b"Q" * 32, b"T" * 32))
    for n in range(1, 4):
        live.set_clock(ClockMark(1000 + n, n, Frozen.NO))
        live.set_generation(VAULT, n)
        live.set_generation(OTHER, n * 10)
    live.close()


def test_what_was_written_is_read_again(path: Path) -> None:
    filled(path)
    live, reader = Live(FaultyFiles(), path), LiveReader(path)
    assert live.existed
    assert live.clock() == reader.clock() == ClockMark(1003, 3, Frozen.NO)
    assert (
        [live.generation(v) for v in (VAULT, OTHER)]
        == [reader.generation(v) for v in (VAULT, OTHER)]
        == [3, 30]
    )
    assert live.grants(VAULT) == {GRANTS[0], GRANTS[1]}
    assert live.vaults() == [VAULT]
    assert reader.slot(VAULT, GRANTS[0]) == SLOT
    assert reader.slot(OTHER, GRANTS[0]) is None
    assert live.generation(VaultId(b"x" * 16)) is None


def test_a_new_file_knows_nothing(path: Path) -> None:
    live = Live(FaultyFiles(), path)
    assert not live.existed
    assert (live.clock(), live.vaults(), live.generation(VAULT)) == (ClockMark(), [], None)


def test_each_flipped_byte_costs_a_record_and_never_gives_a_wrong_one(path: Path) -> None:
    filled(path)
    whole = path.read_bytes()
    generations, marks = {1, 2, 3, 10, 20, 30, None}, {1000 + n for n in range(1, 4)}
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        live, reader = Live(FaultyFiles(), path), LiveReader(path)
        assert reader.slot(VAULT, GRANTS[0]) in (SLOT, Slot(SLOT.pepper, bytes(32)), None)
        assert {live.generation(VAULT), live.generation(OTHER)} <= generations
        assert live.generation(VAULT) in (2, 3)
        assert live.clock().mark in marks
        live.close()
        reader.close()


def test_a_sector_that_was_torn_in_the_middle_counts_as_not_written(path: Path) -> None:
    filled(path)
    before = path.read_bytes()
    live = Live(FaultyFiles(), path)
    live.set_generation(VAULT, 99)
    live.close()
    after = path.read_bytes()
    (changed,) = [
        at for at in range(0, len(after), SECTOR) if before[at : at + SECTOR] != after[at : at + SECTOR]
    ]
    for cut in range(0, SECTOR, 16):
        path.write_bytes(after[: changed + cut] + before[changed + cut :])
        live = Live(FaultyFiles(), path)
        assert live.generation(VAULT) in (3, 99)
        live.close()


def test_a_slot_that_ended_is_zero_on_disk_and_gone_for_readers(path: Path) -> None:
    filled(path)
    live, reader = Live(FaultyFiles(), path), LiveReader(path)
    assert reader.slot(VAULT, GRANTS[0]) == SLOT
    live.erase_pickup(VAULT, GRANTS[0])
    assert reader.slot(VAULT, GRANTS[0]) == Slot(SLOT.pepper, bytes(32))
    assert b"SSSS" not in path.read_bytes()
    live.end_grants(VAULT, [GRANTS[0]], 4)
    assert reader.slot(VAULT, GRANTS[0]) is None
    assert b"PPPP" not in path.read_bytes()
    assert bytes(GRANTS[0]) not in path.read_bytes()
    assert reader.slot(VAULT, GRANTS[1]) == Slot(b"Q" * 32, b"T" * 32)
    assert reader.generation(VAULT) == 4


def test_a_counter_is_read_again_and_goes_with_its_grant(path: Path) -> None:
    filled(path)
    live, reader = Live(FaultyFiles(), path), LiveReader(path)
    assert live.counter(VAULT, GRANTS[0]) == reader.counter(VAULT, GRANTS[0]) == Counter()
    for n in range(1, 5):
        live.set_counter(VAULT, GRANTS[0], Counter(n, 1000 + n, -5, 10 * n))
        assert reader.counter(VAULT, GRANTS[0]) == Counter(n, 1000 + n, -5, 10 * n)
    live.close()
    live = Live(FaultyFiles(), path)
    assert live.counter(VAULT, GRANTS[0]) == Counter(4, 1004, -5, 40)
    assert live.counter(VAULT, GRANTS[1]) == live.counter(OTHER, GRANTS[0]) == Counter()
    live.end_grants(VAULT, [GRANTS[0]], 9)
    assert live.counter(VAULT, GRANTS[0]) == reader.counter(VAULT, GRANTS[0]) == Counter()
    assert bytes(GRANTS[0]) not in path.read_bytes()


def test_a_counter_that_was_torn_in_the_middle_is_that_of_before_or_of_after(path: Path) -> None:
    filled(path)
    live = Live(FaultyFiles(), path)
    for n in range(1, 4):
        live.set_counter(VAULT, GRANTS[0], Counter(n, n, 7, n))
    before = path.read_bytes()
    live.set_counter(VAULT, GRANTS[0], Counter(4, 4, 7, 4))
    live.close()
    after = path.read_bytes()
    (changed,) = [
        at for at in range(0, len(after), SECTOR) if before[at : at + SECTOR] != after[at : at + SECTOR]
    ]
    for cut in range(0, SECTOR, 16):
        path.write_bytes(after[: changed + cut] + before[changed + cut :])
        live = Live(FaultyFiles(), path)
        assert live.counter(VAULT, GRANTS[0]).uses in (3, 4)
        live.close()


def test_places_are_used_again(path: Path) -> None:
    filled(path)
    live = Live(FaultyFiles(), path)
    size = path.stat().st_size
    for n in range(20):
        live.create_slot(VAULT, GRANTS[2], SLOT)
        live.end_grants(VAULT, [GRANTS[2]], 10 + n)
    assert path.stat().st_size <= size + 2 * SECTOR


@pytest.mark.parametrize("word", ["PWRITE", "FSYNC"])
def test_what_a_failed_fsync_was_for_is_written_again_before_anything_else(path: Path, word: str) -> None:
    filled(path)
    for nth in range(1, 6):
        files = Dropping(path)
        live = Live(files, path)
        files.fail(nth, only=only(word))
        with suppress(Unavailable):
            live.erase_pickup(VAULT, GRANTS[1])
            live.create_slot(VAULT, GRANTS[2], SLOT)
            live.end_grants(VAULT, [GRANTS[2]], 50 + nth)
        meant = live.generation(VAULT), live.grants(VAULT)
        files.heal()
        live.set_clock(ClockMark(2000 + nth, 1, Frozen.NO))
        live.close()
        again = Live(FaultyFiles(), path)
        assert again.clock().mark == 2000 + nth
        assert (again.generation(VAULT), again.grants(VAULT)) == meant
        assert not again.has_pickup(VAULT, GRANTS[1])
        again.close()


def test_a_slot_that_could_not_be_made_is_not_there(path: Path) -> None:
    files = FaultyFiles()
    live = Live(files, path)
    for nth in range(1, 4):
        files.fail(nth)
        with pytest.raises(Unavailable):
            live.create_slot(VAULT, GRANTS[0], SLOT)
        files.heal()
        assert live.grants(VAULT) == set()
        live.set_generation(VAULT, nth)
        assert b"PPPP" not in path.read_bytes()


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_of_a_narrowing_the_slot_or_the_old_generation_is_left(
    path: Path, after: bool
) -> None:
    """Either it is done, or the vault's file is ahead of it and it is done again."""
    for nth in itertools.count(1):
        path.unlink(missing_ok=True)
        filled(path)
        files = FaultyFiles()
        live = Live(files, path)
        files.fail(nth, Fault.DEAD, after=after)
        try:
            live.end_grants(VAULT, [GRANTS[0]], 4)
        except Killed:
            live.close()
        else:
            break
        again = Live(FaultyFiles(), path)
        assert again.generation(VAULT) == 3 or GRANTS[0] not in again.grants(VAULT)
        again.close()
    assert nth == 5  # two halves of a slot, the generation, one fsync


def test_the_clock_says_why_grants_are_frozen() -> None:
    assert [frozen.text for frozen in Frozen] == ["", "ahead", "behind"]
