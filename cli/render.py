"""From values to text: tables, sparklines, and numbers, times and lengths as people say them.

Nothing here prints but ``emit``, and nothing looks at a clock: ``now`` and the time zone are arguments. What
came from outside is escaped here; whoever prints such text without these functions must call ``escape``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from io import StringIO
from itertools import pairwise
from typing import Any

from cli.text import escape, json_text

WIDTH = 80  # columns: what fits every terminal
BARS = "▁▂▃▄▅▆▇█"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MINUTE, HOUR, DAY = 60, 3600, 86400  # seconds
_SPANS = ((365 * DAY, "year"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second"))
_ISO_DURATION = re.compile(
    r"P(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?"
    r"(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?",
    re.ASCII,
)
_ISO_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")


def emit(value: object, as_json: bool, text: str = "") -> None:
    """Write a command's answer to stdout: ``value`` as one line of JSON, or else ``text`` if there is any.

    ``value`` may hold msgspec structs and ids (written as their text); bytes become base64.
    """
    if as_json:
        import msgspec

        print(json_text(msgspec.to_builtins(value, enc_hook=_plain)))
    elif text:
        print(text)


def _plain(value: Any) -> object:
    from vault.ids import Id

    if isinstance(value, Id):
        return value.text
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")  # what msgspec expects of a hook


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Collection[str] = (),
    width: int = WIDTH,
) -> str:
    """A table without lines, at most ``width`` columns wide; long cells wrap. ``right`` names the columns of
    numbers."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for column in columns:
        grid.add_column(Text(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(escape(str(cell))) for cell in row))
    out = StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False, legacy_windows=False).print(grid)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Values as bars from the least to the greatest; more values than ``width`` are averaged in groups."""
    if len(values) > width:
        edges = [len(values) * place // width for place in range(width + 1)]
        values = [math.fsum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    if not values:
        return ""
    low, high = min(values), max(values)
    if low == high:
        return BARS[len(BARS) // 2] * len(values)
    top = len(BARS) - 1
    return "".join(BARS[round((value - low) / (high - low) * top)] for value in values)


def spread(values: Sequence[float], unit: str = "") -> str:
    """``min 19.2  mean 21.04  max 23.4 Cel`` of at least one value."""
    mean = math.fsum(values) / len(values)
    line = f"min {number(min(values))}  mean {number(mean)}  max {number(max(values))}"
    return f"{line} {escape(unit)}" if unit else line


def number(value: float) -> str:
    """At most six significant digits, thousands apart: ``0.412``, ``1,440``, ``1e-09``."""
    return f"{value:,.6g}"


def count(amount: int, noun: str, plural: str = "") -> str:
    """``1,440 readings``, ``1 reading``, ``no readings``."""
    if amount == 1:
        return f"1 {noun}"
    many = plural or f"{noun}s"
    return f"{amount:,} {many}" if amount else f"no {many}"


def size(octets: int) -> str:
    """``812 B``, ``1.4 MB``: powers of ten."""
    amount, unit = float(octets), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def duration(seconds: float) -> str:
    """The largest unit that fits and the whole number of it: ``3 days``, ``15 minutes``, ``0 seconds``."""
    whole = int(seconds)
    for length, name in _SPANS:
        if whole >= length:
            return count(whole // length, name)
    return "0 seconds"


def ago(time_ms: int, now_ms: int) -> str:
    """``just now``, ``5 minutes ago``, ``in 3 days``."""
    seconds = (now_ms - time_ms) / 1000
    if abs(seconds) < 1:
        return "just now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(-seconds)}"


def iso_duration(text: str) -> str:
    """``P90D`` as ``90 days``, ``P1Y6M`` as ``1 year 6 months``; anything else stays as it is."""
    found = _ISO_DURATION.fullmatch(text)
    if not found:
        return escape(text)
    parts = zip(found.groups(), _ISO_UNITS, strict=True)
    return " ".join(f"{int(n):,} {unit}" + "s" * (int(n) != 1) for n, unit in parts if n)


def date(seconds: int) -> str:
    """A bound of a grant in UTC: ``31 Jan 2027``, with the time of day where it is not midnight."""
    moment = datetime.fromtimestamp(seconds, UTC)
    day = f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"
    return day if seconds % DAY == 0 else f"{day} {_time_of_day(moment)} UTC"


def clock(time_ms: int, zone: tzinfo | None = None) -> str:
    """``07:00`` in ``zone``, or where this computer is."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone).strftime("%H:%M")


def moment(time_ms: int, zone: tzinfo | None = None) -> str:
    """``2026-11-22 07:00:05`` in ``zone``, or where this computer is."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def next_steps(*steps: tuple[str, str]) -> str:
    """What to do now: command lines, each with what it is for."""
    room = WIDTH - 9  # a command too long to share a line's width with its purpose sets no column
    longest = max((len(command) for command, why in steps if len(command) + len(why) <= room), default=0)
    lines = [f"{command:<{longest}}   {purpose}".rstrip() for command, purpose in steps]
    return "\n".join(("next  " if place == 0 else "      ") + line for place, line in enumerate(lines))


def columns(text: str) -> int:
    """How many columns ``text`` takes in a terminal."""
    from rich.cells import cell_len  # what tables are measured with, so that all agree

    return cell_len(text)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` columns, broken at spaces where there are any; at least one line."""
    lines, line = [], ""
    for word in text.split():
        if line and columns(line) + 1 + columns(word) <= width:
            line = f"{line} {word}"
            continue
        if line:
            lines.append(line)
        line = ""
        for char in word:  # a word wider than a line is broken
            if columns(line + char) > width:
                lines.append(line)
                line = ""
            line += char
    return [*lines, line]


def _time_of_day(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S" if moment.second else "%H:%M")


__all__ = [
    "WIDTH",
    "ago",
    "clock",
    "columns",
    "count",
    "date",
    "duration",
    "emit",
    "escape",
    "iso_duration",
    "moment",
    "next_steps",
    "number",
    "size",
    "sparkline",
    "spread",
    "table",
    "wrap",
]
