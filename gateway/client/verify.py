"""What a client pins of a vault, and how it notices that a host shows another one.  Pure.

A pin is the furthest state this client has seen: the owner's public keys, the cipher suite, the ledger's
head, the generation, and the newest standing rules.  A host that was restored from an old copy, or that
keeps two histories, cannot continue the chain from that head; it is told apart by what it shows instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from gateway.client.errors import AnswerError, ForkedError, ImpostorError, RolledBackError
from gateway.wire import Ledger, Overview
from vault.errors import FormatError, SignatureError, VaultError
from vault.ids import VaultId
from vault.ledger import Head, SealedEntry, extend
from vault.statement import Signed, StandingRules, verify

OLDER = "the host shows an older vault than this computer has seen"
OTHER = "the host shows another history than this computer has seen"
IMPOSTOR = "the host shows keys that are not this vault's"
OLDER_RULES = "the host shows older standing rules than this computer has seen"
OTHER_RULES = "the host shows other standing rules than this computer has seen"
UNSIGNED_RULES = "the host shows standing rules that this vault's owner did not sign"


class Pins(msgspec.Struct, frozen=True):
    """The furthest state of a vault that a client has seen; ``generation`` only ever grows.

    ``rules`` is the version of the newest standing rules, 0 where there are none; ``rules_hash`` is SHA-256
    of what the owner signed.
    """

    vault: VaultId
    hpke_public: bytes
    verify_key: bytes
    suite: int
    head: Head = Head()
    generation: int = 0
    rules: int = 0
    rules_hash: bytes = b""


def follow_page(pins: Pins, page: Ledger) -> Pins:
    """The pins after one answer to ``GetLedger(after=pins.head.number)``, which may be one of several pages.

    Raises:
        RolledBackError: the host's ledger is shorter, or its generation lower, than what is pinned.
        ForkedError: the host's entries do not lead from the pinned head to the head it claims.
        AnswerError: the host claims more entries than it shows.
    """
    if page.generation < pins.generation or page.head.number < pins.head.number:
        raise RolledBackError(OLDER)
    head = _follow(pins.vault, pins.head, page.entries, claimed=page.head)
    if head == pins.head and page.head.number > head.number:
        raise AnswerError("the host does not show all of the ledger")
    return msgspec.structs.replace(pins, head=head, generation=page.generation)


def check_overview(pins: Pins, overview: Overview) -> None:
    """Hold what the host says of the whole vault against the pins; raises as they are told apart above."""
    shown = (overview.hpke_public, overview.verify_key, overview.suite)
    if shown != (pins.hpke_public, pins.verify_key, pins.suite):
        raise ImpostorError(IMPOSTOR)
    if overview.generation < pins.generation or overview.head.number < pins.head.number:
        raise RolledBackError(OLDER)
    if overview.head.number == pins.head.number and overview.head != pins.head:
        raise ForkedError(OTHER)


def check_chain(pins: Pins, entries: list[SealedEntry], claimed: Head, start: Head) -> Head:
    """Follow a part of the chain from ``start``, holding it against the pinned head where it passes there.

    Raises:
        ForkedError: a gap, another entry than was pinned, or another head than the host claims.
    """
    head = start
    for entry in entries:
        head = _follow(pins.vault, head, [entry], claimed=claimed)
        if head.number == pins.head.number and head != pins.head:
            raise ForkedError(OTHER)
    return head


def follow_rules(pins: Pins, shown: Sequence[Signed]) -> Pins:
    """The pins after every version of the standing rules was shown; their signatures are verified here.

    Raises:
        ImpostorError: the owner did not sign one.
        RolledBackError: the newest is older than what is pinned.
        ForkedError: the pinned version is another now, or is left out, or versions are not in order.
    """
    versions = {_version(pins, signed): signed for signed in shown}
    if max(versions, default=0) < pins.rules:
        raise RolledBackError(OLDER_RULES)
    if list(versions.values()) != list(shown) or list(versions) != sorted(versions):
        raise ForkedError(OTHER_RULES)
    if pins.rules and (pins.rules not in versions or _hash(versions[pins.rules]) != pins.rules_hash):
        raise ForkedError(OTHER_RULES)
    return pin_rules(pins, shown[-1]) if shown else pins


def pin_rules(pins: Pins, signed: Signed) -> Pins:
    """The pins with these as the newest rules; raises ImpostorError."""
    return msgspec.structs.replace(pins, rules=_version(pins, signed), rules_hash=_hash(signed))


def _version(pins: Pins, signed: Signed) -> int:
    try:
        statement = verify(pins.verify_key, pins.vault, signed)
    except VaultError:
        raise ImpostorError(UNSIGNED_RULES) from None
    if not isinstance(statement, StandingRules):
        raise ImpostorError(UNSIGNED_RULES)
    return statement.version


def _hash(signed: Signed) -> bytes:
    return hashlib.sha256(signed.body).digest()


def further(one: Pins, other: Pins) -> Pins:
    """Of two pins of one vault, kept by two commands at once, what either has seen more of."""
    seen = max(one, other, key=lambda pins: (pins.generation, pins.head.number))
    newest = max(one, other, key=lambda pins: pins.rules)
    return msgspec.structs.replace(seen, rules=newest.rules, rules_hash=newest.rules_hash)


def _follow(vault: VaultId, head: Head, entries: list[SealedEntry], *, claimed: Head) -> Head:
    """Entries may lead beyond the claimed head: it was read a moment before them."""
    try:
        _hold(head, claimed)
        for entry in entries:
            head = extend(vault, head, entry)
            _hold(head, claimed)
    except (SignatureError, FormatError):
        raise ForkedError(OTHER) from None
    return head


def _hold(head: Head, claimed: Head) -> None:
    if head.number == claimed.number and head.hash != claimed.hash:
        raise ForkedError(OTHER)
