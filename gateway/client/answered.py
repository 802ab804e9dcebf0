"""What a grant gives by the owner's own word: their signed statement, or their signed rules.

A grant in force that has neither is *doubtful*: the host invented it or changed it, or a later version of
the tables comes to other terms than the rules once gave.  It gets no key from this client, and the person is
told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property

from gateway import wire
from gateway.client.errors import ImpostorError
from gateway.client.session import Session
from policies.grant import Active, Paused, Preparing
from policies.rules import Rules
from policies.terms import Terms
from vault.errors import VaultError
from vault.ids import BrandId, DeviceId, GrantId
from vault.statement import GrantStatement, Signed, StandingRules, verify
from vault.store.records import DeviceRow, GrantRow
from vault.store.ruling import read_rules, upheld

UNRULED = "the host shows a grant that none of your rules gave"
UNSIGNED = "the host shows a grant with other terms than you signed"


def doubtful(session: Session, rows: Iterable[GrantRow]) -> list[GrantRow]:
    """The grants in force of which nothing shows that the owner gave them, with exactly these terms.

    Raises:
        DistrustError: the rules that the host shows are older than those this client has seen, or not signed.
    """
    word = _Word(session)
    found: list[GrantRow] = []
    for row in rows:
        if isinstance(row.state, Preparing | Active | Paused):
            try:
                word.given(row)
            except ImpostorError:
                found.append(row)
    return found


def given_terms(session: Session, row: GrantRow) -> Terms:
    """The terms of a grant that lives; raises ImpostorError where it is doubtful."""
    return _Word(session).given(row)


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


class _Word:
    """What the owner signed, asked for once and only where a grant is by rule."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def given(self, row: GrantRow) -> Terms:
        """The terms that are in force; raises ImpostorError."""
        if not isinstance(row.state, Preparing | Active | Paused):
            raise ImpostorError("this grant is not in force")
        terms = row.state.terms
        if row.rule is None:
            if read_statement(self._session, row).terms != terms:
                raise ImpostorError(UNSIGNED)
            return terms
        at = row.rule.at
        devices = [DeviceId(one.device).text for one in self._devices if one.created <= at]
        if not upheld(self._versions, row.rule, BrandId(row.brand), row.ask, terms, devices):
            raise ImpostorError(UNRULED)
        return terms

    @cached_property
    def _versions(self) -> list[tuple[StandingRules, Rules]]:
        """Every version that can be read; one of another version of this program gives nothing."""
        pins, found = self._session.pins, list[tuple[StandingRules, Rules]]()
        for signed in self._session.ask(wire.GetRules(), wire.StandingRulesReply).signed:
            with suppress(VaultError):  # it is signed: that was verified as it came
                found.append(read_rules(pins.verify_key, pins.vault, signed))
        return found

    @cached_property
    def _devices(self) -> list[DeviceRow]:
        return self._session.ask(wire.GetDevices(), wire.Devices).devices
