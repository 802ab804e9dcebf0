"""A door on a real port, with a real store and a real node's answers behind it, in a thread of this process.

Tests speak to ``world.url`` with any HTTP client.  Time passes when ``world.clock`` is told.  What the node
is asked goes through MessagePack as over its socket; ``world.calls`` lists it, ``world.before`` may step in.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from gateway import wire
from gateway.client import device, person
from gateway.client.approve import approve, revise
from gateway.client.http import Http
from gateway.client.read import Archive
from gateway.client.session import Session
from gateway.door.app import build
from gateway.door.config import DoorConfig
from gateway.door.context import Door
from gateway.door.metadata import GRANT_TYPE
from gateway.door.run import DoorServer, server_for
from gateway.node.calls import NodeCalls
from gateway.node.clock import ClockWatch
from gateway.node.ingest import WriterThread
from gateway.node.owner import OwnerCalls
from gateway.rpcclient import NodeError, read_body
from policies.kinds import catalogue
from policies.narrow import Bounds, make_terms
from policies.purposes import purposes
from policies.request import parse_details
from policies.terms import Selector, Terms
from tests.owner_host import DAY_MS, Clock
from vault.ids import DeviceId, GrantId, TouchpointId
from vault.ledger import Entry
from vault.observation import Observation
from vault.person import normalise
from vault.store.files import Files
from vault.store.paths import DataDir
from vault.store.reader import Reader
from vault.store.sector import ClockMark
from vault.store.state import Arrival
from vault.store.writer import Writer

T = TypeVar("T")
Json = dict[str, Any]
PASSPHRASE = "lantern orbit velvet cactus prism harbour"


class World:
    """One node and one door."""

    def __init__(self, path: Path, config: Json) -> None:
        self.clock = Clock()
        self.calls: list[wire.NodeCall] = []
        self.before: Callable[[wire.NodeCall], wire.AnyReply | None] = lambda _: None
        self.data = DataDir(path)
        self._config = config
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self.server.stop)
        self._thread.join(10)

    async def call(self, call: wire.NodeCall) -> wire.AnyReply:
        """What the door asks of the node."""
        self.calls.append(call)
        stepped_in = await asyncio.to_thread(self.before, call)
        if stepped_in is not None:
            return stepped_in
        sent: wire.NodeCall = msgspec.msgpack.decode(wire.encode(call), type=wire.NodeCall)
        return read_body(wire.encode((0, await self.node.answer(sent))))[1]

    def once(self, kind: type[wire.NodeCall], act: Callable[[], object]) -> None:
        """Do something in the moment before the node hears the next call of this kind."""

        def step_in(call: wire.NodeCall) -> None:
            if isinstance(call, kind):
                self.before = lambda _: None
                act()

        self.before = step_in

    def write(self, work: Callable[[Writer], T]) -> T:
        """Do something with the store, on the thread that owns it."""
        job = self._writing.run(lambda: work(self.writer))
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(10)

    def tidy(self) -> None:
        """What the door does every few seconds."""
        asyncio.run_coroutine_threadsafe(self.door.tidy(), self._loop).result(10)

    def pass_time(self, milliseconds: int) -> None:
        """Let time go by, and do what the node does then."""
        self.clock.now += milliseconds
        self.write(_tick)

    def http(self, **options: Any) -> httpx.Client:
        """A client of the door."""
        return httpx.Client(base_url=self.url, trust_env=False, **options)

    def brand(self, name: str = "Acme") -> Brand:
        """Register a brand."""
        brand, secret = self.write(lambda w: w.registry.add_brand(name, "https://acme.example", self.clock()))
        return Brand(self, brand.text, secret)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.writer = Writer(self.data, Files(), self.clock, os.urandom)
        self._writing = WriterThread(self.writer, self._loop)
        watch = ClockWatch(ClockMark(), self.clock(), 0)
        self.node = NodeCalls(
            self.writer, self._writing, OwnerCalls(self.writer, lambda _: None), watch, self._no_status
        )
        listener = socket.create_server(("127.0.0.1", 0))
        told = {"data": str(self.data.path), **self._config}
        config = msgspec.convert(told, DoorConfig).located(listener.getsockname()[1])
        self.url = config.public_url
        reader = Reader(self.data)
        app = build(config, reader, self, clock=self.clock)
        self.door: Door = app.state.door
        self.server: DoorServer = server_for(app)
        serving = asyncio.create_task(self.server.serve(sockets=[listener]))
        while not self.server.started and not serving.done():
            await asyncio.sleep(0.005)
        self._ready.set()
        await serving
        reader.close()
        await self._writing.run(self.writer.close)
        self._writing.stop()

    def _no_status(self) -> wire.NodeStatus:
        raise NodeError("nobody asks a door for the node's status")


def _tick(writer: Writer) -> None:
    while writer.seal_buckets():
        pass
    writer.close_quiet()


class Someone:
    """A person with a vault at the door, unlocked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.opened, self.identity = person.create(
            Http(world.url), normalise(PASSPHRASE), bytes(range(32)), client_name="test", entropy=os.urandom
        )
        self.vault = self.opened.vault
        self.owner = self.opened.owner
        self.pins = person.first_pins(self.opened)

    def session(self) -> Session:
        """A command's session."""
        return Session(
            Http(self.world.url),
            self.owner,
            self.identity,
            self.pins,
            keep=self._keep,
            clock=self.world.clock,
            entropy=os.urandom,
        )

    def device(self, name: str = "meter") -> DeviceId:
        """Add a device."""
        with self.session() as session:
            return device.add(session, name).device

    def publish(self, source: DeviceId, *readings: Observation) -> None:
        """What a device sends, acknowledged."""
        arrival = Arrival(self.vault, source, self.world.clock(), list(readings))
        self.world.write(lambda writer: writer.commit([arrival]))

    def touchpoint(self, brand: Brand) -> str:
        """An address for a brand."""
        made = TouchpointId.new(os.urandom)
        self.tell(wire.NewTouchpoint(made, brand.raw))
        return made.text

    def tell(self, call: wire.OwnerWrite, reply: type[wire.Reply] = wire.Done) -> wire.Reply:
        """One signed write."""
        with self.session() as session:
            return session.tell(call, reply)

    def approve(
        self, grant: str, *selectors: Selector, days_back: int = 0, days: int = 30, **terms: Any
    ) -> None:
        """Give these series, from so many whole days back, for so many days from now."""
        self._decide(approve, grant, selectors, days_back, days, terms)

    def revise(
        self, grant: str, *selectors: Selector, days_back: int = 0, days: int = 30, **terms: Any
    ) -> None:
        """Give exactly this from now on."""
        self._decide(revise, grant, selectors, days_back, days, terms)

    def _decide(
        self,
        how: Callable[..., Terms],
        grant: str,
        selectors: tuple[Selector, ...],
        days_back: int,
        days: int,
        terms: Json,
    ) -> None:
        with self.session() as session:
            rows = session.ask(wire.GetGrants(), wire.Grants).grants
            row = next(row for row in rows if row.grant == GrantId.parse(grant))
            now = self.world.clock() // 1000
            asks = parse_details(row.ask, catalogue(), purposes(), now)
            start = now if not days_back else (self.world.clock() // DAY_MS - days_back) * DAY_MS // 1000
            bounds = Bounds(start, now + days * 86_400, now + days * 86_400)
            how(session, Archive(session), row, asks, make_terms(asks, selectors, bounds, **terms))

    def pause(self, grant: str, paused: bool = True) -> None:
        """Let a grant rest, or go on."""
        self.tell(wire.PauseGrant(GrantId.parse(grant), paused))

    def revoke(self, grant: str) -> None:
        """End a grant."""
        self.tell(wire.Revoke(GrantId.parse(grant)))

    def ledger(self, what: str = "") -> list[Entry]:
        """The entries, of one sort or all."""
        with self.session() as session:
            return [entry for _, entry in session.ledger() if what in ("", entry.what)]

    def _keep(self, pins: Any) -> None:
        self.pins = pins


class Brand:
    """A brand's program, in plain HTTP."""

    def __init__(self, world: World, client_id: str, secret: str) -> None:
        self.world, self.client_id, self.secret = world, client_id, secret
        self.raw = bytes(TouchpointId.parse(client_id))
        self._http = world.http()

    def post(self, path: str, form: Json, **options: Any) -> httpx.Response:
        """A form, with the client's secret."""
        options.setdefault("auth", (self.client_id, self.secret))
        return self._http.post(path, data=form, **options)

    def ask(self, touchpoint: str, *kinds: str, wishes: Json | None = None, **form: str) -> httpx.Response:
        """POST /bc-authorize; ``wishes`` are further members of the detail."""
        detail = {
            "type": "personal_data",
            "datatypes": list(kinds) or ["temperature"],
            "purpose": "dpv:ServiceProvision",
            "purpose_text": "Bill by what you use",
            **(wishes or {}),
        }
        details = form.pop("authorization_details", json.dumps([detail]))
        return self.post(
            "/bc-authorize",
            {"login_hint": touchpoint, "scope": "openid", "authorization_details": details, **form},
        )

    def poll(self, auth_req_id: str) -> httpx.Response:
        """POST /token"""
        return self.post("/token", {"grant_type": GRANT_TYPE, "auth_req_id": auth_req_id})

    def read(self, token: str, query: str = "", **options: Any) -> httpx.Response:
        """GET /observations; ``query`` may be a whole address."""
        address = query if query.startswith("http") else f"/observations{query}"
        return self._http.get(address, headers={"authorization": f"Bearer {token}"}, **options)

    def answers(self, token: str, kind: str = "temperature", **question: object) -> httpx.Response:
        """POST /answers; by default the means of days."""
        asked = {"kind": kind, "function": "mean", "period": "day", **question}
        return self._http.post("/answers", json=asked, headers={"authorization": f"Bearer {token}"})


class Story(msgspec.Struct):
    """One person, one device with readings, one brand, one active grant and its token."""

    world: World
    someone: Someone
    source: DeviceId
    brand: Brand
    touchpoint: str
    auth_req_id: str
    grant: str
    token: str


@contextmanager
def world(path: Path, **config: Any) -> Iterator[World]:
    """A door until the block ends."""
    made = World(path, config)
    try:
        yield made
    finally:
        made.close()


def grant_of(auth_req_id: str) -> str:
    """The id that a request and its grant share."""
    from vault.grantkey import grant_of_pickup

    return grant_of_pickup(auth_req_id).text


def tell_story(made: World, readings: int = 3) -> Story:
    """A grant of the temperature of one device, with some history."""
    someone, brand = Someone(made), made.brand()
    source = someone.device()
    someone.publish(source, *(temperature(made, n - readings, n) for n in range(readings)))
    touchpoint = someone.touchpoint(brand)
    auth_req_id = brand.ask(touchpoint).json()["auth_req_id"]
    grant = grant_of(auth_req_id)
    someone.approve(grant, Selector(source.text, "temperature", None), days_back=1)
    token = brand.poll(auth_req_id).json()["access_token"]
    return Story(made, someone, source, brand, touchpoint, auth_req_id, grant, token)


def temperature(made: World, minutes: int, value: float, channel: str = "") -> Observation:
    """A reading so many minutes from now."""
    return Observation(channel, "temperature", made.clock() + minutes * 60_000, float(value))
