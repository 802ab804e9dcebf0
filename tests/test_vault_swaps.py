"""Ciphertext opens in its own place only, and no key ever meets a nonce twice."""

from __future__ import annotations

import copy
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import NamedTuple

import msgspec
import pytest

from tests.test_vault_texts import counter
from tests.vault_samples import header_of, meter
from vault import ledger, segment
from vault.chunk import Sequenced, open_chunk, seal_chunk
from vault.errors import SealError
from vault.gathering import HOUR_MS
from vault.ids import DeviceId, Entropy, GrantId, SegmentId, VaultId
from vault.observation import Observation, Summary
from vault.person import Owner, from_recovery, unwrap_root, wrap_root
from vault.segment import RAW, Lane, LaneKey, SegmentHeader
from vault.store.intake import Delta
from vault.store.openvault import OpenVault
from vault.store.sealing import seal_waiting
from vault.suite import NONCE_SIZE, Recipient, aead_open, aead_seal

SWAPS = 1000


class Sealed(NamedTuple):
    """Something sealed, and how whoever holds its keys opens what is found in its place."""

    what: str
    data: bytes
    open: Callable[[bytes], object]


def everything(entropy: Entropy) -> Iterator[Sealed]:
    """Of two vaults all that is sealed: many segments, lanes, parts, resolutions, sequences, recipients."""
    owners = [(VaultId(entropy(16)), Owner(entropy(32))) for _ in range(2)]
    devices = [DeviceId(entropy(16)) for _ in range(2)]
    brands = [(GrantId(entropy(16)), Recipient(entropy(32))) for _ in range(2)]
    for (vault, owner), day in product(owners, (20_000, 20_000, 20_001)):
        header, key = SegmentHeader(vault, SegmentId(entropy(16)), day), entropy(32)
        yield from of_segment(header, key, devices, entropy)
        box = segment.seal_owner_box(owner.hpke.public, owner.key_id, header, key)
        yield Sealed("owner's box", box, partial(segment.open_owner_box, owner.hpke, owner.key_id, header))
        for grant, brand in brands:
            entry = LaneKey(header.segment, 0, Lane(devices[0], "", "energy", 0).encode(), "raw", key)
            listed, box = segment.seal_grant_box(brand.public, owner.key_id, vault, grant, [entry])
            opener = partial(segment.open_grant_box, brand, owner.key_id, vault, grant, listed)
            yield Sealed("grant's box", box, opener)
    for vault, owner in owners:
        pair = from_recovery(entropy(32))
        yield Sealed(
            "root", wrap_root(pair, vault, entropy(32), entropy(12)), partial(unwrap_root, pair, vault)
        )
        yield Sealed("state", owner.seal_state(b"pins", entropy(12)), owner.open_state)
        for device in devices:
            yield Sealed(
                "name", owner.seal_name(device, "meter", entropy(12)), partial(owner.open_name, device)
            )


def of_segment(
    header: SegmentHeader, key: bytes, devices: list[DeviceId], entropy: Entropy
) -> Iterator[Sealed]:
    """Lanes, their chunks, and ledger entries under one segment key."""
    for number, (device, channel, kind, part) in enumerate(
        product(devices, ("", "grid"), ("energy", "power"), (0, 1))
    ):
        lane = Lane(device, channel, kind, part)
        name = segment.seal_lane_name(key, header, number, lane, entropy(12))
        yield Sealed("lane name", name, partial(segment.open_lane_name, key, header, number))
        for resolution, first in product((RAW, "hour"), (1, 4)):
            lane_key = segment.resolution_key(segment.lane_key(key, lane), resolution)
            found = meter(3, first, lane) if resolution == RAW else hours(3, first, lane)
            of_chunk = msgspec.structs.replace(header_of(found, lane, header), resolution=resolution)
            sealed = seal_chunk(lane_key, of_chunk, found, entropy(12))
            yield Sealed("chunk", sealed, partial(open_chunk, lane_key, of_chunk))
    for number in (1, 2):
        wrote = ledger.seal_entry(key, header, number, ledger.Entry(number, "read"), entropy(12))
        yield Sealed("ledger entry", wrote.sealed, partial(open_entry, key, header, number))


def hours(count: int, first: int, lane: Lane) -> Sequenced:
    """So many buckets of an hour, numbered from ``first``."""
    value = Summary(5, 2.5, 0.0, 1.0, 1.75)
    made = [Observation(lane.channel, lane.kind, n * HOUR_MS, value) for n in range(count)]
    return Sequenced(list(range(first, first + count)), made)


