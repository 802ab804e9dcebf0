"""A host for owners: the real store behind the owner's HTTP calls, in one thread of this process.

It answers what ``gateway/wire`` says and nothing else: no MQTT, no OAuth.  Devices publish with
``publish``, brands ask with ``ask``.  ``turn_back`` puts an older copy of everything in place, as a host
that was restored, or that lies, would.
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
from policies.decide import Permit, Read, decide
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.request import format_details, parse_details
from policies.strict import canonical
from vault.grantkey import Drawn, draw, pick_up, unwrap
from vault.ids import BrandId, ClientId, DeviceId, GrantId, TouchpointId, VaultId
from vault.ledger import Entry, Head
from vault.observation import Observation
from vault.person import KdfParams, owner_key_id
from vault.person import login_verifier as verifier_of
from vault.store import asking, blackouts, grants, handover, people, replace, rewrite, rules, taught
from vault.store.files import Files
from vault.store.paths import DataDir
from vault.store.reader import Reader
from vault.store.records import No
from vault.store.release import GrantKeys, Released, page
from vault.store.state import Arrival
from vault.store.writer import Note, Writer
from vault.suite import SUITE, Recipient

T = TypeVar("T")
DAY_MS = 86_400_000
START = 1_795_219_200_000  # 2026-11-21T00:00:00Z


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
                return self.run(lambda: _done(people.enrol(self.writer, VaultId(call.vault), call.enrolment)))
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
        reader = self.reader
        row = reader.vault(vault)
        assert row is not None
        head = Head(row.ledger_number, row.ledger_hash)
        match call:
            case wire.GetOverview():
                counts = msgspec.structs.asdict(reader.overview(vault))
                return wire.Overview(
                    row.hpke_public, row.verify_key, SUITE, row.generation, head, row.created, **counts
                )
            case wire.GetDevices():
                return wire.Devices(reader.devices(vault), "127.0.0.1", 1883, False, "")
            case wire.GetLearned(device):
                return wire.Learned(reader.learned(vault, device))
            case wire.GetGrants():
                return wire.Grants(reader.grants(vault))
            case wire.GetTouchpoints():
                return wire.Touchpoints(reader.touchpoints(vault))
            case wire.GetBrands():
                return wire.Brands(reader.brands())
            case wire.GetClients():
                return wire.Clients(reader.clients(vault))
            case wire.GetSegments(first, last):
                return wire.Segments(reader.segments(vault, first, last))
            case wire.GetChunks(segments, after, since):
                chunks = reader.chunks(vault, segments, after, since, 4096)  # small pages: paging is tested
                return wire.Chunks(chunks, chunks[-1].row if chunks else None)
            case wire.GetLedger(after, limit):
                entries, rows = reader.ledger(vault, after, min(limit, 5))
                return wire.Ledger(entries, rows, head, row.generation)
            case wire.GetRules():
                return wire.StandingRulesReply(reader.rules(vault))
            case wire.GetBlackouts():
                return wire.Blackouts(reader.blackouts(vault))

    def _write(self, vault: VaultId, call: wire.OwnerCall) -> wire.AnyReply:
        writer = self.writer
        match call:
            case wire.AddDevice(device, name, verifier, notes, settings):
                return _done(
                    people.add_device(writer, vault, DeviceId(device), name, verifier, notes, settings)
                )
            case wire.RotateDevice(device, verifier, notes):
                return _done(people.rotate_device(writer, vault, DeviceId(device), verifier, notes))
            case wire.SetDevice(device, settings):
                return _done(people.set_device(writer, vault, DeviceId(device), settings))
            case wire.RemoveDevice(device):
                return _done(people.remove_device(writer, vault, DeviceId(device)))
            case wire.PauseDevice(device, paused):
                return _done(handover.pause_device(writer, vault, DeviceId(device), paused=paused))
            case wire.ReleaseDevice(device, statement):
                return _done(handover.release_device(writer, vault, DeviceId(device), statement))
            case wire.Replace(statement, chunks):
                return _done(replace.apply_merge(writer, vault, statement, chunks))
            case wire.Teach(statement, lesson):
                return _done(taught.apply_taught(writer, vault, statement, lesson))
            case wire.Reserve(count):
                first = rewrite.reserve(writer, vault, count)
                return wire.Reserved(first) if isinstance(first, int) else _done(first)
            case wire.Rewrite(statement, rewritten):
                return _done(rewrite.apply_rewrite(writer, vault, statement, rewritten))
            case wire.NewTouchpoint(touchpoint, brand):
                return _done(people.new_touchpoint(writer, vault, TouchpointId(touchpoint), BrandId(brand)))
            case wire.RevokeTouchpoint(touchpoint):
                return _done(people.revoke_touchpoint(writer, vault, TouchpointId(touchpoint)))
            case wire.Prepare(grant, statement):
                prepared = grants.prepare(writer, vault, GrantId(grant), statement)
                if isinstance(prepared, No):
                    return _done(prepared)
                return wire.Prepared(prepared.segments, prepared.last_seq)
            case wire.CommitGrant(grant, boxes, of):
                pairs = [(one.segments, one.box) for one in boxes]
                return _done(grants.commit(writer, vault, GrantId(grant), pairs, of))
            case wire.Deny(grant, reason):
                return _done(grants.deny(writer, vault, GrantId(grant), reason))
            case wire.Revoke(grant):
                return _done(grants.revoke(writer, vault, GrantId(grant)))
            case wire.PauseGrant(grant, paused):
                return _done(grants.pause(writer, vault, GrantId(grant), paused=paused))
            case wire.SetRules(statement):
                return _done(rules.set_rules(writer, vault, statement))
            case wire.AddBlackout(blackout, since, until, kinds):
                return _done(blackouts.add_blackout(writer, vault, blackout, since, until, kinds))
            case wire.EndBlackout(blackout):
                return _done(blackouts.end_blackout(writer, vault, blackout))
            case wire.Rewrap(wrapped, login, recovery):
                people.rewrap(writer, vault, wrapped, login, recovery)
                return wire.Done()
            case wire.EndClient(client):
                return _done(people.end_client(writer, vault, ClientId(client)))
        return wire.Refused("invalid", "not for this host")

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
        return _done(people.create_vault(self.writer, new))

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


def _done(no: No | None) -> wire.AnyReply:
    return wire.Done() if no is None else wire.Refused(no.code, no.what, no.hint)
