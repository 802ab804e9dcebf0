"""``request list|show|approve|deny`` and ``inbox``: what brands ask for, and the person's answer."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import rich_click as click

from cli import options
from cli.ask import choose, require_terminal
from cli.asked import ANSWERED, fetch, find, is_waiting, require_waiting, row_of, status_of, why_of
from cli.choice import Choice, narrowing
from cli.deciding import decide, offered, shown, terms_json, warned
from cli.doubts import doubted, status_in
from cli.draft import kinds_of
from cli.errors import CancelledError, ConflictError, RefusedError, UsageError
from cli.given import in_short
from cli.meanwhile import tell
from cli.passphrase import PassphraseSource
from cli.plot import ink_for
from cli.preview import DAYS, look, preview_json, preview_text
from cli.progress import Bar
from cli.render import WIDTH, ago, date, emit, escape, table, wrap
from cli.review import Offer
from cli.session import now_ms, suggest, unlocked, with_vault
from cli.standing import asks_of
from cli.times import span
from cli.values import label_of
from gateway import wire
from gateway.client.approve import approve as approve_terms
from gateway.client.approve import resume
from gateway.client.read import Archive
from gateway.wire.owner import REASON_MAX
from policies.grant import Pending, Preparing
from vault.ids import GrantId
from vault.store.records import GrantRow

PAUSE_S = 0.5  # between two looks while waiting


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
            there = fetch(session)
            found = [row for row in there if everything or is_waiting(row, session.clock())]
            if found or time.monotonic() >= deadline:
                break
            time.sleep(min(PAUSE_S, max(0.0, deadline - time.monotonic())))
        doubts = doubted(session, there)
        if not as_json:
            tell(session, home, there)
    rows = [row_of(row, status_in(row, doubts)) for row in found]
    now = now_ms()
    text = table(
        ["REQUEST", "BRAND", "ASKS FOR", "WHY", "STATUS", "ASKED"],
        [
            (
                GrantId(row.grant).short,
                row.brand_name,
                ", ".join(label_of(kind) for kind in kinds_of(asks_of(row))),
                why_of(row),
                status_in(row, doubts),
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
@narrowing
@with_vault
def show(id: str, choice: Choice, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Show a request as you would approve it: the least that serves, or what the options say."""
    with unlocked(home, passphrase) as session:
        row = find(session, id)
        if not is_waiting(row, session.clock()):
            status = status_in(row, doubted(session, [row]))
            emit(row_of(row, status), as_json, f"{escape(row.brand_name)}: {status}")
            return
        archive = Archive(session)
        try:
            offer = warned(session, archive, offered(session, archive, row, choice))
        except RefusedError as error:
            if choice != Choice():
                raise
            _refused(row, error.what, as_json)
            return
    answer = {"terms": terms_json(offer), "yesterday": offer.card.yesterday, "notes": list(offer.card.notes)}
    emit(row_of(row) | answer, as_json, shown(offer))
    short = GrantId(row.grant).short
    suggest(
        as_json,
        (f"request preview {short}", "see what they would have received"),
        (f"request approve {short}", "give it, or less"),
        (f"request deny {short}", "say no"),
    )


@request.command("preview")
@click.argument("ID")
@narrowing
@click.option("--days", type=click.IntRange(1, 31), default=DAYS, show_default=True, help="Of so many.")
@with_vault
def preview(
    id: str, choice: Choice, days: int, passphrase: PassphraseSource, home: Path, as_json: bool
) -> None:
    """Show what they would have received last week, as asked and as you would give it."""
    with unlocked(home, passphrase) as session:
        row, archive = find(session, id), Archive(session)
        require_waiting(row, session.clock())
        offer = offered(session, archive, row, choice)
        with Bar("looking back") as progress:
            seen = look(session, archive, offer, days, progress)
    answer = {"request": GrantId(row.grant).text, "terms": terms_json(offer)} | preview_json(seen)
    emit(answer, as_json, preview_text(seen, ink_for(sys.stdout.encoding)))
    suggest(as_json, (f"request approve {GrantId(row.grant).short}", "give it, or less"))


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
        offer = decide(session, archive, row, choice, yes=yes, quiet=as_json and yes)
        with Bar("handing over") as progress:
            if isinstance(row.state, Preparing):
                resume(session, archive, row)
            else:
                approve_terms(session, archive, row, offer.asks, offer.terms, progress)
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
    if len(reason) > REASON_MAX:
        raise UsageError("this reason is too long", f"say it in at most {REASON_MAX} characters")
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


def _refused(row: GrantRow, why: str, as_json: bool) -> None:
    """A request of which the rules leave nothing to give."""
    what = f"{escape(row.brand_name)} asks for {', '.join(label_of(kind) for kind in kinds_of(asks_of(row)))}"
    lines = [*wrap(what, WIDTH), f"  why       {escape(why_of(row))}"]
    lines += [f"  {'note' if not at else '':<10}{line}" for at, line in enumerate(wrap(why, WIDTH - 12))]
    emit(row_of(row) | {"terms": None, "yesterday": None, "notes": [why]}, as_json, "\n".join(lines))
    suggest(as_json, (f"request deny {GrantId(row.grant).short}", "say no"), ("rule list", "see your rules"))


def _given(offer: Offer) -> str:
    terms = offer.terms
    gets = "gets" if terms.mode == "answer" else "can read"
    often = "" if terms.uses is None else ", once" if terms.uses == 1 else f", {terms.uses:,} times"
    words = f"{escape(offer.row.brand_name)} {gets} {in_short(terms)} until {date(terms.access_until)}{often}"
    return "\n".join(wrap(words, WIDTH))
