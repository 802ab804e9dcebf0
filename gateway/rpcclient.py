"""Calls to the node over its unix socket: the only way anything but the node changes what is stored.

A frame is a 4-byte big-endian length and MessagePack ``[number, Call]`` or ``[number, Reply]``; answers come
in any order.  A call whose answer did not come may have happened: nothing here repeats one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Final, Protocol

import msgspec

from gateway.address import unix_address
from gateway.errors import GatewayError
from gateway.wire import MAX_BODY, NOT_OURS, AnyReply, NodeCall, encode

MAX_FRAME: Final = MAX_BODY + (64 << 10)  # bytes
TIMEOUT_S: Final = 60.0
_LENGTH: Final = struct.Struct(">I")
_DECODER: Final = msgspec.msgpack.Decoder(tuple[int, AnyReply])


class NodeError(GatewayError):
    """The node cannot be reached, or did not answer; whether it did what it was asked is unknown."""


class NodePort(Protocol):
    """Whoever answers for the node."""

    async def call(self, call: NodeCall) -> AnyReply:
        """Its answer, a ``Refused`` included; raises NodeError."""
        ...


class NodeLink:
    """One connection to the node with many calls in flight; made anew by the next call when it broke."""

    def __init__(self, path: str | PathLike[str], timeout_s: float = TIMEOUT_S) -> None:
        self._path = Path(path)
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._opening = asyncio.Lock()
        self._connection: _Connection | None = None

    async def call(self, call: NodeCall) -> AnyReply:
        """Ask and wait.

        Raises:
            NodeError: nobody listens, the connection broke, a timeout, or an answer that is none of ours.
        """
        number = next(self._numbers)
        frame = write_frame(number, call)
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connected()
                return await connection.ask(number, frame)
        except OSError:  # a timeout is one, too
            raise NodeError("the node does not answer") from None

    async def close(self) -> None:
        """Let the connection go; calls in flight fail."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> _Connection:
        async with self._opening:
            if self._connection is None or self._connection.broken:
                with unix_address(self._path) as address:
                    reader, writer = await asyncio.open_unix_connection(address)
                self._connection = _Connection(reader, writer)
            return self._connection


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.broken = False
        self._reader, self._writer = reader, writer
        self._waiting: dict[int, asyncio.Future[AnyReply]] = {}
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def ask(self, number: int, frame: bytes) -> AnyReply:
        answer: asyncio.Future[AnyReply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(frame)
            await self._writer.drain()
            return await answer
        except RuntimeError:  # what uvloop raises for a transport that is closed
            raise NodeError("the connection to the node broke") from None
        finally:
            self._waiting.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # it may have broken while we were still writing

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _listen(self) -> None:
        try:
            while True:
                length = read_length(await self._reader.readexactly(_LENGTH.size))
                number, reply = read_body(await self._reader.readexactly(length))
                waiting = self._waiting.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(reply)
        except (OSError, asyncio.IncompleteReadError, NodeError):
            pass  # told to everyone who waits, below
        finally:
            self.broken = True
            self._writer.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(NodeError("the connection to the node broke"))


def call_sync(path: str | PathLike[str], call: NodeCall, timeout_s: float = TIMEOUT_S) -> AnyReply:
    """One call over a connection of its own, for commands that have no event loop; raises NodeError."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(timeout_s)
            with unix_address(Path(path)) as address:
                link.connect(address)
            link.sendall(write_frame(1, call))
            with link.makefile("rb") as stream:
                return _read_sync(stream.read)
    except OSError:
        raise NodeError("the node does not answer") from None


def write_frame(number: int, message: msgspec.Struct) -> bytes:
    """A frame.

    Raises:
        NodeError: longer than a frame may be.
    """
    body = encode((number, message))
    if len(body) > MAX_FRAME:
        raise NodeError("more than the node takes in one call")
    return _LENGTH.pack(len(body)) + body


def read_length(head: bytes) -> int:
    """The size of a frame's body; raises NodeError."""
    if len(head) != _LENGTH.size:
        raise NodeError("the connection to the node broke")
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME:
        raise NodeError("a frame is larger than any we asked for")
    return int(length)


def read_body(body: bytes) -> tuple[int, AnyReply]:
    """The number of a call and its answer; raises NodeError."""
    try:
        return _DECODER.decode(body)
    except NOT_OURS:
        raise NodeError("the node's answer is not in our format") from None


def _read_sync(read: Callable[[int], bytes]) -> AnyReply:
    length = read_length(read(_LENGTH.size))
    body = read(length)
    if len(body) != length:
        raise NodeError("the connection to the node broke")
    return read_body(body)[1]
