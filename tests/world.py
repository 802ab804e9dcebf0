"""A whole store in a directory, with a clock that is told and entropy that counts: the simulator.

People, devices, brands and requests are objects that do what their programs would, through the store's own
functions.  ``crash`` ends the writer as kill -9 would: what it wrote is there, and nothing else happens.
"""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from weakref import WeakSet, finalize

import msgspec

from policies.decide import Permit, Read, decide
from policies.grant import Active, Refusal
from policies.kinds import catalogue
from policies.narrow import Bounds, make_terms
from policies.purposes import purposes
from policies.request import Ask, format_details, parse_details
from policies.strict import canonical
from policies.terms import Selector, Terms, ask_hash, terms_hash
from tests.faults import Fault, FaultyFiles, Killed
from vault.chunk import ChunkHeader, open_chunk
from vault.device import Notes, client_key, dedupe_key, message_digest, verifier, wrap_notes
from vault.errors import VaultError
from vault.grantkey import Drawn, draw, pick_up, unwrap
from vault.ids import BrandId, ClientId, DeviceId, GrantId, TouchpointId, VaultId
from vault.ledger import GENESIS, Entry, Head, follow, open_entry
from vault.observation import Observation
from vault.person import KdfParams, Owner, WrappedRoot, from_recovery, login_verifier, wrap_root
from vault.segment import (
    Lane,
    LaneKey,
    SegmentHeader,
    is_reserved,
    lane_key,
    open_lane_name,
    open_owner_box,
    resolution_key,
    seal_grant_box,
)
from vault.statement import Enrolment, GrantStatement, Signed, sign
from vault.store import asking, grants, people
from vault.store.paths import DataDir
from vault.store.reader import Reader
from vault.store.records import No, SegmentRow
from vault.store.release import GrantKeys, Page, Released, page
from vault.store.state import Arrival, Special
from vault.store.writer import Note, Writer

DAY_MS = 86_400_000
START = 20_000 * DAY_MS + 12 * 3_600_000  # noon of a day in 2024


class Clock:
    """Milliseconds that pass only when a test says so."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Entropy:
    """The same bytes in every run: SHAKE-256 of a seed and a count, each drawn once.

    With ``fails_in`` n, the n-th draw from now and all after it raise ZeroDivisionError, as no code expects.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed, self.drawn, self.fails_in = seed, 0, 0

    def __call__(self, size: int) -> bytes:
        if self.fails_in == 1:
            raise ZeroDivisionError
        self.fails_in = max(0, self.fails_in - 1)
        self.drawn += 1
        return hashlib.shake_256(f"{self.seed}/{self.drawn}".encode()).digest(size)


MANY = 128  # descriptors
_MADE: WeakSet[World] = WeakSet()


def abandon_all() -> None:
    """After each test: what it made keeps no descriptor, of which a process has few."""
    for world in list(_MADE):
        world.abandon()
    _MADE.clear()
    if len(os.listdir("/dev/fd")) > MANY:  # of worlds that the test let go, and that refer to themselves
        gc.collect()


