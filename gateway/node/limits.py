"""What the device door bounds, and what connections share to be bounded together: memory, and guessing.

No clock in here: ``now`` is in seconds of any monotonic clock.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.mqtt import CONNECT_LIMIT, PACKET_LIMIT

KEEP_ALIVE_FACTOR = 1.5  # MQTT-3.1.2-22
MESSAGE_COST = 256  # bytes a message costs in memory beside its payload


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one endpoint; PROTOCOL.md lists them."""

    connect_bytes: int = CONNECT_LIMIT
    connect_seconds: float = 4.75  # from TCP to CONNECT, TLS and HTTP between them; a sweep later it is 5
    upgrade_bytes: int = 16 << 10  # the HTTP request that becomes a WebSocket
    packet_bytes: int = PACKET_LIMIT
    client_id_bytes: int = 256
    window_messages: int = 4096  # received and not committed, a connection
    window_bytes: int = 4 << 20
    total_bytes: int = 32 << 20  # received and not committed, all connections
    turn_seconds: float = 0.002
    turn_packets: int = 64  # parsed between two looks at the clock
    stall_seconds: float = 60.0  # a packet that does not end, acknowledgements nobody reads
    linger_seconds: float = 0.5  # for the last packet to be read before the socket goes
    connections: int = 4096
    strangers: int = 512  # connections that have not authenticated
    device_connections: int = 256
    sweep_seconds: float = 0.25  # how often deadlines are looked at


class Budget:
    """Bytes that all connections together may hold before they are durable."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def full(self) -> bool:
        """Whether a connection has to wait before it reads on."""
        return self._used >= self._limit

    def take(self, size: int) -> None:
        """Count bytes; one batch may go over the limit, the next one waits."""
        self._used += size

    def give(self, size: int) -> None:
        """Bytes became durable, or were dropped; whoever waits is woken where there is room."""
        self._used -= size
        if not self.full and self._waiting:
            waiting, self._waiting = self._waiting, deque()
            for wake in waiting:
                wake()

    def wait(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called once, at the next moment with room."""
        self._waiting.append(wake)


class Throttle:
    """Slows the answers to wrong credentials, a source at a time; right ones are never delayed.

    The generic cell rate algorithm: ``burst`` answers at once, then one every ``interval`` seconds. A
    refused device cannot lock out its neighbours behind the same address, and the table forgets the source
    longest unseen.
    """

    def __init__(
        self, burst: int = 64, interval: float = 1 / 64, longest: float = 1.0, sources: int = 4096
    ) -> None:
        self._burst, self._interval, self._longest, self._sources = burst, interval, longest, sources
        self._due: OrderedDict[str, float] = OrderedDict()

    def failed(self, address: str, now: float) -> float | None:
        """Seconds to wait before the refusal is sent; None: too many wait already, close without a word."""
        source = _source(address)
        due = max(self._due.pop(source, 0.0), now) + self._interval
        wait = max(0.0, due - now - self._burst * self._interval)
        if wait > self._longest:
            self._due[source] = due - self._interval
            return None
        self._due[source] = due
        if len(self._due) > self._sources:
            self._due.popitem(last=False)
        return wait


def _source(address: str) -> str:
    """One customer of a network: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
