"""Devices by the names that a person gave them."""

from __future__ import annotations

from cli.session import pick
from gateway.client.device import Device, Devices

HINT = "see: hypertouch device list"


def find(found: Devices, text: str) -> Device:
    """The device of this name, or whose id begins so; raises NotFoundError, UsageError."""
    named = [one for one in found.live if one.name.casefold() == text.casefold()]
    return named[0] if named else pick(found.live, text, lambda one: one.id, "device", HINT)


def find_released(found: Devices, text: str) -> Device | None:
    """The device of this name or id that was released, the latest of several; None: a live one is meant."""
    wanted = text.casefold()
    if any(one.name.casefold() == wanted or one.id.text.startswith(wanted) for one in found.live):
        return None
    released = [one for one in found.devices if one.row.released is not None]
    same = [one for one in released if one.name.casefold() == wanted or one.id.text.startswith(wanted)]
    return same[-1] if wanted and same else None


def find_all(found: Devices, names: tuple[str, ...]) -> list[Device]:
    """Devices by name, removed ones too; all of them where none is named."""
    if not names:
        return found.devices
    chosen = []
    for name in names:
        same = [one for one in found.devices if one.name.casefold() == name.casefold()]
        chosen += same or [pick(found.devices, name, lambda one: one.id, "device", HINT)]
    return chosen
