"""Moments and lengths of time as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from cli.errors import UsageError

_SPAN = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LATEST_S = 253_402_300_799  # 9999-12-31T23:59:59Z


def span(text: str) -> int:
    """``90s``, ``30m``, ``24h``, ``7d`` or ``4w`` in seconds; raises UsageError."""
    found = _SPAN.fullmatch(text.strip().lower())
    if not found:
        raise UsageError("not a length of time", "write it like 30m, 24h, 7d or 4w")
    return int(found[1]) * _SECONDS[found[2]]


def moment(text: str, now_ms: int, zone: tzinfo | None = None) -> int:
    """A moment in milliseconds: so long ago, ``today``, ``yesterday``, a date, or RFC 3339.

    What names no zone is meant in ``zone``, or where this computer is.

    Raises:
        UsageError: none of these.
    """
    plain = text.strip().lower()
    if _SPAN.fullmatch(plain):
        return now_ms - span(plain) * 1000
    if plain in ("today", "yesterday"):
        return midnight(now_ms, 1 if plain == "yesterday" else 0, zone)
    return _parse(plain, zone)


def bound(text: str) -> int:
    """A bound of a grant in seconds: a date (its midnight in UTC) or RFC 3339, UTC where it names no zone."""
    return _parse(text.strip().lower(), UTC) // 1000


def midnight(now_ms: int, days_ago: int = 0, zone: tzinfo | None = None) -> int:
    """The beginning of today, or of a day before it, in milliseconds."""
    local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
    day = local.date() - timedelta(days=days_ago)
    start = datetime(day.year, day.month, day.day)
    start = start.astimezone() if zone is None else start.replace(tzinfo=zone)
    return int(start.timestamp()) * 1000


def rfc3339(time_ms: int) -> str:
    """``2026-11-22T07:00:05.120Z``."""
    whole, part = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{part:03d}Z"


def _parse(text: str, zone: tzinfo | None) -> int:
    try:
        found = datetime.fromisoformat(text.upper())
        if found.tzinfo is None:
            found = found.astimezone() if zone is None else found.replace(tzinfo=zone)
        seconds = found.timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            "not a moment", "write it like 24h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from None
    if not 0 <= seconds <= LATEST_S:
        raise UsageError("a moment is between 1970 and 9999", "check the year")
    return round(seconds * 1000)
