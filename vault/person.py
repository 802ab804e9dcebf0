"""A person's keys: passphrase, recovery phrase, root, and what derives from the root.

All of this runs in the person's client.  The node sees a *login key*, which only fetches the wrapped
root, and never the *wrapping key*, which opens it.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from vault.errors import FormatError, KeyPolicyError
from vault.ids import DeviceId, VaultId
from vault.labels import (
    CLIENT_STATE,
    DEVICE_NOTES,
    KEY_SIZE,
    LOGIN,
    LOGIN_VERIFIER,
    NAMES,
    OWNER_HPKE,
    OWNER_KEY_ID,
    OWNER_SIGNING,
    RECOVERY,
    WRAP_ROOT,
    expand_with_label,
    vec,
)
from vault.suite import Recipient, aead_open, aead_seal

SALT_SIZE: Final = 16  # bytes
PASSPHRASE_MAX: Final = 1024  # bytes, normalised


class KdfParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Argon2id (RFC 9106): passes, KiB of memory, lanes."""

    passes: int = 3
    memory_kib: int = 64 * 1024
    lanes: int = 4


FLOOR: Final = KdfParams()
CEILING: Final = KdfParams(passes=16, memory_kib=1024 * 1024, lanes=16)


class Unlocking(msgspec.Struct, frozen=True):
    """What a passphrase or a recovery phrase gives: one key to show, one to keep."""

    login_key: bytes
    wrapping_key: bytes


class WrappedRoot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The root as a node keeps it, twice: under the passphrase and under the recovery phrase."""

    salt: bytes
    params: KdfParams
    by_passphrase: bytes
    by_recovery: bytes


def normalise(passphrase: str) -> bytes:
    """NFKC, UTF-8, without the one newline (LF or CR LF) that a file or a pipe may end in.

    Raises:
        FormatError: nothing is left, it is longer than 1024 bytes, or it is no text.
    """
    text = passphrase.removesuffix("\r\n") if passphrase.endswith("\r\n") else passphrase.removesuffix("\n")
    try:
        data = unicodedata.normalize("NFKC", text).encode()
    except UnicodeEncodeError:
        raise FormatError("a passphrase is text") from None
    if not 0 < len(data) <= PASSPHRASE_MAX:
        raise FormatError("a passphrase has between 1 and 1024 bytes")
    return data


def stretch(passphrase: bytes, salt: bytes, params: KdfParams = FLOOR) -> Unlocking:
    """Argon2id over a normalised passphrase; about a fifth of a second and 64 MiB.

    Raises:
        KeyPolicyError: a server asks for less than the floor, or for more than this client bears.
    """
    for name in ("passes", "memory_kib", "lanes"):
        if not getattr(FLOOR, name) <= getattr(params, name) <= getattr(CEILING, name):
            raise KeyPolicyError("the server's key-derivation parameters are out of bounds")
    if len(salt) != SALT_SIZE:
        raise KeyPolicyError("the server's salt has another size")
    return _unlocking(argon2id(passphrase, salt, params))


def argon2id(passphrase: bytes, salt: bytes, params: KdfParams, length: int = KEY_SIZE) -> bytes:
    """Argon2id without our bounds, so that outside vectors can be run; everything else calls ``stretch``."""
    kdf = Argon2id(
        salt=salt,
        length=length,
        iterations=params.passes,
        lanes=params.lanes,
        memory_cost=params.memory_kib,
    )
    return kdf.derive(passphrase)


def from_recovery(entropy: bytes) -> Unlocking:
    """The same pair from the 32 bytes behind a 24-word phrase (BIP 39), which need no stretching."""
    if len(entropy) != KEY_SIZE:
        raise FormatError("a recovery phrase stands for 32 bytes")
    return _unlocking(hashlib.sha256(vec(RECOVERY, entropy)).digest())


def wrap_root(unlocking: Unlocking, vault: VaultId, root: bytes, nonce: bytes) -> bytes:
    """Seal the root under the wrapping key: 60 bytes."""
    return aead_seal(unlocking.wrapping_key, nonce, root, vault)


def unwrap_root(unlocking: Unlocking, vault: VaultId, wrapped: bytes) -> bytes:
    """The root; raises SealError when the passphrase or phrase is another."""
    return aead_open(unlocking.wrapping_key, wrapped, vault)


def login_verifier(vault: VaultId, login_key: bytes) -> bytes:
    """What the node keeps to check a login key, which has 256 bits: one hash is enough."""
    return hashlib.sha256(vec(LOGIN_VERIFIER, vault, login_key)).digest()


class Owner:
    """The person's keys, all of them derived from the 32-byte root."""

    __slots__ = ("_root", "hpke", "key_id", "signing", "verify_key")

    def __init__(self, root: bytes) -> None:
        if len(root) != KEY_SIZE:
            raise FormatError("a root has 32 bytes")
        self._root = root
        self.hpke = Recipient(expand_with_label(root, OWNER_HPKE))
        self.signing = Ed25519PrivateKey.from_private_bytes(expand_with_label(root, OWNER_SIGNING))
        self.verify_key: bytes = self.signing.public_key().public_bytes_raw()
        self.key_id = owner_key_id(self.hpke.public, self.verify_key)

    def seal_name(self, of: bytes, name: str, nonce: bytes) -> bytes:
        """Seal the name a person gave to the thing with this id, so that the host need not know it."""
        return aead_seal(expand_with_label(self._root, NAMES), nonce, name.encode(), of)

    def open_name(self, of: bytes, sealed: bytes) -> str:
        """Inverse of ``seal_name``; raises SealError."""
        return aead_open(expand_with_label(self._root, NAMES), sealed, of).decode()

    def notes_key(self, device: DeviceId) -> bytes:
        """The key of what is noted of a device; the node has it only while that device is connected."""
        return expand_with_label(self._root, DEVICE_NOTES, device)

    def seal_state(self, plaintext: bytes, nonce: bytes) -> bytes:
        """Seal what the client keeps on its own disk."""
        return aead_seal(expand_with_label(self._root, CLIENT_STATE), nonce, plaintext, b"")

    def open_state(self, sealed: bytes) -> bytes:
        """Inverse of ``seal_state``; raises SealError."""
        return aead_open(expand_with_label(self._root, CLIENT_STATE), sealed, b"")


def owner_key_id(hpke_public: bytes, verify_key: bytes) -> bytes:
    """SHA-256 over both public keys: what a client pins and what every box is bound to."""
    return hashlib.sha256(vec(OWNER_KEY_ID, hpke_public, verify_key)).digest()


def _unlocking(stretched: bytes) -> Unlocking:
    return Unlocking(expand_with_label(stretched, LOGIN), expand_with_label(stretched, WRAP_ROOT))
