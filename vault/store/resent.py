"""Readings that were stored before: digests by device and day, of devices that send their readings again.

The digests lie in ``resent`` of a person's file and in what the journal holds; a day of a device is read once
and then kept open, as long as there is room.  A commit that failed closes the days that it added to.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from vault.bucket import DAY_MS
from vault.device import DIGEST_SIZE
from vault.ids import VaultId
from vault.observation import Observation

RESENT_MAX: Final = 65_536  # digests kept for one device and day; beyond it the oldest go
RESENT_DAYS: Final = 400  # how far back event times are accepted, and so readings recognised
SUSPECT_DAY: Final = -1  # of readings whose device's clock was not believed
OPEN_MAX: Final = 262_144  # digests in memory, of all vaults; about 100 bytes each

Day = dict[bytes, None]  # digests, oldest first
_Place = tuple[VaultId, bytes, int]


def day_of(reading: Observation) -> int:
    """Under which day a reading's digest is kept: of its event time, days since the epoch."""
    return reading.time // DAY_MS if reading.claimed is None else SUSPECT_DAY


def split(blob: bytes) -> Iterator[bytes]:
    """The digests of a row."""
    return (blob[at : at + DIGEST_SIZE] for at in range(0, len(blob), DIGEST_SIZE))


class OpenDays:
    """The days of all vaults that are in memory; ``stored`` gives the digests on disk, oldest first."""

    def __init__(
        self, stored: Callable[[VaultId, bytes, int], Iterable[bytes]], limit: int = OPEN_MAX
    ) -> None:
        self._stored, self._limit = stored, limit
        self._days: OrderedDict[_Place, Day] = OrderedDict()
        self._size = 0

    def find(self, vault: VaultId, device: bytes, day: int) -> Day | None:
        """A day, if it is open."""
        place = (vault, device, day)
        found = self._days.get(place)
        if found is not None:
            self._days.move_to_end(place)
        return found

    def open(self, vault: VaultId, device: bytes, day: int, added: Iterable[bytes]) -> Day:
        """Read a day, and ``added`` by the commit that is being made; others are closed to make room.

        Raises:
            Unavailable: the vault's file is damaged.
        """
        made: Day = dict.fromkeys(self._stored(vault, device, day))
        made.update(dict.fromkeys(added))
        self._days[vault, device, day] = made
        self._size += len(made)
        while self._size > self._limit and len(self._days) > 1:
            self._size -= len(self._days.popitem(last=False)[1])
        return made

    def add(self, day: Day, digest: bytes) -> None:
        """One more, of an open day."""
        day[digest] = None
        self._size += 1
        if len(day) >= RESENT_MAX + RESENT_MAX // 8:
            for old in list(itertools.islice(day, len(day) - RESENT_MAX)):
                del day[old]
                self._size -= 1

    def close(self, vault: VaultId, places: Iterable[tuple[bytes, int]]) -> None:
        """What is in memory of these is not what is on disk."""
        for device, day in places:
            self._size -= len(self._days.pop((vault, device, day), ()))

    def forget(self, vault: VaultId) -> None:
        """Nothing that is known of a vault can be relied on."""
        self.close(vault, [place[1:] for place in self._days if place[0] == vault])
