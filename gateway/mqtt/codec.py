"""MQTT without input or output: bytes in, packets out, for the server's side of one connection.

What is left to others: sockets, time, who may connect, and what a message means. Packets come out whole and
checked, or not at all. Nothing of a packet is kept before its first byte has a place in the connection's
state (``state``) and its length is within the limit: it never holds more than one packet and one read.
"""

from __future__ import annotations

import sys

from gateway.errors import MisuseError, ProtocolError
from gateway.mqtt.decode import decode, decode_connect, decode_version
from gateway.mqtt.encode import encode
from gateway.mqtt.packets import (
    CONNECT_LIMIT,
    PACKET_LIMIT,
    Connack,
    Connect,
    Disconnect,
    Kind,
    Publish,
    Received,
    Sent,
    Version,
)
from gateway.mqtt.primitives import Reader
from gateway.mqtt.properties import NONE, Property, read_properties
from gateway.mqtt.reasons import RETURN_CODES, Reason
from gateway.mqtt.state import FIRST_BYTES, RECEIVING, SENDING, State
from gateway.mqtt.text import topic_name

_TOPICS = 256  # topics remembered as checked, a connection
_TOPIC_BYTES = 256  # longer ones are checked each time: an idle connection must not hold megabytes
_COSTLY = 6  # 64 bytes of fields take about as long as a PUBLISH


