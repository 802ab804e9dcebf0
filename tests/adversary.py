"""Someone who holds some secrets and every byte of the disk, and tries everything (Dolev and Yao).

What is tried, to a fixpoint: ExpandWithLabel of every key under every label and context in use, HKDF of every
pair of secrets, hash ratchets, hashes and exclusive ors of two keys, every box with every key, every wrapped
seed with every key, and in the end every chunk with every key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from vault import labels
from vault.errors import VaultError
from vault.suite import MLKEM_PUBLIC_SIZE, Recipient, aead_open

DEPTH = 2  # of ExpandWithLabel: no schedule of ours is deeper
PLAIN_LABELS = [
    value
    for name, value in vars(labels).items()
    if name.isupper() and isinstance(value, str) and value not in (labels.LANE, labels.RESOLUTION)
]


class Disk(msgspec.Struct):
    """Every byte that is stored; sealed things as (name, additional data, sealed bytes)."""

    things: list[tuple[Any, bytes, bytes]] = []
    boxes: list[tuple[bytes, bytes, bytes]] = []  # public key, info, box
    wrapped: list[tuple[bytes, bytes]] = []  # additional data, sealed
    lanes: list[bytes] = []  # contexts of LANE; the adversary knows all names
    infos: list[bytes] = []  # of HKDF
    steps: int = 4  # of a ratchet: as many as there are days


def opened(disk: Disk, secrets: Iterable[bytes]) -> set[Any]:
    """The names of all things that open, starting from these secrets of 32 bytes."""
    known, tried = set(secrets), set[bytes]()
    points = {public[MLKEM_PUBLIC_SIZE:] for public, _, _ in disk.boxes}
    reached: set[bytes] = set()
    while fresh := known - tried:
        tried |= fresh
        derived = set(_derived(disk, fresh, known))
        reached |= fresh | derived
        for key in fresh | derived:
            known |= set(_unwrapped(disk, key))
            if _point(key) in points:
                known |= set(_unboxed(disk, Recipient(key)))
    return {name for name, aad, sealed in disk.things if any(_opens(key, sealed, aad) for key in reached)}


def _derived(disk: Disk, fresh: set[bytes], known: set[bytes]) -> Iterator[bytes]:
    chains = {key: list(_chain(key, disk.steps)) for key in known}
    for one in fresh:
        yield from chains[one]
        for other in known:
            for a, b in ((one, other), (other, one)):
                yield from (labels.hkdf(a, b, info) for info in disk.infos)
                for left in chains[a]:
                    for right in chains[b]:
                        yield hashlib.sha256(left + right).digest()
                        yield bytes(x ^ y for x, y in zip(left, right, strict=True))
        yield from _expanded(disk, {one}, DEPTH)


def _point(seed: bytes) -> bytes:
    """The X25519 half of the public key that a seed would have: enough to see whose it is, and faster."""
    private = X25519PrivateKey.from_private_bytes(hashlib.shake_256(seed).digest(96)[64:])
    return private.public_key().public_bytes_raw()


def _chain(key: bytes, steps: int) -> Iterator[bytes]:
    for _ in range(steps):
        yield key
        key = hashlib.sha256(key).digest()


def _expanded(disk: Disk, keys: set[bytes], depth: int) -> Iterator[bytes]:
    if depth == 0:
        return
    contexts = [(labels.LANE, lane) for lane in disk.lanes]
    contexts += [(labels.RESOLUTION, name) for name in (b"raw", b"hour", b"day")]
    contexts += [(label, b"") for label in PLAIN_LABELS]
    for key in keys:
        found = {expand(key, label, context) for label, context in contexts}
        yield from found
        yield from _expanded(disk, found, depth - 1)


def expand(key: bytes, label: str, context: bytes) -> bytes:
    """ExpandWithLabel, written for speed; a test compares it."""
    full = labels.PREFIX + label.encode()
    size = bytes((len(context),)) if len(context) < 64 else (len(context) | 0x4000).to_bytes(2, "big")
    return hmac.digest(key, b"\0\x20" + bytes((len(full),)) + full + size + context + b"\1", "sha256")


def _unwrapped(disk: Disk, key: bytes) -> Iterator[bytes]:
    for aad, sealed in disk.wrapped:
        if _opens(key, sealed, aad):
            yield aead_open(key, sealed, aad)


def _unboxed(disk: Disk, recipient: Recipient) -> Iterator[bytes]:
    for _, info, box in disk.boxes:
        try:
            plain = recipient.open(box, info)
        except VaultError:
            continue
        yield from _secrets_in(plain)


def _secrets_in(plain: bytes) -> Iterator[bytes]:
    """A key, or the keys in a MessagePack list."""
    if len(plain) == labels.KEY_SIZE:
        yield plain
        return
    for entry in msgspec.msgpack.decode(plain):
        yield from (part for part in entry if isinstance(part, bytes) and len(part) == labels.KEY_SIZE)


def _opens(key: bytes, sealed: bytes, aad: bytes) -> bool:
    try:
        aead_open(key, sealed, aad)
    except VaultError:
        return False
    return True
