"""What a grant gives by the owner's own word: their signed statement, or their signed rules.

A host that shows a grant without either shows one that nobody made.
"""

from __future__ import annotations

import hashlib

from gateway.client.errors import ImpostorError
from gateway.client.session import Session
from policies.grant import Terms
from vault.errors import VaultError
from vault.ids import GrantId
from vault.statement import GrantStatement, Signed, verify
from vault.store.records import GrantRow


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
    return read_statement(session, row).terms
