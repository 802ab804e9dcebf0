"""Moments and durations as requests write them.

A moment and a retention have one form each, so that text and meaning are one to one; a number of days and a
span of seconds may be written in several, and are written in one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

HOUR = 3600  # seconds
DAY = 24 * HOUR  # UTC days have no leap seconds here
MAX_DAYS = 3653  # ten years: nothing is asked, given, ruled or kept back for longer
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z; what is larger is milliseconds by mistake

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_COUNT = r"(0|[1-9][0-9]{0,3})"
_DURATION = re.compile(rf"P(?:{_COUNT}W|(?=[0-9])(?:{_COUNT}Y)?(?:{_COUNT}M)?(?:{_COUNT}D)?)")
_LONG = r"(0|[1-9][0-9]{0,7})"  # 366 days have 31,622,400 seconds
_SPAN = re.compile(rf"P(?=.)(?:{_LONG}D)?(?:T(?=[0-9])(?:{_LONG}H)?(?:{_LONG}M)?(?:{_LONG}S)?)?")


class Retention(NamedTuple):
    """A duration of whole years, months, weeks and days."""

    years: int
    months: int
    weeks: int
    days: int

    @property
    def at_most_days(self) -> int:
        """The longest it can last, in days: years of 366, months of 31."""
        return self.years * 366 + self.months * 31 + self.weeks * 7 + self.days


def parse_time(text: str) -> int:
    """Read ``2026-01-01T00:00:00Z`` (RFC 3339, UTC, whole seconds) as seconds since the Unix epoch.

    Raises:
        ValueError: another form, or no such moment; a leap second is none.
    """
    if not _MOMENT.fullmatch(text):
        raise ValueError("not RFC 3339 in UTC to the second")
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        raise ValueError("no moment of the calendar") from None


def format_time(seconds: int) -> str:
    """Write seconds since the Unix epoch (0 to the year 9999) as ``2026-01-01T00:00:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def parse_retention(text: str) -> Retention:
    """Read ``P90D``, ``P2W`` or ``P1Y6M`` (ISO 8601); counts up to 9999, without leading zeros.

    Raises:
        ValueError: another form; weeks stand alone.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError("not an ISO 8601 duration of days, weeks, months or years")
    weeks, years, months, days = (int(count or 0) for count in found.groups())
    return Retention(years, months, weeks, days)


def parse_days(text: str) -> int:
    """Read ``P30D`` or ``P2W`` as a number of days.

    Raises:
        ValueError: another form; months and years have no fixed number of days.
    """
    length = parse_retention(text)
    if length.years or length.months:
        raise ValueError("not of one length: months and years differ")
    return length.at_most_days


def parse_span(text: str) -> int:
    """Read ``PT15M`` or ``P1DT12H`` (ISO 8601) as seconds; days of 86,400, counts without leading zeros.

    Raises:
        ValueError: another form.
    """
    found = _SPAN.fullmatch(text)
    if not found:
        raise ValueError("not an ISO 8601 duration of days, hours, minutes and seconds")
    days, hours, minutes, seconds = (int(count or 0) for count in found.groups())
    return days * DAY + hours * HOUR + minutes * 60 + seconds


def format_span(seconds: int) -> str:
    """Write seconds, 0 or more, in the one form that carries: ``P1DT12H``; nothing is ``PT0S``."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    date = f"{day}D" if day else ""
    time = "".join(f"{count}{unit}" for count, unit in ((hour, "H"), (minute, "M"), (second, "S")) if count)
    return f"P{date}T{time}" if time else f"P{date}" if date else "PT0S"
