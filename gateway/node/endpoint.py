"""The device door: listeners, the connections behind them, and their end."""

from __future__ import annotations

import asyncio
import os
import resource
import ssl as tls
from collections.abc import Callable

from gateway.address import is_loopback
from gateway.errors import ListenError
from gateway.mqtt import Reason
from gateway.node.limits import Budget, Limits
from gateway.node.ports import Ingest
from gateway.node.registry import Counters, Registry
from gateway.node.session import Session
from gateway.node.shared import Shared
from gateway.node.websocket import WebSocket

_RESERVED_FILES = 128  # file descriptors left for databases, logs and other sockets
_BACKLOG = 512  # connections the kernel holds until we accept them


class Endpoint:
    """MQTT in: accepts devices, hands their messages to an ingest and acknowledges what became durable.

    To be used on one running event loop.
    """

    def __init__(
        self, ingest: Ingest, limits: Limits | None = None, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._ingest = ingest
        self._limits = limits or Limits()
        self._entropy = entropy
        self._counters = Counters()
        self._servers: list[asyncio.Server] = []
        self._shared: Shared | None = None
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def counters(self) -> Counters:
        """Totals since start."""
        return self._counters

    @property
    def port(self) -> int:
        """The port of the first listener."""
        return self.ports[0]

    @property
    def ports(self) -> list[int]:
        """A port for each call of ``start``, in order."""
        return [server.sockets[0].getsockname()[1] for server in self._servers if server.sockets]

    async def start(
        self,
        host: str,
        port: int,
        ssl: tls.SSLContext | None = None,
        *,
        cleartext: bool = False,
        websocket: bool = False,
    ) -> int:
        """Listen on an address and return its port; 0 lets the system choose. May be called again for others.

        Without TLS only loopback is listened on, unless ``cleartext`` says that passwords may cross the
        network. ``websocket``: MQTT in WebSockets, instead of by itself.

        Raises:
            ListenError: the address is taken or unknown, or would need ``cleartext``.
        """
        if ssl is None and not cleartext and not is_loopback(host):
            raise ListenError("without TLS devices are served on loopback only")
        shared = self._open()
        timeouts = (self._limits.connect_seconds, self._limits.linger_seconds) if ssl else (None, None)
        try:
            server = await shared.loop.create_server(
                lambda: WebSocket(shared) if websocket else Session(shared),
                host,
                port,
                ssl=ssl,
                backlog=_BACKLOG,
                ssl_handshake_timeout=timeouts[0],
                ssl_shutdown_timeout=timeouts[1],
            )
        except OSError as error:
            raise ListenError(
                f"cannot listen on port {port}: {error.strerror or 'address unknown'}"
            ) from error
        self._servers.append(server)
        return self.ports[-1]

    def _open(self) -> Shared:
        if self._shared is None:
            limits = self._limits
            files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            connections = limits.connections
            if files != resource.RLIM_INFINITY:
                connections = max(1, min(connections, files - _RESERVED_FILES))
            self._shared = Shared(
                ingest=self._ingest,
                limits=limits,
                registry=Registry(connections, limits.strangers, limits.device_connections),
                budget=Budget(limits.total_bytes),
                loop=asyncio.get_running_loop(),
                entropy=self._entropy,
                counters=self._counters,
            )
            self._check(self._shared)
        return self._shared

    def _check(self, shared: Shared) -> None:
        now = shared.loop.time()
        for member in shared.registry:
            member.check(now)
        self._sweep = shared.loop.call_later(self._limits.sweep_seconds, self._check, shared)

    def disconnect(self, device_id: str) -> int:
        """Cut the connections of a device whose credential ended; nothing they send counts after the call.

        Returns:
            How many there were.
        """
        members = self._shared.registry.of(device_id) if self._shared is not None else []
        members = [member for member in members if not member.ended]
        for member in members:
            member.cut(Reason.ADMINISTRATIVE_ACTION)
        return len(members)

    async def drain(self, timeout: float = 4.0) -> bool:
        """Stop: accept and read no more, acknowledge what is in flight as it becomes durable, close.

        Args:
            timeout: seconds until connections whose messages are still not durable are closed without.
            Closing
                the sockets takes up to ``linger_seconds`` more.

        Returns:
            Whether everything in flight was acknowledged.
        """
        for server in self._servers:
            server.close()
        if self._shared is None:
            return True
        registry, loop = self._shared.registry, self._shared.loop
        for member in registry:
            member.drain()
        orderly = await _until(lambda: all(member.ended for member in registry), loop.time() + timeout)
        await _until(lambda: not len(registry), loop.time() + self._limits.linger_seconds)
        for member in registry:
            member.abort()
        await _until(lambda: not len(registry), loop.time() + self._limits.linger_seconds)
        if self._sweep is not None:
            self._sweep.cancel()
        self._servers.clear()
        return orderly


async def _until(condition: Callable[[], bool], deadline: float) -> bool:
    """Wait for what callbacks of this loop bring about; False when the deadline came first."""
    while not condition():
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(0.005)
    return True
