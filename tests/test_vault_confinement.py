"""A grant opens exactly what was granted: with its token, and every byte of the disk, and everything tried.

Two published systems for encrypted streams are the measure.  In TimeCrypt (NSDI '20) the writer holds the
stream's secrets, and data must come in order: a late reading has no key left.  In Droplet (USENIX Security
'20) the writer holds them too, and its crossed hash chains let two grants [10, 20] and [70, 80] derive the
key of 45.  Here the writer is the real one: it holds the owner's *public* key only, takes late readings of
any day, and what two grants derive together is the union of what each has.  The same adversary must catch
the planted schedules, the crossed chains among them.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.grant import Selector
from tests.adversary import Disk, opened
from tests.test_vault_texts import counter
from vault import labels
from vault.bucket import DAY_MS
from vault.chunk import ChunkHeader
from vault.grantkey import Drawn, draw, pick_up
from vault.ids import DeviceId, GrantId, VaultId
from vault.labels import expand_with_label, vec
from vault.observation import Observation
from vault.person import Owner
from vault.secrets import TOKEN_PREFIX, read_secret
from vault.segment import LaneKey, SegmentHeader, seal_grant_box
from vault.store.intake import Delta
from vault.store.lanes import LiveGrant, OpenVault
from vault.store.sealing import seal_waiting

VAULT = VaultId(b"v" * 16)
DEVICES = [DeviceId(bytes((n,)) * 16) for n in range(3)]
OWNER = Owner(b"r" * 32)
DAYS = 4


class Give(NamedTuple):
    """A grant: devices, event times in [since, until) in ms, with history or not, and whether it ended."""

    devices: frozenset[int]
    since: int
    until: int
    history: bool
    revoked: bool


NOON = DAY_MS // 2
# Bounds at midnight and noon; readings on them, and a millisecond to either side.
EDGES = st.integers(0, 2 * DAYS).map(lambda half: half * NOON)
TIMES = st.tuples(st.integers(0, 2 * DAYS - 1), st.sampled_from([0, 1, 1000, NOON - 1])).map(
    lambda at: at[0] * NOON + at[1]
)
GIVES = st.builds(
    lambda devices, edges, history, ended: Give(devices, min(edges), max(edges), history, ended == 0),
    st.frozensets(st.integers(0, len(DEVICES) - 1), min_size=1),
    st.lists(EDGES, min_size=2, max_size=2, unique=True),
    st.booleans(),
    st.integers(0, 3),
)
BATCHES = st.lists(st.tuples(st.integers(0, len(DEVICES) - 1), TIMES), min_size=1, max_size=4)
# Commits of readings of any time, and approvals between them.
EVENTS = st.lists(st.tuples(BATCHES, GIVES, BATCHES), min_size=1, max_size=3).map(
    lambda rounds: [event for one in rounds for event in one]
)


class World:
    """The real writer's keys and seals on a disk in memory, and who should read what."""

    def __init__(self) -> None:
        self.entropy = counter()
        self.open = OpenVault(VAULT, OWNER.hpke.public, OWNER.key_id, self.entropy)
        self.disk, self.grants = Disk(), list[tuple[Give, GrantId, Drawn]]()
        self.allowed: list[set[tuple[int, int]]] = []
        self.content: dict[tuple[bytes, int, int], list[tuple[int, int]]] = {}
        self._seq, self._boxes = 1, list[tuple[bytes, bytes, bytes]]()

    def take(self, batch: list[tuple[int, int]]) -> None:
        """A commit, as the writer makes it."""
        delta, lanes = Delta(VAULT), {}
        for device, time in batch:
            lane = self.open.lane_for(DEVICES[device], Observation("", "energy", time, 1.0), delta, 0)
            lane.seqs.append(self._seq)
            lane.observations.append(Observation("", "energy", time, 1.0))
            lanes[id(lane)] = lane
            self._seq += 1
            for (give, _, _), may in zip(self.grants, self.allowed, strict=True):
                if device in give.devices and give.since <= time < give.until:
                    may.add((device, time))
        self.open.seal_boxes(delta)
        for made in delta.segments:
            header = SegmentHeader.decode(made.header)
            info = vec(labels.OWNER_BOX, made.header, OWNER.key_id)
            self.disk.boxes.append((OWNER.hpke.public, info, made.owner_box))
            assert header.vault == VAULT
        for lane in lanes.values():
            held = [(DEVICES.index(lane.lane.device), o.time) for o in lane.observations]
            [chunk] = seal_waiting(lane, self.entropy)
            named = ChunkHeader(
                lane.segment.header, lane.lane, chunk.first_seq, chunk.last_seq, chunk.count, chunk.resolution
            )
            name = (chunk.segment, chunk.number, chunk.first_seq)
            self.content[name] = held
            self.disk.things.append((name, named.encode(), chunk.body))
            self.disk.lanes.append(lane.lane.encode())
        for one in delta.lanes:
            header = next(s.header for s in self.open.segments.values() if s.header.segment == one.segment)
            aad = header.encode() + one.number.to_bytes(4, "big")
            self.disk.things.append((("name", one.segment, one.number), aad, one.name))
        self._boxes += delta.boxes
        self.open.settle()

    def give(self, give: Give) -> None:
        """An approval: rotate, seal forward, and seal the history of whole days in bounds."""
        grant = GrantId(self.entropy(16))
        made = draw(VAULT, grant, self.entropy)
        self.grants.append((give, grant, made))
        self.allowed.append(set())
        selectors = tuple(Selector(DEVICES[n].text, "energy") for n in sorted(give.devices))
        self.open.admit(LiveGrant(grant, made.public, selectors, give.since, give.until))
        keys = [
            lane
            for day, one in self.open.segments.items()
            for lane in one.lanes.values()
            if give.history and DEVICES.index(lane.lane.device) in give.devices
            if give.since <= day * DAY_MS and (day + 1) * DAY_MS <= give.until
        ]
        if keys:
            entries = [
                LaneKey(lane.segment.header.segment, lane.number, lane.lane.encode(), "raw", lane.key)
                for lane in keys
            ]
            segments, box = seal_grant_box(made.public, OWNER.key_id, VAULT, grant, entries)
            self._boxes.append((grant, segments, box))
            numbers = {(entry.segment, entry.number) for entry in entries}
            for (one, number, _), held in self.content.items():
                if (one, number) in numbers:
                    self.allowed[-1] |= set(held)

    def finish(self) -> None:
        """Revoke what is revoked: boxes deleted, slots zeroed; then the disk is read."""
        for n, (give, grant, _) in enumerate(self.grants):
            if give.revoked:
                self.allowed[n] = set()
                self._boxes = [box for box in self._boxes if box[0] != grant]
        for owner, segments, box in self._boxes:
            public = next(made.public for _, grant, made in self.grants if grant == owner)
            info = vec(
                labels.GRANT_BOX, b"\1\1", VAULT, owner, hashlib.sha256(public).digest(), OWNER.key_id,
                hashlib.sha256(segments).digest(),
            )  # fmt: skip
            self.disk.boxes.append((public, info, box))
        self.disk.wrapped = [(vec(VAULT, grant), made.wrapped_seed) for _, grant, made in self.grants]
        self.disk.infos = [
            labels.TOKEN,
            *(vec(labels.GRANT_SEED, VAULT, grant) for _, grant, _ in self.grants),
        ]

    def token(self, n: int) -> bytes:
        """The secret in a grant's token."""
        _, _, made = self.grants[n]
        return read_secret(TOKEN_PREFIX, pick_up(made.auth_req_id, made.slot, made.wrapped_seed, VAULT))[1]

    def stored(self) -> set[bytes]:
        """Every other value of 32 bytes that lies somewhere: peppers, salts, key ids."""
        live = [made.slot for give, _, made in self.grants if not give.revoked]
        return {OWNER.key_id, OWNER.verify_key, *(s.pepper for s in live), *(s.pickup_salt for s in live)}

    def read(self, *tokens: bytes) -> set[tuple[int, int]]:
        """What opens; a name of a lane is nothing that a grant may open."""
        found = opened(self.disk, self.stored() | set(tokens))
        assert [name for name in found if name not in self.content] == []
        return {reading for name in found for reading in self.content[name]}