class World:
    """One node's store; ``writer`` is open, ``reader`` is made anew after each ``open``."""

    def __init__(self, path: Path, files: FaultyFiles | None = None) -> None:
        self.data, self.files = DataDir(path / "node"), files or FaultyFiles()
        self.clock, self.entropy = Clock(), Entropy()
        self.writer_class: type[Writer] = Writer  # known-bad controls are others
        _MADE.add(self)
        self.open()

    def open(self) -> None:
        """Start a writer, as a node does."""
        self._reader: Reader | None = None
        self._writer: Writer | None = None
        self._writer = self.writer_class(self.data, self.files, self.clock, self.entropy)
        finalize(self, self._writer.live.close)  # a test may let its world go; a bare descriptor would stay

    @property
    def writer(self) -> Writer:
        """The node's; there is none after ``kill``."""
        assert self._writer is not None
        return self._writer

    @property
    def reader(self) -> Reader:
        """A door's view."""
        if self._reader is None:
            self._reader = Reader(self.data)
            finalize(self, self._reader.close)
        return self._reader

    def close(self) -> None:
        """Stop as a node does at SIGTERM."""
        self._close_reader()
        self.writer.close()

    def reopen(self) -> None:
        """Stop and start."""
        self.close()
        self.open()

    def crash(self) -> None:
        """Kill the node where it stands, and start another on the same directory."""
        self.kill()
        self.open()

    def kill(self) -> None:
        """Leave the directory as it is now, and give every descriptor back without writing a byte more."""
        saved = self.data.path.with_name("killed")
        self.copy(saved)
        self.files.heal()
        self.abandon()
        shutil.rmtree(self.data.path)
        saved.rename(self.data.path)

    def abandon(self) -> None:
        """Give every descriptor back, whatever a test has left open."""
        self._close_reader()
        if self._writer is not None:
            self._writer.live.close()
            self._writer = None
        self.files.abandon()

    def copy(self, to: Path) -> None:
        """The files as they are, but for what SQLite keeps in shared memory."""
        shutil.copytree(self.data.path, to, ignore=shutil.ignore_patterns("*-shm"))

    def flush(self, person: Person) -> None:
        """What a door asks of the node before it reads."""
        self.writer.move(person.vault)
        self.writer.state(person.vault)

    def pass_time(self, milliseconds: int) -> None:
        """Let time go by."""
        self.clock.now += milliseconds

    def person(self, name: str = "ana") -> Person:
        """Somebody with a vault."""
        return Person(self, name)

    def brand(self, name: str = "Acme") -> BrandId:
        """Register a brand."""
        return self.writer.registry.add_brand(name, "https://acme.example", self.clock())[0]

    def bytes_on_disk(self) -> bytes:
        """Every file of the node, joined."""
        return b"\0".join(path.read_bytes() for path in sorted(self.data.path.rglob("*")) if path.is_file())

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class Person:
    """Somebody with a vault, whose client has the root."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.vault = VaultId.new(world.entropy)
        root = hashlib.sha256(name.encode()).digest()
        self.owner = Owner(root)
        self.client = ClientId.new(world.entropy)
        enrolment = Enrolment(self.client.text, self.owner.verify_key, "laptop")
        unlocking = from_recovery(hashlib.sha256(root).digest())
        wrapped = wrap_root(unlocking, self.vault, root, world.entropy(12))
        self.new = people.NewVault(
            self.vault,
            self.owner.hpke.public,
            self.owner.verify_key,
            WrappedRoot(world.entropy(16), KdfParams(), wrapped, wrapped),
            login_verifier(self.vault, unlocking.login_key),
            login_verifier(self.vault, unlocking.login_key),
            sign(self.owner.signing, self.vault, enrolment),
        )
        expect(people.create_vault(world.writer, self.new))

    def device(self, name: str = "meter") -> Device:
        """Add a device."""
        device, password = DeviceId.new(self.world.entropy), self.world.entropy(16).hex().encode()
        sealed = self.owner.seal_name(device, name, self.world.entropy(12))
        key = self.owner.notes_key(device)
        wrapped = wrap_notes(device, password, key, self.world.entropy(12))
        kept = verifier(device, password)
        expect(people.add_device(self.world.writer, self.vault, device, sealed, kept, wrapped))
        return Device(self, device, dedupe_key(device, password), Notes(device, key), password)

    def touchpoint(self, brand: BrandId) -> TouchpointId:
        """An address for a brand."""
        made = TouchpointId.new(self.world.entropy)
        expect(people.new_touchpoint(self.world.writer, self.vault, made, brand))
        return made

    # --- answering -----------------------------------------------------------------------------------

    def unsigned(self, asked: Asked, terms: Terms, /, **other: object) -> GrantStatement:
        """What an approval says; ``other`` replaces fields, for approvals that are not to be accepted."""
        made = GrantStatement(
            grant=asked.grant.text,
            key_hash=hashlib.sha256(asked.drawn.public).digest(),
            terms=terms,
            terms_hash=terms_hash(ask_hash(asked.asks), terms),
            generation=self.world.writer.file(self.vault).generation(),
        )
        return msgspec.structs.replace(made, **other)

    def statement(self, asked: Asked, terms: Terms, /, **other: object) -> Signed:
        """A signed approval."""
        return sign(self.owner.signing, self.vault, self.unsigned(asked, terms, **other))

    def prepare(self, asked: Asked, signed: Signed) -> grants.Prepared:
        """The first half of an approval."""
        prepared = grants.prepare(self.world.writer, self.vault, asked.grant, signed)
        if isinstance(prepared, No):
            raise RefusedError(prepared)
        return prepared

    def commit(
        self, asked: Asked, terms: Terms, segments: Iterable[SegmentRow], of: Signed | None = None
    ) -> None:
        """The second half: keys of every lane that the terms give, of days that lie in their bounds."""
        boxes = self.boxes(asked, terms, segments)
        prepared = self.in_force(asked) if of is None else hashlib.sha256(of.body).digest()
        expect(grants.commit(self.world.writer, self.vault, asked.grant, boxes, prepared))

    def in_force(self, asked: Asked) -> bytes:
        """What a change of a grant names as its predecessor."""
        row = self.world.writer.file(self.vault).row(
            "SELECT statement, rule FROM grant_ WHERE id = ?", (asked.grant,)
        )
        return grants.in_force(*row)

    def boxes(self, asked: Asked, terms: Terms, segments: Iterable[SegmentRow]) -> list[tuple[bytes, bytes]]:
        """The box of history, if there is any."""
        keys: list[LaneKey] = []
        for row in segments:
            header, key, lanes = self.open_segment(row)
            start = header.day * 86_400
            if start < terms.data_from or terms.data_until < min(start + 86_400, self.world.clock() // 1000):
                continue
            for number, lane in lanes.items():
                if selects(terms.selectors, lane):
                    opened = resolution_key(lane_key(key, lane), "raw")
                    keys.append(LaneKey(header.segment, number, lane.encode(), "raw", opened))
        if not keys:
            return []
        return [seal_grant_box(asked.drawn.public, self.owner.key_id, self.vault, asked.grant, keys)]

    def approve(self, asked: Asked, *selectors: Selector, history: bool = False, days: int = 30) -> Terms:
        """Give these series, with all of their history or none, for some days."""
        terms = asked.terms(*selectors, history=history, days=days)
        prepared = self.prepare(asked, self.statement(asked, terms))
        self.commit(asked, terms, prepared.segments)
        return terms

    def revoke(self, asked: Asked) -> None:
        """End a grant."""
        expect(grants.revoke(self.world.writer, self.vault, asked.grant))

    # --- reading one's own -----------------------------------------------------------------------------

    def open_segment(self, row: SegmentRow) -> tuple[SegmentHeader, bytes, dict[int, Lane]]:
        """Header, key and lanes, with the owner's key."""
        header = SegmentHeader.decode(row.header)
        key = open_owner_box(self.owner.hpke, self.owner.key_id, header, row.owner_box)
        names = {lane.number: open_lane_name(key, header, lane.number, lane.name) for lane in row.lanes}
        return header, key, names

    def readings(self) -> list[Released]:
        """Everything in the vault, in order of arrival."""
        self.world.flush(self)
        return self.opened()

    def opened(self) -> list[Released]:
        """The same, of what is in the file now."""
        return self._opened().get("raw", [])

    def buckets(self) -> dict[str, list[Released]]:
        """Every bucket in the vault by its resolution, in the order in which they were sealed."""
        self.world.flush(self)
        return {resolution: found for resolution, found in self._opened().items() if resolution != "raw"}

    def cut(self) -> set[int]:
        """The days of which some bucket is not sealed, as the disk says."""
        self.world.flush(self)
        sql = "SELECT day FROM segment WHERE ledger = 0 AND cut = 1"
        return {day for (day,) in self.world.writer.file(self.vault).rows(sql)}

    def _opened(self) -> dict[str, list[Released]]:
        reader, found = self.world.reader, defaultdict[str, list[Released]](list)
        for row in reader.segments(self.vault, -(1 << 31), 1 << 31):
            header, key, lanes = self.open_segment(row)
            for chunk in reader.chunks(self.vault, [header.segment], 0, 0, 1 << 40):
                lane, resolution = lanes[chunk.number], chunk.resolution
                place = ChunkHeader(header, lane, chunk.first_seq, chunk.last_seq, chunk.count, resolution)
                opened = open_chunk(resolution_key(lane_key(key, lane), resolution), place, chunk.body)
                pairs = zip(opened.seqs, opened.observations, strict=True)
                found[resolution] += [Released(seq, lane.device, observation) for seq, observation in pairs]
        for released in found.values():
            released.sort(key=lambda one: one.seq)
        return found

    def values(self) -> list[object]:
        """The values of all readings, in order of arrival."""
        return [one.observation.value for one in self.readings()]

    def ledger(self) -> list[Entry]:
        """All entries; their chain must hold up to the head."""
        self.world.flush(self)
        return self.entries()

    def entries(self) -> list[Entry]:
        """The same, of what is in the file now."""
        reader = self.world.reader
        sealed, rows = reader.ledger(self.vault, 0, 1 << 30)
        row = reader.vault(self.vault)
        assert row is not None
        assert follow(self.vault, Head(0, GENESIS), sealed) == Head(row.ledger_number, row.ledger_hash)
        keys = {bytes(header.segment): (header, key) for header, key, _ in map(self.open_segment, rows)}
        return [open_entry(keys[one.segment][1], keys[one.segment][0], one) for one in sealed]

    def told(self) -> list[str]:
        """What the ledger tells of, in order."""
        return [entry.what for entry in self.ledger()]


