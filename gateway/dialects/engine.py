"""Runs compiled rules over a payload: walks it once, and collects what they find.

Nothing here raises for any payload, and the work is linear in its size: rules say what is looked for, and
whatever is not looked for is only counted as not understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.dialects.actions import Found, Nothing, Outcome
from gateway.dialects.clock import event_time
from gateway.dialects.draft import child, fits
from gateway.dialects.items import NOTHING, SHORT, Binding, Here, Known, Outer, State, sensor_id
from gateway.dialects.nodes import Node
from gateway.dialects.paths import ABSENT, Item
from gateway.dialects.patterns import Captures
from gateway.dialects.specs import Spec
from gateway.dialects.tries import Scope
from gateway.dialects.values import INTEGER_MAX, No
from vault.observation import Observation

FACTS_MAX: Final = 1024  # facts of one message
READINGS_MAX: Final = 32_768  # of one message
READINGS_LEAST: Final = 256  # and of a short one so many, and one a byte: rules may take a value many times
_NUMBERS: Final = (float, int)  # and not bool
UNCLAIMED: Final = -1  # of a sensor, and the person has not said which are theirs
FOREIGN: Final = -2  # of a sensor that is not


class Run:
    """One message being read."""

    __slots__ = (
        "_arrival",
        "_facts",
        "_own",
        "_zone",
        "bindings",
        "dropped",
        "facts",
        "foreign",
        "full",
        "left",
        "most",
        "observations",
        "quarantine",
    )

    def __init__(self, arrival: int, known: Known) -> None:
        """Begin with nothing understood; ``arrival`` is in ms."""
        self._arrival, self._zone = arrival, known.zone
        self._facts, self._own = known.facts, known.own
        self.bindings: Mapping[Spec, Binding] = {}  # of the rules that are run
        self.observations: list[Observation] = []
        self.quarantine = False
        self.most, self.full = READINGS_MAX, False  # full: there is no room for all that the rules find
        self.dropped = self.foreign = 0
        self.facts: dict[str, str] | None = None  # None: nothing was to be remembered
        self.left: dict[str, Any] | None = None  # where set: members of the document that nothing names

    def holding(self, scope: Scope, item: Item, more: Captures, mask: int) -> int:
        """Those of a mask's rules that hold for an item, or one of ``FOREIGN`` and ``UNCLAIMED``."""
        if scope.switch is not None:
            get, masks, always = scope.switch
            value = get(item)
            return mask & (masks.get(value, always) if value.__class__ is str else always)
        settled: str | tuple[str, ...] = ()  # whose sensor it is; rules of one topic mostly ask the same
        for at, one in enumerate(scope.alternatives):
            spec = one.spec
            if one.rest or not mask >> at & 1 or (spec.when is None and not spec.sensors):
                continue
            base = self.bindings[spec].captures
            captures = {**base, **more} if more else base
            if spec.when is not None and not spec.when(item, captures, self._facts):
                mask &= ~(1 << at)
            elif spec.sensors and spec.rule.sensor != settled:
                settled = spec.rule.sensor
                ids = {sensor_id(text.fill(captures, item, self._facts)) for text in spec.sensors}
                ids.discard("")
                if not ids or not self._own:
                    return UNCLAIMED
                if ids.isdisjoint(self._own):
                    return FOREIGN
        return mask

    def enter(
        self,
        scope: Scope,
        value: Any,
        parent: Item | None,
        more: Captures,
        mask: int,
        outer: Outer | None = None,
    ) -> bool:
        """Read an item by these rules of a scope; False: they have no place for such a value.

        ``mask`` is what ``holding`` gave; ``outer`` the place of the item in the one around it.
        """
        if mask <= 0:
            self.foreign += mask == FOREIGN
            self.quarantine = self.quarantine or mask != FOREIGN
            return True
        trie = scope.trie(mask)
        if trie.root.passed:
            return True
        here = Here(value, parent, trie, more, outer)
        if not trie.root.takes(value):
            return False
        for slot, action in trie.items:
            state = here.states[slot] or self._state(here, slot)
            self._outcome(action.apply(ABSENT, here, state.captures, self._facts), state, state.channel)
        if not self._visit(trie.root, value, here, NOTHING) and trie.others != "ignore":
            self.quarantine = True
        return True

    def _state(self, here: Here, slot: int) -> State:
        spec = here.trie.specs[slot]
        binding = self.bindings[spec]
        captures = {**binding.captures, **here.more} if here.more else binding.captures
        channel = binding.channel
        if channel is None:
            channel = spec.channel.fill(captures, here, self._facts)
        time, claimed = self._arrival, None
        unread = False
        for get, read in spec.times:
            value = get(here)
            if value is ABSENT:
                continue
            moment = read(value, self._zone)
            unread = moment is None
            if moment is not None:
                time, claimed = event_time(moment, self._arrival)
                break
        if unread:
            self.quarantine = True
        state = here.states[slot] = State(captures, channel, time, claimed)
        return state

    def _visit(self, node: Node, value: Any, here: Here, caught: Captures) -> bool:
        """Read what stands at a place; False: nothing there is about such a value."""
        if self.full:
            return True
        kind = value.__class__
        if kind is dict:
            if node.scope is not None:
                return self._inner(node, value, here, caught)
            if node.leads_on or node is here.trie.root:
                self._members(node, value, here, caught)
                return True
        elif kind is list:
            if node.elements is not None or node.indexes:
                return self._elements(node, value, here, caught)
            if node.scope is not None:
                return self._inner(node, value, here, caught)
        elif node.scope is not None and not node.actions:
            return self._inner(node, value, here, caught) or node.covered
        understood = node.covered
        actions = node.actions
        if node.cases is not None:
            get, cases, others = node.cases
            word = get(here)
            actions = cases.get(word, others) if word.__class__ is str else others
        for slot, action in actions:
            state = here.states[slot] or self._state(here, slot)
            captures = {**state.captures, **caught} if caught else state.captures
            outcome = action.apply(value, here, captures, self._facts)
            if outcome is not None:
                understood = True
                self._outcome(outcome, state, state.channel)
        return understood

    def _inner(self, node: Node, value: Any, here: Here, caught: Captures) -> bool:
        """Read an item within this one; members that its rules do not know may be known to this one's."""
        scope = node.scope
        if scope is None:
            return False
        more = {**here.more, **caught} if caught else here.more
        mask = scope.every
        if scope.conditional:
            mask = self.holding(scope, Item(value, here), more, mask)
        outer = (node, here, caught) if node.leads_on else None
        return self.enter(scope, value, here, more, mask, outer)

    def _members(self, node: Node, fields: Mapping[str, Any], here: Here, caught: Captures) -> None:
        fast = node.fast
        states = here.states
        for name, value in fields.items():
            known = fast.get(name)
            if known is not None:
                if not known:
                    continue
                # Nearly every field of nearly every message that is not passed over.
                slot, kind, low, high, scale, drop, inner = known
                if value.__class__ in _NUMBERS and -INTEGER_MAX < value < INTEGER_MAX:
                    state = states[slot] or self._state(here, slot)
                    if drop is not None and value in drop:
                        self.dropped += 1
                        continue
                    number = float(value) if scale == 1.0 else float(f"{value * scale:.15g}")
                    channel = state.channel if not inner else child(state.channel, inner)
                    if low <= number <= high and len(channel) <= SHORT:
                        self.observations.append(
                            Observation(channel, kind, state.time, number, state.claimed)
                        )
                        continue
            self._member(node, name, value, here, caught)

    def _member(self, node: Node, name: str, value: Any, here: Here, caught: Captures) -> None:
        if self._named(node, name, value, here, caught):
            return
        if node is here.trie.root:
            if here.outer is not None:
                outer, around, before = here.outer
                if self._named(outer, name, value, around, before):
                    return
            elif self.left is not None and here.parent is None:
                self.left[name] = value
                return
        self.quarantine = True

    def _named(self, node: Node, name: str, value: Any, here: Here, caught: Captures) -> bool:
        """Read a member; False: nothing here is about it."""
        hits = node.resolved.get(name)
        if hits is None:
            hits = here.trie.resolve(node, name)
        for found, captures in hits:
            if found.passed:
                return True
            if self._visit(found, value, here, {**caught, **captures} if captures else caught):
                return True
        return value is None and bool(hits)  # nothing is there, where something could be

    def _elements(self, node: Node, values: list[Any], here: Here, caught: Captures) -> bool:
        if node.most and len(values) > node.most:
            return False
        size = len(values)
        for at, value in enumerate(values):
            found = node.indexes.get(at, node.indexes.get(at - size)) if node.indexes else None
            found = found or node.elements
            if found is None or not self._visit(found, value, here, {**caught, "#": str(at + 1)}):
                self.quarantine = self.quarantine or not (node.covered or value is None)
        return True

    def _outcome(self, outcome: Outcome, state: State, channel: str) -> None:
        if isinstance(outcome, Found):
            if outcome.channel:
                channel = child(channel, outcome.channel)
                sound = len(channel) <= SHORT or fits(channel)
            else:
                sound = state.fits
            if len(self.observations) >= self.most:
                self.full = True
            elif sound:
                self.observations.append(
                    Observation(channel, outcome.kind, state.time, outcome.value, state.claimed)
                )
            else:
                self.quarantine = True
        elif outcome is No.DROPPED:
            self.dropped += 1
        elif outcome is No.UNKNOWN:
            self.quarantine = True
        elif outcome is not None and outcome is not Nothing:
            self.facts = {} if self.facts is None else self.facts
            if outcome.text:
                self.facts[outcome.key] = outcome.text
            self.quarantine = self.quarantine or len(self.facts) > FACTS_MAX
