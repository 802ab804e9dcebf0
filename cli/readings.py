"""Readings as rows, lines and series: what ``data`` shows, follows and exports."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from typing import IO, Any

from cli.errors import NotFoundError
from cli.render import clock, count, escape, moment, sparkline, spread
from cli.text import json_text
from cli.times import rfc3339
from cli.values import label_of, plain, unit_of, words
from gateway.client.read import Reading
from policies.kinds import catalogue
from vault.ids import DeviceId

FIELDS = ("time", "device", "channel", "kind", "value", "unit", "lat", "lon", "accuracy", "claimed_time")

Key = tuple[DeviceId, str, str]  # device, channel, kind
Names = dict[DeviceId, str]


def find_kind(text: str) -> str:
    """The name of a kind that a person means; raises NotFoundError."""
    found = catalogue().find(text)
    if found is None:
        near = [name for name in catalogue().names() if text.casefold()[:4] in name]
        raise NotFoundError(
            "there is no such kind of reading",
            f"perhaps {' or '.join(near[:3])}" if near else "see which you have: hypertouch data show",
        )
    return found.name


def row_of(names: Names, reading: Reading) -> dict[str, Any]:
    """A reading as a line of an export."""
    seen = reading.observation
    row = {
        "time": rfc3339(seen.time),
        "device": names.get(reading.device, reading.device.text),
        "channel": seen.channel,
        "kind": seen.kind,
        "value": plain(seen.value),
        "unit": unit_of(seen.kind),
    }
    return row if seen.claimed is None else row | {"claimed_time": _claimed(seen.claimed)}


def _claimed(time_ms: int) -> str | int:
    """A device may claim a year that no calendar here has; then its number stays as it came."""
    try:
        return rfc3339(time_ms)
    except (ValueError, OverflowError, OSError):
        return time_ms


def by_series(readings: Iterable[Reading]) -> dict[Key, list[Reading]]:
    """Readings by device, channel and kind, in their order."""
    series: dict[Key, list[Reading]] = {}
    for reading in readings:
        seen = reading.observation
        series.setdefault((reading.device, seen.channel, seen.kind), []).append(reading)
    return series


def _numbers(readings: list[Reading]) -> list[float]:
    values = [reading.observation.value for reading in readings]
    return [value for value in values if isinstance(value, float) and math.isfinite(value)]


def summary(names: Names, key: Key, found: list[Reading], *, readings: bool) -> dict[str, Any]:
    """A series in figures, and reading by reading where that is wanted."""
    device, channel, kind = key
    values, last = _numbers(found), found[-1].observation
    row: dict[str, Any] = {
        "device": names.get(device, device.text),
        "channel": channel,
        "kind": kind,
        "unit": unit_of(kind),
        "count": len(found),
        "min": min(values, default=None),
        "mean": math.fsum(values) / len(values) if values else None,
        "max": max(values, default=None),
        "last": plain(last.value),
        "last_time": rfc3339(last.time),
    }
    if readings:
        row["readings"] = [_reading(reading) for reading in found]
    return row


def _reading(reading: Reading) -> dict[str, Any]:
    seen = reading.observation
    row = {"time": rfc3339(seen.time), "value": plain(seen.value)}
    return row if seen.claimed is None else row | {"claimed_time": _claimed(seen.claimed)}


def lines(names: Names, key: Key, found: list[Reading]) -> Iterator[str]:
    """The same for people."""
    device, channel, kind = key
    values, last, unit = _numbers(found), found[-1].observation, unit_of(kind)
    where = " ".join(filter(None, (names.get(device, device.text), channel)))
    yield f"{escape(label_of(kind))} of {escape(where)}: {count(len(found), 'reading')}"
    if values:
        yield f"  {sparkline(values)}"
        yield f"  {spread(values, words(0.0, unit).removeprefix('0').strip())}"
    yield f"  last {escape(words(last.value, unit))} at {moment(last.time)}"


def line(row: dict[str, Any], reading: Reading) -> str:
    """One reading for people."""
    seen = reading.observation
    where = " ".join(filter(None, (row["device"], row["channel"])))
    doubt = "  (its clock is wrong)" if seen.clock_suspect else ""
    value = escape(words(seen.value, row["unit"]))
    return f"{clock(seen.time)}  {escape(where)}  {escape(seen.kind)}  {value}{doubt}"


def write_lines(file: IO[str], rows: Iterable[dict[str, Any]]) -> int:
    """A JSON object a line; how many."""
    written = 0
    for row in rows:
        file.write(json_text(row) + "\n")
        written += 1
    return written


def write_csv(file: IO[str], rows: Iterable[dict[str, Any]]) -> int:
    """A header and a row a reading; a place has columns of its own. How many."""
    written = 0
    writer = csv.DictWriter(file, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    shown = file.isatty()  # a terminal must not be steered by a text; a file gets what came
    for row in rows:
        value = row["value"]
        flat = row | value | {"value": ""} if isinstance(value, dict) else row
        writer.writerow({name: escape(str(cell)) for name, cell in flat.items()} if shown else flat)
        written += 1
    return written
