"""What is known while a message is read: of the topic, of every item, and of the device."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final, Protocol

from gateway.dialects.draft import CHANNEL_MAX, fits
from gateway.dialects.nodes import Node
from gateway.dialects.paths import Item
from gateway.dialects.patterns import Captures, Caught
from gateway.dialects.specs import Spec
from gateway.dialects.tries import Trie

SHORT: Final = CHANNEL_MAX // 4  # characters that surely fit: each has at most four bytes
NOTHING: Final[Captures] = {}


class Binding:
    """A topic's captures for one rule, and the rule's channel where the topic alone gives it."""

    __slots__ = ("captures", "channel")

    def __init__(self, spec: Spec, topic: str, captures: Mapping[str, str]) -> None:
        """Bind a rule to a topic that it fits."""
        self.captures = Caught({**captures, "topic": topic})
        self.channel: str | None = None
        template = spec.channel
        if not template.paths and not template.facts and template.names <= self.captures.keys():
            self.channel = template.fill(self.captures, _NOWHERE, NOTHING)


_NOWHERE: Final = Item(None, None)


class State:
    """What one rule knows about one item: where and when its readings are."""

    __slots__ = ("captures", "channel", "claimed", "fits", "time")

    def __init__(self, captures: Captures, channel: str, time: int, claimed: int | None) -> None:
        """Take a channel of any length, and times in ms."""
        self.captures = captures
        self.channel = channel
        self.time = time
        self.claimed = claimed
        self.fits = len(channel) <= SHORT or fits(channel)


class Here(Item):
    """An item that is being read."""

    __slots__ = ("more", "outer", "states", "trie")

    def __init__(
        self, value: Any, parent: Item | None, trie: Trie, more: Captures, outer: Outer | None
    ) -> None:
        """Begin with what the path to the item captured."""
        super().__init__(value, parent)
        self.outer = outer
        self.trie = trie
        self.more = more
        self.states: list[State | None] = [None] * len(trie.specs)


Outer = tuple[Node, Here, Captures]


class Known(Protocol):
    """What is known of a device: a ``Notebook``."""

    @property
    def zone(self) -> datetime.tzinfo:
        """Where its times without a zone are."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What it told before."""

    @property
    def own(self) -> frozenset[str]:
        """Ids of the person's own sensors, as ``sensor_id`` makes them."""


def sensor_id(text: str) -> str:
    """An id as it is compared: addresses are written with and without colons, in both cases."""
    return text.replace(":", "").replace("-", "").strip().casefold()
