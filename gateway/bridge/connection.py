"""One connection to a broker: paho-mqtt on our event loop, from CONNECT to the connection's end.

A ``Connection`` is never used twice.  So an acknowledgement for a message of an earlier connection has
nowhere to go, whatever packet ids the broker gives on the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, WebsocketConnectionError
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.bridge.config import Broker
from gateway.errors import BrokerError
from gateway.mqtt import PACKET_LIMIT

KEEP_ALIVE_S: Final = 60
CONNECT_S: Final = 10.0  # for TCP, TLS and the handshake of websockets; for CONNACK; for SUBACK
SESSION_S: Final = 30 * 86_400  # how long the broker shall keep our session while we are away
RECEIVE_MAX: Final = 1_024  # messages that a broker may send before we acknowledge
TURN: Final = 64  # packets read before others have their turn
TICK_S: Final = 1.0
SEND_RETAINED: Final = 0  # MQTT 5, section 3.8.3.1
SEND_RETAINED_IF_NEW: Final = 1

_log = logging.getLogger("hypertouch.bridge")
VERSIONS: Final = {MQTTProtocolVersion.MQTTv5: "5", MQTTProtocolVersion.MQTTv311: "3.1.1"}
_UNSUPPORTED_VERSION: Final = (0x01, 0x84)
_REFUSALS: Final = {
    0x85: "the broker does not take our client id",
    0x86: "the broker does not know this user name and password",
    0x87: "the broker does not let this user in",
    0x88: "the broker is not available",
    0x89: "the broker is busy",
    0x8A: "the broker has banned us",
    0x97: "the broker says that a quota is used up",
}


class VersionError(BrokerError):
    """The broker does not speak this version of MQTT, or went away without a word, as some then do."""


class Login(msgspec.Struct, frozen=True):
    """Who we say that we are; ``keep`` is false for a look at a broker that shall leave nothing behind."""

    client_id: str
    username: str = ""
    password: str = ""
    ca_pem: str = ""
    keep: bool = True


class Opened(msgspec.Struct, frozen=True):
    """What CONNACK told; ``expiry`` is for how many seconds the session is kept, None: not told."""

    session_present: bool
    expiry: int | None


Receive = Callable[["Connection", MQTTMessage], None]


class Connection:
    """See the module; ``receive`` is called on the event loop for each message."""

    def __init__(self, broker: Broker, login: Login, version: MQTTProtocolVersion, receive: Receive) -> None:
        self.ended = asyncio.Event()
        self.reason = ""  # why it ended, where the broker said
        self._broker, self._login, self._version, self._receive = broker, login, version, receive
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Opened] = self._loop.create_future()
        self._subscribed: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self._attached: int | None = None  # the socket's descriptor while the loop watches it
        self._reading = self._writing = False
        self._messages = 0
        self._order: deque[Slot] = deque()
        self._ticker: asyncio.TimerHandle | None = None
        self._client = self._make()

    @property
    def version(self) -> str:
        """Of MQTT, in words."""
        return VERSIONS[self._version]

    # --- its life ---------------------------------------------------------------------------------

    async def open(self) -> Opened:
        """Connect and wait for CONNACK.

        Raises:
            VersionError: try another version.
            BrokerError: the broker cannot be reached, or refuses us.
        """
        client, broker = self._client, self._broker
        options: dict[str, Any] = {}
        if self._version == MQTTProtocolVersion.MQTTv5:
            options = {"clean_start": not self._login.keep, "properties": self._properties()}
        try:
            if broker.tls:
                client.tls_set_context(_context(self._login.ca_pem))
            await asyncio.to_thread(client.connect, broker.host, broker.port, KEEP_ALIVE_S, **options)
        except ssl.SSLCertVerificationError:
            raise BrokerError(
                "the broker's certificate is not signed by an authority that we trust"
            ) from None
        except ssl.SSLError:
            raise BrokerError("the broker does not speak TLS as we do") from None
        except WebsocketConnectionError:
            raise BrokerError("the broker does not speak MQTT over websockets there") from None
        except (OSError, ValueError):
            raise BrokerError("the broker cannot be reached") from None
        self._attach()
        try:
            async with asyncio.timeout(CONNECT_S):
                return await self._answer
        except TimeoutError:
            raise BrokerError("the broker does not answer") from None

    async def subscribe(self, filters: Sequence[str], qos: int, retained: int = SEND_RETAINED) -> None:
        """Subscribe and wait for SUBACK; raises BrokerError where a filter is refused."""
        if self._version == MQTTProtocolVersion.MQTTv5:
            options = SubscribeOptions(qos=qos, retainHandling=retained)
            self._client.subscribe([(one, options) for one in filters])
        else:
            self._client.subscribe([(one, qos) for one in filters])
        self._pace()
        codes = await self._suback()
        if any(code.is_failure for code in codes):
            raise BrokerError("the broker does not let this user read all of the mapped topics")

    async def _suback(self) -> list[ReasonCode]:
        """Its reason codes; it may stand behind all that the broker has kept for us."""
        seen = -1
        while seen != self._messages or not self._reading:
            seen = self._messages
            await asyncio.wait({self._subscribed}, timeout=CONNECT_S)
            if self._subscribed.done():
                return self._subscribed.result()
        raise BrokerError("the broker does not answer")

    def pause(self) -> None:
        """Read no more for now: the broker keeps what it has, and says so to whoever publishes."""
        self._set_reading(False)

    def resume(self) -> None:
        """Read on."""
        self._set_reading(True)

    def close(self) -> None:
        """Say goodbye, where there is somebody; a session that is kept stays."""
        if not self.ended.is_set() and self._client.socket() is not None:
            self._client.disconnect()
        self._end()

    # --- acknowledging ------------------------------------------------------------------------------

    def expect(self, packet_id: int) -> Slot:
        """A message of QoS 1 has come: acknowledgements leave in this order (MQTT 5, section 4.6)."""
        slot = Slot(self, packet_id)
        self._order.append(slot)
        return slot

    def expects(self, packet_id: int) -> bool:
        """Whether a message with this id is here and not acknowledged."""
        return any(slot.packet_id == packet_id for slot in self._order)

    def settle(self, slot: Slot) -> None:
        """A message is stored: acknowledge it, and those behind it that wait for it alone."""
        slot.done = True
        while self._order and self._order[0].done:
            packet_id = self._order.popleft().packet_id
            if not self.ended.is_set():
                self._client.ack(packet_id, 1)
        self._pace()

    # --- paho's side ----------------------------------------------------------------------------------

    def _make(self) -> Client:
        login, broker = self._login, self._broker
        five = self._version == MQTTProtocolVersion.MQTTv5
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=login.client_id,
            clean_session=None if five else not login.keep,
            protocol=self._version,
            transport="websockets" if broker.websockets else "tcp",
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_S
        if broker.websockets:
            client.ws_set_options(broker.path)
        if login.username:
            client.username_pw_set(login.username, login.password or None)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.on_socket_close = lambda *_: self._detach()
        return client

    def _properties(self) -> Any:
        """Our bounds: what is larger than a device may send us, the broker keeps."""
        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
        properties.SessionExpiryInterval = SESSION_S if self._login.keep else 0
        properties.ReceiveMaximum = RECEIVE_MAX
        properties.MaximumPacketSize = PACKET_LIMIT
        return properties

    def _on_connect(
        self,
        client: Client,
        data: Any,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        del client, data
        if self._answer.done():
            return
        if not reason.is_failure:
            expiry = getattr(properties, "SessionExpiryInterval", None)
            if expiry is None and self._version == MQTTProtocolVersion.MQTTv5:
                expiry = SESSION_S if self._login.keep else 0  # MQTT 5, section 3.2.2.3.2: as we asked
            self._answer.set_result(Opened(flags.session_present, expiry))
        elif reason.value in _UNSUPPORTED_VERSION:
            self._answer.set_exception(VersionError("the broker does not speak our versions of MQTT"))
        else:
            text = _REFUSALS.get(reason.value, "the broker refuses us")
            self._answer.set_exception(BrokerError(text, refused=True))

    def _on_subscribe(
        self, client: Client, data: Any, number: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        del client, data, number, properties
        if not self._subscribed.done():
            self._subscribed.set_result(reasons)

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        del client, data
        self._messages += 1
        self._receive(self, message)

    def _on_disconnect(
        self,
        client: Client,
        data: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        del client, data, properties
        if flags.is_disconnect_packet_from_server and reason.value == 0x8E:
            self.reason = "another client connected to the broker with our client id"
        self._loop.call_soon(self._end)

    # --- the socket -------------------------------------------------------------------------------------

    def _attach(self) -> None:
        found = self._client.socket()
        if found is None:
            raise BrokerError("the broker cannot be reached")
        self._attached = found.fileno()
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._attached)) as same:
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # acknowledgements are small
        self._reading = True
        self._loop.add_reader(self._attached, self._readable)
        self._pace()
        self._ticker = self._loop.call_later(TICK_S, self._tick)

    def _detach(self) -> None:
        """Called by paho before it closes the socket."""
        if self._attached is not None:
            self._loop.remove_reader(self._attached)
            self._loop.remove_writer(self._attached)
            self._attached, self._reading, self._writing = None, False, False

    def _set_reading(self, reading: bool) -> None:
        if self._attached is None or reading == self._reading:
            return
        self._reading = reading
        if reading:
            self._loop.add_reader(self._attached, self._readable)
            self._loop.call_soon(self._readable)  # TLS may hold what the socket does not show
        else:
            self._loop.remove_reader(self._attached)

    def _readable(self) -> None:
        """Read some packets; paho reads one at a time and does not say when there is no more."""
        for _ in range(TURN):
            if self._attached is None or not self._reading:
                return
            before = self._messages
            if self._failed(self._client.loop_read):
                return
            if self._messages == before:
                self._pace()
                return
        self._loop.call_soon(self._readable)

    def _writable(self) -> None:
        if self._attached is not None and not self._failed(self._client.loop_write):
            self._pace()

    def _pace(self) -> None:
        """Watch for room to write exactly while something waits for it."""
        if self._attached is None:
            return
        wanted = self._client.want_write()
        if wanted and not self._writing:
            self._loop.add_writer(self._attached, self._writable)
        elif self._writing and not wanted:
            self._loop.remove_writer(self._attached)
        self._writing = wanted

    def _tick(self) -> None:
        if self._attached is not None and not self._failed(self._client.loop_misc):
            self._pace()
            self._ticker = self._loop.call_later(TICK_S, self._tick)

    def _failed(self, step: Callable[[], MQTTErrorCode]) -> bool:
        """Have paho do something; what it cannot go on from, a packet that is none among it, is the end."""
        try:
            failed = step() != MQTTErrorCode.MQTT_ERR_SUCCESS
        except Exception as error:
            _log.error("a connection to a broker failed: %s", type(error).__name__)  # never its text
            failed = True
        if failed:
            self._end()
        return failed

    def _end(self) -> None:
        if self.ended.is_set():
            return
        self._detach()
        if self._ticker is not None:
            self._ticker.cancel()
        left = self._client.socket()
        if left is not None:
            with contextlib.suppress(OSError):
                left.close()
        for waiting, error in ((self._answer, VersionError), (self._subscribed, BrokerError)):
            if not waiting.done():
                waiting.set_exception(error(self.reason or "the broker ended the connection"))
                waiting.exception()  # nobody may be there to hear it
        self.ended.set()


class Slot:
    """A message's place in the order of acknowledgements."""

    __slots__ = ("_connection", "done", "packet_id")

    def __init__(self, connection: Connection, packet_id: int) -> None:
        self._connection, self.packet_id, self.done = connection, packet_id, False

    @property
    def gone(self) -> bool:
        """Its connection ended: nothing can be acknowledged any more, and the broker sends it again."""
        return self._connection.ended.is_set()

    def settle(self) -> None:
        """It is stored."""
        self._connection.settle(self)


def _context(ca_pem: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca_pem or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
