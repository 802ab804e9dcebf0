"""Every label under which a key, a hash or a signature is made.

BE CONSERVATIVE: a label names bytes that already lie on somebody's disk.  Never change the meaning
of one; add another.  Each derivation of ``FORMAT.md`` has one line here, with the same name.
"""

from __future__ import annotations

import struct
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from vault.errors import FormatError

KEY_SIZE: Final = 32  # bytes of every symmetric key, hash and seed
VERSION: Final = 1  # of the whole format; the first byte after every magic
PREFIX: Final = b"hypertouch 1 "  # of every ExpandWithLabel label

# segment key -> ...
LANE: Final = "lane"
RESOLUTION: Final = "resolution"
DIRECTORY: Final = "directory"
LEDGER: Final = "ledger"
# root -> ...
OWNER_HPKE: Final = "owner hpke"
OWNER_SIGNING: Final = "owner signing"
CLIENT_STATE: Final = "client state"
NAMES: Final = "names"
DEVICE_NOTES: Final = "device notes"
# a device's notes key -> ...
SETTINGS: Final = "settings"
LESSONS: Final = "lessons"
RESENT: Final = "resent"
# stretched passphrase or recovery entropy -> ...
LOGIN: Final = "login"
WRAP_ROOT: Final = "wrap root"
# HKDF infos (extract-and-expand, RFC 5869)
TOKEN: Final = PREFIX + b"token"
GRANT_SEED: Final = PREFIX + b"grant seed"
DEVICE_VERIFY: Final = PREFIX + b"device verify"
DEVICE_DEDUPE: Final = PREFIX + b"device dedupe"
DEVICE_WRAP: Final = PREFIX + b"device wrap"
# HPKE infos
OWNER_BOX: Final = PREFIX + b"owner box"
GRANT_BOX: Final = PREFIX + b"grant box"
# hashes (SHA-256 over vec(label, ...))
OWNER_KEY_ID: Final = PREFIX + b"owner key id"
LEDGER_CHAIN: Final = PREFIX + b"ledger chain"
RECOVERY: Final = PREFIX + b"recovery"
LOGIN_VERIFIER: Final = PREFIX + b"login verifier"
SECRET_VERIFIER: Final = PREFIX + b"secret"
# keyed BLAKE2b under a device's dedupe key, over vec(label, ...)
DEDUPE_MESSAGE: Final = PREFIX + b"dedupe message"
DEDUPE_CLIENT: Final = PREFIX + b"dedupe client"
# keyed BLAKE2b under a device's resent key
RESENT_READING: Final = PREFIX + b"resent reading"
# signatures: SIGN || vec(what is signed, ...)
SIGN: Final = PREFIX + b"sign "
SIGN_STATEMENT: Final = b"statement"
SIGN_CALL: Final = b"call"


def vec(*fields: bytes) -> bytes:
    """Join variable fields: each as a 2-byte length and its bytes; raises FormatError beyond 65,535."""
    try:
        return b"".join(struct.pack(">H", len(field)) + field for field in fields)
    except struct.error:
        raise FormatError("a field is longer than 65,535 bytes") from None


def pack(layout: str, *numbers: int) -> bytes:
    """Fixed fields, big endian; raises FormatError for a number that its field cannot hold.

    Numbers come from rows that a host wrote, so that one out of range is its fault and not a crash.
    """
    try:
        return struct.pack(">" + layout, *numbers)
    except struct.error:
        raise FormatError("a number is out of its field's range") from None


def expand_with_label(
    secret: bytes, label: str, context: bytes = b"", length: int = KEY_SIZE, *, prefix: bytes = PREFIX
) -> bytes:
    """Derive a key: ExpandWithLabel of RFC 9420, section 8, over HKDF-SHA-256.

    ``prefix`` is a parameter so that the RFC's own vectors (``MLS 1.0 ``) can be run.
    """
    full = prefix + label.encode()
    info = struct.pack(">H", length) + _opaque(full) + _opaque(context)
    return HKDFExpand(algorithm=SHA256(), length=length, info=info).derive(secret)


def hkdf(salt: bytes, ikm: bytes, info: bytes, length: int = KEY_SIZE) -> bytes:
    """HKDF-SHA-256, extract and expand (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(ikm)


def _opaque(value: bytes) -> bytes:
    """``opaque value<V>``: the variable-size length of RFC 9420, section 2.1.2."""
    size = len(value)
    if size < 1 << 6:
        return bytes((size,)) + value
    if size < 1 << 14:
        return struct.pack(">H", size | 0x4000) + value
    return struct.pack(">I", size | 0x8000_0000) + value
