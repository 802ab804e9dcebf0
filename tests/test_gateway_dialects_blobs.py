"""Pictures and other files are sealed whole, and nothing is read out of them."""

from __future__ import annotations

import struct
import zlib

import pytest

from gateway.dialects import DialectSettings, Notebook, Reading, read
from gateway.dialects.blobs import is_blob
from gateway.dialects.reading import NAMES

NOW = 1_790_000_000_000


def png() -> bytes:
    def part(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x7f")
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", pixels) + part(b"IEND", b"")


REST = bytes(range(256))
FILES: dict[str, bytes] = {
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + REST,
    "PNG, which begins as an array of CBOR does": png(),
    "GIF": b"GIF89a\x01\x00\x01\x00\x00\x00\x00;" + REST,
    "WebP": b"RIFF\x1a\x00\x00\x00WEBPVP8L" + REST,
    "WAV": b"RIFF\x24\x00\x00\x00WAVEfmt " + REST,
    "MP4": b"\x00\x00\x00\x18ftypmp42" + REST,
    "HEIC": b"\x00\x00\x00\x18ftypheic" + REST,
    "WebM": b"\x1a\x45\xdf\xa3" + REST,
    "Ogg": b"OggS\x00\x02" + REST,
    "FLAC": b"fLaC\x00\x00\x00\x22" + REST,
    "MP3": b"ID3\x04\x00" + REST,
    "TIFF": b"II*\x00\x08\x00\x00\x00" + REST,
    "BMP": b"BM\x46\x00\x00\x00\x00\x00\x00\x00" + REST,
    "PDF": b"%PDF-1.7\n" + REST,
}


@pytest.mark.parametrize("payload", FILES.values(), ids=FILES.keys())
def test_a_file_is_a_blob(payload: bytes) -> None:
    assert is_blob(payload)
    assert read("frigate/front_door/person/snapshot", payload, NOW) == Reading(
        "plain", (), False, 0, blob=True
    )


@pytest.mark.parametrize("dialect", NAMES)
def test_a_file_is_a_blob_in_every_dialect(dialect: str) -> None:
    found = read("any/temperature", png(), NOW, Notebook(DialectSettings(dialect=dialect)))
    assert (found.observations, found.blob, found.quarantine) == ((), True, False)


OTHERS: dict[str, bytes] = {
    "nothing": b"",
    "JSON": b'{"temperature":21.5}',
    "a word that begins so": b"GIF89a",
    "a sentence that begins so": b"BMW X5 is parked in front of the door",
    "a name that begins so": b"RIFFIAN of the mountains, a person of Morocco",
    "a picture that ends at once": png()[:12],
    "any bytes": REST,
    "a picture in base64": b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk",
    "SenML in CBOR": b"\x89" + b"\xa0" * 30,
    "Sparkplug's protobuf": b"\x08\xa6\xe4\x9b\xed\xa3\x2b\x12\x15\x0a\x0bTemperature" + REST,
}


@pytest.mark.parametrize("payload", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_no_file_is_no_blob(payload: bytes) -> None:
    assert not is_blob(payload)
    assert not read("frigate/front_door/person/snapshot", payload, NOW).blob
