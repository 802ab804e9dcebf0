"""HTTP/1.1 for peers that mean it: a request arrives in time, goes on arriving, and its answer is fetched.

uvicorn waits for ever for the first byte, and for the next; five hundred sockets that say nothing would then
keep five hundred places.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

TICK_S: Final = 1.0
LEAST_BYTES: Final = 32 << 10  # of a body, in each span of patience
FETCH_SPANS: Final = 4  # spans of patience in which an answer must move on


class ImpatientProtocol(H11Protocol):
    """One connection; ``patience_s`` is set by a subclass of ``impatient``."""

    patience_s: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request."""
        super().connection_made(transport)
        # asyncio does this only for sockets that name their protocol, which inherited ones do not: without it
        # every answer waits 40 ms for the peer's delayed acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = self._unsent = 0
        self._begun = True  # a new connection counts as a request that has begun
        self._waiting_since = self._fetching_since = self.loop.time()
        self._tick = min(TICK_S, self.patience_s / 4)
        self._timer = self.loop.call_later(self._tick, self._watch)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody to wait for."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes; the first byte after an answer begins a request."""
        self._received += len(data)
        if not self._begun:
            self._begun, self._waiting_since, self._received = True, self.loop.time(), 0
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Until the next request begins, uvicorn's keep-alive timer does."""
        self._begun = False
        super().on_response_complete()

    def _watch(self) -> None:
        now = self.loop.time()
        if self._too_slow(now) or self._unfetched(now):
            self.transport.abort()
            return
        self._timer = self.loop.call_later(self._tick, self._watch)

    def _too_slow(self, now: float) -> bool:
        state = self.conn.their_state
        if state is h11.SEND_BODY and self._received >= LEAST_BYTES:
            self._waiting_since, self._received = now, 0
        arriving = self._begun and state in (h11.IDLE, h11.SEND_BODY)
        return arriving and now - self._waiting_since > self.patience_s

    def _unfetched(self, now: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._fetching_since = unsent, now
        return now - self._fetching_since > FETCH_SPANS * self.patience_s


def impatient(patience_s: float) -> type[ImpatientProtocol]:
    """The protocol with so many seconds of patience."""
    return type("Impatient", (ImpatientProtocol,), {"patience_s": patience_s})
