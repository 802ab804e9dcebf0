"""A year of minutely readings of one device, written by the store's own writer while no node runs.

The clock is set forward from day to day, so that segments close and chunks merge as they would have.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Final

from vault.bucket import DAY_MS
from vault.ids import DeviceId, VaultId
from vault.observation import Observation
from vault.store.files import Files
from vault.store.paths import DataDir
from vault.store.state import Arrival
from vault.store.writer import Writer

KINDS: Final = ("energy", "humidity", "temperature")
MINUTE_MS: Final = 60_000
PER_DAY: Final = DAY_MS // MINUTE_MS
JITTER_MS: Final = 3_000  # a device's timer, the network, a busy radio
COMMITS: Final = 6  # a day; a segment's chunks then have something to merge
QUIET_MS: Final = 11 * MINUTE_MS


class Series:
    """Three walks as sensors report them; the same seed makes the same year."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._temperature, self._humidity, self._energy = 205, 480, 4_812_345

    def day(self, day: int) -> Iterator[tuple[int, dict[str, float]]]:
        """(event time in milliseconds, the value of each kind) for every minute of a UTC day."""
        draw = self._random.random
        for minute in range(PER_DAY):
            self._temperature += int(draw() * 3) - 1
            self._humidity = min(990, max(10, self._humidity + int(draw() * 5) - 2))
            self._energy += int(draw() * 14)
            yield (
                day * DAY_MS + minute * MINUTE_MS + int(draw() * JITTER_MS),
                {
                    "temperature": self._temperature / 10,
                    "humidity": self._humidity / 10,
                    "energy": self._energy / 1000,
                },
            )


def write_history(data: DataDir, vault: VaultId, device: DeviceId, first_day: int, days: int) -> int:
    """Write so many days from ``first_day`` (days since the epoch) on; returns the number of readings."""
    now = [first_day * DAY_MS]
    writer = Writer(data, Files(), lambda: now[0], os.urandom)
    series = Series()
    for day in range(first_day, first_day + days):
        minutes = list(series.day(day))
        for at in range(0, PER_DAY, PER_DAY // COMMITS):
            part = minutes[at : at + PER_DAY // COMMITS]
            now[0] = part[-1][0]
            writer.commit(
                [
                    Arrival(vault, device, time, [Observation("", kind, time, row[kind]) for kind in KINDS])
                    for time, row in part
                ]
            )
        now[0] = (day + 1) * DAY_MS + QUIET_MS
        writer.close_quiet()
    writer.close()
    return days * PER_DAY * len(KINDS)
