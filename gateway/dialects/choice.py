"""Which rules are about a message, and what they make of it together."""

from __future__ import annotations

from typing import Any

from gateway.dialects.books import ROUTES_MAX, Bound, Group
from gateway.dialects.engine import Run
from gateway.dialects.message import CONTAINER, OTHER, Message
from gateway.dialects.paths import Item
from gateway.dialects.specs import Spec
from gateway.dialects.tries import Scope

Chosen = tuple[Bound, int]


def choose(route: tuple[Bound, ...], message: Message, run: Run) -> Chosen | None:
    """The first group of a source with rules that hold, and which; None: there is none."""
    for bound in route:
        group = bound.group
        mask = group.masks[message.shape]
        if not mask and message.shape == OTHER:
            return None  # broken, where rules read: a later rule for any payload does not pass it over
        if mask and group.scope.conditional:
            run.bindings = bound.bindings
            first = group.specs[(mask & -mask).bit_length() - 1]
            item = Item(document(first, message, bound), None)
            mask = run.holding(group.scope, item, {}, mask)
        if mask:
            return bound, mask
    return None


def declined(chosen: Chosen) -> bool:
    """Whether the chosen rules say that the message is nothing they know."""
    bound, mask = chosen
    return mask > 0 and all(
        spec.format == "unknown" for at, spec in enumerate(bound.group.specs) if mask >> at & 1
    )


def document(spec: Spec, message: Message, bound: Bound) -> Any:
    """The document that a rule is about."""
    if spec.format == "any" and message.shape == OTHER:
        return message.payload  # nothing that fields could be in
    value = message.value(spec.format)
    if spec.member is not None and message.shape != CONTAINER:
        return {spec.member.fill(bound.captures, Item(value, None), {}): value}
    return value


def apply(chosen: list[Chosen], message: Message, run: Run, *, leaving: bool = False) -> str:
    """Let the chosen rules read; the format of the first.

    Rules of several sources read one JSON document together.  A single value is read by the first source
    alone.  ``leaving``: what they do not name is left, also where the vocabulary has the name.
    """
    refused = min(mask for _, mask in chosen)
    bound, mask = chosen[0]
    if refused < 0:
        run.enter(bound.group.scope, None, None, {}, refused)
        return "json"
    first = bound.group.specs[(mask & -mask).bit_length() - 1]
    if message.shape == CONTAINER and (leaving or len(chosen) > 1):
        scope, mask = _together(chosen, leaving=leaving)
    else:
        scope = bound.group.scope
        mask = _alike(bound.group.specs, mask, first)
    if first.format == "unknown":
        run.quarantine = True
        return first.format
    if first.format == "blob":
        return first.format
    whole = document(first, message, bound)
    if not run.enter(scope, whole, None, {}, mask):
        run.quarantine = True
    return first.format


def sequence(chosen: list[Chosen], message: Message) -> tuple[str, int] | None:
    """(session, number) of a message, where a rule says so."""
    for bound, mask in chosen:
        for at, spec in enumerate(bound.group.specs):
            if mask > 0 and mask >> at & 1 and spec.sequence is not None:
                item = Item(message.document, None)
                session, number = (get(item) for get in spec.sequence)
                if isinstance(session, str) and number.__class__ is int and abs(number) < 2**53:
                    return session[:255], number
    return None


def _alike(specs: tuple[Spec, ...], mask: int, first: Spec) -> int:
    """Those rules of a mask that see the document as the first does."""
    for at, spec in enumerate(specs):
        if mask >> at & 1 and (spec.format, spec.rule.member) != (first.format, first.rule.member):
            mask &= ~(1 << at)
    return mask


def _together(chosen: list[Chosen], *, leaving: bool) -> tuple[Scope, int]:
    key = (leaving, *(id(bound.group) for bound, _ in chosen))
    known = _COMBINED.get(key)
    groups = [bound.group for bound, _ in chosen]
    if known is None or known[0] != groups:
        if len(_COMBINED) >= ROUTES_MAX:
            _COMBINED.clear()
        alternatives = [one for group in groups for one in group.scope.alternatives]
        scope = Scope(alternatives, root=True, leaving=leaving)
        known = _COMBINED[key] = (groups, scope)
    mask = shift = 0
    for bound, part in chosen:
        mask |= part << shift
        shift += len(bound.group.specs)
    return known[1], mask


_COMBINED: dict[tuple[int, ...], tuple[list[Group], Scope]] = {}
