"""Event time: reading what devices write, and the one rule for believing it."""

from __future__ import annotations

import datetime
import math

_DAY = 86_400_000  # ms
MAX_AGE = 400 * _DAY  # a device that was a year on a shelf still has a story
MAX_AHEAD = 5 * 60_000  # ms; more is a wrong clock, not a fast one

# A claimed time is kept as it is within the years 1 to 9999, else as the nearer end.
EARLIEST = -62_135_596_800_000  # 0001-01-01T00:00:00Z, ms
LATEST = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, ms

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)
_TEXT_MAX = 40  # characters; "2026-11-22T01:02:03.123456789+05:45" has 35


def event_time(device: int, arrival: int) -> tuple[int, int | None]:
    """Return (time, claimed) for a device's own time, all in ms.

    Within [arrival - 400 d, arrival + 5 min] the device is believed; outside, the reading is kept
    under its arrival with the device's time beside it.
    """
    if arrival - MAX_AGE <= device <= arrival + MAX_AHEAD:
        return device, None
    return arrival, min(max(device, EARLIEST), LATEST)


def from_seconds(seconds: float) -> int | None:
    """Seconds since the epoch in ms, to the nearest; None for NaN, clamped far outside the calendar."""
    if math.isnan(seconds):
        return None
    bounded = min(max(seconds * 1000, float(EARLIEST)), float(LATEST))
    return round(bounded)


def from_number(number: float) -> int | None:
    """A time in ms from seconds, milli-, micro- or nanoseconds since the epoch, told apart by size.

    No two readings of a number fall within the same century before the year 5138.
    """
    size = abs(number)
    if size < 1e11:
        return from_seconds(number)
    if size < 1e14:
        return round(number)
    # Integers are divided as integers: a float has no room for nanoseconds.
    divisor = 1_000 if size < 1e17 else 1_000_000
    if isinstance(number, int):
        return min(max(number // divisor, EARLIEST), LATEST)
    return from_seconds(number / divisor / 1000)


def from_text(text: str, zone: datetime.tzinfo) -> int | None:
    """A time in ms from RFC 3339, or from its form without an offset in ``zone``; None if it is neither."""
    if not 16 <= len(text) <= _TEXT_MAX or text[4] != "-" or text[7] != "-" or text[10] not in "Tt ":
        return None  # leaves out the week dates and bare dates that the library reads as well
    try:
        moment = datetime.datetime.fromisoformat(text.upper())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):  # OverflowError: an offset at either end of the calendar
        return None


def from_json(value: object, zone: datetime.tzinfo) -> int | None:
    """A time in ms from whatever a JSON field holds; None when it is not a time."""
    match value:
        case bool():
            return None
        case int() | float():
            return from_number(value)
        case str():
            return from_text(value, zone)
        case _:
            return None
