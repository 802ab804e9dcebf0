"""What may be asked in place of the data: one figure of one kind for each period.  Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from policies.iso8601 import DAY
from policies.kinds import Kind, ValueType
from vault.cell import LEVELS, is_cell
from vault.segment import RAW

Function: TypeAlias = Literal["mean", "min", "max", "sum", "count", "above", "below", "time_in", "dwell"]
Period: TypeAlias = Literal["day", "week", "month"]

FUNCTIONS: Final[tuple[Function, ...]] = get_args(Function)
PERIODS: Final[tuple[Period, ...]] = get_args(Period)
MOST_PERIODS: Final = 400  # in one answer
MOST_CELLS: Final = 64
FITTING: Final[dict[ValueType, tuple[Function, ...]]] = {
    "number": ("mean", "min", "max", "sum", "count", "above", "below"),
    "boolean": ("count", "time_in"),
    "text": ("count",),
    "place": ("count", "time_in", "dwell"),
    "event": ("count",),
}


class Question(msgspec.Struct, frozen=True):
    """What is asked; bounds are seconds, half-open, None where the grant's are meant."""

    kind: str
    function: Function
    period: Period
    since: int | None = None
    until: int | None = None
    threshold: float | None = None
    cells: tuple[str, ...] = ()


def misfit(question: Question, kind: Kind) -> str | None:
    """Why a question cannot be asked of its kind, in a sentence; None: it can."""
    fitting = FITTING[kind.type] if kind.resolutions != (RAW,) else ()
    if question.function not in fitting:
        known = f"only {', '.join(fitting)}" if fitting else "no function at all"
        return f"Of this kind there is {known}."
    if (question.function in ("above", "below")) != (question.threshold is not None):
        return "above and below have a threshold, and no other function has."
    zone = kind.type == "place" and question.function in ("time_in", "dwell")
    if not zone and question.cells:
        return "Only time_in and dwell of places have cells."
    if zone and not 1 <= len(question.cells) <= (1 if question.function == "dwell" else MOST_CELLS):
        return f"dwell has one cell, time_in of places 1 to {MOST_CELLS}."
    if not all(any(is_cell(cell, name) for name in LEVELS) for cell in question.cells):
        return f"A cell is an H3 index of a resolution among {', '.join(LEVELS)}."
    return None


def is_finer(question: Question, resolutions: Collection[str]) -> bool:
    """Whether a cell of the question is finer than what is given at one of these resolutions."""
    return "h3-5" in resolutions and any(is_cell(cell, "h3-7") for cell in question.cells)


def periods(period: Period, since: int, until: int, now_s: int) -> list[tuple[int, int]] | None:
    """The whole periods of UTC (weeks from Monday) within [since, until) that have begun; seconds.

    None: there are more than ``MOST_PERIODS``.
    """
    found: list[tuple[int, int]] = []
    begin = datetime.fromtimestamp(since // DAY * DAY, UTC)
    if period == "week":
        begin -= timedelta(days=begin.weekday())
    elif period == "month":
        begin = begin.replace(day=1)
    while begin.timestamp() < min(until, now_s + 1):
        end = _next(period, begin)
        if begin.timestamp() >= since and end.timestamp() <= until:
            if len(found) == MOST_PERIODS:
                return None
            found.append((int(begin.timestamp()), int(end.timestamp())))
        begin = end
    return found


def _next(period: Period, begin: datetime) -> datetime:
    match period:
        case "day":
            return begin + timedelta(days=1)
        case "week":
            return begin + timedelta(days=7)
        case "month":
            return (begin + timedelta(days=31)).replace(day=1)
