"""Whom new readings are sealed to: the grants that the owner signed, and those that their signed rules gave.

What else stands in a row is the host's word, and is not enough.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from policies.grant import Active, GrantState, Preparing
from policies.terms import Terms
from vault.errors import VaultError
from vault.ids import BrandId, DeviceId, GrantId
from vault.statement import GrantStatement, Signed, verify
from vault.store.recipients import LiveGrant
from vault.store.records import STATE, RuleAnswer
from vault.store.ruling import read_rules, upheld
from vault.suite import check_public

if TYPE_CHECKING:
    from vault.store.person import PersonFile

HOLDER: Final = "SELECT id, public, state, statement, rule, brand, ask FROM grant_"
Row = tuple[bytes, bytes, bytes, bytes | None, bytes | None, bytes, bytes]
_DAMAGED: Final = VaultError, msgspec.DecodeError, UnicodeDecodeError, OverflowError


def holder(file: PersonFile, row: Row, state: GrantState | None = None) -> LiveGrant | None:
    """A grant that keys are sealed to, as ``HOLDER`` finds it, or what it would be in another state.

    None: it is not in force, or what is kept of it is not the owner's word.
    """
    raw, public, packed, signed, rule, brand, details = row
    try:
        grant, state = GrantId(raw), state or STATE.decode(packed)
        if not isinstance(state, Preparing | Active):
            return None
        if rule is not None:
            terms = _by_rule(file, rule, BrandId(brand), details, state.terms)
        else:
            terms = _by_statement(file, grant, public, signed)
        check_public(public)
    except _DAMAGED:
        return None
    return LiveGrant.of(grant, public, terms, state.gaps) if terms is not None else None


def _by_statement(file: PersonFile, grant: GrantId, public: bytes, signed: bytes | None) -> Terms | None:
    """What the owner signed for this very key."""
    if signed is None:
        return None
    statement = verify(file.vault.verify_key, file.id, msgspec.msgpack.decode(signed, type=Signed))
    if not isinstance(statement, GrantStatement):
        return None
    named = statement.grant, statement.key_hash
    return statement.terms if named == (grant.text, hashlib.sha256(public).digest()) else None


def _by_rule(file: PersonFile, rule: bytes, brand: BrandId, details: bytes, terms: Terms) -> Terms | None:
    """The terms, if the owner's rules come to the very same when they are asked again."""
    answer = msgspec.msgpack.decode(rule, type=RuleAnswer)
    numbers = answer.rules_version, answer.rules_version + 1
    versions = []
    for (packed,) in file.rows("SELECT signed FROM rules WHERE version IN (?, ?)", numbers):
        signed = msgspec.msgpack.decode(packed, type=Signed)
        versions.append(read_rules(file.vault.verify_key, file.id, signed))
    rows = file.rows("SELECT id FROM device WHERE created <= ?", (answer.at,))
    devices = [DeviceId(device).text for (device,) in rows]
    return terms if upheld(versions, answer, brand, details, terms, devices) else None
