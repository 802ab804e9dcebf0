"""Whether the wall clock can be believed: pure, told two clocks and remembering a mark.

The mark is the latest wall time this node believed; it never goes back by itself.  Within one run the wall
clock is compared with the uptime clock (CLOCK_BOOTTIME, which counts sleep): a wall clock that runs an hour
ahead of it freezes grants and does not move the mark; one behind the mark freezes them too.  Ingest goes on.
"""

from __future__ import annotations

import time
from typing import Final

from vault.store.sector import ClockMark, Frozen

AHEAD_MS: Final = 3_600_000
BEHIND_MS: Final = 60_000  # what a time service may correct; decisions are taken at the mark meanwhile


class ClockWatch:
    """Follows the two clocks; both are milliseconds."""

    def __init__(self, mark: ClockMark, wall: int, uptime: int) -> None:
        self._mark, self._total = mark.mark, mark.uptime
        self._last_uptime = uptime
        self._expected = wall
        self._frozen = Frozen.NO
        self.observe(wall, uptime)

    @property
    def mark(self) -> ClockMark:
        """What is to be written to the live file."""
        return ClockMark(self._mark, self._total, self._frozen)

    def observe(self, wall: int, uptime: int) -> ClockMark:
        """Look at both clocks."""
        elapsed = max(0, uptime - self._last_uptime)
        self._last_uptime = uptime
        self._total += elapsed
        self._expected += elapsed
        if wall > self._expected + AHEAD_MS:
            self._frozen = Frozen.AHEAD
        elif wall < self._mark - BEHIND_MS:
            self._frozen = Frozen.BEHIND
        else:
            self._frozen = Frozen.NO
            self._expected = wall
            self._mark = max(self._mark, wall)
        return self.mark

    def trust(self, wall: int, uptime: int) -> ClockMark:
        """The owner of the machine says that its clock is right now."""
        self._mark = self._expected = wall
        return self.observe(wall, uptime)


def wall_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def uptime_ms() -> int:
    """Milliseconds since boot, sleep included where the system counts it."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000
