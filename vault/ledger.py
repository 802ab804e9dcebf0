"""The ledger: what was asked, decided, read, refused and ended, sealed to the owner and chained.

Each entry is sealed under the key of a *ledger segment* (owner's box only).  The chain runs over the
sealed bytes, so that a client can follow it before it unlocks, and a host cannot change what was said::

    head(0) = 32 zero bytes
    head(n) = SHA-256(vec("ledger chain", vault, head(n-1), n, segment, sealed(n)))
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from vault.errors import FormatError, SignatureError
from vault.ids import SegmentId, VaultId
from vault.labels import KEY_SIZE, LEDGER, LEDGER_CHAIN, expand_with_label, pack, vec
from vault.segment import SegmentHeader
from vault.suite import aead_open, aead_seal

GENESIS: Final = bytes(KEY_SIZE)

What = Literal[
    "created",  # the vault
    "enrolled",  # a client
    "device",  # added, changed, rotated, taught, paused, resumed, released, removed
    "touchpoint",  # made, revoked
    "asked",
    "approved",
    "active",
    "paused",
    "resumed",
    "revised",  # narrowed or extended
    "denied",
    "picked up",  # the brand fetched its token
    "read",
    "refused",
    "ended",
    "lapsed",
    "rules",  # standing rules were changed
    "blackout",  # made, or ended
    "rewrapped",  # passphrase or recovery phrase changed
    "restored",
]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of the ledger; ``time`` is milliseconds.

    ``readings`` of a read is the upper bound of what the answer may hold: an entry is durable before
    the first byte leaves, so the ledger may over-report and never under-reports.
    """

    time: int
    what: What
    grant: str = ""
    brand: str = ""
    kinds: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    readings: int = 0
    times: int = 1  # how many of the same are told in one line (refusals of one minute)
    note: str = ""


class SealedEntry(msgspec.Struct, frozen=True, array_like=True):
    """An entry as it is stored."""

    number: int
    segment: bytes
    sealed: bytes


class Head(msgspec.Struct, frozen=True, array_like=True):
    """How far the ledger reaches: the number of its last entry and the hash over all of them."""

    number: int = 0
    hash: bytes = GENESIS


def seal_entry(
    segment_key: bytes, header: SegmentHeader, number: int, entry: Entry, nonce: bytes
) -> SealedEntry:
    """Seal one entry under its ledger segment's key."""
    sealed = aead_seal(
        expand_with_label(segment_key, LEDGER), nonce, msgspec.msgpack.encode(entry), _aad(header, number)
    )
    return SealedEntry(number, header.segment, sealed)


def open_entry(segment_key: bytes, header: SegmentHeader, entry: SealedEntry) -> Entry:
    """Inverse of ``seal_entry``; raises SealError, FormatError."""
    plain = aead_open(expand_with_label(segment_key, LEDGER), entry.sealed, _aad(header, entry.number))
    try:
        return msgspec.msgpack.decode(plain, type=Entry)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise FormatError("not a ledger entry") from None


def extend(vault: VaultId, head: Head, entry: SealedEntry) -> Head:
    """The head after one more entry.

    Raises:
        SignatureError: the entry is not the next one.
    """
    if entry.number != head.number + 1:
        raise SignatureError("the ledger has a gap")
    linked = vec(
        LEDGER_CHAIN,
        vault,
        head.hash,
        pack("Q", entry.number),
        SegmentId(entry.segment),
        entry.sealed,
    )
    return Head(entry.number, hashlib.sha256(linked).digest())


def follow(vault: VaultId, head: Head, entries: Iterable[SealedEntry]) -> Head:
    """Follow the chain over several entries; raises SignatureError at a gap."""
    for entry in entries:
        head = extend(vault, head, entry)
    return head


def _aad(header: SegmentHeader, number: int) -> bytes:
    return header.encode() + pack("Q", number)
