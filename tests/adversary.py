"""Someone who holds some secrets and every byte of the disk, and tries everything (Dolev and Yao).

What is tried, to a fixpoint: ExpandWithLabel of every key under every label and context in use, HKDF of every
pair of secrets, hash ratchets, hashes and exclusive ors of two keys, every box with every key, every wrapped
seed with every key, and in the end every chunk with every key.
"""

from __future__ import annotations

import functools
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
    keys: frozenset[bytes] | None = (
        None  # all that open anything here, if known: no other is tried on the bytes
    )


class Adversary:
    """What was derived is kept, so that many who hold different secrets can be played on one disk.

    With ``Disk.keys`` what was reached is compared with them, and only those are tried on the bytes.  The
    same is found: any other key opens something of AES-GCM once in 2^128.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._points = {public[MLKEM_PUBLIC_SIZE:] for public, _, _ in disk.boxes}
        self._alone = functools.lru_cache(maxsize=None)(self._from_one)
        self._together = functools.lru_cache(maxsize=None)(self._from_two)
        self._taken = functools.lru_cache(maxsize=None)(self._from_disk)
        self._opening = functools.lru_cache(maxsize=None)(self._names)

    def opened(self, secrets: Iterable[bytes]) -> set[Any]:
        """The names of all things that open, starting from these secrets of 32 bytes."""
        known, tried, reached = set(secrets), set[bytes](), set[bytes]()
        while fresh := known - tried:
            tried |= fresh
            derived = set(fresh)
            for one in fresh:
                derived |= self._alone(one)
                for other in known:
                    derived |= self._together(one, other) | self._together(other, one)
            reached |= derived
            for key in derived:
                known |= self._taken(key)
        return {name for key in reached for name in self._opening(key)}

    def _from_one(self, key: bytes) -> frozenset[bytes]:
        found = {*_chain(key, self._disk.steps), *_expanded(self._disk, {key}, DEPTH)}
        return self._worth_trying(found)

    def _from_two(self, one: bytes, other: bytes) -> frozenset[bytes]:
        chains = list(_chain(one, self._disk.steps)), list(_chain(other, self._disk.steps))
        found = set(hkdf_of(one, other, self._disk.infos))
        for left in chains[0]:
            for right in chains[1]:
                found.add(hashlib.sha256(left + right).digest())
                found.add((int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(32))
        return self._worth_trying(found)

    def _worth_trying(self, found: set[bytes]) -> frozenset[bytes]:
        return frozenset(found if self._disk.keys is None else found & self._disk.keys)

    def _from_disk(self, key: bytes) -> frozenset[bytes]:
        """The secrets in what a key unwraps, and in the boxes of which it is the private key."""
        if self._disk.keys is not None and key not in self._disk.keys:
            return frozenset()
        found = set(_unwrapped(self._disk, key))
        if _point(key) in self._points:
            found |= set(_unboxed(self._disk, Recipient(key)))
        return frozenset(found)

    def _names(self, key: bytes) -> frozenset[Any]:
        if self._disk.keys is not None and key not in self._disk.keys:
            return frozenset()
        return frozenset(name for name, aad, sealed in self._disk.things if _opens(key, sealed, aad))


def opened(disk: Disk, secrets: Iterable[bytes]) -> set[Any]:
    """The names of all things that open, starting from these secrets of 32 bytes."""
    return Adversary(disk).opened(secrets)


def hkdf_of(salt: bytes, secret: bytes, infos: Iterable[bytes]) -> Iterator[bytes]:
    """HKDF-SHA-256 to 32 bytes, written for speed; a test compares it."""
    extracted = hmac.digest(salt, secret, "sha256")
    for info in infos:
        yield hmac.digest(extracted, info + b"\1", "sha256")


def _point(seed: bytes) -> bytes:
    """The X25519 half of the public key that a seed would have: enough to see whose it is, and faster."""
    private = X25519PrivateKey.from_private_bytes(hashlib.shake_256(seed).digest(96)[64:])
    return private.public_key().public_bytes_raw()


def _chain(key: bytes, steps: int) -> Iterator[bytes]:
    for _ in range(steps):
        yield key
        key = hashlib.sha256(key).digest()


def _expanded(disk: Disk, keys: set[bytes], depth: int) -> Iterator[bytes]:
    contexts = [(labels.LANE, lane) for lane in disk.lanes]
    contexts += [(labels.RESOLUTION, name) for name in (b"raw", b"hour", b"day", b"h3-7", b"h3-5")]
    contexts += [(label, b"") for label in PLAIN_LABELS]
    infos = [_info(label, context) for label, context in contexts]
    for _ in range(depth):
        keys = {hmac.digest(key, info, "sha256") for key in keys for info in infos}
        yield from keys


def expand(key: bytes, label: str, context: bytes) -> bytes:
    """ExpandWithLabel, written for speed; a test compares it."""
    return hmac.digest(key, _info(label, context), "sha256")


def _info(label: str, context: bytes) -> bytes:
    full = labels.PREFIX + label.encode()
    size = bytes((len(context),)) if len(context) < 64 else (len(context) | 0x4000).to_bytes(2, "big")
    return b"\0\x20" + bytes((len(full),)) + full + size + context + b"\1"


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
