"""``data tail|show|export``: the person's own readings, opened in this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rich_click as click

from cli import files
from cli import readings as rows_of
from cli.known import find_all
from cli.output import new_file
from cli.passphrase import PassphraseSource
from cli.period import period
from cli.progress import Bar
from cli.readings import find_kind
from cli.render import count, emit
from cli.session import suggest, unlocked, with_vault
from cli.text import json_text
from cli.times import span
from cli.values import unit_of
from gateway.client import device as devices
from gateway.client.read import Archive, Reading, Wanted, is_reading
from gateway.client.session import Session
from vault.bucket import DAY_MS
from vault.ids import DeviceId
from vault.segment import Lane

NEAR_DAYS = 1  # `tail` looks at readings of yesterday, today and tomorrow


@click.group("data")
def data() -> None:
    """See, follow and export your readings."""


data.add_command(files.files)


@data.command("show")
@click.argument("kind", required=False)
@click.option(
    "--since", default="24h", show_default=True, metavar="WHEN", help="24h, 7d, a date, or RFC 3339."
)
@click.option("--until", metavar="WHEN", help="The same; now, if not given.")
@click.option("--device", "names", multiple=True, metavar="NAME", help="Only this device; may be repeated.")
@with_vault
def show(
    kind: str | None,
    since: str,
    until: str | None,
    names: tuple[str, ...],
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Show readings of one kind, or what kinds there are."""
    wanted_kind = find_kind(kind) if kind else None
    with unlocked(home, passphrase) as session, Bar("reading") as bar:
        found = devices.fetch(session)
        within = period(session, since, until)
        wanted = _wanted({one.id for one in find_all(found, names)}, {wanted_kind} if wanted_kind else None)
        called = found.names()
        series = rows_of.by_series(Archive(session).readings(*within, wanted, bar))
    rows = [
        rows_of.summary(called, *item, readings=wanted_kind is not None) for item in sorted(series.items())
    ]
    lines = [line for key, one in sorted(series.items()) for line in rows_of.lines(called, key, one)]
    if wanted_kind is not None:
        answer: dict[str, Any] = {"kind": wanted_kind, "unit": unit_of(wanted_kind), "series": rows}
    else:
        answer = {"series": rows}
    emit(answer, as_json, "\n".join(lines) or "nothing of this was reported in that time")
    if not rows:
        suggest(as_json, ("data show --since 30d", "look further back"), ("device list", "see what reports"))


@data.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="A reading a line.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A new file, for you alone.",
)
@click.option("--kind", "kinds", multiple=True, help="Only this kind; may be repeated.")
@click.option("--device", "names", multiple=True, metavar="NAME", help="Only this device; may be repeated.")
@click.option("--since", metavar="WHEN", help="24h, 7d, a date, or RFC 3339; the beginning, if not given.")
@click.option("--until", metavar="WHEN", help="The same; now, if not given.")
@with_vault
def export(
    form: str,
    output: Path | None,
    kinds: tuple[str, ...],
    names: tuple[str, ...],
    since: str | None,
    until: str | None,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Write your readings, all of them if you do not say which."""
    chosen = {find_kind(kind) for kind in kinds} or None
    with unlocked(home, passphrase) as session, Bar("exporting") as bar:
        found = devices.fetch(session)
        within = period(session, since, until)
        wanted = _wanted({one.id for one in find_all(found, names)}, chosen)
        called = found.names()
        progress = None if output is None and sys.stdout.isatty() else bar  # lines on a screen are enough
        found_readings = Archive(session).readings(*within, wanted, progress)
        rows = (rows_of.row_of(called, one) for one in found_readings)
        write = rows_of.write_csv if form == "csv" else rows_of.write_lines
        if output is None:
            write(sys.stdout, rows)
            return
        with new_file(output) as file:
            written = write(file, rows)
    emit({"file": str(output), "readings": written}, as_json, f"{count(written, 'reading')} in {output}")


@data.command("tail")
@click.argument("kind", required=False)
@click.option("--device", "names", multiple=True, metavar="NAME", help="Only this device; may be repeated.")
@click.option("--every", default="2s", show_default=True, metavar="TIME", help="How often to look.")
@click.option("--for", "lasting", metavar="TIME", help="Stop after so long; with Ctrl-C, if not given.")
@with_vault
def tail(
    kind: str | None,
    names: tuple[str, ...],
    every: str,
    lasting: str | None,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Follow readings as they arrive."""
    pause, limit = max(1, span(every)), span(lasting) if lasting else None
    kinds = {find_kind(kind)} if kind else None
    with unlocked(home, passphrase) as session:
        found = devices.fetch(session)
        wanted = _wanted({one.id for one in find_all(found, names)}, kinds, new=not names)
        called = found.names()
        for reading in _arriving(session, wanted, pause, limit):
            if reading.device not in called:
                called = devices.fetch(session).names()
            row = rows_of.row_of(called, reading)
            print(json_text(row) if as_json else rows_of.line(row, reading), flush=True)


def _wanted(chosen: set[DeviceId], kinds: set[str] | None, *, new: bool = False) -> Wanted:
    return lambda lane: (
        is_reading(lane) and (new or lane.device in chosen) and (kinds is None or lane.kind in kinds)
    )


def _arriving(session: Session, wanted: Wanted, pause: int, limit: int | None) -> Iterator[Reading]:
    """What arrives from now on, in order of arrival."""
    archive = Archive(session)
    deadline = None if limit is None else time.monotonic() + limit

    def arrived(after: int) -> list[Reading]:
        today = session.clock() // DAY_MS
        return archive.arrived(after, today - NEAR_DAYS, today + NEAR_DAYS, is_reading)

    seq = max((reading.seq for reading in arrived(0)), default=0)
    while deadline is None or time.monotonic() < deadline:
        time.sleep(pause if deadline is None else max(0.0, min(pause, deadline - time.monotonic())))
        for reading in arrived(seq):
            seq = reading.seq
            if wanted(Lane(reading.device, reading.observation.channel, reading.observation.kind, 0)):
                yield reading
