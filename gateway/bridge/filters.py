"""Topic filters (MQTT 5, section 4.7): what they match, whose a topic is, what to subscribe to.

Pure.  A filter here is one that ``check_filter`` passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

import msgspec

from gateway.errors import BridgeConfigError

FILTER_MAX: Final = 1024  # bytes
LEVELS_MAX: Final = 64
_RANK: Final = {"+": 1, "#": 0}  # a name outranks both; the end of a filter outranks "#"
_NAME: Final = 2
_END: Final = 3


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What arrives under ``filter`` is ``device``'s, a name in the words of whoever set it up."""

    filter: str
    device: str


def check_filter(text: str) -> None:
    """Return if this is a topic filter that a bridge can subscribe to; raises BridgeConfigError."""
    levels = text.split("/")
    sound = (
        0 < len(text.encode("utf-8", "replace")) <= FILTER_MAX
        and len(levels) <= LEVELS_MAX
        and text.isprintable()
        and not text.startswith("$share/")
        and "#" not in levels[:-1]
        and all(level in _RANK or not set(level) & set("+#") for level in levels)
    )
    if not sound:
        raise BridgeConfigError("this is not a topic filter", "for example zigbee2mqtt/# or tele/+/SENSOR")


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic is one of a filter's; topics that begin with ``$`` only where the filter does."""
    return _matches(pattern.split("/"), topic.split("/"))


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic of ``narrow`` is one of ``wide``'s."""
    left, right = wide.split("/"), narrow.split("/")
    if _hidden(right) and left[0] in _RANK:
        return False
    for at, level in enumerate(left):
        if level == "#":
            return True
        if at == len(right) or right[at] == "#" or (level != "+" and level != right[at]):
            return False
    return len(left) == len(right)


def overlap(one: str, other: str) -> bool:
    """Whether some topic matches both."""
    left, right = one.split("/"), other.split("/")
    if (_hidden(left) and right[0] in _RANK) or (_hidden(right) and left[0] in _RANK):
        return False
    for a, b in zip(left, right, strict=False):
        if "#" in (a, b):
            return True
        if a != b and "+" not in (a, b):
            return False
    longer = left if len(left) > len(right) else right
    shorter = min(len(left), len(right))
    return len(left) == len(right) or longer[shorter:] == ["#"]


def join(one: str, other: str) -> str:
    """The narrowest filter that has every topic of both, which overlap."""
    left, right = one.split("/"), other.split("/")
    joined: list[str] = []
    for a, b in zip(left, right, strict=False):
        if "#" in (a, b):
            return "/".join([*joined, "#"])
        joined.append(a if a == b else "+")
    return "/".join(joined if len(left) == len(right) else [*joined, "#"])


def disjoint(filters: Iterable[str]) -> list[str]:
    """Filters that together match at least what these do, and no topic twice.

    A broker may send a message once for each subscription that it matches (MQTT 5, section 3.3.4).  So
    overlapping filters are replaced by one that has both, whose further topics are then passed over.
    """
    found = sorted(set(filters))
    while True:
        pair = next(((a, b) for a, b in combinations(found, 2) if overlap(a, b)), None)
        if pair is None:
            return found
        a, b = pair
        single = a if covers(a, b) else b if covers(b, a) else join(a, b)
        found = sorted({single, *(one for one in found if one not in pair)})


class Routes:
    """Which mapping a topic belongs to: the most specific one, whatever their order.

    Two filters are compared level by level from the left, where they first differ: a name is more specific
    than ``+``, ``+`` more than ``#``.  Of two different filters that match one topic, one always is.
    """

    def __init__(self, mappings: Sequence[Mapping]) -> None:
        ranked = sorted(mappings, key=lambda one: _rank(one.filter), reverse=True)
        self._patterns = [(one.filter.split("/"), one.device) for one in ranked]

    def device(self, topic: str) -> str | None:
        """Whose a topic is; None: nobody's."""
        levels = topic.split("/")
        for pattern, device in self._patterns:
            if _matches(pattern, levels):
                return device
        return None


def _rank(pattern: str) -> tuple[int, ...]:
    return (*(_RANK.get(level, _NAME) for level in pattern.split("/")), _END)


def _hidden(levels: list[str]) -> bool:
    return levels[0].startswith("$")


def _matches(pattern: list[str], levels: list[str]) -> bool:
    if _hidden(levels) and pattern[0] in _RANK:
        return False
    for at, level in enumerate(pattern):
        if level == "#":
            return True
        if at == len(levels) or (level != "+" and level != levels[at]):
            return False
    return len(pattern) == len(levels)
