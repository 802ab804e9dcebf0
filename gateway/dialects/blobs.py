"""Payloads that are a file of their own: a picture, sound, film or document, told by how it begins.

Such a payload is understood as what it is, and sealed whole; what it shows is nobody's reading.
"""

from __future__ import annotations

import re

# No JSON begins like one of these, and no number or word that a device sends.
_BEGINS = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    rb"|RIFF.{4}(?:WEBP|WAVE|AVI )"
    rb"|\0\0.{2}ftyp"  # ISO media: MP4, MOV, HEIC, AVIF
    rb"|\x1a\x45\xdf\xa3"  # Matroska, WebM
    rb"|OggS\0"
    rb"|fLaC\0"
    rb"|ID3[\x02-\x04]\0"  # MP3 with a title
    rb"|II\*\0|MM\0\*"  # TIFF
    rb"|BM.{4}\0\0\0\0"  # BMP
    rb"|\xff\x4f\xff\x51|\0\0\0\x0cJXL |\xff\x0a"  # JPEG 2000, JPEG XL
    rb"|%PDF-\d",
    re.DOTALL,
)
_FIRST = frozenset(bytes((byte,)) for byte in b"\xff\x89GRO\0\x1afIMB%")
_SMALLEST = 20  # bytes; the smallest picture there is has more


def is_blob(payload: bytes) -> bool:
    """Whether a payload is such a file."""
    return payload[:1] in _FIRST and len(payload) >= _SMALLEST and _BEGINS.match(payload) is not None
