"""Small pictures of letters: a line against steps, a bar an hour, a coarse map; 80 columns at most.

Pure: values in, lines out. A picture never says anything alone: whoever shows one says the same in a sentence
before it, for those who hear their terminal. ``Ink`` is what it is drawn with, so that a terminal without
block characters gets plain letters; there is no colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple

from cli.render import MONTHS, number
from vault.gathering import HOUR_MS

WIDTH: Final = 64  # columns of a chart, beside its labels
HEIGHT: Final = 7  # rows of it
LABEL: Final = 13  # columns before it
HOURS: Final = 24
MAP: Final = (34, 12)  # columns and rows of a map; two of them stand side by side
KM_PER_DEGREE: Final = 111.2  # of latitude
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Ink(NamedTuple):
    """The characters of a picture: a line within a row and across rows, a step low and high in its row."""

    line: str
    rise: str
    low: str
    high: str
    bars: str  # from the least to the greatest
    shades: str  # the first stands for nothing
    none: str  # an hour without anything


BLOCKS: Final = Ink("·", "│", "▄", "▀", "▁▂▃▄▅▆▇█", " ░▒▓█", "·")
LETTERS: Final = Ink(".", "|", "=", "=", "_.:-=+*#", " .:+#", " ")


def ink_for(encoding: str | None) -> Ink:
    """Blocks where ``encoding`` has them, else plain letters."""
    try:
        "".join(BLOCKS).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return LETTERS
    return BLOCKS


class Step(NamedTuple):
    """A value that stands for a stretch of time, in milliseconds, half-open."""

    start: int
    end: int
    value: float


def chart(
    asked: Sequence[tuple[int, float]], given: Sequence[Step], since: int, until: int, ink: Ink = BLOCKS
) -> list[str]:
    """A thin line of readings, with the steps that would be given in its place; no lines where there is none.

    Times are milliseconds; what lies outside [``since``, ``until``) is left out.
    """
    line = [(time, value) for time, value in asked if since <= time < until and math.isfinite(value)]
    steps = [one for one in given if one.start < until and one.end > since and math.isfinite(one.value)]
    values = [value for _, value in line] + [step.value for step in steps]
    if not values or until <= since:
        return []
    low, high = min(values), max(values)
    levels = 2 * HEIGHT - 1  # two in a row

    def level(value: float) -> int:
        return round((value - low) / (high - low) * levels) if high > low else levels // 2

    rows = [[" "] * WIDTH for _ in range(HEIGHT)]
    for column, (least, most) in _spans(line, since, until).items():
        top, bottom = (levels - level(most)) // 2, (levels - level(least)) // 2
        for row in range(top, bottom + 1):
            rows[row][column] = ink.line if top == bottom else ink.rise
    for column, value in _columns(steps, since, until).items():
        at = level(value)
        rows[(levels - at) // 2][column] = ink.high if at % 2 else ink.low
    labels = [number(high), *[""] * (HEIGHT - 2), number(low) if high > low else ""]
    return [f"{label:>{LABEL - 1}} {''.join(row)}".rstrip() for label, row in zip(labels, rows, strict=True)]


def _spans(line: Iterable[tuple[int, float]], since: int, until: int) -> dict[int, tuple[float, float]]:
    """The least and the greatest value in each column."""
    found: dict[int, tuple[float, float]] = {}
    for time, value in line:
        column = (time - since) * WIDTH // (until - since)
        least, most = found.get(column, (value, value))
        found[column] = (min(least, value), max(most, value))
    return found


def _columns(steps: Iterable[Step], since: int, until: int) -> dict[int, float]:
    """The step in the middle of each column; a step narrower than that marks the column it begins in."""
    found: dict[int, float] = {}
    middles = [since + (2 * column + 1) * (until - since) // (2 * WIDTH) for column in range(WIDTH)]
    for step in steps:
        under = [column for column, at in enumerate(middles) if step.start <= at < step.end]
        first = max(0, (step.start - since) * WIDTH // (until - since))
        for column in under or [first]:
            found[column] = step.value
    return found


def axis(since: int, until: int, zone: tzinfo | None = None) -> str:
    """The line under a chart: the days it begins and ends on."""
    left, right = day(since, zone), day(until - 1, zone)
    return " " * LABEL + left + " " * max(1, WIDTH - len(left) - len(right)) + right


def day(time_ms: int, zone: tzinfo | None = None) -> str:
    """``Mon 16 Nov`` in ``zone``, or where this computer is."""
    local = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
    return f"{DAYS[local.weekday()]} {local.day} {MONTHS[local.month - 1]}"


def bars(
    asked: Mapping[int, float], given: Sequence[Step], zone: tzinfo | None = None, ink: Ink = BLOCKS
) -> list[str]:
    """A row a day, a bar an hour: what was asked on the left, what would be given on the right.

    ``asked`` is by the beginning of an hour (ms). A step longer than an hour is spread over its hours.
    """
    right: dict[int, float] = {}
    for step in given:
        hours = max(1, (step.end - step.start) // HOUR_MS)
        for hour in range(hours):
            at = step.start + hour * HOUR_MS
            right[at] = right.get(at, 0.0) + step.value / hours
    days: dict[str, tuple[list[float], list[float]]] = {}
    for side, found in enumerate((asked, right)):
        for at in sorted({*asked, *right}):
            local = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)
            row = days.setdefault(day(at, zone), ([0.0] * HOURS, [0.0] * HOURS))
            row[side][local.hour] += found.get(at, 0.0)
    return [
        f"{name:<11}{_bar(left, _most(days, 0), ink)}   {_bar(row, _most(days, 1), ink)}".rstrip()
        for name, (left, row) in days.items()
    ]


def _most(days: Mapping[str, tuple[list[float], list[float]]], side: int) -> float:
    return max((value for sides in days.values() for value in sides[side]), default=0.0)


def _bar(values: Sequence[float], most: float, ink: Ink) -> str:
    top = len(ink.bars) - 1
    return "".join(ink.bars[round(value / most * top)] if value > 0 else ink.none for value in values)


class Window(NamedTuple):
    """A piece of the earth as rows and columns; a character is about twice as high as wide.

    ``lat`` and ``lon`` are its upper left corner in degrees, ``down`` and ``right`` degrees a character.
    """

    lat: float
    lon: float
    down: float
    right: float
    km: float  # that a character is wide

    def spot(self, lat: float, lon: float) -> tuple[int, int]:
        """The row and the column of a place; both may lie outside."""
        east = (lon - self.lon) % 360
        return math.floor((self.lat - lat) / self.down), math.floor(east / self.right)

    def centre(self, row: int, column: int) -> tuple[float, float]:
        """Latitude and longitude of the middle of a character."""
        lon = self.lon + (column + 0.5) * self.right
        return max(-90.0, min(90.0, self.lat - (row + 0.5) * self.down)), (lon + 180) % 360 - 180


def window(places: Sequence[tuple[float, float]], least_km: float) -> Window | None:
    """The window that shows all places (latitude, longitude), and is at least so wide; None without any."""
    if not places:
        return None
    columns, rows = MAP
    anchor = places[0][1]
    lats = [lat for lat, _ in places]
    easts = [(lon - anchor + 180) % 360 - 180 for _, lon in places]  # the date line is no gap
    lat, east = (min(lats) + max(lats)) / 2, (min(easts) + max(easts)) / 2
    narrow = max(0.05, math.cos(math.radians(lat))) * KM_PER_DEGREE  # km in a degree of longitude
    wide = (max(easts) - min(easts)) * narrow / (columns - 2)
    high = (max(lats) - min(lats)) * KM_PER_DEGREE / (rows - 2) / 2
    km = max(wide, high, least_km / columns)
    right, down = km / narrow, 2 * km / KM_PER_DEGREE
    return Window(lat + down * rows / 2, anchor + east - right * columns / 2, down, right, km)


def heat(weights: Mapping[tuple[int, int], float], ink: Ink = BLOCKS) -> list[str]:
    """A map: where a (row, column) weighs more, it is darker; what weighs anything shows."""
    columns, rows = MAP
    inside = {at: weight for at, weight in weights.items() if 0 <= at[0] < rows and 0 <= at[1] < columns}
    most = max(inside.values(), default=0.0)
    top = len(ink.shades) - 1

    def shade(weight: float) -> str:
        return ink.shades[max(1, round(weight / most * top))] if weight > 0 else ink.shades[0]

    return [
        "".join(shade(inside.get((row, column), 0.0)) for column in range(columns)) for row in range(rows)
    ]


def beside(left: Sequence[str], right: Sequence[str], gap: str = " | ") -> list[str]:
    """Two pictures of the same height side by side."""
    wide = max((len(line) for line in left), default=0)
    return [f"  {one:<{wide}}{gap}{two}".rstrip() for one, two in zip(left, right, strict=True)]
