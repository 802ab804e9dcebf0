"""``client list|end``: the computers that may speak for this person, and the end of a lost one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from cli import options
from cli.ask import confirm, require_terminal
from cli.passphrase import PassphraseSource
from cli.render import ago, emit, escape, table
from cli.session import now_ms, pick, suggest, unlocked, with_vault
from cli.times import rfc3339
from gateway import wire
from vault.ids import ClientId
from vault.store.records import ClientRow


@click.group("client")
def client() -> None:
    """See which computers may use your vault, and end a lost one."""


@client.command("list")
@with_vault
def list_(passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """List the computers that were let in."""
    with unlocked(home, passphrase) as session:
        rows = session.ask(wire.GetClients(), wire.Clients).clients
        own = session.identity.client
    now = now_ms()
    answer = [_row(row, own) for row in rows]
    text = table(
        ["ID", "NAME", "LET IN", "STATUS"],
        [
            (_id_of(row).short, escape(row.name), ago(row.enrolled, now), shown["status"])
            for row, shown in zip(rows, answer, strict=True)
        ],
    )
    emit(answer, as_json, text)
    suggest(as_json, ("client end ID", "shut a lost computer out"))


@client.command("end")
@click.argument("ID")
@options.yes
@with_vault
def end(id: str, yes: bool, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Shut a computer out: it can do nothing with your vault any more."""
    if not yes:
        require_terminal("--yes")
    with unlocked(home, passphrase) as session:
        rows = [row for row in session.ask(wire.GetClients(), wire.Clients).clients if row.ended is None]
        row = pick(rows, id, _id_of, "computer", "see: hypertouch client list")
        own = _id_of(row) == session.identity.client
        confirm("Shut this very computer out?" if own else "Shut this computer out?", yes=yes)
        session.tell(wire.EndClient(row.client), wire.Done)
    emit(
        {"client": _id_of(row).text, "status": "ended"}, as_json, "it can do nothing with your vault any more"
    )
    suggest(as_json, ("passphrase", "change your passphrase if somebody may know it"))


def _id_of(row: ClientRow) -> ClientId:
    return ClientId(row.client)


def _row(row: ClientRow, own: ClientId) -> dict[str, Any]:
    status = "ended" if row.ended is not None else "this computer" if _id_of(row) == own else "active"
    return {"client": _id_of(row).text, "name": row.name, "enrolled": rfc3339(row.enrolled), "status": status}
