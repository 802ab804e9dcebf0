"""Processes that ``hypertouch up`` starts, keeps running and stops: each says one line when it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import Process
from typing import Final

import msgspec

from cli.errors import CliError

STOP_S: Final = 15.0  # for a process to end by itself
RECYCLED: Final = 75  # a door that wants a fresh one in its place (EX_TEMPFAIL)
CRASHES: Final = 5  # in a row, after which there is something wrong with more than one


async def spawn(module: str, config: msgspec.Struct, *descriptors: int) -> Process:
    """Start ``python -m module`` with its config as a line of JSON on standard input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=descriptors,
    )
    if process.stdin is not None:
        process.stdin.write(msgspec.json.encode(config) + b"\n")
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
    return process


async def ready_line(process: Process) -> bytes:
    """What it says when it is ready; empty: it ended instead."""
    return await process.stdout.readline() if process.stdout is not None else b""


async def stop(process: Process) -> None:
    """Ask it to end, and wait."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


class Kept:
    """A process that is started again when it makes room for a fresh one, or crashes now and then."""

    def __init__(self, module: str, config: msgspec.Struct, *descriptors: int) -> None:
        self._module, self._config, self._descriptors = module, config, descriptors
        self._opened = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._keep())

    async def ready(self) -> None:
        """Wait until it is ready for the first time; raises CliError when it does not start."""
        opened = asyncio.create_task(self._opened.wait())
        await asyncio.wait({opened, self._task}, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if self._task.done():
            self._task.result()

    async def failed(self) -> None:
        """Return when it cannot be kept running; raises CliError then."""
        await asyncio.shield(self._task)

    async def stop(self) -> None:
        """End it."""
        self._stopping.set()
        with contextlib.suppress(CliError):
            await self._task

    async def _keep(self) -> None:
        crashes = 0
        stopping = asyncio.create_task(self._stopping.wait())
        while not self._stopping.is_set():
            process = await spawn(self._module, self._config, *self._descriptors)
            if await ready_line(process):
                self._opened.set()
                crashes = 0
            ended = asyncio.create_task(process.wait())
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                await stop(process)
                return
            if ended.result() != RECYCLED:
                crashes += 1
            if crashes >= CRASHES:
                raise CliError("the HTTP side does not start", "look at its messages above")
