"""How long a message takes to be understood, and what that leaves of the rate at which it is stored."""

from __future__ import annotations

import contextlib
import statistics
import time
from pathlib import Path
from typing import Final

from gateway.dialects import Notebook, read
from gateway.dialects.library import entry
from gateway.dialects.reading import PLAIN
from tests.bench.ingest import DEVICES, devices, pipelined
from tests.bench.report import Section, at_least, at_most, ratio, row
from tests.bench.rig import fresh_data, running
from tests.bench.sizes import Size
from tests.dialect_shapes import CASES, Case

BLOCKS: Final = 5
DECLARED: Final = "zigbee2mqtt"  # the dialect of the load; a file, and no code on these topics
MICROSECONDS: Final = 20.0
PART: Final = 0.6


def measure(size: Size, directory: Path) -> Section:
    """Read the vectors' messages; then store some in a declared dialect and as plain JSON, in turn."""
    found: dict[str, list[float]] = {}
    for case in CASES:
        found.setdefault(case.dialect, []).append(_microseconds(case, case.notebook(), size.calls))
    declared = [one for name in found if name != PLAIN and entry(name).dialect.rules for one in found[name]]
    rows = [row(name, "us", found[name]) for name in sorted(found)]
    rates = _rates(size, directory)
    stored = row(f"acknowledged, {DECLARED}", "/s", rates[DECLARED], plain=rates[PLAIN])
    every = row("all declared dialects", "us", declared)
    return Section(
        name="dialects",
        title="microseconds to understand a message of each dialect's vectors; messages stored a second",
        rows=[*rows, every, stored],
        targets=[
            at_most("a declared dialect's message <= 20 us", every.median(), MICROSECONDS),
            at_least(f"ingest through {DECLARED} >= 0.6 x plain", ratio(stored, PLAIN), PART),
        ],
        notes=[
            "A sample is a message; health-auto-export and sensor-logger send many readings in one.",
            f"acknowledged: as in ingest, window 2000, {DEVICES} devices; three readings both times.",
        ],
    )


def _microseconds(case: Case, notebook: Notebook, calls: int) -> float:
    samples = []
    for _ in range(BLOCKS):
        begun = time.perf_counter()
        for _ in range(calls):
            read(case.topic, case.payload, case.arrival, notebook)
        samples.append((time.perf_counter() - begun) / calls * 1e6)
    return statistics.median(samples)


def _rates(size: Size, directory: Path) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {DECLARED: [], PLAIN: []}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(fresh_data(directory / "dialects")))
        credentials = devices(server)
        for repeat in range(size.repeats + 1):
            for name, base in ((DECLARED, DECLARED), (PLAIN, "sensors")):
                rate = pipelined(server.mqtt_port, credentials, size.messages, base)
                if repeat:  # whatever grows once has grown in the first
                    rates[name].append(rate)
    return rates