class Device:
    """A device, and the messages it sends."""

    def __init__(self, person: Person, device: DeviceId, key: bytes, notes: Notes, password: bytes) -> None:
        self.person, self.id, self._key, self.notes, self.password = person, device, key, notes, password

    def arrival(
        self,
        *readings: Observation,
        packet: int | None = None,
        again: bool = False,
        raw: bytes | None = None,
        resends: bool = False,
        **more: object,
    ) -> Arrival:
        """One message; with a packet id it is of QoS 1, and ``again`` says DUP on a later connection.

        ``resends``: of a sort of device that sends its readings again; ``more`` are fields of ``Special``.
        """
        recent = None
        if packet is not None:
            told = msgspec.msgpack.encode(readings)
            recent = (client_key(self._key, "c"), packet, message_digest(self._key, b"t", told))
        world = self.person.world
        if resends:
            more["digests"] = tuple(map(self.notes.reading_digest, readings))
        special = msgspec.structs.replace(Special(), **more) if more else None
        return Arrival(self.person.vault, self.id, world.clock(), readings, raw, 0, recent, again, special)

    def publish(self, *readings: Observation, **how: object) -> bool:
        """Send one message; whether it was acknowledged."""
        arrival = self.arrival(*readings, **how)  # type: ignore[arg-type]  # as arrival() takes them
        try:
            return self.person.vault not in self.person.world.writer.commit([arrival])
        except VaultError:
            return False

    def send(self, *values: float, kind: str = "temperature", channel: str = "") -> bool:
        """Send readings of now."""
        now = self.person.world.clock()
        return self.publish(*(Observation(channel, kind, now, float(value)) for value in values))

    def selector(self, kind: str = "temperature", channels: tuple[str, ...] | None = None) -> Selector:
        """One kind of this device."""
        return Selector(self.id.text, kind, channels)


