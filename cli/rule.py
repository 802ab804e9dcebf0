"""``rule list|add|remove|test``: what the person would answer every time, said once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import rich_click as click

from cli.ask import say as tell
from cli.asked import fetch, find, is_waiting
from cli.errors import ConflictError, NotFoundError, UsageError
from cli.passphrase import PassphraseSource
from cli.render import count, emit, escape, table
from cli.session import suggest, unlocked, with_vault
from cli.settings import local_zone
from cli.standing import asks_of
from cli.values import label_of
from gateway import wire
from gateway.client.rules import Standing, set_rules, standing
from gateway.client.session import Session
from policies.conflicts import conflicts
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.rules import MAX_RULES, Rule, Rules
from policies.rulesfile import parse_toml, write_toml
from policies.sentences import parse_sentence, say
from policies.settle import Item, Settlement, settle
from vault.ids import BrandId, GrantId
from vault.store.records import GrantRow

FILE_MAX: Final = 64 << 10  # bytes of rules in a file
ANSWERS: Final = {"grant": "given without asking you", "ask": "you are asked", "refuse": "refused"}


@click.group("rule")
def rule() -> None:
    """Say once what you would answer every time."""


@rule.command("list")
@click.option("--toml", is_flag=True, help="As a file that `rule add --file` reads.")
@with_vault
def list_(toml: bool, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """List your rules; a no always comes before a yes."""
    with unlocked(home, passphrase) as session:
        found, names = standing(session), _names(session)
    if toml and not as_json:
        emit(None, False, write_toml(found.rules, catalogue(), purposes(), names).rstrip())
        return
    emit(_plain(found, names), as_json, _listed(found, names))
    if not found.rules.rules:
        suggest(as_json, ('rule add "never marketing"', "make one"), ("request list", "see who asks"))


@rule.command("add")
@click.argument("SENTENCE", nargs=-1)
@click.option("--file", "path", type=click.Path(dir_okay=False, allow_dash=True), help="Rules in TOML.")
@click.option("--zone", metavar="ZONE", help="Where quiet hours are, such as Europe/Berlin; else as here.")
@with_vault
def add(
    sentence: tuple[str, ...],
    path: str | None,
    zone: str | None,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Add a rule, such as "never marketing" or "location never finer than h3-5".

    Others: "ask me for health", "at most 30 days", "no history", "quiet 22-07", "energy only as answers",
    "temperature at most every 15 minutes", "auto-approve energy at day for Acme". What a rule gives without
    asking is never history, and of every device.
    """
    if bool(sentence) == bool(path):
        raise UsageError("a rule is a sentence, or in a file", 'say it like: rule add "never marketing"')
    with unlocked(home, passphrase) as session:
        before, names = standing(session), _names(session)
        if path:
            new = parse_toml(
                _read(path), catalogue(), purposes(), brands=names, zone=zone or local_zone()
            ).rules
        else:
            text = " ".join(sentence)
            new = (parse_sentence(text, catalogue(), purposes(), brands=names, zone=zone or local_zone()),)
        fresh = tuple(one for one in dict.fromkeys(new) if one not in before.rules.rules)
        if not fresh:
            raise ConflictError("you have this rule already", "see: hypertouch rule list")
        if len(before.rules.rules) + len(fresh) > MAX_RULES:
            raise UsageError(f"there can be {MAX_RULES} rules", "remove some first: hypertouch rule remove N")
        after = set_rules(session, before, Rules(rules=(*before.rules.rules, *fresh)))
    for warning in conflicts(after.rules, catalogue(), purposes()):
        tell(f"note  {escape(warning)}")
    words = "\n".join(f"{escape(_say(one, names))}" for one in fresh)
    emit(
        _plain(after, names),
        as_json,
        f"from now on: {words}" if len(fresh) == 1 else f"from now on:\n{words}",
    )
    suggest(as_json, ("rule test", "see what your rules say to the requests so far"))


