"""A reading as every part of Hypertouch sees it."""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A position: WGS 84 degrees; accuracy is a radius in metres, where known."""

    lat: float
    lon: float
    accuracy: float | None = None


Value = float | bool | str | bytes | Place  # bytes: a payload kept whole in quarantine


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
