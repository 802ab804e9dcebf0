"""Which dialect a payload is in, by its topic and, where that says nothing, by how it begins."""

from __future__ import annotations

import functools
from typing import Final

from gateway.dialects.cbor import is_pack
from gateway.dialects.decode import decode
from gateway.dialects.library import Entry, entries
from gateway.dialects.patterns import Topic
from gateway.dialects.reading import PLAIN

_CACHED_MAX: Final = 255  # characters of a topic worth remembering; longer ones are no device's habit


def detect(topic: str, payload: bytes) -> str:
    """Name the dialect of a payload; plain where nothing speaks for another."""
    by_topic = _remembered(topic) if len(topic) <= _CACHED_MAX else of_topic(topic)
    if by_topic is not None:
        return by_topic
    start = payload[:1] if payload[:1] in (b"{", b"[") else payload.lstrip()[:1]
    if start == b"{":
        return _by_keys(payload)
    return _arrays() if start == b"[" or is_pack(payload) else PLAIN


def of_topic(topic: str) -> str | None:
    """Name the dialect that a topic alone gives away: of several, the one whose pattern is more literal."""
    for pattern, name in _patterns():
        if pattern.match(topic) is not None:
            return name
    return None


_remembered = functools.lru_cache(maxsize=4096)(of_topic)


def _by_keys(payload: bytes) -> str:
    document = None
    for entry in _keyed():
        if not all(any(path.likely(payload) for path in key) for key in entry.keys):
            continue
        document = decode(payload) if document is None else document
        if document.__class__ is not dict:
            return entry.name  # what is no JSON is nobody's, and this is the likeliest
        if all(any(path.leads(document) for path in key) for key in entry.keys):
            return entry.name
    return PLAIN


@functools.cache
def _patterns() -> tuple[tuple[Topic, str], ...]:
    found = [(pattern, entry.name) for entry in entries() for pattern in entry.topics]
    return tuple(sorted(found, key=lambda pair: (pair[0].order, pair[1], pair[0].text)))


@functools.cache
def _keyed() -> tuple[Entry, ...]:
    """Those with more keys first: they say more."""
    return tuple(sorted((one for one in entries() if one.keys), key=lambda one: -len(one.keys)))


@functools.cache
def _arrays() -> str:
    return next((one.name for one in entries() if one.dialect.arrays), PLAIN)
