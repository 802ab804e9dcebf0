"""What a grant gives by the owner's own word: their signed statement, or their signed rules.

A host that shows a grant without either shows one that nobody made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from gateway import wire
from gateway.client.errors import ImpostorError
from gateway.client.session import Session
from policies.grant import Active, Paused, Preparing
from policies.terms import Terms
from vault.errors import VaultError
from vault.ids import BrandId, DeviceId, GrantId
from vault.statement import GrantStatement, Signed, verify
from vault.store.records import GrantRow, RuleAnswer
from vault.store.ruling import read_rules, upheld

UNRULED = "the host shows a grant that none of your rules gave"


def read_statement(session: Session, row: GrantRow) -> GrantStatement:
    """The statement of an approval that was begun; raises ImpostorError where it is not this owner's."""
    try:
        statement = verify(session.pins.verify_key, session.pins.vault, row.statement or Signed(b"", b""))
    except VaultError:
        raise ImpostorError("the host shows an approval that is not signed by this vault's owner") from None
    ours = (GrantId(row.grant).text, hashlib.sha256(row.public).digest())
    if not isinstance(statement, GrantStatement) or (statement.grant, statement.key_hash) != ours:
        raise ImpostorError("the host shows an approval of another request")
    return statement


def given_terms(session: Session, row: GrantRow) -> Terms:
    """The terms of a grant that lives; raises ImpostorError where the owner never said so."""
    if row.rule is None:
        return read_statement(session, row).terms
    state = row.state
    if not isinstance(state, Preparing | Active | Paused):
        raise ImpostorError(UNRULED)
    _uphold(session, row, row.rule, state.terms)
    return state.terms


def check_answers(session: Session, rows: Iterable[GrantRow]) -> None:
    """Work out again what rules answered while this client was away; raises ImpostorError."""
    for row in rows:
        if row.rule is not None and isinstance(row.state, Preparing | Active | Paused):
            _uphold(session, row, row.rule, row.state.terms)


def _uphold(session: Session, row: GrantRow, answer: RuleAnswer, terms: Terms) -> None:
    """The rules of that version, signed by the owner, come to exactly these terms; raises ImpostorError."""
    pins = session.pins
    try:
        versions = [
            read_rules(pins.verify_key, pins.vault, signed)
            for signed in session.ask(wire.GetRules(), wire.StandingRulesReply).signed
        ]
    except VaultError:
        raise ImpostorError("the host shows rules that are not signed by this vault's owner") from None
    shown = session.ask(wire.GetDevices(), wire.Devices).devices
    devices = [DeviceId(one.device).text for one in shown if one.created <= answer.at]
    if not upheld(versions, answer, BrandId(row.brand), row.ask, terms, devices):
        raise ImpostorError(UNRULED)
