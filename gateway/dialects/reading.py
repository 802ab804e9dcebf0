"""What a dialect returns, what a device may teach, and what a person may set for a device."""

from __future__ import annotations

import datetime
import functools
import importlib.resources
import zoneinfo

import msgspec

from gateway.dialects.rules import Rule
from vault.observation import Observation

PLAIN = "plain"  # what is in no other dialect; the only one without a file


def _names() -> tuple[str, ...]:
    files = importlib.resources.files("gateway.dialects").iterdir()
    return tuple(sorted({PLAIN, *(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))}))


NAMES = _names()


class Lesson(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one message taught about a device's other messages.

    ``source`` is the topic of that message; a later lesson of the same source replaces it, and one without
    rules and facts forgets it.  ``facts`` are small texts that templates and dialects look up.
    ``dialect`` is whose lesson it is.
    """

    source: str
    rules: tuple[Rule, ...] = ()
    facts: dict[str, str] = {}
    dialect: str = ""


def heard(dialect: str) -> Lesson:
    """That a device has spoken a dialect, which helps with its topics that do not give one away."""
    source = f"dialect:{dialect}"
    return Lesson(source, (), {source: "heard"}, dialect)


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What was understood of one payload.

    ``quarantine`` is true when the payload, whole or in part, was not understood: the caller then seals all
    of it, beside the observations there may be.  ``dropped`` counts values that were understood and are no
    readings: out of the kind's range, or a sentinel such as OwnTracks' -1.  ``foreign`` counts readings of
    sensors that are not the person's own; they are not kept.

    ``blob``: the payload is binary, a picture or the like, and sealed whole; not in quarantine.
    ``resends``: the dialect sends readings again; those whose series, time and value are stored already are
    not new.  ``sequence``: (session, number) of the message, to count those that are missing.
    """

    dialect: str
    observations: tuple[Observation, ...]
    quarantine: bool
    dropped: int
    lessons: tuple[Lesson, ...] = ()
    foreign: int = 0
    blob: bool = False
    resends: bool = False
    sequence: tuple[str, int] | None = None


class DialectSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a device's payloads cannot say themselves.

    ``timezone`` (an IANA name) is where times without a zone are; ``dialect`` overrides detection, "" does
    not.  ``own`` are the ids (of Bluetooth sensors: their addresses) of sensors that are the person's own,
    where a device also hears the neighbours'; while there are none, what such sensors say is not read.
    ``secret`` is the pass phrase of payloads that the device encrypts.  ``taught`` are the person's rules.

    Raises:
        ValueError: an unknown zone or dialect.
    """

    timezone: str = "UTC"
    dialect: str = ""
    own: tuple[str, ...] = ()
    secret: str = ""
    taught: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        """Refuse here what ``read`` could not answer for."""
        zone(self.timezone)
        if self.dialect and self.dialect not in NAMES:
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
