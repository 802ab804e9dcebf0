"""``grant narrow|extend``: give less than now, or for longer, without the brand asking again."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cli import options
from cli.ask import confirm, require_terminal, say
from cli.asked import find, status_of
from cli.choice import Choice, narrowing
from cli.deciding import shown, terms_json
from cli.doubts import require_given
from cli.errors import ConflictError, UsageError
from cli.passphrase import PassphraseSource
from cli.progress import Bar
from cli.render import date, emit, escape
from cli.review import Offer, make_offer
from cli.session import suggest, unlocked, with_vault
from cli.times import bound, span
from gateway.client.approve import revise
from gateway.client.read import Archive
from gateway.client.session import Session
from policies.grant import Active
from policies.kinds import catalogue
from policies.terms import Terms
from policies.widen import widens
from vault.ids import GrantId
from vault.store.records import GrantRow


@click.command("narrow")
@click.argument("ID")
@narrowing
@options.yes
@with_vault
def narrow(
    id: str, choice: Choice, yes: bool, passphrase: PassphraseSource, home: Path, as_json: bool
) -> None:
    """Give less than now, from its next request on.

    Say what stays, with the options of `request approve`. What it has read it keeps.
    """
    if choice == Choice():
        raise UsageError("nothing is said to be less", "say it like --detail day, --kinds energy or --for 7d")
    if not yes:
        require_terminal("--yes")
    with unlocked(home, passphrase) as session:
        archive = Archive(session)
        row, before = _in_force(session, id)
        offer = make_offer(session, archive, row, choice)
        more = widens(before, offer.terms, catalogue())
        if more is not None:
            words = more.reason.removesuffix(".")
            raise UsageError(words[:1].lower() + words[1:], "to give it for longer: hypertouch grant extend")
        _change(session, archive, offer, yes=yes, quiet=as_json and yes)
    _told(offer, as_json, f"{escape(offer.row.brand_name)} can read this and no more")


@click.command("extend")
@click.argument("ID")
@click.option("--for", "lasting", metavar="30d", help="Until so long from now.")
@click.option("--until", metavar="DATE", help="Exactly: until then (UTC).")
@options.yes
@with_vault
def extend(
    id: str,
    lasting: str | None,
    until: str | None,
    yes: bool,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Let a grant last longer, within what was asked for."""
    if bool(lasting) == bool(until):
        raise UsageError("a grant ends at one time", "say --for 30d, or --until DATE")
    if not yes:
        require_terminal("--yes")
    end = bound(until) if until else None
    choice = Choice(duration=span(lasting) if lasting else None, data_until=end, access_until=end)
    with unlocked(home, passphrase) as session:
        archive = Archive(session)
        row, before = _in_force(session, id)
        offer = make_offer(session, archive, row, choice)
        if offer.terms.access_until <= before.access_until:
            words = f"it lasts until {date(before.access_until)} already"
            asked = choice.access_until or session.clock() // 1000 + (choice.duration or 0)
            less = asked < before.access_until
            hint = f"to end it sooner: hypertouch grant narrow {id}" if less else "they asked for no longer"
            raise ConflictError(words, hint)
        _change(session, archive, offer, yes=yes, quiet=as_json and yes)
    _told(offer, as_json, f"{escape(row.brand_name)} can read until {date(offer.terms.access_until)}")


def _in_force(session: Session, id: str) -> tuple[GrantRow, Terms]:
    """The grant and what it gives now; raises ConflictError, and RefusedError where it is nobody's."""
    row = find(session, id)
    if not isinstance(row.state, Active):
        raise ConflictError("this grant is not in force", f"it is {status_of(row.state)}")
    require_given(session, row)
    return row, row.state.terms


def _change(session: Session, archive: Archive, offer: Offer, *, yes: bool, quiet: bool) -> None:
    if not quiet:
        say(shown(offer))
    confirm("Change it to this?", yes=yes)
    with Bar("handing over") as progress:
        revise(session, archive, offer.row, offer.asks, offer.terms, progress)


def _told(offer: Offer, as_json: bool, text: str) -> None:
    grant = GrantId(offer.row.grant)
    emit({"grant": grant.text, "brand": offer.row.brand_name} | terms_json(offer), as_json, text)
    suggest(
        as_json, (f"grant show {grant.short}", "see exactly what it gives"), ("ledger log", "see every read")
    )