def open_entry(key: bytes, header: SegmentHeader, number: int, data: bytes) -> ledger.Entry:
    return ledger.open_entry(key, header, ledger.SealedEntry(number, header.segment, data))


def swaps_that_open(things: list[Sealed], count: int) -> list[tuple[str, str]]:
    """Put ``count`` things in another's place, half of them in one of the same sort."""
    draw, found = random.Random(15), []
    for n in range(count):
        here = draw.choice(things)
        there = draw.choice([t for t in things if t is not here and (n % 2 or t.what == here.what)])
        try:
            here.open(there.data)
        except SealError:
            continue
        found.append((here.what, there.what))
    return found


def test_nothing_opens_in_the_place_of_another() -> None:
    things = list(everything(counter()))
    assert len(things) > 400
    for thing in things:
        thing.open(thing.data)
    assert swaps_that_open(things, SWAPS) == []


def test_two_chunks_of_one_lane_cannot_be_exchanged_either() -> None:
    """The nearest swap: one key, headers that differ in their sequence numbers alone."""
    header = SegmentHeader(VaultId(bytes(16)), SegmentId(bytes(16)), 0)
    things = of_segment(header, bytes(32), [DeviceId(bytes(16))], counter())
    chunks = [thing for thing in things if thing.what == "chunk"]
    with pytest.raises(SealError):
        chunks[0].open(chunks[1].data)


def test_swaps_would_be_found() -> None:
    """The control: under one key and without additional data everything opens everywhere."""
    careless = [
        Sealed(
            "chunk",
            aead_seal(bytes(32), os.urandom(12), bytes((n,)), b""),
            lambda d: aead_open(bytes(32), d, b""),
        )
        for n in range(20)
    ]
    assert len(swaps_that_open(careless, 50)) == 50


def repeats(pairs: list[tuple[bytes, bytes]]) -> int:
    """How many (key, nonce) were used before."""
    return sum(times - 1 for times in Counter(pairs).values())


def busy_day(opened: OpenVault, commits: int, entropy: Entropy) -> list[tuple[bytes, bytes]]:
    """(key, nonce) of every chunk that commits of two lanes seal."""
    pairs = []
    for n in range(commits):
        delta = Delta(VaultId(bytes(16)))
        for channel in ("", "grid"):
            lane = opened.lane_for(DeviceId(bytes(16)), Observation(channel, "energy", n, 0.5), delta, 0)
            lane.seqs.append(n + 1)
            lane.observations.append(Observation(channel, "energy", n, 0.5))
            pairs += [(lane.key, chunk.body[:NONCE_SIZE]) for chunk in seal_waiting(lane, entropy)]
        opened.settle()
    return pairs


def open_vault(entropy: Entropy) -> OpenVault:
    owner = Owner(bytes(32))
    return OpenVault(VaultId(bytes(16)), owner.hpke.public, owner.key_id, entropy)


def test_no_key_meets_a_nonce_twice_even_after_a_copy_of_the_state() -> None:
    """A machine's snapshot, started twice, goes on under the same keys: randomness must keep them apart."""
    vault = open_vault(os.urandom)
    before = busy_day(vault, 1000, os.urandom)
    copies = [copy.deepcopy(vault) for _ in range(2)]
    after = [busy_day(one, 1000, os.urandom) for one in copies]
    keys = [{key for key, _ in pairs} for pairs in (before, *after)]
    assert keys[0] == keys[1] == keys[2]
    assert repeats(before + after[0] + after[1]) == 0


def test_no_key_meets_a_nonce_twice_after_a_fork() -> None:
    vault = open_vault(os.urandom)
    pairs = busy_day(vault, 10, os.urandom)
    for _ in range(4):
        end, start = os.pipe()
        child = os.fork()
        if child == 0:  # nothing of the test's own may run in the child
            try:
                seen = b"".join(key + nonce for key, nonce in busy_day(vault, 100, os.urandom))
                os.write(start, seen)
            finally:
                os._exit(0)
        os.close(start)
        seen = b""
        while part := os.read(end, 65536):
            seen += part
        os.close(end)
        assert os.waitpid(child, 0)[1] == 0
        assert len(seen) == 200 * 44
        pairs += [(seen[at : at + 32], seen[at + 32 : at + 44]) for at in range(0, len(seen), 44)]
    assert repeats(pairs) == 0


def test_a_repeated_nonce_would_be_found() -> None:
    """The control: entropy that is part of the copied state draws the same nonces twice."""
    vault = open_vault(counter())
    busy_day(vault, 1, counter(100))
    copies = [busy_day(copy.deepcopy(vault), 50, counter(200)) for _ in range(2)]
    assert repeats(copies[0] + copies[1]) == 100
