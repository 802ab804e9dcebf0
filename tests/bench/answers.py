"""A month of daily answers over a long history, beside the same question in SQL over rows in plain text."""

from __future__ import annotations

import http.client
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.client.http import Http
from policies.iso8601 import format_time
from tests.bench.history import Series
from tests.bench.report import Section, at_most, row
from tests.bench.rig import DAY_S
from tests.bench.sizes import Size
from tests.bench.table import Row, fill
from tests.bench.year import TIMEOUT_S, Home, Written

KIND: Final = "temperature"
MONTH: Final = 30  # days
LIMIT_MS: Final = 20.0
ASKED: Final = 20  # questions a repeat
_SQL: Final = (
    "SELECT time / 86400000, avg(value), count(*) FROM reading"
    " WHERE kind = ? AND time >= ? AND time < ? GROUP BY 1"
)


def measure(size: Size, home: Home, directory: Path) -> Section:
    """Ask for the means of the last month's days, again and again."""
    written, server = home.written, home.server
    database = directory / "plain-answers.db"
    fill(database, _rows(written))
    until = (written.first_day + written.days) * DAY_S
    month = (max(written.since, until - MONTH * DAY_S), until)
    samples: dict[str, list[float]] = {}
    for resolution in ("day", "hour", "raw"):
        granted = home.acme.granted(
            written.household, written.device, [KIND], written.since, Http(server.url), resolution
        )
        client = _Client(server.http_port, granted.access_token)
        client.ask(*month)  # the grant's keys are opened once, and kept while it is read
        samples[resolution] = [client.ask(*month) for _ in range(size.repeats * ASKED)]
        client.close()
    plain = [_in_sql(database, *month) for _ in range(size.repeats * ASKED)]
    rows = [
        row(f"{resolution}s" if resolution != "raw" else "raw readings", "ms", found, plaintext=plain)
        for resolution, found in samples.items()
    ]
    return Section(
        name="answers",
        title=f"the means of {min(MONTH, written.days)} days out of {written.days}, over HTTP, from",
        rows=rows,
        targets=[at_most("a month of daily answers <= 20 ms", rows[0].median(), LIMIT_MS)],
        notes=[
            "hypertouch: the whole request, with the answer counted and in the person's ledger, on the disk,"
            " before its first byte leaves.",
            "plaintext: SQL over the readings in one SQLite table, without HTTP.",
        ],
    )


class _Client:
    """Asks over one connection."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, since: int, until: int) -> float:
        """Milliseconds to an answer."""
        question = {"kind": KIND, "function": "mean", "period": "day"}
        body = json.dumps(question | {"from": format_time(since), "until": format_time(until)})
        begun = time.perf_counter()
        self._connection.request("POST", "/answers", body, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        taken = (time.perf_counter() - begun) * 1000
        if answer.status != http.client.OK:
            raise RuntimeError(f"a question was answered with {answer.status}")
        values = [one["value"] for one in json.loads(said)["answers"]]
        if len(values) != (until - since) // DAY_S or None in values:
            raise RuntimeError(f"{len(values)} days were answered, or some with nothing")
        return taken

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()


def _in_sql(database: Path, since: int, until: int) -> float:
    connection = sqlite3.connect(database)
    begun = time.perf_counter()
    found = connection.execute(_SQL, (KIND, since * 1000, until * 1000)).fetchall()
    taken = (time.perf_counter() - begun) * 1000
    connection.close()
    if len(found) != (until - since) // DAY_S:
        raise RuntimeError("the plain table has other days")
    return taken


def _rows(written: Written) -> Iterator[Row]:
    series = Series()
    for day in range(written.first_day, written.first_day + written.days):
        for moment, values in series.day(day):
            yield bytes(written.device), KIND, moment, values[KIND]
