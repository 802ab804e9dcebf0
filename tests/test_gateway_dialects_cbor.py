"""SenML in CBOR: the standard's own bytes, the same packs as in JSON, and what a decoder must not do."""

from __future__ import annotations

import base64
import datetime
import json
import pathlib
import re
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import Reading, read
from gateway.dialects.cbor import LABELS, decode, is_pack
from gateway.dialects.decode import MAX_PAYLOAD
from vault.observation import Observation

SENML = pathlib.Path(__file__).parent / "vectors" / "senml"
NOW = 1_498_780_179_000
NUMBERS = {name: number for number, name in LABELS.items()}


def encode(pack: list[Any], **options: Any) -> bytes:
    """A pack of JSON in CBOR, its labels as numbers."""
    return cbor2.dumps(
        [{NUMBERS.get(name, name): value for name, value in record.items()} for record in pack], **options
    )


def test_the_standard_s_bytes_are_the_standard_s_json() -> None:
    sent = bytes.fromhex((SENML / "ex3.gen.cbor.hex").read_text("ascii"))
    pack = json.loads((SENML / "ex3.gen.json").read_text("utf-8"))
    pack[-1]["t"] = 0  # written out in the one form and not in the other
    assert decode(sent) == pack
    found = read("any/topic", sent, 1_276_020_080_000)
    assert found == read("any/topic", json.dumps(pack).encode(), 1_276_020_080_000)
    assert len(found.observations) == 7


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("indefinite", [False, True], ids=["of known length", "of any length"])
def test_the_standard_s_examples_say_in_cbor_what_they_say_in_json(number: int, indefinite: bool) -> None:
    text = (SENML / f"ex{number}.gen.json").read_bytes()
    sent = encode(json.loads(text), indefinite_containers=indefinite)
    found = read("any/topic", sent, NOW)
    assert found == read("any/topic", text, NOW)
    assert found.observations
    assert not found.quarantine


def test_labels_may_be_texts() -> None:
    assert decode(cbor2.dumps([{"n": "t", "u": "Cel", "v": 1}])) == [{"n": "t", "u": "Cel", "v": 1}]


TEMPERATURE = {0: "temperature", 2: 21.5}
READ = Reading("senml", (Observation("", "temperature", NOW, 21.5),), False, 0)
SAID: dict[str, tuple[bytes, Reading]] = {
    "a float of eight bytes": (cbor2.dumps([TEMPERATURE]), READ),
    "a float of two bytes": (cbor2.dumps([TEMPERATURE], canonical=True), READ),
    "a decimal fraction": (cbor2.dumps([{0: "temperature", 2: cbor2.CBORTag(4, [-1, 215])}]), READ),
    "a whole number": (
        cbor2.dumps([{0: "temperature", 2: -4}]),
        Reading("senml", (Observation("", "temperature", NOW, -4.0),), False, 0),
    ),
    "a truth": (
        cbor2.dumps([{0: "hall:motion", 4: True}]),
        Reading("senml", (Observation("hall", "motion", NOW, True),), False, 0),
    ),
    "a text": (
        cbor2.dumps([{0: "app:check_in", 3: "gym"}]),
        Reading("senml", (Observation("app", "check_in", NOW, "gym"),), False, 0),
    ),
    "data is not understood": (
        cbor2.dumps([TEMPERATURE, {0: "camera", 8: b"\xff\xfe"}]),
        Reading("senml", READ.observations, True, 0),
    ),
    "a label of the future": (
        cbor2.dumps([TEMPERATURE | {"colour": "red"}]),
        Reading("senml", READ.observations, True, 0),
    ),
}


@pytest.mark.parametrize(("sent", "expected"), SAID.values(), ids=SAID.keys())
def test_what_a_pack_says(sent: bytes, expected: Reading) -> None:
    assert read("any/topic", sent, NOW) == expected


def test_bytes_are_base64url_as_in_json() -> None:
    assert decode(encode([{"n": "x", "vd": b"\xff\xfe\xfd"}])) == [{"n": "x", "vd": "__79"}]
    assert base64.urlsafe_b64decode("__79") == b"\xff\xfe\xfd"


def tagged(tag: int, value: Any) -> bytes:
    return cbor2.dumps([{0: "temperature", 2: cbor2.CBORTag(tag, value)}])


