"""The one way in: find the dialect, let it read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.dialects import owntracks, plain, senml, tasmota, zigbee2mqtt
from gateway.dialects.decode import MAX_PAYLOAD
from gateway.dialects.detect import detect
from gateway.dialects.reading import DialectSettings, Reading

Dialect = Callable[[str, bytes, int, DialectSettings], Reading]

DIALECTS: Mapping[str, Dialect] = {
    "owntracks": owntracks.read,
    "plain": plain.read,
    "senml": senml.read,
    "tasmota": tasmota.read,
    "zigbee2mqtt": zigbee2mqtt.read,
}

_TOPIC_MAX = 1024  # characters; a channel, which most dialects make from it, has 255 bytes
_DEFAULT = DialectSettings()


def read(topic: str, payload: bytes, arrival: int, settings: DialectSettings = _DEFAULT) -> Reading:
    """Turn a payload into observations; for any input, without raising.

    ``arrival`` is in ms since the epoch, UTC.  Payloads of more than 256 KiB, nested more than 32 deep,
    or on topics of more than 1024 characters, are not looked into: they come back as quarantine.
    """
    dialect = settings.dialect or detect(topic, payload)
    if len(payload) > MAX_PAYLOAD or len(topic) > _TOPIC_MAX or not _is_text(topic):
        return Reading(dialect, (), True, 0)
    return DIALECTS[dialect](topic, payload, arrival, settings)


def _is_text(topic: str) -> bool:
    """Whether a topic can be written as UTF-8; a lone surrogate cannot."""
    if topic.isascii():
        return True
    try:
        topic.encode()
    except UnicodeEncodeError:
        return False
    return True
