"""How secrets are written down for people and programs: ``htg_`` + id + secret + checksum.

The checksum tells a typing error from a wrong secret; it protects nothing.
"""

from __future__ import annotations

import base64
import binascii
import struct

from vault.errors import FormatError
from vault.ids import ID_SIZE, GrantId
from vault.labels import KEY_SIZE

TOKEN_PREFIX, PICKUP_PREFIX = "htg_", "htr_"  # an access token; an auth_req_id


def write_secret(prefix: str, grant: GrantId, secret: bytes) -> str:
    """prefix || base32(id (16) || secret (32) || CRC-32 (4)), lower case, without padding."""
    body = grant + secret
    packed = body + struct.pack(">I", binascii.crc32(prefix.encode() + body))
    return prefix + base64.b32encode(packed).decode().rstrip("=").lower()


def read_secret(prefix: str, text: str) -> tuple[GrantId, bytes]:
    """Inverse of ``write_secret``; raises FormatError, never naming the text."""
    size = ID_SIZE + KEY_SIZE + 4
    encoded = text.removeprefix(prefix)
    if encoded == text or len(encoded) != -(-size * 8 // 5):
        raise FormatError("not a secret of this kind")
    try:
        packed = base64.b32decode(encoded.upper() + "=" * (-len(encoded) % 8))
    except ValueError:
        raise FormatError("not a secret of this kind") from None
    grant, secret = GrantId(packed[:ID_SIZE]), packed[ID_SIZE:-4]
    if write_secret(prefix, grant, secret) != text:
        raise FormatError("a secret with a typing error")
    return grant, secret
