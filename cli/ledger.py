"""``ledger log|verify``: who asked, who read, what was decided; and whether the host tells it truly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_never

import rich_click as click

from cli import options, state
from cli.ask import confirm, say
from cli.meanwhile import BY_RULES
from cli.passphrase import PassphraseSource
from cli.render import WIDTH, count, emit, escape, moment, wrap
from cli.session import suggest, unlocked, with_pins, with_vault
from cli.times import rfc3339
from cli.values import label_of
from gateway import wire
from gateway.client.errors import AnswerError, DistrustError
from gateway.client.session import Session
from vault.ids import BrandId
from vault.ledger import Entry

LATEST = 50  # lines, where the person does not say


@click.group("ledger")
def ledger() -> None:
    """See and verify who asked, who read and what was refused."""


@ledger.command("log")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help=f"The latest so many; {LATEST} on screen."
)
@click.option("--grant", "grant_id", metavar="ID", help="Of one request or grant only.")
@with_vault
def log(
    limit: int | None, grant_id: str | None, passphrase: PassphraseSource, home: Path, as_json: bool
) -> None:
    """Show what happened, the latest last."""
    with unlocked(home, passphrase) as session:
        names = _names(session)
        entries = [
            (number, entry)
            for number, entry in session.ledger()
            if grant_id is None or entry.grant.startswith(grant_id.lower())
        ]
    shown = entries[-(limit or (len(entries) if as_json else LATEST)) :] if entries else []
    rows = [row_of(number, entry, names) for number, entry in shown]
    lines = [line for _, entry in shown for line in _lines(entry, names)]
    emit(rows, as_json, "\n".join(lines) or "nothing happened yet")
    if len(shown) < len(entries):
        suggest(as_json, (f"ledger log --limit {len(entries)}", "see all of it"))


@ledger.command("verify")
@click.option("--accept", is_flag=True, help="Believe this server again, after a backup was restored there.")
@options.yes
@with_vault
def verify(accept: bool, yes: bool, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Check that nothing in the ledger, nor your standing rules, was changed, left out or turned back."""
    with unlocked(home, passphrase) as session:
        if accept:
            say(f"This computer has seen {_seen(session)}.")
            confirm("Believe what the server shows now, although it may be less?", yes=yes)
            session.accept()
            state.update(home, lambda profile: with_pins(profile, session.pins))
        try:
            entries = sum(1 for _ in session.ledger())
            session.ask(wire.GetRules(), wire.StandingRulesReply)  # held against what was seen of them
        except (DistrustError, AnswerError):
            if as_json:
                emit({"ok": False, "entries": session.pins.head.number, "head": _head(session)}, as_json)
            raise
    answer = {"ok": True, "entries": entries, "head": _head(session)}
    emit(answer, as_json, f"{count(entries, 'entry', 'entries')}, every one follows from the one before it")


def row_of(number: int, entry: Entry, names: dict[str, str]) -> dict[str, Any]:
    """An entry for programs."""
    return {
        "number": number,
        "time": rfc3339(entry.time),
        "what": entry.what,
        "brand": names.get(entry.brand, entry.brand) or None,
        "brand_id": entry.brand or None,
        "grant": entry.grant or None,
        "kinds": list(entry.kinds),
        "since": None if entry.since is None else rfc3339(entry.since),
        "until": None if entry.until is None else rfc3339(entry.until),
        "readings": entry.readings,
        "times": entry.times,
        "note": entry.note,
    }


def sentence(entry: Entry, names: dict[str, str]) -> str:
    """An entry as a person reads it; not escaped."""
    who = names.get(entry.brand, entry.brand[:4].upper()) or "a brand"
    kinds = ", ".join(label_of(kind) for kind in entry.kinds) or "your data"
    often = f" ({entry.times:,} times)" if entry.times > 1 else ""
    match entry.what:
        case "created":
            return "the vault was made"
        case "enrolled":
            return (
                "a computer may speak for you no more" if entry.note == "ended" else "a computer was let in"
            )
        case "device":
            much = f", which made {count(entry.readings, 'reading')} of {kinds}" if entry.readings else ""
            return f"a device was {entry.note or 'changed'}{much}"
        case "touchpoint":
            return f"a touchpoint for {who} was {entry.note or 'changed'}"
        case "asked":
            return f"{who} asked for your data"
        case "approved" if entry.note.startswith(BY_RULES):
            return f"your rules gave {kinds} to {who}"
        case "approved":
            return f"you approved {kinds} for {who}"
        case "active":
            return f"{who} can read from now on"
        case "paused":
            return f"you paused the grant of {who}"
        case "resumed":
            return f"you let the grant of {who} go on"
        case "revised":
            return f"you changed the grant of {who} to {kinds}"
        case "denied" if entry.note.startswith(BY_RULES):
            return f"your rules told {who} no"
        case "denied":
            return f"{who} was told no"
        case "picked up":
            return f"{who} fetched its key"
        case "read" if entry.note == "answers":
            return f"{who} was answered from up to {count(entry.readings, 'reading')} of {kinds}{often}"
        case "read":
            much = f"read up to {count(entry.readings, 'reading')}" if entry.readings else "found nothing new"
            return f"{who} {much} of {kinds}{often}"
        case "refused":
            return f"{who} was refused{often}{': ' + entry.note if entry.note else ''}"
        case "ended":
            return f"the grant of {who} ended{': ' + entry.note if entry.note else ''}"
        case "lapsed":
            return f"the request of {who} lapsed unanswered"
        case "rules":
            return f"your standing rules were changed{': ' + entry.note if entry.note else ''}"
        case "blackout":
            return f"a blackout of {kinds} was {entry.note or 'changed'}"
        case "rewrapped":
            return "the passphrase or the recovery phrase was changed"
        case "restored":
            return f"the vault was restored from a backup; {count(entry.times, 'grant')} ended"
        case _:
            assert_never(entry.what)


def _lines(entry: Entry, names: dict[str, str]) -> list[str]:
    stamp = moment(entry.time)
    tag = f" [{entry.grant[:4].upper()}]" if entry.grant else ""
    first, *rest = wrap(escape(sentence(entry, names)) + tag, WIDTH - len(stamp) - 2)
    return [f"{stamp}  {first}", *(" " * (len(stamp) + 2) + line for line in rest)]


def _names(session: Session) -> dict[str, str]:
    """What brands are called; those of old requests, too."""
    rows = session.ask(wire.GetBrands(), wire.Brands).brands
    names = {BrandId(row.brand).text: row.name for row in rows}
    for row in session.ask(wire.GetGrants(), wire.Grants).grants:
        names.setdefault(BrandId(row.brand).text, row.brand_name)
    return names


def _seen(session: Session) -> str:
    entries = count(session.pins.head.number, "entry", "entries")
    return f"{entries} and version {session.pins.rules} of your rules" if session.pins.rules else entries


def _head(session: Session) -> str:
    return session.pins.head.hash.hex()
