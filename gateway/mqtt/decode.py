"""One packet's bytes to a struct, for all a client may send but PUBLISH (``codec`` reads that in its loop).

A decoder gets a reader of exactly the packet's body, and must use all of it.
"""

from __future__ import annotations

from gateway.errors import ProtocolError
from gateway.mqtt.packets import (
    DISCONNECT_REASONS,
    FILTER_LIMIT,
    PUBREL_REASONS,
    VERSIONS,
    Connect,
    Disconnect,
    Kind,
    Pingreq,
    Pubrel,
    Received,
    Subscribe,
    Unsubscribe,
    Version,
    Will,
)
from gateway.mqtt.primitives import Reader
from gateway.mqtt.properties import NONE, Properties, Property, read_properties
from gateway.mqtt.reasons import Reason
from gateway.mqtt.text import topic_filter, topic_name


def decode(kind: Kind, version: Version, reader: Reader) -> Received:
    """Read the body of a packet of this kind; a ``Connect`` is read by ``decode_connect``.

    Raises:
        ProtocolError: not such a packet, or bytes left over.
    """
    packet: Received
    match kind:
        case Kind.PUBREL:
            packet = _pubrel(version, reader)
        case Kind.SUBSCRIBE:
            packet = _subscribe(version, reader)
        case Kind.UNSUBSCRIBE:
            packet = _unsubscribe(version, reader)
        case Kind.PINGREQ:
            packet = Pingreq()
        case Kind.DISCONNECT:
            packet = _disconnect(version, reader)
        case _:
            raise ProtocolError(Reason.PROTOCOL_ERROR, f"a client does not send {kind.name} here")
    reader.end()
    return packet


def decode_version(reader: Reader) -> Version:
    """Read the protocol's name and level, with which CONNECT begins in every version.

    Raises:
        ProtocolError: none that this door speaks.
    """
    version = VERSIONS.get((reader.binary(), reader.byte()))
    if version is None:
        raise ProtocolError(Reason.UNSUPPORTED_VERSION, "not MQTT 3.1, 3.1.1 or 5")
    return version


def decode_connect(version: Version, reader: Reader) -> Connect:
    """Read CONNECT from its flags on (section 3.1.2.3)."""
    flags = reader.byte()
    if flags & 0x01 and version is not Version.V31:
        raise ProtocolError(Reason.MALFORMED, "the reserved flag of CONNECT is set")
    has_will, will_qos, will_retain = bool(flags & 0x04), flags >> 3 & 3, bool(flags & 0x20)
    if will_qos == 3 or (not has_will and (will_qos or will_retain)):
        raise ProtocolError(Reason.MALFORMED, "the Will flags of CONNECT contradict each other")
    if flags & 0x40 and not flags & 0x80 and version is not Version.V5:
        raise ProtocolError(Reason.MALFORMED, "a password without a user name")
    keep_alive = reader.uint16()
    properties = _properties(version, reader, "connect")
    if Property.AUTHENTICATION_DATA in properties and Property.AUTHENTICATION_METHOD not in properties:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "authentication data without a method")
    client_id = reader.string()
    will = None
    if has_will:
        will_properties = _properties(version, reader, "will")
        will = Will(topic_name(reader.binary()), reader.binary(), will_qos, will_retain, will_properties)
    username = reader.string() if flags & 0x80 else None
    password = reader.binary() if flags & 0x40 else None
    reader.end()
    return Connect(version, bool(flags & 0x02), keep_alive, client_id, username, password, will, properties)


def _properties(version: Version, reader: Reader, place: str) -> Properties:
    return read_properties(reader, place) if version is Version.V5 else NONE


def _pubrel(version: Version, reader: Reader) -> Pubrel:
    packet_id = reader.packet_id()
    reason, _ = _reason(version, reader, "pubrel", PUBREL_REASONS)
    return Pubrel(packet_id, reason)


def _disconnect(version: Version, reader: Reader) -> Disconnect:
    return Disconnect(*_reason(version, reader, "disconnect", DISCONNECT_REASONS))


def _reason(version: Version, reader: Reader, place: str, known: frozenset[int]) -> tuple[int, Properties]:
    """The reason code and properties that MQTT 5 may leave out at the end of a packet."""
    if version is not Version.V5 or not reader.left:
        return Reason.SUCCESS, NONE
    reason = reader.byte()
    if reason not in known:
        raise ProtocolError(Reason.MALFORMED, f"a reason code that {place.upper()} does not have")
    return reason, read_properties(reader, place) if reader.left else NONE


def _subscribe(version: Version, reader: Reader) -> Subscribe:
    packet_id = reader.packet_id()
    properties = _properties(version, reader, "subscribe")
    filters: list[tuple[str, int]] = []
    while reader.left:
        name, options = topic_filter(reader.binary()), reader.byte()
        qos = options & 0x03
        if qos == 3 or options & (0xC0 if version is Version.V5 else 0xFC) or options & 0x30 == 0x30:
            raise ProtocolError(Reason.MALFORMED, "subscription options that do not exist")
        if options & 0x04 and name.startswith("$share/"):
            raise ProtocolError(Reason.PROTOCOL_ERROR, "No Local on a shared subscription")
        filters.append((name, qos))
        _bounded(len(filters))
    if not filters:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "SUBSCRIBE without a topic filter")
    return Subscribe(packet_id, tuple(filters), properties)


def _unsubscribe(version: Version, reader: Reader) -> Unsubscribe:
    packet_id = reader.packet_id()
    properties = _properties(version, reader, "unsubscribe")
    filters: list[str] = []
    while reader.left:
        filters.append(topic_filter(reader.binary()))
        _bounded(len(filters))
    if not filters:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "UNSUBSCRIBE without a topic filter")
    return Unsubscribe(packet_id, tuple(filters), properties)


def _bounded(filters: int) -> None:
    if filters > FILTER_LIMIT:
        raise ProtocolError(Reason.QUOTA_EXCEEDED, "more than 1024 topic filters in one packet")
