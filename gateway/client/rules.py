"""The owner's standing rules: read with their signature, and signed anew when they change."""

from __future__ import annotations

import msgspec

from gateway import wire
from gateway.client.errors import AnswerError
from gateway.client.session import Session
from policies.rules import Rules, encode_rules
from vault.errors import VaultError
from vault.statement import StandingRules, sign
from vault.store.ruling import read_rules


class Standing(msgspec.Struct, frozen=True):
    """The rules in force and their version, 0 before there were any; ``made`` is milliseconds."""

    version: int = 0
    rules: Rules = Rules()
    made: int = 0


def standing(session: Session) -> Standing:
    """The newest rules.

    Raises:
        DistrustError: they are older than those this client has seen, or others, or not signed.
        AnswerError: they are of another version of this program.
    """
    versions = session.ask(wire.GetRules(), wire.StandingRulesReply).signed
    if not versions:
        return Standing()
    try:
        statement, rules = read_rules(session.pins.verify_key, session.pins.vault, versions[-1])
    except VaultError:
        raise AnswerError("your standing rules are of another version of this program") from None
    return Standing(statement.version, rules, statement.made)


def set_rules(session: Session, before: Standing, rules: Rules) -> Standing:
    """Put rules in the place of ``before``.

    Raises:
        ConflictError: they were changed meanwhile, from another computer.
        InvalidError: a rule names something that the host does not know.
        DistrustError: as ``standing``.
    """
    now = session.clock()
    statement = StandingRules(before.version + 1, encode_rules(rules), now)
    signed = sign(session.owner.signing, session.pins.vault, statement)
    session.set_rules(signed)
    return Standing(statement.version, rules, now)
