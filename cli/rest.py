"""``grant pause|resume``: let a grant rest, and go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from cli.asked import find, status_of
from cli.doubts import require_given
from cli.errors import ConflictError
from cli.passphrase import PassphraseSource
from cli.render import emit, escape
from cli.session import suggest, unlocked, with_vault
from gateway import wire
from policies.grant import Active, Paused
from vault.ids import GrantId
from vault.store.records import GrantRow


@click.command("pause")
@click.argument("ID")
@with_vault
def pause(id: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Let a grant rest: nothing is read, and of this time nothing ever will be."""
    with unlocked(home, passphrase) as session:
        row = find(session, id)
        if not isinstance(row.state, Active):
            raise ConflictError("this grant is not in force", f"it is {status_of(row.state)}")
        session.tell(wire.PauseGrant(GrantId(row.grant), paused=True), wire.Done)
    grant = GrantId(row.grant)
    emit(_plain(row, "paused"), as_json, f"{escape(row.brand_name)} can read nothing until you resume it")
    suggest(
        as_json, (f"grant resume {grant.short}", "let it go on"), (f"grant revoke {grant.short}", "end it")
    )


@click.command("resume")
@click.argument("ID")
@with_vault
def resume(id: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Let a grant go on; of the time it rested it gives nothing."""
    with unlocked(home, passphrase) as session:
        row = find(session, id)
        if not isinstance(row.state, Paused):
            raise ConflictError("this grant is not paused", f"it is {status_of(row.state)}")
        require_given(session, row)
        session.tell(wire.PauseGrant(GrantId(row.grant), paused=False), wire.Done)
    emit(_plain(row, "active"), as_json, f"{escape(row.brand_name)} can read again, but nothing of the pause")
    suggest(as_json, (f"grant show {GrantId(row.grant).short}", "see what it gives"))


def _plain(row: GrantRow, status: str) -> dict[str, Any]:
    return {"grant": GrantId(row.grant).text, "brand": row.brand_name, "status": status}
