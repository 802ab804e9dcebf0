"""The rules of one source, by topic: which of them are about a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from gateway.dialects.decode import decode, word
from gateway.dialects.engine import Binding, Run
from gateway.dialects.paths import ABSENT, Item
from gateway.dialects.patterns import Caught
from gateway.dialects.specs import Spec
from gateway.dialects.tries import Alternative, Scope

ROUTES_MAX: Final = 4096  # topics whose rules are remembered
GROUP_MAX: Final = 256  # rules of one topic

# What a payload can be; which formats have a place for it.
_CONTAINER, _SCALAR, _WORD, _OTHER = range(4)
_FITS: Final[Mapping[str, frozenset[int]]] = {
    "json": frozenset((_CONTAINER,)),
    "value": frozenset((_SCALAR, _WORD)),
    "text": frozenset((_SCALAR, _WORD)),
    "any": frozenset((_CONTAINER, _SCALAR, _WORD, _OTHER)),
    "blob": frozenset((_CONTAINER, _SCALAR, _WORD, _OTHER)),
    "unknown": frozenset((_CONTAINER, _SCALAR, _WORD, _OTHER)),
}


class Message:
    """A payload, decoded when somebody asks."""

    __slots__ = ("_document", "_shape", "payload")

    def __init__(self, payload: bytes) -> None:
        """Take a payload of any sort."""
        self.payload = payload
        self._document: Any = ABSENT
        self._shape = -1

    @property
    def document(self) -> Any:
        """The JSON it is; None: it is none, or null."""
        if self._document is ABSENT:
            self._document = decode(self.payload)
        return self._document

    @property
    def shape(self) -> int:
        """What it is."""
        if self._shape < 0:
            document = self.document
            if document.__class__ is dict or document.__class__ is list:
                self._shape = _CONTAINER
            elif document is not None:
                self._shape = _SCALAR
            else:
                self._shape = _OTHER if word(self.payload) is None else _WORD
        return self._shape

    def value(self, form: str) -> Any:
        """What rules of a format are about."""
        if form == "text" or self.shape == _WORD:
            return word(self.payload)
        return self.document


class Group:
    """Rules of one source that have one topic."""

    __slots__ = ("layer", "masks", "scope", "specs")

    def __init__(self, specs: Iterable[Spec], layer: int) -> None:
        """Take rules in their order."""
        self.specs = tuple(specs)
        self.layer = layer
        self.scope = Scope([Alternative(layer, spec, spec.each) for spec in self.specs], root=True)
        self.masks = tuple(
            sum(1 << at for at, spec in enumerate(self.specs) if shape in _FITS[spec.format])
            for shape in (_CONTAINER, _SCALAR, _WORD, _OTHER)
        )

    def match(self, topic: str) -> dict[str, str] | None:
        """The captures of the first pattern that fits."""
        first = self.specs[0]
        if not first.topics:
            return {}
        for pattern in first.topics:
            captures = pattern.match(topic)
            if captures is not None:
                return captures
        return None


class Bound:
    """A group on a topic that it fits."""

    __slots__ = ("bindings", "captures", "group")

    def __init__(self, group: Group, topic: str, captures: Mapping[str, str]) -> None:
        """Bind all its rules."""
        self.group = group
        self.bindings = {spec: Binding(spec, topic, captures) for spec in group.specs}
        self.captures = Caught({**captures, "topic": topic})


Pattern = str | tuple[str, ...]


class Book:
    """All rules of one source, found by topic."""

    __slots__ = ("_groups", "_layer", "_literal", "_next", "_open", "_places", "_routes", "_specs")

    def __init__(self, specs: Iterable[Spec], layer: int) -> None:
        """Take rules in their order; those of one topic become a group, in the place of the first."""
        self._layer = layer
        self._next = 0
        self._places: dict[Pattern, int] = {}
        self._specs: dict[int, list[Spec]] = {}  # by place
        self._groups: dict[int, Group] = {}  # those that somebody asked for
        self._literal: dict[str, list[int]] = {}
        self._open: list[int] = []
        self._routes: dict[str, tuple[Bound, ...]] = {}
        self.replace((), specs)

    def replace(self, old: Iterable[Spec], new: Iterable[Spec]) -> None:
        """Take rules out, and put others in, after those of the same topics."""
        for spec in old:
            place = self._places[spec.rule.topic]
            self._specs[place].remove(spec)
            self._changed(place, spec)
            if not self._specs[place]:
                del self._places[spec.rule.topic], self._specs[place]
                for places in self._listed(spec):
                    places.remove(place)
        for spec in new:
            known = self._places.get(spec.rule.topic)
            if known is None:
                known = self._places[spec.rule.topic] = self._next
                self._next += 1
                self._specs[known] = []
                for places in self._listed(spec):
                    places.append(known)
            self._specs[known].append(spec)
            self._changed(known, spec)

    def _listed(self, spec: Spec) -> list[list[int]]:
        """Where the place of a rule's topic is listed: under texts that it fits, or among the patterns."""
        literals = _literals(spec)
        return [self._literal.setdefault(text, []) for text in literals] if literals else [self._open]

    def _changed(self, place: int, spec: Spec) -> None:
        self._groups.pop(place, None)
        literals = _literals(spec)
        if not literals:
            self._routes.clear()
        for text in literals:
            self._routes.pop(text, None)

    def route(self, topic: str) -> tuple[Bound, ...]:
        """The groups that are about a topic, in their order."""
        found = self._routes.get(topic)
        if found is None:
            if len(self._routes) >= ROUTES_MAX:
                self._routes.clear()
            found = self._routes[topic] = tuple(self._matching(topic))
        return found

    def _matching(self, topic: str) -> Iterable[Bound]:
        for place in sorted((*self._literal.get(topic, ()), *self._open)):
            group = self._groups.get(place)
            if group is None:
                group = self._groups[place] = Group(_distinct(self._specs[place]), self._layer)
            captures = group.match(topic)
            if captures is not None:
                yield Bound(group, topic, captures)


def _distinct(specs: Iterable[Spec]) -> list[Spec]:
    """Rules of one topic, each once, up to a limit: many entities of a hub declare that it can be reached."""
    found: dict[bytes, Spec] = {}
    for spec in specs:
        found.setdefault(msgspec.msgpack.encode(spec.rule), spec)
        if len(found) == GROUP_MAX:
            break
    return list(found.values())


def _literals(spec: Spec) -> tuple[str, ...]:
    """The texts that a rule's topic fits, if these are all that it fits."""
    literals = tuple(pattern.literal for pattern in spec.topics)
    return tuple(dict.fromkeys(text for text in literals if text is not None)) if None not in literals else ()


Chosen = tuple[Bound, int]


def choose(route: tuple[Bound, ...], message: Message, run: Run) -> Chosen | None:
    """The first group of a source with rules that hold, and which; None: there is none."""
    for bound in route:
        group = bound.group
        mask = group.masks[message.shape]
        if not mask and message.shape == _OTHER:
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
    if spec.format == "any" and message.shape == _OTHER:
        return message.payload  # nothing that fields could be in
    value = message.value(spec.format)
    if spec.member is not None and message.shape != _CONTAINER:
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
    if message.shape == _CONTAINER and (leaving or len(chosen) > 1):
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
