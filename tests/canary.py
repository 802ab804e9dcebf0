"""Searching every byte for something that must not be there, however it may be dressed up."""

from __future__ import annotations

import base64
import contextlib
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_ZSTD = b"\x28\xb5\x2f\xfd"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def disguises(secret: bytes) -> Iterator[bytes]:
    """The secret as it is, as UTF-16, in hexadecimal, and as each of its base64 forms within longer text."""
    yield secret
    yield secret.decode("latin-1").encode("utf-16-le")
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret)
        inner = encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def inflated(content: bytes) -> Iterator[bytes]:
    """The content, and whatever in it is a zlib or zstd stream."""
    yield content
    for magic in _ZLIB:
        at = content.find(magic)
        while at >= 0:
            with contextlib.suppress(zlib.error):
                yield zlib.decompressobj().decompress(content[at:], 1 << 20)
            at = content.find(magic, at + 1)
    at = content.find(_ZSTD)
    while at >= 0:
        with contextlib.suppress(zstd.ZstdError):
            yield zstd.ZstdDecompressor().decompress(content[at:], 1 << 20)
        at = content.find(_ZSTD, at + 1)


def found(places: Iterable[Path], secrets: Iterable[bytes]) -> set[tuple[str, bytes]]:
    """(file, secret) of every secret found in any disguise below these places."""
    wanted = [(secret, list(disguises(secret))) for secret in secrets]
    hits: set[tuple[str, bytes]] = set()
    for place in places:
        for path in [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file()):
            for content in inflated(path.read_bytes()):
                hits |= {
                    (str(path), secret) for secret, forms in wanted if any(form in content for form in forms)
                }
    return hits


__all__ = ["disguises", "found", "inflated", "zstd"]
