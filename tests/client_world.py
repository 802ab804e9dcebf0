"""A person with a vault on an ``OwnerHost``, and an unlocked session with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.client import device, person
from gateway.client.http import Http
from gateway.client.session import Identity, Session
from gateway.client.verify import Pins
from tests.owner_host import Clock, OwnerHost, serve
from vault.ids import DeviceId, VaultId
from vault.observation import Observation
from vault.person import Owner, normalise

PASSPHRASE = "lantern orbit velvet cactus prism harbour"
RECOVERY = bytes(range(32))


class Person:
    """What a person's computer holds, in memory: identity, keys, pins."""

    def __init__(self, host: OwnerHost) -> None:
        self.host = host
        self.opened, self.identity = person.create(
            Http(host.url), normalise(PASSPHRASE), RECOVERY, client_name="test", entropy=os.urandom
        )
        self.pins = person.first_pins(self.opened)

    @property
    def vault(self) -> VaultId:
        return self.opened.vault

    @property
    def owner(self) -> Owner:
        return self.opened.owner

    def session(self, pins: Pins | None = None, identity: Identity | None = None) -> Session:
        """A command's session; the pins it moves are kept for the next."""
        return Session(
            Http(self.host.url),
            self.owner,
            identity or self.identity,
            pins or self.pins,
            keep=self._keep,
            clock=self.host.clock,
            entropy=os.urandom,
        )

    def add_device(self, name: str = "meter") -> DeviceId:
        with self.session() as session:
            return device.add(session, name).device

    def _keep(self, pins: Pins) -> None:
        self.pins = pins


@contextmanager
def world(path: Path) -> Iterator[Person]:
    """A person on a fresh host."""
    with serve(OwnerHost(path, Clock())) as host:
        yield Person(host)


@pytest.fixture
def someone(tmp_path: Path) -> Iterator[Person]:
    """A person on a fresh host."""
    with world(tmp_path / "data") as made:
        yield made


def number(kind: str, time: int, value: float, channel: str = "") -> Observation:
    """A reading."""
    return Observation(channel, kind, time, value)