class Asked:
    """A brand's request, and what the brand does with it."""

    def __init__(
        self, person: Person, brand: BrandId, *kinds: str, expires_days: int = 7, **wishes: object
    ) -> None:
        self.person, self.brand, world = person, brand, person.world
        self.touchpoint = person.touchpoint(brand)
        detail = {
            "type": "personal_data",
            "datatypes": list(kinds) or ["temperature"],
            "purpose": "dpv:ServiceProvision",
            "purpose_text": "Bill by what you use",
            **wishes,
        }
        now = world.clock()
        self.asks: tuple[Ask, ...] = parse_details(
            msgspec.json.encode([detail]), catalogue(), purposes(), now // 1000
        )
        self.grant = GrantId.new(world.entropy)
        self.drawn: Drawn = draw(person.vault, self.grant, world.entropy)
        self.request = asking.Request(
            self.grant,
            self.touchpoint,
            brand,
            self.drawn.public,
            self.drawn.wrapped_seed,
            self.drawn.slot,
            canonical(format_details(self.asks)),
            "",
            now + expires_days * DAY_MS,
        )
        expect(asking.ask(world.writer, self.request))

    def terms(self, *selectors: Selector, history: bool = False, days: int = 30) -> Terms:
        """Terms that answer this request."""
        now = self.person.world.clock() // 1000
        bounds = Bounds(0 if history else now, now + days * 86_400, now + days * 86_400)
        return make_terms(self.asks, selectors, bounds)

    def token(self) -> str:
        """Pick the token up; raises SealError where that is over."""
        world = self.person.world
        slot = world.reader.slot(self.person.vault, self.grant)
        wrapped = world.reader.wrapped_seed(self.person.vault, self.grant)
        if slot is None or wrapped is None:
            raise LookupError("the grant has ended")
        return pick_up(self.drawn.auth_req_id, slot, wrapped, self.person.vault)

    def keys(self, token: str | None = None) -> GrantKeys:
        """The grant's keys, for who holds the token."""
        world, vault = self.person.world, self.person.vault
        token = token or self.token()
        slot, wrapped = world.reader.slot(vault, self.grant), world.reader.wrapped_seed(vault, self.grant)
        if slot is None or wrapped is None:
            raise LookupError("the grant has ended")
        recipient = unwrap(token, slot, wrapped, vault)
        return GrantKeys(vault, self.grant, recipient, self.person.owner.key_id)

    def permit(self, read: Read = Read()) -> Permit | Refusal:  # noqa: B008 (frozen)
        """What the door decides now."""
        world = self.person.world
        row = world.reader.grant(self.person.vault, self.grant)
        assert row is not None
        return decide(read, row.state, max(world.clock(), world.reader.clock().mark))

    def page(self, keys: GrantKeys, after: int = 0, limit: int = 1000, **read: object) -> Page:
        """One page of a read."""
        world = self.person.world
        world.flush(self.person)
        permit = self.permit(Read(**read))  # type: ignore[arg-type]  # as Read takes them
        if isinstance(permit, Refusal):
            raise RefusedError(No("refused", permit.code))
        return page(world.reader, permit, keys, after, limit)

    def read(self, limit: int = 1000, after: int = 0, **read: object) -> list[Released]:
        """Every page there is."""
        return list(self.pages(self.keys(), limit, after, **read))

    def pages(self, keys: GrantKeys, limit: int = 1000, after: int = 0, **read: object) -> Iterator[Released]:
        """The readings of every page, page by page."""
        more = True
        while more:
            found = self.page(keys, after, limit, **read)
            yield from found.readings
            after, more = found.last_seq, found.more

    @property
    def active(self) -> bool:
        """Whether the person's file says that it is in force."""
        return isinstance(self.person.world.writer.file(self.person.vault).state(self.grant), Active)


