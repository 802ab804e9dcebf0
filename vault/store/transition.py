"""One transition of ``policies.grant`` in a person's file: state, ledger entry and generation, at once.

A transition is decided on a state that was read; it is written only over that very state.  So of two that
were decided on the same one, whatever ran in between, one is done, and the other is told.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from policies.grant import Event, GrantState, Refusal, advance
from vault.ids import BrandId, GrantId, VaultId
from vault.ledger import Entry, What
from vault.store.records import STATE, No
from vault.store.writer import Writer

NOT_HERE: Final = No("not_found", "there is no such request or grant")
CHANGED: Final = No("conflict", "it was changed by somebody else meanwhile", "look at it again")
Step = Callable[[sqlite3.Connection], object]


class _ChangedError(Exception):
    """The state, or the generation that was to be raised, is another than the one that was decided on."""


def entry_of(
    writer: Writer, vault: VaultId, grant: GrantId, what: What, kinds: tuple[str, ...] = (), note: str = ""
) -> Entry:
    """A ledger entry about a request or grant, as of now."""
    row = writer.file(vault).row("SELECT brand FROM grant_ WHERE id = ?", (grant,))
    return Entry(writer.clock(), what, grant=grant.text, brand=BrandId(row[0]).text, kinds=kinds, note=note)


def move_to(
    writer: Writer,
    vault: VaultId,
    grant: GrantId,
    before: GrantState,
    after: GrantState,
    entry: Entry,
    *steps: Step,
    ends: Collection[GrantId] = (),
    narrows: bool = False,
) -> No | None:
    """Go from one state to another with these steps; ``narrows`` raises the generation, as ``ends`` does.

    Raises:
        Unavailable: as ``Writer.transact``.
    """
    generation = writer.file(vault).generation()

    def change(connection: sqlite3.Connection) -> None:
        if not still(connection, grant, before, generation):
            raise _ChangedError
        connection.execute("UPDATE grant_ SET state = ? WHERE id = ?", (msgspec.msgpack.encode(after), grant))

    raised = generation + 1 if narrows or ends else None
    try:
        writer.transact(vault, entry, change, *steps, ends=ends, generation=raised)
    except _ChangedError:
        return CHANGED
    return None


def still(connection: sqlite3.Connection, grant: GrantId, state: GrantState, generation: int) -> bool:
    """Whether nothing changed since it was decided, asked within the transaction."""
    (packed,) = connection.execute("SELECT state FROM grant_ WHERE id = ?", (grant,)).fetchone()
    (raised,) = connection.execute("SELECT generation FROM vault").fetchone()
    return bool(STATE.decode(packed) == state and raised == generation)


def end(writer: Writer, vault: VaultId, grant: GrantId, event: Event, what: What) -> No | None:
    """Any transition after which nothing can be read: state, ledger and generation; then the live file."""
    state = writer.file(vault).state(grant)
    if state is None:
        return NOT_HERE
    after = advance(state, event)
    if isinstance(after, Refusal):
        return No("conflict", after.reason)
    no = move_to(
        writer,
        vault,
        grant,
        state,
        after,
        entry_of(writer, vault, grant, what, note=getattr(after, "why", "")),
        lambda c: c.execute("UPDATE grant_ SET wrapped_seed = x'' WHERE id = ?", (grant,)),
        lambda c: c.execute("DELETE FROM grant_box WHERE grant_ = ?", (grant,)),
        ends=[grant],
    )
    if no is None:
        writer.state(vault).open.dismiss(grant)
    return no
