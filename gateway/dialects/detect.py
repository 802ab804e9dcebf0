"""Which dialect a payload is in, by its topic and, where that says nothing, by how it begins."""

from __future__ import annotations

import functools
from typing import Final

from gateway.dialects.cbor import is_pack
from gateway.dialects.library import Entry, entries
from gateway.dialects.message import Message
from gateway.dialects.patterns import Topic
from gateway.dialects.reading import PLAIN

_CACHED_MAX: Final = 255  # characters of a topic worth remembering; longer ones are no device's habit


def detect(topic: str, message: Message) -> str:
    """Name the dialect of a message; plain where nothing speaks for another."""
    by_topic = _remembered(topic) if len(topic) <= _CACHED_MAX else of_topic(topic)
    if by_topic is not None:
        return by_topic
    payload = message.payload
    start = payload[:1] if payload[:1] in (b"{", b"[") else payload.lstrip()[:1]
    if start == b"{":
        for words, entry in _signs():
            for word in words:
                if word in payload and _speaks(entry, message):
                    return entry.name
        return PLAIN
    return _arrays() if start == b"[" or is_pack(payload) else PLAIN


def of_topic(topic: str) -> str | None:
    """Name the dialect that a topic alone gives away: of several, the one whose pattern is more literal."""
    for pattern, name in _patterns():
        if pattern.match(topic) is not None:
            return name
    return None


_remembered = functools.lru_cache(maxsize=4096)(of_topic)


def _speaks(entry: Entry, message: Message) -> bool:
    """Whether a payload has what gives a dialect away."""
    if not all(any(path.likely(message.payload) for path in key) for key in entry.keys):
        return False
    document = message.document
    if document.__class__ is not dict:
        return True  # what is no JSON is nobody's, and this is the likeliest
    return all(any(path.leads(document) for path in key) for key in entry.keys)


@functools.cache
def _patterns() -> tuple[tuple[Topic, str], ...]:
    found = [(pattern, entry.name) for entry in entries() for pattern in entry.topics]
    return tuple(sorted(found, key=lambda pair: (pair[0].order, pair[1], pair[0].text)))


@functools.cache
def _signs() -> tuple[tuple[tuple[bytes, ...], Entry], ...]:
    """Of every dialect with keys, bytes of which one is in all its payloads; those with more keys first."""
    keyed = sorted((one for one in entries() if one.keys), key=lambda one: -len(one.keys))
    return tuple((tuple(dict.fromkeys(path.word for path in one.keys[0])), one) for one in keyed)


@functools.cache
def _arrays() -> str:
    return next((one.name for one in entries() if one.dialect.arrays), PLAIN)
