"""A bar on stderr for what takes longer than a second; nothing where nobody looks."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Final, Self

PATIENCE_S: Final = 1.0
WIDTH: Final = 30  # columns


class Bar:
    """Call it with 0 to 1; used as a context, it cleans up after itself."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._start = time.monotonic()
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __call__(self, done: float) -> None:
        """Show how far it is."""
        if not sys.stderr.isatty() or time.monotonic() - self._start < PATIENCE_S:
            return
        full = round(done * WIDTH)
        bar = "█" * full + "░" * (WIDTH - full)
        print(f"\r{self._what} {bar} {done:4.0%}", end="", file=sys.stderr, flush=True)
        self._shown = True
