"""A reading in the making: every dialect fills one and returns it."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from gateway.dialects.clock import event_time
from gateway.dialects.reading import Reading
from gateway.dialects.values import INTEGER_MAX, No, take
from policies.kinds import Catalogue, Kind, catalogue
from vault.observation import Observation, Value

CHANNEL_MAX = 255  # bytes of UTF-8


class Draft:
    """Collects the observations of one payload, under its arrival until a device's time is set."""

    __slots__ = (
        "_arrival",
        "_claimed",
        "_observations",
        "_time",
        "dialect",
        "dropped",
        "kinds",
        "quarantine",
    )

    def __init__(self, dialect: str, arrival: int) -> None:
        """Begin with nothing understood and nothing amiss; ``arrival`` is in ms."""
        self.dialect = dialect
        self.kinds: Catalogue = catalogue()
        self.quarantine = False
        self.dropped = 0
        self._observations: list[Observation] = []
        self._arrival = arrival
        self._time = arrival
        self._claimed: int | None = None

    def at(self, device: int | None) -> None:
        """Set the device's own time (ms) for what follows; None: it could not be read."""
        if device is None:
            self.quarantine = True
        else:
            self._time, self._claimed = event_time(device, self._arrival)

    def add(
        self, channel: str, kind: Kind, raw: object, unit: str | None = None, *, inverse: bool = False
    ) -> None:
        """Add one field as it was decoded; see ``values.take``."""
        self.put(channel, kind, take(kind, raw, unit, inverse=inverse))

    def put(self, channel: str, kind: Kind, value: Value | No) -> None:
        """Add a value that is already one of the kind's, or say why it is none."""
        if isinstance(value, No):
            if value is No.DROPPED:
                self.dropped += 1
            else:
                self.quarantine = True
        elif len(channel) > CHANNEL_MAX // 4 and not fits(channel):  # a character has at most four bytes
            self.quarantine = True
        else:
            self._observations.append(Observation(channel, kind.name, self._time, value, self._claimed))

    def plain_numbers(self, channel: str) -> Mapping[str, tuple[str, float, float]]:
        """Field name -> (kind, low, high) of numbers that may go to ``put_number`` in this channel."""
        return plain_numbers() if len(channel) <= CHANNEL_MAX // 4 else {}

    def put_number(self, channel: str, kind: str, value: float) -> None:
        """Add a plausible number in its kind's own unit: ``add`` without its questions."""
        self._observations.append(Observation(channel, kind, self._time, value, self._claimed))

    def finish(self) -> Reading:
        """Return what was collected."""
        return Reading(self.dialect, tuple(self._observations), self.quarantine, self.dropped)

    def refuse(self) -> Reading:
        """Return that nothing was understood, whatever was collected."""
        return Reading(self.dialect, (), True, 0)


@functools.cache
def plain_numbers() -> dict[str, tuple[str, float, float]]:
    """Every name of a kind that is a number -> (kind, low, high); not to be changed."""
    kinds = catalogue()
    found: dict[str, tuple[str, float, float]] = {}
    for kind in map(kinds.kind, kinds.names()):
        if kind.type == "number":
            low = 1 - INTEGER_MAX if kind.low is None else kind.low
            high = INTEGER_MAX - 1 if kind.high is None else kind.high
            for name in (kind.name, *kind.aliases):
                if kinds.find(name) is kind:
                    found[name] = (kind.name, low, high)
    return found


def names(text: str) -> frozenset[str]:
    """The words of a text, for the lists of fields that a dialect passes over."""
    return frozenset(text.split())


def child(channel: str, name: str) -> str:
    """The channel of something within a channel, cut where it is too long to fit in any case."""
    return f"{channel}/{name}"[: CHANNEL_MAX + 1] if channel else name[: CHANNEL_MAX + 1]


def fits(channel: str) -> bool:
    """Whether a channel has at most 255 bytes."""
    return len(channel) <= CHANNEL_MAX and len(channel.encode()) <= CHANNEL_MAX
