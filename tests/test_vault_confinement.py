"""A grant opens exactly what was granted: with its token, and every byte of the disk, and everything tried.

Two published systems for encrypted streams are the measure.  In TimeCrypt (NSDI '20) the writer holds the
stream's secrets, and data must come in order: a late reading has no key left.  In Droplet (USENIX Security
'20) the writer holds them too, and its crossed hash chains let two grants [10, 20] and [70, 80] derive the
key of 45.  Here the writer is the real one: it holds the owner's *public* key only, takes late readings of
any day, and what two grants derive together is the union of what each has; at each resolution, and of
finished buckets only.  The same checks must catch the planted writers, and the adversary planted schedules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.adversary import opened
from tests.confined import (
    DAYS,
    DEVICES,
    MINUTE,
    VAULT,
    Burst,
    Change,
    Dark,
    End,
    Event,
    Give,
    Pass,
    Rest,
    Take,
    Wake,
    World,
    check,
    play,
)
from vault import bucket, labels
from vault.bucket import DAY_MS, finish
from vault.gathering import HOUR_MS, Numbers, exactly, gather
from vault.labels import expand_with_label
from vault.observation import Summary
from vault.segment import resolution_key
from vault.store import buckets, lanes, openvault
from vault.store.intake import Delta
from vault.store.openvault import OpenVault
from vault.store.recipients import Blackout, LiveGrant
from vault.store.sealing import seal_buckets
from vault.store.seriesday import Bucket

# A release run has as many as ACCEPTANCE asks for; any other fewer.
CASES = 10_000 if settings().max_examples >= 5000 else 40

HOURS = st.sampled_from([0, 1, 2, 12, 23, 24, 25, 47])
# Bounds at the edges of hours and between them; readings on them, and a millisecond to either side.
EDGES = st.builds(
    lambda hour, minutes: hour * HOUR_MS + minutes * MINUTE, HOURS | st.just(48), st.sampled_from([0, 0, 30])
)
TIMES = st.builds(
    lambda hour, ms: hour * HOUR_MS + ms,
    HOURS,
    st.sampled_from([0, 1, 999, 30 * MINUTE - 1, 30 * MINUTE, HOUR_MS - 1]),
)
ALL = st.just((0, DAYS * DAY_MS))
STRETCHES = st.tuples(EDGES, EDGES).map(lambda two: (min(two), max(two) + (two[0] == two[1]) * HOUR_MS))
BOUNDS = st.one_of(ALL, ALL, st.just((0, DAY_MS)), STRETCHES)
DETAILS = st.builds(
    lambda numbers, places: (("energy", numbers), ("location", places)),
    st.sampled_from(["raw", "hour", "day"]),
    st.sampled_from(["raw", "h3-7", "h3-5"]),
)
GIVES = st.builds(
    lambda devices, details, kinds, bounds, history: Give(
        devices, details[kinds], bounds[0], bounds[1], history
    ),
    st.sampled_from([frozenset({0}), frozenset({1}), frozenset({0, 1})]),
    DETAILS,
    st.sampled_from([slice(0, 2), slice(0, 2), slice(0, 1), slice(1, 2)]),
    BOUNDS,
    st.booleans(),
)
WHICH = st.integers(0, 4)
BURSTS = st.builds(
    Burst,
    st.integers(0, 1),
    st.sampled_from(["energy", "energy", "location"]),
    TIMES,
    st.sampled_from([1, 4, 5, 6, 7]),
)
TAKES = st.lists(BURSTS, min_size=2, max_size=4).map(lambda bursts: Take(tuple(bursts)))
DARKS = st.builds(
    lambda bounds, kind: Dark(bounds[0], bounds[1], kind),
    STRETCHES,
    st.sampled_from(["energy", "location", None]),
)
PASSES = st.sampled_from([1, 1, 30, 60, 71, 11 * 60, 24 * 60 + 11]).map(Pass)
OTHERS: st.SearchStrategy[Event] = st.one_of(
    PASSES,
    TAKES,
    st.builds(Change, WHICH, GIVES),
    st.builds(Rest, WHICH),
    st.builds(Wake, WHICH),
    st.builds(End, WHICH),
    DARKS,
)
# Up to five grants: approvals, commits, time that passes, and whatever happens between.
EVENTS = st.lists(st.tuples(GIVES, OTHERS, TAKES, PASSES, OTHERS, TAKES), min_size=1, max_size=5).map(
    lambda rounds: [event for one in rounds for event in one]
)


@pytest.mark.timeout(7200)
@settings(max_examples=CASES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(TAKES, EVENTS)
def test_each_token_opens_what_was_granted_and_all_together_the_union(
    first: Take, events: list[Event]
) -> None:
    world = play([first, *events])
    event(f"{check(world)} grants opened something")
    for resolution in sorted({resolution for held in world.held for resolution, _ in held.allowed}):
        event(f"opened at {resolution}")


# --- stories ------------------------------------------------------------------------------------------

DAY = DAY_MS
RAW, HOURLY, DAILY = (("energy", "raw"),), (("energy", "hour"),), (("energy", "day"),)
FINE, COARSE = (("location", "h3-7"),), (("location", "h3-5"),)
ALWAYS = (0, DAYS * DAY)


def take(*bursts: tuple[int, str, int, int]) -> Take:
    return Take(tuple(Burst(*burst) for burst in bursts))


def counts(world: World) -> list[dict[str, int]]:
    """How many entries each grant may open, by resolution."""
    found = []
    for held in world.held:
        resolutions = [resolution for resolution, _ in held.allowed]
        found.append({resolution: resolutions.count(resolution) for resolution in sorted(set(resolutions))})
    return found


def test_a_story_with_late_readings_two_grants_and_an_end() -> None:
    world = play(
        [
            take((0, "energy", 5, 2), (1, "energy", 5, 2)),
            Give(frozenset({0}), RAW, 0, DAY, True),
            Give(frozenset({0}), RAW, DAY + HOUR_MS, 2 * DAY, False),
            Give(frozenset({1}), RAW, 0, 2 * DAY, True),
            take((0, "energy", DAY + 5, 1), (0, "energy", DAY + HOUR_MS, 1)),
            End(2),
            take((0, "energy", 9, 1), (1, "energy", 9, 1)),
        ]
    )
    assert counts(world) == [{"raw": 3}, {"raw": 1}, {}]
    assert check(world) == 2


RESOLUTIONS: list[Event] = [
    Give(frozenset({0}), HOURLY, *ALWAYS, False),
    Give(frozenset({0}), DAILY, *ALWAYS, False),
    Give(frozenset({0}), RAW, *ALWAYS, False),
    Give(frozenset({0}), FINE, *ALWAYS, False),
    Give(frozenset({0}), COARSE, *ALWAYS, False),
    take((0, "energy", 0, 7), (0, "location", 0, 7)),
    Pass(71),
    take((0, "energy", HOUR_MS, 6), (0, "energy", 2 * HOUR_MS, 1), (0, "location", HOUR_MS, 1)),
]


def test_each_resolution_opens_its_own_buckets_and_no_other() -> None:
    world = play(RESOLUTIONS)
    assert counts(world) == [{"hour": 2}, {"day": 1}, {"raw": 14}, {"h3-7": 4}, {"h3-5": 2}]
    check(world)


def test_who_may_read_half_an_hour_gets_nothing_of_it() -> None:
    half = HOUR_MS // 2
    world = play(
        [
            Give(frozenset({0}), HOURLY, half, 2 * HOUR_MS, False),
            Give(frozenset({0}), HOURLY, 0, HOUR_MS + half, False),
            Give(frozenset({0}), DAILY, HOUR_MS, 2 * DAY, False),
            take((0, "energy", half, 7), (0, "energy", HOUR_MS, 7), (0, "energy", DAY, 7)),
        ]
    )
    assert counts(world) == [{"hour": 1}, {"hour": 1}, {"day": 1}]
    check(world)


def test_a_pause_takes_the_hours_it_touches() -> None:
    world = play(
        [
            Give(frozenset({0}), HOURLY, *ALWAYS, False),
            Pass(90),
            Rest(0),
            Pass(60),
            Wake(0),
            take(*((0, "energy", n * HOUR_MS, 7) for n in range(4))),
        ]
    )
    assert counts(world) == [{"hour": 2}]  # from half past one until half past two
    check(world)


def test_what_is_narrowed_is_lost_and_what_is_widened_comes_with_its_history() -> None:
    readings = take((0, "energy", 0, 7), (0, "energy", HOUR_MS, 7), (1, "energy", 0, 7))
    raw = Give(frozenset({0, 1}), RAW, *ALWAYS, True)
    world = play([raw, readings, Pass(DAYS * 24 * 60), Change(0, Give(frozenset({0}), DAILY, *ALWAYS, True))])
    assert counts(world) == [{"day": 1}]
    check(world)
    narrow = Give(frozenset({0}), DAILY, *ALWAYS, True)
    world = play(
        [narrow, readings, Pass(DAYS * 24 * 60), Change(0, Give(frozenset({0}), HOURLY, *ALWAYS, True))]
    )
    assert counts(world) == [{"hour": 2}]
    check(world)


def test_of_a_blackout_there_is_nothing_at_any_resolution() -> None:
    world = play(
        [
            *(Give(frozenset({0}), details, *ALWAYS, False) for details in (RAW, HOURLY, DAILY)),
            Dark(HOUR_MS, 2 * HOUR_MS, None),
            take(*((0, "energy", n * HOUR_MS, 6) for n in range(3))),
        ]
    )
    assert counts(world) == [{"raw": 12}, {"hour": 2}, {"day": 1}]
    check(world)


def test_the_owner_opens_everything() -> None:
    """The control of the adversary itself: with the owner's seed nothing stays shut."""
    world = play(RESOLUTIONS)
    seed = expand_with_label(b"r" * 32, labels.OWNER_HPKE)
    everything = {name for name, _, _ in world.disk.things}
    assert world.adversary.opened({seed}) == everything
    assert world.adversary.opened({b"r" * 32}) == everything


