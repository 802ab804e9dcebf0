"""``tidy``: merge what a crash of the server left in pieces."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cli.passphrase import PassphraseSource
from cli.progress import Bar
from cli.render import count, emit
from cli.session import now_ms, suggest, unlocked, with_vault
from gateway.client.tidy import tidy as merge_all


@click.command("tidy")
@with_vault
def tidy(passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Merge what a crash of the server left in pieces.

    Only your keys open it, so the server cannot; nothing is lost when you never do this, but reading is
    slower.
    """
    with unlocked(home, passphrase) as session, Bar("merging") as progress:
        done = merge_all(session, now_ms(), progress)
    text = (
        f"Merged {count(done.segments, 'part')} of your vault: {done.before:,} pieces are {done.after:,} now"
        if done.segments
        else "Nothing is in pieces"
    )
    emit(done, as_json, text)
    suggest(as_json, ("status", "see how your vault is doing"))
