"""Calls to the node over its socket, against a real socket that a few lines of test answer."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from gateway.rpcclient import MAX_FRAME, NodeError, NodeLink, call_sync, read_length, write_frame
from gateway.wire import AnyReply, Done, Flush, NodeCall, Refused

VAULT = bytes(16)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_call(reader: asyncio.StreamReader) -> tuple[int, NodeCall]:
    """The next call, as a node reads it."""
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    return msgspec.msgpack.decode(await reader.readexactly(length), type=tuple[int, NodeCall])


async def served(path: Path, serve: Serve, client: Callable[[NodeLink], Awaitable[None]]) -> None:
    """Run ``client`` against a socket whose connections ``serve`` answers."""
    link = NodeLink(path, timeout_s=5)
    async with await asyncio.start_unix_server(serve, path):
        await client(link)
        await link.close()


def test_answers_may_come_in_any_order(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls = [await read_call(reader) for _ in range(3)]
        for number, call in reversed(calls):
            assert isinstance(call, Flush)
            writer.write(write_frame(number, Refused("conflict", call.vault.hex())))
        await reader.read()
        writer.close()

    async def client(link: NodeLink) -> None:
        replies = await asyncio.gather(*(link.call(Flush(bytes((n,)))) for n in range(3)))
        assert replies == [Refused("conflict", text) for text in ("00", "01", "02")]

    asyncio.run(served(tmp_path / "s", serve, client))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_calls_at_the_moment_when_the_node_goes_away_say_so(
    tmp_path: Path, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """Whatever an event loop makes of writing to what has just been closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async def client(link: NodeLink) -> None:
        async def twice() -> list[AnyReply | BaseException]:
            return [await failed(), await failed()]

        async def failed() -> AnyReply | BaseException:
            (answer,) = await asyncio.gather(link.call(Flush(VAULT)), return_exceptions=True)
            return answer

        for _ in range(50):
            for answers in await asyncio.gather(*(twice() for _ in range(8))):
                assert [type(answer) for answer in answers] == [NodeError, NodeError]

    run(served(tmp_path / "s", serve, client))


def test_a_connection_that_broke_is_made_anew_by_the_next_call(tmp_path: Path) -> None:
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, _ = await read_call(reader)
        seen.append(number)
        if len(seen) > 1:
            writer.write(write_frame(number, Done()))
        writer.close()

    async def client(link: NodeLink) -> None:
        with pytest.raises(NodeError):
            await link.call(Flush(VAULT))
        assert await link.call(Flush(VAULT)) == Done()

    asyncio.run(served(tmp_path / "s", serve, client))
    assert len(seen) == 2


@pytest.mark.parametrize("answer", [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", b"\0\0\0\4\x92\1\x81\xa1", b"\0\0"])
def test_an_answer_that_is_none_of_ours_breaks_the_connection(tmp_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_call(reader)
        writer.write(answer)
        writer.close()

    async def client(link: NodeLink) -> None:
        with pytest.raises(NodeError):
            await link.call(Flush(VAULT))

    asyncio.run(served(tmp_path / "s", serve, client))


def test_a_node_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_unix_server(serve, tmp_path / "s"):
            link = NodeLink(tmp_path / "s", timeout_s=0.05)
            with pytest.raises(NodeError):
                await link.call(Flush(VAULT))
            await link.close()

    asyncio.run(main())


def test_nobody_at_the_socket_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(NodeError):
        asyncio.run(NodeLink(tmp_path / "none").call(Flush(VAULT)))
    with pytest.raises(NodeError):
        call_sync(tmp_path / "none", Flush(VAULT))


def test_a_command_without_an_event_loop_asks_over_its_own_connection(tmp_path: Path) -> None:
    answers: list[AnyReply] = [Done(), Refused("not_found", "there is no such vault here")]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                (length,) = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))
                body = connection.recv(length, socket.MSG_WAITALL)
                number, call = msgspec.msgpack.decode(body, type=tuple[int, NodeCall])
                assert call == Flush(VAULT)
                connection.sendall(write_frame(number, answer))
        connection, _ = listener.accept()
        connection.close()

    node = threading.Thread(target=serve)
    node.start()
    with listener:
        assert [call_sync(tmp_path / "s", Flush(VAULT)) for _ in answers] == answers
        with pytest.raises(NodeError):
            call_sync(tmp_path / "s", Flush(VAULT))
        node.join()


def test_a_frame_has_a_largest_size() -> None:
    assert read_length(struct.pack(">I", MAX_FRAME)) == MAX_FRAME
    with pytest.raises(NodeError):
        read_length(struct.pack(">I", MAX_FRAME + 1))
    with pytest.raises(NodeError):
        write_frame(1, Flush(bytes(MAX_FRAME)))
