"""Which devices and channels are given: those that a person names, or those that were seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cli.choice import Choice
from cli.draft import Draft
from cli.errors import UsageError
from cli.known import find_all
from gateway.client.chosen import Chosen, choose_selectors
from gateway.client.device import Devices
from gateway.client.recipients import Series
from policies.narrow import Bounds
from policies.terms import Selector, Terms
from vault.ids import DeviceId

ITSELF: Final = "itself"  # the channel of a device that has none


def selectors_of(
    draft: Draft,
    choice: Choice,
    found: Devices,
    seen: set[Series],
    bounds: Bounds,
    now_s: int,
    before: Terms | None,
) -> Chosen:
    """What the terms name: of a grant in force what it names, where the person names nothing else.

    Raises:
        UsageError: a device or channel that is not there.
    """
    kept: tuple[Selector, ...] = ()
    if before is not None and not (choice.devices or choice.channels or choice.future):
        kept = tuple(one for one in before.selectors if one.kind in draft.kinds)
    new = [kind for kind in draft.kinds if all(one.kind != kind for one in kept)]
    if not new:
        return Chosen(kept, ())
    chosen = choose_selectors(new, _device_ids(found, choice, bounds, now_s), seen, future=choice.future)
    selectors = _of_channels(chosen.selectors, choice.channels) if choice.channels else chosen.selectors
    return Chosen((*kept, *selectors), chosen.unseen if not choice.channels else ())


def _of_channels(selectors: Sequence[Selector], names: Sequence[str]) -> tuple[Selector, ...]:
    """These channels alone; of what was never seen these, once they come.  Raises UsageError."""
    wanted = tuple(sorted({"" if name == ITSELF else name for name in names}))
    known = sorted({channel or ITSELF for one in selectors for channel in one.channels or ()})
    if not any(one.channels is None or set(one.channels) & set(wanted) for one in selectors):
        raise UsageError("there is no such channel of this", f"choose from: {', '.join(known)}")
    kept = []
    for one in selectors:
        channels = wanted if one.channels is None else tuple(c for c in one.channels if c in wanted)
        if channels:
            kept.append(msgspec.structs.replace(one, channels=channels))
    return tuple(kept)


def _device_ids(found: Devices, choice: Choice, bounds: Bounds, now_s: int) -> list[DeviceId]:
    """Live devices; with history those that were removed, too, for they may have sent some of it."""
    ids = [
        one.id
        for one in find_all(found, choice.devices)
        if one.live or (bounds.data_from < now_s and one.row.readings)
    ]
    if not ids:
        raise UsageError("there is no device to give anything of", "connect one: hypertouch device add NAME")
    return ids
