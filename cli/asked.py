"""Requests and grants as rows: found by id, told by status, written for programs."""

from __future__ import annotations

from typing import Any

from cli.draft import kinds_of
from cli.errors import ConflictError
from cli.session import pick
from cli.standing import asks_of
from cli.times import rfc3339
from gateway import wire
from gateway.client.session import Session
from policies.grant import Active, Denied, Ended, GrantState, Lapsed, Paused, Pending, Preparing
from policies.purposes import purposes
from policies.request import format_details
from vault.ids import BrandId, GrantId
from vault.store.records import GrantRow

HINT = "see: hypertouch request list"
ANSWERED = "this request was answered already"


def fetch(session: Session) -> list[GrantRow]:
    """Every request and grant, newest first."""
    return session.ask(wire.GetGrants(), wire.Grants).grants


def find(session: Session, text: str) -> GrantRow:
    """The request or grant with this id; raises NotFoundError, UsageError."""
    return pick(fetch(session), text, lambda row: GrantId(row.grant), "request", HINT)


def is_waiting(row: GrantRow, now: int) -> bool:
    """Whether the person can still say yes: not answered, or cut off while answering."""
    match row.state:
        case Pending(expires=expires):
            return now < expires
        case Preparing():
            return True
        case _:
            return False


def require_waiting(row: GrantRow, now: int) -> None:
    """Return if it can be approved; raises ConflictError."""
    if not is_waiting(row, now):
        lapsed = isinstance(row.state, Pending | Lapsed)
        what = "the time to answer this request is over" if lapsed else ANSWERED
        raise ConflictError(what, "" if lapsed else f"it is {status_of(row.state)}")


def status_of(state: GrantState) -> str:
    """One word."""
    match state:
        case Pending():
            return "pending"
        case Preparing():
            return "preparing"
        case Active():
            return "active"
        case Paused():
            return "paused"
        case Denied():
            return "denied"
        case Lapsed():
            return "lapsed"
        case Ended(why=why):
            return why


def why_of(row: GrantRow) -> str:
    """The brand's words, or its purpose's."""
    first = asks_of(row)[0]
    return first.purpose_text or purposes().label(first.purpose)


def row_of(row: GrantRow, status: str = "") -> dict[str, Any]:
    """A request for programs, with this status or its own."""
    asks = asks_of(row)
    expires = row.state.expires if isinstance(row.state, Pending) else None
    return {
        "request": GrantId(row.grant).text,
        "short": GrantId(row.grant).short,
        "brand": row.brand_name,
        "brand_id": BrandId(row.brand).text,
        "site": row.brand_site,
        "kinds": list(kinds_of(asks)),
        "purpose": asks[0].purpose,
        "purpose_text": asks[0].purpose_text,
        "message": row.binding_message,
        "asked": rfc3339(row.asked),
        "expires": None if expires is None else rfc3339(expires),
        "status": status or status_of(row.state),
        "details": format_details(asks),
    }
