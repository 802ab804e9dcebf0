"""Blackouts: times in which nothing is sealed to any grant, so that a gap looks like no data.

They are of event time, so what arrives late is kept back as well.  A blackout narrows every grant there is:
it raises the generation, and is in force when the call returns.
"""

from __future__ import annotations

from typing import Final

import msgspec

from policies.iso8601 import DAY, LAST_SECOND, MAX_DAYS
from policies.kinds import catalogue
from vault.ids import ID_SIZE, VaultId
from vault.ledger import Entry
from vault.store.records import No
from vault.store.writer import Writer

BLACKOUTS_MAX: Final = 256  # that are not over: every lane is held against them
SPAN_MAX: Final = MAX_DAYS * DAY  # seconds from now


def add_blackout(
    writer: Writer, vault: VaultId, blackout: bytes, since: int, until: int, kinds: list[str]
) -> No | None:
    """Keep back what has its event time in [since, until), seconds; the same again changes nothing."""
    file, now = writer.file(vault), writer.clock()
    known = catalogue()
    if len(blackout) != ID_SIZE or any(known.find(kind) is None for kind in kinds):
        return No("invalid", "a blackout names a kind that is not known here")
    if not 0 <= since < until <= min(now // 1000 + SPAN_MAX, LAST_SECOND):
        return No("invalid", "a blackout begins before it ends, at most ten years from now")
    named = msgspec.json.encode(sorted(set(kinds))).decode()
    there = file.row("SELECT since, until, kinds FROM blackout WHERE id = ?", (blackout,))
    if there is not None:
        return None if there == (since, until, named) else No("conflict", "this id is taken")
    (live,) = file.row("SELECT count(*) FROM blackout WHERE ended IS NULL AND until > ?", (now // 1000,))
    if live >= BLACKOUTS_MAX:
        return No("refused", "there are too many blackouts", "end some that you do not need")
    values = blackout, since, until, named, now
    past = since // DAY, (min(until, -(-now // 1000)) - 1) // DAY  # its days must be sealed anew by the owner
    writer.transact(
        vault,
        Entry(now, "blackout", kinds=tuple(sorted(set(kinds))), since=since, until=until, note="made"),
        lambda c: c.execute("INSERT INTO blackout VALUES (?, ?, ?, ?, ?, NULL)", values),
        lambda c: c.execute("UPDATE segment SET cut = 1 WHERE ledger = 0 AND day BETWEEN ? AND ?", past),
        generation=file.generation() + 1,
    )
    _rotate(writer, vault)
    return None


def end_blackout(writer: Writer, vault: VaultId, blackout: bytes) -> No | None:
    """Let readings of after now go to the grants again; what was kept back until now stays so."""
    file, now = writer.file(vault), writer.clock()
    row = file.row("SELECT since, until, kinds, ended FROM blackout WHERE id = ?", (blackout,))
    if row is None:
        return No("not_found", "there is no such blackout")
    since, until, named, ended = row
    if ended is not None or until * 1000 <= now:
        return No("conflict", "this blackout is over already")
    writer.transact(
        vault,
        Entry(
            now,
            "blackout",
            kinds=tuple(msgspec.json.decode(named, type=list[str])),
            since=since,
            until=until,
            note="ended",
        ),
        lambda c: c.execute("UPDATE blackout SET ended = ? WHERE id = ?", (now, blackout)),
    )
    _rotate(writer, vault)
    return None


def _rotate(writer: Writer, vault: VaultId) -> None:
    writer.state(vault).open.set_blackouts(writer.file(vault).blackouts())
