"""A second writing of our HPKE suite, from the drafts: X-Wing and the key schedule of RFC 9180, base mode.

Only ML-KEM and X25519 themselves come from the library; everything around them is written out here, so that
two writers must agree on the bytes.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

KEM_XWING, KDF_SHA256, AES_256_GCM, CHACHA20 = 0x647A, 0x0001, 0x0002, 0x0003
_LABEL = b"\\.//^\\"  # draft-connolly-cfrg-xwing-kem, section 5.3


class Schedule(NamedTuple):
    """What RFC 9180's KeySchedule gives."""

    key: bytes
    nonce: bytes
    exporter: bytes


def decapsulate(seed: bytes, enc: bytes) -> bytes:
    """X-Wing's shared secret."""
    expanded = hashlib.shake_256(seed).digest(96)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
    first = mlkem.decapsulate(enc[:1088])
    second = x25519.exchange(X25519PublicKey.from_public_bytes(enc[1088:]))
    return _combine(first, second, enc[1088:], x25519.public_key().public_bytes_raw())


def encapsulate(public: bytes, ephemeral: X25519PrivateKey) -> tuple[bytes, bytes]:
    """(shared secret, encapsulation)."""
    first, ciphertext = MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
    second = ephemeral.exchange(X25519PublicKey.from_public_bytes(public[1184:]))
    point = ephemeral.public_key().public_bytes_raw()
    return _combine(first, second, point, public[1184:]), ciphertext + point


def schedule(shared: bytes, info: bytes, aead: int, kem: int = KEM_XWING) -> Schedule:
    """KeySchedule of RFC 9180, section 5.1, base mode, HKDF-SHA256, for AEADs with keys of 32 bytes."""
    suite = b"HPKE" + b"".join(part.to_bytes(2, "big") for part in (kem, KDF_SHA256, aead))

    def extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, hashlib.sha256)

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")

    def expand(label: bytes, size: int) -> bytes:
        full = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return hmac.digest(secret, full + b"\1", hashlib.sha256)[:size]

    return Schedule(expand(b"key", 32), expand(b"base_nonce", 12), expand(b"exp", 32))


def _combine(first: bytes, second: bytes, point: bytes, public: bytes) -> bytes:
    return hashlib.sha3_256(first + second + point + public + _LABEL).digest()
