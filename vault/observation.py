"""A reading as every part of Hypertouch sees it."""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A position: WGS 84 degrees; accuracy is a radius in metres, where known."""

    lat: float
    lon: float
    accuracy: float | None = None


class Summary(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The numbers of a bucket: how many, their sum, the lowest, the highest, the sum of their squares.

    None is what a limit of a grant leaves out (``policies.minimise``); what is stored lacks nothing.
    """

    count: int
    sum: float
    low: float | None
    high: float | None
    squares: float | None


class Tally(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The booleans or events of a bucket: how many readings, how many of them true, seconds true.

    Of events ``true`` is ``count`` and ``seconds`` is 0.  None as in ``Summary``.
    """

    count: int
    true: int
    seconds: int | None


class Share(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How often a bucket holds one value of a closed list."""

    value: str
    count: int


class Stay(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Seconds that a bucket spent in one H3 cell (its hexadecimal index), and how many readings said so.

    None as in ``Summary``.
    """

    cell: str
    seconds: int | None
    count: int


Aggregate = Summary | Tally | Share | Stay  # of a bucket; ``time`` of the observation is its beginning
Value = float | bool | str | bytes | Place | Aggregate  # bytes: a payload kept whole in quarantine


class Observation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One (channel, kind, time, value) of a device.

    ``time`` is milliseconds since the Unix epoch, UTC.  ``claimed`` is the device's own time
    where that lay outside the accepted bounds and ``time`` is the arrival instead.
    """

    channel: str
    kind: str
    time: int
    value: Value
    claimed: int | None = None

    @property
    def clock_suspect(self) -> bool:
        """Whether the device's clock could not be believed."""
        return self.claimed is not None
