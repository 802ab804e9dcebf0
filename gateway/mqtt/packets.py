"""The packets of MQTT that a server meets: those it receives, those it sends, and their limits.

Frozen structs. Those made by the thousand hold no reference cycles: the garbage collector need not know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, unique

from msgspec import Struct

from gateway.mqtt.properties import NONE, Properties
from gateway.mqtt.reasons import Reason

CONNECT_LIMIT = 64 * 1024  # bytes of a packet while nobody has authenticated
PACKET_LIMIT = 256 * 1024  # bytes of any packet, fixed header not counted
FILTER_LIMIT = 1024  # topic filters in one SUBSCRIBE or UNSUBSCRIBE


@unique
class Version(IntEnum):
    """Protocol levels, as CONNECT gives them."""

    V31 = 3
    V311 = 4
    V5 = 5


@unique
class Kind(IntEnum):
    """Control packet types (section 2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


# --- received ---------------------------------------------------------------------------------


class Will(Struct, frozen=True):
    """What a client would have a broker say after it; parsed, checked and not used."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties = NONE


class Connect(Struct, frozen=True):
    """A client introduces itself. ``keep_alive`` in seconds, 0 for none."""

    version: Version
    clean_start: bool
    keep_alive: int
    client_id: str
    username: str | None
    password: bytes | None
    will: Will | None
    properties: Properties = NONE

    def __repr__(self) -> str:  # the generated one would print the password
        return f"Connect({self.version.name})"


class Publish(Struct, frozen=True, gc=False):
    """An application message. ``packet_id`` is 0 exactly when ``qos`` is 0."""

    topic: str
    payload: bytes
    qos: int
    dup: bool
    retain: bool
    packet_id: int
    properties: Properties = NONE


class Pubrel(Struct, frozen=True, gc=False):
    """The client has seen our PUBREC and forgets the message."""

    packet_id: int
    reason: int = 0


class Subscribe(Struct, frozen=True):
    """Topic filters with the quality of service asked for each."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]
    properties: Properties = NONE


class Unsubscribe(Struct, frozen=True):
    """Topic filters the client no longer wants."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = NONE


class Pingreq(Struct, frozen=True, gc=False):
    """Are you there?"""


class Disconnect(Struct, frozen=True):
    """The last packet of either side; only MQTT 5 lets the server send one."""

    reason: int = Reason.SUCCESS
    properties: Properties = NONE


Received = Connect | Publish | Pubrel | Subscribe | Unsubscribe | Pingreq | Disconnect


# --- sent -------------------------------------------------------------------------------------


class Connack(Struct, frozen=True):
    """The answer to CONNECT; a ``reason`` of 0x80 or more refuses and is the last packet."""

    reason: Reason
    session_present: bool = False
    properties: Properties = NONE


class Puback(Struct, frozen=True, gc=False):
    """A QoS 1 message is stored."""

    packet_id: int


class Pubrec(Struct, frozen=True, gc=False):
    """A QoS 2 message is stored."""

    packet_id: int


class Pubcomp(Struct, frozen=True, gc=False):
    """A QoS 2 packet id is free again."""

    packet_id: int
    reason: Reason = Reason.SUCCESS


class Suback(Struct, frozen=True):
    """The quality of service granted, one a filter."""

    packet_id: int
    reasons: tuple[int, ...]


class Unsuback(Struct, frozen=True):
    """One reason a filter; only MQTT 5 carries them."""

    packet_id: int
    reasons: tuple[int, ...]


class Pingresp(Struct, frozen=True, gc=False):
    """Yes."""


Sent = Connack | Puback | Pubrec | Pubcomp | Suback | Unsuback | Pingresp | Disconnect

#: Reason codes a client may give in DISCONNECT (section 3.14.2.1) and PUBREL (section 3.6.2.1).
DISCONNECT_REASONS: frozenset[int] = frozenset(
    {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99}
)
PUBREL_REASONS: frozenset[int] = frozenset({0x00, 0x92})

#: Name and level of the protocol, as CONNECT begins.
VERSIONS: Mapping[tuple[bytes, int], Version] = {
    (b"MQIsdp", 3): Version.V31,
    (b"MQTT", 4): Version.V311,
    (b"MQTT", 5): Version.V5,
}
