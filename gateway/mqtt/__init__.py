"""MQTT 3.1, 3.1.1 and 5 for the server's side: bytes in, packets out, no input or output."""

from __future__ import annotations

from gateway.mqtt.codec import Connection
from gateway.mqtt.encode import PUBACK_WORD, PUBREC_WORD, join_acks
from gateway.mqtt.packets import (
    CONNECT_LIMIT,
    PACKET_LIMIT,
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Received,
    Sent,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Version,
    Will,
)
from gateway.mqtt.properties import Properties, Property
from gateway.mqtt.reasons import Reason
from gateway.mqtt.state import State

__all__ = [
    "CONNECT_LIMIT",
    "PACKET_LIMIT",
    "PUBACK_WORD",
    "PUBREC_WORD",
    "Connack",
    "Connect",
    "Connection",
    "Disconnect",
    "Pingreq",
    "Pingresp",
    "Properties",
    "Property",
    "Puback",
    "Pubcomp",
    "Publish",
    "Pubrec",
    "Pubrel",
    "Reason",
    "Received",
    "Sent",
    "State",
    "Suback",
    "Subscribe",
    "Unsuback",
    "Unsubscribe",
    "Version",
    "Will",
    "join_acks",
]
