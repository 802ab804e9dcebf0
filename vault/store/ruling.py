"""What standing rules say to a request: the same asked when it arrives, when a node starts, and by a client.

A rule answers while the owner's key is locked away, so there is no statement of the answer.  In its stead
stands that it can be worked out again: from the signed rules, the request and the time follow the terms, and
a grant that has others is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from policies.errors import PolicyError
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.request import parse_details
from policies.rules import Rules, decode_rules, rules_hash
from policies.settle import settle, terms_of
from policies.terms import Selector, Terms, ask_hash, terms_hash
from vault.errors import FormatError
from vault.ids import BrandId, VaultId
from vault.statement import Signed, StandingRules, verify
from vault.store.records import RuleAnswer

SKEW_MS: Final = 3_600_000  # how far a statement's clock may be off


class Ruled(msgspec.Struct, frozen=True):
    """A yes with its terms, or a no with its reason."""

    terms: Terms | None
    reason: str = ""


def read_rules(verify_key: bytes, vault: VaultId, signed: Signed) -> tuple[StandingRules, Rules]:
    """What the owner signed; raises VaultError where it is not theirs, or no rules of this version."""
    statement = verify(verify_key, vault, signed)
    if not isinstance(statement, StandingRules):
        raise FormatError("these are no standing rules")
    try:
        return statement, decode_rules(statement.rules)
    except PolicyError:
        raise FormatError("these are no rules of this version") from None


def rule_on(rules: Rules, brand: BrandId, details: bytes, devices: Iterable[str], at: int) -> Ruled | None:
    """Answer a request as of ``at`` (ms), for these devices; None: the rules leave it to the person."""
    try:
        asks = parse_details(details, catalogue(), purposes(), at // 1000)
        settled = settle(asks, rules, catalogue(), purposes(), at // 1000, brand=brand.text)
        if settled.answer == "refuse":
            return Ruled(None, " ".join(dict.fromkeys(item.reason for item in settled.refuse)))
        if settled.answer == "grant":
            kinds = sorted({kind for item in settled.grant for kind in item.ask.kinds})
            selectors = [Selector(device, kind) for device in sorted(devices) for kind in kinds]
            terms = terms_of(settled, asks, selectors, at // 1000, history=False)
            return Ruled(terms) if isinstance(terms, Terms) else None
    except PolicyError:  # rules of another version's tables decide nothing
        return None
    return None


def upheld(
    versions: Sequence[tuple[StandingRules, Rules]],
    answer: RuleAnswer,
    brand: BrandId,
    details: bytes,
    terms: Terms,
    devices: Iterable[str],
) -> bool:
    """Whether signed rules, which held then, said yes to this request with exactly these terms.

    ``devices`` are those that the vault had when the answer was given; that a host left some of them out
    narrows the grant, and is not told apart from a rule's doing.
    """
    rules = _in_force(versions, answer)
    named = {selector.device for selector in terms.selectors}
    if rules is None or not named <= set(devices):
        return False
    try:
        asks = parse_details(details, catalogue(), purposes(), answer.at // 1000)
    except PolicyError:
        return False
    ruled = rule_on(rules, brand, details, named, answer.at)
    same = ruled is not None and ruled.terms == terms
    hashes = ask_hash(asks), terms_hash(ask_hash(asks), terms)
    return same and hashes == (answer.request_hash, answer.terms_hash)


def _in_force(versions: Sequence[tuple[StandingRules, Rules]], answer: RuleAnswer) -> Rules | None:
    """The rules of an answer, if they were the newest when it was given."""
    by_number = {statement.version: (statement, rules) for statement, rules in versions}
    found, after = by_number.get(answer.rules_version), by_number.get(answer.rules_version + 1)
    if found is None or rules_hash(found[1]) != answer.rules_hash:
        return None
    too_early = answer.at < found[0].made - SKEW_MS
    too_late = after is not None and answer.at > after[0].made + SKEW_MS
    return None if too_early or too_late else found[1]
