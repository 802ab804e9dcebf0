"""What a reading costs on the disk once its segment is closed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.history import KINDS, Series
from tests.bench.report import Row as Figure
from tests.bench.report import Section, at_most, row
from tests.bench.table import Row, fill
from tests.bench.year import Written

LIMIT: Final = 10.0  # bytes a reading


def measure(written: Written, directory: Path) -> Section:
    """Weigh a person's file, and the same readings as rows of a plain table."""
    path = written.data.vault_db(written.household.vault)
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    still_open = connection.execute("SELECT count(*) FROM segment WHERE open AND NOT ledger").fetchone()[0]
    lanes = connection.execute(
        "SELECT number, sum(length(body)), sum(count) FROM chunk GROUP BY number ORDER BY number"
    ).fetchall()
    connection.close()
    if still_open:
        raise RuntimeError("a segment is still open")
    rows: list[Figure] = [
        row(f"chunks, {kind}", "B", [size / count])
        for kind, (_, size, count) in zip(KINDS, lanes, strict=True)
    ]
    table = fill(directory / "rows.db", _rows(written)) / written.readings
    whole = row("the whole file", "B", [path.stat().st_size / written.readings], plaintext=[table])
    return Section(
        name="storage",
        title=f"bytes a reading: {written.readings:,} minutely numbers, {written.days} closed days",
        rows=[*rows, whole],
        targets=[at_most("the whole file <= 10 bytes a reading", whole.median(), LIMIT)],
        notes=[
            "Times jitter by up to 3 s, in milliseconds; temperature and humidity walk in tenths, energy"
            " counts in thousandths. The whole file has keys, boxes, names and the ledger, too.",
            "plaintext: a STRICT table (device, kind, time, value) with one index, as in read.",
        ],
    )


def _rows(written: Written) -> Iterator[Row]:
    """In order of arrival."""
    series = Series()
    for day in range(written.first_day, written.first_day + written.days):
        for moment, values in series.day(day):
            for kind in KINDS:
                yield bytes(written.device), kind, moment, values[kind]
