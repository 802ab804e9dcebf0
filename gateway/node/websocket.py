"""MQTT over WebSockets (MQTT 5, section 6): the upgrade, and frames around the bytes of a session.

Towards the socket it is an asyncio protocol; towards its ``Session`` it is the connection.  HTTP and frames
are the ``websockets`` library's, without its input and output; what is bounded, and when, is decided here.
Frames are no boundaries: packets may be cut or joined in any way.  Compression is not offered.

The page that a browser shows may be anybody's, so ``Origin`` means nothing here: what counts is the password
in CONNECT, and no browser adds that by itself.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Final, cast

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gateway.node.session import Session
from gateway.node.shared import Shared

PATH: Final = "/mqtt"
SUBPROTOCOLS: Final = (Subprotocol("mqtt"), Subprotocol("mqttv3.1"))  # the second is what MQTT 3.1 was called
_SLICE: Final = 2048  # bytes between two looks at the clock: 340 empty frames take a millisecond or two
_FIXED_HEADER: Final = 5  # the most that MQTT puts before what its limits count
# The library would log requests, and at DEBUG level payloads.
_SILENT: Final = logging.Logger("hypertouch.node.websocket", logging.CRITICAL + 1)


class WebSocket(asyncio.Protocol):
    """One connection, from TCP or TLS to its session.

    What arrives waits in ``_inbox`` and is taken in turns; while there is any, or the session does not want
    to read, the socket is not read.  ``_deaf``: nothing that still comes is looked at.
    """

    __slots__ = (
        "_deaf",
        "_frames",
        "_head",
        "_hung_up",
        "_inbox",
        "_lost",
        "_paused",
        "_reading",
        "_session",
        "_shared",
        "_socket",
        "_timer",
        "_told",
        "_turn_due",
        "_unframed",
    )

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._session = Session(shared)
        self._frames = ServerProtocol(
            subprotocols=SUBPROTOCOLS,
            max_size=(None, shared.limits.connect_bytes + _FIXED_HEADER),
            logger=_SILENT,
        )
        self._socket: asyncio.Transport
        self._inbox = b""
        self._head = 0  # bytes of the request so far
        self._unframed = 0  # bytes of a frame that has not ended
        self._reading = True
        self._paused = self._deaf = self._hung_up = self._lost = self._told = self._turn_due = False
        self._timer: asyncio.TimerHandle | None = None

    # --- the socket's side ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.Transport", transport)  # a TCP or TLS transport, by create_server
        self._session.begin(self)

    def data_received(self, data: bytes) -> None:
        if not self._deaf:
            self._inbox = self._inbox + data if self._inbox else data
            if not self._turn_due:
                self._turn()

    def pause_writing(self) -> None:
        self._session.pause_writing()

    def resume_writing(self) -> None:
        self._session.resume_writing()

    def connection_lost(self, _: Exception | None) -> None:
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
        self._turn()

    # --- turns ----------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Take frames for two milliseconds at most, give their bytes to the session, leave the rest."""
        self._turn_due = False
        if self._lost or not self._paused:
            try:
                self._take()
            except BaseException:
                self.abort()
                raise
            if self._inbox and not self._turn_due:
                self._later()
        if not self._lost:
            self._pace()
        elif not self._inbox and not self._told:
            self._told = True
            self._session.connection_lost(None)

    def _later(self) -> None:
        self._turn_due = True
        self._shared.loop.call_soon(self._turn)

    def _pace(self) -> None:
        """Read from the socket exactly while there is nothing else to do first."""
        reading = self._deaf or not (self._paused or self._inbox)
        if reading != self._reading and not self._hung_up:
            self._reading = reading
            if reading:
                self._socket.resume_reading()
            else:
                self._socket.pause_reading()

    def _take(self) -> None:
        frames, session, limits = self._frames, self._session, self._shared.limits
        deadline = self._shared.loop.time() + limits.turn_seconds
        data, at = self._inbox, 0
        known = session.authenticated
        got: list[bytes] = []
        while at < len(data) and not self._deaf:
            upto = min(at + _SLICE, len(data))
            if frames.state is State.CONNECTING:  # by the line, so that nothing runs ahead of our answer
                upto = data.find(b"\n", at, upto) + 1 or upto
                self._head += upto - at
                if self._head > limits.upgrade_bytes:
                    self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                    break
            frames.receive_data(data[at:upto])
            self._unframed += upto - at
            at = upto
            self._sort(got)
            if got and not known:  # the limit of the next frame depends on it
                session.data_received(b"".join(got))
                got = []
                known = session.authenticated
                if known:
                    frames.max_fragment_size = limits.packet_bytes + _FIXED_HEADER
            if self._shared.loop.time() >= deadline:
                break
        self._inbox = b"" if self._deaf else data[at:]
        session.partial = self._unframed > 0
        if got:
            session.data_received(b"".join(got))
        self._send_out()

    def _sort(self, got: list[bytes]) -> None:
        """Keep what belongs to MQTT; pings and closing are answered by the library."""
        for event in self._frames.events_received():
            if isinstance(event, Request):
                self._unframed = 0
                self._upgrade(event)
            elif isinstance(event, Frame) and not self._deaf:
                size = len(event.data)
                self._unframed -= 6 + size + (0 if size < 126 else 2 if size < 65536 else 8)
                if event.opcode is Opcode.TEXT:  # MQTT-6.0.0-1
                    self._deaf = True
                    self._frames.fail(CloseCode.UNSUPPORTED_DATA)
                elif event.opcode in (Opcode.BINARY, Opcode.CONT) and size:
                    got.append(bytes(event.data))
        if self._frames.state is State.CONNECTING and self._frames.close_expected():
            self._deaf = True  # the library has refused the request

    def _upgrade(self, request: Request) -> None:
        if request.path.partition("?")[0] != PATH:
            self._reject(HTTPStatus.NOT_FOUND)
        else:
            self._answer(self._frames.accept(request))

    def _reject(self, status: HTTPStatus) -> None:
        self._answer(self._frames.reject(status, f"{status.phrase}\n"))

    def _answer(self, response: Response) -> None:
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._deaf = True
        self._frames.send_response(response)

    # --- the session's side ---------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the socket."""
        return self._socket.get_extra_info(name, default)

    def write(self, data: bytes) -> None:
        """Send bytes as one frame."""
        if data and self._frames.state is State.OPEN:
            self._frames.send_binary(data)
            self._send_out()

    def can_write_eof(self) -> bool:
        """Whether the end can be said with something to follow from the device: also with TLS."""
        return self._frames.state is State.OPEN

    def write_eof(self) -> None:
        """Begin the closing handshake; the device's answer to it ends the connection."""
        if self._frames.state is State.OPEN:
            self._frames.send_close(CloseCode.NORMAL_CLOSURE)
            self._send_out()

    def pause_reading(self) -> None:
        """Give the session no more."""
        self._paused = True
        if not self._lost:
            self._pace()

    def resume_reading(self) -> None:
        """Give the session what waits."""
        self._paused = False
        if not self._turn_due:
            self._later()

    def close(self) -> None:
        """End, with a closing frame where there is a WebSocket."""
        self.write_eof()
        self._hang_up()

    def abort(self) -> None:
        """End without a word."""
        self._forget()
        if not self._lost:
            self._socket.abort()

    # --- sending and ending ---------------------------------------------------------------------

    def _send_out(self) -> None:
        for data in self._frames.data_to_send():
            if not data:  # the library's word for it: closed by both, failed, or never a WebSocket
                self._hang_up()
            elif not self._lost:
                self._socket.write(data)

    def _hang_up(self) -> None:
        """Nothing follows from here; give the device a moment to read what was written."""
        self._forget()
        if self._lost or self._hung_up:
            return
        self._pace()
        self._hung_up = True
        if self._socket.can_write_eof():  # a socket closed with unread bytes in it resets, as in ``Session``
            self._socket.write_eof()
            self._timer = self._shared.loop.call_later(self._shared.limits.linger_seconds, self._socket.abort)
        else:
            self._socket.close()

    def _forget(self) -> None:
        self._deaf = True
        self._inbox = b""
        if self._lost and not self._turn_due:
            self._later()
