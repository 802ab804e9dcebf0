"""The node process: MQTT in, the only writer, and the socket that doors and the CLI talk to.

Started by ``hypertouch up`` as ``python -m gateway.node.run`` with a ``NodeConfig`` as JSON on its standard
input; it prints one JSON line when it is ready.  The config holds no secrets.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from gateway.dialects.library import entries
from gateway.errors import ListenError, TlsError
from gateway.node.bridged import Bridges
from gateway.node.calls import NodeCalls
from gateway.node.clock import ClockWatch, uptime_ms, wall_ms
from gateway.node.config import Exit, NodeConfig
from gateway.node.endpoint import Endpoint
from gateway.node.ingest import DeviceIngest, Quota, WriterThread
from gateway.node.listen import Listening, listen
from gateway.node.owner import OwnerCalls
from gateway.node.rpc import RpcServer
from gateway.process import begin, run
from gateway.wire import NodeStatus
from vault.errors import VaultError
from vault.ids import DeviceId
from vault.store import ticking
from vault.store.errors import InUse
from vault.store.files import Files, lock
from vault.store.paths import DataDir
from vault.store.reader import Reader
from vault.store.writer import Writer

SWITCH_INTERVAL_S: Final = 0.002  # 5 ms, the default, delays commits; 0.5 ms costs a tenth of the rate
GARBAGE: Final = 50_000  # objects between two collections; with 700, the default, all are looked at often
TICK_S: Final = 1.0
LOCK_WAIT_S: Final = 0.5  # for a node whose parent was killed to be gone
MOVE_CHUNKS: Final = 256  # moved to the vaults in one turn: a few milliseconds in which no commit is made
MOVE_PASSES: Final = 4
SLOW_TICKS: Final = 10  # every ten ticks: clock, grants, buckets, quiet segments
SEAL_TURNS: Final = 64  # commits of finished buckets in a slow tick, with those that wait made in between
MERGE_TURN_S: Final = 0.1  # of every slow tick: at midnight everybody's day ends, and commits wait meanwhile
MERGE_BUDGET_S: Final = 2.0  # at shutdown; what is not merged then, the owner's client merges later
_log = logging.getLogger("hypertouch.node")


async def serve(config: NodeConfig) -> None:
    """Run until SIGTERM; returns when nothing acknowledged is unwritten."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    data = DataDir(config.data)
    data.create()
    held = lock(data.lock, wait_s=LOCK_WAIT_S)
    writer = Writer(data, Files(), wall_ms, os.urandom)
    watch = ClockWatch(writer.live.clock(), wall_ms(), uptime_ms())
    writer.live.set_clock(watch.mark)
    thread = WriterThread(writer, loop)
    ingest = DeviceIngest(thread, Reader(data), Quota(config.device_day_bytes), wall_ms)
    endpoint = Endpoint(ingest)

    def cut(device: DeviceId) -> None:
        ingest.end(device)
        loop.call_soon_threadsafe(ingest.forget, device)
        loop.call_soon_threadsafe(endpoint.disconnect, device.text)

    listening = await listen(endpoint, config, data.tls, time.time())
    started = uptime_ms()

    def status() -> NodeStatus:
        return NodeStatus(
            vaults=0,
            connections=endpoint.counters.connections,
            acknowledged=endpoint.counters.acknowledged,
            uptime_ms=uptime_ms() - started,
            pid=os.getpid(),
            mqtt=listening.mqtt,
            mqtts=listening.mqtts,
            http=config.http,
            ca_fingerprint=listening.ready.ca_fingerprint,
            frozen=watch.mark.frozen.text,
            version=config.version,
            ws=listening.ws,
            wss=listening.wss,
        )

    calls = NodeCalls(writer, thread, OwnerCalls(writer, cut, ingest.configure), watch, status)
    rpc = RpcServer(calls, Bridges(ingest), data.socket)
    await rpc.start()
    entries()  # else the first message waits until all dialects are read
    gc.freeze()  # what start-up made stays; a collection need not look at it again
    gc.set_threshold(GARBAGE, 10, 10)
    ticking = asyncio.create_task(_tick(thread, writer, watch, listening))
    print(msgspec.json.encode(listening.ready).decode(), flush=True)
    await stopped.wait()
    ticking.cancel()
    await endpoint.drain()
    await rpc.stop()
    deadline = time.monotonic() + MERGE_BUDGET_S
    await thread.run(lambda: writer.close(until=lambda: time.monotonic() > deadline))
    thread.stop()
    os.close(held)


async def _tick(thread: WriterThread, writer: Writer, watch: ClockWatch, listening: Listening) -> None:
    """Move what is pending, seal buckets, follow the clock, close what is quiet, renew certificates."""
    count = 0
    while True:
        await asyncio.sleep(TICK_S)
        count += 1
        listening.refresh(time.time())
        try:
            await _move(thread, writer)
            if count % SLOW_TICKS == 0:
                await _seal(thread, writer)
                await thread.run(lambda: _slowly(writer, watch))
        except (VaultError, OSError) as error:
            _log.error("housekeeping failed: %s", type(error).__name__)


async def _move(thread: WriterThread, writer: Writer) -> None:
    """In turns, with the commits that wait made in between; what came meanwhile is moved by the next pass."""
    for _ in range(MOVE_PASSES):
        turn, turns = partial(writer.move_turn, writer.intake.last, MOVE_CHUNKS), 0
        while await thread.run(turn):
            turns += 1
        if turns < 2:
            break
    await thread.run(writer.move_all)


async def _seal(thread: WriterThread, writer: Writer) -> None:
    """Finished buckets, in turns; on the hour everybody's are."""
    for _ in range(SEAL_TURNS):
        if not await thread.run(writer.seal_buckets):
            break


def _slowly(writer: Writer, watch: ClockWatch) -> None:
    writer.live.set_clock(watch.observe(wall_ms(), uptime_ms()))
    for vault in writer.vaults():
        with suppress(VaultError):  # one that is damaged does not keep the others waiting
            ticking.tick(writer, vault)
    for vault in list(writer.busy_checkpoints):
        with suppress(VaultError):
            writer.checkpoint(vault)
    deadline = time.monotonic() + MERGE_TURN_S
    writer.close_quiet(until=lambda: time.monotonic() > deadline)


def main() -> int:
    """The process."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    begin(signal.SIGKILL)  # nothing acknowledged is lost, and the lock is free at once
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    config = msgspec.json.decode(sys.stdin.buffer.readline(), type=NodeConfig)
    try:
        run(serve(config))
    except InUse:
        return Exit.IN_USE
    except ListenError as error:
        _log.error("%s", error)
        return Exit.CANNOT_LISTEN
    except TlsError as error:
        _log.error("%s", error)
        return Exit.NO_CERTIFICATE
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main())
