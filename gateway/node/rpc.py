"""The node's unix socket: 0600, and only for the node's own user."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from gateway.address import unix_address
from gateway.node.bridged import BridgeCall, Bridged, Bridges
from gateway.node.calls import UNAVAILABLE, NodeCalls
from gateway.rpcclient import MAX_FRAME
from gateway.wire import NOT_OURS, AnyReply, NodeCall, Refused, encode

ROOM: Final = 2 * MAX_FRAME  # bytes of a connection's calls that are not answered yet
_CALL_COST: Final = 256 << 10  # bytes at least, so that small ones are counted, too
_LENGTH: Final = struct.Struct(">I")
_DECODER: msgspec.msgpack.Decoder[tuple[int, NodeCall]] = msgspec.msgpack.Decoder(tuple[int, NodeCall])
_log = logging.getLogger("hypertouch.node")


class RpcServer:
    """Listens; answers calls as they are done, in any order."""

    def __init__(self, calls: NodeCalls, bridges: Bridges, path: Path) -> None:
        self._calls, self._bridges, self._path = calls, bridges, path
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; a socket that a crash left behind is replaced, for the lock says that nobody uses it."""
        self._path.unlink(missing_ok=True)
        umask = os.umask(0o177)
        try:
            with unix_address(self._path) as address:
                self._server = await asyncio.start_unix_server(self._serve, address)
        finally:
            os.umask(umask)

    async def stop(self, timeout: float = 2.0) -> None:
        """Take no more calls; answer those under way."""
        if self._server is not None:
            self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = self._bridges.connect()
        room = _Room()
        try:
            while True:
                (size,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                if size > MAX_FRAME:
                    break
                cost = max(size, _CALL_COST)
                await room.take(cost)
                number, call = _DECODER.decode(await reader.readexactly(size))
                task = asyncio.create_task(self._answer(number, call, caller, writer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                task.add_done_callback(partial(room.give, cost))
        except (asyncio.IncompleteReadError, OSError, *NOT_OURS):
            pass  # the other side is gone, or is none of ours
        finally:
            self._bridges.leave(caller)
            writer.close()

    async def _answer(
        self, number: int, call: NodeCall, caller: Bridged, writer: asyncio.StreamWriter
    ) -> None:
        reply: AnyReply | Refused
        try:
            if isinstance(call, BridgeCall):
                reply = await caller.answer(call)
            else:
                reply = await self._calls.answer(call)
        except Exception as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
            _log.error("a call failed: %s at %s", type(error).__name__, place)  # never its text
            reply = UNAVAILABLE
        body = encode((number, reply))
        if not writer.is_closing():
            writer.write(_LENGTH.pack(len(body)) + body)
            with contextlib.suppress(OSError):  # the other side is gone
                await writer.drain()


class _Room:
    """For a connection's calls; whoever asks faster than it is answered, or reads no answers, waits."""

    def __init__(self) -> None:
        self._left = ROOM
        self._freed = asyncio.Event()

    async def take(self, cost: int) -> None:
        while self._left < cost:
            self._freed.clear()
            await self._freed.wait()
        self._left -= cost

    def give(self, cost: int, _: object) -> None:
        self._left += cost
        self._freed.set()
