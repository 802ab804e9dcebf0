"""Which keys a grant is given: those under which it may read all there is, and all that ever will be.

A key of a lane is given when the lane is opened, before anything is sealed under it.  So who has it decides
what may be put there.  Here the boxes on the disk are opened as their grants would, and every bucket that
they open must lie wholly in what was granted; and none may be missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.terms import Selector
from tests.world import DAY_MS, Device, World, scratch
from vault.bucket import SPANS
from vault.chunk import ChunkHeader, open_chunk
from vault.errors import SealError
from vault.ids import GrantId
from vault.observation import Observation
from vault.segment import Lane, SegmentHeader, open_grant_box
from vault.store.openvault import OpenVault
from vault.store.recipients import Blackout, LiveGrant
from vault.suite import Recipient

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
Opened = dict[str, list[Observation]]  # by resolution


@pytest.fixture
def world(memory_path: Path) -> World:
    made = World(memory_path)
    made.clock.now = made.clock.now // DAY_MS * DAY_MS
    return made


class Reader:
    """Somebody whom the writer seals to; times are milliseconds from the first day's beginning."""

    def __init__(self, device: Device, number: int, resolution: str | None) -> None:
        self.device, self.resolution = device, resolution
        self.grant, self.recipient = GrantId(bytes((number,)) * 16), Recipient(bytes((number,)) * 32)
        self.selectors = (Selector(device.id.text, "temperature", None, resolution),)
        person = device.person  # there is no request, and so no row, that the boxes could belong to
        person.world.writer.file(person.vault).connection.execute("PRAGMA foreign_keys=OFF")

    def admit(self, since: int, until: int, gaps: tuple[tuple[int, int], ...] = ()) -> LiveGrant:
        """From now on it is given these times."""
        live = LiveGrant(self.grant, self.recipient.public, self.selectors, since, until, gaps)
        vault(self.device).admit(live)
        return live

    def opens(self) -> Opened:
        """Everything that its boxes open."""
        person = self.device.person
        person.world.flush(person)
        reader, found = person.world.reader, defaultdict[str, list[Observation]](list)
        for _, segments, box in reader.boxes(person.vault, self.grant, 0):
            keys = open_grant_box(
                self.recipient, person.owner.key_id, person.vault, self.grant, segments, box
            )
            for key in keys:
                header = SegmentHeader.decode(reader.segment_header(person.vault, key.segment) or b"")
                for chunk in reader.chunks(person.vault, [header.segment], 0, 0):
                    if chunk.number != key.number:
                        continue
                    place = ChunkHeader(
                        header,
                        Lane.decode(key.lane),
                        chunk.first_seq,
                        chunk.last_seq,
                        chunk.count,
                        chunk.resolution,
                    )
                    try:
                        opened = open_chunk(key.key, place, chunk.body)
                    except SealError:
                        assert chunk.resolution != key.resolution
                        continue
                    assert chunk.resolution == key.resolution
                    found[chunk.resolution] += opened.observations
        return dict(found)


def vault(device: Device) -> OpenVault:
    """The writer's memory."""
    return device.person.world.writer.state(device.person.vault).open


def send(device: Device, time: int) -> None:
    """Six readings of ten minutes from this time, as they happen."""
    for minute in range(6):
        at = time + minute * MINUTE_MS
        device.person.world.clock.now = max(device.person.world.clock.now, at)
        assert device.publish(Observation("", "temperature", at, float(minute)))


def finish(world: World, time: int) -> None:
    """What a node does when this time has come."""
    world.clock.now = max(world.clock.now, time)
    while world.writer.seal_buckets():
        pass


