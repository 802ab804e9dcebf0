"""Vectors of lane names, columns and chunks: right once, then one fault at a time."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from tests.vectors.vault_cases import (
    HEADER,
    K_LR,
    LANE,
    NONCE,
    OTHER_K,
    OTHER_SEGMENT,
    OTHER_VAULT,
    K,
    Vector,
    change,
    flip,
    vector,
)
from vault import ids, labels, segment
from vault.chunk import PLAIN_MAX, ChunkHeader, Sequenced, encode_columns
from vault.observation import Observation, Place, Tally, Value
from vault.suite import aead_seal


def lane_names() -> Iterator[Vector]:
    """Which series a numbered lane holds."""
    header, number = HEADER.encode(), 3
    sealed = segment.seal_lane_name(K, HEADER, number, LANE, NONCE)
    right: dict[str, Any] = {"key": K, "header": header, "number": number, "sealed": sealed}
    yield vector("one", "lane name", "ok", LANE.encode(), **right)
    faults: dict[str, dict[str, Any]] = {
        "another number": {"number": 4},
        "another segment's key": {"key": OTHER_K},
        "another segment": {"header": change(HEADER, segment=OTHER_SEGMENT).encode()},
        "another day": {"header": change(HEADER, day=0).encode()},
        "altered": {"sealed": flip(sealed)},
        "cut": {"sealed": sealed[:27]},
        "under the segment key itself": {
            "sealed": aead_seal(K, NONCE, LANE.encode(), header + bytes((0, 0, 0, 3)))
        },
    }
    for name, wrong in faults.items():
        yield vector(name, "lane name", "seal", **right | wrong)
    yield vector("a negative number", "lane name", "format", **right | {"number": -1})
    inner = aead_seal(labels.expand_with_label(K, "directory"), NONCE, b"meter", header + bytes((0, 0, 0, 3)))
    yield vector("not a lane", "lane name", "format", **right | {"sealed": inner})


def field(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def ints(*numbers: int) -> bytes:
    """A field of integers as FORMAT.md draws it: differences, little endian, transposed."""
    steps = [b - a for a, b in zip((0, *numbers), numbers, strict=False)]
    raw = b"".join(struct.pack("<q", step) for step in steps)
    return field(b"".join(raw[plane::8] for plane in range(8)))


def column(
    kind: int, values: bytes, *, count: int = 2, seqs: Sequence[int] = (5, 7), claimed: bytes = field(b"") * 2
) -> bytes:
    return struct.pack(">I", count) + ints(*seqs) + ints(1000, 2000) + bytes((kind,)) + values + claimed


CELL, PARENT = 0x871FAA7A8FFFFFF, 0x851FAA7BFFFFFFF  # of Stuttgart


def doubles(*values: float) -> bytes:
    """A column of doubles as they are."""
    raw = b"".join(struct.pack("<d", value) for value in values)
    return b"\xff" + field(b"".join(raw[plane::8] for plane in range(8)))


def summaries(
    counts: tuple[int, int] = (5, 6),
    total: float = 10.5,
    low: float = 1.5,
    high: float = 3.0,
    squares: float = 23.25,
) -> bytes:
    """Two of numbers, of which the second has these."""
    parts = (doubles(7.1e-9, total), doubles(1e-9, low), doubles(5e-9, high), doubles(9e-9, squares))
    return ints(*counts) + b"".join(parts)


def columns() -> Iterator[Vector]:
    """The plaintext of chunks, written by hand."""
    lane, of = LANE.encode(), "columns"
    numbers = b"\1" + ints(215, 220)
    right = column(0, numbers)
    minus_zero = doubles(-0.0, 1.0)
    places = b"\0" + ints(1, 2) + b"\0" + ints(3, 4)
    for name, data in {
        "numbers": right,
        "booleans": column(1, field(b"\0\1")),
        "texts": column(2, ints(1, 2) + field(b"abc")),
        "places": column(3, places + ints(1) + b"\0" + ints(9)),
        "blobs": column(4, ints(0, 3) + field(b"abc")),
        "minus zero": column(0, minus_zero),
        "a claimed time": column(0, numbers, claimed=ints(1) + ints(-5)),
        "summaries": column(5, summaries()),
        "tallies": column(6, ints(5, 1) + ints(5, 0) + ints(86_400, 0)),
        "shares": column(7, ints(2, 3) + field(b"onoff") + ints(7, 1)),
        "stays": column(8, ints(CELL, PARENT) + ints(3600, 0) + ints(0, 1)),
    }.items():
        yield vector(name, of, "ok", data, lane=lane, data=data)
    free = column(0, b"\2" + ints(2150, 2200))
    yield vector("a scale larger than need be", of, "ok", right, lane=lane, data=free)
    ragged = field(bytes(17))
    for name, data in {
        "cut": right[:-1],
        "trailing": right + b"\0",
        "empty": b"",
        "count 0": bytes(4) + right[4:],
        "count too large": column(0, numbers, count=3),
        "count too small": column(0, numbers, count=1),
        "more than a million": column(0, numbers, count=(1 << 20) + 1),
        "unknown type": column(9, numbers),
        "unknown scale": column(0, b"\7" + ints(1, 2)),
        "equal seqs": column(0, numbers, seqs=(5, 5)),
        "falling seqs": column(0, numbers, seqs=(7, 5)),
        "half an integer": column(0, b"\0" + ragged),
        "fewer values": column(0, b"\1" + ints(215)),
        "boolean 2": column(1, field(b"\0\2")),
        "fewer booleans": column(1, field(b"\0")),
        "not UTF-8": column(2, ints(1, 1) + field(b"a\xff")),
        "half a character": column(2, ints(1, 1) + field("é".encode())),
        "texts longer than said": column(2, ints(1, 1) + field(b"abc")),
        "texts of negative length": column(2, ints(4, -1) + field(b"abc")),
        "accuracy of nobody": column(3, places + ints(2) + b"\0" + ints(9)),
        "accuracies not rising": column(3, places + ints(1, 1) + b"\0" + ints(9, 9)),
        "claimed by nobody": column(0, numbers, claimed=ints(2) + ints(-5)),
        "claimed by index -1": column(0, numbers, claimed=ints(-1) + ints(-5)),
        "claimed twice": column(0, numbers, claimed=ints(0, 0) + ints(1, 2)),
        "fewer claimed times": column(0, numbers, claimed=ints(0, 1) + ints(1)),
        "a summary of nothing": column(5, summaries(counts=(5, 0))),
        "a summary of fewer than nothing": column(5, summaries(counts=(5, -5))),
        "a sum that is no number": column(5, summaries(total=math.nan)),
        "a sum without end": column(5, summaries(total=math.inf)),
        "a low that is no number": column(5, summaries(low=math.nan)),
        "a high without end": column(5, summaries(high=math.inf)),
        "a low above the high": column(5, summaries(low=3.5)),
        "squares below nothing": column(5, summaries(squares=-1.0)),
        "fewer sums than counts": column(5, ints(5, 5) + b"\0" + ints(1)),
        "a tally of nothing": column(6, ints(5, 0) + ints(5, 0) + ints(0, 0)),
        "more true than there are": column(6, ints(5, 1) + ints(5, 2) + ints(0, 0)),
        "fewer true than none": column(6, ints(5, 1) + ints(5, -1) + ints(0, 0)),
        "a day and a second of true": column(6, ints(5, 1) + ints(5, 0) + ints(86_401, 0)),
        "a second before none": column(6, ints(5, 1) + ints(5, 0) + ints(-1, 0)),
        "a share of none": column(7, ints(2, 3) + field(b"onoff") + ints(7, 0)),
        "a share that is not UTF-8": column(7, ints(2, 1) + field(b"on\xff") + ints(7, 1)),
        "fewer shares than values": column(7, ints(2, 3) + field(b"onoff") + ints(7)),
        "a cell of another level": column(8, ints(CELL, 0x861FAA7AFFFFFFF) + ints(60, 60) + ints(1, 1)),
        "a cell with something after it": column(8, ints(CELL, CELL - 1) + ints(60, 60) + ints(1, 1)),
        "a cell below nothing": column(8, ints(CELL, -CELL) + ints(60, 60) + ints(1, 1)),
        "a stay of nothing": column(8, ints(CELL, CELL) + ints(60, 0) + ints(1, 0)),
        "a stay longer than its hour": column(8, ints(CELL, CELL) + ints(60, 3601) + ints(1, 1)),
        "a stay of fewer readings than none": column(8, ints(CELL, CELL) + ints(60, 60) + ints(1, -1)),
        "a bucket with a claimed time": column(6, ints(5, 1) + ints(5, 0) + ints(0, 0), claimed=ints(1) * 2),
    }.items():
        yield vector(name, of, "format", lane=lane, data=data)


def frame(data: bytes) -> bytes:
    """A zstd frame of one raw block (RFC 8878): the same bytes whatever the library."""
    return (
        b"\x28\xb5\x2f\xfd\xa0"
        + struct.pack("<I", len(data))
        + (len(data) << 3 | 1).to_bytes(3, "little")
        + data
    )


def bomb(size: int) -> bytes:
    """A zstd frame of repeated zeros, 128 KiB for each four bytes."""
    blocks, block = size >> 17, (1 << 17 << 3 | 2).to_bytes(3, "little") + b"\0"
    last = (1 << 3 | 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", (blocks << 17) + 1) + block * blocks + last


def chunks() -> Iterator[Vector]:
    """Chunks: each field of the header another, and what only the key's holder could do wrong."""
    values: tuple[Value, ...] = (0.4, 0.5, 0.5)
    readings = Sequenced(
        [4, 5, 9], [Observation("grid", "energy", 60_000 * i, v) for i, v in enumerate(values)]
    )
    plain, header = encode_columns(readings), ChunkHeader(HEADER, LANE, 4, 9, 3)

    def given(header: ChunkHeader, sealed: bytes) -> dict[str, Any]:
        numbers = [header.first_seq, header.last_seq, header.count]
        return {
            "key": K_LR,
            "header": header.segment.encode(),
            "lane": header.lane.encode(),
            "numbers": numbers,
            "resolution": header.resolution,
            "sealed": sealed,
        }

    def seal(content: bytes, aad: bytes = header.encode()) -> bytes:
        return aead_seal(K_LR, NONCE, content, aad)

    good, bare = seal(frame(plain)), header.encode()
    yield vector("one", "chunk", "ok", plain, **given(header, good))
    place = Sequenced([4], [Observation("grid", "energy", 0, Place(52.5, 13.25, 8.0), 99)])
    one = ChunkHeader(HEADER, LANE, 4, 4, 1)
    sealed = seal(frame(encode_columns(place)), one.encode())
    yield vector("a place with a claimed time", "chunk", "ok", encode_columns(place), **given(one, sealed))
    hours = Sequenced([4], [Observation("grid", "energy", 3_600_000, Tally(5, 4, 60))])
    hourly = change(one, resolution="hour")
    sealed = seal(frame(encode_columns(hours)), hourly.encode())
    yield vector("an hour", "chunk", "ok", encode_columns(hours), **given(hourly, sealed))
    early = Sequenced([4], [change(hours.observations[0], time=3_599_999)])
    for name, resolution, held in (
        ("readings in a chunk of hours", "hour", place),
        ("an hour in a raw chunk", "raw", hours),
        ("an hour in a chunk of days", "day", hours),
        ("an hour in a chunk of cells", "h3-7", hours),
        ("an hour that begins early", "hour", early),
        ("a chunk of minutes", "minute", hours),
    ):
        wrong_header = change(one, resolution=resolution)
        sealed = seal(frame(encode_columns(held)), wrong_header.encode())
        yield vector(name, "chunk", "format", **given(wrong_header, sealed))
    others: dict[str, ChunkHeader] = {
        f"segment's {name}": change(header, segment=change(HEADER, **{name: other}))
        for name, other in (("vault", OTHER_VAULT), ("segment", OTHER_SEGMENT), ("day", 0))
    }
    others |= {
        f"lane's {name}": change(header, lane=change(LANE, **{name: other}))
        for name, other in (
            ("device", ids.DeviceId(bytes(16))),
            ("channel", ""),
            ("kind", "power"),
            ("part", 3),
        )
    }
    others |= {
        name: change(header, **{name: other})
        for name, other in (("resolution", "hour"), ("first_seq", 3), ("last_seq", 10), ("count", 4))
    }
    for name, other in others.items():
        yield vector(f"another {name}", "chunk", "seal", **given(other, good))
    for name, aad in {
        "magic": b"HTX" + bare[3:],
        "version": bare[:3] + b"\2" + bare[4:],
        "suite": bare[:4] + b"\2" + bare[5:],
        "no header": b"",
    }.items():
        yield vector(
            f"sealed under another {name}", "chunk", "seal", **given(header, seal(frame(plain), aad))
        )
    lane_key = segment.lane_key(K, LANE)
    for name, key in {"the segment's key": K, "the lane's key": lane_key, "another key": OTHER_K}.items():
        yield vector(name, "chunk", "seal", **given(header, good) | {"key": key})
    for name, bad in {
        "altered": flip(good),
        "nonce altered": flip(good, 0),
        "cut": good[:-1],
        "empty": b"",
    }.items():
        yield vector(name, "chunk", "seal", **given(header, bad))
    yield vector("a key of 16 bytes", "chunk", "format", **given(header, good) | {"key": K_LR[:16]})
    for name, content in {
        "not zstd": plain,
        "a frame cut short": frame(plain)[:-1],
        "two frames": frame(plain) + frame(b""),
        "bytes after the frame": frame(plain) + b"\0",
        "larger than a chunk may be": bomb(PLAIN_MAX),
        "other readings": frame(encode_columns(place)),
    }.items():
        yield vector(name, "chunk", "format", **given(header, seal(content)))
    for name, wrong in {
        "first_seq": {"first_seq": 3},
        "last_seq": {"last_seq": 10},
        "count": {"count": 2},
    }.items():
        lying = change(header, **wrong)
        yield vector(
            f"a lie about {name}", "chunk", "format", **given(lying, seal(frame(plain), lying.encode()))
        )
    yield vector("a negative sequence", "chunk", "format", **given(change(header, first_seq=-1), good))
