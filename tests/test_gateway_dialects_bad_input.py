"""What may go wrong on the way, put into every product's own words, in every dialect.

The messages are those of the vectors: each is broken at one place, and nothing of it may be read.  That
they are read when they are whole is what the tests of the dialects show; ``NUMBERS`` holds only such.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.dialects import DialectSettings, Notebook, read
from gateway.dialects.decode import MAX_DEPTH, MAX_PAYLOAD, decode, shallow
from gateway.dialects.reading import NAMES
from policies.kinds import catalogue
from tests.dialect_shapes import CASES, Case
from tests.oracle import DAY, MAX_AGE, MAX_AHEAD, hold, whole

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?')
_A_CASE = 6  # numbers of one message that are tried

READ = [case for case in CASES if read(case.topic, case.payload, case.arrival, case.notebook()).observations]


def _measures(case: Case) -> bool:
    """Whether a message is of numbers and places only: texts may say "NaN"."""
    found = read(case.topic, case.payload, case.arrival, case.notebook())
    kinds = {catalogue().kind(one.kind).type for one in found.observations}
    return bool(kinds) and kinds <= {"number", "place"}


def _places(payload: bytes) -> list[tuple[int, int]]:
    """Where the numbers of a JSON payload stand."""
    return [match.span() for match in _TOKEN.finditer(payload) if not match[0].startswith(b'"')]


def _with(payload: bytes, place: tuple[int, int], token: bytes) -> bytes:
    return payload[: place[0]] + token + payload[place[1] :]


# By dialect, since a dialect that has none would be tested by nothing.
NUMBERS = {
    name: [
        case
        for case in READ
        if case.dialect == name and case.document is not None and _places(case.payload) and _measures(case)
    ]
    for name in NAMES
}


def _broken(name: str, token: bytes) -> Iterator[tuple[Case, bytes]]:
    for case in NUMBERS[name]:
        for place in _places(case.payload)[:_A_CASE]:
            yield case, _with(case.payload, place, token)


def quarantined(case: Case, payload: bytes) -> bool:
    """Whether nothing at all is read of a payload on a message's topic, and nothing of it is lost.

    Of a sensor that may be the neighbours', only what is surely the person's own is kept.
    """
    found = hold(case.topic, payload, case.arrival, case.notebook())
    return whole(found) or (bool(case.settings.own and found.foreign) and not found.observations)


WITHOUT_NUMBERS = {"home-assistant"}  # it declares; what it declares is read by the rules it teaches


def test_every_dialect_has_messages_to_break() -> None:
    assert {name for name in NAMES if not NUMBERS[name]} <= WITHOUT_NUMBERS
    assert sum(map(len, NUMBERS.values())) >= 50


NOT_JSON: dict[str, bytes] = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e999": b"1e999",
    "-1e999": b"-1e999",
    "hexadecimal": b"0x10",
    "underscores": b"1_000",
    "no digit before the point": b".5",
    "a text that is not UTF-8": b'"\xff"',
    "an overlong NUL": b'"\xc0\x80"',
    "a lone surrogate": b'"\\ud800"',
    "a raw lone surrogate": b'"\xed\xa0\x80"',
    "a NUL": b'"\\u0000"',
    "a raw NUL": b'"\x00"',
    "a raw line break": b'"\n"',
    "1000 arrays within each other": b"[" * 1000 + b"1" + b"]" * 1000,
    "100000 arrays within each other": b"[" * 100_000 + b"1" + b"]" * 100_000,
    "1000 objects within each other": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "33 arrays within each other": b"[" * (MAX_DEPTH + 1) + b"1" + b"]" * (MAX_DEPTH + 1),
}
NOT_IN_JSON = {  # and which a bare word may be
    "a zero in front": b"007",
    "a sign in front": b"+1",
    "nothing": b"",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("token", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_one_broken_value_puts_all_of_a_message_in_quarantine(name: str, token: bytes) -> None:
    """ACCEPTANCE.md B1 to B3."""
    passed = [
        (case.source, payload) for case, payload in _broken(name, token) if not quarantined(case, payload)
    ]
    assert passed == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("token", NOT_IN_JSON.values(), ids=NOT_IN_JSON.keys())
def test_a_number_that_json_does_not_know_puts_all_of_a_document_in_quarantine(
    name: str, token: bytes
) -> None:
    broken = ((case, payload) for case, payload in _broken(name, token) if payload[:1] in (b"{", b"["))
    assert [case.source for case, payload in broken if not quarantined(case, payload)] == []


HUGE: dict[str, bytes] = {
    "2^53": b"9007199254740992",
    "2^63": b"9223372036854775808",
    "-2^63-1": b"-9223372036854775809",
    "400 digits": b"9" * 400,
    "5000 digits": b"9" * 5000,
    "1e300": b"1e300",
    "-1e300": b"-1e300",
    "5e-324": b"5e-324",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("token", HUGE.values(), ids=HUGE.keys())
def test_a_number_that_is_too_large_is_no_reading_and_no_time(name: str, token: bytes) -> None:
    """ACCEPTANCE.md B5: ``hold`` checks that values are within their kinds, and times within bounds."""
    for case, payload in _broken(name, token):
        hold(case.topic, payload, case.arrival, case.notebook())


BYTES: dict[str, bytes] = {
    "a byte-order mark": b"\xef\xbb\xbf%b",
    "a second document": b"%b{}",
    "a NUL after it": b"%b\x00",
    "a NUL before it": b"\x00%b",
    "a byte that is no text": b"\xff%b",
    "an end that is cut off": b"%.*b",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", BYTES.values(), ids=BYTES.keys())
def test_one_byte_too_many_puts_all_of_a_message_in_quarantine(name: str, how: bytes) -> None:
    for case in NUMBERS[name]:
        if case.payload[:1] not in (b"{", b"["):
            continue  # "21." is a number to nobody, "2" is one
        payload = case.payload[:-1] if b"*" in how else how % case.payload
        assert quarantined(case, payload), case.source


@pytest.mark.parametrize("name", NAMES)
def test_a_member_that_comes_twice_puts_all_of_a_message_in_quarantine(name: str) -> None:
    for case in NUMBERS[name]:
        if isinstance(case.document, dict):
            first = json.dumps(next(iter(case.document))).encode()
            payload = b"{" + first + b":1," + case.payload.lstrip()[1:]
            assert quarantined(case, payload), case.source


@pytest.mark.parametrize("name", NAMES)
def test_another_encoding_puts_all_of_a_message_in_quarantine(name: str) -> None:
    for case in NUMBERS[name]:
        for encoding in ("utf-16", "utf-16-be", "utf-32"):
            assert quarantined(case, case.payload.decode().encode(encoding)), case.source


@pytest.mark.parametrize("name", NAMES)
def test_a_payload_of_256_kib_is_read_and_one_byte_more_is_not(name: str) -> None:
    """ACCEPTANCE.md B6, behind the codec's own limit."""
    for case in NUMBERS[name]:
        if case.payload[:1] not in (b"{", b"["):
            continue  # a bare word has at most 4 KiB
        full = case.payload + b" " * (MAX_PAYLOAD - len(case.payload))
        expected = read(case.topic, case.payload, case.arrival, case.notebook())
        found = read(case.topic, full, case.arrival, case.notebook())
        assert found.observations == expected.observations, case.source
        assert quarantined(case, full + b" "), case.source


