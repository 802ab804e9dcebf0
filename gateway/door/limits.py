"""How often is too often: token buckets in bounded tables, and the pace of polling.  Pure: ``now`` is given.

Keys are a client, a grant or the address of the socket.  No header a client can write is ever a key.
The tables live in one door and end with it.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict

import msgspec

TABLE_SIZE = 10_000  # keys; the least recently used is forgotten first
GRACE_MS = 500  # how much too early a poll may come: networks are not that even


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many at once, and so many a second after that."""

    burst: int
    per_second: float


class Buckets:
    """A token bucket a key."""

    def __init__(self, rate: Rate, size: int = TABLE_SIZE) -> None:
        self._rate = rate
        self._size = size
        self._levels: OrderedDict[object, tuple[float, int]] = OrderedDict()  # tokens left, at ms

    def take(self, key: object, now: int) -> int:
        """Take one; 0, or the seconds until there is one."""
        wait = self.wait(key, now)
        if not wait:
            self.charge(key, now)
        return wait

    def wait(self, key: object, now: int) -> int:
        """The seconds until there is one, without taking it."""
        level = self._level(key, now)
        return 0 if level >= 1 else max(1, math.ceil((1 - level) / self._rate.per_second))

    def charge(self, key: object, now: int) -> None:
        """Take one whether it is there or not; a bucket never owes more than one."""
        self._levels[key] = (max(-1.0, self._level(key, now) - 1), now)
        self._levels.move_to_end(key)
        if len(self._levels) > self._size:
            self._levels.popitem(last=False)

    def __len__(self) -> int:
        return len(self._levels)

    def _level(self, key: object, now: int) -> float:
        level, at = self._levels.get(key, (float(self._rate.burst), now))
        return min(self._rate.burst, level + max(0, now - at) / 1000 * self._rate.per_second)


class Pace:
    """Whether a poll comes at least one interval after the last that was answered (CIBA, section 7.3)."""

    def __init__(self, interval_s: int, size: int = TABLE_SIZE) -> None:
        self._interval = interval_s * 1000
        self._grace = min(GRACE_MS, self._interval // 10)
        self._size = size
        self._last: OrderedDict[object, int] = OrderedDict()

    def keeps(self, key: object, now: int) -> bool:
        """True, and the interval begins anew; False: too early, and it does not."""
        last = self._last.get(key)
        if last is not None and 0 <= now - last < self._interval - self._grace:
            return False
        self._last[key] = now
        self._last.move_to_end(key)
        if len(self._last) > self._size:
            self._last.popitem(last=False)
        return True

    def forget(self, key: object) -> None:
        """The request was answered for good."""
        self._last.pop(key, None)


def source_key(address: str) -> str:
    """An address as a key: an IPv6 network of /64 is one household."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        if mapped is not None:
            return str(mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
