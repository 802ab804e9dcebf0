"""What it costs to gather buckets while readings arrive: a node as it is, beside one that does not."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from tests.bench.ingest import SETTINGS, devices, rate
from tests.bench.report import Section, at_least, ratio, row
from tests.bench.rig import fresh_data, running
from tests.bench.sizes import Size

PART: Final = 0.75  # of the speed without buckets
WITHOUT: Final = "without"
_MEASURED: Final = [one for one in SETTINGS if one.name in ("10 x window 2000", "200 x window 1")]


def measure(size: Size, directory: Path) -> Section:
    """Both nodes stand; each setting is run against them in turn, and who is first changes."""
    found = {one.name: (list[float](), list[float]()) for one in _MEASURED}
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(running(fresh_data(directory / name), node))
            for name, node in (("with", "gateway.node.run"), (WITHOUT, "tests.bench.bucketless"))
        ]
        credentials = [devices(server) for server in servers]
        for server, mine in zip(servers, credentials, strict=True):
            rate(server.mqtt_port, mine, _MEASURED[0], size.messages // 4)  # whatever grows once has grown
        for repeat in range(size.repeats):
            for one in _MEASURED:
                for side in (0, 1) if repeat % 2 else (1, 0):
                    port = servers[side].mqtt_port
                    found[one.name][side].append(rate(port, credentials[side], one, size.messages))
    rows = [row(name, "/s", ours, **{WITHOUT: theirs}) for name, (ours, theirs) in found.items()]
    return Section(
        name="gathering",
        title="QoS 1 messages acknowledged a second, with buckets and without",
        rows=rows,
        targets=[at_least(f"{one.name}: >= {PART} x without", ratio(one, WITHOUT), PART) for one in rows],
        notes=["Three readings a message, of kinds with buckets of an hour and a day; as in ingest."],
    )
