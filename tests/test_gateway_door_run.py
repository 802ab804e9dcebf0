"""The door as a process: ready when it says so, gone when it must be, and never in between."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway import wire
from gateway.door.config import DoorConfig
from gateway.door.run import RECYCLE
from tests.owner_host import Clock
from vault.store.files import Files
from vault.store.paths import DataDir
from vault.store.writer import Writer

COMMAND = [sys.executable, "-m", "gateway.door.run"]
SALTS = wire.encode(wire.Salts(bytes(16)))
MSGPACK = {"content-type": "application/msgpack"}
LONG_S = 20.0  # nothing here takes as long


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    """A data directory whose node is not running."""
    made = DataDir(tmp_path / "data")
    Writer(made, Files(), Clock(), os.urandom).close()
    return made


@contextmanager
def door(data: DataDir, *, listener: socket.socket | None = None, **config: Any) -> Iterator[Door]:
    """A door process until the block ends."""
    fd = listener.fileno() if listener is not None else -1
    told = msgspec.convert({"data": str(data.path), "fd": fd, **config}, DoorConfig)
    process = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[fd] if fd >= 0 else [],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(told) + b"\n")
    process.stdin.flush()
    try:
        line = process.stdout.readline()
        yield Door(process, msgspec.json.decode(line)["port"] if line else 0)
    finally:
        process.kill()
        process.communicate()


class Door:
    """A running door."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port
        self.url = f"http://127.0.0.1:{port}"

    def healthy(self) -> bool:
        """Over a connection of its own."""
        return httpx.get(f"{self.url}/healthz", trust_env=False).content == b'{"ok":true}'

    def ended(self) -> int:
        """Its exit status, once it has one."""
        return self.process.wait(LONG_S)


class Node:
    """Whoever listens at the node's socket: answers ``Done`` when a test lets it."""

    def __init__(self, path: Path) -> None:
        self.asked, self.answer = threading.Event(), threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        (length,) = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))
        number, _ = msgspec.msgpack.decode(connection.recv(length, socket.MSG_WAITALL))
        self.asked.set()
        self.answer.wait(LONG_S)
        body = wire.encode((number, wire.Done()))
        connection.sendall(struct.pack(">I", len(body)) + body)


def test_a_door_says_where_it_listens_and_ends_when_it_is_told(data: DataDir) -> None:
    with door(data) as made:
        assert made.healthy()
        found = httpx.get(f"{made.url}/.well-known/oauth-authorization-server", trust_env=False).json()
        assert found["issuer"] == made.url
        made.process.send_signal(signal.SIGTERM)
        assert made.ended() == 0
        assert made.process.stderr is not None
        assert made.process.stderr.read() == b""


def test_control_c_is_for_the_parent(data: DataDir) -> None:
    with door(data) as made:
        made.process.send_signal(signal.SIGINT)
        assert made.healthy()
        assert made.process.poll() is None


def test_what_is_under_way_is_answered_before_it_ends(data: DataDir) -> None:
    node = Node(data.socket)
    with door(data) as made:
        answers: list[httpx.Response] = []

        def ask() -> None:
            url = f"{made.url}/owner/salts"
            answers.append(httpx.post(url, content=SALTS, headers=MSGPACK, trust_env=False))

        asking = threading.Thread(target=ask)
        asking.start()
        assert node.asked.wait(LONG_S)
        made.process.send_signal(signal.SIGTERM)
        while _accepts(made.port):  # it takes no more
            pass
        node.answer.set()
        asking.join(LONG_S)
        assert msgspec.msgpack.decode(answers[0].content, type=wire.AnyReply) == wire.Done()
        assert made.ended() == 0


