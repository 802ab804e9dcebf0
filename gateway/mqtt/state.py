"""The life of a connection, as a table: what may be received and sent in each state, and what follows.

Everything that decides whether a packet is in order stands here. The codec looks up the first byte of a
packet in ``FIRST_BYTES`` before it reads or keeps anything else of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from gateway.mqtt.packets import Kind, Version


class State(Enum):
    """Where a connection stands."""

    FRESH = auto()  # nothing received
    ANSWERING = auto()  # CONNECT received, its answer not sent: what follows waits
    CONNECTED = auto()
    CLOSED = auto()


_STAY = State.CONNECTED

RECEIVING: Mapping[State, Mapping[Kind, State]] = {
    State.FRESH: {Kind.CONNECT: State.ANSWERING},
    State.ANSWERING: {},
    State.CONNECTED: {
        Kind.PUBLISH: _STAY,
        Kind.PUBREL: _STAY,
        Kind.SUBSCRIBE: _STAY,
        Kind.UNSUBSCRIBE: _STAY,
        Kind.PINGREQ: _STAY,
        Kind.DISCONNECT: State.CLOSED,
    },
    State.CLOSED: {},
}

#: CONNACK goes to CONNECTED where it accepts, to CLOSED where it refuses.
SENDING: Mapping[State, Mapping[Kind, State]] = {
    State.FRESH: {},
    State.ANSWERING: {Kind.CONNACK: State.CONNECTED},
    State.CONNECTED: {
        Kind.PUBACK: _STAY,
        Kind.PUBREC: _STAY,
        Kind.PUBCOMP: _STAY,
        Kind.SUBACK: _STAY,
        Kind.UNSUBACK: _STAY,
        Kind.PINGRESP: _STAY,
        Kind.DISCONNECT: State.CLOSED,
    },
    State.CLOSED: {},
}

#: The lower half of the first byte (section 2.1.3); 0 where nothing is said.
_FLAGS: Mapping[Kind, tuple[int, ...]] = {
    # DUP, QoS and RETAIN; no QoS 3, and no DUP on QoS 0 (MQTT-3.3.1-2, MQTT-3.3.1-4)
    Kind.PUBLISH: (0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0xA, 0xB, 0xC, 0xD),
    Kind.PUBREL: (0x2,),
    Kind.SUBSCRIBE: (0x2,),
    Kind.UNSUBSCRIBE: (0x2,),
}
#: MQTT 3.1 retried these within a connection, with DUP.
_FLAGS_V31: Mapping[Kind, tuple[int, ...]] = {
    Kind.PUBREL: (0x2, 0xA),
    Kind.SUBSCRIBE: (0x2, 0xA),
    Kind.UNSUBSCRIBE: (0x2, 0xA),
}


def _first_bytes(state: State, version: Version) -> frozenset[int]:
    flags = {**_FLAGS, **(_FLAGS_V31 if version is Version.V31 else {})}
    return frozenset(kind << 4 | low for kind in RECEIVING[state] for low in flags.get(kind, (0,)))


#: First bytes a packet may have. Before CONNECT is read the version does not matter.
FIRST_BYTES: Mapping[tuple[State, Version], frozenset[int]] = {
    (state, version): _first_bytes(state, version) for state in State for version in Version
}
