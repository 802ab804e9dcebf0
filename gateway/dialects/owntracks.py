"""OwnTracks' encrypted payloads (https://owntracks.org/booklet/features/encrypt/).

``{"_type": "encrypted", "data": ...}`` holds, in base64, a nonce of 24 bytes and a message sealed with
libsodium's secretbox.  Its key is the pass phrase that the person typed into the app, filled up with
zeros to 32 bytes.  Needs PyNaCl, the extra ``owntracks``; without it, or without the pass phrase, or with
another one, the payload is kept as it came.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable
from typing import Final

from gateway.dialects.decode import decode
from gateway.dialects.dispatch import by_rules
from gateway.dialects.notebook import Notebook
from gateway.dialects.reading import Reading

NAME: Final = "owntracks"
KEY_SIZE: Final = 32  # bytes
_NEEDLE: Final = b'"encrypted"'

Opener = Callable[[bytes, bytes], bytes | None]  # key, nonce and sealed message -> message


def read(topic: str, payload: bytes, arrival: int, notebook: Notebook) -> Reading | None:
    """Read what is in an encrypted payload; None: it is not encrypted, or cannot be opened."""
    if _NEEDLE not in payload:
        return None
    document = decode(payload)
    if not isinstance(document, dict) or document.get("_type") != "encrypted":
        return None
    opened = unseal(document.get("data"), notebook.settings.secret)
    return None if opened is None else by_rules(NAME, topic, opened, arrival, notebook)


def unseal(data: object, secret: str) -> bytes | None:
    """The message in ``data``; None where anything about it is not as it should be."""
    key = secret.encode(errors="replace")
    opener = _opener()
    if opener is None or not isinstance(data, str) or not 0 < len(key) <= KEY_SIZE:
        return None
    try:
        sealed = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return None
    return opener(key.ljust(KEY_SIZE, b"\0"), sealed)


@functools.cache
def _opener() -> Opener | None:
    """The library's function, where the library is installed."""
    try:
        from nacl.exceptions import CryptoError
        from nacl.secret import SecretBox
    except ImportError:
        return None

    def opener(key: bytes, sealed: bytes) -> bytes | None:
        try:
            return SecretBox(key).decrypt(sealed)
        except (CryptoError, ValueError):  # ValueError: shorter than a nonce
            return None

    return opener