class Connection:
    """The server's side of one MQTT connection.

    ``version`` is what CONNECT named; until then 3.1.1, which is also what an unknown version is answered in.
    """

    def __init__(self, connect_limit: int = CONNECT_LIMIT, packet_limit: int = PACKET_LIMIT) -> None:
        self.state = State.FRESH
        self.version = Version.V311
        self._packet_limit = packet_limit
        self._limit = connect_limit
        self._first_bytes = FIRST_BYTES[State.FRESH, self.version]
        self._failure: ProtocolError | None = None
        self._expires = 0  # session expiry interval of CONNECT
        self._peer_limit = sys.maxsize  # the largest packet the client takes
        self._topics: dict[bytes, str] = {}
        # Either ``_data`` holds unread bytes from ``_at`` on, or ``_tail`` the beginning of a packet whose
        # next step needs ``_need`` bytes in all: each byte is copied a few times, however it arrives.
        self._data = b""
        self._at = 0
        self._tail = bytearray()
        self._need = 1

    @property
    def pending(self) -> bool:
        """Whether ``receive()`` has more to give, or to raise, without new bytes."""
        return self._failure is not None or (self._at < len(self._data) and self.state is not State.ANSWERING)

    @property
    def buffered(self) -> int:
        """Bytes held that have not come out as packets."""
        return len(self._data) - self._at + len(self._tail)

    def receive(self, data: bytes = b"", limit: int = sys.maxsize) -> list[Received]:
        """Take bytes, give at most ``limit`` packets; call again with nothing while ``pending``.

        A packet with many fields counts as several, so a limit bounds the time that a call takes.
        After a ``Connect`` nothing follows until its ``Connack`` was sent; after ``Disconnect`` nothing.

        Raises:
            ProtocolError: the client broke the protocol; packets before the fault were given first.
        """
        if data and self.state is not State.CLOSED:
            self._feed(data)
        if self._failure is not None:
            raise self._failure
        packets: list[Received] = []
        try:
            self._read(packets, limit)
        except ProtocolError as error:
            self._failure = error
            self._data, self._at = b"", 0
            if not packets:
                raise
        return packets

    def _feed(self, data: bytes) -> None:
        if self._tail:
            self._tail += data
            if len(self._tail) >= self._need:
                self._data, self._at = bytes(self._tail), 0
                self._tail = bytearray()
        elif self._at < len(self._data):
            self._data, self._at = self._data[self._at :] + data, 0
        else:
            self._data, self._at = data, 0

    def _read(self, packets: list[Received], limit: int) -> None:
        data, at = self._data, self._at
        end = len(data)
        first_bytes = self._first_bytes
        topics = self._topics
        v5 = self.version is Version.V5
        while at < end and len(packets) < limit:
            first = data[at]
            if first not in first_bytes:
                if self.state in (State.ANSWERING, State.CLOSED):
                    break
                raise _misplaced(first, self.state)
            # --- the fixed header, section 2.1
            start = at + 2
            if start > end:
                self._wait(at, start)
                return
            length = data[at + 1]
            if length > 0x7F:
                length &= 0x7F
                shift = 7
                while True:
                    if start >= end:
                        self._wait(at, start + 1)
                        return
                    group = data[start]
                    start += 1
                    length |= (group & 0x7F) << shift
                    if group < 0x80:
                        break
                    shift += 7
                    if shift > 21:
                        raise ProtocolError(Reason.MALFORMED, "a length has more than four bytes")
                if not group:
                    raise ProtocolError(Reason.MALFORMED, "a length is not in its shortest form")
            if length > self._limit:
                raise ProtocolError(Reason.PACKET_TOO_LARGE, "a packet is longer than this door takes")
            stop = start + length
            if stop > end:
                self._wait(at, stop)
                return
            if first >> 4 != 3:
                self._at = stop
                packets.append(self._decode(Kind(first >> 4), Reader(data, start, stop)))
                at = self._at
                limit -= length >> _COSTLY
                first_bytes = self._first_bytes
                v5 = self.version is Version.V5
                continue
            # --- PUBLISH, section 3.3: the hot path, so everything is in line
            if length < 2:
                raise ProtocolError(Reason.MALFORMED, "a field reaches beyond its packet")
            body = start + 2 + (data[start] << 8 | data[start + 1])
            raw = data[start + 2 : body]
            packet_id = 0
            qos = first >> 1 & 3
            if qos:
                body += 2
            if body > stop:
                raise ProtocolError(Reason.MALFORMED, "a field reaches beyond its packet")
            if qos:
                packet_id = data[body - 2] << 8 | data[body - 1]
                if not packet_id:
                    raise ProtocolError(Reason.MALFORMED, "packet identifier 0")
            properties = NONE
            if v5:
                if body < stop and not data[body]:
                    body += 1
                else:
                    reader = Reader(data, body, stop)
                    properties = read_properties(reader, "publish")
                    limit -= reader.at - body >> _COSTLY
                    body = reader.at
                    if Property.TOPIC_ALIAS in properties:  # we announced a Topic Alias Maximum of 0
                        raise ProtocolError(Reason.TOPIC_ALIAS_INVALID, "a topic alias")
            topic = topics.get(raw)
            if topic is None:
                topic = topic_name(raw)
                if len(topics) >= _TOPICS:
                    topics.clear()
                if len(raw) <= _TOPIC_BYTES:
                    topics[raw] = topic
            packets.append(
                Publish(topic, data[body:stop], qos, first & 8 != 0, first & 1 != 0, packet_id, properties)
            )
            at = stop
        if at < end and self.state is not State.CLOSED:
            self._at = at
        else:
            self._data, self._at = b"", 0

    def _wait(self, at: int, need: int) -> None:
        """Keep the packet that begins at ``at`` until ``need`` (a position, too) has arrived."""
        self._tail = bytearray(self._data[at:])
        self._need = need - at
        self._data, self._at = b"", 0

    def _decode(self, kind: Kind, reader: Reader) -> Received:
        packet: Received
        if kind is Kind.CONNECT:
            self.version = decode_version(reader)
            packet = decode_connect(self.version, reader)
            self._expires = _number(packet, Property.SESSION_EXPIRY_INTERVAL, 0)
            self._peer_limit = _number(packet, Property.MAXIMUM_PACKET_SIZE, sys.maxsize)
        else:
            packet = decode(kind, self.version, reader)
            if (
                isinstance(packet, Disconnect)
                and not self._expires
                and (packet.properties.get(Property.SESSION_EXPIRY_INTERVAL))
            ):
                raise ProtocolError(Reason.PROTOCOL_ERROR, "a session that had no expiry gets one at its end")
        self._go(RECEIVING[self.state][kind])
        return packet

    def send(self, packet: Sent) -> bytes:
        """Write a packet and take the step it means.

        A packet larger than the client takes becomes no bytes, as if it had been sent (MQTT-3.1.2-25).

        Raises:
            MisuseError: the state, or the version, has no place for it.
        """
        kind = Kind[type(packet).__name__.upper()]
        after = SENDING[self.state].get(kind)
        if after is None:
            raise MisuseError(f"{kind.name} cannot be sent when {self.state.name}")
        data = encode(packet, self.version)
        self._go(State.CLOSED if isinstance(packet, Connack) and packet.reason >= 0x80 else after)
        return data if len(data) <= self._peer_limit else b""

    def fail(self, reason: Reason | int) -> bytes:
        """End the connection: what this version has to say about the reason here, which may be nothing."""
        reason = Reason(reason)
        v5 = self.version is Version.V5
        # In the middle of a CONNECT its version is known, or known to be none of ours: both can be answered.
        asked = self.state is State.ANSWERING or v5 or reason is Reason.UNSUPPORTED_VERSION
        data = b""
        if self.state is State.CONNECTED:
            data = encode(Disconnect(reason), self.version) if v5 else b""
        elif self.state is not State.CLOSED and asked and (v5 or reason in RETURN_CODES):
            data = encode(Connack(reason), self.version)
        self._go(State.CLOSED)
        return data if len(data) <= self._peer_limit else b""

    def _go(self, state: State) -> None:
        self.state = state
        self._first_bytes = FIRST_BYTES[state, self.version]
        if state is State.CONNECTED:
            self._limit = self._packet_limit
        elif state is State.CLOSED:
            self._data, self._at, self._tail = b"", 0, bytearray()


def _number(packet: Connect, key: Property, default: int) -> int:
    value = packet.properties.get(key, default)
    return value if isinstance(value, int) else default


def _misplaced(first: int, state: State) -> ProtocolError:
    kind = first >> 4
    if any(known == kind for known in RECEIVING[state]):
        return ProtocolError(Reason.MALFORMED, "flags of the fixed header that do not exist")
    if kind == 0:
        return ProtocolError(Reason.MALFORMED, "a packet type that does not exist")
    return ProtocolError(Reason.PROTOCOL_ERROR, f"{Kind(kind).name} has no place here")
