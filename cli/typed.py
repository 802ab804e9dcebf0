"""What people type to say how much: details, steps, hours of the day, and words about one kind or all."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from cli.errors import UsageError
from cli.times import span
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.narrow import History
from policies.wishes import RESOLUTIONS_SUPPORTED

EVERY_KIND: Final = ""  # what stands for a kind where all of them are meant
SPOKEN: Final = {"every": "raw", "hourly": "hour", "daily": "day", "1km": "h3-7", "9km": "h3-5"}
_CLOCK = re.compile(r"([01]?\d|2[0-4])(?::([0-5]\d))?", re.ASCII)
_STEP = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)

Pairs = tuple[tuple[str, str], ...]  # kind, or EVERY_KIND, and what is said of it


def split(text: str) -> tuple[str, ...]:
    """The parts of a list with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_history(text: str) -> History:
    """``none``, ``all``, or whole days such as ``7d``; raises UsageError."""
    match text.strip().lower():
        case "none":
            return "none"
        case "all":
            return "all"
        case plain:
            return -(-span(plain) // DAY)


def parse_detail(text: str) -> str:
    """A resolution, or what people say for it; raises UsageError."""
    found = SPOKEN.get(text.lower(), text.lower())
    if found not in RESOLUTIONS_SUPPORTED:
        raise UsageError("there is no such detail", f"choose from: {', '.join(RESOLUTIONS_SUPPORTED)}")
    return found


def parse_step(text: str) -> str:
    """A decimal above nothing, such as 0.5; raises UsageError."""
    if not _STEP.fullmatch(text) or Decimal(text) == 0:
        raise UsageError("not a step to round to", "write it like 0.5 or temperature=0.5")
    return format(Decimal(text).normalize(), "f")  # 0.50 is 0.5: terms have one form


def parse_hours(text: str) -> tuple[int, int]:
    """``07-22`` or ``22:30-6`` in minutes of the day, which may run over midnight; raises UsageError."""
    since, dash, until = text.partition("-")
    first, last = _CLOCK.fullmatch(since.strip()), _CLOCK.fullmatch(until.strip())
    if dash and first and last:
        start, end = (int(found[1]) * 60 + int(found[2] or 0) for found in (first, last))
        if start != end and start < 1440 and end <= 1440:
            return start, end
    raise UsageError("not hours of a day", "write them like 07-22 or 22:30-06:00")


def parse_zone(text: str) -> str:
    """A time zone by its IANA name; raises UsageError."""
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError("there is no such time zone", "write it like Europe/Berlin") from None
    return text


def find_kind(text: str) -> str:
    """The name of a kind that a person means; raises UsageError."""
    found = catalogue().find(text.strip())
    if found is None:
        raise UsageError("there is no such kind of reading", "name one of those that they ask for")
    return found.name


def by_kind(texts: Sequence[str]) -> Pairs:
    """``kind=word``, or a word for every kind."""
    found = []
    for text in (part for given in texts for part in split(given)):
        kind, sign, word = text.rpartition("=")
        found.append((find_kind(kind) if sign else EVERY_KIND, word.strip()))
    return last_words(found)


def parse_stretch(text: str) -> int:
    """``15m`` in seconds, at most a day; raises UsageError."""
    seconds = span(text)
    if not 1 <= seconds <= DAY:
        raise UsageError("a stretch between readings is at most a day", "write it like 15m or 6h")
    return seconds


def last_words(pairs: Sequence[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    """The last word about each kind; a word about all of them takes back those before it."""
    words: dict[str, Any] = {}
    for kind, word in pairs:
        if kind == EVERY_KIND:
            words.clear()
        words[kind] = word
    return tuple(words.items())
