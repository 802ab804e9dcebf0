"""How exactly something is given, in words: resolutions and limits, as cards and previews say them."""

from __future__ import annotations

from typing import Final

from cli.render import count, escape
from policies.minimise import Limit

EVERY: Final = "every reading"
DETAIL: Final = {  # what follows a kind
    "hour": "by the hour",
    "day": "by the day",
    "h3-7": "to about 1 km, by the hour",
    "h3-5": "to about 9 km, by the hour",
}


def detail_words(kinds: str, resolution: str) -> str:
    """``energy by the day``, ``every reading of energy``, ``location to about 9 km, by the hour``."""
    if resolution == "raw":
        return f"{EVERY} of {kinds}"
    return f"{kinds} {how_words(resolution)}"


def how_words(resolution: str) -> str:
    """``by the hour``, ``to about 9 km, by the hour``."""
    return DETAIL.get(resolution) or escape(resolution)


def limit_words(limit: Limit, unit: str) -> list[str]:
    """What a limit leaves, one by one: ``in steps of 0.5 °C``, ``once in 15 minutes``."""
    words = []
    if limit.round is not None:
        words.append(f"in steps of {escape(limit.round)} {escape(unit)}".rstrip())
    if limit.every is not None:
        words.append(f"once in {span_words(limit.every)}")
    if limit.hours is not None:
        since, until = (f"{at // 60:02}:{at % 60:02}" for at in limit.hours)
        words.append(f"only from {since} to {until} ({escape(limit.zone)})")
    if limit.fewest is not None:
        words.append(f"only where it is of {count(limit.fewest, 'reading')} or more")
    if limit.drop:
        words.append(f"without {', '.join(escape(field) for field in limit.drop)}")
    return words


def span_words(seconds: int) -> str:
    """``15 minutes``, ``1 hour``, ``90 minutes``: the largest unit it is a whole number of."""
    for length, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % length == 0:
            return count(seconds // length, unit)
    return count(seconds, "second")
