"""Rules as a short TOML file that a person can read and write: ``[[rule]]`` tables.

A table says a rule as a sentence, or field by field::

    [[rule]]
    say = "never marketing"

    [[rule]]
    do = "allow"
    kind = "energy"
    detail = "day"
    brand = "Acme Energy"

Words are those of sentences; a brand is a name or an id; quiet hours are ``"22-07"``.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping

import msgspec

from policies.errors import RulesError
from policies.kinds import Catalogue
from policies.minimise import zone_of
from policies.purposes import PREFIX, Purposes
from policies.rules import BRAND_ID, MAX_RULES, Rule, Rules, Verb, check_rules, clock, minutes_of
from policies.sentences import parse_sentence, say
from policies.strict import MAX_BYTES, excerpt
from policies.words import What, words


class _Table(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    say: str = ""
    do: Verb | None = None
    kind: str = ""
    group: str = ""
    purpose: str = ""
    brand: str = ""
    detail: str = ""
    days: int | None = None
    history: int | None = None
    answers: bool = False
    every: int | None = None
    quiet: str = ""
    zone: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[_Table] = []


def parse_toml(
    text: str,
    catalogue: Catalogue,
    purposes: Purposes,
    *,
    brands: Mapping[str, str] | None = None,
    zone: str = "UTC",
) -> Rules:
    """Read a file of rules; ``brands`` is from names to ids, ``zone`` that of quiet hours that name none.

    Raises:
        RulesError: not TOML, not our fields, or a rule that cannot be; the text says which, and what can.
    """
    if len(text) > MAX_BYTES:
        raise RulesError(f"rules have at most {MAX_BYTES // 1024} KiB")
    try:
        tables = msgspec.convert(tomllib.loads(text), type=_File).rule
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise RulesError(f"not a file of rules: {error}") from None
    if len(tables) > MAX_RULES:
        raise RulesError(f"these are {len(tables)} rules, at most {MAX_RULES} can be kept")
    found = []
    for number, table in enumerate(tables, 1):
        try:
            found.append(_rule(table, catalogue, purposes, brands or {}, zone))
        except RulesError as error:
            raise RulesError(f"rule {number}: {error}") from None
    rules = Rules(rules=tuple(found))
    check_rules(rules, catalogue, purposes)
    return rules


def write_toml(
    rules: Rules, catalogue: Catalogue, purposes: Purposes, brands: Mapping[str, str] | None = None
) -> str:
    """Write rules field by field, each under its sentence; ``parse_toml`` reads the same rules again."""
    tables = []
    for rule in rules.rules:
        plain: dict[str, object] = dict(msgspec.to_builtins(rule))
        if rule.purpose:
            plain["purpose"] = rule.purpose.removeprefix(PREFIX)
        if rule.quiet:
            plain["quiet"] = "-".join(map(clock, rule.quiet))
        lines = [f"{name} = {_value(value)}" for name, value in plain.items()]
        sentence = say(rule, catalogue, purposes, brands)
        tables.append("\n".join(["[[rule]]", f"# {sentence}", *lines]) + "\n")
    return "\n".join(tables)


def _value(value: object) -> str:
    # A text of ours is plain ASCII, of which JSON's escapes are TOML's too.
    return json.dumps(value)


def _rule(
    table: _Table, catalogue: Catalogue, purposes: Purposes, brands: Mapping[str, str], zone: str
) -> Rule:
    if table.say:
        if table != _Table(say=table.say):
            raise RulesError("a rule is a sentence (say) or fields, not both")
        return parse_sentence(table.say, catalogue, purposes, brands=brands, zone=zone)
    if table.do is None:
        raise RulesError("a rule says what to do: never, ask, allow or limit")
    index = words(catalogue, purposes)

    def name(word: str, what: What) -> str:
        return index.need(word, (what,)).name if word else ""

    if table.quiet and zone_of(table.zone or zone) is None:
        raise RulesError(f"there is no time zone '{excerpt(table.zone or zone)}'; say one like Europe/Berlin")
    return Rule(
        do=table.do,
        kind=name(table.kind, "kind"),
        group=name(table.group, "group"),
        purpose=name(table.purpose, "purpose"),
        # An id is an id, also where a brand has taken one for its name.
        brand=table.brand if BRAND_ID.fullmatch(table.brand) else brands.get(table.brand, table.brand),
        detail=table.detail,
        days=table.days,
        history=table.history,
        answers=table.answers,
        every=table.every,
        quiet=minutes_of(table.quiet) if table.quiet else None,
        zone=(table.zone or zone) if table.quiet else table.zone,
    )
