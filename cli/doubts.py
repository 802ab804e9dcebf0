"""Grants in force of which nothing shows that the person gave them: told wherever grants are listed."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from cli.ask import say
from cli.asked import status_of
from cli.errors import RefusedError
from cli.render import count
from gateway.client.answered import doubtful
from gateway.client.session import Session
from vault.ids import GrantId
from vault.store.records import GrantRow

UNPROVEN: Final = "unproven"  # the status of such a grant
FEW: Final = 4  # lines about them


def doubted(session: Session, rows: Iterable[GrantRow]) -> frozenset[bytes]:
    """The ids of such grants among these; a line about each goes to stderr."""
    found = doubtful(session, rows)
    for row in found[:FEW]:
        say(f"note  {doubt(row)}: hypertouch {end(row)}")
    if len(found) > FEW:
        say(f"note  and {count(len(found) - FEW, 'more grant')} like that: hypertouch grant list")
    return frozenset(row.grant for row in found)


def doubt(row: GrantRow) -> str:
    """What is wrong with one."""
    if row.rule is not None:
        return f"{GrantId(row.grant).short} says that a rule of yours gave it, and your rules do not"
    return f"{GrantId(row.grant).short} says that you gave it, and you did not sign it"


def end(row: GrantRow) -> str:
    """The command that ends it."""
    return f"grant revoke {GrantId(row.grant).short}"


def status_in(row: GrantRow, doubts: Set[bytes]) -> str:
    """One word."""
    return UNPROVEN if row.grant in doubts else status_of(row.state)


def require_given(session: Session, row: GrantRow) -> None:
    """Return unless it is such a grant; raises RefusedError."""
    if doubtful(session, [row]):
        raise RefusedError(doubt(row), f"end it: hypertouch {end(row)}")
