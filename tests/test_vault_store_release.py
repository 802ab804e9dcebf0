"""Pages: in order of arrival, clipped to the permit, complete whatever their size, none after the end."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.decide import Permit
from policies.grant import Refusal
from tests.world import Asked, Device, RefusedError, World, at, scratch
from vault.errors import SealError, VaultError
from vault.store import grants
from vault.store.release import Page, page


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def granted(world: World, *kinds: str, channels: tuple[str, ...] | None = None) -> tuple[Device, Asked]:
    """A meter and a grant of some kinds of it."""
    meter = world.person().device()
    asked = Asked(meter.person, world.brand(), *kinds)
    selectors = [meter.selector(kind, channels) for kind in kinds or ("temperature",)]
    meter.person.approve(asked, *selectors)
    return meter, asked


def values(found: Page) -> list[object]:
    """What is on a page."""
    return [one.observation.value for one in found.readings]


def test_readings_come_in_order_of_arrival_whatever_lane_and_day_they_are_of(world: World) -> None:
    meter, asked = granted(world, "temperature", "humidity")
    meter.publish(at(world, 3 * 86_400, 1), at(world, 5, 2, "humidity"), at(world, 1, 3))
    meter.publish(at(world, 2 * 86_400, 4, "humidity"), at(world, 0, 5))
    world.reopen()  # merged: the chunks of the lanes overlap
    meter.publish(at(world, 0, 6, "humidity"))
    assert [(one.seq, one.observation.value) for one in asked.read()] == [(n, float(n)) for n in range(1, 7)]


def test_paging_with_every_limit_gives_the_same_readings(world: World) -> None:
    meter, asked = granted(world, "temperature", "humidity")
    for n in range(6):
        meter.publish(
            *(at(world, n % 3 * 86_400, n * 3 + k, ("temperature", "humidity")[k % 2]) for k in range(3))
        )
        if n == 3:
            world.reopen()
    whole = asked.read(limit=1000)
    assert len(whole) == 18
    for limit in range(1, 20):
        assert list(asked.pages(asked.keys(), limit)) == whole


@settings(max_examples=20)
@given(data=st.data())
def test_whatever_was_sent_in_whatever_commits_pages_give_it_once_in_order(data: st.DataObject) -> None:
    path = scratch()
    try:
        world = World(path)
        meter, asked = granted(world, "temperature", "humidity")
        count = itertools.count(1)
        keys, after, found = asked.keys(), 0, list[object]()
        steps = st.lists(
            st.one_of(
                st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["temperature", "humidity", "co2"]))),
                st.sampled_from(["merge", "crash", "page"]),
            ),
            max_size=12,
        )
        sent: list[object] = []
        for step in data.draw(steps):
            if isinstance(step, list):
                batch = [(next(count), day, kind) for day, kind in step]
                meter.publish(*(at(world, day * 86_400, n, kind) for n, day, kind in batch))
                sent += [float(n) for n, _, kind in batch if kind != "co2"]
            elif step == "merge":
                world.writer.close_quiet(everything=True)
            elif step == "crash":
                world.crash()
            else:
                got = asked.page(keys, after, data.draw(st.integers(1, 4)))
                after = got.last_seq
                found += values(got)
        found += [one.observation.value for one in asked.pages(keys, 3, after)]
        assert found == sent
    finally:
        world.kill()
        shutil.rmtree(path)


def test_late_readings_appear_after_the_cursor(world: World) -> None:
    meter, asked = granted(world)
    meter.publish(at(world, 2 * 86_400, 1), at(world, 3 * 86_400, 2))
    keys = asked.keys()
    first = asked.page(keys)
    assert (values(first), first.more) == ([1.0, 2.0], False)
    empty = asked.page(keys, first.last_seq)
    assert (values(empty), empty.last_seq) == ([], first.last_seq)
    meter.publish(at(world, 1, 3))
    assert values(asked.page(keys, empty.last_seq)) == [3.0]


def test_a_lane_that_appeared_after_the_keys_were_looked_up_is_not_passed_by(world: World) -> None:
    """Box and chunk are looked at in one view: a cursor never comes back."""
    meter, asked = granted(world)
    meter.send(1)
    keys, permit = asked.keys(), asked.permit()
    world.flush(meter.person)
    keys.refresh(world.reader)
    meter.send(2, channel="new")
    meter.send(3)
    world.flush(meter.person)
    assert isinstance(permit, Permit)
    assert values(page(world.reader, permit, keys, 0, 10)) == [1.0, 2.0, 3.0]


CLIPS: dict[str, tuple[dict[str, Any], list[float]]] = {
    "everything": ({}, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
    "one kind": ({"kinds": ("humidity",)}, [1.0, 3.0, 5.0]),
    "from a second on": ({"since": 2}, [2.0, 3.0, 4.0, 5.0]),
    "until a second, which is not in it": ({"until": 4}, [0.0, 1.0, 2.0, 3.0]),
    "both": ({"since": 1, "until": 3, "kinds": ("temperature",)}, [2.0]),
    "nothing": ({"since": 2, "until": 2}, []),
    "before the grant": ({"until": -100_000}, []),
    "after the grant": ({"since": 10_000_000_000}, []),
}


@pytest.mark.parametrize("clip", CLIPS)
def test_a_page_holds_what_the_permit_covers_although_the_keys_open_more(world: World, clip: str) -> None:
    meter, asked = granted(world, "temperature", "humidity")
    now = world.clock() // 1000
    meter.publish(*(at(world, n, n, ("temperature", "humidity")[n % 2]) for n in range(6)))
    read, expected = CLIPS[clip]
    moved = {
        name: (min(now + value, 200_000_000_000) if isinstance(value, int) else value)
        for name, value in read.items()
    }
    assert [one.observation.value for one in asked.pages(asked.keys(), **moved)] == expected
    assert [one.observation.value for one in asked.pages(asked.keys(), 1, **moved)] == expected


def test_a_permit_of_some_channels_does_not_release_others(world: World) -> None:
    """The permit counts even where the boxes hold more, as after a mistake of a client."""
    meter = world.person().device()
    wide, narrow = Asked(meter.person, world.brand()), Asked(meter.person, world.brand())
    meter.person.approve(wide, meter.selector())
    meter.person.approve(narrow, meter.selector(channels=("a",)))
    meter.send(1, channel="a")
    meter.send(2, channel="b")
    world.flush(meter.person)
    permit = narrow.permit()
    assert isinstance(permit, Permit)
    assert values(page(world.reader, permit, wide.keys(), 0, 10)) == [1.0]


def test_an_empty_permit_opens_nothing(world: World) -> None:
    meter, asked = granted(world)
    meter.send(1)
    now = world.clock() // 1000
    assert asked.page(asked.keys(), 7, since=now + 5, until=now + 5) == Page([], 7, False, 0)


def test_another_grants_keys_and_another_tokens_open_nothing(world: World) -> None:
    meter, asked = granted(world)
    other = Asked(meter.person, world.brand(), "humidity")
    meter.person.approve(other, meter.selector("humidity"))
    meter.send(1)
    assert asked.read() != []
    permit = asked.permit()
    assert isinstance(permit, Permit)
    assert page(world.reader, permit, other.keys(), 0, 10).readings == []
    with pytest.raises(VaultError):
        asked.keys(other.token())


@pytest.mark.parametrize("moment", range(5))
def test_a_revocation_between_any_two_steps_of_a_read_leaves_no_page_after_it(
    world: World, moment: int
) -> None:
    """D3, D6: every interleaving of one read with one revocation; the last step is the door's second look."""
    meter, asked = granted(world)
    for value in range(3):
        meter.send(value)
    world.flush(meter.person)
    read = Reading(asked)
    for number, step in enumerate((read.authenticate, read.decide, read.release, read.decide)):
        if number == moment:
            meter.person.revoke(asked)
        try:
            step()
        except (LookupError, SealError, RefusedError):
            break
    else:
        assert moment == 4
    assert len(read.pages) == (moment > 2)


