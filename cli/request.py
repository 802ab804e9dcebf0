"""``request list|show|approve|deny`` and ``inbox``: what brands ask for, and the person's answer."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click

from cli import options
from cli.ask import ask, choose, require_terminal, say
from cli.asked import ANSWERED, fetch, find, is_waiting, require_waiting, row_of, status_of, why_of
from cli.card import QUESTION, request_card
from cli.errors import CancelledError, CliError, ConflictError, UsageError
from cli.passphrase import PassphraseSource
from cli.render import ago, emit, escape, table
from cli.review import Choice, Offer, asks_of, kinds_of, make_offer, offer_of
from cli.session import now_ms, suggest, unlocked, with_vault
from cli.times import bound, span
from cli.values import label_of
from gateway import wire
from gateway.client import device as devices
from gateway.client.approve import approve as approve_terms
from gateway.client.approve import read_statement, resume
from gateway.client.read import Archive
from gateway.client.session import Session
from policies.grant import Pending, Preparing
from policies.iso8601 import format_time
from policies.narrow import History
from vault.ids import GrantId
from vault.store.records import GrantRow

PAUSE_S = 0.5  # between two looks while waiting


def narrowing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which a person gives less than was asked: the command takes ``choice: Choice``."""

    @click.option("--kinds", metavar="A,B", help="Only these of what was asked.")
    @click.option("--device", "names", multiple=True, metavar="NAME", help="Only of this one; repeatable.")
    @click.option("--for", "lasting", metavar="30d", help="For so long from now on.")
    @click.option("--history", default="none", show_default=True, metavar="7d", help="none, all, or so long.")
    @click.option("--from", "since", metavar="DATE", help="Exactly: data from then on (UTC).")
    @click.option("--until", metavar="DATE", help="Exactly: data up to then (UTC).")
    @click.option("--access-until", metavar="DATE", help="Exactly: it may be read until then (UTC).")
    @click.option("--future", is_flag=True, help="Channels that are still to come, too.")
    @functools.wraps(function)
    def with_choice(
        *args: Any,
        kinds: str | None,
        names: tuple[str, ...],
        lasting: str | None,
        history: str,
        since: str | None,
        until: str | None,
        access_until: str | None,
        future: bool,
        **rest: Any,
    ) -> Any:
        if lasting and (until or access_until):
            raise UsageError("--for and exact ends exclude each other", "give one of them")
        choice = Choice(
            kinds=_split(kinds or ""),
            devices=names,
            history=parse_history(history),
            duration=span(lasting) if lasting else None,
            data_from=bound(since) if since else None,
            data_until=bound(until) if until else None,
            access_until=bound(access_until) if access_until else None,
            future=future,
        )
        return function(*args, choice=choice, **rest)

    return with_choice


@click.group("request")
def request() -> None:
    """See what brands ask for; approve, narrow or deny it."""


@request.command("list")
@click.option("--wait", metavar="TIME", help="Wait so long for a request to come, such as 30s.")
@click.option("--all", "everything", is_flag=True, help="Answered and lapsed ones, too.")
@with_vault
def list_(
    wait: str | None, everything: bool, passphrase: PassphraseSource, home: Path, as_json: bool
) -> None:
    """List what waits for your answer."""
    deadline = time.monotonic() + (span(wait) if wait else 0)
    with unlocked(home, passphrase) as session:
        while True:
            found = [row for row in fetch(session) if everything or is_waiting(row, session.clock())]
            if found or time.monotonic() >= deadline:
                break
            time.sleep(min(PAUSE_S, max(0.0, deadline - time.monotonic())))
    rows = [row_of(row) for row in found]
    now = now_ms()
    text = table(
        ["REQUEST", "BRAND", "ASKS FOR", "WHY", "STATUS", "ASKED"],
        [
            (
                GrantId(row.grant).short,
                row.brand_name,
                ", ".join(label_of(kind) for kind in kinds_of(asks_of(row))),
                why_of(row),
                status_of(row.state),
                ago(row.asked, now),
            )
            for row in found
        ],
    )
    emit(rows, as_json, text if rows else "nothing waits for your answer")
    if found:
        suggest(as_json, (f"request show {GrantId(found[0].grant).short}", "look at it"))


