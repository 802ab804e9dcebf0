"""The answer to CONNECT: who this is, under which label, and what the door announces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.mqtt import Connack, Connect, Property, Reason, Version
from gateway.mqtt.properties import Value
from gateway.node.limits import KEEP_ALIVE_FACTOR, Limits
from gateway.node.ports import DeviceLink, Ingest


@dataclass(frozen=True, slots=True)
class Welcome:
    """An authenticated client: ``label`` is its id within the device, ``patience`` in seconds, 0 for ever."""

    link: DeviceLink
    label: str
    patience: float
    connack: Connack


def greet(
    connect: Connect, ingest: Ingest, limits: Limits, entropy: Callable[[int], bytes]
) -> Welcome | Reason:
    """Authenticate, and only then look at anything else; a Reason refuses. Touches no state.

    A client of MQTT 5 without an id is given one (MQTT-3.1.3-6). Unless it asked for a session that
    outlives the connection its label stays empty, as that of a 3.1.1 client without an id: nothing will
    ever be asked of it.
    """
    if Property.AUTHENTICATION_METHOD in connect.properties:
        return Reason.BAD_AUTHENTICATION_METHOD
    if connect.username is None or connect.password is None:
        return Reason.BAD_CREDENTIALS
    link = ingest.authenticate(connect.username, connect.password)
    if link is None:
        return Reason.BAD_CREDENTIALS
    if link.paused:
        return Reason.NOT_AUTHORIZED
    properties: dict[Property, Value] = {
        Property.RECEIVE_MAXIMUM: limits.window_messages,
        Property.MAXIMUM_PACKET_SIZE: limits.packet_bytes,
    }
    label = connect.client_id
    if len(label.encode()) > limits.client_id_bytes:
        return Reason.CLIENT_ID_INVALID
    if not label and connect.version is Version.V5:
        assigned = "auto-" + entropy(16).hex()
        properties[Property.ASSIGNED_CLIENT_IDENTIFIER] = assigned
        label = assigned if connect.properties.get(Property.SESSION_EXPIRY_INTERVAL) else ""
    elif not label and not (connect.version is Version.V311 and connect.clean_start):
        return Reason.CLIENT_ID_INVALID  # MQTT-3.1.3-8; MQTT 3.1 knows no empty client id
    present = not connect.clean_start and link.remembers(label)
    connack = Connack(Reason.SUCCESS, present, properties)
    return Welcome(link, label, connect.keep_alive * KEEP_ALIVE_FACTOR, connack)
