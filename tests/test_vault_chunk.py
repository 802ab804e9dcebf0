"""Columns and chunks: what goes in comes out, a second reader agrees, and everything else is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.vault_samples import LANE, header_of, meter, readings, squeeze
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
from vault.observation import Observation, Place, Value
from vault.suite import aead_seal

KEY, NONCE = bytes(range(32)), bytes(12)


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


@given(readings())
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
        case _:
            values = list(blobs())
    indices = integers()
    claimed = dict(zip(indices, integers(), strict=True))
    assert data == b""
    return seqs, times, kind, values, claimed


@given(readings())
def test_a_reader_written_from_the_document_agrees(found: Sequenced) -> None:
    seqs, times, kind, values, claimed = second_reader(encode_columns(found))
    observations = found.observations
    assert seqs == list(found.seqs)
    assert times == [o.time for o in observations]
    assert repr(values) == repr([o.value for o in observations])
    assert claimed == {i: o.claimed for i, o in enumerate(observations) if o.claimed is not None}
    assert kind == {float: 0, bool: 1, str: 2, Place: 3, bytes: 4}[type(values[0])]


@given(found=readings(), at=st.integers(0), change=st.integers(1, 255))
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
        decode_columns(noise, LANE)
    except FormatError:
        return


UNWRITABLE: dict[str, Callable[[], Sequenced]] = {
    "no readings": of,
    "two types": lambda: of(1.0, True),
    "an integer for a number": lambda: of(msgspec.convert(1, type=int)),
    "fewer numbers than readings": lambda: Sequenced([1], of(1.0, 2.0).observations),
    "a time beyond 64 bits": lambda: Sequenced([1], [Observation("", "", 1 << 63, 1.0)]),
    "half a character": lambda: of("\ud800"),
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