def starts(opened: Opened, resolution: str, start: int) -> list[int]:
    """Which hours of the day are opened."""
    return sorted({(one.time - start) // HOUR_MS for one in opened.get(resolution, [])})


@pytest.mark.parametrize("resolution", ["raw", "hour", "day"])
def test_a_grant_at_a_resolution_opens_that_and_nothing_else(world: World, resolution: str) -> None:
    device = world.person().device()
    start = world.clock()
    reader = Reader(device, 1, resolution)
    reader.admit(start, start + DAY_MS)
    for hour in (1, 2, 3):
        send(device, start + hour * HOUR_MS)
    finish(world, start + DAY_MS + 11 * MINUTE_MS)
    opened = reader.opens()
    assert set(opened) == {resolution}
    assert starts(opened, resolution, start) == ([0] if resolution == "day" else [1, 2, 3])


def test_one_lane_holds_readings_and_buckets_for_everybody_who_was_there_all_day(world: World) -> None:
    device = world.person().device()
    start = world.clock()
    for number, resolution in enumerate(("raw", "hour", "day", "hour"), start=1):
        Reader(device, number, resolution).admit(start, start + 2 * DAY_MS)
    for hour in range(5):
        send(device, start + hour * HOUR_MS)
    finish(world, start + DAY_MS + 11 * MINUTE_MS)
    segment = vault(device).segments[start // DAY_MS]
    assert len(segment.lanes) == 1


def test_who_comes_or_goes_during_an_hour_gets_nothing_of_it_and_no_bucket_is_cut(world: World) -> None:
    device = world.person().device()
    start = world.clock()
    early, late = Reader(device, 1, "hour"), Reader(device, 2, "hour")
    early.admit(start, start + 2 * DAY_MS)
    for hour in range(6):
        send(device, start + hour * HOUR_MS)
        if hour == 2:
            vault(device).dismiss(early.grant)
        if hour == 3:
            late.admit(world.clock(), start + 2 * DAY_MS)
    finish(world, start + DAY_MS + 11 * MINUTE_MS)
    assert starts(early.opens(), "hour", start) == []  # finished hours went out after it was gone
    assert starts(late.opens(), "hour", start) == [4, 5]
    assert [one.observation.time - start for one in device.person.buckets()["hour"]] == [
        hour * HOUR_MS for hour in range(6)
    ]
    assert device.person.cut() == set()


@pytest.mark.parametrize(("since", "until", "hours"), [
    (0, 4 * HOUR_MS, [0, 1, 2, 3]),
    (1, 4 * HOUR_MS, [1, 2, 3]),
    (HOUR_MS, 4 * HOUR_MS - 1, [1, 2]),
    (HOUR_MS + 1000, 2 * HOUR_MS - 1000, []),
])  # fmt: skip
def test_a_bucket_is_given_only_where_bounds_contain_all_of_it(
    world: World, since: int, until: int, hours: list[int]
) -> None:
    device = world.person().device()
    start = world.clock()
    reader, daily = Reader(device, 1, "hour"), Reader(device, 2, "day")
    reader.admit(start + since, start + until)
    daily.admit(start + since, start + until)
    for hour in range(6):
        send(device, start + hour * HOUR_MS)
        finish(world, world.clock())
    finish(world, start + DAY_MS + 11 * MINUTE_MS)
    assert starts(reader.opens(), "hour", start) == hours
    assert daily.opens() == {}


def test_of_a_gap_nothing_is_given_at_any_resolution(world: World) -> None:
    device = world.person().device()
    start = world.clock()
    gap = (start + 2 * HOUR_MS + 3 * MINUTE_MS, start + 4 * HOUR_MS)
    readers = [Reader(device, n, resolution) for n, resolution in enumerate(("raw", "hour", "day"), start=1)]
    for reader in readers:
        reader.admit(start, start + 2 * DAY_MS, (gap,))
    for hour in range(6):
        send(device, start + hour * HOUR_MS)
        finish(world, world.clock())
    finish(world, start + DAY_MS + 11 * MINUTE_MS)
    raw, hourly, daily = (reader.opens() for reader in readers)
    assert [one for one in raw["raw"] if gap[0] <= one.time < gap[1]] == []
    assert len(raw["raw"]) == 6 * 6 - 6 - 3
    assert starts(hourly, "hour", start) == [0, 1, 4, 5]
    assert daily == {}


def test_of_a_blackout_nothing_is_given_at_any_resolution(world: World) -> None:
    device = world.person().device()
    start = world.clock()
    readers = [Reader(device, n, resolution) for n, resolution in enumerate(("raw", "hour", "day"), start=1)]
    for reader in readers:
        reader.admit(start, start + 2 * DAY_MS)
    send(device, start)
    begins, ends = start + 2 * HOUR_MS, start + 3 * HOUR_MS + 2 * MINUTE_MS
    vault(device).set_blackouts([Blackout(begins, ends, frozenset({"temperature"}))])
    for hour in range(1, 6):
        send(device, start + hour * HOUR_MS)
        finish(world, world.clock())
    finish(world, start + DAY_MS + 11 * MINUTE_MS)
    raw, hourly, daily = (reader.opens() for reader in readers)
    assert [one for one in raw["raw"] if begins <= one.time < ends] == []
    assert len(raw["raw"]) == 6 * 6 - 6 - 2
    assert starts(hourly, "hour", start) == [0, 1, 4, 5]  # of 3 there are four readings left, too few
    assert [one.value.count for one in daily["day"]] == [24]  # type: ignore[union-attr]  # a summary


def test_another_kind_is_not_touched_by_a_blackout(world: World) -> None:
    device = world.person().device()
    reader = Reader(device, 1, "raw")
    reader.admit(0, world.clock() + DAY_MS)
    now = world.clock()
    vault(device).set_blackouts([Blackout(now, now + DAY_MS, frozenset({"humidity"}))])
    send(device, now)
    assert len(reader.opens()["raw"]) == 6


def test_at_two_resolutions_a_series_is_given_at_the_finer_and_never_at_one_it_does_not_have() -> None:
    device, key = "d" * 26, Recipient(bytes(32)).public

    def reads(*resolutions: str | None) -> str | None:
        selectors = tuple(Selector(device, "temperature", None, one) for one in resolutions)
        return LiveGrant(GrantId(bytes(16)), key, selectors, 0, 1).reads(device, "", "temperature")

    assert [reads("day", "hour"), reads("hour", "raw"), reads(None), reads("h3-7"), reads()] == [
        "hour", "raw", "raw", None, None
    ]  # fmt: skip


# --- whatever is granted, and whenever ---------------------------------------------------------------------

QUARTER = 15 * MINUTE_MS
TIMES = st.integers(0, 2 * 96).map(lambda quarter: quarter * QUARTER)
SPAN = st.lists(TIMES, min_size=2, max_size=2, unique=True).map(lambda pair: (min(pair), max(pair)))
ADMITS = st.tuples(
    st.integers(1, 4), st.sampled_from(["raw", "hour", "day"]), SPAN, st.lists(SPAN, max_size=1).map(tuple)
)
Admit = tuple[int, str, tuple[int, int], tuple[tuple[int, int], ...]]  # who, how, bounds, gaps
Changes = list[tuple[int, Admit | int]]  # hour, who comes or goes
CHANGES = st.lists(st.tuples(st.integers(0, 60), st.one_of(ADMITS, st.integers(1, 4))), max_size=8)


def play(changes: Changes) -> None:
    """A day and a half of a device, with these changes of who may read (at hours, from 0)."""
    path = scratch()
    world = World(path)
    start = world.clock.now = world.clock.now // DAY_MS * DAY_MS
    device = world.person().device()
    readers: dict[int, Reader] = {}
    ever: dict[int, list[LiveGrant]] = defaultdict(list)
    for hour in range(36):
        for at, change in changes:
            if at != hour:
                continue
            if isinstance(change, int):
                vault(device).dismiss(GrantId(bytes((change,)) * 16))
                continue
            number, resolution, (since, until), gaps = change
            one = readers.setdefault(number, Reader(device, number, resolution))
            moved = tuple((start + begins, start + ends) for begins, ends in gaps)
            ever[number].append(one.admit(start + since, start + until, moved))
        send(device, start + hour * HOUR_MS + 50 * MINUTE_MS)
        finish(world, world.clock())
    finish(world, start + 2 * DAY_MS + 11 * MINUTE_MS)
    for number, reader in readers.items():
        for resolution, some in reader.opens().items():
            span = SPANS.get(resolution, 1)
            assert {one.time for one in some if not _may(ever[number], one.time, one.time + span)} == set()
    for resolution in ("hour", "day"):  # who was there when the last bucket was sealed has it
        last = [one.observation for one in device.person.buckets()[resolution]][-1]
        for live in vault(device).readers.values():
            given = live.reads(device.id.text, "", "temperature") == resolution
            if given and live.may(last.time, last.time + SPANS[resolution]):
                mine = next(one for one in readers.values() if one.grant == live.grant)
                assert last in mine.opens().get(resolution, [])
    world.kill()


def _may(ever: list[LiveGrant], since: int, until: int) -> bool:
    return any(one.may(since, until) for one in ever)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(CHANGES)
def test_every_bucket_that_a_grant_opens_lies_wholly_in_what_it_was_given(
    changes: Changes,
) -> None:
    play(changes)


def _anybody(_some: Collection[LiveGrant], _others: Collection[LiveGrant]) -> bool:
    return True


def _any_part(self: LiveGrant, since: int, until: int) -> bool:
    return self.since < until and since < self.until


@pytest.mark.parametrize("bad", ["any lane is shared", "a part of the bucket is enough"])
def test_a_writer_that_shares_lanes_wrongly_is_found_out(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The known-bad controls."""
    story: Changes = [
        (0, (1, "hour", (0, 2 * 96 * QUARTER), ())),
        (0, (2, "hour", (2 * HOUR_MS + QUARTER, 40 * HOUR_MS), ())),
    ]
    play(story)
    if bad == "any lane is shared":
        monkeypatch.setattr("vault.store.openvault._same", _anybody)
    else:
        real = OpenVault._readers_of
        monkeypatch.setattr(
            OpenVault,
            "_readers_of",
            lambda self, *place: tuple(
                reader
                for reader in self.readers.values()
                if reader in real(self, *place) or _any_part(reader, *place[-2:])
            ),
        )
    with pytest.raises(AssertionError):
        play(story)
