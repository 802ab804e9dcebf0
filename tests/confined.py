"""A world for the tests of confinement: the real writer on a disk in memory, and who should read what.

What was granted is decided here a second time, from what the person said and nothing else.  Each number is a
power of two, so that a bucket's sum says which readings went into it: whoever opens it learns that, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import NamedTuple, cast

from policies.terms import Selector
from tests.adversary import Adversary, Disk
from tests.test_vault_texts import counter
from vault import labels
from vault.bucket import DAY_MS, FEWEST, QUIET_MS, SPANS
from vault.chunk import ChunkHeader, open_chunk
from vault.gathering import HOUR_MS
from vault.grantkey import Drawn, draw, pick_up
from vault.ids import DeviceId, GrantId, VaultId
from vault.labels import expand_with_label, hkdf, vec
from vault.ledger import Head
from vault.observation import Observation, Place, Summary, Value
from vault.person import Owner
from vault.secrets import TOKEN_PREFIX, read_secret
from vault.segment import RAW, LaneKey, SegmentHeader, seal_grant_box
from vault.store.intake import Delta
from vault.store.lanes import OpenLane
from vault.store.person import PersonFile
from vault.store.recipients import Blackout, LiveGrant
from vault.store.resent import OpenDays
from vault.store.state import Arrival, VaultState
from vault.suite import aead_open

VAULT = VaultId(b"v" * 16)
DEVICES = [DeviceId(bytes((n,)) * 16) for n in range(3)]
OWNER = Owner(b"r" * 32)
DAYS = 2
MINUTE = 60_000
MOST = 52  # numbers of a device: sums of more powers of two are not exact
Name = tuple[bytes, int, str, int]  # segment, lane, resolution, first sequence number
Entry = tuple[str, int]  # resolution and sequence number: a reading, or an observation of a bucket


class Burst(NamedTuple):
    """So many readings of a device, a millisecond apart."""

    device: int
    kind: str
    at: int
    many: int


class Take(NamedTuple):
    """A commit."""

    bursts: tuple[Burst, ...]


class Give(NamedTuple):
    """An approval: (kind, resolution) of these devices in [since, until) of event time (ms)."""

    devices: frozenset[int]
    details: tuple[tuple[str, str], ...]
    since: int
    until: int
    history: bool


class Change(NamedTuple):
    """A grant that is narrowed or extended; which one, counted round."""

    which: int
    to: Give


class Rest(NamedTuple):
    """A grant that is paused."""

    which: int


class Wake(NamedTuple):
    """One that goes on."""

    which: int


class End(NamedTuple):
    """One that is revoked."""

    which: int


class Dark(NamedTuple):
    """A blackout of a kind, or of all (None)."""

    since: int
    until: int
    kind: str | None


class Pass(NamedTuple):
    """Time goes by, and what is finished is sealed."""

    minutes: int


Event = Take | Give | Change | Rest | Wake | End | Dark | Pass


class Held:
    """A grant: what was given, and the entries that it should open."""

    def __init__(self, give: Give, grant: GrantId, drawn: Drawn) -> None:
        self.give, self.grant, self.drawn = give, grant, drawn
        self.gaps: list[tuple[int, int]] = []
        self.rests: int | None = None  # since when
        self.ended = False
        self.allowed: set[Entry] = set()

    def may(self, device: int, kind: str, resolution: str, start: int, end: int) -> bool:
        """Whether what is sealed now of this time is given."""
        give = self.give
        return (
            not self.ended
            and self.rests is None
            and device in give.devices
            and (kind, resolution) in give.details
            and give.since <= start
            and end <= give.until
            and all(end <= since or until <= start for since, until in self.gaps)
        )

    def reader(self) -> LiveGrant:
        """As the writer needs it."""
        selectors = tuple(
            Selector(DEVICES[n].text, kind, resolution=resolution)
            for n in sorted(self.give.devices)
            for kind, resolution in self.give.details
        )
        gaps = tuple(self.gaps)
        return LiveGrant(self.grant, self.drawn.public, selectors, self.give.since, self.give.until, gaps)


class Blank:
    """What the writer asks of the file of a vault in which nothing is."""

    id = VAULT
    vault = SimpleNamespace(hpke_public=OWNER.hpke.public)
    key_id = OWNER.key_id

    def next_seq(self) -> int:
        return 1

    def head(self) -> Head:
        return Head()

    def last_seen(self) -> dict[bytes, int]:
        return {}

    def blackouts(self) -> list[Blackout]:
        return []


class World:
    """Plays events; ``finish`` writes the disk that the adversary gets."""

    def __init__(self) -> None:
        self.entropy, self.now = counter(), 0
        self.state = VaultState(
            cast(PersonFile, Blank()), (), self.entropy, lambda _device, _client: {}, OpenDays(lambda *_: ())
        )
        self.held: list[Held] = []
        self.darks: list[Dark] = []
        self.disk = Disk()
        self.content: dict[Name, list[tuple[int, Observation]]] = {}  # device and what was sealed
        self.entries: dict[Name, list[Entry]] = {}
        self.times: list[list[int]] = [[] for _ in DEVICES]  # of the numbers, in order of their bits
        self.dark: list[int] = [0 for _ in DEVICES]  # bits of those of a blackout
        self.covered: dict[Entry, tuple[int, int]] = {}  # buckets of numbers: device, bits
        self._boxes: list[tuple[bytes, bytes, bytes]] = []
        self._keys: set[bytes] = {expand_with_label(b"r" * 32, labels.OWNER_HPKE)}
        self.adversary = Adversary(self.disk)

    def play(self, events: Iterable[Event]) -> None:
        """Everything in order, then what is still to be finished."""
        for event in events:
            match event:
                case Take(bursts):
                    self._take(bursts)
                case Give():
                    self._give(event)
                case Change(which, to):
                    self._change(which, to)
                case Rest(which):
                    self._rest(which)
                case Wake(which):
                    self._wake(which)
                case End(which):
                    self._end(which)
                case Dark():
                    self._darken(event)
                case Pass(minutes):
                    self._pass(minutes)
        self._pass((DAYS + 1) * DAY_MS // MINUTE)
        self._finish()

    # --- what happens -----------------------------------------------------------------------------------

    def _take(self, bursts: Iterable[Burst]) -> None:
        arrivals = []
        for burst in bursts:
            found = [
                Observation("", burst.kind, burst.at + n, self._value(burst, n)) for n in range(burst.many)
            ]
            room = MOST - len(self.times[burst.device])
            if burst.kind == "energy":
                found = found[:room]
                for one in found:
                    self.dark[burst.device] |= self._in_dark(one) << len(self.times[burst.device])
                    self.times[burst.device].append(one.time)
            arrivals.append(Arrival(VAULT, DEVICES[burst.device], self.now, found))
        self._commit(self.state.seal(arrivals, (), self.now))

    def _value(self, burst: Burst, number: int) -> Value:
        if burst.kind == "energy":
            return 2.0 ** (len(self.times[burst.device]) + number)
        return Place(40.0 + burst.device, 9.0 + number / 100)

    def _pass(self, minutes: int) -> None:
        self.now += minutes * MINUTE
        while self.state.open.buckets.due(self.now, 1):
            delta = self.state.seal_buckets(64, self.now)
            if delta is not None:
                self._commit(delta)

    def _give(self, give: Give) -> None:
        grant = GrantId(self.entropy(16))
        held = Held(give, grant, draw(VAULT, grant, self.entropy))
        self.held.append(held)
        self.state.open.admit(held.reader())
        self._hand_over(held)

    def _change(self, which: int, to: Give) -> None:
        """Every box is made anew; a grant that rests has to be woken first."""
        held = self._find(which)
        if held is not None and held.rests is None:
            held.give = to
            self._without_boxes(held)
            self.state.open.dismiss(held.grant)
            self.state.open.admit(held.reader())
            self._hand_over(held)

    def _rest(self, which: int) -> None:
        held = self._find(which)
        if held is not None and held.rests is None:
            held.rests = self.now // 1000 * 1000
            self.state.open.dismiss(held.grant)

    def _wake(self, which: int) -> None:
        held = self._find(which)
        if held is not None and held.rests is not None:
            held.gaps.append((held.rests, -(-self.now // 1000) * 1000))
            held.rests = None
            self.state.open.admit(held.reader())

    def _end(self, which: int) -> None:
        held = self._find(which)
        if held is not None:
            held.ended = True
            self._without_boxes(held)
            self.state.open.dismiss(held.grant)

    def _darken(self, dark: Dark) -> None:
        self.darks.append(dark)
        self.state.open.set_blackouts(
            Blackout(since, until, None if kind is None else frozenset((kind,)))
            for since, until, kind in self.darks
        )

    def _find(self, which: int) -> Held | None:
        held = self.held[which % len(self.held)] if self.held else None
        return None if held is None or held.ended else held

    def _without_boxes(self, held: Held) -> None:
        held.allowed = set()
        self._boxes = [box for box in self._boxes if box[0] != held.grant]

    def _hand_over(self, held: Held) -> None:
        """As the owner's client does: lanes of days that lie in bounds, and hold nothing of a blackout."""
        if not held.give.history:
            return
        keys = [
            LaneKey(
                lane.segment.header.segment,
                lane.number,
                lane.lane.encode(),
                resolution,
                lane.resolution_key(resolution),
            )
            for day, one in self.state.open.segments.items()
            for lane in one.lanes.values()
            for resolution in (RAW, *SPANS)
            if self._may_have(held, lane, resolution, day)
        ]
        if keys:
            box = seal_grant_box(held.drawn.public, OWNER.key_id, VAULT, held.grant, keys)
            self._boxes.append((held.grant, *box))
            given = {(key.segment, key.number, key.resolution) for key in keys}
            for name, entries in self.entries.items():
                if name[:3] in given:
                    held.allowed |= set(entries)

    def _may_have(self, held: Held, lane: OpenLane, resolution: str, day: int) -> bool:
        device, since = DEVICES.index(lane.lane.device), day * DAY_MS
        given = held.may(device, lane.lane.kind, resolution, since, since + DAY_MS)
        return given and not (resolution == RAW and self._is_dark(lane))

    def _is_dark(self, lane: OpenLane) -> bool:
        names = [n for n in self.content if n[:3] == (lane.segment.header.segment, lane.number, RAW)]
        return any(self._in_dark(o) for name in names for _, o in self.content[name])

    def _in_dark(self, one: Observation) -> bool:
        return any(
            since <= one.time < until and kind in (None, one.kind) for since, until, kind in self.darks
        )

    # --- what is on the disk ----------------------------------------------------------------------------

    def _commit(self, delta: Delta) -> None:
        """Write what the writer made, and note who should open it."""
        for made in delta.segments:
            info = vec(labels.OWNER_BOX, made.header, OWNER.key_id)
            self.disk.boxes.append((OWNER.hpke.public, info, made.owner_box))
            assert SegmentHeader.decode(made.header).vault == VAULT
        segments = {bytes(one.header.segment): one for one in self.state.open.segments.values()}
        for row in delta.lanes:
            one = segments[row.segment]
            aad = one.header.encode() + row.number.to_bytes(4, "big")
            self.disk.things.append((("name", row.segment, row.number), aad, row.name))
            self.disk.lanes.append(one.lanes[row.number].lane.encode())
            self._keys |= {one.key, expand_with_label(one.key, labels.DIRECTORY)}
        for chunk in delta.chunks:
            lane = segments[chunk.segment].lanes[chunk.number]
            header = ChunkHeader(
                lane.segment.header, lane.lane, chunk.first_seq, chunk.last_seq, chunk.count, chunk.resolution
            )
            key = lane.resolution_key(chunk.resolution)
            self._keys.add(key)
            readings = open_chunk(key, header, chunk.body)
            name = (chunk.segment, chunk.number, chunk.resolution, chunk.first_seq)
            device = DEVICES.index(lane.lane.device)
            self.content[name] = [(device, observation) for observation in readings.observations]
            self.entries[name] = [(chunk.resolution, seq) for seq in readings.seqs]
            self.disk.things.append((name, header.encode(), chunk.body))
            for seq, observation in zip(readings.seqs, readings.observations, strict=True):
                self._note((chunk.resolution, seq), device, observation)
        self._boxes += delta.boxes
        self.state.settle()

    def _note(self, entry: Entry, device: int, one: Observation) -> None:
        resolution = entry[0]
        span = SPANS.get(resolution, 1)
        dark = resolution == RAW and self._in_dark(one)
        for held in self.held:
            if not dark and held.may(device, one.kind, resolution, one.time, one.time + span):
                held.allowed.add(entry)
        if resolution != RAW:
            assert one.time + span + QUIET_MS <= self.now, "a bucket that is not over"
        if isinstance(one.value, Summary):
            bits = int(one.value.sum)
            assert bits.bit_count() == one.value.count, "a reading that counts twice"
            hours = self._hours(device, one.time, one.time + span)
            assert bits & ~sum(hours) == 0, "a reading of another time, or of a blackout"
            few = sum(hour for hour in hours if hour.bit_count() < FEWEST)
            left = sum(hours) & ~bits
            assert left & ~few == 0, "a bucket of a part of its readings"
            self.covered[entry] = (device, bits)

    def _hours(self, device: int, start: int, end: int) -> list[int]:
        """The numbers of each hour, as bits."""
        hours: dict[int, int] = {}
        for n, time in enumerate(self.times[device]):
            if start <= time < end and not self.dark[device] >> n & 1:
                hours[time // HOUR_MS] = hours.get(time // HOUR_MS, 0) | 1 << n
        return list(hours.values())

    def _finish(self) -> None:
        for grant, segments, box in self._boxes:
            [public] = [held.drawn.public for held in self.held if held.grant == grant]
            info = vec(
                labels.GRANT_BOX, b"\1\1", VAULT, grant, hashlib.sha256(public).digest(), OWNER.key_id,
                hashlib.sha256(segments).digest(),
            )  # fmt: skip
            self.disk.boxes.append((public, info, box))
        self.disk.wrapped = [(vec(VAULT, one.grant), one.drawn.wrapped_seed) for one in self.held]
        self.disk.infos = [
            labels.TOKEN, *(vec(labels.GRANT_SEED, VAULT, one.grant) for one in self.held)
        ]  # fmt: skip
        for n, one in enumerate(self.held):
            info = vec(labels.GRANT_SEED, VAULT, one.grant)
            wrapping = hkdf(one.drawn.slot.pepper, self.token(n), info)
            self._keys.add(wrapping)
            self._keys.add(aead_open(wrapping, one.drawn.wrapped_seed, vec(VAULT, one.grant)))
        self.disk.keys = frozenset(self._keys)
        self.adversary = Adversary(self.disk)

    # --- what is found ----------------------------------------------------------------------------------

    def token(self, n: int) -> bytes:
        """The secret in a grant's token."""
        drawn = self.held[n].drawn
        return read_secret(TOKEN_PREFIX, pick_up(drawn.auth_req_id, drawn.slot, drawn.wrapped_seed, VAULT))[1]

    def stored(self) -> set[bytes]:
        """Every other value of 32 bytes that lies somewhere: peppers, salts, key ids."""
        live = [one.drawn.slot for one in self.held if not one.ended]
        return {OWNER.key_id, OWNER.verify_key, *(s.pepper for s in live), *(s.pickup_salt for s in live)}

    def read(self, *tokens: bytes) -> set[Entry]:
        """What opens; a name of a lane is nothing that a grant may open."""
        found = self.adversary.opened(self.stored() | set(tokens))
        assert [name for name in found if name not in self.content] == [], "a lane's name opens"
        return {entry for name in found for entry in self.entries[name]}

    def isolated(self, entries: Iterable[Entry]) -> set[int]:
        """Sets of fewer than ``FEWEST`` numbers that these buckets tell apart, by differences."""
        leaked: set[int] = set()
        for device in range(len(DEVICES)):
            covers = {
                self.covered[e][1] for e in entries if e in self.covered and self.covered[e][0] == device
            }
            fresh = set(covers)
            while fresh:
                more = {a & ~b for a in covers for b in covers if b & ~a == 0 and a != b} - covers
                covers, fresh = covers | more, more
            leaked |= {bits for bits in covers if bits.bit_count() < FEWEST}
        return leaked


def play(events: Iterable[Event], make: Callable[[], World] = World) -> World:
    """A world in which this happened."""
    world = make()
    world.play(events)
    return world


def check(world: World) -> int:
    """Whether everybody opens what was granted and nothing else, alone and together.

    Returns the number of grants that opened something.
    """
    assert world.read() == set(), "the disk opens something"
    tokens = [world.token(n) for n in range(len(world.held))]
    for held, token in zip(world.held, tokens, strict=True):
        assert world.read(token) == held.allowed, "not what was granted"
    together = set[Entry]().union(*(held.allowed for held in world.held))
    assert world.read(*tokens) == together, "together more than each"
    for n in range(2, len(tokens)):
        some = set[Entry]().union(*(held.allowed for held in world.held[:n]))
        assert world.read(*tokens[:n]) == some, "some together more than each"
    assert world.isolated(together) == set(), "a bucket, or two, that tell few readings"
    return sum(bool(held.allowed) for held in world.held)
