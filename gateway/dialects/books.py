"""The rules of one source, by topic: which of them are about a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gateway.dialects.items import Binding
from gateway.dialects.message import CONTAINER, FITS, OTHER, SCALAR, WORD
from gateway.dialects.patterns import Caught
from gateway.dialects.specs import Spec
from gateway.dialects.tries import Alternative, Scope

ROUTES_MAX: Final = 4096  # topics whose rules are remembered
GROUP_MAX: Final = 256  # rules of one topic


class Group:
    """Rules of one source that have one topic."""

    __slots__ = ("layer", "masks", "scope", "specs")

    def __init__(self, specs: Iterable[Spec], layer: int) -> None:
        """Take rules in their order."""
        self.specs = tuple(specs)
        self.layer = layer
        self.scope = Scope([Alternative(layer, spec, spec.each) for spec in self.specs], root=True)
        self.masks = tuple(
            sum(1 << at for at, spec in enumerate(self.specs) if shape in FITS[spec.format])
            for shape in (CONTAINER, SCALAR, WORD, OTHER)
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
