"""A device's session at the broker: connected again and again, subscribed, its messages given to the lane."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion

from gateway.bridge.config import BridgeConfig
from gateway.bridge.connection import (
    SEND_RETAINED,
    SEND_RETAINED_IF_NEW,
    Connection,
    Login,
    Slot,
    VersionError,
)
from gateway.bridge.filters import Routes, disjoint
from gateway.bridge.lane import Lane
from gateway.errors import BrokerError
from gateway.mqtt import PACKET_LIMIT
from gateway.rpcclient import NodePort
from gateway.wire import BridgeState, Message
from vault.ids import DeviceId

FIRST_WAIT_S: Final = 0.5  # before connecting again
LONGEST_WAIT_S: Final = 30.0
RIVAL_WAIT_S: Final = 5.0  # where another client has our id: two that push each other out serve nobody
STEADY_S: Final = 10.0  # a connection that lasted so long was a good one
LOOK_S: Final = 5.0  # for retained messages to arrive, where shared subscriptions bring none
QOS: Final = 1  # a message that was published with 2 comes with 1: redelivered, and counted once


class Session:
    """See the module; ``name`` is the device's, as mappings have it."""

    def __init__(
        self, config: BridgeConfig, name: str, worker: int, node: NodePort, clock: Callable[[], int]
    ) -> None:
        credential = config.devices[name]
        self._config, self._name, self._worker, self._clock = config, name, worker, clock
        self._routes = Routes(config.mappings)
        self._login = Login(config.session(name, worker), config.username, config.password, config.ca_pem)
        self.lane = Lane(
            DeviceId.parse(credential.device),
            credential.password.encode(),
            self._login.client_id,
            node,
            self._relieved,
        )
        self._connection: Connection | None = None
        self._version = MQTTProtocolVersion.MQTTv5
        self._agreed = False  # this version has worked
        self._before = False  # we had a session
        self._closing = False
        self._up = False  # connected, and known to the broker
        self._problem = ""
        self._expiry: int | None = None
        self._last: int | None = None
        self._forgotten = 0

    # --- what it does -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Stay connected until cancelled."""
        wait = FIRST_WAIT_S
        loop = asyncio.get_running_loop()
        while not self._closing:
            began = loop.time()
            connection = Connection(self._config.broker, self._login, self._version, self._received)
            self._connection = connection
            try:
                await self._open(connection)
                await connection.ended.wait()
                if loop.time() - began > STEADY_S:
                    wait = FIRST_WAIT_S
                self._problem = connection.reason or "the broker ended the connection"
                if connection.reason:
                    wait = max(wait, RIVAL_WAIT_S)
            except BrokerError as error:
                self._problem = str(error)
                if isinstance(error, VersionError) and not self._agreed:
                    self._version = _other(self._version)
            finally:
                self._up = False
                connection.close()
                self.lane.cut()
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  so that many do not come at once
            wait = min(2 * wait, LONGEST_WAIT_S)

    async def close(self, patience_s: float) -> None:
        """Take no more; acknowledge what becomes stored in the time that is given."""
        self._closing = True
        if self._connection is not None:
            self._connection.pause()
        try:
            async with asyncio.timeout(patience_s):
                await self.lane.settled()
        except TimeoutError:
            pass  # it was not acknowledged: the broker has it
        if self._connection is not None:
            self._connection.close()

    def state(self) -> BridgeState:
        """How it fares."""
        counts, connection = self.lane.counts, self._connection
        return BridgeState(
            bridge=self._config.name,
            worker=self._worker,
            device=self._name,
            connected=self._up,
            problem=self._problem or self.lane.problem,
            version=connection.version if connection is not None and self._up else "",
            expiry=self._expiry,
            last=self._last,
            stored=counts.stored,
            waiting=self.lane.waiting,
            retained=counts.retained,
            refused=counts.refused,
            dropped=counts.dropped,
            forgotten=self._forgotten,
        )

    # --- inside -------------------------------------------------------------------------------------------

    async def _open(self, connection: Connection) -> None:
        opened = await connection.open()
        self._agreed = True
        self._expiry = opened.expiry
        self._problem, self._up = "", opened.session_present  # then it sends what it has kept
        if self._before and not opened.session_present:
            self._forgotten += 1
        filters = disjoint(self._config.filters(self._name))
        if self._config.workers > 1:
            await connection.subscribe([f"$share/{self._config.client_id}/{one}" for one in filters], QOS)
            if self._worker == 0 and not self._before:
                await self._look(filters)
        else:
            known = self._before and opened.session_present
            await connection.subscribe(filters, QOS, SEND_RETAINED_IF_NEW if known else SEND_RETAINED)
        self._before = self._up = True
        self._problem = ""

    async def _look(self, filters: list[str]) -> None:
        """Shared subscriptions bring no retained messages (MQTT 5, section 4.8.2): look at them once."""

        def received(_: Connection, message: MQTTMessage) -> None:
            if message.retain:
                self._take(message, None)

        login = Login(
            f"{self._login.client_id}-look",
            self._login.username,
            self._login.password,
            self._login.ca_pem,
            False,
        )
        connection = Connection(self._config.broker, login, self._version, received)
        try:
            await connection.open()
            await connection.subscribe(filters, 0)
            await asyncio.sleep(LOOK_S)
        finally:
            connection.close()

    def _received(self, connection: Connection, message: MQTTMessage) -> None:
        """A message came from the broker; also one that is not ours is acknowledged in its turn."""
        if message.qos and message.dup and connection.expects(message.mid):
            return  # it is on its way
        slot = connection.expect(message.mid) if message.qos else None
        if not self._take(message, slot) and slot is not None:
            connection.settle(slot)
        if self.lane.full:
            connection.pause()

    def _take(self, message: MQTTMessage, slot: Slot | None) -> bool:
        """Give a message to the lane; False: it goes nowhere."""
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        if not topic or "\0" in topic or len(message.payload) > PACKET_LIMIT:
            self.lane.counts.dropped += 1
            return False
        if self._routes.device(topic) != self._name:
            return False  # a wider filter brought it, or another device's is more specific
        self._last = self._clock()
        payload = bytes(message.payload)
        told = Message(topic, payload, 1 if slot else 0, message.mid, message.dup, message.retain)
        self.lane.take(told, slot)
        return True

    def _relieved(self) -> None:
        if self._connection is not None and not self._closing:
            self._connection.resume()


def _other(version: MQTTProtocolVersion) -> MQTTProtocolVersion:
    five = MQTTProtocolVersion.MQTTv5
    return MQTTProtocolVersion.MQTTv311 if version == five else five
