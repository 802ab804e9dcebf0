"""Standing rules against a request: what to give unasked, what to ask the person, what to refuse, and why.

Nothing is given unasked in this version: what no rule refuses is asked.  The writer and the person's client
both call this with the same signed rules and must come to the same answer, so it looks at nothing else.
"""

from __future__ import annotations

import hashlib

import msgspec

from policies.errors import MalformedError, RulesError
from policies.iso8601 import DAY, parse_retention
from policies.kinds import Catalogue
from policies.purposes import Purposes
from policies.request import Ask
from policies.strict import canonical, excerpt, load

RULES_VERSION = 1
RULES_LABEL = b"hypertouch 1 rules"
MANY_KINDS = 8
LONG_DAYS = 366

COMMERCIAL = ("dpv:Marketing", "dpv:SellProducts", "dpv:CommercialPurpose")


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's standing rules; the empty ones ask about everything.

    ``never_purposes`` covers what falls under them ("never marketing"); ``max_days`` caps how long data and
    access last from now ("at most 30 days"); about ``ask_kinds`` the person is always asked.
    """

    version: int = RULES_VERSION
    never_purposes: tuple[str, ...] = ()
    never_kinds: tuple[str, ...] = ()
    ask_kinds: tuple[str, ...] = ()
    max_days: int | None = None


class Item(msgspec.Struct, frozen=True):
    """One part of a request, narrowed by the rules where they narrow, and why it stands where it stands."""

    ask: Ask
    reason: str


class Settlement(msgspec.Struct, frozen=True):
    """Every kind of the request stands in exactly one item; ``notes`` are what the person should look at."""

    grant: tuple[Item, ...]
    ask: tuple[Item, ...]
    refuse: tuple[Item, ...]
    notes: tuple[str, ...]


def encode_rules(rules: Rules) -> bytes:
    """Write rules in their one canonical form (RFC 8785), to be signed and stored."""
    return canonical(msgspec.to_builtins(rules))


def decode_rules(text: bytes) -> Rules:
    """Read rules; ``encode_rules(decode_rules(x)) == x`` for every x that is read.

    Raises:
        RulesError: not JSON, not our fields, a version that is not ours, or not the canonical form.
    """
    try:
        rules = msgspec.convert(load(text), type=Rules)
    except (MalformedError, msgspec.ValidationError) as error:
        raise RulesError(f"these are no rules: {excerpt(str(error))}") from None
    if rules.version != RULES_VERSION:
        raise RulesError(f"these rules have version {rules.version}, known is {RULES_VERSION}")
    if rules.max_days is not None and rules.max_days < 1:
        raise RulesError("max_days is at least 1")
    if encode_rules(rules) != text:
        raise RulesError("these rules are not in canonical form")
    return rules


def rules_hash(rules: Rules) -> bytes:
    """Return what an answer by rule refers to, 32 bytes: exactly these rules."""
    return hashlib.sha256(RULES_LABEL + b"\0" + encode_rules(rules)).digest()


def settle(
    asks: tuple[Ask, ...], rules: Rules, catalogue: Catalogue, purposes: Purposes, now_s: int
) -> Settlement:
    """Settle a request as of ``now_s`` (seconds).

    A required part that a rule refuses takes the whole request with it: the brand cannot serve without.

    Raises:
        RulesError: a rule names a purpose or a kind the tables do not know.  Skipping it would be a yes.
    """
    _check_rules(rules, catalogue, purposes)
    asked: list[Item] = []
    refused: list[Item] = []
    for ask in asks:
        for item, refuse in _settle_ask(ask, rules, catalogue, purposes, now_s):
            (refused if refuse else asked).append(item)
    if any(item.ask.required for item in refused):
        reason = "The brand says it cannot serve without something your rules refuse."
        refused += [Item(item.ask, reason) for item in asked]
        asked = []
    return Settlement((), tuple(asked), tuple(refused), _notes(asks, catalogue, purposes, now_s))


def _check_rules(rules: Rules, catalogue: Catalogue, purposes: Purposes) -> None:
    if any(purposes.find(purpose) is None for purpose in rules.never_purposes):
        raise RulesError("a rule names an unknown purpose")
    names = set(catalogue.names())
    if not names.issuperset(rules.never_kinds + rules.ask_kinds):
        raise RulesError("a rule names an unknown kind")


def _settle_ask(
    ask: Ask, rules: Rules, catalogue: Catalogue, purposes: Purposes, now_s: int
) -> list[tuple[Item, bool]]:
    if purposes.find(ask.purpose) is None:
        return [(Item(ask, "The purpose of this request is not known here."), True)]
    for broad in rules.never_purposes:
        if purposes.subsumes(broad, ask.purpose):
            return [(Item(ask, f"Your rules say never {purposes.label(broad)}."), True)]
    parts: list[tuple[Item, bool]] = []
    never = tuple(kind for kind in ask.kinds if kind in rules.never_kinds)
    if never:
        labels = ", ".join(catalogue.kind(kind).label for kind in never)
        parts.append((Item(_only(ask, never), f"Your rules say never {labels}."), True))
    rest = tuple(kind for kind in ask.kinds if kind not in never)
    if not rest:
        return parts
    narrowed = _cap(_only(ask, rest), rules, now_s)
    if narrowed is None:
        reason = f"Your rules give at most {rules.max_days} days, and this begins later."
        return [*parts, (Item(_only(ask, rest), reason), True)]
    if (narrowed.data_until, narrowed.access_end) != (ask.data_until, ask.access_end):
        reason = f"Your rules cut this to {rules.max_days} days."
    elif always := [catalogue.kind(kind).label for kind in rest if kind in rules.ask_kinds]:
        reason = f"Your rules say to ask about {', '.join(always)}."
    else:
        reason = "No rule decides this."
    return [*parts, (Item(narrowed, reason), False)]


def _only(ask: Ask, kinds: tuple[str, ...]) -> Ask:
    return msgspec.structs.replace(ask, kinds=kinds)


def _cap(ask: Ask, rules: Rules, now_s: int) -> Ask | None:
    """Cut data and access to ``max_days`` from now; None if nothing is left."""
    if rules.max_days is None:
        return ask
    end = now_s + rules.max_days * DAY
    if ask.data_from is not None and ask.data_from >= end:
        return None
    return msgspec.structs.replace(
        ask,
        data_until=end if ask.data_until is None else min(ask.data_until, end),
        access_until=end if ask.access_end is None else min(ask.access_end, end),
    )


def _notes(asks: tuple[Ask, ...], catalogue: Catalogue, purposes: Purposes, now_s: int) -> tuple[str, ...]:
    """Say where the request asks for much, so that nobody has to compare by heart."""
    ask = asks[0]
    kinds = [kind for one in asks for kind in one.kinds]
    notes = []
    if len(kinds) > MANY_KINDS:
        notes.append(f"It asks for {len(kinds)} kinds of data at once.")
    if ask.access_end is not None and ask.access_end - now_s > LONG_DAYS * DAY:
        notes.append("It asks for access for longer than a year.")
    if _is_commercial(ask, purposes):
        special = [catalogue.kind(kind).label for kind in kinds if _tier(catalogue, kind) == "special"]
        if special:
            notes.append(f"It asks for sensitive data ({', '.join(special)}) to sell or advertise.")
    if ask.retention is None:
        notes.append("It does not say how long it keeps the data.")
    elif parse_retention(ask.retention).at_most_days > LONG_DAYS:
        notes.append("It keeps the data for longer than a year.")
    return tuple(notes)


def _is_commercial(ask: Ask, purposes: Purposes) -> bool:
    if purposes.find(ask.purpose) is None:
        return False
    return any(purposes.subsumes(broad, ask.purpose) for broad in COMMERCIAL)


def _tier(catalogue: Catalogue, name: str) -> str:
    kind = catalogue.find(name)
    return "" if kind is None else kind.tier
