"""The node's socket: what one connection may have under way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.node.bridged import Bridges
from gateway.node.calls import NodeCalls
from gateway.node.ports import Delivery, DeviceLink
from gateway.node.ports import Done as StoredOrNot
from gateway.node.rpc import ROOM, RpcServer
from gateway.rpcclient import MAX_FRAME, write_frame
from gateway.wire import AnyReply, Done, Flush, NodeCall

MANY = 2_000
MOST = ROOM // (256 << 10)  # calls, however small


class Held(NodeCalls):
    """Answers nothing before so many calls have come."""

    def __init__(self, first: int) -> None:
        self.under_way = self.peak = 0
        self._first, self._open = first, asyncio.Event()

    async def answer(self, call: NodeCall) -> AnyReply:
        del call
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        if self.peak == self._first:
            self._open.set()
        await self._open.wait()
        self.under_way -= 1
        return Done()


class Nobody:
    """An ingest that knows no device."""

    def authenticate(self, username: str, password: bytes) -> None:
        del username, password

    def submit(self, link: DeviceLink, deliveries: list[Delivery], done: StoredOrNot) -> None:
        raise AssertionError(f"nobody was authenticated: {link} {len(deliveries)} {done}")


def test_a_connection_has_so_many_calls_under_way_and_all_are_answered(tmp_path: Path) -> None:
    async def scene() -> None:
        calls = Held(MOST)
        server = RpcServer(calls, Bridges(Nobody()), tmp_path / "socket")
        await server.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "socket"))
        writer.write(b"".join(write_frame(number, Flush(b"")) for number in range(MANY)))
        answer = len(write_frame(1, Done()))
        await reader.readexactly(MANY * answer)
        assert calls.peak == MOST
        writer.close()
        await server.stop()

    asyncio.run(scene())


def test_a_frame_of_the_largest_size_has_room() -> None:
    assert ROOM >= MAX_FRAME
