"""What time brings: requests lapse, pick-ups close, and grants that are over, used up or unused end."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Final

from policies.grant import (
    USE_MS,
    Active,
    Disuse,
    Event,
    Exhaust,
    Expire,
    GrantState,
    Lapse,
    Pending,
    Refusal,
    advance,
)
from vault.bucket import DAY_MS
from vault.ids import GrantId, VaultId
from vault.store.records import STATE
from vault.store.sector import Frozen
from vault.store.transition import end
from vault.store.writer import Writer

PICKUP_MS: Final = 15 * 60_000  # after the first pick-up the same token is given again, then never
ERASE_AFTER_MS: Final = 24 * 3_600_000  # of uptime after a grant is over: one clock glitch destroys nothing
_HELD: Final = (
    "SELECT id, state, picked_up, expires, overdue, last_used FROM grant_ WHERE length(wrapped_seed) > 0"
)


def tick(writer: Writer, vault: VaultId) -> None:
    """End what is over, for a day of uptime where the clock alone says so; nothing while it is in doubt."""
    mark, now = writer.live.clock(), writer.now()
    if mark.frozen is not Frozen.NO:
        return
    rows = writer.file(vault).rows(_HELD)
    for raw, packed, handed_out, expires, overdue, last_used in rows:
        grant = GrantId(raw)
        state = STATE.decode(packed)
        closed = now >= expires or (handed_out is not None and now > handed_out + PICKUP_MS)
        if closed and writer.live.has_pickup(vault, grant):
            writer.live.erase_pickup(vault, grant)
        if isinstance(state, Pending) and now >= state.expires:
            end(writer, vault, grant, Lapse(now), "lapsed")
        elif _used_up(writer, vault, grant, state, now):
            end(writer, vault, grant, Exhaust(now), "ended")
        else:
            event = _over(state, last_used, now)
            if event is not None and overdue is not None and mark.uptime - overdue >= ERASE_AFTER_MS:
                end(writer, vault, grant, event, "ended")
            elif (event is not None) != (overdue is not None):
                since = mark.uptime if event is not None else None
                writer.transact(vault, None, partial(_overdue, grant=grant, uptime=since))


def _over(state: GrantState, last_used: int | None, now: int) -> Event | None:
    """How a grant ends that is over by the clock; None: it is not, or it is none.

    A day counts as used until its end, so that nobody loses a part of the 90 days by the hour of a read.
    """
    used = 0 if last_used is None else last_used + DAY_MS
    events: tuple[Event, ...] = (Expire(now), Disuse(now, used))
    return next((event for event in events if not isinstance(advance(state, event), Refusal)), None)


def _used_up(writer: Writer, vault: VaultId, grant: GrantId, state: GrantState, now: int) -> bool:
    """Whether the last use that the terms allow is over, its further pages included."""
    if not isinstance(state, Active) or state.terms.uses is None:
        return False
    counter = writer.live.counter(vault, grant)
    return counter.uses >= state.terms.uses and now >= counter.began + USE_MS


def _overdue(connection: sqlite3.Connection, grant: GrantId, uptime: int | None) -> None:
    connection.execute("UPDATE grant_ SET overdue = ? WHERE id = ?", (uptime, grant))
