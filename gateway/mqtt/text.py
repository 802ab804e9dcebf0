"""Strings, topic names and topic filters: strict UTF-8 in, ``str`` out (MQTT 5 sections 1.5.4 and 4.7)."""

from __future__ import annotations

from gateway.errors import ProtocolError
from gateway.mqtt.reasons import Reason

LEVEL_LIMIT = 64  # levels of a topic filter


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
    """Decode the topic of a message.

    A topic is only ever a label: it is kept sealed, and never part of a path or a pattern.  So whatever
    firmware calls its topics is taken, as long as MQTT takes it.

    Raises:
        ProtocolError: empty, with wildcards, or not a string of the protocol.
    """
    if not raw:
        raise ProtocolError(Reason.TOPIC_NAME_INVALID, "a topic is empty")
    name = text(raw)
    if "+" in name or "#" in name:
        raise ProtocolError(Reason.TOPIC_NAME_INVALID, "a topic name holds a wildcard")
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
