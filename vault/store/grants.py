"""Grants: each transition of ``policies.grant`` that a person or a brand asks for, one transaction each.

``policies`` says what follows; here it is applied, sealed, and undone in the order that makes it final.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import msgspec

from policies.errors import RequestError
from policies.grant import (
    Active,
    Approve,
    Commit,
    Deny,
    GrantState,
    Pause,
    Preparing,
    Refusal,
    Resume,
    Return,
    Revise,
    Revoke,
    advance,
)
from policies.kinds import catalogue
from policies.narrow import exceeds
from policies.purposes import purposes
from policies.request import parse_details
from policies.terms import Terms, ask_hash, terms_hash
from vault.bucket import DAY_MS
from vault.errors import VaultError
from vault.ids import ID_SIZE, GrantId, VaultId
from vault.segment import RAW
from vault.statement import GrantStatement, Signed, verify
from vault.store.errors import unavailable
from vault.store.person import PersonFile
from vault.store.reading import segment_rows
from vault.store.recipients import LiveGrant
from vault.store.records import No, SegmentRow
from vault.store.transition import NOT_HERE, end, entry_of, move_to
from vault.store.writer import Writer

_STALE: Final = No("conflict", "the vault changed since the request was shown", "look at the request again")
_OTHER: Final = No("conflict", "the grant changed since it was shown", "look at the grant again")
_UNSIGNED: Final = No("refused", "what is kept of this grant is not what its owner signed", "revoke it")


class Prepared(msgspec.Struct, frozen=True):
    """Where the history lies that the owner may now seal to the grant."""

    segments: list[SegmentRow]
    last_seq: int


class _Row(msgspec.Struct, frozen=True):
    public: bytes
    ask: bytes
    asked: int
    statement: bytes | None
    rule: bytes | None


def prepare(writer: Writer, vault: VaultId, grant: GrantId, signed: Signed) -> Prepared | No:
    """Verify an approval, or a change of a grant, rotate, and seal forward from now on by its terms.

    A change takes every box of the grant away; ``commit`` gives the history anew.  The same statement again
    resumes what was cut off.
    """
    file = writer.file(vault)
    found = file.row("SELECT public, ask, asked, statement, rule FROM grant_ WHERE id = ?", (grant,))
    state = file.state(grant)
    if found is None or state is None:
        return NOT_HERE
    row = _Row(*found)
    try:
        statement = verify(file.vault.verify_key, vault, signed)
    except VaultError:
        return No("not_authorised", "the approval is not signed by this vault's owner")
    if not isinstance(statement, GrantStatement):
        return No("invalid", "not the approval of a request")
    resumed = isinstance(state, Preparing) and row.statement == msgspec.msgpack.encode(signed)
    answered = state.approved if isinstance(state, Preparing) and resumed else writer.now()
    follows = resumed or bool(statement.predecessor)
    before = state.terms if follows and isinstance(state, Active | Preparing) else None
    if (no := _answers(statement, grant, row, answered, before)) is not None:
        return no
    if any(statement.terms.resolution_of(one) != RAW for one in statement.terms.selectors):
        writer.seal_now(vault)
    if not resumed and (no := _begin(writer, vault, grant, state, row, statement, signed)) is not None:
        return no
    writer.move(vault)
    terms = statement.terms
    days = terms.data_from * 1000 // DAY_MS, (terms.data_until * 1000 - 1) // DAY_MS
    with unavailable("a vault's file is damaged"):
        segments = segment_rows(writer.file(vault).connection, *days)
    return Prepared(segments, writer.state(vault).next_seq - 1)


def _begin(
    writer: Writer,
    vault: VaultId,
    grant: GrantId,
    state: GrantState,
    row: _Row,
    statement: GrantStatement,
    signed: Signed,
) -> No | None:
    """Write the first half of what a statement says."""
    now, terms, revises = writer.now(), statement.terms, bool(statement.predecessor)
    after = advance(state, Revise(now, terms) if revises else Approve(now, terms))
    if isinstance(after, Refusal):
        return No("conflict", after.reason)
    if revises and statement.predecessor != in_force(row.statement, row.rule):
        return _OTHER
    if statement.generation != writer.file(vault).generation():
        return _STALE
    kept = msgspec.msgpack.encode(signed), grant
    steps = [lambda c: c.execute("UPDATE grant_ SET statement = ?, rule = NULL WHERE id = ?", kept)]
    if revises:
        steps.append(lambda c: c.execute("DELETE FROM grant_box WHERE grant_ = ?", (grant,)))
    entry = entry_of(writer, vault, grant, "revised" if revises else "approved", terms.kinds)
    no = move_to(writer, vault, grant, state, after, entry, *steps, narrows=revises)
    if no is not None:
        return no
    open_vault = writer.state(vault).open
    open_vault.dismiss(grant)
    gaps = after.gaps if isinstance(after, Preparing) else ()
    open_vault.admit(LiveGrant.of(grant, row.public, terms, gaps))
    return None


def in_force(signed: bytes | None, rule: bytes | None) -> bytes:
    """What a change names as its predecessor: SHA-256 of the statement's body, or of the answer by rule."""
    if rule is not None:
        return hashlib.sha256(rule).digest()
    if signed is None:
        return b""
    with unavailable("a vault's file is damaged"):
        return hashlib.sha256(msgspec.msgpack.decode(signed, type=Signed).body).digest()


