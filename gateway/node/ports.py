"""What the device door needs from the ingest behind it, and hands to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct


class Delivery(Struct, frozen=True, gc=False):
    """One message of a device, checked as MQTT and not yet stored.

    ``client_id`` is a label within the device's credential; empty for a client without a name, whose
    session ends with its connection, so nothing need be remembered for it. ``packet_id`` is 0 for QoS 0.
    ``fresh``: this connection does not remember the packet id. A redelivery to be looked up among the
    digests of earlier connections is ``dup and fresh``; what a connection itself recognises is never
    delivered a second time. ``retained``: a bridged broker's state from before the subscription, which says
    what a device declares about itself, and is no new reading.
    """

    topic: str
    payload: bytes
    qos: int
    dup: bool
    packet_id: int
    client_id: str
    fresh: bool
    retained: bool = False


Done = Callable[[bool], None]


class DeviceLink(Protocol):
    """An authenticated device; two links of one device have the same ``id``."""

    @property
    def id(self) -> str:
        """The key under which ``Endpoint.disconnect`` finds its connections."""

    @property
    def paused(self) -> bool:
        """Whether the owner lets nothing of it in for now: it is who it says it is, and may not connect."""

    def remembers(self, client_id: str) -> bool:
        """Whether digests or QoS 2 ids of this client id exist: then a session may be said to be present."""


class Ingest(Protocol):
    """Takes deliveries and says when they are durable; called on the event loop, and returns soon."""

    def authenticate(self, username: str, password: bytes) -> DeviceLink | None:
        """In memory, with the same work for every answer; None: these are not the credentials of a device."""

    def submit(self, link: DeviceLink, deliveries: list[Delivery], done: Done) -> None:
        """Store these, in order; the list is the ingest's to keep.

        ``done`` is called once, on the event loop, now or later: True after all of them are durable, False
        when one is not and will not be, upon which none is acknowledged and the connection ends.
        """
