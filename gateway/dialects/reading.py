"""What a dialect returns, and what a person may set for a device."""

from __future__ import annotations

import datetime
import functools
import zoneinfo
from typing import Literal, get_args

import msgspec

from vault.observation import Observation

DialectName = Literal["owntracks", "plain", "senml", "tasmota", "zigbee2mqtt"]
NAMES: tuple[str, ...] = get_args(DialectName)


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What was understood of one payload.

    ``quarantine`` is true when the payload, whole or in part, was not understood: the caller then
    seals all of it, beside the observations there may be.  ``dropped`` counts values that were
    understood and are no readings: out of the kind's range, or a sentinel such as OwnTracks' -1.
    """

    dialect: DialectName
    observations: tuple[Observation, ...]
    quarantine: bool
    dropped: int


class DialectSettings(msgspec.Struct, frozen=True):
    """What a device's payloads cannot say themselves.

    ``timezone`` (an IANA name) is where times without a zone are; ``dialect`` overrides detection.

    Raises:
        ValueError: an unknown zone or dialect.
    """

    timezone: str = "UTC"
    dialect: DialectName | None = None

    def __post_init__(self) -> None:
        """Refuse here what ``read`` could not answer for."""
        zone(self.timezone)
        if self.dialect is not None and self.dialect not in NAMES:
            raise ValueError("unknown dialect")


@functools.lru_cache(maxsize=64)
def zone(name: str) -> datetime.tzinfo:
    """The time zone of an IANA name.

    Raises:
        ValueError: there is none of this name.
    """
    if name == "UTC":  # also where no time-zone database is installed
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory, as in "Europe"
        raise ValueError("unknown time zone") from None
