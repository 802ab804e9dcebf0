"""Acknowledged messages a second, ours on the disk, and what memory that takes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from tests.bench import peers
from tests.bench.consumer import BATCH
from tests.bench.load import Credential, Load, Measured
from tests.bench.report import Row, Section, Target, at_least, at_most, ratio, row
from tests.bench.rig import Household, Server, fresh_data, running
from tests.bench.sizes import Size

DEVICES: Final = 10
MEMORY_MIB: Final = 200.0
GROWTH: Final = 1.10  # of the most that a repeat takes, from the first to the last: more is not flat
FSYNCS: Final = 20
SAMPLE_S: Final = 0.05
LOAD_S: Final = 120.0
_BROKER, _ROWS = "mosquitto", "+ sqlite"


class Setting(msgspec.Struct, frozen=True):
    """How a load connects."""

    name: str
    connections: int
    window: int
    part: float  # of the messages of a run


SETTINGS: Final = (
    Setting("10 x window 200", 10, 200, 1.0),
    Setting("10 x window 2000", 10, 2000, 1.0),
    Setting("200 x window 1", 200, 1, 0.2),
)
_MAIN: Final = SETTINGS[1]


def measure(size: Size, directory: Path) -> Section:
    """Run every setting against both sides in turn, as often as ``size`` says."""
    program = peers.find_mosquitto()
    ours: dict[str, list[float]] = {one.name: [] for one in SETTINGS}
    theirs: dict[str, list[float]] = {one.name: [] for one in SETTINGS}
    stored: list[float] = []
    memory: list[list[float]] = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(fresh_data(directory / "node")))
        credentials = devices(server)
        broker = stack.enter_context(peers.mosquitto(program, directory)) if program else 0
        _run(_load(server.mqtt_port, credentials, _MAIN, size.messages))  # whatever grows once has grown
        for _ in range(size.repeats):
            samples: list[float] = []
            memory.append(samples)
            for one in SETTINGS:
                load = _load(server.mqtt_port, credentials, one, size.messages)
                ours[one.name].append(_run(load, partial(_sample, server, samples)))
                if broker:
                    theirs[one.name].append(_run(_load(broker, credentials, one, size.messages)))
            if broker:
                stored.append(_stored(broker, directory, credentials, size.consumed))
        peak = server.peak()
    rows = [row(one.name, "/s", ours[one.name], **_beside(one, theirs, stored)) for one in SETTINGS]
    return Section(
        name="ingest",
        title=f"QoS 1 messages acknowledged a second; three readings each, {DEVICES} devices",
        rows=[*rows, row("one fsync of this disk", "ms", _fsyncs(directory)), *_memory_rows(memory, peak)],
        targets=_targets(rows[1], memory, peak),
        notes=[
            "hypertouch: acknowledged when it is on the disk, sealed (one fsync for all that waits).",
            "mosquitto: acknowledged when it is in its memory; nobody subscribes.",
            "+ sqlite: mosquitto to a paho-mqtt consumer; messages that it stored a second, a row a reading"
            f" in plain text, up to {BATCH:,} messages a commit; WAL, synchronous FULL, then acknowledged.",
            "With window 1 every commit waits for the disk with few messages in it.",
        ],
        left_out=[] if program else ["mosquitto is not installed, so nothing stands beside ours."],
    )


def devices(server: Server) -> list[Credential]:
    """A household's, which was not there before."""
    household = Household(server)
    made = (household.device(f"device {number}") for number in range(DEVICES))
    return [Credential(one.username, one.password) for one in made]


def pipelined(port: int, credentials: list[Credential], messages: int, base: str) -> float:
    """Messages a second in the setting that targets are about; ``base`` begins their topics."""
    return _run(_load(port, credentials, _MAIN, messages, base))


def rate(port: int, credentials: list[Credential], one: Setting, messages: int) -> float:
    """Messages a second in a setting."""
    return _run(_load(port, credentials, one, messages))


def _load(
    port: int, credentials: list[Credential], one: Setting, messages: int, base: str = "sensors"
) -> Load:
    share = max(1, round(messages * one.part) // one.connections)
    return Load(port, credentials, one.connections, one.window, share * one.connections, base)


def _run(load: Load, sample: Callable[[], object] = lambda: None) -> float:
    """Messages a second; ``sample`` is called all the while."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    told: bytes | None = msgspec.json.encode(load)
    sample()
    try:
        for _ in range(round(LOAD_S / SAMPLE_S)):
            try:
                said, _ = process.communicate(told, timeout=SAMPLE_S)
                return msgspec.json.decode(said, type=Measured).rate
            except subprocess.TimeoutExpired:
                told = None
                sample()
        raise RuntimeError("the load does not end")
    finally:
        process.kill()
        process.wait()


def _stored(broker: int, directory: Path, credentials: list[Credential], messages: int) -> float:
    load = _load(broker, credentials, _MAIN, messages)
    with peers.consumer(broker, directory, load.messages) as child:
        _run(load)
        kept = peers.kept(child)
    return kept.messages / kept.seconds


def _beside(one: Setting, theirs: dict[str, list[float]], stored: list[float]) -> dict[str, list[float]]:
    return {_BROKER: theirs[one.name], _ROWS: stored if one is _MAIN else []}


def _sample(server: Server, samples: list[float]) -> None:
    samples.append(server.rss())


def _fsyncs(directory: Path) -> list[float]:
    """What the disk itself takes for a commit's worth of bytes, milliseconds."""
    found: list[float] = []
    descriptor = os.open(directory / "fsync", os.O_CREAT | os.O_WRONLY, 0o600)
    for number in range(FSYNCS):
        os.pwrite(descriptor, os.urandom(1 << 14), number << 14)
        begun = time.perf_counter()
        os.fsync(descriptor)
        found.append(1000 * (time.perf_counter() - begun))
    os.close(descriptor)
    return found


def _memory_rows(memory: list[list[float]], peak: float) -> list[Row]:
    most = [max(samples) for samples in memory]
    return [row("memory, most a repeat", "MiB", most), row("memory, most ever", "MiB", [peak])]


def _targets(main: Row, memory: list[list[float]], peak: float) -> list[Target]:
    growth = max(memory[-1]) / max(memory[0]) if len(memory) > 1 else None
    return [
        at_least("window 2000: >= 0.5 x mosquitto", ratio(main, _BROKER), 0.5),
        at_least("window 2000: >= 5 x mosquitto + sqlite", ratio(main, _ROWS), 5),
        at_most("memory of node and door <= 200 MiB", peak, MEMORY_MIB),
        at_most("memory flat: last repeat <= 1.1 x first", growth, GROWTH),
    ]
