"""``tidy``: merge what a crash of the server left in pieces, and complete what it cut."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cli.passphrase import PassphraseSource
from cli.progress import Bar
from cli.render import count, emit
from cli.session import now_ms, suggest, unlocked, with_vault
from gateway.client.tidy import Tidied
from gateway.client.tidy import tidy as merge_all


@click.command("tidy")
@with_vault
def tidy(passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Mend what a crash of the server left in pieces.

    Only your keys open it, so the server cannot; nothing is lost when you never do this, but reading is
    slower, and who is given hours or days lacks some.
    """
    with unlocked(home, passphrase) as session, Bar("tidying") as progress:
        done = merge_all(session, now_ms(), progress)
    emit(done, as_json, _told(done))
    suggest(as_json, ("status", "see how your vault is doing"))


def _told(done: Tidied) -> str:
    lines: list[str] = []
    if done.segments:
        pieces = f"{done.before:,} pieces are {done.after:,} now"
        lines.append(f"Merged {count(done.segments, 'part')} of your vault: {pieces}")
    if done.days:
        new = count(done.buckets, "figure")
        lines.append(f"Completed {count(done.days, 'day')}: {new} of hours and days are new")
    if done.waiting:
        lines.append(f"{count(done.waiting, 'day')} can be completed when no more is written to it")
    return "\n".join(lines) or "Nothing is in pieces, and nothing is incomplete"
