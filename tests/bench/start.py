"""How long a command takes before it does anything."""

from __future__ import annotations

import sys
from typing import Final

from tests.bench.command import program, seconds
from tests.bench.report import Section, at_most, ratio, row
from tests.bench.sizes import Size

LIMIT: Final = 8.0


def measure(size: Size) -> Section:
    """Start both in turn."""
    ours: list[float] = []
    bare: list[float] = []
    seconds(*program(), "--version")  # the first finds nothing in the cache
    for _ in range(size.starts):
        ours.append(1000 * seconds(*program(), "--version"))
        bare.append(1000 * seconds(sys.executable, "-c", "pass"))
    found = row("hypertouch --version", "ms", ours, python=bare)
    return Section(
        name="start",
        title="of the command line, beside python3 -c pass",
        rows=[found],
        targets=[at_most("<= 8 x python3 -c pass", ratio(found, "python"), LIMIT)],
    )
