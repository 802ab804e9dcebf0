"""Places in an item, as a tree: what is looked for at each, and in its members."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, Final

from gateway.dialects.actions import Action
from gateway.dialects.paths import Getter, getter, parse
from gateway.dialects.patterns import Level

if TYPE_CHECKING:
    from gateway.dialects.tries import Alternative, Scope

CASES_MIN: Final = 4  # actions in one place, from which on it pays to ask first which can be meant
NEVER: Final = 1 << 30  # the layer of what nobody passed over


class Node:
    """A place in an item."""

    __slots__ = (
        "actions",
        "alternatives",
        "asked",
        "cases",
        "covered",
        "elements",
        "fast",
        "ignored",
        "indexes",
        "layer",
        "members",
        "most",
        "passed",
        "patterns",
        "resolved",
        "scope",
    )

    def __init__(self) -> None:
        """Begin with a place that nothing is known about."""
        self.members: dict[str, Node] = {}
        self.patterns: list[tuple[Level, Node]] = []
        self.elements: Node | None = None
        self.indexes: dict[int, Node] = {}
        self.actions: Actions = ()  # with the rule's place in ``Trie.specs``
        self.cases: Cases | None = None  # which of many actions it can be
        self.layer = NEVER  # of the actions
        self.ignored = NEVER  # the layer that passes over what is here
        self.covered = False  # named in a path, or passed over
        self.asked = False  # named in a condition
        self.passed = False  # passed over with all that is in it
        self.most = 0
        self.alternatives: list[Alternative] = []
        self.scope: Scope | None = None
        self.fast: dict[str, Fast] = {}  # members that need no second look
        self.resolved: dict[str, tuple[Hit, ...]] = {}

    @property
    def leads_on(self) -> bool:
        """Whether something is looked for in the members here."""
        return bool(self.members or self.patterns)

    @property
    def searched(self) -> bool:
        """Whether something is looked for at all, here or further in."""
        inner = self.leads_on or self.elements is not None or bool(self.indexes)
        return inner or bool(self.actions or self.alternatives)

    def takes(self, value: Any) -> bool:
        """Whether an item that begins here can be such a value."""
        if value.__class__ is dict or self.covered or self.actions:
            return True
        return value.__class__ is list and (self.elements is not None or bool(self.indexes))


Actions = tuple[tuple[int, Action], ...]
Cases = tuple[Getter, dict[str, Actions], Actions]

Hit = tuple[Node, dict[str, str] | None]

# The rule's place and how its numbers are taken; empty: passed over.
Fast = tuple[()] | tuple[int, str, float, float, float, frozenset[float] | None, str]


PASSED: Final = Node()
PASSED.passed = True


def child_at(node: Node, step: Any) -> Node:
    """The child at a step, made where there is none."""
    if isinstance(step, str):
        return node.members.setdefault(step, Node())
    if isinstance(step, int):
        return node.indexes.setdefault(step, Node())
    if isinstance(step, Level):
        for level, child in node.patterns:
            if level.text == step.text:
                return child
        child = Node()
        node.patterns.append((step, child))
        return child
    if node.elements is None:
        node.elements = Node()
    return node.elements


def fast_of(node: Node) -> Fast | None:
    """What is known of a member without looking at its value, or at its number alone."""
    if node.passed or (node.covered and not node.searched):
        return ()
    if len(node.actions) != 1 or node.actions[0][1].plain is None:
        return None
    slot, action = node.actions[0]
    return None if action.plain is None else (slot, *action.plain)


def cases_of(actions: Actions) -> Cases | None:
    """The path that most conditions of these are about, and what they are where a text is at it."""
    counts = collections.Counter(path for _, action in actions for path in action.words)
    if not counts:
        return None
    path, _ = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
    words = {word for _, action in actions for word in action.words.get(path, ())}
    return (
        getter(parse(path)),
        {word: tuple(one for one in actions if word in one[1].words.get(path, (word,))) for word in words},
        tuple(one for one in actions if path not in one[1].words),
    )