@pytest.mark.parametrize("name", NAMES)
def test_payloads_of_no_byte_and_of_one_are_read_without_an_exception(name: str) -> None:
    topics = {case.topic for case in CASES if case.dialect == name}
    for topic in topics:
        for payload in (b"", *(bytes((byte,)) for byte in range(256))):
            hold(topic, payload, 1_790_000_000_000, Notebook(DialectSettings(dialect=name)))


def test_brackets_in_a_text_are_not_levels_wherever_the_text_ends() -> None:
    """What is too deep is looked for in the beginning first; a text may begin there and end later."""
    for before in range(4080, 4100):
        for text in ("[" * 100, '\\"' + "[" * 100, "x" * 20 + "[" * 5000):
            payload = b'{"a":"' + b"x" * before + text.encode() + b'","temperature":21.5}'
            assert shallow(payload)
            assert decode(payload) is not None
        deep = b'{"a":"' + b"x" * before + b'","b":' + b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH + b"}"
        assert not shallow(deep)


# --- time --------------------------------------------------------------------------------------------

ARRIVALS = {
    "1970": 0,
    "a year and a half later": 550 * DAY,
    "two days before": -2 * DAY,
    "five years before": -5 * 365 * DAY,
    "2106": 4_294_967_296_000,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("when", ARRIVALS)
def test_a_time_that_is_out_of_bounds_is_kept_beside_the_arrival(name: str, when: str) -> None:
    """ACCEPTANCE.md B10: none lost, none in a wrong day; the device's own time is preserved."""
    for case in READ:
        if case.dialect != name:
            continue
        expected = read(case.topic, case.payload, case.arrival, case.notebook()).observations
        arrival = ARRIVALS[when] if when in ("1970", "2106") else case.arrival + ARRIVALS[when]
        found = hold(case.topic, case.payload, arrival, case.notebook()).observations
        assert len(found) == len(expected), case.source
        for before, after in zip(expected, found, strict=True):
            own = before.time if before.claimed is None else before.claimed
            if arrival - MAX_AGE <= own <= arrival + MAX_AHEAD and before.time != case.arrival:
                assert (after.time, after.claimed) == (own, None), case.source
            else:
                assert after.time == arrival, case.source
                assert after.claimed in ((None, own) if own == case.arrival else (own,)), case.source


# --- topics ------------------------------------------------------------------------------------------

HOSTILE_TOPICS = {
    "wildcards": "+/#",
    "the broker's own": "$SYS/broker/uptime",
    "shared": "$share/group/x",
    "a path": "../../v2/../etc/passwd",
    "nothing": "",
    "slashes": "/" * 300,
    "levels": "a/" * 200,
    "long": "a" * 65_535,
    "a NUL": "home/\0/temperature",
    "line breaks": "home/\r\n/temperature",
    "an escape": "home/\x1b]0;owned\x07/temperature",
    "right to left": "home/\u202eerutarepmet",
    "look-alikes": "tеle/plug/SЕNSOR",  # with Cyrillic letters
    "a lone surrogate": "home/\ud800/temperature",
    "braces": "{device...}/{=path}/{@fact}/{{}}",
    "quotes": '"a".b[0]/\'; DROP TABLE x; --',
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("topic", HOSTILE_TOPICS.values(), ids=HOSTILE_TOPICS.keys())
def test_a_topic_is_only_a_name(
    name: str, topic: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """ACCEPTANCE.md B7 and B12: no dialect trips over one, and none tells of it in a log."""
    caplog.set_level(logging.DEBUG)
    cases = [case for case in CASES if case.dialect == name]
    for case in cases[:20]:
        for levels in (topic, f"{case.topic}/{topic}", f"{topic}/{case.topic}"):
            hold(levels, case.payload, case.arrival, Notebook(DialectSettings(dialect=name)))
            hold(levels, case.payload, case.arrival, case.notebook())
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_no_dialect_opens_what_a_topic_or_a_payload_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for case in CASES:
        hold(f"../{tmp_path}/{case.topic}", case.payload, case.arrival, case.notebook())
        hold(case.topic, f"file://{tmp_path}/x".encode(), case.arrival, case.notebook())
    assert list(tmp_path.iterdir()) == []


# --- what is other people's --------------------------------------------------------------------------

FRIGATE = [case for case in CASES if case.topic.startswith("frigate/")]


def test_names_and_plates_of_others_are_never_readings() -> None:
    """A camera's events say who was seen: in quarantine, sealed, and in no dialect a reading."""
    events = [case for case in FRIGATE if b"sub_label" in case.payload]
    assert events
    for case in events:
        assert quarantined(case, case.payload)
        for name in NAMES:
            found = hold(case.topic, case.payload, case.arrival, Notebook(DialectSettings(dialect=name)))
            told = repr([(one.channel, one.value) for one in found.observations])
            assert "John" not in told
            assert "front_door" not in told
            assert found.quarantine or not found.observations
