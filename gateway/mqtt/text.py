"""Strings, topic names and topic filters: strict UTF-8 in, ``str`` out (MQTT 5 sections 1.5.4 and 4.7)."""

from __future__ import annotations

import re
import unicodedata

from gateway.errors import ProtocolError
from gateway.mqtt.reasons import Reason

TOPIC_LIMIT = 1024  # bytes of a topic name
LEVEL_LIMIT = 64  # levels of a topic name or filter
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SIGNS = "+#/$"  # what a topic's structure is made of


def text(raw: bytes) -> str:
    """Decode a UTF-8 string of the protocol.

    Raises:
        ProtocolError: not UTF-8, a surrogate, or U+0000.
    """
    try:
        value = raw.decode()
    except UnicodeDecodeError:
        raise ProtocolError(Reason.MALFORMED, "a string is not UTF-8") from None
    if "\0" in value:
        raise ProtocolError(Reason.MALFORMED, "a string holds U+0000")
    return value


def topic_name(raw: bytes) -> str:
    """Decode the topic of a message: 1..1024 bytes, at most 64 levels.

    A topic is only ever a label here. Names that mean something to a broker or to a file system are refused
    all the same, so that no part behind this door can be led to give them that meaning.

    Raises:
        ProtocolError: empty, too long or deep, with wildcards, control characters or characters that only
            look like a wildcard or separator, beginning with ``$``, or with a level ``.`` or ``..``.
    """
    if not raw:
        raise ProtocolError(Reason.TOPIC_NAME_INVALID, "a topic is empty")
    if len(raw) > TOPIC_LIMIT:
        raise ProtocolError(Reason.TOPIC_NAME_INVALID, "a topic is longer than 1024 bytes")
    name = text(raw)
    if "+" in name or "#" in name:
        raise ProtocolError(Reason.TOPIC_NAME_INVALID, "a topic name holds a wildcard")
    if name[0] == "$":
        raise ProtocolError(Reason.TOPIC_NAME_INVALID, "topics beginning with $ belong to servers")
    if name.count("/") >= LEVEL_LIMIT:
        raise ProtocolError(Reason.TOPIC_NAME_INVALID, "a topic has more than 64 levels")
    if "." in name and not {".", ".."}.isdisjoint(name.split("/")):
        raise ProtocolError(Reason.TOPIC_NAME_INVALID, "a topic has a level of dots")
    if _CONTROL.search(name):
        raise ProtocolError(Reason.TOPIC_NAME_INVALID, "a topic holds control characters")
    if not name.isascii():
        plain = unicodedata.normalize("NFKC", name)
        if any(plain.count(sign) != name.count(sign) for sign in _SIGNS):
            raise ProtocolError(Reason.TOPIC_NAME_INVALID, "a topic holds a look-alike of + # / or $")
    return name


def topic_filter(raw: bytes) -> str:
    """Decode a topic filter.

    Raises:
        ProtocolError: empty, too deep, or a wildcard that is not a whole level (``#``: the last one).
    """
    if not raw:
        raise ProtocolError(Reason.TOPIC_FILTER_INVALID, "a topic filter is empty")
    value = text(raw)
    if value.count("/") >= LEVEL_LIMIT:
        raise ProtocolError(Reason.TOPIC_FILTER_INVALID, "a topic filter has more than 64 levels")
    if "+" in value or "#" in value:
        levels = value.split("/")
        if any(len(level) > 1 and ("+" in level or "#" in level) for level in levels) or "#" in levels[:-1]:
            raise ProtocolError(Reason.TOPIC_FILTER_INVALID, "a wildcard is not a level of its own")
    return value