@rule.command("remove")
@click.argument("NUMBER", type=click.IntRange(1, MAX_RULES))
@with_vault
def remove(number: int, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Remove the rule with this number; what it answered before stays so."""
    with unlocked(home, passphrase) as session:
        before, names = standing(session), _names(session)
        rules = before.rules.rules
        if number > len(rules):
            raise NotFoundError("there is no rule with this number", "see: hypertouch rule list")
        after = set_rules(session, before, Rules(rules=(*rules[: number - 1], *rules[number:])))
    emit(_plain(after, names), as_json, f"no longer: {escape(_say(rules[number - 1], names))}")
    suggest(as_json, ("rule list", "see what is left"), ("grant list", "end what it gave"))


@rule.command("test")
@click.argument("ID", required=False)
@with_vault
def test(id: str | None, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Show what your rules would answer, and why; nothing is answered by this.

    Of one request, or of all there have been.
    """
    with unlocked(home, passphrase) as session:
        found, rows = standing(session), [find(session, id)] if id else fetch(session)
        now = session.clock()
        tried = [(row, _settled(row, found.rules)) for row in rows]
    emit(
        [_tried(row, settled) | {"waiting": is_waiting(row, now)} for row, settled in tried],
        as_json,
        "\n".join(_spoken(row, settled) for row, settled in tried) or "nobody has asked for anything yet",
    )
    waiting = [row for row, _ in tried if is_waiting(row, now)]
    if waiting:
        suggest(as_json, (f"request show {GrantId(waiting[0].grant).short}", "answer it yourself"))


def _names(session: Session) -> dict[str, str]:
    """The names that brands have on this server, and their ids."""
    rows = session.ask(wire.GetBrands(), wire.Brands).brands
    return {row.name: BrandId(row.brand).text for row in rows if row.ended is None}


def _read(path: str) -> str:
    with click.open_file(path, "rb") as file:
        data = file.read(FILE_MAX + 1)
    try:
        if len(data) <= FILE_MAX:
            return bytes(data).decode()
    except UnicodeDecodeError:
        pass
    raise UsageError("this is no file of rules", "`hypertouch rule list --toml` shows what one looks like")


def _settled(row: GrantRow, rules: Rules) -> Settlement:
    asks = asks_of(row)
    return settle(asks, rules, catalogue(), purposes(), row.asked // 1000, brand=BrandId(row.brand).text)


def _say(one: Rule, names: dict[str, str]) -> str:
    return say(one, catalogue(), purposes(), names)


def _plain(found: Standing, names: dict[str, str]) -> dict[str, Any]:
    return {
        "version": found.version,
        "rules": [{"number": n, "rule": _say(one, names)} for n, one in enumerate(found.rules.rules, 1)],
        "notes": list(conflicts(found.rules, catalogue(), purposes())),
    }


def _listed(found: Standing, names: dict[str, str]) -> str:
    if not found.rules.rules:
        return "you have no rules: you are asked about everything"
    lines = [
        table(["NO", "RULE"], [(str(n), _say(one, names)) for n, one in enumerate(found.rules.rules, 1)])
    ]
    lines += [f"note  {escape(one)}" for one in conflicts(found.rules, catalogue(), purposes())]
    return "\n".join(lines)


def _tried(row: GrantRow, settled: Settlement) -> dict[str, Any]:
    return {
        "request": GrantId(row.grant).text,
        "brand": row.brand_name,
        "answer": settled.answer,
        **{name: [_item(one) for one in getattr(settled, name)] for name in ("grant", "ask", "refuse")},
        "notes": list(settled.notes),
    }


def _item(one: Item) -> dict[str, Any]:
    return {"kinds": list(one.ask.kinds), "detail": dict(one.point.resolutions), "reason": one.reason}


def _spoken(row: GrantRow, settled: Settlement) -> str:
    lines = [f"{GrantId(row.grant).short}  {escape(row.brand_name)}: {ANSWERS[settled.answer]}"]
    for items in (settled.grant, settled.ask, settled.refuse):
        lines += [f"  {_labels(one.ask.kinds)}: {escape(one.reason)}" for one in items]
    return "\n".join(lines)


def _labels(kinds: Sequence[str]) -> str:
    shown = ", ".join(label_of(kind) for kind in kinds[:4])
    return shown if len(kinds) <= 4 else f"{shown} and {count(len(kinds) - 4, 'more', 'more')}"