class Reading:
    """A door's read, step by step."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.pages: list[Page] = []

    def authenticate(self) -> None:
        self.keys = self.asked.keys()

    def decide(self) -> None:
        permit = self.asked.permit()
        if isinstance(permit, Refusal):
            raise LookupError(permit.code)
        self.permit = permit

    def release(self) -> None:
        self.pages.append(page(self.asked.person.world.reader, self.permit, self.keys, 0, 2))


def test_a_read_that_began_before_a_revocation_ends_at_its_next_page(world: World) -> None:
    meter, asked = granted(world)
    for value in range(10):
        meter.send(value)
    pages = asked.pages(asked.keys(), 2)
    assert [next(pages).observation.value for _ in range(4)] == [0.0, 1.0, 2.0, 3.0]
    grants.revoke(world.writer, meter.person.vault, asked.grant)
    with pytest.raises(RefusedError):
        next(pages)


def test_a_year_is_read_chunk_by_chunk(world: World) -> None:
    """Days outside the permit are not even opened."""
    meter, asked = granted(world)
    now = world.clock() // 1000
    meter.publish(*(at(world, 86_400 * day, day) for day in range(25)))
    world.reopen()
    some = asked.page(asked.keys(), since=now + 5 * 86_400, until=now + 7 * 86_400)
    assert (values(some), some.lanes) == ([5.0, 6.0], 3)
