"""A host for owners: the real store behind the owner's HTTP calls, in one thread of this process.

The node's own code does what owners tell, and the door's answers what they ask; there is no MQTT and no
OAuth.  Devices publish with ``publish``, brands ask with ``ask``.  ``turn_back`` puts an older copy of
everything in place, as a host that was restored, or that lies, would.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import msgspec

from gateway import wire
from gateway.door.config import DoorConfig
from gateway.door.reads import Sizes, look
from gateway.node.owner import OwnerCalls, reply
from policies.decide import Permit, Read, decide
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.request import format_details, parse_details
from policies.strict import canonical
from vault.grantkey import Drawn, draw, pick_up, unwrap
from vault.ids import BrandId, DeviceId, GrantId, TouchpointId, VaultId
from vault.ledger import Entry
from vault.observation import Observation
from vault.person import KdfParams, owner_key_id
from vault.person import login_verifier as verifier_of
from vault.store import asking, people, uses
from vault.store.files import Files
from vault.store.paths import DataDir
from vault.store.reader import Reader
from vault.store.release import GrantKeys, Released, page
from vault.store.state import Arrival
from vault.store.writer import Note, Writer
from vault.suite import Recipient

T = TypeVar("T")
DAY_MS = 86_400_000
START = 1_795_219_200_000  # 2026-11-21T00:00:00Z
SMALL = Sizes(chunk_bytes=4096, entries=5)  # paging is tested


class Clock:
    """Milliseconds that pass only when a test says so."""

    def __init__(self, now: int = START + 12 * 3_600_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class OwnerHost:
    """One node's store and the calls of its owners."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.data, self.clock = DataDir(path), clock
        self.calls: list[str] = []
        self.url = ""
        self._config = DoorConfig(str(path), mqtt_host="127.0.0.1", mqtt_port=1883)
        self.seeds: dict[GrantId, bytes] = {}  # of grants, their private keys: for adversaries who know them
        self._drawn: dict[GrantId, Drawn] = {}
        self._thread = ThreadPoolExecutor(1)  # the store belongs to one thread
        self.run(self._open)

    def run(self, work: Callable[[], T]) -> T:
        """Do something in the store's own thread."""
        return self._thread.submit(work).result()

    def close(self) -> None:
        self.run(self._shut)
        self._thread.shutdown()

    # --- the world outside ------------------------------------------------------------------------

    def publish(self, vault: VaultId, device: DeviceId, readings: Iterable[Observation]) -> None:
        """What a device sends, stored."""
        arrival = Arrival(vault, device, self.clock(), list(readings))
        self.run(lambda: self.writer.commit([arrival]))

    def quarantine(self, vault: VaultId, device: DeviceId, payload: bytes) -> None:
        """A payload that nobody understood."""
        self.run(lambda: self.writer.commit([Arrival(vault, device, self.clock(), [], payload)]))

    def brand(self, name: str = "Acme", site: str = "https://acme.example") -> BrandId:
        """Register a brand."""
        return self.run(lambda: self.writer.registry.add_brand(name, site, self.clock())[0])

    def touchpoint(self, vault: VaultId, brand: BrandId) -> TouchpointId:
        """An address for a brand, as `touchpoint new` makes one."""
        made = TouchpointId.new(os.urandom)
        self.run(lambda: people.new_touchpoint(self.writer, vault, made, brand))
        return made

    def ask(
        self, vault: VaultId, brand: BrandId, touchpoint: TouchpointId, *details: dict[str, Any]
    ) -> GrantId:
        """A brand's request, as the door hands it to the node."""
        asks = parse_details(msgspec.json.encode(details), catalogue(), purposes(), self.clock() // 1000)
        grant = GrantId.new(os.urandom)
        bytes_drawn: list[bytes] = []

        def entropy(size: int) -> bytes:
            bytes_drawn.append(os.urandom(size))
            return bytes_drawn[-1]

        drawn = self._drawn[grant] = draw(vault, grant, entropy)
        self.seeds[grant] = bytes_drawn[0]
        request = asking.Request(
            grant=grant,
            touchpoint=touchpoint,
            brand=brand,
            public=drawn.public,
            wrapped_seed=drawn.wrapped_seed,
            slot=drawn.slot,
            ask=canonical(format_details(asks)),
            binding_message="",
            expires=self.clock() + 7 * DAY_MS,
        )
        no = self.run(lambda: asking.ask(self.writer, request))
        if no is not None:
            raise AssertionError(no.what)
        return grant

    def read_as(self, vault: VaultId, grant: GrantId, after: int = 0) -> list[Released]:
        """What a brand's token opens now, page after page: decided, and with the grant's own keys."""
        return self.run(lambda: list(self._pages(vault, grant, after)))

    def keys(self, vault: VaultId, grant: GrantId) -> Recipient:
        """The grant's key, from the token that the brand picked up."""
        slot, wrapped = self.reader.slot(vault, grant), self.reader.wrapped_seed(vault, grant)
        if slot is None or wrapped is None:
            raise LookupError("the grant has ended")
        token = pick_up(self._drawn[grant].auth_req_id, slot, wrapped, vault)
        return unwrap(token, slot, wrapped, vault)

    def _pages(self, vault: VaultId, grant: GrantId, after: int) -> Iterator[Released]:
        self.writer.move(vault)
        row, owner = self.reader.grant(vault, grant), self.reader.vault(vault)
        if row is None or owner is None:
            raise LookupError("no such grant")
        permit = decide(Read(), row.state, self.clock())
        if not isinstance(permit, Permit):
            raise LookupError(permit.code)
        key_id = owner_key_id(owner.hpke_public, owner.verify_key)
        keys, more = GrantKeys(vault, grant, self.keys(vault, grant), key_id), True
        while more:
            found = page(self.reader, permit, keys, after, 7)  # small pages: paging is tested
            yield from found.readings
            after, more = found.last_seq, found.more

    def record(self, vault: VaultId, entry: Entry) -> None:
        """A line in the ledger, as before a brand's read."""
        self.run(lambda: self.writer.commit([], [Note(vault, entry)]))

    def count(self, vault: VaultId, grant: GrantId) -> None:
        """A brand's use of a grant, counted as the door has it counted."""
        counted = self.run(lambda: uses.count(self.writer, vault, grant, "use"))
        assert isinstance(counted, uses.Counted)

    # --- a host that turns the clock back -----------------------------------------------------------

    def copy(self, to: Path) -> None:
        """Keep a copy of everything there is."""
        self.run(self._shut)
        shutil.copytree(self.data.path, to)
        self.run(self._open)

    def turn_back(self, copy: Path) -> None:
        """Put an older copy in place: files, live file and all."""
        self.run(self._shut)
        shutil.rmtree(self.data.path)
        shutil.copytree(copy, self.data.path)
        self.run(self._open)

    # --- the calls ----------------------------------------------------------------------------------

    def answer(self, path: str, body: bytes) -> wire.AnyReply:
        """The reply to a POST; unknown paths and bodies are InvalidError's."""
        decode = msgspec.msgpack.decode
        match path:
            case "/owner/call":
                return self.run(lambda: self._call(decode(body, type=wire.Envelope)))
            case "/owner/salts":
                return self.run(lambda: self._salts(decode(body, type=wire.Salts)))
            case "/owner/login":
                return self.run(lambda: self._login(decode(body, type=wire.Login)))
            case "/owner/create":
                return self.run(lambda: self._create(decode(body, type=wire.CreateVault)))
            case "/owner/enrol":
                call = decode(body, type=wire.Enrol)
                return self.run(lambda: reply(people.enrol(self.writer, VaultId(call.vault), call.enrolment)))
        return wire.Refused("invalid", "no such path")

    def _call(self, envelope: wire.Envelope) -> wire.AnyReply:
        vault = VaultId(envelope.vault)
        key = people.client_key(self.writer, vault, envelope.client)
        if key is None or not envelope.is_signed_by(key):
            return wire.Refused("not_authorised", "this client is not enrolled")
        call = msgspec.msgpack.decode(envelope.body, type=wire.OwnerCall)
        self.calls.append(type(call).__name__)
        if isinstance(call, wire.OwnerRead):
            self.writer.move(vault)
            return self.read(vault, call)
        return self._write(vault, call)

    def read(self, vault: VaultId, call: wire.OwnerRead) -> wire.AnyReply:
        """What a read is answered; hosts that lie begin here."""
        return look(self.reader, self._config, vault, call, SMALL)

    def _write(self, vault: VaultId, call: wire.OwnerWrite) -> wire.AnyReply:
        """What a write is answered, as a node does it; faults are put in here."""
        return OwnerCalls(self.writer, lambda _: None).do(vault, call)

    def _salts(self, call: wire.Salts) -> wire.AnyReply:
        wrapped = people.wrapped_root(self.writer, VaultId(call.vault))
        if wrapped is None:
            return wire.KdfReply(bytes(16), KdfParams())
        return wire.KdfReply(wrapped.salt, wrapped.params)

    def _login(self, call: wire.Login) -> wire.AnyReply:
        vault = VaultId(call.vault)
        found = people.check_login(self.writer, vault, verifier_of(vault, call.login_key), call.by)
        if found is None:
            return wire.Refused("not_authorised", "the vault does not open with this")
        return wire.LoginReply(*found)

    def _create(self, call: wire.CreateVault) -> wire.AnyReply:
        new = people.NewVault(
            VaultId(call.vault),
            call.hpke_public,
            call.verify_key,
            call.wrapped,
            call.login_verifier,
            call.recovery_verifier,
            call.enrolment,
        )
        return reply(people.create_vault(self.writer, new))

    def _open(self) -> None:
        self.writer = Writer(self.data, Files(), self.clock, os.urandom)
        self.reader = Reader(self.data)

    def _shut(self) -> None:
        self.reader.close()
        self.writer.close()


@contextmanager
def serve(host: OwnerHost) -> Iterator[OwnerHost]:
    """Answer at ``host.url`` over HTTP on loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body leave in two writes

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = wire.encode(host.answer(self.path, body))
            self.send_response(200)
            self.send_header("content-type", "application/msgpack")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        host.close()
