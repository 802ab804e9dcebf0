"""Requests and grants: each transition of ``policies.grant`` with its ledger entry, in one transaction.

``policies`` says what follows; here it is applied, sealed, and undone in the order that makes it final.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from policies.errors import RequestError
from policies.grant import (
    Active,
    Approve,
    Commit,
    Deny,
    Event,
    Expire,
    GrantState,
    Lapse,
    Pending,
    Preparing,
    Refusal,
    Return,
    Revoke,
    advance,
    ask_hash,
    terms_hash,
)
from policies.kinds import catalogue
from policies.narrow import exceeds
from policies.purposes import purposes
from policies.request import parse_details
from vault.errors import VaultError
from vault.grantkey import Slot
from vault.ids import ID_SIZE, BrandId, GrantId, TouchpointId, VaultId
from vault.ledger import Entry, What
from vault.statement import GrantStatement, Signed, verify
from vault.store.errors import unavailable
from vault.store.lanes import DAY_MS, LiveGrant
from vault.store.live import Frozen
from vault.store.person import PersonFile
from vault.store.reading import segment_rows
from vault.store.records import No, SegmentRow
from vault.store.writer import Writer
from vault.suite import check_public

PICKUP_MS: Final = 15 * 60_000  # after the first pick-up the same token is given again, then never
ERASE_AFTER_MS: Final = 24 * 3_600_000  # of uptime after access_until: one clock glitch destroys nothing
NOT_HERE: Final = No("not_found", "there is no such request or grant")


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


class Prepared(msgspec.Struct, frozen=True):
    """Where the history lies that the owner may now seal to the grant."""

    segments: list[SegmentRow]
    last_seq: int


def ask(writer: Writer, request: Request) -> No | None:
    """Put a request before the person; an unknown, ended or foreign touchpoint all look alike."""
    unknown = No("not_found", "there is no such touchpoint")
    vault = writer.registry.locate(request.touchpoint)
    if vault is None:
        return unknown
    file, now = writer.file(vault), writer.now()
    row = file.row("SELECT brand, ended FROM touchpoint WHERE id = ?", (request.touchpoint,))
    if row is None or row[0] != request.brand or row[1] is not None:
        return unknown
    waiting = file.rows("SELECT id FROM grant_ WHERE touchpoint = ?", (request.touchpoint,))
    states = (file.state(GrantId(grant)) for (grant,) in waiting)
    if any(isinstance(state, Pending) and now < state.expires for state in states):
        return No("conflict", "a request at this touchpoint waits for its answer", "poll the one you have")
    try:
        check_public(request.public)
    except VaultError:  # found now, and not in a commit that others share
        return No("invalid", "nothing can be sealed to this request's key")
    if file.state(request.grant) is not None or not writer.registry.place(request.grant, vault):
        return No("conflict", "this id is taken")
    values = (
        request.grant,
        request.brand,
        request.touchpoint,
        request.public,
        request.wrapped_seed,
        msgspec.msgpack.encode(Pending(now, request.expires)),
        request.ask,
        request.binding_message,
        now,
        request.expires,
    )
    writer.live.create_slot(vault, request.grant, request.slot)
    try:
        writer.transact(
            vault,
            Entry(now, "asked", grant=request.grant.text, brand=request.brand.text),
            lambda c: c.execute(
                "INSERT INTO grant_ VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL)", values
            ),
        )
    except VaultError:
        with suppress(VaultError):  # if this fails, too, it is done when the vault is next opened
            writer.live.erase_slot(vault, request.grant)
        raise
    return None


def prepare(writer: Writer, vault: VaultId, grant: GrantId, signed: Signed) -> Prepared | No:
    """Verify an approval, rotate, and seal forward from now; the same statement again resumes."""
    file = writer.file(vault)
    row = file.row("SELECT public, ask, asked, statement FROM grant_ WHERE id = ?", (grant,))
    state = file.state(grant)
    if row is None or state is None:
        return NOT_HERE
    public, details, asked, before = row
    try:
        statement = verify(file.vault.verify_key, vault, signed)
    except VaultError:
        return No("not_authorised", "the approval is not signed by this vault's owner")
    if not isinstance(statement, GrantStatement):
        return No("invalid", "not the approval of a request")
    encoded = msgspec.msgpack.encode(signed)
    resumed = isinstance(state, Preparing) and before == encoded
    answered = state.approved if isinstance(state, Preparing) and resumed else writer.now()
    if (no := _answers(statement, grant, public, details, asked, answered)) is not None:
        return no
    if not resumed:
        if statement.generation != file.generation():
            return No(
                "conflict", "the vault changed since the request was shown", "look at the request again"
            )
        after = advance(state, Approve(writer.now(), statement.terms))
        if isinstance(after, Refusal):
            return No("conflict", after.reason)
        entry = _entry(writer, vault, grant, "approved", statement.terms.kinds)
        _store(writer, vault, grant, after, entry, statement=encoded)
        writer.state(vault).open.admit(LiveGrant.of(grant, public, statement.terms))
    writer.move(vault)
    terms = statement.terms
    days = terms.data_from * 1000 // DAY_MS, (terms.data_until * 1000 - 1) // DAY_MS
    with unavailable("a vault's file is damaged"):
        segments = segment_rows(writer.file(vault).connection, *days)
    return Prepared(segments, writer.state(vault).next_seq - 1)


def commit(writer: Writer, vault: VaultId, grant: GrantId, boxes: list[tuple[bytes, bytes]]) -> No | None:
    """Add the boxes of history; only now is the grant active."""
    file = writer.file(vault)
    state = file.state(grant)
    if state is None:
        return NOT_HERE
    after = advance(state, Commit(writer.now()))
    if isinstance(after, Refusal):
        return No("conflict", after.reason)
    for segments, _ in boxes:
        if not segments or not all(_given(file, segment, after) for segment in _split(segments)):
            return No("refused", "a box names a segment outside the approved time")
    values = [(grant, segments, box) for segments, box in boxes]
    _store(
        writer,
        vault,
        grant,
        after,
        _entry(writer, vault, grant, "active"),
        lambda c: c.executemany("INSERT INTO grant_box (grant_, segments, box) VALUES (?, ?, ?)", values),
    )
    return None


def deny(writer: Writer, vault: VaultId, grant: GrantId, reason: str) -> No | None:
    """No."""
    return end(writer, vault, grant, Deny(writer.now(), reason), "denied")


def revoke(writer: Writer, vault: VaultId, grant: GrantId) -> No | None:
    """The owner ends it; final when this returns."""
    return end(writer, vault, grant, Revoke(writer.now()), "ended")


def give_back(writer: Writer, vault: VaultId, grant: GrantId) -> No | None:
    """The brand ends it."""
    return end(writer, vault, grant, Return(writer.now()), "ended")


def end(writer: Writer, vault: VaultId, grant: GrantId, event: Event, what: What) -> No | None:
    """Any transition after which nothing can be read: state, ledger and generation; then the live file."""
    state = writer.file(vault).state(grant)
    if state is None:
        return NOT_HERE
    after = advance(state, event)
    if isinstance(after, Refusal):
        return No("conflict", after.reason)
    entry = _entry(writer, vault, grant, what, note=getattr(after, "why", ""))
    _store(
        writer,
        vault,
        grant,
        after,
        entry,
        lambda c: c.execute("UPDATE grant_ SET wrapped_seed = x'' WHERE id = ?", (grant,)),
        lambda c: c.execute("DELETE FROM grant_box WHERE grant_ = ?", (grant,)),
        ends=[grant],
    )
    writer.state(vault).open.dismiss(grant)
    return None


def picked_up(writer: Writer, vault: VaultId, grant: GrantId) -> None:
    """The token was handed out; the first time is remembered and told."""
    file, now = writer.file(vault), writer.now()
    row = file.row("SELECT picked_up FROM grant_ WHERE id = ?", (grant,))
    if row is not None and row[0] is None:
        writer.transact(
            vault,
            _entry(writer, vault, grant, "picked up"),
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


def tick(writer: Writer, vault: VaultId) -> None:
    """What time brings: requests lapse, pick-ups close, and grants over for a day of uptime are erased.

    Nothing while the clock cannot be believed.
    """
    mark, now = writer.live.clock(), writer.now()
    if mark.frozen is not Frozen.NO:
        return
    file = writer.file(vault)
    rows = file.rows("SELECT id, picked_up, expires, overdue FROM grant_ WHERE length(wrapped_seed) > 0")
    for raw, handed_out, expires, overdue in rows:
        grant = GrantId(raw)
        state = file.state(grant)
        closed = now >= expires or (handed_out is not None and now > handed_out + PICKUP_MS)
        if closed and writer.live.has_pickup(vault, grant):
            writer.live.erase_pickup(vault, grant)
        if isinstance(state, Pending) and now >= state.expires:
            end(writer, vault, grant, Lapse(now), "lapsed")
        elif isinstance(state, Preparing | Active):
            over = now >= state.terms.access_until * 1000
            if over and overdue is not None and mark.uptime - overdue >= ERASE_AFTER_MS:
                end(writer, vault, grant, Expire(now), "ended")
            elif over != (overdue is not None):
                since = mark.uptime if over else None
                writer.transact(vault, None, partial(_overdue, grant=grant, uptime=since))


def _overdue(connection: sqlite3.Connection, grant: GrantId, uptime: int | None) -> None:
    connection.execute("UPDATE grant_ SET overdue = ? WHERE id = ?", (uptime, grant))


def _answers(
    statement: GrantStatement, grant: GrantId, public: bytes, details: bytes, asked: int, answered: int
) -> No | None:
    """Why a statement is no answer to this request; None: it is."""
    try:
        asks = parse_details(details, catalogue(), purposes(), asked // 1000)
    except RequestError:
        return No("refused", "the request cannot be read any more", "let the brand ask again")
    shown = terms_hash(ask_hash(asks), statement.terms)
    signed = statement.grant, statement.key_hash, statement.terms_hash
    if signed != (grant.text, hashlib.sha256(public).digest(), shown):
        return No(
            "refused", "the approval is of other terms than this request's", "look at the request again"
        )
    wider = exceeds(asks, statement.terms, answered_s=answered // 1000)
    return No("refused", wider.reason) if wider is not None else None


def _split(segments: bytes) -> Iterator[bytes]:
    return (segments[at : at + ID_SIZE] for at in range(0, len(segments), ID_SIZE))


def _given(file: PersonFile, segment: bytes, state: GrantState) -> bool:
    """Whether a segment holds readings of a day that was approved."""
    row = file.row("SELECT day FROM segment WHERE id = ? AND ledger = 0", (segment,))
    if row is None or not isinstance(state, Active):
        return False
    since, until = state.terms.data_from * 1000, state.terms.data_until * 1000
    return bool(since // DAY_MS <= row[0] <= (until - 1) // DAY_MS)


def _entry(
    writer: Writer, vault: VaultId, grant: GrantId, what: What, kinds: tuple[str, ...] = (), note: str = ""
) -> Entry:
    row = writer.file(vault).row("SELECT brand FROM grant_ WHERE id = ?", (grant,))
    return Entry(writer.clock(), what, grant=grant.text, brand=BrandId(row[0]).text, kinds=kinds, note=note)


def _store(
    writer: Writer,
    vault: VaultId,
    grant: GrantId,
    state: GrantState,
    entry: Entry,
    *steps: Callable[[sqlite3.Connection], object],
    statement: bytes | None = None,
    ends: list[GrantId] | None = None,
) -> None:
    def keep(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE grant_ SET state = ? WHERE id = ?", (msgspec.msgpack.encode(state), grant))
        if statement is not None:
            connection.execute("UPDATE grant_ SET statement = ? WHERE id = ?", (statement, grant))

    writer.transact(vault, entry, keep, *steps, ends=ends or [])
