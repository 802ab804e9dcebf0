"""``grant list|show|revoke``: what brands may read, and its end; what changes a grant is registered here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click

from cli import options
from cli.ask import confirm, require_terminal
from cli.asked import fetch, status_of
from cli.card import revoked
from cli.doubts import doubted, status_in
from cli.errors import ConflictError
from cli.passphrase import PassphraseSource
from cli.render import ago, count, date, emit, escape, iso_duration, table
from cli.rest import pause, resume
from cli.revise import extend, narrow
from cli.session import now_ms, pick, suggest, unlocked, with_vault
from cli.times import rfc3339
from cli.values import label_of
from cli.wording import detail_words
from gateway import wire
from gateway.client import device as devices
from gateway.client.session import Session
from policies.grant import Active, Ended, Gap, Paused, Preparing
from policies.iso8601 import format_time
from policies.terms import Terms
from vault.ids import BrandId, GrantId
from vault.store.records import GrantRow

HINT = "see: hypertouch grant list"


@click.group("grant")
def grant() -> None:
    """See what brands may read; narrow, extend, pause or end it."""


@grant.command("list")
@with_vault
def list_(passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """List grants, those in force and those that ended."""
    with unlocked(home, passphrase) as session:
        found = [row for row in fetch(session) if terms_of(row) is not None]
        doubts = doubted(session, found)
        read = readings_of(session) if found else Counter()
        now = session.clock()
    rows = [row_of(row, read, now, doubts) for row in found]
    text = table(
        ["GRANT", "BRAND", "READS", "STATUS", "UNTIL", "HAS READ"],
        [
            (
                GrantId(row.grant).short,
                row.brand_name,
                ", ".join(label_of(kind) for kind in shown["kinds"]),
                shown["status"],
                date(terms.access_until) if (terms := terms_of(row)) else "",
                f"{shown['readings']:,}",
            )
            for row, shown in zip(found, rows, strict=True)
        ],
        right=("HAS READ",),
    )
    emit(rows, as_json, text if rows else "nobody may read anything")
    live = [row for row in found if isinstance(row.state, Active)]
    if live:
        suggest(as_json, (f"grant revoke {GrantId(live[0].grant).short}", "end one"))


@grant.command("show")
@click.argument("ID")
@with_vault
def show(id: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Show exactly what one grant gives."""
    with unlocked(home, passphrase) as session:
        row = find(session, id)
        doubts = doubted(session, [row])
        read = readings_of(session)
        names = devices.fetch(session).names()
        now = session.clock()
    terms = terms_of(row)
    if terms is None:
        raise ConflictError("this request was not approved", "see: hypertouch request show ID")
    called = {device.text: name for device, name in names.items()}
    answer = row_of(row, read, now, doubts) | {
        "selectors": [
            msgspec.to_builtins(one) | {"resolution": terms.resolution_of(one)} for one in terms.selectors
        ],
        "mode": terms.mode,
        "uses": terms.uses,
        "budget": terms.budget,
        "limits": msgspec.to_builtins(terms.limits),
        "pauses": [[format_time(since), format_time(until)] for since, until in gaps_of(row)],
        "data_from": format_time(terms.data_from),
        "data_until": format_time(terms.data_until),
        "purpose": terms.purpose,
        "purpose_text": terms.purpose_text,
        "retention": terms.retention,
        "recipients": list(terms.recipients),
        "benefit": terms.benefit,
    }
    emit(answer, as_json, "\n".join(_lines(row, terms, answer, called)))


for command in (narrow, extend, pause, resume):
    grant.add_command(command)


@grant.command("revoke")
@click.argument("ID")
@options.yes
@with_vault
def revoke(id: str, yes: bool, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """End a grant, now and for ever."""
    if not yes:
        require_terminal("--yes")
    with unlocked(home, passphrase) as session:
        row = find(session, id)
        terms = terms_of(row)
        if isinstance(row.state, Ended):
            raise ConflictError("this grant has ended already", f"it is {status_of(row.state)}")
        if terms is None:
            raise ConflictError("this request was not approved", "say no to it: hypertouch request deny ID")
        confirm(f"End what {escape(row.brand_name)} may read?", yes=yes)
        session.tell(wire.Revoke(GrantId(row.grant)), wire.Done)
        read = readings_of(session)[GrantId(row.grant).text]
    answer = {
        "grant": GrantId(row.grant).text,
        "brand": row.brand_name,
        "status": "revoked",
        "readings": read,
        "retention": terms.retention,
    }
    emit(answer, as_json, revoked(row.brand_name, read, terms.retention))
    suggest(as_json, ("ledger log", "see what was read"), ("touchpoint list", "end its way to ask again"))


def find(session: Session, text: str) -> GrantRow:
    """The grant with this id; raises NotFoundError, UsageError."""
    return pick(fetch(session), text, lambda row: GrantId(row.grant), "grant", HINT)


def terms_of(row: GrantRow) -> Terms | None:
    """What was given; None: nothing ever was."""
    match row.state:
        case Preparing(terms=terms) | Active(terms=terms) | Paused(terms=terms) | Ended(terms=terms):
            return terms
        case _:
            return None


def gaps_of(row: GrantRow) -> tuple[Gap, ...]:
    """When a grant was paused, seconds."""
    match row.state:
        case Preparing(gaps=gaps) | Active(gaps=gaps) | Paused(gaps=gaps):
            return gaps
        case _:
            return ()


def readings_of(session: Session) -> Counter[str]:
    """How many readings each grant was handed, by the ledger: never too few."""
    read: Counter[str] = Counter()
    for _, entry in session.ledger():
        if entry.what == "read":
            read[entry.grant] += entry.readings
    return read


def row_of(row: GrantRow, read: Counter[str], now: int, doubts: Set[bytes]) -> dict[str, Any]:
    """A grant for programs."""
    terms = terms_of(row)
    over = isinstance(row.state, Active) and terms is not None and now >= terms.access_until * 1000
    return {
        "grant": GrantId(row.grant).text,
        "short": GrantId(row.grant).short,
        "brand": row.brand_name,
        "brand_id": BrandId(row.brand).text,
        "kinds": list(terms.kinds) if terms else [],
        "status": "expired" if over else status_in(row, doubts),
        "access_until": format_time(terms.access_until) if terms else None,
        "readings": read[GrantId(row.grant).text],
        "picked_up": None if row.picked_up is None else rfc3339(row.picked_up),
    }


def _lines(row: GrantRow, terms: Terms, shown: dict[str, Any], names: dict[str, str]) -> list[str]:
    lines = [f"{escape(row.brand_name)}  {shown['grant']}  {shown['status']}"]
    for selector in terms.selectors:
        channels = (
            "every channel"
            if selector.channels is None
            else ", ".join(c or "itself" for c in selector.channels)
        )
        device = names.get(selector.device, selector.device)
        what = detail_words(label_of(selector.kind), terms.resolution_of(selector))
        lines.append(f"  reads     {what} of {escape(device)} ({escape(channels)})")
    keeps = iso_duration(terms.retention) if terms.retention else "as long as it likes: it did not say"
    lines += [
        f"  data      from {date(terms.data_from)} until {date(terms.data_until)}",
        f"  until     {date(terms.access_until)}",
        f"  keeps it  {keeps}",
        f"  has read  {count(shown['readings'], 'reading')}",
    ]
    if row.picked_up is not None:
        lines.append(f"  fetched   its key {ago(row.picked_up, now_ms())}")
    return lines
