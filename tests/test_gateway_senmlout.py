"""Readings as brands get them."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.senmlout import Reading, decode, encode, escape, unescape
from policies.kinds import catalogue
from vault.errors import FormatError
from vault.ids import DeviceId
from vault.observation import Observation, Place, Share, Stay, Summary, Tally

A = DeviceId(bytes(range(16)))
B = DeviceId(bytes(range(16, 32)))
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")  # RFC 8428, section 4.5.1
T = 1_767_225_600_000


class Out(msgspec.Struct):
    """What a page of the store holds."""

    device: DeviceId
    observation: Observation
    resolution: str = "raw"


def pack(
    *readings: tuple[DeviceId, Observation] | tuple[DeviceId, Observation, str],
) -> list[dict[str, object]]:
    """What goes over the wire, as any JSON reader sees it."""
    plain: list[dict[str, object]] = json.loads(encode(Out(*reading) for reading in readings))
    return plain


def test_a_page_carries_the_device_once_and_then_only_when_it_changes() -> None:
    assert pack(
        (A, Observation("", "temperature", T, 20.5)),
        (A, Observation("living room", "temperature", T + 1500, 21.0)),
        (B, Observation("", "door", T, True)),
    ) == [
        {"bn": f"{A.text}/", "n": "temperature", "u": "Cel", "v": 20.5, "t": T // 1000},
        {"n": "living_20room/temperature", "u": "Cel", "v": 21.0, "t": T / 1000 + 1.5},
        {"bn": f"{B.text}/", "n": "door", "vb": True, "t": T // 1000},
    ]


def test_a_place_is_two_or_three_records_of_one_time() -> None:
    assert pack((A, Observation("phone", "location", T, Place(52.5, 13.4, 12.0)))) == [
        {"bn": f"{A.text}/", "n": "phone/location:latitude", "u": "lat", "v": 52.5, "t": T // 1000},
        {"n": "phone/location:longitude", "u": "lon", "v": 13.4, "t": T // 1000},
        {"n": "phone/location:accuracy", "u": "m", "v": 12.0, "t": T // 1000},
    ]
    assert len(pack((A, Observation("", "location", T, Place(52.5, 13.4))))) == 2


def test_a_bucket_is_its_figures_by_name_at_its_beginning() -> None:
    numbers, doors = Summary(5, 105.0, 20.0, 22.5, 2206.25), Tally(4, 3, 900)
    said, stay = Share("eco", 7), Stay("871f1d489ffffff", 3600, 12)
    assert pack(
        (A, Observation("", "temperature", T, numbers), "hour"),
        (A, Observation("a b", "door", T, doors), "day"),
        (A, Observation("", "hvac_mode", T, said), "hour"),
        (A, Observation("", "location", T, stay), "h3-7"),
    ) == [
        {"bn": f"{A.text}/", "n": "temperature:hour:count", "u": "count", "v": 5, "t": T // 1000},
        {"n": "temperature:hour:sum", "u": "Cel", "v": 105.0, "t": T // 1000},
        {"n": "temperature:hour:min", "u": "Cel", "v": 20.0, "t": T // 1000},
        {"n": "temperature:hour:max", "u": "Cel", "v": 22.5, "t": T // 1000},
        {"n": "temperature:hour:sumsq", "v": 2206.25, "t": T // 1000},
        {"n": "a_20b/door:day:count", "u": "count", "v": 4, "t": T // 1000},
        {"n": "a_20b/door:day:true", "u": "count", "v": 3, "t": T // 1000},
        {"n": "a_20b/door:day:seconds", "u": "s", "v": 900, "t": T // 1000},
        {"n": "hvac_mode:hour:value", "vs": "eco", "t": T // 1000},
        {"n": "hvac_mode:hour:count", "u": "count", "v": 7, "t": T // 1000},
        {"n": "location:h3-7:cell", "vs": "871f1d489ffffff", "t": T // 1000},
        {"n": "location:h3-7:seconds", "u": "s", "v": 3600, "t": T // 1000},
        {"n": "location:h3-7:count", "u": "count", "v": 12, "t": T // 1000},
    ]


def test_what_the_person_left_out_of_a_bucket_is_not_there() -> None:
    rounded = msgspec.structs.replace(Summary(5, 100.0, 19.0, 21.0, 2.0), low=None, squares=None)
    sent = encode([Out(A, Observation("", "temperature", T, rounded), "hour")])
    assert [record["n"].split(":")[-1] for record in json.loads(sent)] == ["count", "sum", "max"]
    assert decode(sent)[0].value == rounded


@pytest.mark.parametrize(("value", "resolution"), [(20.5, "hour"), (Summary(5, 1.0, 0.0, 1.0, 1.0), "raw")])
def test_a_bucket_never_goes_out_as_a_reading_nor_a_reading_as_a_bucket(
    value: float | Summary, resolution: str
) -> None:
    with pytest.raises(FormatError):
        encode([Out(A, Observation("", "temperature", T, value), resolution)])


def test_zero_false_and_the_empty_text_are_values() -> None:
    values: list[float | bool | str] = [0.0, False, ""]
    records = pack(*((A, Observation("", "x", T, value)) for value in values))
    assert [[record.get(key) for key in ("v", "vb", "vs")] for record in records] == [
        [0.0, None, None],
        [None, False, None],
        [None, None, ""],
    ]


def test_a_number_that_json_cannot_carry_goes_out_as_text() -> None:
    (record,) = pack((A, Observation("", "temperature", T, float("nan"))))
    assert record["vs"] == "nan"


def test_an_empty_page_is_an_empty_list() -> None:
    assert encode([]) == b"[]"
    assert decode(b"[]") == []


def test_a_quarantined_payload_never_goes_out() -> None:
    with pytest.raises(FormatError):
        encode([Out(A, Observation("", "_quarantine", T, b"secret"))])


channels = st.text(st.characters(codec="utf-8"), max_size=20)
times = st.integers(min_value=2**28 * 1000, max_value=4_102_444_800_000)  # SenML counts less as relative
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(
    numbers, st.booleans(), channels, st.builds(Place, numbers, numbers, st.one_of(st.none(), numbers))
)
observations = st.builds(Observation, channels, st.sampled_from(catalogue().names()), times, values)
counts = st.integers(min_value=0, max_value=2**50)
buckets = st.one_of(
    st.builds(Summary, counts, st.floats(allow_nan=False), numbers, numbers, st.floats(allow_nan=False)),
    st.builds(Tally, counts, counts, counts),
    st.builds(Share, channels, counts),
    st.builds(Stay, st.text("0123456789abcdef", min_size=15, max_size=15), counts, counts),
)
sealed = st.builds(Observation, channels, st.sampled_from(catalogue().names()), times, buckets)
pages = st.lists(
    st.one_of(
        st.builds(Out, st.sampled_from([A, B]), observations),
        st.builds(Out, st.sampled_from([A, B]), sealed, st.sampled_from(["hour", "day", "h3-7", "h3-5"])),
    ),
    max_size=12,
)


@given(pages)
def test_what_is_read_is_what_was_written(page: list[Out]) -> None:
    read = decode(encode(page))
    assert [(r.device, r.resolution, r.channel, r.kind, r.time, r.value, type(r.value)) for r in read] == [
        (
            out.device.text,
            out.resolution,
            out.observation.channel,
            out.observation.kind,
            out.observation.time,
            out.observation.value,
            type(out.observation.value),
        )
        for out in page
    ]


@given(pages)
def test_every_name_is_one_that_the_standard_allows(page: list[Out]) -> None:
    base = ""
    for record in json.loads(encode(page)):
        base = record.get("bn", base)
        assert NAME.fullmatch(base + record["n"])


@given(channels)
def test_a_channel_survives_escaping(channel: str) -> None:
    assert unescape(escape(channel)) == channel


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[1]",
        b'[{"n":"temperature","v":1,"t":1767225600}]',  # no base name
        b'[{"bn":"short/","n":"temperature","v":1,"t":1767225600}]',
        b'[{"bn":"%s/","n":"temperature","t":1767225600}]' % A.text.encode(),  # no value
        b'[{"bn":"%s/","n":"temperature","v":1,"vs":"a","t":1767225600}]' % A.text.encode(),
        b'[{"bn":"%s/","n":"location:latitude","v":1,"t":1767225600}]' % A.text.encode(),
        b'[{"bn":"%s/","n":"location:longitude","v":1,"t":1767225600}]' % A.text.encode(),
        b'[{"bn":"%s/","n":"a_2/temperature","v":1,"t":1767225600}]' % A.text.encode(),
        b'[{"bn":"%s/","n":"a_61/temperature","v":1,"t":1767225600}]' % A.text.encode(),  # needs no escape
        b'[{"bn":"%s/","n":"a_FF/temperature","v":1,"t":1767225600}]' % A.text.encode(),
        b'[{"bn":"%s/","n":"temperature:hour:count","v":5,"t":1767225600}]' % A.text.encode(),  # no sum
        b'[{"bn":"%s/","n":"temperature:hour:sum","v":5,"t":1767225600}]' % A.text.encode(),  # no count
        b'[{"bn":"%s/","n":"temperature:minute:count","v":5,"t":1767225600}]' % A.text.encode(),
        b'[{"bn":"%s/","n":"a:hour:value","v":5,"t":1767225600},{"n":"a:hour:count","v":1,"t":1767225600}]'
        % A.text.encode(),
        b'[{"bn":"%s/","n":"a:hour:count","v":1.5,"t":1767225600},{"n":"a:hour:true","v":1,"t":1767225600}]'
        % A.text.encode(),
        b'[{"bn":"%s/","n":"a:hour:count","v":1,"t":1767225600},{"n":"a:hour:true","v":1,"t":1767225601}]'
        % A.text.encode(),
    ],
)
def test_what_the_door_never_writes_is_not_read(document: bytes) -> None:
    with pytest.raises(FormatError):
        decode(document)


def test_the_two_halves_of_a_place_belong_to_one_moment() -> None:
    records = pack((A, Observation("", "location", T, Place(1.0, 2.0))))
    assert decode(json.dumps(records).encode()) == [Reading(A.text, "", "location", T, Place(1.0, 2.0))]
    records[1]["t"] = T // 1000 + 1
    with pytest.raises(FormatError):
        decode(json.dumps(records).encode())
