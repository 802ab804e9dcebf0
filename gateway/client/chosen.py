"""Which series a grant names: what was ever seen, and what a person chose of it.  Pure.

Which lane holds what is taken from the names that the owner's key opens, never from a label of the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple

from gateway.client.errors import TermsError
from gateway.client.read import OpenSegment, is_reading
from gateway.client.recipients import Series
from policies.terms import Selector
from vault.ids import DeviceId


class Chosen(NamedTuple):
    """Selectors, and the kinds among them of which nothing was ever seen: those take any channel."""

    selectors: tuple[Selector, ...]
    unseen: tuple[str, ...]


def series_of(segments: Iterable[OpenSegment]) -> set[Series]:
    """Every series that has a lane in one of these segments."""
    return {Series.of(lane) for segment in segments for lane in segment.lanes.values() if is_reading(lane)}


def choose_selectors(
    kinds: Sequence[str], devices: Sequence[DeviceId], seen: Set[Series], *, future: bool = False
) -> Chosen:
    """What a grant of some kinds of some devices names.

    Of each kind exactly the channels seen so far, on the devices where it was seen; with ``future`` all their
    channels, those to come included.  A kind that was seen on none of the devices is given for all of them,
    whatever channel it will use: else a person could not say yes before the first reading.

    Raises:
        TermsError: no kind or no device.
    """
    if not kinds or not devices:
        raise TermsError("a grant names at least one kind and one device")
    selectors: list[Selector] = []
    unseen: list[str] = []
    for kind in sorted(set(kinds)):
        channels = {
            device: tuple(sorted(s.channel for s in seen if (s.device, s.kind) == (device, kind)))
            for device in sorted(set(devices))
        }
        if not any(channels.values()):
            unseen.append(kind)
            selectors += [Selector(device.text, kind, None) for device in channels]
            continue
        selectors += [
            Selector(device.text, kind, None if future else names)
            for device, names in channels.items()
            if names
        ]
    return Chosen(tuple(selectors), tuple(unseen))


def selects(selectors: Iterable[Selector], series: Series) -> bool:
    """Whether a series is given."""
    return any(
        one.device == series.device.text
        and one.kind == series.kind
        and (one.channels is None or series.channel in one.channels)
        for one in selectors
    )
