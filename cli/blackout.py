"""``blackout add|list|end``: times of which nobody gets anything, and that look as if there were no data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import rich_click as click

from cli import options
from cli.ask import confirm, require_terminal
from cli.asked import fetch
from cli.errors import UsageError
from cli.passphrase import PassphraseSource
from cli.progress import Bar
from cli.render import count, emit, escape, table
from cli.render import moment as spoken
from cli.session import pick, suggest, unlocked, with_vault
from cli.times import moment, rfc3339, span
from cli.typed import split
from cli.values import label_of
from gateway import wire
from gateway.client.blackout import ReadBefore, black_out
from gateway.client.read import Archive
from gateway.client.session import Session
from policies.iso8601 import DAY, MAX_DAYS, format_time
from policies.kinds import catalogue
from vault.ids import BlackoutId, GrantId
from vault.store.records import BlackoutRow

HINT: Final = "see: hypertouch blackout list"


@click.group("blackout")
def blackout() -> None:
    """Keep times to yourself, to come or past."""


@blackout.command("add")
@click.option("--from", "since", metavar="WHEN", help="It begins then: a date, a time, or so long ago.")
@click.option("--until", metavar="WHEN", help="It is over then: a date or a time.")
@click.option("--now", "at_once", is_flag=True, help="It begins now, as when guests come.")
@click.option("--for", "lasting", metavar="3h", help="It lasts so long.")
@click.option("--kinds", metavar="A,B", help="Of these only; else of everything.")
@options.yes
@with_vault
def add(
    since: str | None,
    until: str | None,
    at_once: bool,
    lasting: str | None,
    kinds: str | None,
    yes: bool,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Give nobody anything of a time, to come or past.

    Your own vault keeps all of it. To brands it looks as if there were no data. What they have read of a past
    time they keep.
    """
    with unlocked(home, passphrase) as session:
        now = session.clock()
        begins, ends = _bounds(since, until, lasting, at_once=at_once, now=now)
        named = _kinds(kinds)
        past = begins < now // 1000
        if past and not yes:
            require_terminal("--yes")
            confirm("Take what lies in the past of it out of every grant?", yes=yes)
        with Bar("sealing again") as progress:
            done = black_out(session, Archive(session), begins, ends, named, progress)
        row = next(row for row in _fetch(session) if row.id == done.id)
        brands = {GrantId(one.grant).text: one.brand_name for one in fetch(session)}
    read = [(brands.get(one.grant, ""), one) for one in done.read]
    answer = _plain(row, now) | {
        "read_before": [
            {"brand": name, "grant": one.grant, "readings": one.readings, "last": rfc3339(one.last)}
            for name, one in read
        ],
        "waiting": len(done.waiting),
    }
    emit(answer, as_json, _told(row, read, len(done.waiting)))
    if done.waiting:
        suggest(as_json, ("tidy", "finish it when those days are not written any more"))
    if _status(row, now) == "over":
        suggest(as_json, ("blackout list --all", "see what you keep to yourself"))
    else:
        suggest(as_json, (f"blackout end {BlackoutId(row.id).short}", "let them have again what comes after"))


@blackout.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@with_vault
def list_(everything: bool, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """List the times you keep to yourself."""
    with unlocked(home, passphrase) as session:
        now = session.clock()
        found = [row for row in _fetch(session) if everything or _status(row, now) in ("now", "to come")]
    text = table(
        ["ID", "FROM", "UNTIL", "OF", "STATUS"],
        [
            (
                BlackoutId(row.id).short,
                spoken(row.since * 1000),
                spoken(row.until * 1000),
                _of(row),
                _status(row, now),
            )
            for row in found
        ],
    )
    emit([_plain(row, now) for row in found], as_json, text if found else "you keep no time to yourself")
    if not found:
        suggest(as_json, ("blackout add --now --for 3h", "when guests come"))


@blackout.command("end")
@click.argument("ID")
@with_vault
def end(id: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """End a blackout now; what it kept back until now stays yours alone."""
    with unlocked(home, passphrase) as session:
        found = pick(_fetch(session), id, lambda row: BlackoutId(row.id), "blackout", HINT)
        session.tell(wire.EndBlackout(found.id), wire.Done)
        now = session.clock()
        row = next(row for row in _fetch(session) if row.id == found.id)
    emit(_plain(row, now), as_json, "from now on brands get again what you granted")
    suggest(as_json, ("blackout list --all", "see what you kept to yourself"))


def _bounds(
    since: str | None, until: str | None, lasting: str | None, *, at_once: bool, now: int
) -> tuple[int, int]:
    """Seconds, half-open; raises UsageError."""
    if at_once == bool(since):
        raise UsageError("a blackout begins at one time", "say --from WHEN, or --now")
    if bool(until) == bool(lasting):
        raise UsageError("a blackout ends at one time", "say --until WHEN, or --for 3h")
    begins = now // 1000 if since is None else moment(since, now) // 1000
    ends = begins + span(lasting) if lasting else -(-moment(until or "", now) // 1000)
    if ends <= begins:
        raise UsageError("a blackout ends after it begins", "check the two times")
    if ends > now // 1000 + MAX_DAYS * DAY:
        raise UsageError("a blackout ends within ten years", "make another one then")
    return begins, ends


def _kinds(text: str | None) -> list[str]:
    found = [(name, catalogue().find(name)) for name in split(text or "")]
    unknown = [name for name, kind in found if kind is None]
    if unknown:
        raise UsageError(f"there is no kind {unknown[0]!r}", "name kinds as `hypertouch data show` does")
    return sorted({kind.name for _, kind in found if kind is not None})


def _fetch(session: Session) -> list[BlackoutRow]:
    return session.ask(wire.GetBlackouts(), wire.Blackouts).blackouts


def _status(row: BlackoutRow, now: int) -> str:
    if row.ended is not None:
        return "ended"
    if now >= row.until * 1000:
        return "over"
    return "now" if now >= row.since * 1000 else "to come"


def _of(row: BlackoutRow) -> str:
    return ", ".join(label_of(kind) for kind in row.kinds) or "everything"


def _plain(row: BlackoutRow, now: int) -> dict[str, Any]:
    return {
        "blackout": BlackoutId(row.id).text,
        "from": format_time(row.since),
        "until": format_time(row.until),
        "kinds": list(row.kinds),
        "status": _status(row, now),
    }


def _told(row: BlackoutRow, read: list[tuple[str, ReadBefore]], waiting: int) -> str:
    what = _of(row) if row.kinds else "anything"
    lines = [f"nobody gets {what} of the time from {spoken(row.since * 1000)} to {spoken(row.until * 1000)}"]
    lines += [
        f"{escape(brand)} read up to {count(one.readings, 'reading')} of that time before, and keeps them"
        for brand, one in read
    ]
    if waiting:
        lines.append(f"{count(waiting, 'day')} of it could not be sealed again yet: they are being written")
    return "\n".join(lines)
