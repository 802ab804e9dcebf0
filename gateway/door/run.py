"""The door process: ``python -m gateway.door.run``, with a ``DoorConfig`` as one line of JSON on its stdin.

Prints ``{"port": N}`` when it listens.  Ends with ``RECYCLE`` when a fresh door should take its place: memory
that held tokens and opened readings cannot be wiped, so it is given back.  The socket is the parent's, so
that connections wait meanwhile instead of being refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from litestar import Litestar

from gateway.door.app import build
from gateway.door.config import DoorConfig
from gateway.door.context import Door
from gateway.door.impatience import impatient
from gateway.door.quiet import set_up_logging
from gateway.errors import TlsError
from gateway.process import begin, run
from gateway.rpcclient import NodeLink
from gateway.tlsfiles import TlsFiles
from vault.store.paths import DataDir
from vault.store.reader import Reader

RECYCLE: Final = 75  # EX_TEMPFAIL of sysexits.h
DRAIN_S: Final = 5
TLS_TICKS: Final = 10  # of a tenth of a second, between two looks at the certificate
HEAD_MAX: Final = 16 << 10  # bytes of a request's first line and headers
BACKLOG: Final = 512


class DoorServer(uvicorn.Server):
    """uvicorn without its signal handlers, which would stop the process in the parent's stead."""

    def __init__(self, config: uvicorn.Config, door: Door, tls: TlsFiles | None) -> None:
        super().__init__(config)
        self.recycle = False
        self._tls = tls
        self._door = door
        self._since = time.monotonic()
        self._parent = os.getppid()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    def stop(self) -> None:
        """Take no more, finish what is under way."""
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Whether to leave: told to, orphaned, or due to make room for a fresh door."""
        if await super().on_tick(counter) or os.getppid() != self._parent:
            return True
        if self._tls is not None and counter % TLS_TICKS == 0:
            with contextlib.suppress(TlsError):  # the node, which made them or says so, uses them as well
                self._tls.reload()
        config, retire_at = self._door.config, self._door.retire_at
        self.recycle = (
            self.server_state.total_requests >= config.max_requests
            or time.monotonic() - self._since >= config.max_age_s
            or (retire_at is not None and self._door.clock() >= retire_at)
        )
        return self.recycle


def server_for(app: Litestar) -> DoorServer:
    """A server of this application, quiet and strict; ``serve(sockets=[...])`` runs it."""
    door: Door = app.state.door
    config = uvicorn.Config(
        app,
        http=impatient(door.config.patience_s),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # where a request comes from is never what it says
        server_header=False,
        limit_concurrency=door.config.max_connections,
        backlog=BACKLOG,
        timeout_keep_alive=max(1, round(door.config.patience_s)),
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=HEAD_MAX,
    )
    tls = None
    if door.config.tls_cert:
        tls = TlsFiles(Path(door.config.tls_cert), Path(door.config.tls_key))
        config.load()
        config.ssl = tls.context  # one that takes renewed certificates while it is in use
    return DoorServer(config, door, tls)


def listen(config: DoorConfig) -> socket.socket:
    """The inherited socket, or one of our own; raises OSError."""
    if config.fd >= 0:
        listener = socket.socket(fileno=config.fd)
        listener.set_inheritable(False)
        return listener
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    return socket.create_server((config.host, config.port), family=family, backlog=BACKLOG)


async def serve(config: DoorConfig) -> bool:
    """Be a door until told to stop; True: a fresh one should follow."""
    data = DataDir(config.data)
    listener = listen(config)
    port: int = listener.getsockname()[1]
    link = NodeLink(config.node_socket or data.socket)
    reader = Reader(data)
    server = server_for(build(config.located(port), reader, link))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    ready = asyncio.create_task(_say_ready(server, port))
    try:
        await server.serve(sockets=[listener])
    finally:
        ready.cancel()
        await link.close()
        reader.close()
    return server.recycle and not server.should_exit


async def _say_ready(server: DoorServer, port: int) -> None:
    while not server.started:
        await asyncio.sleep(0.005)
    print(msgspec.json.encode({"port": port}).decode(), flush=True)


def main() -> int:
    """The process; its exit status."""
    os.umask(0o077)
    set_up_logging()
    begin(signal.SIGTERM)
    config = msgspec.json.decode(sys.stdin.buffer.readline(), type=DoorConfig)
    return RECYCLE if run(serve(config)) else 0


if __name__ == "__main__":
    sys.exit(main())
