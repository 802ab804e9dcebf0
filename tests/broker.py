"""Debian's Mosquitto as a child, and a tap before it that sees what a bridge acknowledges.

The tap reads MQTT on its own, so that what it tells does not rest on the code it watches.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers import require_peer


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Mosquitto:
    """A broker on loopback that keeps its sessions in a file; may be killed and started again."""

    def __init__(self, directory: Path, *settings: str, second: str = "") -> None:
        """``second``: the protocol of a second listener, whose port is then ``second_port``."""
        self._program = require_peer("mosquitto")
        self.port, self.second_port = free_port(), free_port()
        self.config = directory / "mosquitto.conf"
        directory.mkdir(exist_ok=True)
        usual = (
            "user root",
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {directory}/",
            "max_queued_messages 0",
            "log_type none",
        )
        named = {line.split()[0] for line in settings}
        lines = [line for line in usual if line.split()[0] not in named] + list(settings)
        if second:
            lines += [f"listener {self.second_port} 127.0.0.1", f"protocol {second}"]
        self.config.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = subprocess.Popen(
            [self._program, "-c", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, self.config.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> None:
        """Let it write what it has, and end."""
        self.process.terminate()
        self.process.wait(10)

    def save(self) -> None:
        """Have it write its memory to its file now, and wait until it has."""
        path = self.config.parent / "mosquitto.db"
        path.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 10
        while not path.exists():  # it is renamed into place, whole
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def kill(self) -> None:
        """As a power cut would: what it had not written is gone."""
        self.process.kill()
        self.process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


@dataclass
class Seen:
    """What passed the tap: payloads in the order in which they were delivered and acknowledged."""

    delivered: list[bytes] = field(default_factory=list)
    again: list[bytes] = field(default_factory=list)  # of these, with DUP
    acknowledged: set[bytes] = field(default_factory=set)
    forgotten: list[tuple[bytes, bool]] = field(
        default_factory=list
    )  # acknowledged, and delivered again; DUP
    unknown: int = 0  # acknowledgements of a packet id that the broker did not await on that connection
    connects: list[tuple[int, str, bool]] = field(default_factory=list)  # version, client id, clean
    filters: list[str] = field(default_factory=list)


class Tap:
    """Forwards connections to a broker and notes what a subscriber gets and acknowledges."""

    def __init__(self, upstream: int, refuse_version: int = 0) -> None:
        self.seen = Seen()
        self._upstream, self._refuse = upstream, refuse_version
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._links: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection that goes through, at once and in both directions."""
        with self._lock:
            links = list(self._links)
        for link in links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            broker = socket.create_connection(("127.0.0.1", self._upstream))
        except OSError:
            client.close()
            return
        awaited: dict[int, deque[bytes]] = {}
        five: list[bool] = []
        with self._lock:
            self._links |= {client, broker}
        down = threading.Thread(target=self._pass, args=(broker, client, awaited, five), daemon=True)
        down.start()
        self._pass(client, broker, awaited, five)
        down.join()
        with self._lock:
            self._links -= {client, broker}
        client.close()
        broker.close()

    def _pass(
        self, source: socket.socket, target: socket.socket, awaited: dict[int, deque[bytes]], five: list[bool]
    ) -> None:
        try:
            for first, body, raw in packets(source):
                if not self._note(first, body, awaited, five):
                    source.sendall(
                        b"\x20\x02\x00\x01"
                    )  # as a broker of MQTT 3.1.1 says no to another version
                    break
                target.sendall(raw)
        except OSError:
            pass
        for link in (source, target):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _note(self, first: int, body: bytes, awaited: dict[int, deque[bytes]], five: list[bool]) -> bool:
        kind = first & 0xF0
        if kind == 0x10:
            version = body[2 + int.from_bytes(body[:2], "big")]
            at = 2 + int.from_bytes(body[:2], "big") + 4
            if version == 5:
                at += 1 + body[at]
            length = int.from_bytes(body[at : at + 2], "big")
            name = body[at + 2 : at + 2 + length].decode()
            clean = bool(body[2 + int.from_bytes(body[:2], "big") + 1] & 2)
            self.seen.connects.append((version, name, clean))
            five.append(version == 5)
            return version != self._refuse
        if kind == 0x30 and first & 0x06:
            at = 2 + int.from_bytes(body[:2], "big")
            packet_id = int.from_bytes(body[at : at + 2], "big")
            at += 2
            if five[0]:
                at += 1 + body[at]
            payload = body[at:]
            self.seen.delivered.append(payload)
            if first & 0x08:
                self.seen.again.append(payload)
            if payload in self.seen.acknowledged:
                self.seen.forgotten.append((payload, bool(first & 0x08)))
            # Mosquitto may send its whole queue at once, and give an id again that is not acknowledged.
            awaited.setdefault(packet_id, deque()).append(payload)
        elif kind == 0x40:
            found = awaited.get(int.from_bytes(body[:2], "big"))
            if not found:
                self.seen.unknown += 1
            else:
                self.seen.acknowledged.add(found.popleft())
        elif kind == 0x80:
            at = 2
            if five[0]:
                at += 1 + body[at]
            while at < len(body):
                length = int.from_bytes(body[at : at + 2], "big")
                self.seen.filters.append(body[at + 2 : at + 2 + length].decode())
                at += 3 + length
        return True


def packets(source: socket.socket) -> Iterator[tuple[int, bytes, bytes]]:
    """(first byte, body, all of it) of each packet that comes; returns when no more does."""
    stream = source.makefile("rb")
    while head := stream.read(1):
        raw, length, shift = bytearray(head), 0, 0
        while True:
            byte = stream.read(1)
            if not byte:
                return
            raw += byte
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                break
        body = stream.read(length)
        if len(body) < length:
            return
        yield head[0], body, bytes(raw) + body
