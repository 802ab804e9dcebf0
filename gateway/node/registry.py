"""Who is connected: strangers in the order they came, devices by credential, sessions by client id.

A client id is a label within one device's credential: it never reaches another device's sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from gateway.mqtt import Reason


class Member(Protocol):
    """A connection, as the registry and the endpoint need it."""

    @property
    def ended(self) -> bool:
        """Whether nothing it sends counts any more."""

    def cut(self, reason: Reason | None) -> None:
        """End it at once, with this reason or without a word."""

    def drain(self) -> None:
        """Read no more, acknowledge what is in flight, then end."""

    def abort(self) -> None:
        """End without waiting for anything."""

    def check(self, now: float) -> None:
        """Look at the deadlines."""


@dataclass(slots=True)
class Counters:
    """Totals since start; ``connections`` is now."""

    connections: int = 0
    accepted: int = 0  # CONNECTs with success
    refused: int = 0  # CONNECTs without
    published: int = 0  # messages handed to the ingest
    acknowledged: int = 0  # PUBACK and PUBREC


class Registry:
    """Bounds connections and finds them.

    A flood of strangers pushes out its own oldest, never an authenticated device.
    """

    def __init__(self, connections: int, strangers: int, device_connections: int) -> None:
        self._connections = connections
        self._strangers_limit = strangers
        self._device_limit = device_connections
        self._strangers: dict[Member, None] = {}
        self._members: dict[Member, tuple[str, str]] = {}
        self._devices: dict[str, dict[Member, str]] = {}

    def __len__(self) -> int:
        return len(self._strangers) + len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter((*self._strangers, *self._members))

    def enter(self, member: Member) -> bool:
        """A new connection; False when there is no place for it, and it should be told so."""
        room = len(self) < self._connections
        if len(self._strangers) >= self._strangers_limit or (not room and self._strangers):
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.cut(None)
            room = True
        self._strangers[member] = None
        return room

    def admit(self, member: Member, device: str, client_id: str) -> bool:
        """A stranger has authenticated; False when its device has too many connections.

        An earlier connection of the same device and client id is taken over (MQTT-3.1.4-3). The empty
        client id names nobody.
        """
        siblings = self._devices.get(device, {})
        earlier = [one for one, label in siblings.items() if client_id and label == client_id]
        if len(siblings) - len(earlier) >= self._device_limit:
            return False
        for one in earlier:
            del siblings[one]
            one.cut(Reason.TAKEN_OVER)
        self._strangers.pop(member, None)
        self._members[member] = (device, client_id)
        self._devices.setdefault(device, {})[member] = client_id
        return True

    def leave(self, member: Member) -> None:
        """A connection is gone."""
        self._strangers.pop(member, None)
        device, _ = self._members.pop(member, ("", ""))
        siblings = self._devices.get(device)
        if siblings is not None:
            siblings.pop(member, None)
            if not siblings:
                del self._devices[device]

    def of(self, device: str) -> list[Member]:
        """The connections of one device."""
        return list(self._devices.get(device, ()))
