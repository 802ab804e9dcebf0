"""The packets a server sends, as bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import assert_never

from gateway.errors import MisuseError
from gateway.mqtt.packets import (
    Connack,
    Disconnect,
    Kind,
    Pingresp,
    Puback,
    Pubcomp,
    Pubrec,
    Sent,
    Suback,
    Unsuback,
    Version,
)
from gateway.mqtt.primitives import put_varint
from gateway.mqtt.properties import write_properties
from gateway.mqtt.reasons import RETURN_CODES

#: A successful PUBACK or PUBREC is four bytes in every version: these, with the packet id in the lower half.
PUBACK_WORD = 0x4002_0000
PUBREC_WORD = 0x5002_0000


def join_acks(words: Sequence[int]) -> bytes:
    """Many acknowledgements as one write; a word is ``PUBACK_WORD`` or ``PUBREC_WORD`` plus a packet id."""
    return struct.pack(f">{len(words)}I", *words)


def encode(packet: Sent, version: Version) -> bytes:
    """Write one packet for a client of this version.

    Raises:
        MisuseError: this version has no such packet or reason.
    """
    v5 = version is Version.V5
    match packet:
        case Connack(reason, session_present, properties):
            flags = session_present and reason < 0x80
            if v5:
                return _frame(Kind.CONNACK, bytes((flags, reason)) + write_properties(properties, "connack"))
            if reason not in RETURN_CODES:
                raise MisuseError(f"MQTT 3 has no return code for {reason.name}")
            # 3.1 reserves the flags byte; a client of it would not expect anything there.
            return _frame(Kind.CONNACK, bytes((flags and version is Version.V311, RETURN_CODES[reason])))
        case Puback(packet_id):
            return join_acks((PUBACK_WORD | packet_id,))
        case Pubrec(packet_id):
            return join_acks((PUBREC_WORD | packet_id,))
        case Pubcomp(packet_id, reason):
            tail = bytes((reason,)) if v5 and reason else b""
            return _frame(Kind.PUBCOMP, packet_id.to_bytes(2, "big") + tail)
        case Suback(packet_id, reasons):
            head = packet_id.to_bytes(2, "big") + (b"\0" if v5 else b"")
            return _frame(Kind.SUBACK, head + bytes(reasons))
        case Unsuback(packet_id, reasons):
            head = packet_id.to_bytes(2, "big")
            return _frame(Kind.UNSUBACK, head + b"\0" + bytes(reasons) if v5 else head)
        case Pingresp():
            return b"\xd0\0"
        case Disconnect(reason, properties):
            if not v5:
                raise MisuseError("only MQTT 5 lets a server send DISCONNECT")
            return _frame(Kind.DISCONNECT, bytes((reason,)) + write_properties(properties, "disconnect"))
        case _:
            assert_never(packet)


def _frame(kind: Kind, body: bytes) -> bytes:
    return bytes((kind << 4,)) + put_varint(len(body)) + body