@request.command("show")
@click.argument("ID")
@with_vault
def show(id: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Show a request as you would approve it."""
    with unlocked(home, passphrase) as session:
        row = find(session, id)
        if not is_waiting(row, session.clock()):
            emit(row_of(row), as_json, f"{escape(row.brand_name)}: {status_of(row.state)}")
            return
        offer = _offer(session, Archive(session), row, Choice())
    emit(row_of(row) | {"terms": terms_json(offer), "yesterday": offer.card.yesterday}, as_json, shown(offer))
    short = GrantId(row.grant).short
    suggest(as_json, (f"request approve {short}", "give it, or less"), (f"request deny {short}", "say no"))


@request.command("approve")
@click.argument("ID")
@narrowing
@options.yes
@with_vault
def approve(
    id: str, choice: Choice, yes: bool, passphrase: PassphraseSource, home: Path, as_json: bool
) -> None:
    """Give exactly what is shown, or less than was asked."""
    if not yes:
        require_terminal("--yes")
    with unlocked(home, passphrase) as session:
        row, archive = find(session, id), Archive(session)
        require_waiting(row, session.clock())
        offer = _decide(session, archive, row, choice, yes=yes, quiet=as_json and yes)
        if isinstance(row.state, Preparing):
            resume(session, archive, row)
        else:
            approve_terms(session, archive, row, offer.asks, offer.terms)
    grant = GrantId(row.grant)
    emit({"request": grant.text, "grant": grant.text} | terms_json(offer), as_json, _given(offer))
    suggest(as_json, (f"grant revoke {grant.short}", "end it"), ("ledger log", "see every read"))


@request.command("deny")
@click.argument("ID")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept in your vault.")
@options.yes
@with_vault
def deny(id: str, reason: str, yes: bool, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Say no; nothing was given and nothing is."""
    if not yes:
        require_terminal("--yes")
    with unlocked(home, passphrase) as session:
        row = find(session, id)
        if not isinstance(row.state, Pending):
            raise ConflictError(ANSWERED, f"it is {status_of(row.state)}")
        if (
            not yes
            and choose(f"Deny {escape(row.brand_name)}? [y]es [n]o", {"y": "yes", "n": "no"}, instead="--yes")
            == "n"
        ):
            raise CancelledError("nothing was done", "")
        session.tell(wire.Deny(GrantId(row.grant), reason), wire.Done)
    text = GrantId(row.grant).text
    emit({"request": text, "status": "denied"}, as_json, f"{escape(row.brand_name)} is told no")


def terms_json(offer: Offer) -> dict[str, Any]:
    """What is given, for programs."""
    terms = offer.terms
    return {
        "kinds": list(terms.kinds),
        "devices": [msgspec.to_builtins(selector) for selector in terms.selectors],
        "data_from": format_time(terms.data_from),
        "data_until": format_time(terms.data_until),
        "access_until": format_time(terms.access_until),
    }


def shown(offer: Offer) -> str:
    """The card, and what a person should know beside it."""
    lines = [request_card(offer.card)]
    if offer.row.binding_message:
        lines.append(f"  message   {escape(offer.row.binding_message)}")
    if offer.left_out:
        lines.append(f"  but       they say they cannot do without {', '.join(offer.left_out)}")
    if isinstance(offer.row.state, Preparing):
        lines.append("  note      you approved this before; its keys are still to be handed over")
    return "\n".join(lines)


def parse_history(text: str) -> History:
    """``none``, ``all``, or whole days such as ``7d``; raises UsageError."""
    match text.strip().lower():
        case "none":
            return "none"
        case "all":
            return "all"
        case plain:
            return -(-span(plain) // 86_400)


def _offer(session: Session, archive: Archive, row: GrantRow, choice: Choice) -> Offer:
    """What would be given; of an approval that was cut off, what was approved."""
    if isinstance(row.state, Preparing):
        terms = read_statement(session, row).terms
        return offer_of(session, archive, row, asks_of(row), terms, devices.fetch(session))
    return make_offer(session, archive, row, choice)


def _decide(
    session: Session, archive: Archive, row: GrantRow, choice: Choice, *, yes: bool, quiet: bool
) -> Offer:
    """Show, ask, and go round as long as the person changes something."""
    while True:
        offer = _offer(session, archive, row, choice)
        if not quiet:
            say(shown(offer))
        if yes:
            return offer
        answers = {"y": "yes", "n": "no", "c": "change"}
        match choose(QUESTION, answers, instead="--yes"):
            case "y":
                return offer
            case "n":
                raise CancelledError("nothing was given", "say no for good: hypertouch request deny ID")
            case _ if isinstance(row.state, Preparing):
                say("it is approved already; to give less, revoke it and have them ask again")
            case _:
                choice = _change(offer, choice)


def _change(offer: Offer, choice: Choice) -> Choice:
    """Ask for each thing that can be less; an empty answer leaves it as it is."""
    asked = ", ".join(kinds_of(offer.asks))
    kinds = ask(f"Which kinds? ({asked})", instead="--kinds")
    names = ask("Which devices, by name? (all)", instead="--device")
    lasting = ask("For how long? (30d, or as asked)", instead="--for")
    history = ask("How much history? (none, 7d, all)", instead="--history")
    try:
        return msgspec.structs.replace(
            choice,
            kinds=_split(kinds) or choice.kinds,
            devices=_split(names) or choice.devices,
            duration=span(lasting) if lasting else choice.duration,
            history=parse_history(history) if history else choice.history,
        )
    except CliError as error:
        say(f"{error.what}; {error.hint}")
        return choice


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _given(offer: Offer) -> str:
    names = ", ".join(label_of(kind) for kind in offer.terms.kinds)
    return f"{escape(offer.row.brand_name)} can read {names} until {format_time(offer.terms.access_until)}"