def commit(
    writer: Writer, vault: VaultId, grant: GrantId, boxes: list[tuple[bytes, bytes]], of: bytes
) -> No | None:
    """Add the boxes of history; only now is the grant active.

    ``of`` is SHA-256 of the body of the statement that was prepared: what was sealed by terms of before,
    and comes late, must not be added to a grant that was narrowed since.
    """
    file = writer.file(vault)
    state = file.state(grant)
    if state is None:
        return NOT_HERE
    after = advance(state, Commit(writer.now()))
    if isinstance(after, Refusal):
        return No("conflict", after.reason)
    if of != in_force(*file.row("SELECT statement, rule FROM grant_ WHERE id = ?", (grant,))):
        return _OTHER
    for segments, _ in boxes:
        if not segments or not all(_given(file, segment, after) for segment in _split(segments)):
            return No("refused", "a box names a segment outside the approved time")
    values = [(grant, segments, box) for segments, box in boxes]
    return move_to(
        writer,
        vault,
        grant,
        state,
        after,
        entry_of(writer, vault, grant, "active"),
        lambda c: c.executemany("INSERT INTO grant_box (grant_, segments, box) VALUES (?, ?, ?)", values),
    )


def pause(writer: Writer, vault: VaultId, grant: GrantId, *, paused: bool) -> No | None:
    """Let a grant rest, which is a narrowing, or go on: of the time between nothing is ever given."""
    file, now = writer.file(vault), writer.now()
    state = file.state(grant)
    if state is None:
        return NOT_HERE
    after = advance(state, Pause(now) if paused else Resume(now))
    if isinstance(after, Refusal):
        return No("conflict", after.reason)
    entry = entry_of(writer, vault, grant, "paused" if paused else "resumed")
    if paused:
        no = move_to(writer, vault, grant, state, after, entry, narrows=True)
        if no is None:
            writer.state(vault).open.dismiss(grant)
        return no
    reader = file.live_grant(grant, after)
    if reader is None:
        return _UNSIGNED
    no = move_to(writer, vault, grant, state, after, entry)
    if no is None:
        writer.state(vault).open.admit(reader)
    return no


def deny(writer: Writer, vault: VaultId, grant: GrantId, reason: str) -> No | None:
    """No."""
    return end(writer, vault, grant, Deny(writer.now(), reason), "denied")


def revoke(writer: Writer, vault: VaultId, grant: GrantId) -> No | None:
    """The owner ends it; final when this returns."""
    return end(writer, vault, grant, Revoke(writer.now()), "ended")


def give_back(writer: Writer, vault: VaultId, grant: GrantId) -> No | None:
    """The brand ends it."""
    return end(writer, vault, grant, Return(writer.now()), "ended")


def _answers(
    statement: GrantStatement, grant: GrantId, row: _Row, answered: int, before: Terms | None
) -> No | None:
    """Why a statement is no answer to this request; None: it is.

    ``before`` are the terms in force, which a change takes the place of: the history they give may stay.
    """
    try:
        asks = parse_details(row.ask, catalogue(), purposes(), row.asked // 1000)
    except RequestError:
        return No("refused", "the request cannot be read any more", "let the brand ask again")
    shown = terms_hash(ask_hash(asks), statement.terms)
    signed = statement.grant, statement.key_hash, statement.terms_hash
    if signed != (grant.text, hashlib.sha256(row.public).digest(), shown):
        return No(
            "refused", "the approval is of other terms than this request's", "look at the request again"
        )
    wider = exceeds(asks, statement.terms, answered_s=answered // 1000, before=before)
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
