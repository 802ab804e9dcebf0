"""What ingest is put beside: Mosquitto, as fast as it goes, alone or with a consumer that stores rows."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.bench.consumer import Kept, Task
from tests.bench.rig import Child
from tests.peers import PLACES

START_S = 10.0


def find_mosquitto() -> str | None:
    """Where Debian's package, or somebody, put it."""
    return shutil.which("mosquitto", path=PLACES)


@contextmanager
def mosquitto(program: str, directory: Path) -> Iterator[int]:
    """A broker on loopback: memory only, no passwords, no bounds on what is in flight; its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = directory / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
        "max_inflight_messages 0\nmax_queued_messages 0\n"
    )
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("mosquitto does not start")
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def consumer(port: int, directory: Path, messages: int) -> Iterator[Child]:
    """A subscribed consumer; what it kept is its next line."""
    path = directory / "rows.db"
    try:
        with Child("tests.bench.consumer", Task(port, str(path), messages)) as child:
            yield child
    finally:
        for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            name.unlink(missing_ok=True)


def kept(child: Child) -> Kept:
    """What a consumer says at its end."""
    return msgspec.json.decode(child.line(), type=Kept)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