def test_an_adversary_who_tries_every_key_on_every_byte_finds_the_same() -> None:
    """The keys that the world names are a short cut, and nothing that is found depends on it."""
    world = play(RESOLUTIONS[:4] + RESOLUTIONS[5:7])
    world.disk.keys = None
    for n in range(len(world.held)):
        found = opened(world.disk, world.stored() | {world.token(n)})
        assert {entry for name in found for entry in world.entries[name]} == world.held[n].allowed


# --- planted ------------------------------------------------------------------------------------------


class Partial(World):
    """Planted: with each commit, what an hour has so far is sealed as its bucket."""

    def _take(self, bursts: Iterable[Burst]) -> None:
        super()._take(bursts)
        found = []
        for device, time in {(one.device, one.at // HOUR_MS * HOUR_MS) for one in bursts}:
            so_far = gather("energy", time)
            for name, held in self.content.items():
                if name[2] == "raw":
                    so_far.add([o for d, o in held if d == device and time <= o.time < time + HOUR_MS])
            so_far.close()
            sealed = finish("hour", "", "energy", time, [so_far])
            day, end = time // DAY_MS, time + HOUR_MS
            found.append(Bucket(DEVICES[device], "", "energy", "hour", day, time, end, sealed))
        delta, state = Delta(VAULT), self.state
        state.next_seq = seal_buckets(state.open, found, state.next_seq, delta, self.entropy)
        state.open.seal_boxes(delta)
        self._commit(delta)


def ratchet(key: bytes, resolution: str) -> bytes:
    """From the day's key the hour's follows, and from that the readings'."""
    order = ["h3-5", "h3-7", "raw"] if resolution.startswith("h3") else ["day", "hour", "raw"]
    for _ in range(order.index(resolution) + 1):
        key = hashlib.sha256(key).digest()
    return key


def downwards(key: bytes, resolution: str) -> bytes:
    """A finer key is derived from a coarser one, as ours are from the lane's."""
    coarser = {"raw": "hour", "hour": "day", "h3-7": "h3-5"}.get(resolution)
    return resolution_key(key if coarser is None else downwards(key, coarser), resolution)


def touches(reader: LiveGrant, since: int, until: int) -> bool:
    """Who may read a part of a bucket gets all of it."""
    return since < reader.until and reader.since < until


def forgets_pauses(reader: LiveGrant, since: int, until: int) -> bool:
    return reader.since <= since and until <= reader.until


def of_all_hours(hours: list[Numbers]) -> list[Summary]:
    """The few numbers of an hour without a bucket are in the day's."""
    merged = gather("energy", hours[0].start)
    assert isinstance(merged, Numbers)
    merged.count = sum(hour.count for hour in hours)
    merged.sums = exactly([part for hour in hours for part in hour.sums])
    merged.low, merged.high = min(hour.low for hour in hours), max(hour.high for hour in hours)
    return [Summary(merged.count, merged.sums[0], merged.low, merged.high, 0.0)] if merged.count > 4 else []


# Something for each planted fault to go wrong with.
EVERYTHING: list[Event] = [
    Give(frozenset({0}), DAILY, *ALWAYS, False),
    Give(frozenset({0}), HOURLY, HOUR_MS // 2, DAYS * DAY, False),
    Give(frozenset({0}), RAW, DAY, DAYS * DAY, False),
    Give(frozenset({0}), HOURLY, *ALWAYS, False),
    Dark(9 * HOUR_MS, 10 * HOUR_MS, None),
    take((0, "energy", 0, 7), (0, "energy", 9 * HOUR_MS, 5)),
    Pass(90),
    Rest(1),
    take((0, "energy", HOUR_MS, 7)),
    Pass(60),
    Wake(1),
    take((0, "energy", 2 * HOUR_MS, 5)),
    Pass(1),
    take((0, "energy", 2 * HOUR_MS + 9, 1), (0, "energy", 3 * HOUR_MS, 1), (0, "energy", DAY, 7)),
    Rest(2),
    take((0, "energy", DAY + 9, 1)),
]
Fault = tuple[str, object, str, object]  # what says so; of what, which attribute, and what it is instead
FAULTS: dict[str, Fault] = {
    "a ratchet over resolutions": ("not what was granted", lanes, "resolution_key", ratchet),
    "finer keys from coarser ones": ("not what was granted", lanes, "resolution_key", downwards),
    "one key for all resolutions": (
        "not what was granted", lanes, "resolution_key", lambda key, _: resolution_key(key, "raw"),
    ),
    "buckets seen in part": ("not what was granted", LiveGrant, "may", touches),
    "pauses forgotten": ("not what was granted", LiveGrant, "may", forgets_pauses),
    "a bucket in anybody's lane": ("not what was granted", openvault, "_same", lambda *_: True),
    "no rotation": ("not what was granted", OpenVault, "_retire", lambda *_: None),
    "blackouts ignored": ("of a blackout", Blackout, "covers", lambda *_: False),
    "buckets of one reading": ("tell few", bucket, "FEWEST", 1),
    "few numbers in the day alone": ("tell few", bucket, "_summary", of_all_hours),
    "buckets that are not over": ("not over", buckets, "QUIET_MS", -DAY_MS),
}  # fmt: skip


def test_the_story_of_the_planted_faults_is_right_without_them() -> None:
    world = play(EVERYTHING)
    assert counts(world) == [{"day": 2}, {"hour": 1}, {"raw": 7}, {"hour": 4}]
    check(world)


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Controls: the same story on writers that are wrong in one place."""
    says, of, attribute, instead = FAULTS[name]
    monkeypatch.setattr(of, attribute, instead)
    with pytest.raises(AssertionError, match=says):
        check(play(EVERYTHING))


def test_partial_buckets_are_caught() -> None:
    with pytest.raises(AssertionError, match="not over"):
        play(EVERYTHING, Partial)


@pytest.mark.parametrize(
    ("sets", "told_apart"),
    [
        ([0b11111], set()),
        ([0b01111], {0b01111}),
        ([0b11111, 0b111111], {0b100000}),
        ([0b11111, 0b1111100000, 0b11111111111], {0b10000000000}),
        ([0b11111, 0b1111100000, 0b1111111111], set()),
        ([0b11111, 0b1111111111], set()),
    ],
    ids=str,
)
def test_differences_of_buckets_that_tell_few_readings_are_found(
    sets: list[int], told_apart: set[int]
) -> None:
    """Partial buckets, however they came about: what the second has more than the first."""
    world = World()
    world.covered = {("hour", n): (0, bits) for n, bits in enumerate(sets)}
    assert told_apart <= world.isolated(world.covered)
    assert bool(told_apart) == bool(world.isolated(world.covered))