def play(events: list[list[tuple[int, int]] | Give]) -> World:
    world = World()
    for event in events:
        world.give(event) if isinstance(event, Give) else world.take(event)
    world.finish()
    return world


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_a_token_and_the_whole_disk_open_what_was_granted_and_nothing_else(
    events: list[list[tuple[int, int]] | Give],
) -> None:
    world = play(events)
    for n in range(len(world.grants)):
        assert world.read(world.token(n)) == world.allowed[n]


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_the_disk_alone_opens_nothing_and_all_tokens_together_open_the_union(
    events: list[list[tuple[int, int]] | Give],
) -> None:
    world = play(events)
    assert world.read() == set()
    tokens = [world.token(n) for n in range(len(world.grants))]
    assert world.read(*tokens) == set().union(*world.allowed)


def test_a_story_with_late_readings_two_grants_and_an_end() -> None:
    day = DAY_MS
    january = Give(frozenset({0}), 0, day, history=True, revoked=False)
    march = Give(frozenset({0}), 2 * day, 3 * day, history=False, revoked=False)
    ended = Give(frozenset({1}), 0, 4 * day, history=True, revoked=True)
    world = play(
        [[(0, 5), (1, 5)], january, march, ended, [(0, day + 5), (0, 2 * day + 5)], [(0, 7), (1, 7)]]
    )
    assert world.allowed == [{(0, 5), (0, 7)}, {(0, 2 * day + 5)}, set()]
    assert [world.read(world.token(n)) for n in range(3)] == world.allowed
    assert world.read(world.token(0), world.token(1)) == {(0, 5), (0, 7), (0, 2 * day + 5)}


def test_the_owner_opens_everything() -> None:
    """The control of the adversary itself: with the owner's seed nothing stays shut."""
    world = play([[(0, 5), (1, DAY_MS + 5)], Give(frozenset({0}), 0, DAY_MS, history=True, revoked=False)])
    seed = expand_with_label(b"r" * 32, labels.OWNER_HPKE)
    assert opened(world.disk, {seed}) == {name for name, _, _ in world.disk.things}
    assert opened(world.disk, {b"r" * 32}) == {name for name, _, _ in world.disk.things}
