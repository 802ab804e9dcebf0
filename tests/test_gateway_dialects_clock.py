"""When a reading was, and when a device is not believed."""

from __future__ import annotations

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import DialectSettings, Notebook, read
from gateway.dialects.clock import EARLIEST, LATEST, event_time, from_json, from_number, from_text
from vault.observation import Observation

NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z, ms
DAY = 86_400_000
UTC = datetime.UTC
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

BOUNDS = {
    "now": (NOW, NOW, None),
    "five minutes ahead": (NOW + 300_000, NOW + 300_000, None),
    "a millisecond more": (NOW + 300_001, NOW, NOW + 300_001),
    "400 days back": (NOW - 400 * DAY, NOW - 400 * DAY, None),
    "a millisecond earlier": (NOW - 400 * DAY - 1, NOW, NOW - 400 * DAY - 1),
    "1970": (0, NOW, 0),
    "before 1970": (-1, NOW, -1),
    "2106, where 32 bits end": (2**32 * 1000, NOW, 2**32 * 1000),
    "the year 10000": (LATEST + 1, NOW, LATEST),
    "before the calendar": (EARLIEST - 1, NOW, EARLIEST),
}


@pytest.mark.parametrize(("device", "time", "claimed"), BOUNDS.values(), ids=BOUNDS.keys())
def test_a_device_is_believed_from_400_days_ago_to_five_minutes_ahead(
    device: int, time: int, claimed: int | None
) -> None:
    assert event_time(device, NOW) == (time, claimed)


@given(st.integers(), st.integers(0, LATEST))
def test_a_time_is_in_bounds_or_the_arrival(device: int, arrival: int) -> None:
    time, claimed = event_time(device, arrival)
    assert arrival - 400 * DAY <= time <= arrival + 300_000
    assert (claimed is None) == (time == device)
    assert claimed is None or EARLIEST <= claimed <= LATEST


NUMBERS = {
    "seconds": (1_790_000_000, NOW),
    "seconds with a fraction": (1_790_000_000.123, NOW + 123),
    "milliseconds": (1_790_000_000_123, NOW + 123),
    "microseconds": (1_790_000_000_123_456, NOW + 123),
    "nanoseconds": (1_790_000_000_123_456_789, NOW + 123),
    "minus one": (-1, -1000),
    "zero": (0, 0),
    "a float of nanoseconds": (1.79e18, NOW),
    "5000 digits": (10**4299, LATEST),
    "minus 5000 digits": (-(10**4299), EARLIEST),
    "the largest float": (1.7e308, LATEST),
}


@pytest.mark.parametrize(("number", "expected"), NUMBERS.values(), ids=NUMBERS.keys())
def test_the_unit_of_a_time_is_told_by_its_size(number: float, expected: int) -> None:
    assert from_number(number) == expected


TEXTS = {
    "UTC": ("2026-09-21T14:13:20Z", NOW),
    "lower case": ("2026-09-21t14:13:20z", NOW),
    "an offset": ("2026-09-21T16:13:20+02:00", NOW),
    "a fraction": ("2026-09-21T14:13:20.123456789Z", NOW + 123),
    "a space": ("2026-09-21 14:13:20Z", NOW),
    "no zone: the home's": ("2026-09-21T16:13:20", NOW),
    "no seconds": ("2026-09-21T14:13Z", NOW - 20_000),
    "the first of two hours at the end of summer": ("2025-10-26T02:30:00", 1_761_438_600_000),
    "the first day, east of Greenwich": ("0001-01-01T00:00:00+14:00", EARLIEST - 14 * 3_600_000),
    "a date": ("2026-09-21", None),
    "a week date": ("2026-W39-1T14:13:20", None),
    "a 13th month": ("2026-13-21T14:13:20Z", None),
    "a leap second": ("2016-12-31T23:59:60Z", None),
    "NaN": ("NaN", None),
    "words": ("yesterday at noon, I think, or later", None),
    "nothing": ("", None),
    "very long": ("2026-09-21T14:13:20." + "1" * 100_000, None),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS.keys())
def test_written_times(text: str, expected: int | None) -> None:
    assert from_text(text, BERLIN) == expected


@given(
    st.text(max_size=40)
    | st.from_regex(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d)?([+-]\d\d:\d\d|Z)?", fullmatch=True)
)
def test_any_text_is_a_time_or_not(text: str) -> None:
    assert isinstance(from_text(text, BERLIN), int | None)


@given(st.datetimes(min_value=datetime.datetime(1, 1, 2), max_value=datetime.datetime(9999, 12, 30)))
def test_what_python_writes_is_read_back_to_the_millisecond(moment: datetime.datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    expected = (aware - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // datetime.timedelta(milliseconds=1)
    assert from_text(aware.isoformat(), BERLIN) == expected


@pytest.mark.parametrize("value", [None, True, [], {}, "", "NaN"])
def test_what_is_no_time_is_none(value: object) -> None:
    assert from_json(value, UTC) is None


@pytest.mark.parametrize("field", ["time", "timestamp", "ts"])
def test_a_plain_object_may_say_when(field: str) -> None:
    found = read("t1", b'{"temperature":20,"%s":1789999990}' % field.encode(), NOW)
    assert found.observations == (Observation("t1", "temperature", NOW - 10_000, 20.0),)
    assert not found.quarantine


@pytest.mark.parametrize(
    "claimed", [b"0", b"-5", b"4294967296", b"1947680000"], ids=["1970", "1969", "2106", "+5 y"]
)
def test_a_wrong_clock_costs_no_reading(claimed: bytes) -> None:
    found = read("t1", b'{"temperature":20,"time":%s}' % claimed, NOW)
    assert found.observations == (Observation("t1", "temperature", NOW, 20.0, int(claimed) * 1000),)
    assert found.observations[0].clock_suspect


def test_a_time_that_cannot_be_read_keeps_the_reading_and_the_payload() -> None:
    found = read("t1", b'{"temperature":20,"time":"NaN"}', NOW)
    assert found.observations == (Observation("t1", "temperature", NOW, 20.0),)
    assert found.quarantine


def test_a_time_without_a_zone_is_in_the_device_s() -> None:
    payload = b'{"temperature":20,"time":"2026-09-21T16:13:20"}'
    found = read("t1", payload, NOW, Notebook(DialectSettings(timezone="Europe/Berlin")))
    assert found.observations[0].time == NOW
