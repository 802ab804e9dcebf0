"""Columns and chunks: what goes in comes out, a second reader agrees, and everything else is refused."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.vault_samples import BUCKETS, LANE, buckets, header_of, meter, readings, squeeze
from vault.chunk import (
    PLAIN_MAX,
    ChunkHeader,
    Sequenced,
    decode_columns,
    encode_columns,
    open_chunk,
    plain_size,
    seal_chunk,
)
from vault.errors import FormatError, SealError, VaultError
from vault.observation import Observation, Place, Share, Stay, Summary, Tally, Value
from vault.suite import aead_seal

KEY, NONCE = bytes(range(32)), bytes(12)
SUMMARY, STAY = Summary(5, 10.0, 1.0, 3.0, 22.0), Stay("871faa7a8ffffff", 60, 1)


def of(*values: Value) -> Sequenced:
    return Sequenced(
        range(1, len(values) + 1),
        [Observation("grid", "energy", 10 * i, value) for i, value in enumerate(values)],
    )


@given(readings())
@example(of(-0.0, 0.0, -0.0))
@example(of(1e22, 0.1, 5e-324, float("-inf")))
@example(of(Place(1.0, -0.0), Place(-90.0, 180.0, 0.0), Place(0.5, 0.25, None)))
@example(of("", "é", "\0"))
def test_what_is_sealed_comes_out_the_same(found: Sequenced) -> None:
    """``repr`` tells 0.0 from -0.0 and 1.0 from True."""
    opened = open_chunk(KEY, header_of(found), seal_chunk(KEY, header_of(found), found, NONCE))
    assert repr(list(opened.observations)) == repr(list(found.observations))
    assert list(opened.seqs) == list(found.seqs)


def test_not_a_number_stays_one() -> None:
    [found] = decode_columns(encode_columns(of(float("nan"))), LANE).observations
    assert found.value != found.value


@given(buckets())
def test_buckets_that_are_sealed_come_out_the_same(drawn: tuple[str, Sequenced]) -> None:
    resolution, found = drawn
    header = header_of(found, resolution=resolution)
    opened = open_chunk(KEY, header, seal_chunk(KEY, header, found, NONCE))
    assert repr(list(opened.observations)) == repr(list(found.observations))
    assert list(opened.seqs) == list(found.seqs)


@given(buckets(), st.sampled_from([*BUCKETS, "raw", "minute", ""]))
def test_buckets_are_sealed_at_their_own_resolution_and_readings_raw(
    drawn: tuple[str, Sequenced], resolution: str
) -> None:
    """A chunk made by whoever has the key is refused by the reader, too."""
    own, found = drawn
    header = header_of(found, resolution=resolution)
    if own == resolution or {own, resolution} == {"hour", "day"}:  # the times drawn begin days
        seal_chunk(KEY, header, found, NONCE)
        return
    with pytest.raises(FormatError):
        seal_chunk(KEY, header, found, NONCE)
    sealed = aead_seal(KEY, NONCE, squeeze(encode_columns(found)), header.encode())
    with pytest.raises(FormatError):
        open_chunk(KEY, header, sealed)


HOUR = 3_600_000


@pytest.mark.parametrize(
    ("resolution", "time"), [("hour", 1), ("hour", HOUR - 1), ("day", HOUR), ("day", -HOUR), ("h3-7", 1)]
)
def test_a_bucket_begins_where_buckets_of_its_size_do(resolution: str, time: int) -> None:
    value = STAY if resolution == "h3-7" else Tally(1, 1, 0)
    found = Sequenced([1], [Observation("grid", "energy", time, value)])
    with pytest.raises(FormatError, match="between"):
        seal_chunk(KEY, header_of(found, resolution=resolution), found, NONCE)
    aligned = Sequenced([1], [Observation("grid", "energy", time // (24 * HOUR) * 24 * HOUR, value)])
    assert seal_chunk(KEY, header_of(aligned, resolution=resolution), aligned, NONCE)


def test_readings_are_sealed_raw_and_at_no_other_resolution() -> None:
    found = meter(3)
    for resolution in BUCKETS:
        with pytest.raises(FormatError):
            seal_chunk(KEY, header_of(found, resolution=resolution), found, NONCE)


@given(st.one_of(readings(), buckets().map(lambda drawn: drawn[1])))
def test_the_size_of_columns_is_known_beforehand(found: Sequenced) -> None:
    assert len(encode_columns(found)) <= plain_size(found)


def second_reader(data: bytes) -> tuple[list[int], list[int], int, list[object], dict[int, int]]:
    """A decoder written from FORMAT.md alone: (seqs, times, type, values, claimed)."""

    def take(size: int) -> bytes:
        nonlocal data
        part, data = data[:size], data[size:]
        return part

    def planes(form: str) -> list[int]:
        raw = take(int.from_bytes(take(4), "big"))
        n = len(raw) // 8
        return [struct.unpack(form, bytes(raw[plane * n + i] for plane in range(8)))[0] for i in range(n)]

    def integers() -> list[int]:
        found, total = [], 0
        for step in planes("<Q"):
            total = (total + step) % 2**64
            found.append(total - 2**64 if total >= 2**63 else total)
        return found

    def numbers() -> list[float]:
        scale = take(1)[0]
        return [w / 10**scale for w in integers()] if scale != 255 else [float(x) for x in planes("<d")]

    def blobs() -> list[bytes]:
        sizes, _ = integers(), take(4)
        return [take(size) for size in sizes]

    count = int.from_bytes(take(4), "big")
    seqs, times, kind = integers(), integers(), take(1)[0]
    values: list[object]
    match kind:
        case 0:
            values = list(numbers())
        case 1:
            take(4)
            values = [flag == 1 for flag in take(count)]
        case 2:
            values = [blob.decode() for blob in blobs()]
        case 3:
            lats, lons, at = numbers(), numbers(), integers()
            accuracies = dict(zip(at, numbers(), strict=True))
            values = [
                Place(*where, accuracies.get(i)) for i, where in enumerate(zip(lats, lons, strict=True))
            ]
        case 4:
            values = list(blobs())
        case 5:
            columns = integers(), *(numbers() for _ in range(4))
            values = [Summary(*one) for one in zip(*columns, strict=True)]
        case 6:
            values = [Tally(*one) for one in zip(integers(), integers(), integers(), strict=True)]
        case 7:
            values = [Share(blob.decode(), n) for blob, n in zip(blobs(), integers(), strict=True)]
        case _:
            cells = [f"{cell:x}" for cell in integers()]
            values = [Stay(*one) for one in zip(cells, integers(), integers(), strict=True)]
    indices = integers()
    claimed = dict(zip(indices, integers(), strict=True))
    assert data == b""
    return seqs, times, kind, values, claimed


@given(st.one_of(readings(), buckets().map(lambda drawn: drawn[1])))
def test_a_reader_written_from_the_document_agrees(found: Sequenced) -> None:
    seqs, times, kind, values, claimed = second_reader(encode_columns(found))
    observations = found.observations
    assert seqs == list(found.seqs)
    assert times == [o.time for o in observations]
    assert repr(values) == repr([o.value for o in observations])
    assert claimed == {i: o.claimed for i, o in enumerate(observations) if o.claimed is not None}
    tags = [float, bool, str, Place, bytes, Summary, Tally, Share, Stay]
    assert kind == tags.index(type(values[0]))


@given(
    found=st.one_of(readings(), buckets().map(lambda drawn: drawn[1])),
    at=st.integers(0),
    change=st.integers(1, 255),
)
def test_damaged_columns_are_refused_or_are_other_readings_and_nothing_else_is_raised(
    found: Sequenced, at: int, change: int
) -> None:
    data = bytearray(encode_columns(found))
    data[at % len(data)] ^= change
    for damaged in (bytes(data), bytes(data[: at % len(data)])):
        try:
            opened = decode_columns(damaged, LANE)
        except FormatError:
            continue
        assert repr(decode_columns(encode_columns(opened), LANE)) == repr(opened)


@given(st.binary(max_size=200))
def test_noise_is_no_columns(noise: bytes) -> None:
    try:
        opened = decode_columns(noise, LANE)
    except FormatError:
        return
    assert repr(decode_columns(encode_columns(opened), LANE)) == repr(opened)


def change(bucket: Value, /, **fields: object) -> Value:
    """A bucket with other fields, of whatever type."""
    changed: Value = msgspec.structs.replace(bucket, **fields)  # type: ignore[type-var]  # a struct
    return changed


NAN, INF = float("nan"), float("inf")
IMPOSSIBLE: list[Value] = [
    change(SUMMARY, **{field: wrong})
    for field, wrongs in {
        "count": (0, -1, 1.0, True, 1 << 63),
        "sum": (NAN, INF, -INF, 1),
        "low": (NAN, -INF, 9.0, None),
        "high": (NAN, INF, 0.0),
        "squares": (NAN, INF, -1.0),
    }.items()
    for wrong in wrongs
]
IMPOSSIBLE += [Tally(0, 0, 0), Tally(-1, -1, 0), Tally(2, 3, 0), Tally(2, -1, 0), Tally(1, 1, 86_401)]
IMPOSSIBLE += [Tally(1, 1, -1), change(Tally(1, 1, 0), true=True), Share("on", 0), Share("on", -1)]
IMPOSSIBLE += [change(Share("on", 1), value=b"on")]
IMPOSSIBLE += [
    *(change(STAY, **{field: wrong}) for field, wrong in (("seconds", -1), ("seconds", 3601), ("count", -1))),
    Stay(STAY.cell, 0, 0),
    *(
        change(STAY, cell=cell)
        for cell in (
            STAY.cell.upper(), STAY.cell[:-1], STAY.cell + "f", "0" + STAY.cell, "", "stuttgart", 7,
            "861faa7a8ffffff", "8f1faa7a8ffffff", "871faa7a8fffffe", "851faa7a8ffffff", "-" + STAY.cell[1:],
        )
    ),
]  # fmt: skip

UNWRITABLE: dict[str, Callable[[], Sequenced]] = {
    "no readings": of,
    "two types": lambda: of(1.0, True),
    "an integer for a number": lambda: of(msgspec.convert(1, type=int)),
    "fewer numbers than readings": lambda: Sequenced([1], of(1.0, 2.0).observations),
    "a time beyond 64 bits": lambda: Sequenced([1], [Observation("", "", 1 << 63, 1.0)]),
    "half a character": lambda: of("\ud800"),
    "half a character in a share": lambda: of(Share("\ud800", 1)),
    "a bucket with a device's time": lambda: Sequenced([1], [Observation("", "", 0, Tally(1, 1, 0), 5)]),
    "two types of buckets": lambda: of(Tally(1, 1, 0), Share("on", 1)),
    "a bucket beside a reading": lambda: of(1.0, Summary(1, 1.0, 1.0, 1.0, 1.0)),
    **{f"a bucket that cannot be: {value!r}": functools.partial(of, value) for value in IMPOSSIBLE},
    "more than a chunk can be": lambda: of(*[bytes(1 << 25)] * 3),
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_what_cannot_be_read_back_is_not_written(name: str) -> None:
    with pytest.raises(FormatError):
        encode_columns(UNWRITABLE[name]())


def test_a_chunk_that_would_fill_the_memory_stops_at_the_limit() -> None:
    found = meter(3)
    bomb = squeeze(bytes(PLAIN_MAX + 1))
    assert len(bomb) < 10_000
    with pytest.raises(FormatError, match="size"):
        open_chunk(KEY, header_of(found), aead_seal(KEY, NONCE, bomb, header_of(found).encode()))


@pytest.mark.parametrize("tail", [b"\0", squeeze(b"more")])
def test_nothing_follows_the_frame(tail: bytes) -> None:
    found, packed = meter(3), squeeze(encode_columns(meter(3)))
    sealed = aead_seal(KEY, NONCE, packed + tail, header_of(found).encode())
    with pytest.raises(FormatError):
        open_chunk(KEY, header_of(found), sealed)


@pytest.mark.parametrize(
    "change", [{"first_seq": 2}, {"last_seq": 4}, {"count": 2}, {"count": 4}, {"first_seq": 0}], ids=str
)
def test_columns_that_are_not_those_of_the_header_are_refused(change: dict[str, int]) -> None:
    """Sealed by whoever has the key, so that only the columns can tell."""
    header = msgspec.structs.replace(header_of(meter(3)), **change)
    with pytest.raises(FormatError):
        open_chunk(KEY, header, seal_chunk(KEY, header, meter(3), NONCE))


@pytest.mark.parametrize(
    "change", [{"first_seq": -1}, {"last_seq": 1 << 64}, {"count": -1}, {"count": 1 << 32}], ids=str
)
def test_a_row_with_impossible_numbers_is_a_fault_and_not_a_crash(change: dict[str, int]) -> None:
    header = msgspec.structs.replace(header_of(meter(3)), **change)
    with pytest.raises(VaultError):
        open_chunk(KEY, header, bytes(100))


def test_a_chunk_opens_under_its_own_header_only() -> None:
    found = meter(3)
    header = header_of(found)
    sealed = seal_chunk(KEY, header, found, NONCE)
    others: list[ChunkHeader] = [
        msgspec.structs.replace(header, resolution="hour"),
        msgspec.structs.replace(header, first_seq=0),
        msgspec.structs.replace(header, lane=msgspec.structs.replace(LANE, part=1)),
        msgspec.structs.replace(header, segment=msgspec.structs.replace(header.segment, day=1)),
    ]
    for other in others:
        with pytest.raises(SealError):
            open_chunk(KEY, other, sealed)
