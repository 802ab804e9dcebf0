"""What a session stands on: the connection below it, and what all connections of an endpoint share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.node.limits import Budget, Limits, Throttle
from gateway.node.ports import Ingest
from gateway.node.registry import Counters, Registry


class Wire(Protocol):
    """What a session does to the connection below it: that of a socket, or a WebSocket's."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the system knows of the connection: ``socket``, ``peername``."""

    def write(self, data: bytes) -> None:
        """Send."""

    def can_write_eof(self) -> bool:
        """Whether ``write_eof`` tells the device that nothing follows, and still reads."""

    def write_eof(self) -> None:
        """Say that nothing follows."""

    def pause_reading(self) -> None:
        """Give no more bytes."""

    def resume_reading(self) -> None:
        """Give bytes again."""

    def close(self) -> None:
        """Send what was written, and end."""

    def abort(self) -> None:
        """End."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the connections of one endpoint have in common."""

    ingest: Ingest
    limits: Limits
    registry: Registry
    budget: Budget
    loop: asyncio.AbstractEventLoop
    entropy: Callable[[int], bytes]
    throttle: Throttle = field(default_factory=Throttle)
    counters: Counters = field(default_factory=Counters)
