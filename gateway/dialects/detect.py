"""Which dialect a payload is in, by its topic and, where that says nothing, by how it begins."""

from __future__ import annotations

import functools
import re

_CACHED_MAX = 255  # characters of a topic that is worth remembering; longer ones are no device's habit

# Tasmota's FullTopic has its prefix where the owner wants it; what is told comes last.
_TASMOTA_PREFIXES = frozenset(("tele", "stat"))
_TASMOTA_LAST = re.compile(r"SENSOR|STATE|LWT|RESULT|(?:INFO|POWER|STATUS)\d*")


def detect(topic: str, payload: bytes) -> str:
    """Name the dialect of a payload; plain where nothing speaks for another."""
    by_topic = _remembered(topic) if len(topic) <= _CACHED_MAX else of_topic(topic)
    if by_topic is not None:
        return by_topic
    start = payload[:1] if payload[:1] in (b"{", b"[") else payload.lstrip()[:1]
    if start == b"[":
        return "senml"
    if start == b"{" and b'"_type"' in payload:
        return "owntracks"  # on a topic of the user's own choice
    return "plain"


def of_topic(topic: str) -> str | None:
    """Name the dialect that a topic alone gives away."""
    base, _, rest = topic.partition("/")
    if base == "zigbee2mqtt" and rest:
        return "zigbee2mqtt"
    if base == "owntracks" and rest:
        return "owntracks"
    *levels, last = topic.split("/")
    if topic.startswith("tasmota/discovery/"):
        return "tasmota"
    if _TASMOTA_LAST.fullmatch(last) and not _TASMOTA_PREFIXES.isdisjoint(levels):
        return "tasmota"
    return None


_remembered = functools.lru_cache(maxsize=4096)(of_topic)
