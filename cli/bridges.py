"""The bridges that ``hypertouch up`` runs beside the node: a process for each worker of each file.

A bridge that fails takes nothing else with it; it is started again, ever more slowly.  Files that come and
go while the server runs are followed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

from cli.ask import say
from cli.supervise import spawn, stop
from cli.text import escape
from gateway.bridge import config
from gateway.bridge.config import BridgeTask
from gateway.errors import BridgeConfigError
from vault.store.paths import DataDir

SCAN_S: Final = 1.0
FIRST_WAIT_S: Final = 1.0  # before a process that ended is started again
LONGEST_WAIT_S: Final = 60.0
STEADY_S: Final = 60.0  # one that ran so long was a good one


class Version(NamedTuple):
    """A file as it was last seen."""

    path: Path
    changed: int
    size: int


@contextlib.asynccontextmanager
async def bridged(data: DataDir) -> AsyncIterator[None]:
    """Run what bridges there are until the block ends, which waits for them."""
    following = asyncio.create_task(_follow(data))
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


async def _follow(data: DataDir) -> None:
    running: dict[Version, list[asyncio.Task[None]]] = {}
    try:
        while True:
            found = _versions(data)
            for version in [one for one in running if one not in found]:
                await _end(running.pop(version))
            for version in found:
                if version not in running:
                    running[version] = _start(data, version)
            await asyncio.sleep(SCAN_S)
    finally:
        await _end([task for tasks in running.values() for task in tasks])


def _versions(data: DataDir) -> list[Version]:
    found: list[Version] = []
    for path in config.files(data):
        with contextlib.suppress(OSError):
            seen = path.stat()
            found.append(Version(path, seen.st_mtime_ns, seen.st_size))
    return found


def _start(data: DataDir, version: Version) -> list[asyncio.Task[None]]:
    try:
        workers = config.load(version.path).workers
    except BridgeConfigError as error:
        say(f"bridge {escape(version.path.stem)}: {error}; {escape(error.hint)}")
        return []
    socket = str(data.socket.absolute())
    tasks = [BridgeTask(str(version.path.absolute()), socket, worker) for worker in range(workers)]
    return [asyncio.create_task(_keep(task)) for task in tasks]


async def _keep(task: BridgeTask) -> None:
    """Run one worker until cancelled."""
    loop = asyncio.get_running_loop()
    wait = FIRST_WAIT_S
    while True:
        began = loop.time()
        process = await spawn("gateway.bridge.run", task)
        try:
            await process.wait()
        finally:
            await asyncio.shield(stop(process))
        wait = FIRST_WAIT_S if loop.time() - began > STEADY_S else min(2 * wait, LONGEST_WAIT_S)
        await asyncio.sleep(wait)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