def many(count: int, record: bytes) -> bytes:
    return b"\x9a" + count.to_bytes(4, "big") + record * count


REFUSED: dict[str, bytes] = {
    "nothing in it": cbor2.dumps([]),
    "a map": cbor2.dumps(TEMPERATURE),
    "a record that is no map": cbor2.dumps([1]),
    "a label twice": b"\x81\xa3\x00\x6btemperature\x02\x01\x02\x01",
    "a label twice, as a float": b"\x81\xa3\x00\x6btemperature\x02\x01\xf9\x40\x00\x01",
    "a label twice, as a text": cbor2.dumps([{**TEMPERATURE, "v": 1}]),
    "a number that is no label": cbor2.dumps([{**TEMPERATURE, 9: 1}]),
    "a label that is true": cbor2.dumps([{True: "Cel", 0: "temperature", 2: 21.5}]),
    "a label that is null": cbor2.dumps([{**TEMPERATURE, None: 1}]),
    "a label that is an array": cbor2.dumps([{**TEMPERATURE, (1, 2): 1}]),
    "NaN": cbor2.dumps([{0: "temperature", 2: float("nan")}]),
    "infinity": cbor2.dumps([{0: "temperature", 2: float("inf")}]),
    "a base value of NaN": cbor2.dumps([{-5: float("nan"), 0: "temperature", 2: 1}]),
    "a time that is infinite": cbor2.dumps([TEMPERATURE | {6: float("-inf")}]),
    "null": cbor2.dumps([{0: "temperature", 2: None}]),
    "undefined": cbor2.dumps([{0: "temperature", 2: cbor2.undefined}]),
    "a simple value": cbor2.dumps([{0: "temperature", 2: cbor2.CBORSimpleValue(99)}]),
    "a value that is an array": cbor2.dumps([{0: "temperature", 2: [1]}]),
    "a value that is a map": cbor2.dumps([{0: "temperature", 2: {}}]),
    "2^63": cbor2.dumps([{0: "temperature", 2: 2**63}]),
    "2^53, which a float confuses with its neighbour": cbor2.dumps([{0: "temperature", 2: 2**53}]),
    "an integer of 5000 digits": cbor2.dumps([{0: "temperature", 2: 10**5000}]),
    "an integer of half a megabit": tagged(2, b"\xff" * 65_000),
    "a negative one": tagged(3, b"\xff" * 65_000),
    "a decimal fraction beyond any float": tagged(4, [2**63 - 1, 3]),
    "a decimal fraction of floats": tagged(4, [1.0, 3.0]),
    "a decimal fraction of truths": tagged(4, [True, True]),
    "half a decimal fraction": tagged(4, [1]),
    "a decimal fraction that is a number": tagged(4, 1),
    "a decimal fraction of big integers": tagged(4, [0, 2**70]),
    "a big float": tagged(5, [2**63 - 1, 3]),
    "a fraction": tagged(30, [1, 2]),
    "a date": cbor2.dumps([{0: "temperature", 2: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)}]),
    "a time as text": tagged(0, "2026-01-01T00:00:00Z"),
    "a pattern": cbor2.dumps([{0: "temperature", 3: re.compile("(a+)+")}]),
    "a MIME message": tagged(36, "Subject: hello"),
    "a UUID": tagged(37, b"0" * 16),
    "an address": tagged(52, b"\x7f\x00\x00\x01"),
    "a set": cbor2.dumps([{0: "temperature", 2: {1}}]),
    "a tag nobody knows": tagged(2**40, 1),
    "a pack that says that it is CBOR": cbor2.dumps([cbor2.CBORTag(55_799, TEMPERATURE)]),
    "an array that holds itself": bytes.fromhex("81d81c81d81d00"),
    "a text by reference": bytes.fromhex("81d9010082616ed81900"),
    "bytes after it": cbor2.dumps([TEMPERATURE]) + b"\x00",
    "cut off": cbor2.dumps([TEMPERATURE])[:-1],
    "only its first byte": b"\x81",
    "an array without an end": b"\x9f\xa2\x00\x6btemperature\x02\x01",
    "an array of 2^64 records": b"\x9b" + b"\xff" * 8,
    "an array of 2^32 records": b"\x9a" + b"\xff" * 4,
    "a text of 2^63 bytes": b"\x81\xa1\x00\x7b" + b"\x7f" + b"\xff" * 7,
    "a map of 2^32 members": b"\x81\xba" + b"\xff" * 4,
    "a length that nobody may write": b"\x9c\x00",
    "an end where none is": b"\x81\xff",
    "a name with a NUL": cbor2.dumps([{0: "temperature\0", 2: 1}]),
    "an event with a NUL": cbor2.dumps([{0: "app:check_in", 3: "gym\0"}]),
    "a label with a NUL": cbor2.dumps([TEMPERATURE | {"a\0": 1}]),
    "a text that is not UTF-8": b"\x81\xa2\x00\x6cchannel:\xff\xff\xff\xff\x02\x01",
    "a lone surrogate": b"\x81\xa2\x00\x63\xed\xa0\x80\x02\x01",
    "a version that is a float": cbor2.dumps([{-1: 10.0, **TEMPERATURE}]),
    "a version that we do not know": cbor2.dumps([{-1: 11, **TEMPERATURE}]),
    "arrays within each other": b"\x81" * 100_000,
    "arrays without lengths within each other": b"\x9f" * 100_000,
    "maps within each other": b"\x81" + b"\xa1" * 100_000,
    "arrays as labels of maps within each other": b"\x81" + b"\xa1\x81" * 50_000,
    "tags within each other": b"\x81" + b"\xc6" * 100_000 + b"\x00",
    "tags that say that it is CBOR, within each other": b"\x81" + b"\xd9\xd9\xf7" * 80_000 + b"\x00",
    "one byte more than may be": many((MAX_PAYLOAD - 5) // 4 + 1, b"\xa1\x02\x18\x20"),
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_a_pack_is_quarantined_whole(sent: bytes) -> None:
    found = read("any/topic", sent, NOW)
    assert (found.observations, found.quarantine, found.dropped) == ((), True, 0)


def test_the_pack_without_a_fault_is_read() -> None:
    """The control for the table above."""
    assert read("any/topic", cbor2.dumps([{-1: 10, **TEMPERATURE}]), NOW) == READ


def test_arrays_as_labels_are_not_even_built_where_many_fit() -> None:
    """Their hashes are made to collide by anyone: 13,000 of them would take seconds to tell apart."""
    small = cbor2.dumps([{(1, number): 1 for number in range(100)}])
    large = cbor2.dumps([{(1, number): 1 for number in range(10_000)}])
    with pytest.raises(cbor2.CBORDecodeError, match="depth"):
        cbor2.loads(large, max_depth=2)
    assert decode(small) is None
    assert decode(large) is None


def test_a_long_pack_is_read() -> None:
    pack = [{"bn": "hall:", "n": "temperature", "v": 20}, *({"n": "humidity", "v": n} for n in range(100))]
    longer = pack * 100
    sent = encode(longer)
    assert 8 * 1024 < len(sent) <= MAX_PAYLOAD
    assert len(read("any/topic", sent, NOW).observations) == len(longer)


def test_a_pack_is_told_by_its_first_byte_which_no_text_has() -> None:
    assert is_pack(cbor2.dumps([TEMPERATURE]))
    for text in (b"", b"[]", b"{}", b"21.5", "°C".encode(), "😀".encode(), "\x80".encode()):
        assert not is_pack(text)


json_numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
records = st.dictionaries(
    st.sampled_from(sorted(NUMBERS)) | json_texts,
    json_numbers | json_texts | st.booleans(),
    max_size=6,
)


@given(st.lists(records, min_size=1, max_size=5), st.booleans())
def test_any_pack_reads_the_same_in_both_forms(pack: list[dict[str, Any]], canonical: bool) -> None:
    sent = encode(pack, canonical=canonical)
    assert decode(sent) == pack
    assert read("any/topic", sent, NOW) == read("any/topic", json.dumps(pack).encode(), NOW)


@given(st.binary(max_size=64), st.sampled_from([b"", b"\x81", b"\x81\xa1", b"\x81\xa2\x00\x61a\x02"]))
def test_any_bytes_are_a_pack_or_none(tail: bytes, head: bytes) -> None:
    pack = decode(head + tail)
    assert pack is None or all(isinstance(record, dict) for record in pack)
