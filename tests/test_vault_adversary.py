"""The adversary of the confinement tests catches what it must: classic wrong schedules, planted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from tests.adversary import Disk, expand, opened
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
