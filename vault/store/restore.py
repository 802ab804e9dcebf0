"""What a vault's generation says when its file is opened: a crash to make good, or a restore.

Every narrowing raises the generation first in SQLite, then in the live file, and only then is it
acknowledged.  A file ahead of the live file is a narrowing cut short: its second half is done again.  A file
behind it, or one the live file does not know, is an older copy: all its grants end, and the ledger says so.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec

from policies.grant import Active, GrantState, Paused, Pending, Preparing, Refusal, Restore, advance
from vault.ids import GrantId, VaultId
from vault.ledger import Entry

if TYPE_CHECKING:
    from vault.store.writer import Writer


def check_generation(writer: Writer, vault: VaultId) -> None:
    """Make a crash good, or end what an older copy would bring back; raises Unavailable.

    A narrowing that failed on the live file comes here, too, as its vault is forgotten.
    """
    writer.live.settle()  # what it says must be what is on disk
    file = writer.file(vault)
    found, live = file.generation(), writer.live.generation(vault)
    if live is None or found < live:
        _end_everything(writer, vault, max(found, live or 0) + 1)
        return
    standing = Pending | Preparing | Active | Paused
    kept = {grant for grant, state in file.states() if isinstance(state, standing)}
    orphans = writer.live.grants(vault) - kept
    if orphans or found > live:
        writer.live.end_grants(vault, orphans, found)


def _end_everything(writer: Writer, vault: VaultId, generation: int) -> None:
    now = writer.clock()
    ended: list[tuple[GrantId, GrantState]] = []
    for grant, state in writer.file(vault).states():
        after = advance(state, Restore(now))
        if not isinstance(after, Refusal):
            ended.append((grant, after))
            writer.state(vault).open.dismiss(grant)

    def steps(connection: sqlite3.Connection) -> None:
        for grant, after in ended:
            connection.execute(
                "UPDATE grant_ SET state = ?, wrapped_seed = x'' WHERE id = ?",
                (msgspec.msgpack.encode(after), grant),
            )
            connection.execute("DELETE FROM grant_box WHERE grant_ = ?", (grant,))

    entry = Entry(now, "restored", times=len(ended))
    writer.transact(vault, entry, steps, ends=writer.live.grants(vault), generation=generation)
