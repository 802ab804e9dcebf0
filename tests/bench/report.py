"""What a benchmark found: medians, ratios and targets, as a table for people and as JSON for programs.

The JSON is ``Report``; README.md of this directory names its keys.
"""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterator
from typing import Final

import msgspec

WIDTH: Final = 80
_LABEL, _CELL = 26, 18


class Series(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one side did, once a repeat; ``ratio`` compares its median with the first side's."""

    side: str
    samples: list[float]
    median: float
    ratio: float | None = None


class Row(msgspec.Struct, frozen=True):
    """One measurement, ours first and then whatever it is put beside."""

    name: str
    unit: str
    series: list[Series]

    def median(self, side: str = "") -> float | None:
        """A side's median, ours by default; None: that side is not there."""
        for one in self.series:
            if side in ("", one.side):
                return one.median
        return None


class Target(msgspec.Struct, frozen=True):
    """What was promised, and whether it is so; ``met`` is None where it could not be measured."""

    text: str
    value: float | None
    limit: float
    met: bool | None


class Section(msgspec.Struct, frozen=True):
    """One benchmark; ``left_out`` says which side could not be measured, and why."""

    name: str
    title: str
    rows: list[Row]
    targets: list[Target] = []
    notes: list[str] = []
    left_out: list[str] = []


class Report(msgspec.Struct, frozen=True):
    """A run."""

    version: str
    python: str
    machine: str
    cores: int
    load: float  # average of the minute before: what others do here lowers figures and bends ratios
    quick: bool
    seconds: float
    sections: list[Section]


def row(name: str, unit: str, ours: list[float], **others: list[float]) -> Row:
    """A row from samples; every ratio is ours divided by the other's."""
    median = statistics.median(ours)
    series = [Series("hypertouch", ours, median)]
    for side, samples in others.items():
        if samples:
            other = statistics.median(samples)
            series.append(Series(side, samples, other, median / other if other else None))
    return Row(name, unit, series)


def at_least(text: str, value: float | None, limit: float) -> Target:
    """A target that is met from ``limit`` upwards."""
    return Target(text, value, limit, None if value is None else value >= limit)


def at_most(text: str, value: float | None, limit: float) -> Target:
    """A target that is met up to ``limit``."""
    return Target(text, value, limit, None if value is None else value <= limit)


def ratio(found: Row, side: str) -> float | None:
    """Ours divided by that side; None: it was left out."""
    return next((one.ratio for one in found.series if one.side == side), None)


def render(section: Section) -> str:
    """A section for a terminal of 80 columns."""
    return "\n".join(_lines(section))


def _lines(section: Section) -> Iterator[str]:
    yield from textwrap.wrap(f"{section.name.upper()}  {section.title}", WIDTH, subsequent_indent="    ")
    sides = list(dict.fromkeys(one.side for found in section.rows for one in found.series))
    yield (" " * _LABEL + "".join(side.rjust(_CELL) for side in sides)).rstrip()
    for found in section.rows:
        cells = {one.side: _cell(one, found.unit) for one in found.series}
        label = f"  {found.name}"
        if len(label) > _LABEL:
            yield label
            label = ""
        yield (label.ljust(_LABEL) + "".join(cells.get(side, "").rjust(_CELL) for side in sides)).rstrip()
    for target in section.targets:
        value = "-" if target.value is None else number(target.value)
        verdict = {True: "met", False: "NOT MET", None: "not measured"}[target.met]
        yield f"  target: {target.text}".ljust(WIDTH - 26) + value.rjust(12) + verdict.rjust(14)
    for text in section.left_out:
        yield from textwrap.wrap(f"LEFT OUT: {text}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    for text in section.notes:
        yield from textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _cell(one: Series, unit: str) -> str:
    text = f"{number(one.median)} {unit}".rstrip()
    return f"{text} {one.ratio:.2f}x" if one.ratio is not None else text


def number(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.3g}" if value else "0"
