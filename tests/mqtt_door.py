"""A device door in a thread, with an ingest in memory whose commits a test can hold back."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.node.endpoint import Endpoint
from gateway.node.limits import Limits
from gateway.node.ports import Delivery, DeviceLink, Done
from tests.mqtt_client import RawClient
from tests.websocket_client import WebSocketClient

T = TypeVar("T")
Opened = Callable[..., AbstractContextManager["Door"]]  # ``door`` for one kind of connection


@dataclass(frozen=True)
class Link:
    """A device by name, and the client ids that the ingest remembers."""

    id: str
    known: set[str] = field(default_factory=set)
    paused: bool = False

    def remembers(self, client_id: str) -> bool:
        return client_id in self.known


class MemoryIngest:
    """Stores into a list. While ``held``, commits wait for ``release``; ``failing`` ones are never stored."""

    def __init__(self) -> None:
        self.passwords = {"meter": b"right", "hub": b"other"}
        self.links = {name: Link(name) for name in self.passwords}
        self.stored: list[tuple[str, Delivery]] = []
        self.submitted: list[tuple[str, Delivery]] = []
        self.attempts = 0
        self.held = False
        self.failing = False
        self.waiting: list[Callable[[], None]] = []
        self.on_submit: Callable[[], None] = lambda: None  # on the door's loop, before anything is taken
        self._changed = threading.Condition()

    def authenticate(self, username: str, password: bytes) -> DeviceLink | None:
        self.attempts += 1
        return self.links[username] if self.passwords.get(username) == password else None

    def submit(self, link: DeviceLink, deliveries: list[Delivery], done: Done) -> None:
        self.on_submit()
        named = [(link.id, delivery) for delivery in deliveries]

        def commit() -> None:
            if self.failing:
                done(False)
                return
            with self._changed:
                self.stored += named
                self._changed.notify_all()
            done(True)

        with self._changed:
            self.submitted += named
            self._changed.notify_all()
        if self.held:
            self.waiting.append(commit)
        else:
            asyncio.get_running_loop().call_soon(commit)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Block until something was submitted or stored that makes the condition true."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout=30)

    def topics(self, device: str = "meter") -> list[str]:
        """The topics of what is stored for a device, in order."""
        return [delivery.topic for name, delivery in self.stored if name == device]

    def payloads(self, device: str = "meter") -> list[bytes]:
        """The payloads of what is stored for a device, in order."""
        return [delivery.payload for name, delivery in self.stored if name == device]


class Door:
    """A running endpoint; ``call`` runs a function on its event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, endpoint: Endpoint, ingest: MemoryIngest, *, websocket: bool
    ) -> None:
        self.loop, self.endpoint, self.ingest = loop, endpoint, ingest
        self.websocket = websocket

    @property
    def port(self) -> int:
        return self.endpoint.port

    def dial(self, tls: ssl.SSLContext | None = None, receive_buffer: int = 0) -> RawClient:
        """A device's connection, of the kind that this door takes."""
        if self.websocket:
            return WebSocketClient(self.port, tls, receive_buffer)
        return RawClient(self.port, tls, receive_buffer)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine on the door's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the door's loop."""

        async def work() -> T:
            return function()

        return self.run(work())

    def release(self, order: Callable[[list[Callable[[], None]]], list[Callable[[], None]]] = list) -> None:
        """Commit what is held back, in the order it came or another, and hold nothing back any more."""

        def commit() -> None:
            self.ingest.held = False
            waiting, self.ingest.waiting = self.ingest.waiting, []
            for one in order(waiting):
                one()

        self.call(commit)


@contextmanager
def door(
    limits: Limits | None = None, tls: ssl.SSLContext | None = None, *, websocket: bool = False
) -> Iterator[Door]:
    """A door on a free loopback port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    ingest = MemoryIngest()
    running = Door(loop, Endpoint(ingest, limits), ingest, websocket=websocket)
    try:
        running.run(running.endpoint.start("127.0.0.1", 0, tls, websocket=websocket))
        yield running
    finally:
        running.run(running.endpoint.drain(0.2))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
