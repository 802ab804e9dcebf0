"""Moments and lengths of time, as people type them."""

from __future__ import annotations

from datetime import timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from cli.errors import UsageError
from cli.times import bound, midnight, moment, rfc3339, span

NOW = 1_795_305_600_123  # 2026-11-22T00:00:00.123Z
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("24h", 86_400),
        ("7d", 604_800),
        ("4w", 2_419_200),
        (" 2 D ", 172_800),
        ("0s", 0),
    ],
)
def test_lengths(text: str, seconds: int) -> None:
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "1y", "7 days", "9999999d", "١d"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        span(text)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("24h", "2026-11-21T00:00:00.123Z"),
        ("today", "2026-11-21T23:00:00.000Z"),  # midnight in Berlin, where it is one o'clock
        ("Yesterday", "2026-11-20T23:00:00.000Z"),
        ("2026-10-01", "2026-09-30T22:00:00.000Z"),  # summer time
        ("2026-11-01", "2026-10-31T23:00:00.000Z"),
        ("2026-11-01T12:00", "2026-11-01T11:00:00.000Z"),
        ("2026-11-01T12:00:00Z", "2026-11-01T12:00:00.000Z"),
        ("2026-11-01T12:00:00.250+05:30", "2026-11-01T06:30:00.250Z"),
        ("20261101", "2026-10-31T23:00:00.000Z"),
    ],
)
def test_moments(text: str, when: str) -> None:
    assert rfc3339(moment(text, NOW, BERLIN)) == when


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2026-02-30", "1969-12-31T00:00:00Z", "12:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        moment(text, NOW, BERLIN)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2027-01-31", 1_801_353_600),
        ("2027-01-31T00:00:00Z", 1_801_353_600),
        ("2027-01-31T00:00:00", 1_801_353_600),  # bounds are in UTC wherever the person is
        ("2027-01-31T01:00:00+01:00", 1_801_353_600),
    ],
)
def test_bounds_of_a_grant_are_in_utc(text: str, seconds: int) -> None:
    assert bound(text) == seconds


def test_midnight_follows_the_change_of_the_clock() -> None:
    """The night of 25 October 2026 has 25 hours in Berlin."""
    noon = moment("2026-10-25T12:00", NOW, BERLIN)
    assert noon - midnight(noon, 0, BERLIN) == 13 * 3_600_000
    east = timezone(timedelta(hours=14))
    assert midnight(NOW, 0, east) == NOW // 86_400_000 * 86_400_000 - 14 * 3_600_000