def test_a_door_makes_room_for_a_fresh_one_and_nobody_is_refused(data: DataDir) -> None:
    """The socket is the parent's: connections wait in its queue while there is no door."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/healthz"
        for _ in range(2):
            with door(data, listener=listener, max_requests=3) as made:
                for _ in range(3):
                    assert httpx.get(url, trust_env=False, timeout=LONG_S).status_code == 200
                assert made.ended() == RECYCLE
        waiting: list[int] = []
        early = threading.Thread(
            target=lambda: waiting.append(httpx.get(url, trust_env=False, timeout=LONG_S).status_code)
        )
        early.start()  # connects although nobody is there
        with door(data, listener=listener):
            early.join(LONG_S)
        assert waiting == [200]


def test_a_door_that_is_old_makes_room_too(data: DataDir) -> None:
    with door(data, max_age_s=0) as made:
        assert made.ended() == RECYCLE


def test_a_door_does_not_outlive_its_parent(data: DataDir) -> None:
    config = msgspec.json.encode(DoorConfig(data=str(data.path))).decode()
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys\n"
            "door = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
            "door.stdin.write(sys.argv[1].encode() + b'\\n'); door.stdin.flush()\n"
            "door.stdout.readline(); print(door.pid, flush=True)\n"
            "door.wait()\n",
            config,
            *COMMAND,
        ],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    orphan = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    assert select.select([orphan], [], [], LONG_S)[0] == [orphan]  # readable: it has ended
    os.close(orphan)


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process are a file on Linux only")
def test_a_door_leaves_no_core(data: DataDir) -> None:
    with door(data) as made:
        limits = Path(f"/proc/{made.process.pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"]


HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
TOKEN = b"POST /token HTTP/1.1\r\nHost: x\r\n"
SLOW = {  # what is sent, and how many answers that is worth
    "says nothing": (b"", 0),
    "begins and stops": (HEALTHZ, 0),
    "sends half a body": (TOKEN + b"Content-Length: 10\r\n\r\na=1", 0),
    "begins its second request and stops": (HEALTHZ + b"\r\nGET /he", 1),
}


def test_who_keeps_a_door_waiting_is_put_out(data: DataDir) -> None:
    with door(data, patience_s=0.4) as made:
        slow = [(_send(made.port, sent), answers) for sent, answers in SLOW.values() for _ in range(5)]
        assert made.healthy()
        for connection, answers in slow:
            assert _drain(connection).count(b'{"ok":true}') == answers
        assert made.healthy()


def test_who_sends_drop_by_drop_is_put_out(data: DataDir) -> None:
    """A byte now and then is no request, however long it goes on."""
    with door(data, patience_s=0.4) as made:
        slow = _send(made.port, b"")
        with pytest.raises(ConnectionError):
            _drip(slow, HEALTHZ + b"X: ", b"a")
        assert made.healthy()


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEALTHZ + b"Host: y\r\n\r\n",
        TOKEN + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
        TOKEN + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x",
        b"GET /healthz HTTP/1.1\r\n Host: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",  # TLS where there is none
    ],
)
def test_what_two_servers_could_read_differently_is_refused(data: DataDir, request_bytes: bytes) -> None:
    with door(data, patience_s=0.4) as made:
        answer = _drain(_send(made.port, request_bytes))
        assert answer.count(b"HTTP/1.1") <= 1
        assert not answer.startswith(b"HTTP/1.1 200")


def test_headers_have_a_largest_size(data: DataDir) -> None:
    with door(data) as made, socket.create_connection(("127.0.0.1", made.port), timeout=LONG_S) as sender:
        with pytest.raises(ConnectionError):
            _drip(sender, HEALTHZ + b"X: ", b"a" * 4096)
        assert made.healthy()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LONG_S).close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # just closing
        return True
    return True


def _send(port: int, data: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=LONG_S)
    made.sendall(data)
    return made


def _drip(connection: socket.socket, first: bytes, then: bytes) -> None:
    """A little now and then; returns when it was let."""
    connection.sendall(first)
    for _ in range(1_000):
        connection.sendall(then)
        select.select([connection], [], [], 0.02)


def _drain(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    received = b""
    with connection:
        try:
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionResetError:
            pass
    return received
