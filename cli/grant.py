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
from cli.given import Used, budget_of, gaps_of, in_full, in_short, terms_of, used_of, uses_left
from cli.passphrase import PassphraseSource
from cli.render import date, emit, escape, table
from cli.rest import pause, resume
from cli.revise import extend, narrow
from cli.session import pick, suggest, unlocked, with_vault
from cli.times import rfc3339
from gateway import wire
from gateway.client import device as devices
from gateway.client.session import Session
from policies.grant import Active, Ended, Paused, Preparing
from policies.iso8601 import DAY, format_time
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
        used = used_of(session) if found else Used(Counter(), Counter())
        now = session.clock()
    rows = [row_of(row, used, now, doubts) for row in found]
    text = table(
        ["GRANT", "BRAND", "GIVES", "STATUS", "UNTIL", "HAS READ"],
        [
            (
                GrantId(row.grant).short,
                row.brand_name,
                in_short(terms) if (terms := terms_of(row)) else "",
                shown["status"],
                date(terms.access_until // DAY * DAY) if terms else "",
                f"{shown['readings']:,}",
            )
            for row, shown in zip(found, rows, strict=True)
        ],
        right=("HAS READ",),
    )
    emit(rows, as_json, text if rows else "nobody may read anything")
    live = [row for row in found if isinstance(row.state, Active | Paused)]
    if live:
        short = GrantId(live[0].grant).short
        suggest(
            as_json, (f"grant show {short}", "see exactly what it gives"), (f"grant revoke {short}", "end it")
        )


@grant.command("show")
@click.argument("ID")
@with_vault
def show(id: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Show exactly what one grant gives."""
    with unlocked(home, passphrase) as session:
        row = find(session, id)
        doubts = doubted(session, [row])
        used = used_of(session)
        names = devices.fetch(session).names()
        now = session.clock()
    terms = terms_of(row)
    if terms is None:
        raise ConflictError("this request was not approved", "see: hypertouch request show ID")
    called = {device.text: name for device, name in names.items()}
    answer = row_of(row, used, now, doubts) | {
        "selectors": [
            msgspec.to_builtins(one) | {"resolution": terms.resolution_of(one)} for one in terms.selectors
        ],
        "mode": terms.mode,
        "uses": terms.uses,
        "uses_left": uses_left(row),
        "budget": budget_of(terms),
        "limits": msgspec.to_builtins(terms.limits),
        "pauses": [[format_time(since), format_time(until)] for since, until in gaps_of(row)],
        "paused_since": rfc3339(row.state.since) if isinstance(row.state, Paused) else None,
        "by_rules": None if row.rule is None else row.rule.rules_version,
        "data_from": format_time(terms.data_from),
        "data_until": format_time(terms.data_until),
        "purpose": terms.purpose,
        "purpose_text": terms.purpose_text,
        "retention": terms.retention,
        "recipients": list(terms.recipients),
        "benefit": terms.benefit,
    }
    head = f"{escape(row.brand_name)}  {answer['grant']}  {answer['status']}"
    lines = in_full(row, terms, used, called, answer["grant"], now)
    emit(answer, as_json, "\n".join([head, *lines]))
    suggest(as_json, *_steps(row))


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
        used, id = used_of(session), GrantId(row.grant).text
        read, answers = used.readings[id], used.answers[id]
    answer = {
        "grant": id,
        "brand": row.brand_name,
        "status": "revoked",
        "readings": read,
        "answers": answers,
        "retention": terms.retention,
    }
    emit(answer, as_json, revoked(row.brand_name, read, terms.retention, answers))
    suggest(as_json, ("ledger log", "see what was read"), ("touchpoint list", "end its way to ask again"))


def find(session: Session, text: str) -> GrantRow:
    """The grant with this id; raises NotFoundError, UsageError."""
    return pick(fetch(session), text, lambda row: GrantId(row.grant), "grant", HINT)


def row_of(row: GrantRow, used: Used, now: int, doubts: Set[bytes]) -> dict[str, Any]:
    """A grant for programs."""
    terms = terms_of(row)
    over = isinstance(row.state, Active) and terms is not None and now >= terms.access_until * 1000
    return {
        "grant": GrantId(row.grant).text,
        "short": GrantId(row.grant).short,
        "brand": row.brand_name,
        "brand_id": BrandId(row.brand).text,
        "kinds": list(terms.kinds) if terms else [],
        "details": {one.kind: terms.resolution_of(one) for one in terms.selectors} if terms else {},
        "status": "expired" if over else status_in(row, doubts),
        "access_until": format_time(terms.access_until) if terms else None,
        "readings": used.readings[GrantId(row.grant).text],
        "answers": used.answers[GrantId(row.grant).text],
        "picked_up": None if row.picked_up is None else rfc3339(row.picked_up),
    }


def _steps(row: GrantRow) -> list[tuple[str, str]]:
    """What can be done with a grant."""
    short = GrantId(row.grant).short
    end = (f"grant revoke {short}", "end it")
    match row.state:
        case Active():
            return [
                (f"grant narrow {short} --for 7d", "give less"),
                (f"grant pause {short}", "let it rest"),
                end,
            ]
        case Paused():
            return [(f"grant resume {short}", "let it go on"), end]
        case Preparing():
            return [(f"request approve {short}", "hand over its keys"), end]
        case _:
            return []
