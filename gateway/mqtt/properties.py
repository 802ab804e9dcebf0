"""Properties of MQTT 5 (section 2.2.2): a table, and reading and writing by it.

The table lists where a property may stand in packets that a *server* receives or sends, so what only the
other side may send is refused by the same rule as what has no place at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, unique
from types import MappingProxyType

from gateway.errors import MisuseError, ProtocolError
from gateway.mqtt.primitives import Reader, put_binary, put_string, put_varint
from gateway.mqtt.reasons import Reason

USER_LIMIT = 256  # user properties in one packet


@unique
class Property(IntEnum):
    """Identifiers of properties."""

    PAYLOAD_FORMAT_INDICATOR = 0x01
    MESSAGE_EXPIRY_INTERVAL = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY_INTERVAL = 0x11
    ASSIGNED_CLIENT_IDENTIFIER = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY_INTERVAL = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


Value = int | str | bytes | tuple[tuple[str, str], ...]  # the tuple: user properties, in order
Properties = Mapping[Property, Value]
NONE: Properties = MappingProxyType({})

#: What a property is made of (section 2.2.2.2), and where it may stand.
TABLE: Mapping[Property, tuple[str, str]] = {
    Property.PAYLOAD_FORMAT_INDICATOR: ("flag", "publish will"),
    Property.MESSAGE_EXPIRY_INTERVAL: ("uint32", "publish will"),
    Property.CONTENT_TYPE: ("string", "publish will"),
    Property.RESPONSE_TOPIC: ("string", "publish will"),
    Property.CORRELATION_DATA: ("binary", "publish will"),
    Property.SUBSCRIPTION_IDENTIFIER: ("varint", "subscribe"),
    Property.SESSION_EXPIRY_INTERVAL: ("uint32", "connect connack disconnect"),
    Property.ASSIGNED_CLIENT_IDENTIFIER: ("string", "connack"),
    Property.SERVER_KEEP_ALIVE: ("uint16", "connack"),
    Property.AUTHENTICATION_METHOD: ("string", "connect connack"),
    Property.AUTHENTICATION_DATA: ("binary", "connect connack"),
    Property.REQUEST_PROBLEM_INFORMATION: ("flag", "connect"),
    Property.WILL_DELAY_INTERVAL: ("uint32", "will"),
    Property.REQUEST_RESPONSE_INFORMATION: ("flag", "connect"),
    Property.RESPONSE_INFORMATION: ("string", "connack"),
    Property.SERVER_REFERENCE: ("string", "connack"),
    Property.REASON_STRING: ("string", "connack pubrel disconnect"),
    Property.RECEIVE_MAXIMUM: ("uint16", "connect connack"),
    Property.TOPIC_ALIAS_MAXIMUM: ("uint16", "connect connack"),
    Property.TOPIC_ALIAS: ("uint16", "publish"),
    Property.MAXIMUM_QOS: ("flag", "connack"),
    Property.RETAIN_AVAILABLE: ("flag", "connack"),
    Property.USER_PROPERTY: ("pairs", "connect connack publish will pubrel subscribe unsubscribe disconnect"),
    Property.MAXIMUM_PACKET_SIZE: ("uint32", "connect connack"),
    Property.WILDCARD_SUBSCRIPTION_AVAILABLE: ("flag", "connack"),
    Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE: ("flag", "connack"),
    Property.SHARED_SUBSCRIPTION_AVAILABLE: ("flag", "connack"),
}
_NOT_ZERO = frozenset(
    {Property.SUBSCRIPTION_IDENTIFIER, Property.RECEIVE_MAXIMUM, Property.MAXIMUM_PACKET_SIZE}
)


def read_properties(reader: Reader, place: str) -> Properties:
    """Take a property length and its properties from the reader; ``place`` is a word of ``TABLE``.

    Raises:
        ProtocolError: unknown or out of place, given twice, out of its range, more than 256 user properties.
    """
    size = reader.varint()
    if not size:
        return NONE
    inner = reader.section(size)
    found: dict[Property, Value] = {}
    user: list[tuple[str, str]] = []
    while inner.left:
        number = inner.varint()
        if number not in TABLE:
            raise ProtocolError(Reason.MALFORMED, "an unknown property")
        key = Property(number)
        shape, places = TABLE[key]
        if place not in places.split():
            raise ProtocolError(Reason.PROTOCOL_ERROR, f"{key.name} has no place in {place.upper()}")
        if key in found:
            raise ProtocolError(Reason.PROTOCOL_ERROR, f"{key.name} is given twice")
        if key is Property.USER_PROPERTY:
            user.append((inner.string(), inner.string()))
            if len(user) > USER_LIMIT:
                raise ProtocolError(Reason.QUOTA_EXCEEDED, "more than 256 user properties")
        else:
            found[key] = _checked(key, _read_value(inner, shape))
    if user:
        found[Property.USER_PROPERTY] = tuple(user)
    return found


def _read_value(reader: Reader, shape: str) -> Value:
    match shape:
        case "flag":
            return reader.byte()
        case "uint16":
            return reader.uint16()
        case "uint32":
            return reader.uint32()
        case "varint":
            return reader.varint()
        case "binary":
            return reader.binary()
        case _:
            return reader.string()


def _checked(key: Property, value: Value) -> Value:
    if TABLE[key][0] == "flag" and value not in (0, 1):
        raise ProtocolError(Reason.PROTOCOL_ERROR, f"{key.name} is 0 or 1")
    if key in _NOT_ZERO and not value:
        raise ProtocolError(Reason.PROTOCOL_ERROR, f"{key.name} is 0")
    if (
        isinstance(value, str)
        and key is Property.RESPONSE_TOPIC
        and (not value or "+" in value or "#" in value)
    ):
        raise ProtocolError(Reason.PROTOCOL_ERROR, "a response topic is empty or holds a wildcard")
    return value


def write_properties(properties: Properties, place: str) -> bytes:
    """Write the length and the properties, in the order of their identifiers.

    Raises:
        MisuseError: out of place, or a value of another type.
    """
    out = bytearray()
    for key in sorted(properties):
        shape, places = TABLE[key]
        if place not in places.split():
            raise MisuseError(f"{key.name} has no place in {place.upper()}")
        out += _write_value(key, shape, properties[key])
    return put_varint(len(out)) + bytes(out)


def _write_value(key: Property, shape: str, value: Value) -> bytes:
    name = bytes((key,))
    match shape, value:
        case "flag", int():
            return name + value.to_bytes(1, "big")
        case "uint16", int():
            return name + value.to_bytes(2, "big")
        case "uint32", int():
            return name + value.to_bytes(4, "big")
        case "varint", int():
            return name + put_varint(value)
        case "string", str():
            return name + put_string(value)
        case "binary", bytes():
            return name + put_binary(value)
        case "pairs", tuple():
            return b"".join(name + put_string(one) + put_string(other) for one, other in value)
        case _:
            raise MisuseError(f"{key.name} does not take such a value")
