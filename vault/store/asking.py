"""Requests: what a brand puts before the person, and what standing rules answer at once."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from policies.grant import Active, Denied, Ended, GrantState, Paused, Pending, Preparing
from vault.errors import VaultError
from vault.grantkey import Slot
from vault.ids import BrandId, GrantId, TouchpointId, VaultId
from vault.ledger import Entry, What
from vault.store import rules
from vault.store.records import No
from vault.store.writer import Writer
from vault.suite import check_public

_NEW = (
    "INSERT INTO grant_ (id, brand, touchpoint, public, wrapped_seed, state, ask, binding_message, asked,"
    " expires, rule) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Request(msgspec.Struct, frozen=True):
    """A brand's request with the keys drawn for it."""

    grant: GrantId
    touchpoint: TouchpointId
    brand: BrandId
    public: bytes
    wrapped_seed: bytes
    slot: Slot
    ask: bytes
    binding_message: str
    expires: int


def ask(writer: Writer, request: Request) -> No | None:
    """Put a request before the rules, then before the person; an unknown, ended or foreign touchpoint all
    look alike, and so do, to the brand, a no of a rule and one of the person."""
    unknown = No("not_found", "there is no such touchpoint")
    vault = writer.registry.locate(request.touchpoint)
    if vault is None:
        return unknown
    file, now = writer.file(vault), writer.now()
    row = file.row("SELECT brand, ended FROM touchpoint WHERE id = ?", (request.touchpoint,))
    if row is None or row[0] != request.brand or row[1] is not None:
        return unknown
    waiting = file.rows("SELECT id FROM grant_ WHERE touchpoint = ?", (request.touchpoint,))
    states = [file.state(GrantId(grant)) for (grant,) in waiting]
    if any(isinstance(state, Pending) and now < state.expires for state in states):
        return No("conflict", "a request at this touchpoint waits for its answer", "poll the one you have")
    try:
        check_public(request.public)
    except VaultError:  # found now, and not in a commit that others share
        return No("invalid", "nothing can be sealed to this request's key")
    if file.state(request.grant) is not None or not writer.registry.place(request.grant, vault):
        return No("conflict", "this id is taken")
    answered = rules.answer(file, request.brand, request.ask, now)
    if answered is None or (isinstance(answered.state, Active) and any(map(_stands_against, states))):
        _store(writer, vault, request, now, Pending(now, request.expires), [])
        return None
    kinds = answered.state.terms.kinds if isinstance(answered.state, Active) else ()
    entries = [_entry(request, now, answered.what, answered.note, kinds)]
    _store(writer, vault, request, now, answered.state, entries, answered.rule)
    return None


def _stands_against(state: GrantState | None) -> bool:
    """Whether an earlier grant at a touchpoint keeps rules from saying yes again: the owner is asked instead.

    One that lives is enough, and what the owner revoked is not given back by asking again.
    """
    revoked = isinstance(state, Ended) and state.why == "revoked"
    return revoked or isinstance(state, Preparing | Active | Paused)


def _store(
    writer: Writer,
    vault: VaultId,
    request: Request,
    now: int,
    state: GrantState,
    entries: list[Entry],
    rule: bytes | None = None,
) -> None:
    denied = isinstance(state, Denied)  # nothing is ever sealed to it, so there is nothing to keep
    values = (
        request.grant,
        request.brand,
        request.touchpoint,
        request.public,
        b"" if denied else request.wrapped_seed,
        msgspec.msgpack.encode(state),
        request.ask,
        request.binding_message,
        now,
        request.expires,
        rule,
    )
    if not denied:
        writer.live.create_slot(vault, request.grant, request.slot)
    try:
        writer.transact(vault, _entry(request, now, "asked"), lambda c: c.execute(_NEW, values), more=entries)
    except VaultError:
        with suppress(VaultError):  # if this fails, too, it is done when the vault is next opened
            writer.live.erase_slot(vault, request.grant)
        raise
    if rule is not None and (reader := writer.file(vault).live_grant(request.grant)):
        writer.state(vault).open.admit(reader)


def _entry(request: Request, now: int, what: What, note: str = "", kinds: tuple[str, ...] = ()) -> Entry:
    return Entry(now, what, grant=request.grant.text, brand=request.brand.text, kinds=kinds, note=note)
