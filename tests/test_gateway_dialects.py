"""Every dialect against what real devices send, and against bad input."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import DialectSettings, Notebook, Reading, read
from gateway.dialects.decode import MAX_DEPTH, MAX_PAYLOAD, decode, shallow
from gateway.dialects.detect import detect
from gateway.dialects.message import Message
from gateway.dialects.reading import NAMES
from vault.observation import Observation, Place

NOW = 1_790_000_000_000  # 2026-09-21, ms
VECTORS = pathlib.Path(__file__).parent / "vectors"
DEVICES: list[dict[str, Any]] = [
    json.loads(line) for line in (VECTORS / "devices.jsonl").read_text("utf-8").splitlines()
]


def expected_observation(fields: dict[str, Any]) -> Observation:
    value = fields["value"]
    return Observation(
        channel=fields["channel"],
        kind=fields["kind"],
        time=fields["time"],
        value=Place(*value) if isinstance(value, list) else value,
        claimed=fields.get("claimed"),
    )


@pytest.mark.parametrize("case", DEVICES, ids=[case["source"][:60] for case in DEVICES])
def test_what_a_device_sends_is_read_as_written_down_by_hand(case: dict[str, Any]) -> None:
    found = read(
        case["topic"],
        case["payload"].encode(),
        case["arrival"],
        Notebook(DialectSettings(timezone=case["timezone"])),
    )
    assert found == Reading(
        dialect=case["dialect"],
        observations=tuple(map(expected_observation, case["observations"])),
        quarantine=case["quarantine"],
        dropped=case["dropped"],
    )


def test_every_dialect_has_devices_that_speak_it() -> None:
    of_their_own = {path.stem for path in (VECTORS / "devices").glob("*.jsonl")}
    assert {case["dialect"] for case in DEVICES} | of_their_own >= set(NAMES)


DETECTED: list[tuple[str, bytes, str]] = [
    ("zigbee2mqtt/living room/lamp", b"{}", "zigbee2mqtt"),
    ("zigbee2mqtt", b"{}", "plain"),
    ("owntracks/user/phone", b"{}", "owntracks"),
    ("my/phone", b' {"_type":"location"}', "owntracks"),
    ("tele/plug/SENSOR", b"{}", "tasmota"),
    ("home/plug/tele/STATE", b"{}", "tasmota"),
    ("stat/plug/POWER2", b"ON", "tasmota"),
    ("tele/plug/temperature", b"1", "plain"),
    ("plug/SENSOR", b"{}", "plain"),
    ("tele/xSENSOR", b"{}", "plain"),
    ("any/topic", b' [{"n":"t"}]', "senml"),
    ("any/topic", b"[", "senml"),
    ("any/topic", b"", "plain"),
    ("", b"21.5", "plain"),
]


@pytest.mark.parametrize(("topic", "payload", "dialect"), DETECTED)
def test_the_dialect_is_told_from_topic_and_payload(topic: str, payload: bytes, dialect: str) -> None:
    assert detect(topic, Message(payload)) == dialect


def test_the_dialect_can_be_set_for_a_device() -> None:
    found = read("kitchen", b'{"voltage":3025}', NOW, Notebook(DialectSettings(dialect="zigbee2mqtt")))
    assert found == Reading("zigbee2mqtt", (Observation("kitchen", "voltage", NOW, 3.025),), False, 0)


@pytest.mark.parametrize("zone", ["", "Nowhere/Land", "../etc/passwd", "Europe", "\0", "/etc/localtime"])
def test_a_time_zone_that_does_not_exist_is_refused_when_it_is_set(zone: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        DialectSettings(timezone=zone)


def test_a_dialect_that_does_not_exist_is_refused_when_it_is_set() -> None:
    with pytest.raises(ValueError, match="unknown dialect"):
        DialectSettings(dialect="klingon")


# --- bad input: quarantined whole, in every dialect -------------------------------------------------

TOPICS: dict[str, str] = {
    "owntracks": "owntracks/user/phone",
    "plain": "home/temperature",
    "senml": "any/topic",
    "tasmota": "tele/plug/SENSOR",
    "zigbee2mqtt": "zigbee2mqtt/hall/temperature",
}
NUMBER = {  # a payload a dialect understands, with a place for one number
    "owntracks": b'{"_type":"location","lat":%b,"lon":2,"tst":1790000000}',
    "plain": b'{"temperature":%b}',
    "senml": b'[{"n":"temperature","v":%b}]',
    "tasmota": b'{"DS18B20":{"Temperature":%b}}',
    "zigbee2mqtt": b'{"temperature":%b}',
}
NOT_READINGS = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e999": b"1e999",
    "an integer of 5000 digits": b"9" * 5000,
    "an integer of 400 digits": b"9" * 400,
    "2^63": b"9223372036854775808",
    "2^53, which a float confuses with its neighbour": b"9007199254740992",
    "arrays": b"[[1]]",
    "an empty field": b"",
    "a lone surrogate": b'"\\ud800"',
    "a raw lone surrogate": b'"\xed\xa0\x80"',
    "an overlong NUL": b'"\xc0\x80"',
    "not UTF-8": b'"\xff"',
    "a NUL": b'"\\u0000"',
    "a raw NUL": b'"\x00"',
    "1000 arrays within each other": b"[" * 1000 + b"1" + b"]" * 1000,
    "100000 arrays within each other": b"[" * 100_000 + b"1" + b"]" * 100_000,
}


@pytest.mark.parametrize("dialect", NUMBER)
@pytest.mark.parametrize("bad", NOT_READINGS.values(), ids=NOT_READINGS.keys())
def test_what_is_not_a_number_is_quarantined_whole(dialect: str, bad: bytes) -> None:
    found = read(TOPICS[dialect], NUMBER[dialect] % bad, NOW)
    assert found == Reading(dialect, (), True, 0)


@pytest.mark.parametrize("dialect", NUMBER)
def test_the_same_payload_with_a_number_is_understood(dialect: str) -> None:
    """The control for the test above: only the value is at fault there."""
    found = read(TOPICS[dialect], NUMBER[dialect] % b"21.5", NOW)
    assert (len(found.observations), found.quarantine, found.dropped) == (1, False, 0)


@pytest.mark.parametrize(
    "bad", [b"NaN", b"inf", b"-Infinity", b"1e999", b"0x10", b"1_000", b"\xff", b"2\x00"]
)
def test_a_bare_payload_that_is_not_a_number_is_quarantined(bad: bytes) -> None:
    for topic in ("home/temperature", "zigbee2mqtt/hall/temperature"):
        found = read(topic, bad, NOW)
        assert (found.observations, found.quarantine) == ((), True), bad


WHOLE = {
    "a byte-order mark": b'\xef\xbb\xbf{"temperature":21.5}',
    "UTF-16": '{"temperature":21.5}'.encode("utf-16"),
    "a key twice": b'{"temperature":21.5,"temperature":22}',
    "a key twice, written apart": b'{"temperature" :21.5,"temperature" :22}',
    "a key twice, one of them escaped": b'{"temperature":21.5,"\\u0074emperature":22}',
    "two documents": b'{"temperature":21.5}{}',
    "a trailing comma": b'{"temperature":21.5,}',
    "cut off": b'{"temperature":21.5',
    "a picture": bytes(range(256)),
    "null": b"null",
}


@pytest.mark.parametrize("payload", WHOLE.values(), ids=WHOLE.keys())
def test_what_is_not_json_is_quarantined_whole(payload: bytes) -> None:
    assert read("home/t1", payload, NOW) == Reading("plain", (), True, 0)


def test_a_payload_of_256_kib_is_read_and_one_byte_more_is_not() -> None:
    document = b'{"temperature":21.5}'
    full = document + b" " * (MAX_PAYLOAD - len(document))
    assert len(read("home/t1", full, NOW).observations) == 1
    assert read("home/t1", full + b" ", NOW) == Reading("plain", (), True, 0)


def test_a_topic_that_is_no_text_or_too_long_is_quarantined() -> None:
    for topic in ("home/\ud800", "h" * 1025, "home/" * 13_000):
        assert read(topic, b'{"temperature":21.5}', NOW) == Reading("plain", (), True, 0)


@pytest.mark.parametrize(
    ("topic", "fits"),
    [("a" * 255, True), ("a" * 256, False), ("é" * 127, True), ("é" * 128, False), ("😀" * 64, False)],
    ids=["255 bytes", "256 bytes", "254 bytes", "256 bytes in two", "256 bytes in four"],
)
def test_a_channel_has_at_most_255_bytes(topic: str, fits: bool) -> None:
    found = read(topic, b'{"temperature":21.5}', NOW)
    assert (len(found.observations), found.quarantine) == ((1, False) if fits else (0, True))


# --- depth -------------------------------------------------------------------------------------------


def nested(depth: int, brackets: str = "[]") -> bytes:
    opening, closing = (b"[", b"]") if brackets == "[]" else (b'{"a":', b"}")
    return opening * depth + b"1" + closing * depth


def test_32_levels_are_read_and_33_are_not() -> None:
    for brackets in ("[]", "{}"):
        assert decode(nested(MAX_DEPTH, brackets)) is not None
        assert decode(nested(MAX_DEPTH + 1, brackets)) is None


def test_brackets_in_strings_are_not_levels() -> None:
    assert decode(b'{"a":"' + b"[{" * 100 + b'"}') == {"a": "[{" * 100}
    assert decode(b'{"a":"\\"' + b"[" * 100 + b'"}') == {"a": '"' + "[" * 100}


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert decode(b"[" + b",".join([b"[]"] * 1000) + b"]") == [[]] * 1000


@pytest.mark.parametrize(
    "payload", [b"[" * 200_000, b'{"' + b'\\"' * 100_000, b'"' * 200_000, b"[]" * 100_000, b"{[" * 100_000]
)
def test_hostile_brackets_and_quotes_are_refused_without_being_built(payload: bytes) -> None:
    assert decode(payload) is None


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_depth_counted_in_bytes_is_depth_counted_in_objects(document: Any) -> None:
    def depth(value: Any) -> int:
        match value:
            case dict():
                return 1 + max(map(depth, value.values()), default=0)
            case list():
                return 1 + max(map(depth, value), default=0)
            case _:
                return 0

    below = MAX_DEPTH - depth(document)
    encoded = json.dumps(document, ensure_ascii=True).encode()
    filler = b",[]" * (MAX_DEPTH + 1)  # beyond the quick count, so that the exact one is tested
    assert shallow(b"[" * below + encoded + b"]" * below)
    assert not shallow(b"[" * (below + 1) + encoded + filler + b"]" * (below + 1))
