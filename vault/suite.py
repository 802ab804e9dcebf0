"""The one cipher suite: HPKE over X-Wing for people and grants, AES-256-GCM for data.

Suite 1 is HPKE base mode (RFC 9180) with MLKEM768-X25519 (X-Wing, draft-connolly-cfrg-xwing-kem),
HKDF-SHA-256 and AES-256-GCM.  Its byte stands in every header, so that a second suite can come.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from vault.errors import FormatError, SealError
from vault.labels import KEY_SIZE

SUITE: Final = 1
MLKEM_PUBLIC_SIZE: Final = 1184  # bytes, FIPS 203
X25519_SIZE: Final = 32
PUBLIC_SIZE: Final = MLKEM_PUBLIC_SIZE + X25519_SIZE
ENCAPSULATION_SIZE: Final = 1120  # ML-KEM ciphertext 1088 || X25519 32
NONCE_SIZE: Final = 12  # bytes: 96 random bits; every key is fresh and used by one process
TAG_SIZE: Final = 16

_HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Recipient:
    """Whoever holds a 32-byte seed, which *is* the X-Wing private key (draft, section 5.2)."""

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_SIZE:
            raise FormatError("a seed has 32 bytes")
        expanded = hashlib.shake_256(seed).digest(96)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self._private = MLKEM768X25519PrivateKey(mlkem, x25519)
        self.public: bytes = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()

    def open(self, box: bytes, info: bytes) -> bytes:
        """Open what was sealed to this recipient under the same ``info``.

        Raises:
            SealError: another recipient's box, another ``info``, or altered bytes.
        """
        try:
            return _HPKE.decrypt(box, self._private, info=info)
        except (InvalidTag, ValueError):
            raise SealError("a box does not open with this key") from None


def seal(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Seal to a public key of 1216 bytes: encapsulation (1120) || ciphertext || tag (16).

    Raises:
        FormatError: not a public key.
    """
    try:
        return _HPKE.encrypt(plaintext, _public(public), info=info)
    except ValueError:  # an X25519 point of low order, which would share no secret
        raise FormatError("nothing can be sealed to this public key") from None


def check_public(public: bytes) -> None:
    """Return if something can be sealed to a key that somebody else brings; raises FormatError."""
    seal(public, b"", b"")


def aead_seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """AES-256-GCM: nonce (12) || ciphertext || tag (16).

    Raises:
        FormatError: a key or a nonce of another size.
    """
    if len(nonce) != NONCE_SIZE:
        raise FormatError("a nonce has 12 bytes")
    _check(key)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def aead_open(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Open what ``aead_seal`` made.

    Raises:
        SealError: another key, another header, or altered bytes.
        FormatError: a key of another size.
    """
    _check(key)
    if len(sealed) < NONCE_SIZE + TAG_SIZE:
        raise SealError("sealed bytes are too short")
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], aad)
    except InvalidTag:
        raise SealError("sealed bytes do not open with this key and header") from None


def _check(key: bytes) -> None:
    """The library would take 16 bytes for a key of AES-128."""
    if len(key) != KEY_SIZE:
        raise FormatError("a key has 32 bytes")


def _public(public: bytes) -> MLKEM768X25519PublicKey:
    if len(public) != PUBLIC_SIZE:
        raise FormatError("a public key has 1216 bytes")
    try:
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:MLKEM_PUBLIC_SIZE]),
            X25519PublicKey.from_public_bytes(public[MLKEM_PUBLIC_SIZE:]),
        )
    except ValueError:
        raise FormatError("not a public key of this suite") from None
