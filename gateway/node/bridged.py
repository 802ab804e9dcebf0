"""What bridges from existing brokers hand over at the node's socket, and how they say that they fare.

A device that was authenticated on a connection stays so while the connection lives; the key that recognises
its redeliveries lives no longer.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from gateway.mqtt import PACKET_LIMIT
from gateway.node.ports import Delivery, DeviceLink
from gateway.node.ports import Done as StoredOrNot
from gateway.wire import (
    AnyReply,
    BridgeState,
    BridgeStates,
    Deliver,
    Done,
    GetBridges,
    Message,
    Refused,
    ReportBridge,
)
from vault.errors import FormatError
from vault.ids import DeviceId

LINKS: Final = 256  # devices that one connection may have authenticated
TOPIC_MAX: Final = 65_535  # bytes
SESSION_MAX: Final = 256  # bytes of a client id
BYTES_MAX: Final = 4 << 20  # of payloads in one call: everybody's commits wait for it
BridgeCall = Deliver | ReportBridge | GetBridges

_UNKNOWN: Final = Refused("not_authorised", "the node does not take this device's messages")
_NOT_STORED: Final = Refused("unavailable", "the node cannot store this now")


class EndingLink(DeviceLink, Protocol):
    """A device whose credential may end while it is connected."""

    @property
    def ended(self) -> bool:
        """It did: authenticate it again."""


class EndingIngest(Protocol):
    """The ingest, whose links know their end."""

    def authenticate(self, username: str, password: bytes) -> EndingLink | None:
        """As ``Ingest.authenticate``."""

    def submit(self, link: DeviceLink, deliveries: list[Delivery], done: StoredOrNot) -> None:
        """As ``Ingest.submit``."""


class Bridges:
    """The bridges that are connected now."""

    def __init__(self, ingest: EndingIngest) -> None:
        self._ingest = ingest
        self._callers: set[Bridged] = set()

    def connect(self) -> Bridged:
        """Somebody connected to the socket: a bridge, or anybody else who is allowed to."""
        caller = Bridged(self._ingest, self)
        self._callers.add(caller)
        return caller

    def leave(self, caller: Bridged) -> None:
        """Its connection ended, and with it all that it had authenticated."""
        self._callers.discard(caller)

    def states(self) -> list[BridgeState]:
        """How all of them fare."""
        found = [state for caller in self._callers for state in caller.states]
        return sorted(found, key=lambda one: (one.bridge, one.worker, one.device))


class Bridged:
    """One connection to the node's socket."""

    def __init__(self, ingest: EndingIngest, all_: Bridges) -> None:
        self._ingest, self._all = ingest, all_
        self._links: dict[tuple[bytes, bytes], EndingLink] = {}
        self.states: list[BridgeState] = []

    async def answer(self, call: BridgeCall) -> AnyReply:
        """The reply to a call; messages are submitted before the first wait, so in the order of the calls."""
        match call:
            case Deliver():
                return await self._deliver(call)
            case ReportBridge(states=states):
                self.states = states
                return Done()
            case GetBridges():
                return BridgeStates(self._all.states())

    async def _deliver(self, call: Deliver) -> AnyReply:
        if not _is_sound(call):
            return Refused("invalid", "this is not what a broker delivers")
        link = self._link(call.device, call.password)
        if link is None or link.paused:
            return _UNKNOWN
        if not call.messages:
            return Done()
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        deliveries = [_delivery(message, call.client_id) for message in call.messages]
        self._ingest.submit(link, deliveries, lambda done: None if stored.done() else stored.set_result(done))
        if await stored:
            return Done()
        return _UNKNOWN if link.ended else _NOT_STORED

    def _link(self, device: bytes, password: bytes) -> EndingLink | None:
        link = self._links.get((device, password))
        if link is not None and not link.ended:
            return link
        self._links.pop((device, password), None)
        try:
            link = self._ingest.authenticate(DeviceId(device).text, password)
        except FormatError:
            return None
        if link is not None and len(self._links) < LINKS:
            self._links[device, password] = link
        return link


def _is_sound(call: Deliver) -> bool:
    return (
        0 < len(call.client_id.encode()) <= SESSION_MAX
        and all(_sound(message) for message in call.messages)
        and sum(len(message.payload) for message in call.messages) <= BYTES_MAX
    )


def _sound(message: Message) -> bool:
    topic = message.topic
    return (
        0 < len(topic) <= TOPIC_MAX
        and "\0" not in topic
        and len(message.payload) <= PACKET_LIMIT
        and 0 <= message.packet_id <= 0xFFFF
        and message.qos in (0, 1, 2)
    )


def _delivery(message: Message, client_id: str) -> Delivery:
    """As a device's own connection would hand it over.

    What a broker sent with QoS 0 is numbered by the bridge, within a session of its own: so the bridge can
    try again without counting it twice, although nobody was promised anything.
    """
    return Delivery(
        topic=message.topic,
        payload=message.payload,
        qos=1 if message.packet_id else 0,
        dup=message.again,
        packet_id=message.packet_id,
        client_id=client_id if message.qos else client_id + "/0",
        fresh=True,
        retained=message.retained,
    )
