"""An approval, or a change of one: a signed statement of the terms, and the keys of the history."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress

import msgspec

from gateway import wire
from gateway.client.answered import given_terms, read_statement
from gateway.client.errors import ConflictError
from gateway.client.history import Contents, history_keys, seal_history
from gateway.client.read import Archive
from gateway.client.rebuild import cut_days, rebuild
from gateway.client.recipients import Known, Reader, blackouts
from gateway.client.session import Session
from policies.grant import Active, Preparing
from policies.iso8601 import DAY
from policies.request import Ask
from policies.terms import Terms, ask_hash, terms_hash
from vault.ids import GrantId
from vault.segment import RAW
from vault.statement import GrantStatement, Signed, sign
from vault.store.records import GrantRow

Progress = Callable[[float], object]


def make_statement(row: GrantRow, asks: tuple[Ask, ...], terms: Terms, generation: int) -> GrantStatement:
    """What an approval signs: these terms, for this key, as the answer to exactly this request."""
    return GrantStatement(
        grant=GrantId(row.grant).text,
        key_hash=hashlib.sha256(row.public).digest(),
        terms=terms,
        terms_hash=terms_hash(ask_hash(asks), terms),
        generation=generation,
    )


def approve(
    session: Session,
    archive: Archive,
    row: GrantRow,
    asks: tuple[Ask, ...],
    terms: Terms,
    progress: Progress = lambda _: None,
) -> Terms:
    """Give exactly these terms; returns when the grant is active.

    Where they give less detail than every reading, buckets that a crash cut are made again first, which
    ``progress`` hears of from 0 to 1.

    Raises:
        ConflictError: it was answered, or it lapsed, meanwhile.
    """
    _complete(session, archive, terms, progress)
    return _sign(session, archive, row, make_statement(row, asks, terms, session.pins.generation))


def revise(
    session: Session,
    archive: Archive,
    row: GrantRow,
    asks: tuple[Ask, ...],
    terms: Terms,
    progress: Progress = lambda _: None,
) -> Terms:
    """Narrow or extend a grant in force: exactly these terms from now on, history and all.

    The grant reads nothing from the first call to the second; one that was cut off between is resumed.

    Raises:
        ConflictError: it is not in force, or it was changed meanwhile.
    """
    predecessor = in_force(session, row)
    if not isinstance(row.state, Active):
        raise ConflictError("this grant is not in force", "resume it first, if it is paused")
    _complete(session, archive, terms, progress)
    made = make_statement(row, asks, terms, session.pins.generation)
    return _sign(session, archive, row, msgspec.structs.replace(made, predecessor=predecessor))


def in_force(session: Session, row: GrantRow) -> bytes:
    """What a change of a grant names as its predecessor; raises ImpostorError where nobody signed it."""
    given_terms(session, row)
    if row.rule is not None:
        return hashlib.sha256(msgspec.msgpack.encode(row.rule)).digest()
    return hashlib.sha256(row.statement.body).digest() if row.statement is not None else b""


def resume(session: Session, archive: Archive, row: GrantRow) -> Terms:
    """Finish what was cut off after its statement: the same terms, nothing new to decide."""
    if not isinstance(row.state, Preparing) or row.statement is None:
        raise ConflictError("this request is not waiting for its keys")
    return _hand_over(session, archive, row, read_statement(session, row).terms, row.statement)


def _complete(session: Session, archive: Archive, terms: Terms, progress: Progress) -> None:
    """Make the buckets whole that lie in the bounds; days that are busy stay incomplete, and are told so."""
    if all(terms.resolution_of(selector) == RAW for selector in terms.selectors):
        return
    today = session.clock() // 1000 // DAY
    first, last = terms.data_from // DAY, min((terms.data_until - 1) // DAY, today - 1)
    if first <= last:
        with suppress(ConflictError):
            rebuild(session, archive, cut_days(archive, first, last), progress)


def _sign(session: Session, archive: Archive, row: GrantRow, statement: GrantStatement) -> Terms:
    signed = sign(session.owner.signing, session.pins.vault, statement)
    return _hand_over(session, archive, row, statement.terms, signed)


def _hand_over(session: Session, archive: Archive, row: GrantRow, terms: Terms, signed: Signed) -> Terms:
    grant = GrantId(row.grant)
    prepared = session.tell(wire.Prepare(grant, signed), wire.Prepared)
    gaps = row.state.gaps if isinstance(row.state, Preparing | Active) else ()
    keys = history_keys(
        Reader(grant, row.public, terms, gaps),
        archive.opened(prepared.segments),
        session.clock() // 1000,
        Known(blackouts=blackouts(session)),
        Contents(archive),
    )
    boxes = seal_history(row.public, session.owner.key_id, session.pins.vault, grant, keys)
    session.tell(wire.CommitGrant(grant, boxes, hashlib.sha256(signed.body).digest()), wire.Done)
    return terms
