"""From a token to a permit, and from a permit to its entry in the ledger: what every release goes through.

The order is the point.  Keys open only for who holds the token; something is released only against a permit;
its entry in the ledger is durable before its first byte leaves; and whether the grant is still in force, and
gives the same, is looked up once more after that, so that a revocation, a pause or a narrowing is never later
than one page.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from gateway.door import errors
from gateway.door.context import Door, Held
from gateway.door.errors import ProblemError
from gateway.wire import Count, Counted, FirstUse, Flush, Record, Refused
from policies.decide import Permit, Read, decide
from policies.grant import Preparing
from vault.errors import FormatError, SealError
from vault.grantkey import grant_of_token
from vault.ids import BrandId, GrantId
from vault.ledger import Entry
from vault.store.release import GrantKeys
from vault.store.sector import Frozen


def authenticate(door: Door, token: str, source: str) -> Held:
    """Whoever unwraps the grant's key holds its token.

    Raises:
        ProblemError: it opens nothing, whatever the reason; too many such tokens from this address; or too
            many requests under this grant.
    """
    now = door.clock()
    wait = door.failures.wait(("token", source), now)
    if wait:
        raise errors.slow(wait)
    try:
        grant = grant_of_token(token)
    except FormatError:
        door.failures.charge(("token", source), now)
        raise errors.invalid_token() from None
    vault = door.reader.locate(grant)
    held = door.hold(token, vault, grant) if vault else None
    if held is None:
        door.failures.charge(("token", source), now)
        raise _refused(door, grant, "token")
    wait = door.grants.take(grant, now)
    if wait:
        raise errors.slow(wait)
    return held


def permit(door: Door, held: Held, read: Read, used: int = 0) -> Permit:
    """What may be released now, after ``used`` uses; raises ProblemError."""
    now = door.now()
    if door.reader.clock().frozen is not Frozen.NO:
        raise errors.frozen()
    decided = decide(read, held.row.state, now, used=used)
    if isinstance(decided, Permit):
        return decided
    match decided.code:
        case "invalid_request":
            raise errors.bad_query(decided.reason)
        case "not_active" if isinstance(held.row.state, Preparing):
            door.forget(held.grant)
            raise errors.changing()
    say = {
        "insufficient_scope": errors.insufficient_scope,
        "answers_only": errors.answers_only,
        "used_up": errors.used_up,
        "paused": errors.paused,
    }.get(decided.code)
    if say is None:
        raise _refused(door, held.grant, decided.code)
    if decided.code == "paused":
        door.forget(held.grant)
    door.refusals.note(held.grant, held.row.brand, decided.code, now)
    raise say()


async def catch_up(door: Door, held: Held) -> None:
    """Make the node move what it acknowledged; a token that is used can be picked up no more."""
    if any(held.slot.pickup_salt):
        await door.tell(FirstUse(held.grant))
    await door.tell(Flush(held.vault))


async def count_use(door: Door, held: Held) -> int:
    """Begin a use: its number, 1 for the first; raises ProblemError."""
    reply = await door.ask(Count(held.grant, "use"))
    match reply:
        case Counted(number=number):
            return number
        case Refused(code="used_up"):
            door.refusals.note(held.grant, held.row.brand, "used_up", door.clock())
            raise errors.used_up()
        case _:
            raise errors.unavailable()


async def count_answer(door: Door, held: Held) -> Counted:
    """Take one answer of the day's; raises ProblemError."""
    reply = await door.ask(Count(held.grant, "answer"))
    match reply:
        case Counted():
            return reply
        case Refused(code="used_up", retry_after=wait):
            door.refusals.note(held.grant, held.row.brand, "budget", door.clock())
            raise errors.budget_exhausted(max(1, wait))
        case _:
            raise errors.unavailable()


@contextmanager
def opened(door: Door, held: Held) -> Iterator[GrantKeys]:
    """The grant's keys, while something is read with them; raises ProblemError."""
    try:
        yield door.keys.keys(held.owner, held.grant, held.recipient, held.row.state, door.clock())
    except SealError:
        # Boxes or chunks went away under us: the grant has just ended or changed, or the file is damaged.
        now = _look_again(door, held)
        if now.row.state != held.row.state:
            raise errors.changing(1) from None
        raise errors.unavailable() from None


async def account(door: Door, held: Held, read: Read, allowed: Permit, readings: int, note: str = "") -> None:
    """Tell the person; after this the answer may leave.

    Raises:
        ProblemError: it cannot be told, or the grant does not give this any more.
    """
    kinds = tuple(sorted({selector.kind for selector in allowed.selectors}))
    entry = Entry(
        door.clock(),
        "read",
        grant=held.grant.text,
        brand=BrandId(held.row.brand).text,
        kinds=kinds,
        since=allowed.data_from,
        until=allowed.data_until,
        readings=readings,
        note=note,
    )
    await door.tell(Record(held.grant, entry))
    if permit(door, _look_again(door, held), read) != allowed:
        door.forget(held.grant)
        raise errors.changing(1)
    door.serve(held.grant)


def _look_again(door: Door, held: Held) -> Held:
    """The grant as it is now; it may have ended while the page was made. Raises ProblemError."""
    slot, row = door.reader.slot(held.vault, held.grant), door.reader.grant(held.vault, held.grant)
    if slot is None or row is None or slot.pepper != held.slot.pepper:
        raise _refused(door, held.grant, "ended")
    return msgspec.structs.replace(held, row=row, slot=slot)


def _refused(door: Door, grant: GrantId, why: str) -> ProblemError:
    """Unknown, expired and revoked are one answer; that somebody tried is told to whose grant it is."""
    found = door.find(grant)
    if found is not None:
        door.refusals.note(grant, found[1].brand, why, door.clock())
        if why != "token" or door.in_force(grant) is None:
            door.forget(grant)
    return errors.invalid_token()
