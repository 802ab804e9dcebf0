"""What a grant's terms leave of a page: its resolution, whole buckets, no pause, no more than its limits."""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.decide import Permit, Read, decide
from policies.grant import Active
from policies.minimise import Limit
from tests.world import DAY_MS, Asked, Device, World
from vault.gathering import HOUR_MS
from vault.ids import DeviceId
from vault.observation import Observation, Summary
from vault.store.release import EXAMINED, Page, Released, page
from vault.store.sieve import Sieve


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def given_at(meter: Device, resolution: str, *limits: Limit, days: int = 30) -> Asked:
    """A grant of the temperature, with all of its history, from now on."""
    asked = Asked(meter.person, meter.person.world.brand())
    selector = msgspec.structs.replace(meter.selector(), resolution=resolution)
    terms = msgspec.structs.replace(asked.terms(selector, days=days), limits=limits)
    prepared = meter.person.prepare(asked, meter.person.statement(asked, terms))
    meter.person.commit(asked, terms, prepared.segments)
    return asked


def hours_pass(world: World, meter: Device, hours: int) -> None:
    """Twelve readings an hour, and the node seals what is finished."""
    for _ in range(hours):
        for _ in range(12):
            world.pass_time(HOUR_MS // 12)
            meter.send(world.clock() // 60_000 % 100)
    world.pass_time(11 * 60_000)
    while world.writer.seal_buckets():
        pass


def permit_of(asked: Asked, **read: object) -> Permit:
    """What the door decides now."""
    found = asked.permit(Read(**read))  # type: ignore[arg-type]  # as Read takes them
    assert isinstance(found, Permit)
    return found


def test_a_grant_of_hours_gives_hours_and_whoever_has_readings_gives_those(world: World) -> None:
    meter = world.person().device()
    hours, raw = given_at(meter, "hour"), given_at(meter, "raw")
    hours_pass(world, meter, 4)
    assert {one.resolution for one in hours.read()} == {"hour"}
    assert {one.resolution for one in raw.read()} == {"raw"}
    counts = [
        one.observation.value.count for one in hours.read() if isinstance(one.observation.value, Summary)
    ]
    assert counts == [11, 12, 12, 12]  # it was given at noon; the last hour is not over


def test_a_permit_releases_its_resolution_whatever_the_keys_open(world: World) -> None:
    """As after a mistake of a client, or of the node: boxes that hold more than the terms give."""
    meter = world.person().device()
    hours, raw = given_at(meter, "hour"), given_at(meter, "raw")
    hours_pass(world, meter, 3)
    world.flush(meter.person)
    for permit, keys in ((permit_of(hours), raw.keys()), (permit_of(raw), hours.keys())):
        assert page(world.reader, permit, keys, 0, 1000).readings == []
    assert page(world.reader, permit_of(raw), raw.keys(), 0, 1000).readings != []


def test_a_bucket_at_the_edge_of_a_read_is_left_out(world: World) -> None:
    meter = world.person().device()
    hours = given_at(meter, "hour")
    hours_pass(world, meter, 6)
    whole = hours.read()
    first, last = whole[0].observation.time // 1000, whole[-1].observation.time // 1000
    assert hours.read(since=first, until=last + 3600) == whole
    assert hours.read(since=first + 1, until=last + 3600) == whole[1:]
    assert hours.read(since=first, until=last + 3599) == whole[:-1]


def test_nothing_of_a_pause_is_released_nor_a_bucket_that_touches_it(world: World) -> None:
    """The keys alone would open readings of the second in which it began: the permit leaves them out."""
    meter = world.person().device()
    hours, raw = given_at(meter, "hour"), given_at(meter, "raw")
    hours_pass(world, meter, 3)
    world.flush(meter.person)
    for asked in (hours, raw):
        permit = permit_of(asked)
        assert page(world.reader, permit, asked.keys(), 0, 1000).readings == asked.read()
        row = world.reader.grant(meter.person.vault, asked.grant)
        assert row is not None
        assert isinstance(row.state, Active)
        gap = (asked.read()[1].observation.time // 1000, asked.read()[1].observation.time // 1000 + 1)
        paused = decide(Read(), msgspec.structs.replace(row.state, gaps=(gap,)), world.clock())
        assert isinstance(paused, Permit)
        left = page(world.reader, paused, asked.keys(), 0, 1000).readings
        assert left == [asked.read()[0], *asked.read()[2:]]


def test_a_page_ends_at_the_number_it_may_go_up_to(world: World) -> None:
    meter = world.person().device()
    raw = given_at(meter, "raw")
    meter.send(*range(10))
    world.flush(meter.person)
    keys, permit = raw.keys(), permit_of(raw)
    assert [one.seq for one in page(world.reader, permit, keys, 2, 100, 6).readings] == [3, 4, 5, 6]
    cut = page(world.reader, permit, keys, 2, 2, 6)
    assert ([one.seq for one in cut.readings], cut.more) == ([3, 4], True)
    assert page(world.reader, permit, keys, 4, 2, 6).more is False
    assert page(world.reader, permit, keys, 6, 2, 6) == Page([], 6, False, 0)


def test_a_month_of_days_opens_a_month_of_days(world: World) -> None:
    """Neither the readings nor the hours beside them, nor the days of other months."""
    meter = world.person().device()
    asked = given_at(meter, "day", days=90)
    for _ in range(40):
        meter.send(*range(6))
        world.pass_time(DAY_MS)
        world.writer.close_quiet()
    world.flush(meter.person)
    permit, keys = permit_of(asked), asked.keys()
    since = (world.clock() // DAY_MS - 31) * 86_400
    some = permit_of(asked, since=since, until=since + 30 * 86_400)
    index = list(
        world.reader.chunk_index(meter.person.vault, 0, ("day",), since // 86_400, since // 86_400 + 29)
    )
    assert len(index) <= 30
    assert {resolution for *_, resolution in index} == {"day"}
    opened = page(world.reader, some, keys, 0, 1000)
    assert (
        opened.readings
        == [
            one
            for one in page(world.reader, permit, keys, 0, 1000).readings
            if one.observation.time >= since * 1000
        ][:30]
    )
    by_seq = list(
        world.reader.chunk_index(meter.person.vault, 1, ("day",), since // 86_400, since // 86_400 + 29)
    )
    assert by_seq == index


# --- limits ----------------------------------------------------------------------------------------------

EVERY = Limit(kind="temperature", every=600)


def minutely(world: World, meter: Device, minutes: int) -> None:
    for value in range(minutes):
        world.pass_time(60_000)
        meter.send(value)


def test_how_seldom_a_series_is_given_depends_on_no_page_and_no_range(world: World) -> None:
    """A brand that moves the range second by second gets one reading in ten minutes all the same."""
    meter = world.person().device()
    asked = given_at(meter, "raw", EVERY)
    minutely(world, meter, 65)
    whole = asked.read()
    stretches = [one.observation.time // 600_000 for one in whole]
    assert len(whole) == len(set(stretches)) == 7
    for limit in (1, 2, 3, 100):
        assert list(asked.pages(asked.keys(), limit)) == whole
    begin = whole[0].observation.time // 1000
    moved = {one.seq for shift in range(0, 1200, 60) for one in asked.read(since=begin + shift)}
    assert moved == {one.seq for one in whole}
    unlimited = given_at(meter, "raw")
    minutely(world, meter, 5)
    assert len(unlimited.read()) == 5  # the control


def test_a_limit_holds_after_a_merge_and_a_crash(world: World) -> None:
    meter = world.person().device()
    asked = given_at(meter, "raw", EVERY)
    minutely(world, meter, 25)
    before = asked.read()
    first = asked.page(asked.keys(), limit=1)
    world.reopen()
    minutely(world, meter, 5)
    world.crash()
    rest = list(asked.pages(asked.keys(), 1, first.last_seq))
    assert [*first.readings, *rest][: len(before)] == before
    stretches = [one.observation.time // 600_000 for one in (*first.readings, *rest)]
    assert len(stretches) == len(set(stretches))


def test_a_page_that_finds_little_ends_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how far it looked, and that there is more."""
    assert EXAMINED >= 100_000
    monkeypatch.setattr("vault.store.release.EXAMINED", 20)
    monkeypatch.setattr("vault.store.release._BATCH", 8)
    meter = world.person().device()
    asked = given_at(meter, "raw", EVERY)
    minutely(world, meter, 65)
    first = asked.page(asked.keys(), limit=1000)
    assert first.more
    assert first.last_seq < 65
    assert len(list(asked.pages(asked.keys(), 1000))) == 7


readings = st.lists(
    st.tuples(st.integers(0, 3 * 86_400), st.sampled_from(["temperature", "humidity"])), max_size=40
)


@settings(max_examples=60)
@given(readings, st.sampled_from([60, 600, 3600, 86_400]), st.data())
def test_a_sieve_passes_the_same_however_batches_are_cut(
    times: list[tuple[int, str]], every: int, data: st.DataObject
) -> None:
    device = DeviceId(bytes(16))
    arrived = [
        Released(seq, device, Observation("", kind, time * 1000, float(seq)))
        for seq, (time, kind) in enumerate(times, 1)
    ]
    limits = (Limit(kind="temperature", every=every),)
    cut = data.draw(st.integers(0, len(arrived)))
    covers = data.draw(st.sampled_from([0, 3600, 90_000]))

    def passed(begin: int, pieces: int) -> Iterator[Released]:
        def before(kinds: Set[str], day: int) -> list[Released]:
            earlier = [one for one in arrived[:begin] if one.observation.kind in kinds]
            return [one for one in earlier if one.observation.time // DAY_MS == day]

        sieve = Sieve(limits, before)
        for at_ in range(begin, len(arrived), pieces):
            yield from sieve.pass_on(
                arrived[at_ : at_ + pieces], lambda one: one.observation.time >= covers * 1000
            )

    whole = list(passed(0, 1000))
    assert list(passed(0, 3)) == whole
    assert list(passed(cut, 2)) == [one for one in whole if one.seq > cut]
