"""Payload bytes to JSON values, within limits that are checked before anything is built.

msgspec already refuses NaN, 1e999, invalid UTF-8, lone surrogates, byte-order marks and raw control
characters.  What it lets through is refused here: depth, escaped NULs, keys that come twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

MAX_PAYLOAD = 256 * 1024  # bytes; the codec's limit for a packet as well
MAX_DEPTH = 32  # arrays and objects within each other

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)  # possessive: linear on any input
_ONLY_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_BEGINNING = 4096  # bytes
_TOO_DEEP = b"[" * (MAX_DEPTH + 1)
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")

WORD_MAX = 4096  # bytes

# Words that only a broken sender puts where a number belongs: kept whole, as they are in JSON.
_NOT_NUMBERS = frozenset(("nan", "+nan", "-nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"))

_decoder = msgspec.json.Decoder()


def decode(payload: bytes) -> Any:
    """Decode JSON; None when it is not JSON, beyond a limit, or ``null``: in no case a reading."""
    if len(payload) > MAX_PAYLOAD or not shallow(payload) or b"\\u0000" in payload:
        return None
    try:
        document = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    # Every key is followed by a colon, nearly always at once.  Where the numbers differ, look closer.
    colons = payload.count(b'":')
    if document.__class__ is dict and len(document) == colons:  # the usual: one flat object
        return document
    if colons != _count_keys(document) and _has_duplicates(payload):
        return None
    return document


def word(payload: bytes) -> str | None:
    """A payload that is a word rather than JSON, such as ON; None when it is no word either."""
    if len(payload) > WORD_MAX or payload[:1] in (b"{", b"["):
        return None
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and text.lower() not in _NOT_NUMBERS else None


def shallow(payload: bytes) -> bool:
    """Whether brackets are nested at most 32 deep; linear in the payload, whatever it holds."""
    if payload.count(b"[") + payload.count(b"{") <= MAX_DEPTH:
        return True
    if _TOO_DEEP in _skeleton(payload[:_BEGINNING]):
        return False  # found at once, as most of what is too deep
    skeleton = _skeleton(payload)
    if _TOO_DEEP in skeleton:
        return False
    for _ in range(MAX_DEPTH):
        if not skeleton:
            return True
        skeleton = skeleton.replace(b"[]", b"")  # peels the innermost level
    return not skeleton


def _skeleton(payload: bytes) -> bytes:
    """The brackets outside of strings, all of them square."""
    return _STRINGS.sub(b"", payload).translate(_AS_SQUARE, _ONLY_BRACKETS)


def _count_keys(document: object) -> int:
    """Keys of all objects in a document; the recursion is at most 32 deep."""
    if isinstance(document, dict):
        count = len(document)
        for value in document.values():
            if value.__class__ is dict or value.__class__ is list:
                count += _count_keys(value)
        return count
    if isinstance(document, list):
        return sum(map(_count_keys, document))
    return 0


def _has_duplicates(payload: bytes) -> bool:
    """Whether an object has a key twice; for payloads that msgspec has accepted."""
    twice = False

    def check(pairs: Sequence[tuple[str, Any]]) -> None:
        nonlocal twice
        twice = twice or len({key for key, _ in pairs}) != len(pairs)

    # Numbers are not wanted here, and the interpreter refuses to build an int of 5000 digits.
    json.loads(payload, object_pairs_hook=check, parse_int=len, parse_float=len)
    return twice
