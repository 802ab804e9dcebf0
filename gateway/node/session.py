"""One device's connection: an asyncio protocol around the codec, the window and the ingest.

It works in turns. A turn parses a few packets at a time, hands their messages to the ingest as one list,
and ends after two milliseconds; what is left waits for the other connections' turns. Nothing more is read
while too much is in flight, here or on all connections together, or while the device does not read its
acknowledgements.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from typing import Final, assert_never, cast

from gateway.errors import ProtocolError
from gateway.mqtt import (
    Connect,
    Connection,
    Disconnect,
    Pingreq,
    Pingresp,
    Pubcomp,
    Publish,
    Pubrel,
    Reason,
    Received,
    Sent,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    join_acks,
)
from gateway.node.greeting import Welcome, greet
from gateway.node.ports import DeviceLink
from gateway.node.shared import Shared, Wire
from gateway.node.window import NOTHING, Batch, Window

# Seconds of silence before the kernel asks whether a device without keep alive still lives.
_TCP_KEEP_ALIVE: Final = 120


class Session(asyncio.Protocol):
    """A connection from its first byte to its last.

    ``ended``: nothing more is parsed, submitted or acknowledged. ``gone``: the socket is closed; what had
    arrived before is still submitted, as messages of QoS 0 have no second chance. ``partial``: the layer
    below holds a frame that has begun and not ended.
    """

    __slots__ = (
        "_acks",
        "_congested",
        "_draining",
        "_flush_due",
        "_gone",
        "_limits",
        "_link",
        "_mqtt",
        "_patience",
        "_reading",
        "_room",
        "_shared",
        "_since",
        "_transport",
        "_turn_due",
        "_waiting",
        "_window",
        "ended",
        "partial",
    )

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._limits = shared.limits
        self._mqtt = Connection(shared.limits.connect_bytes, shared.limits.packet_bytes)
        self._window = NOTHING
        self._link: DeviceLink | None = None
        self._transport: Wire
        self._acks: list[int] = []
        self._room = True  # there is a place for this connection
        self.ended = self.partial = self._gone = self._draining = False
        self._reading = True
        self._congested = False  # the device does not read
        self._turn_due = self._flush_due = self._waiting = False
        self._patience = 0.0  # seconds without a packet, 0 for ever
        self._since = shared.loop.time()  # of the last packet, or of being able to read again, or of the end

    # --- the transport's side -------------------------------------------------------------------

    @property
    def authenticated(self) -> bool:
        """Whether a device is known to be behind it."""
        return self._link is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.begin(cast("asyncio.Transport", transport))  # a TCP or TLS transport, by create_server

    def begin(self, transport: Wire) -> None:
        """A connection has come; its deadlines run from here."""
        self._transport = transport
        peer = transport.get_extra_info("socket")
        if peer is not None:
            with contextlib.suppress(OSError):  # the device may have gone already
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                if hasattr(socket, "TCP_KEEPIDLE"):
                    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _TCP_KEEP_ALIVE)
        self._shared.counters.connections += 1
        self._room = self._shared.registry.enter(self)

    def data_received(self, data: bytes) -> None:
        if not self.ended:
            self._turn(data)

    def pause_writing(self) -> None:
        self._congested = True
        self._since = self._shared.loop.time()
        self._pace()

    def resume_writing(self) -> None:
        self._congested = False
        self._resume()

    def connection_lost(self, _: Exception | None) -> None:
        self._gone = True
        self._congested = False
        self._shared.counters.connections -= 1
        if self.ended or not self._mqtt.pending:
            self._finish()
        else:
            self._resume()

    def _finish(self) -> None:
        self.ended = True
        self._shared.registry.leave(self)

    # --- turns ----------------------------------------------------------------------------------

    def _turn(self, data: bytes = b"") -> None:
        try:
            self._work(data)
        except ProtocolError as error:
            self.cut(Reason(error.reason))
        except BaseException:
            self.cut(None)
            raise

    def _work(self, data: bytes) -> None:
        now, limit = self._shared.loop.time, self._limits.turn_packets
        start = now()
        packets = self._mqtt.receive(data, 0 if self._turn_due or self._blocked else limit)
        while packets and not self.ended:
            self._since = start
            self._handle(packets)
            packets = []
            if self._mqtt.pending and not self._blocked and not self.ended:
                if now() - start < self._limits.turn_seconds:
                    packets = self._mqtt.receive(b"", limit)
                else:
                    self._resume()
        if self._gone and not self._mqtt.pending:
            self._finish()
        self._pace()

    def _handle(self, packets: list[Received]) -> None:
        publishes: list[Publish] = []
        for packet in packets:
            if type(packet) is Publish:
                publishes.append(packet)
                continue
            if publishes:
                self._deliver(publishes)
                publishes = []
            if not self.ended:
                self._answer(packet)
        if publishes and not self.ended:
            self._deliver(publishes)

    @property
    def _blocked(self) -> bool:
        window, limits = self._window, self._limits
        return (
            self._congested
            or self._draining
            or window.messages >= limits.window_messages
            or window.bytes >= limits.window_bytes
            or self._shared.budget.full
        )

    def _pace(self) -> None:
        """Read from the socket exactly while there is nothing else to do first."""
        if self.ended:
            return
        blocked = self._blocked
        if blocked and self._shared.budget.full and not self._waiting:
            self._waiting = True
            self._shared.budget.wait(self._woken)
        reading = not blocked and not self._mqtt.pending
        if reading != self._reading and not self._gone:
            self._reading = reading
            if reading:
                self._since = self._shared.loop.time()  # while we did not read, the device was not silent
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _resume(self) -> None:
        """Have a turn soon, after the others that wait."""
        if not self.ended and not self._turn_due:
            self._turn_due = True
            self._shared.loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn_due = False
        if not self.ended:
            self._turn()

    def _woken(self) -> None:
        self._waiting = False
        self._resume()

    # --- packets --------------------------------------------------------------------------------

    def _answer(self, packet: Received) -> None:
        match packet:
            case Connect():
                self._connect(packet)
            case Pubrel(packet_id):
                known = self._window.release(packet_id)
                self._send(Pubcomp(packet_id, Reason.SUCCESS if known else Reason.PACKET_ID_NOT_FOUND))
            case Subscribe(packet_id, filters):
                self._send(Suback(packet_id, tuple(qos for _, qos in filters)))
            case Unsubscribe(packet_id, filters):
                self._send(Unsuback(packet_id, (0,) * len(filters)))
            case Pingreq():
                self._send(Pingresp())
            case Disconnect():
                self.cut(None)
            case Publish():
                self._deliver([packet])
            case _:
                assert_never(packet)

    def _connect(self, connect: Connect) -> None:
        answer = greet(connect, self._shared.ingest, self._limits, self._shared.entropy)
        if isinstance(answer, Welcome):
            if not self._room:
                answer = Reason.SERVER_BUSY
            elif not self._shared.registry.admit(self, answer.link.id, answer.label):
                answer = Reason.QUOTA_EXCEEDED
        if isinstance(answer, Reason):
            self._refuse(answer)
            return
        self._link = answer.link
        self._window = Window(answer.label, self._limits.window_messages)
        self._patience = answer.patience
        self._shared.counters.accepted += 1
        self._send(answer.connack)

    def _refuse(self, reason: Reason) -> None:
        """Wrong credentials wait for their answer when their source has given many of them."""
        self._shared.counters.refused += 1
        if reason is not Reason.BAD_CREDENTIALS:
            self.cut(reason)
            return
        address = (self._transport.get_extra_info("peername") or ("",))[0]
        wait = self._shared.throttle.failed(address, self._shared.loop.time())
        if wait is None:
            self.cut(None)
        elif wait:
            self._draining = True  # nothing it sends meanwhile is looked at
            self._shared.loop.call_later(wait, self.cut, reason)
        else:
            self.cut(reason)

    def _deliver(self, publishes: list[Publish]) -> None:
        link = self._link
        if link is None:  # the codec gives no PUBLISH before we sent CONNACK
            raise ProtocolError(Reason.PROTOCOL_ERROR, "PUBLISH before CONNECT")
        batch = self._window.take(publishes)
        self._shared.budget.take(batch.size)
        if batch.deliveries:
            self._shared.counters.published += len(batch.deliveries)
            self._shared.ingest.submit(link, batch.deliveries, partial(self._done, batch))
        else:
            self._done(batch, True)

    def _done(self, batch: Batch, stored: bool) -> None:
        """The ingest's answer to a list: acknowledge it in its turn, or end the connection."""
        if batch.stored:
            return
        words = self._window.stored(batch) if stored else []
        self._shared.budget.give(batch.size)
        if self.ended:
            return
        if not stored:
            self.cut(Reason.NOT_STORED)
            return
        self._shared.counters.acknowledged += len(words)
        self._acks += words
        if self._draining and not self._window.messages:
            self.cut(Reason.SHUTTING_DOWN)
            return
        if self._acks and not self._flush_due:
            self._flush_due = True  # the lists of one commit are answered in one write
            self._shared.loop.call_soon(self._flush)
        if self._gone or not self._reading:
            self._resume()

    # --- writing and ending ---------------------------------------------------------------------

    def _send(self, packet: Sent) -> None:
        data = self._mqtt.send(packet)
        if data and not self._gone:
            self._transport.write(data)

    def _flush(self) -> None:
        self._flush_due = False
        words, self._acks = self._acks, []
        if words and not self.ended and not self._gone:
            self._transport.write(join_acks(words))

    def cut(self, reason: Reason | None) -> None:
        """End the connection at once: acknowledge what is stored, say why where MQTT has a word for it."""
        if self.ended:
            return
        self.ended = True
        self._since = self._shared.loop.time()
        last = join_acks(self._acks)
        last += self._mqtt.fail(reason) if reason is not None else b""
        if self._gone:
            self._finish()
        elif last and reason is not None and self._transport.can_write_eof():
            # A socket closed with unread bytes in it resets, and the reset can overtake the last packet.
            self._transport.write(last)
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._transport.write(last)
            self._transport.close()

    def drain(self) -> None:
        """Read no more, acknowledge what is in flight, then end."""
        if self._link is None or not self._window.messages:
            self.cut(Reason.SHUTTING_DOWN)
        elif not self._draining:
            self._draining = True
            self._pace()

    def abort(self) -> None:
        """End without waiting for anything."""
        self.ended = True
        if not self._gone:
            self._transport.abort()
        else:
            self._finish()

    def check(self, now: float) -> None:
        """Look at the deadlines; called every ``sweep_seconds``."""
        silent, limits = now - self._since, self._limits
        if self.ended:
            if silent > limits.linger_seconds:
                self.abort()
        elif self._link is None:
            if silent > limits.connect_seconds:
                self.cut(None)
        elif self._congested:
            if silent > limits.stall_seconds:
                self.abort()
        elif self._reading and (
            (self._patience and silent > self._patience)
            or ((self._mqtt.buffered or self.partial) and silent > limits.stall_seconds)
        ):
            self.cut(Reason.KEEP_ALIVE_TIMEOUT)