class RefusedError(AssertionError):
    """The store said no; ``no`` is what it said."""

    def __init__(self, no: No) -> None:
        super().__init__(no.what)
        self.no = no


def expect(no: No | None) -> None:
    """It was done."""
    if no is not None:
        raise RefusedError(no)


def selects(selectors: Sequence[Selector], lane: Lane) -> bool:
    """Whether a lane is given."""
    return not is_reserved(lane.kind) and any(
        one.device == lane.device.text
        and one.kind == lane.kind
        and (one.channels is None or lane.channel in one.channels)
        for one in selectors
    )


def scratch() -> Path:
    """A new directory in memory, where there is such a thing: for tests that write often; remove it after."""
    memory = Path("/dev/shm")  # noqa: S108 (mkdtemp draws the name)
    return Path(tempfile.mkdtemp(prefix="hypertouch-", dir=memory if os.access(memory, os.W_OK) else None))


def at(
    world: World, seconds: float, value: float, kind: str = "temperature", channel: str = ""
) -> Observation:
    """A reading of so many seconds from now."""
    return Observation(channel, kind, world.clock() + int(seconds * 1000), float(value))


def note(person: Person, entry: Entry) -> Note:
    """An entry that shares a commit."""
    return Note(person.vault, entry)


__all__ = [
    "DAY_MS",
    "START",
    "Asked",
    "Clock",
    "Device",
    "Entropy",
    "Fault",
    "FaultyFiles",
    "Killed",
    "Person",
    "RefusedError",
    "World",
    "at",
    "expect",
    "note",
    "scratch",
]
