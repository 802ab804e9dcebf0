"""``make bench``: measure what the project promises, beside what there is without it.

``python -m tests.bench [--only NAME ...] [--quick] [--json FILE]``.  Real processes on loopback; both sides
of a comparison run in turn, several times, and their medians are compared.  Ends with 1 when a target is
missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from cli import __version__
from tests.bench import (
    answers,
    approve,
    bridge,
    connections,
    dialects,
    gathering,
    ingest,
    preview,
    read,
    revoke,
    settle,
    start,
    storage,
)
from tests.bench.report import Report, Section, render
from tests.bench.sizes import FULL, QUICK, Size
from tests.bench.year import opened, write_year

NAMES: Final = (
    "settle",
    "dialects",
    "ingest",
    "gathering",
    "bridge",
    "connections",
    "storage",
    "read",
    "answers",
    "approve",
    "preview",
    "revoke",
    "start",
)
BUSY: Final = 0.7  # load average from which on the machine is not ours
HISTORY: Final = frozenset({"storage", "read", "answers", "approve", "revoke"})  # of the same year


def sections(size: Size, names: Sequence[str], directory: Path) -> Iterator[Section]:
    """Measure, one after the other; everything is written below ``directory``."""
    if "settle" in names:
        yield settle.measure(size)
    if "dialects" in names:
        yield dialects.measure(size, directory)
    if "ingest" in names:
        yield ingest.measure(size, directory)
    if "gathering" in names:
        yield gathering.measure(size, directory)
    if "bridge" in names:
        yield bridge.measure(size, directory)
    if "connections" in names:
        yield connections.measure(size, directory)
    if HISTORY.intersection(names):
        written = write_year(directory, size.days)
        if "storage" in names:
            yield storage.measure(written, directory)
        if HISTORY.intersection(names) != {"storage"}:
            with ExitStack() as stack:
                home = stack.enter_context(opened(written))
                if "read" in names:
                    yield read.measure(size, home, directory)
                if "answers" in names:
                    yield answers.measure(size, home, directory)
                if "approve" in names:
                    yield approve.measure(size, home, directory)
                if "revoke" in names:
                    yield revoke.measure(size, home)
    if "preview" in names:
        yield preview.measure(size, directory)
    if "start" in names:
        yield start.measure(size)


def main(argv: list[str], *, size: Size | None = None) -> int:
    """The command; ``size`` is for tests."""
    options = _parse(argv)
    chosen = size or (QUICK if options.quick else FULL)
    begun = time.monotonic()
    machine = f"{platform.system()} {platform.machine()}"
    print(f"hypertouch {__version__}, Python {platform.python_version()}, {machine}, {os.cpu_count()} cores")
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"BUSY: others keep {load:.1f} cores of this machine; figures are too low")
    print("medians; a ratio is ours divided by the column's", flush=True)
    found: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="hypertouch-bench-") as directory:
        for section in sections(chosen, options.only or NAMES, Path(directory)):
            found.append(section)
            print("\n" + render(section), flush=True)
    seconds = time.monotonic() - begun
    missed = [target for section in found for target in section.targets if target.met is False]
    print(f"\n{seconds:.0f} s; {len(missed)} target(s) missed")
    if options.json:
        report = Report(
            version=__version__,
            python=platform.python_version(),
            machine=machine,
            cores=os.cpu_count() or 1,
            load=load,
            quick=options.quick,
            seconds=seconds,
            sections=found,
        )
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return 1 if missed else 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Hypertouch.")
    parser.add_argument("--only", action="append", choices=NAMES, help="this section; may be repeated")
    parser.add_argument("--quick", action="store_true", help="less of everything: a look, not a figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, samples too")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
