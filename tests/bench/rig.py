"""What is measured: a real node and a real door on loopback, and a person, devices and a brand that use them.

The processes are those that ``hypertouch up`` starts, with the same configuration but for the limits of
how often one brand may read: a benchmark reads a year again and again.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import msgspec

from gateway import wire
from gateway.client import device, person
from gateway.client.approve import approve
from gateway.client.brand import Asked, Brand, Granted
from gateway.client.device import Credential
from gateway.client.http import Http
from gateway.client.read import Archive
from gateway.client.session import Session
from gateway.client.verify import Pins
from gateway.door.config import DoorConfig, Rates
from gateway.door.limits import Rate
from gateway.node.config import NodeConfig
from gateway.rpcclient import call_sync
from policies.kinds import catalogue
from policies.narrow import Bounds, make_terms
from policies.purposes import purposes
from policies.request import parse_details
from policies.terms import Selector
from vault.grantkey import grant_of_pickup
from vault.ids import DeviceId, GrantId, TouchpointId
from vault.person import normalise
from vault.store.paths import DataDir
from vault.store.records import GrantRow

PASSPHRASE: Final = "lantern orbit velvet cactus prism harbour"
DAY_S: Final = 86_400
STOP_S: Final = 15.0
_UNLIMITED: Final = Rate(1 << 30, 1 << 20)


class Child:
    """A process that takes a line of JSON, and says a line of JSON when it is ready."""

    def __init__(self, module: str, config: msgspec.Struct) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("both ends were asked for")
        self._process.stdin.write(msgspec.json.encode(config) + b"\n")
        self._process.stdin.flush()
        self._out = self._process.stdout
        self.said = self.line()

    def line(self) -> bytes:
        """The next line that it says; raises RuntimeError when it ended instead."""
        line = self._out.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        return line

    def port(self, name: str) -> int:
        """A port that it named."""
        return int(msgspec.json.decode(self.said, type=dict[str, int | str])[name])

    def rss(self) -> float:
        """Resident memory now, MiB."""
        return _status(self._process.pid, "VmRSS:")

    def peak(self) -> float:
        """The most resident memory that it ever had, MiB."""
        return _status(self._process.pid, "VmHWM:")

    def stop(self) -> None:
        """End it and wait."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._out):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Server:
    """A node and a door."""

    def __init__(self, data: DataDir, node: Child, door: Child) -> None:
        self.data, self.node, self.door = data, node, door
        self.mqtt_port, self.http_port = node.port("mqtt_port"), door.port("port")
        self.ws_port = node.port("ws_port")
        self.url = f"http://127.0.0.1:{self.http_port}"

    def rss(self) -> float:
        """Resident memory of both, MiB."""
        return self.node.rss() + self.door.rss()

    def peak(self) -> float:
        """The most that they can have had together, MiB: each one's own peak."""
        return self.node.peak() + self.door.peak()


@contextlib.contextmanager
def running(data: DataDir, node_module: str = "gateway.node.run") -> Iterator[Server]:
    """A node and a door until the block ends."""
    rates = Rates(_UNLIMITED, _UNLIMITED, _UNLIMITED, _UNLIMITED, _UNLIMITED)
    listens = NodeConfig(data=str(data.path), mqtt_port=0, ws_host="127.0.0.1", ws_port=0)
    with Child(node_module, listens) as node:
        config = DoorConfig(
            data=str(data.path),
            mqtt_host="127.0.0.1",
            mqtt_port=node.port("mqtt_port"),
            poll_interval=0,
            rates=rates,
            ended_age_s=3600,
        )
        with Child("gateway.door.run", config) as door:
            yield Server(data, node, door)


class Household:
    """A person with a vault, unlocked on this computer; the server may be started again under it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        opened, self._identity = person.create(
            Http(server.url), normalise(PASSPHRASE), os.urandom(32), client_name="bench", entropy=os.urandom
        )
        self.vault = opened.vault
        self._owner = opened.owner
        self._pins = person.first_pins(opened)

    def session(self, http: Http | None = None) -> Session:
        """What a command has."""
        return Session(
            http or Http(self.server.url),
            self._owner,
            self._identity,
            self._pins,
            keep=self._keep,
            clock=lambda: time.time_ns() // 1_000_000,
            entropy=os.urandom,
        )

    def device(self, name: str) -> Credential:
        """A new device."""
        with self.session() as session:
            return device.add(session, name)

    def find(self, grant: GrantId) -> GrantRow:
        """A request as the person sees it."""
        with self.session() as session:
            rows = session.ask(wire.GetGrants(), wire.Grants).grants
        return next(row for row in rows if row.grant == grant)

    def approve(
        self,
        grant: GrantId,
        source: DeviceId,
        kinds: list[str],
        since: int,
        http: Http,
        resolution: str = "raw",
    ) -> None:
        """Give kinds of one device, every channel, from a UTC midnight (seconds) to a month from now.

        Whatever the person's computer could have remembered, it has not: every segment is opened anew.
        """
        row = self.find(grant)
        with self.session(http) as session:
            now = session.clock() // 1000
            asks = parse_details(row.ask, catalogue(), purposes(), now)
            bounds = Bounds(since, now + 30 * DAY_S, now + 30 * DAY_S)
            selectors = [Selector(source.text, kind, None, resolution) for kind in sorted(kinds)]
            approve(session, Archive(session), row, asks, make_terms(asks, selectors, bounds))

    def revoke(self, session: Session, grant: GrantId) -> None:
        """End a grant."""
        session.tell(wire.Revoke(grant), wire.Done)

    def _keep(self, pins: Pins) -> None:
        self._pins = pins


class Acme:
    """A brand that may ask one person."""

    def __init__(self, server: Server, household: Household) -> None:
        added = call_sync(server.data.socket, wire.AddBrand("Acme", "https://acme.example"))
        if not isinstance(added, wire.BrandAdded):
            raise RuntimeError("the node registers no brand")
        touchpoint = TouchpointId.new(os.urandom)
        with household.session() as session:
            session.tell(wire.NewTouchpoint(touchpoint, added.brand), wire.Done)
        self._touchpoint = touchpoint.text
        self.program = Brand(server.url, TouchpointId(added.brand).text, added.secret)

    def ask(self, kinds: list[str]) -> Asked:
        """A request for these kinds, whatever bounds the person likes."""
        detail = {
            "type": "personal_data",
            "datatypes": kinds,
            "purpose": "dpv:ServiceProvision",
            "purpose_text": "Measure",
        }
        return self.program.ask(self._touchpoint, [detail])

    def granted(
        self,
        household: Household,
        source: DeviceId,
        kinds: list[str],
        since: int,
        http: Http,
        resolution: str = "raw",
    ) -> Granted:
        """Ask, be given everything that was asked for, at this resolution, and pick it up."""
        asked = self.ask(kinds)
        household.approve(grant_of_pickup(asked.auth_req_id), source, kinds, since, http, resolution)
        answer = self.program.poll(asked)
        if not isinstance(answer, Granted):
            raise RuntimeError("what was approved cannot be picked up")
        return answer


def fresh_data(path: Path) -> DataDir:
    """A data directory of its own."""
    data = DataDir(path)
    data.create()
    return data


def _status(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0
