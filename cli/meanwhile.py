"""What the person's rules answered while nobody looked: told once, where they look for what waits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from cli import state
from cli.ask import say
from cli.render import count
from cli.state import Profile
from gateway.client.session import Session
from policies.grant import Denied
from vault.store.records import GrantRow

BY_RULES: Final = "by your rules"  # how the node begins its note of such an answer


def tell(session: Session, home: Path, rows: Sequence[GrantRow]) -> None:
    """Say how many requests the rules answered since this computer last told, and remember that it did."""
    since = state.load(home).looked
    if not any(_answered(row) > since for row in rows):
        return
    answers = [
        entry
        for _, entry in session.ledger()
        if entry.what in ("approved", "denied") and entry.note.startswith(BY_RULES) and entry.time > since
    ]
    if not answers:
        return
    given = sum(entry.what == "approved" for entry in answers)
    said = [f"{given:,} given"] if given else []
    said += [f"{len(answers) - given:,} refused"] if given < len(answers) else []
    say(f"your rules answered {count(len(answers), 'request')} since you last looked: {', '.join(said)}")
    say("see which: hypertouch request list --all")
    latest = max(entry.time for entry in answers)

    def forward(profile: Profile) -> Profile:
        return msgspec.structs.replace(profile, looked=max(profile.looked, latest))

    state.update(home, forward)


def _answered(row: GrantRow) -> int:
    """When the rules may have answered it, ms; 0: they did not."""
    if row.rule is not None:
        return row.rule.at
    return row.state.at if isinstance(row.state, Denied) else 0
