"""A request at the prompt: what would be given is shown, and changed, until the person says yes or no."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from cli.ask import choose, say
from cli.card import QUESTION, request_card
from cli.change import change
from cli.choice import Choice
from cli.errors import CancelledError, NotFoundError, RefusedError, UsageError
from cli.plot import Ink, ink_for
from cli.preview import DAYS, TooSlowError, at_most, look, preview_text, rare_words
from cli.progress import PATIENCE_S, Bar
from cli.render import escape
from cli.review import Offer, make_offer, offer_of
from cli.standing import asks_of
from gateway.client import device as devices
from gateway.client.answered import read_statement
from gateway.client.read import Archive
from gateway.client.session import Session
from policies.grant import Preparing
from policies.iso8601 import format_time
from vault.segment import RAW
from vault.store.records import GrantRow


def terms_json(offer: Offer) -> dict[str, Any]:
    """What is given, for programs."""
    terms = offer.terms
    return {
        "kinds": list(terms.kinds),
        "details": {one.kind: terms.resolution_of(one) for one in terms.selectors},
        "devices": [
            {"device": one.device, "kind": one.kind, "channels": one.channels and list(one.channels)}
            for one in terms.selectors
        ],
        "data_from": format_time(terms.data_from),
        "data_until": format_time(terms.data_until),
        "access_until": format_time(terms.access_until),
        "mode": terms.mode,
        "uses": terms.uses,
        "budget": terms.budget,
        "limits": [msgspec.to_builtins(limit) for limit in terms.limits],
    }


def shown(offer: Offer) -> str:
    """The card, and what a person should know beside it."""
    lines = [request_card(offer.card)]
    if offer.row.binding_message:
        lines.append(f"  message   {escape(offer.row.binding_message)}")
    if offer.left_out:
        lines.append(f"  but       they say they cannot do without {', '.join(offer.left_out)}")
    lines += [f"  but       they say they need {words}" for words in offer.below]
    if isinstance(offer.row.state, Preparing):
        lines.append("  note      you approved this before; its keys are still to be handed over")
    return "\n".join(lines)


def offered(session: Session, archive: Archive, row: GrantRow, choice: Choice) -> Offer:
    """What would be given; of an approval that was cut off, what was approved."""
    if isinstance(row.state, Preparing):
        terms = read_statement(session, row).terms
        return offer_of(session, archive, row, asks_of(row), terms, devices.fetch(session))
    return make_offer(session, archive, row, choice)


def decide(
    session: Session, archive: Archive, row: GrantRow, choice: Choice, *, yes: bool, quiet: bool
) -> Offer:
    """Show, ask, and go round as long as the person changes something.

    Raises:
        CancelledError: they said no.
        UsageError: there is no terminal to ask at; or, as the next, of what the choice says at the beginning.
        RefusedError: nothing would be left, or it would be more than was asked.
    """
    offer = offered(session, archive, row, choice)
    if yes:
        if not quiet:
            say(shown(warned(session, archive, offer)))
        return offer
    ink = ink_for(sys.stderr.encoding)
    say(shown(offer))
    _glance(session, archive, offer, ink)
    while True:
        answers = {"y": "yes", "n": "no", "c": "change", "p": "preview"}
        match choose(QUESTION, answers, instead="--yes"):
            case "y":
                return offer
            case "n":
                raise CancelledError("nothing was given", "say no for good: hypertouch request deny ID")
            case "p":
                with Bar("looking back") as progress:
                    seen = look(session, archive, offer, DAYS, progress)
                say(f"\n{preview_text(seen, ink)}\n")
            case _ if isinstance(row.state, Preparing):
                say("it is approved already; to give less, revoke it and have them ask again")
            case _:
                offer = _changed(session, archive, row, offer)
                say(shown(warned(session, archive, offer)))


def warned(session: Session, archive: Archive, offer: Offer) -> Offer:
    """The offer with a note for each series that is too rare for its buckets to hide anything."""
    if all(one.given == RAW for one in offer.card.details):
        return offer
    try:
        seen = look(session, archive, offer, DAYS, at_most(PATIENCE_S))
    except TooSlowError:
        return offer
    card = msgspec.structs.replace(offer.card, notes=(*offer.card.notes, *rare_words(seen)))
    return msgspec.structs.replace(offer, card=card)


def _glance(session: Session, archive: Archive, offer: Offer, ink: Ink) -> None:
    """The preview, where it takes no longer than a person likes to wait for a question."""
    try:
        seen = look(session, archive, offer, DAYS, at_most(PATIENCE_S))
    except TooSlowError:
        say("  preview   takes a while here; p shows what they would have received last week")
        return
    say(f"\n{preview_text(seen, ink)}\n")


def _changed(session: Session, archive: Archive, row: GrantRow, offer: Offer) -> Offer:
    """The offer after a change; as it was, where that cannot be given."""
    choice = change(offer.choice, offer.asks)
    if choice == offer.choice:
        return offer
    try:
        return offered(session, archive, row, choice)
    except (UsageError, RefusedError, NotFoundError) as error:
        say(escape(f"{error.what}; {error.hint}" if error.hint else error.what))
        return offer
