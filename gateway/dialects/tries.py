"""What is looked for in an item: the paths of all rules that apply to it, as one tree.

An item is walked once, and every member of it is met; so what nothing names is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from gateway.dialects.actions import Action
from gateway.dialects.nodes import CASES_MIN, NEVER, PASSED, Hit, Node, cases_of, child_at, fast_of
from gateway.dialects.paths import ALL, EVERY, Getter, Path, Steps, getter, parse
from gateway.dialects.rules import Field, Others
from gateway.dialects.specs import Spec
from policies.kinds import Kind

RESOLVED_MAX: Final = 1024  # names of members whose meaning is remembered, in one place
LAST_LAYER: Final = 2  # a dialect's rules, after those that were taught (0) and learned (1)
TRIES_MAX: Final = 64  # combinations of rules, of one item


class Alternative(msgspec.Struct, frozen=True):
    """A rule on its way to its items: what is left of ``each``."""

    layer: int  # taught, learned, the dialect's: what an earlier one names, a later one leaves
    spec: Spec
    rest: tuple[Steps, ...]


class Scope:
    """Where items begin: the rules that may be about them."""

    __slots__ = ("alternatives", "conditional", "leaving", "own", "root", "switch", "tries")

    def __init__(
        self, alternatives: Sequence[Alternative], *, root: bool = False, leaving: bool = False
    ) -> None:
        """Take rules in their order; ``leaving`` as in ``Trie``."""
        self.alternatives = tuple(alternatives)
        self.root = root
        self.leaving = leaving
        self.own = sum(1 << at for at, one in enumerate(self.alternatives) if not one.rest)
        self.conditional = any(
            not one.rest and (one.spec.when is not None or bool(one.spec.sensors))
            for one in self.alternatives
        )
        self.switch = self._switch()
        self.tries: dict[int, Trie] = {}

    def _switch(self) -> tuple[Getter, dict[str, int], int] | None:
        """Where all conditions are about the text at one path: text -> rules, and those for any other."""
        cases = [one.spec.case for one in self.alternatives if not one.rest and one.spec.when is not None]
        sensors = any(one.spec.sensors for one in self.alternatives)
        if len(cases) < 2 or None in cases or sensors or len({case[0] for case in cases if case}) > 1:
            return None
        always = self.every
        masks: dict[str, int] = {}
        for at, one in enumerate(self.alternatives):
            if not one.rest and one.spec.case is not None:
                always &= ~(1 << at)
                for word in one.spec.case[1]:
                    masks[word] = masks.get(word, 0) | 1 << at
        path = next(case[0] for case in cases if case is not None)
        return getter(parse(path)), {word: mask | always for word, mask in masks.items()}, always

    def trie(self, mask: int) -> Trie:
        """What to look for where these of the rules apply, as bits."""
        found = self.tries.get(mask)
        if found is None:
            if len(self.tries) >= TRIES_MAX:
                self.tries.clear()
            chosen = [one for at, one in enumerate(self.alternatives) if mask >> at & 1]
            found = self.tries[mask] = Trie(chosen, root=self.root, leaving=self.leaving)
        return found

    @property
    def every(self) -> int:
        """All rules, as bits."""
        return (1 << len(self.alternatives)) - 1


class Trie:
    """The tree for one combination of rules."""

    __slots__ = ("_said", "items", "others", "root", "specs", "vocabulary")

    def __init__(self, alternatives: Iterable[Alternative], *, root: bool, leaving: bool) -> None:
        """Put all paths into one tree; ``leaving``: what they do not name is somebody else's to look up."""
        self.root = Node()
        self.specs: list[Spec] = []
        self.items: list[tuple[int, Action]] = []  # actions that are about the whole item
        modes: list[tuple[int, Others, int]] = []
        self._said: set[tuple[int, str, bytes]] = set()  # fields that are taken
        for one in sorted(alternatives, key=lambda one: one.layer):
            if one.rest:
                self._lead(one)
            else:
                self.specs.append(one.spec)
                modes.append((one.layer, one.spec.others, len(self.specs) - 1))
                self._take(one.spec, len(self.specs) - 1, one.layer)
            self._name(one, root=root)
        self.others, self.vocabulary = _mode(modes)
        if leaving and self.others == "kinds":
            self.others = "quarantine"
        self._finish(self.root)
        self._said.clear()

    def _take(self, spec: Spec, slot: int, layer: int) -> None:
        for field, action in zip(spec.rule.fields, spec.actions, strict=True):
            said = (layer, spec.rule.channel, msgspec.msgpack.encode(field))
            if said in self._said:
                continue  # several lessons may say the same
            self._said.add(said)
            if action.at_item:
                self.items.append((slot, action))
                continue
            node = self._node(action.path.steps, layer)
            if node is None or node.layer < layer:
                continue  # an earlier source has said what this is
            node.layer = layer
            node.actions = (*node.actions, (slot, action))
            if action.most:
                self._limit(action)

    def _limit(self, action: Action) -> None:
        node = self.root
        for step in action.path.steps:
            if step is EVERY:
                node.most = min(action.most, node.most or action.most)
            node = child_at(node, step)

    def _lead(self, one: Alternative) -> None:
        node = self._node(one.rest[0], one.layer)
        if node is not None:
            node.alternatives.append(msgspec.structs.replace(one, rest=one.rest[1:]))

    def _name(self, one: Alternative, *, root: bool) -> None:
        """Mark what paths of the rule name here, wherever its items are."""
        spec, out = one.spec, len(one.rest)

        def here(paths: Iterable[Path]) -> Iterator[Node]:
            for path in paths:
                if (root and path.root) or (not path.root and path.out == out):
                    steps = path.steps[:-1] if path.steps[-1:] == (ALL,) else path.steps
                    node = self._node(steps, one.layer)
                    if node is not None:
                        yield node

        for node in here(path for path in spec.named if path.steps):
            node.covered = True
        for node in here(path for path in spec.asked if path.steps):
            node.asked = True
        everywhere = (Path(path.steps, out=out) for path in spec.everywhere)
        for node in here((*spec.ignore, *everywhere)):
            node.covered = True
            node.ignored = min(node.ignored, one.layer)

    def _node(self, steps: Steps, layer: int) -> Node | None:
        """The node at a path; None: an earlier source passes over it."""
        node = self.root
        for step in steps:
            if node.ignored < layer:
                return None
            node = child_at(node, step)
        return None if node.ignored < layer else node

    def _finish(self, node: Node) -> None:
        if len(node.actions) >= CASES_MIN:
            node.cases = cases_of(node.actions)
        if node.alternatives:
            node.scope = Scope(node.alternatives)
        inside = (*node.members.values(), *(child for _, child in node.patterns), *node.indexes.values())
        for child in (*inside, node.elements) if node.elements is not None else inside:
            child.covered = child.covered or node.covered
            child.ignored = min(child.ignored, node.ignored)
        for name, child in node.members.items():
            self._finish(child)
            child.passed = child.ignored < NEVER and not child.searched
            fast = fast_of(child)
            if fast is not None:
                node.fast[name] = fast
        for _, child in node.patterns:
            self._finish(child)
        for inner in (node.elements, *node.indexes.values()):
            if inner is not None:
                self._finish(inner)

    def resolve(self, node: Node, name: str) -> tuple[Hit, ...]:
        """What a member may be, the likeliest first."""
        hits: list[Hit] = []
        if name in node.members:
            hits.append((node.members[name], None))
        for level, child in node.patterns:
            captures = level.match(name)
            if captures is not None:
                hits.append((child, captures))
        if node.scope is not None:
            pass  # what remains is an item's
        elif node.covered or self.others == "ignore":
            hits.append((PASSED, None))
        elif self.others == "kinds":
            spec = self.specs[self.vocabulary]
            kind = spec.find(name)
            if kind is not None:
                hits.append((_word(kind, name, spec, self.vocabulary), None))
        if name in node.members and node.members[name].asked:
            hits.append((PASSED, None))
        found = tuple(hits)
        if len(node.resolved) < RESOLVED_MAX:
            node.resolved[name] = found
            if len(found) == 1 and found[0][1] is None:
                fast = fast_of(found[0][0])
                if fast is not None:
                    node.fast[name] = fast
        return found


def _mode(modes: Sequence[tuple[int, Others, int]]) -> tuple[Others, int]:
    """What is done with members that nothing names, and in whose channel: the last source says so."""
    if any(mode == "ignore" for _, mode, _ in modes):
        return "ignore", 0
    last = max((layer for layer, _, _ in modes), default=0)
    for layer, mode, slot in modes:
        if layer == last and mode == "kinds":
            return mode, slot
    return "quarantine", 0


def _word(kind: Kind, name: str, spec: Spec, slot: int) -> Node:
    """The node of a member that the vocabulary names."""
    node = Node()
    if kind.type != "place":
        # "state": 1 may be of any enumeration.
        words = {"state": "switch"}
        field = Field(kind=kind.name, inverse=kind.inverts(name))
        if words.get(name.lower()) == kind.name:
            field = msgspec.structs.replace(field, enum=_NO_NUMBERS)
        node.actions = ((slot, Action(field, spec.find, spec.units)),)
    return node


_NO_NUMBERS: Final = {text: text for text in ("ON", "OFF", "on", "off", "On", "Off", "true", "false")}
