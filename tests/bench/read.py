"""A brand reads all it was given, beside the same API over rows in plain text."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.client.http import Http
from tests.bench import plain
from tests.bench.history import PER_DAY, Series
from tests.bench.ingest import MEMORY_MIB
from tests.bench.report import Section, at_most, row
from tests.bench.rig import Child
from tests.bench.sizes import Size
from tests.bench.table import Row, fill
from tests.bench.year import Home, Reader, Written

KIND: Final = "temperature"
_TOKEN: Final = "as good as any on loopback"


def measure(size: Size, home: Home, directory: Path) -> Section:
    """Read everything from both in turn."""
    written, server = home.written, home.server
    granted = home.acme.granted(written.household, written.device, [KIND], written.since, Http(server.url))
    fill(directory / "plain.db", _rows(written))
    ours: list[float] = []
    theirs: list[float] = []
    with Child("tests.bench.plain", plain.Plain(str(directory / "plain.db"), _TOKEN)) as other:
        for _ in range(size.repeats):
            ours.append(_rate(server.http_port, granted.access_token, written.days * PER_DAY))
            theirs.append(_rate(other.port("port"), _TOKEN, written.days * PER_DAY))
    peak = server.peak()
    rates = row("readings a second", "/s", ours, plaintext=theirs)
    return Section(
        name="read",
        title=f"{written.days * PER_DAY:,} readings of one kind under a grant, over HTTP, 1,000 a page",
        rows=[rates, row("node and door, most", "MiB", [peak])],
        targets=[at_most("memory of node and door <= 200 MiB", peak, MEMORY_MIB)],
        notes=[
            f"All of it takes {written.days * PER_DAY / statistics.median(ours):.1f} s.",
            "hypertouch: every page opens the grant's key, is decided twice, and is in the person's ledger,"
            " on the disk, before its first byte leaves.",
            "plaintext: the same framework, server settings, pages and SenML; rows of one SQLite table.",
        ],
    )


def _rate(port: int, token: str, expected: int) -> float:
    reader = Reader(port, token)
    begun = time.perf_counter()
    found = reader.everything(KIND)
    seconds = time.perf_counter() - begun
    reader.close()
    if found != expected:
        raise RuntimeError(f"read {found} readings instead of {expected}")
    return found / seconds


def _rows(written: Written) -> Iterator[Row]:
    series = Series()
    for day in range(written.first_day, written.first_day + written.days):
        for moment, values in series.day(day):
            yield bytes(written.device), KIND, moment, values[KIND]
