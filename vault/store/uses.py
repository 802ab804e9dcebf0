"""How a grant is used: pick-up, first use, when it was last read, and what its terms count.

A count is durable before what it counts leaves, so that no crash gives a use or an answer twice.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from policies.grant import DEFAULT_BUDGET, Active
from policies.terms import Terms
from vault.bucket import DAY_MS
from vault.ids import GrantId, VaultId
from vault.store.records import No
from vault.store.sector import Counter
from vault.store.transition import NOT_HERE, entry_of
from vault.store.writer import Writer

BLOCK: Final = 4  # answers that one write of the live file reserves; a crash loses fewer


class Counted(msgspec.Struct, frozen=True):
    """Which use this is, or which answer of the day; ``left`` after it, None: no terms limit them."""

    number: int
    left: int | None


class UsedUp(msgspec.Struct, frozen=True):
    """There is none left; ``wait`` is in how many seconds there will be: 0, never."""

    wait: int = 0


def count(
    writer: Writer, vault: VaultId, grant: GrantId, what: Literal["use", "answer"]
) -> Counted | UsedUp | No:
    """Count one use of a grant in force, or one answer; durable when it returns.

    Raises:
        Unavailable: it is not known whether it is counted; nothing may leave.
    """
    state = writer.file(vault).state(grant)
    if state is None:
        return NOT_HERE
    if not isinstance(state, Active):
        return No("refused", "the grant is not in force")
    now, counter = writer.now(), writer.live.counter(vault, grant)
    if what == "use":
        limit = state.terms.uses
        if limit is not None and counter.uses >= limit:
            return UsedUp()
        used = msgspec.structs.replace(counter, uses=counter.uses + 1, began=now)
        writer.live.set_counter(vault, grant, used)
        return Counted(used.uses, None if limit is None else limit - used.uses)
    return _answer(writer, vault, grant, budget_of(state.terms), counter, now)


def budget_of(terms: Terms) -> int | None:
    """The answers of a UTC day that terms give; None: as many as the brand likes."""
    if terms.budget is None and terms.mode == "answer":
        return DEFAULT_BUDGET
    return terms.budget


def _answer(
    writer: Writer, vault: VaultId, grant: GrantId, budget: int | None, counter: Counter, now: int
) -> Counted | UsedUp:
    """One answer of today; the day of a counter never goes back, as ``Writer.now`` does not."""
    day = now // DAY_MS
    if counter.day != day:
        counter = msgspec.structs.replace(counter, day=day, answers=0)
    given = writer.live.answered(grant, counter)
    if budget is not None and given >= budget:
        return UsedUp(-(-((day + 1) * DAY_MS - now) // 1000))
    if given >= counter.answers:
        reserved = given + BLOCK if budget is None else min(given + BLOCK, budget)
        writer.live.set_counter(vault, grant, msgspec.structs.replace(counter, answers=reserved))
    writer.live.note_answer(grant, day, given + 1)
    return Counted(given + 1, None if budget is None else budget - given - 1)


def picked_up(writer: Writer, vault: VaultId, grant: GrantId) -> None:
    """The token was handed out; the first time is remembered and told."""
    file, now = writer.file(vault), writer.now()
    row = file.row("SELECT picked_up FROM grant_ WHERE id = ?", (grant,))
    if row is not None and row[0] is None:
        writer.transact(
            vault,
            entry_of(writer, vault, grant, "picked up"),
            lambda c: c.execute("UPDATE grant_ SET picked_up = ? WHERE id = ?", (now, grant)),
        )


def first_use(writer: Writer, vault: VaultId, grant: GrantId) -> None:
    """The token was used: it can be picked up no more."""
    file, now = writer.file(vault), writer.now()
    writer.live.erase_pickup(vault, grant)
    row = file.row("SELECT used FROM grant_ WHERE id = ?", (grant,))
    if row is not None and row[0] is None:
        writer.transact(
            vault, None, lambda c: c.execute("UPDATE grant_ SET used = ? WHERE id = ?", (now, grant))
        )


def was_read(writer: Writer, vault: VaultId, grant: GrantId) -> None:
    """Remember to the day when a grant was read, so that an unused one can end; it writes once a day."""
    day = writer.now() // DAY_MS * DAY_MS
    row = writer.file(vault).row("SELECT last_used FROM grant_ WHERE id = ?", (grant,))
    if row is not None and (row[0] is None or row[0] < day):
        writer.transact(
            vault, None, lambda c: c.execute("UPDATE grant_ SET last_used = ? WHERE id = ?", (day, grant))
        )
