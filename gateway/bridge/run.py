"""The process of one worker of a bridge: from a broker to the node's socket.

Started by ``hypertouch up`` as ``python -m gateway.bridge.run`` with a ``BridgeTask`` as JSON on its standard
input; it prints one line when it runs, connected or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from enum import IntEnum
from pathlib import Path
from typing import Final

import msgspec

from gateway.bridge.config import BridgeTask, load
from gateway.bridge.session import Session
from gateway.errors import BridgeConfigError
from gateway.process import begin, run
from gateway.rpcclient import NodeError, NodeLink
from gateway.wire import BridgeState, ReportBridge


class Exit(IntEnum):
    """How a bridge ends."""

    OK = 0
    CONFIG = 2
    FAULT = 70  # nobody foresaw it (EX_SOFTWARE)


REPORT_S: Final = 0.25  # between two looks at how the sessions fare
REPEAT_S: Final = 2.0
CLOSE_S: Final = 3.0  # for what has come to become stored
_log = logging.getLogger("hypertouch.bridge")


async def serve(task: BridgeTask) -> None:
    """Run until SIGTERM; raises BridgeConfigError."""
    config = load(Path(task.file))
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    node = NodeLink(task.socket)
    sessions = [Session(config, name, task.worker, node, _now_ms) for name in config.devices]
    print("{}", flush=True)
    running = [asyncio.create_task(one.lane.run()) for one in sessions]
    running += [asyncio.create_task(one.run()) for one in sessions]
    running.append(asyncio.create_task(_report(node, sessions)))
    stopping = asyncio.create_task(stopped.wait())
    try:
        done, _ = await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
        for one in done - {stopping}:
            one.result()  # none of them ends by itself but by a fault
        await asyncio.gather(*(one.close(CLOSE_S) for one in sessions))
    finally:
        for other in running:
            other.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await node.close()


async def _report(node: NodeLink, sessions: list[Session]) -> None:
    """Tell the node how the sessions fare, whether it listens or not; now and then also that nothing changed,
    for a node that was started again knows nothing.
    """
    told: list[BridgeState] = []
    quiet = 0.0
    while True:
        states = [one.state() for one in sessions]
        if states != told or quiet >= REPEAT_S:
            quiet, told = 0.0, []
            with contextlib.suppress(NodeError):
                await node.call(ReportBridge(states))
                told = states
        await asyncio.sleep(REPORT_S)
        quiet += REPORT_S


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def main() -> int:
    """The process."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    begin(signal.SIGKILL)  # what it had not acknowledged, the broker has
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=BridgeTask)
    try:
        run(serve(task))
    except BridgeConfigError as error:
        _log.error("%s; %s", error, error.hint)
        return Exit.CONFIG
    except Exception as error:  # it is started again, and the broker sends again what was not acknowledged
        _log.critical("the bridge failed: %s", _kind(error))  # never its text
        return Exit.FAULT
    return Exit.OK


def _kind(error: BaseException) -> str:
    """The kind of a fault, and of the first within it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
