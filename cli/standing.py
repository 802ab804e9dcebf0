"""Where a person's decision begins: at what their standing rules and the request settle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from cli.choice import Choice
from cli.draft import Draft, as_asked, in_force, kinds_of, settled
from cli.errors import RefusedError
from cli.values import label_of
from gateway.client.rules import standing
from gateway.client.session import Session
from policies.grant import Active
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.request import Ask, parse_details
from policies.settle import Item, settle
from vault.ids import BrandId
from vault.store.records import GrantRow

NO_RULE: Final = "No rule decides this."


class Beginning(NamedTuple):
    """What would be given if the person said no more, and sentences about it."""

    draft: Draft
    notes: tuple[str, ...] = ()


def asks_of(row: GrantRow) -> tuple[Ask, ...]:
    """The brand's words, read as of the moment they came."""
    return parse_details(row.ask, catalogue(), purposes(), row.asked // 1000)


def begin(session: Session, row: GrantRow, asks: tuple[Ask, ...], choice: Choice, now_s: int) -> Beginning:
    """What is given now, all that they would like, or the most private point that the rules allow.

    Raises:
        RefusedError: the rules refuse all of it, or something that the person named.
    """
    if isinstance(row.state, Active):
        return Beginning(as_asked(asks) if choice.as_asked else in_force(row.state.terms))
    brand = BrandId(row.brand).text
    found = settle(asks, standing(session).rules, catalogue(), purposes(), now_s, brand=brand)
    items = (*found.grant, *found.ask)
    refused = {kind: item.reason for item in found.refuse for kind in item.ask.kinds}
    _require(choice, refused, kinds_of([item.ask for item in items]))
    draft = as_asked([item.ask for item in items]) if choice.as_asked else settled(items)
    return Beginning(draft, (*found.notes, *_reasons(items, found.refuse)))


def _require(choice: Choice, refused: Mapping[str, str], left: Sequence[str]) -> None:
    """Return if the rules leave what the person wants; raises RefusedError."""
    named = [found.name for text in choice.kinds if (found := catalogue().find(text)) is not None]
    no = next((refused[kind] for kind in named if kind in refused), None)
    if no is None and not left:
        no = next(iter(refused.values()))
    if no is not None:
        hint = "deny it: hypertouch request deny ID, or change the rule: hypertouch rule list"
        raise RefusedError(no.removesuffix("."), hint)


def _reasons(items: Sequence[Item], refused: Sequence[Item]) -> list[str]:
    """What the rules say of it, each sentence once; that no rule decides is no news."""
    said = {item.reason: None for item in items if item.reason != NO_RULE}
    left_out = {
        f"{', '.join(label_of(kind) for kind in item.ask.kinds)} is left out. {item.reason}": None
        for item in refused
    }
    return [*said, *left_out]
