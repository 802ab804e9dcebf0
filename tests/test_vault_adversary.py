"""The adversary of the confinement tests catches what it must: classic wrong schedules, planted."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable

import msgspec
import pytest

from tests.adversary import Disk, expand, hkdf_of, opened
from vault import labels, segment
from vault.ids import DeviceId
from vault.labels import expand_with_label
from vault.suite import aead_seal

DAYS = 7


def hashed(key: bytes, times: int) -> bytes:
    for _ in range(times):
        key = hashlib.sha256(key).digest()
    return key


Schedule = Callable[[int, int], bytes]
SEED, BACK, ROWS, COLUMNS = b"a" * 32, b"b" * 32, [b"0" * 32, b"1" * 32], [b"x" * 32, b"y" * 32]
# name -> (key of (series, day), what two grants are handed, what they should open together)
PLANTED: dict[str, tuple[Schedule, set[bytes], set[tuple[int, int]]]] = {
    "a forward ratchet": (lambda _, day: hashed(SEED, day), {hashed(SEED, 2)}, {(0, 2)}),
    "crossed hash chains": (
        lambda _, day: hashlib.sha256(hashed(SEED, day) + hashed(BACK, DAYS - 1 - day)).digest(),
        {hashed(SEED, 0), hashed(BACK, DAYS - 1 - 1), hashed(SEED, 5), hashed(BACK, DAYS - 1 - 6)},
        {(0, 0), (0, 1), (0, 5), (0, 6)},
    ),
    "a product of row and column keys": (
        lambda series, day: bytes(a ^ b for a, b in zip(ROWS[series], COLUMNS[day % 2], strict=True)),
        {ROWS[0], COLUMNS[0], ROWS[1], COLUMNS[1]},
        {(0, 0), (1, 1)},
    ),
    "lane keys from the grant's own key": (
        lambda series, day: expand(SEED, labels.LANE, bytes((series, day))), {SEED}, {(0, 2)},
    ),
}  # fmt: skip


RAW, HOUR, DAY = b"raw", b"hour", b"day"
FINEST_FIRST = [RAW, HOUR, DAY]
FACTORS = {RAW: b"2" * 32, HOUR: b"3" * 32, DAY: b"4" * 32}


def from_the_days_key(lane: int, resolution: bytes) -> bytes:
    """The wrong way round: the day's key is the lane's, and the finer ones are expanded from it."""
    key = ROWS[lane]
    for finer in FINEST_FIRST[FINEST_FIRST.index(resolution) : 2][::-1]:
        key = expand(key, labels.RESOLUTION, finer)
    return key


def product(lane: int, resolution: bytes) -> tuple[bytes, bytes]:
    return ROWS[lane], FACTORS[resolution]


Places = set[tuple[int, bytes]]
HANDED = {ROWS[0], FACTORS[HOUR], ROWS[1], FACTORS[DAY]}
MEANT: Places = {(0, HOUR), (1, DAY)}
# The same over lanes and resolutions; in the last every grant has one key, of the coarsest it may read.
PLANTED_RESOLUTIONS: dict[str, tuple[Callable[[int, bytes], bytes], set[bytes], Places]] = {
    "a ratchet from coarse to fine": (
        lambda lane, resolution: hashed(ROWS[lane], 2 - FINEST_FIRST.index(resolution)),
        {ROWS[0]}, {(0, DAY)},
    ),
    "the hash of a lane's and a resolution's key": (
        lambda lane, resolution: hashlib.sha256(b"".join(product(lane, resolution))).digest(), HANDED, MEANT,
    ),
    "their exclusive or": (
        lambda lane, resolution: bytes(map(operator.xor, *product(lane, resolution))), HANDED, MEANT,
    ),
    "their HKDF": (
        lambda lane, resolution: labels.hkdf(*product(lane, resolution), b"resolution"), HANDED, MEANT,
    ),
    "a resolution's key expanded by lane": (
        lambda lane, resolution: expand(FACTORS[resolution], labels.LANE, bytes((lane,))),
        {FACTORS[HOUR]}, {(0, HOUR)},
    ),
    "finer keys from the day's": (from_the_days_key, {from_the_days_key(0, DAY)}, {(0, DAY)}),
    "one key a lane": (lambda lane, _: ROWS[lane], {ROWS[0]}, {(0, DAY)}),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED_RESOLUTIONS)
def test_the_adversary_catches_a_planted_schedule_of_resolutions(name: str) -> None:
    key_of, handed, intended = PLANTED_RESOLUTIONS[name]
    grid = [(lane, resolution) for lane in range(2) for resolution in FINEST_FIRST]
    things = [(place, b"", aead_seal(key_of(*place), bytes(12), b"", b"")) for place in grid]
    disk = Disk(things=things, lanes=[bytes((lane,)) for lane in range(2)], infos=[b"resolution"])
    assert opened(disk, handed) > intended
    keyed = msgspec.structs.replace(disk, keys=frozenset(key_of(*place) for place in grid))
    assert opened(keyed, handed) == opened(disk, handed)


def test_our_own_resolution_keys_are_not_caught() -> None:
    """The other control: EWL of a lane's key, which nobody is given."""
    grid = [(lane, resolution) for lane in range(2) for resolution in FINEST_FIRST]
    keys = {place: segment.resolution_key(ROWS[place[0]], place[1].decode()) for place in grid}
    disk = Disk([(place, b"", aead_seal(keys[place], bytes(12), b"", b"")) for place in grid])
    for some in (grid[:1], grid[2:3], [grid[1], grid[5]], [grid[0], grid[1], grid[5]]):
        assert opened(disk, {keys[place] for place in some}) == set(some)


@pytest.mark.parametrize("name", PLANTED)
def test_the_adversary_catches_a_planted_schedule(name: str) -> None:
    """Controls: the classic wrong designs must all open more than was given."""
    key_of, handed, intended = PLANTED[name]
    grid = [(series, day) for series in range(2) for day in range(DAYS)]
    things = [(place, b"", aead_seal(key_of(*place), bytes(12), b"", b"")) for place in grid]
    disk = Disk(things=things, lanes=[bytes(place) for place in grid], steps=DAYS)
    assert opened(disk, handed) > intended


def test_independent_keys_are_not_caught() -> None:
    """The other control: the same grid under keys that are random, a box for each."""
    grid = [(series, day) for series in range(2) for day in range(DAYS)]
    keys = {place: hashlib.sha256(b"random" + bytes(place)).digest() for place in grid}
    disk = Disk([(place, b"", aead_seal(keys[place], bytes(12), b"", b"")) for place in grid])
    assert opened(disk, {keys[0, 0], keys[1, 1], keys[0, 6]}) == {(0, 0), (1, 1), (0, 6)}


def test_the_adversary_expands_as_we_do() -> None:
    for context in (b"", b"c" * 63, b"c" * 64, b"c" * 300):
        assert expand(SEED, labels.LANE, context) == expand_with_label(SEED, labels.LANE, context)
    lane = segment.Lane(DeviceId(bytes(16)), "", "energy", 0)
    assert expand(SEED, labels.LANE, lane.encode()) == segment.lane_key(SEED, lane)
    infos = [b"", b"token", b"i" * 200]
    assert list(hkdf_of(SEED, BACK, infos)) == [labels.hkdf(SEED, BACK, info) for info in infos]
