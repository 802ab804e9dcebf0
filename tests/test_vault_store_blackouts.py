"""Blackouts: in that time nothing is sealed to any grant, whenever it arrives, and a crash forgets none."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.iso8601 import DAY
from tests.deaths import deaths
from tests.world import Asked, Device, World, at, expect
from vault.store import blackouts
from vault.store.blackouts import BLACKOUTS_MAX, SPAN_MAX
from vault.store.records import No

HOUR = 3_600_000
ONE, TWO = b"1" * 16, b"2" * 16


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def given(world: World) -> tuple[Device, Asked]:
    """A meter that sent 1, and a grant of all that it sends."""
    meter = world.person().device()
    meter.send(1)
    asked = Asked(meter.person, world.brand(), "temperature", "humidity")
    meter.person.approve(asked, meter.selector(), meter.selector("humidity"), history=True)
    world.pass_time(HOUR)
    return meter, asked


def black(asked: Asked, hours: int = 2, *kinds: str, name: bytes = ONE) -> No | None:
    """From now on for some hours."""
    now = asked.person.world.clock() // 1000
    writer, vault = asked.person.world.writer, asked.person.vault
    return blackouts.add_blackout(writer, vault, name, now, now + hours * 3600, list(kinds))


def values(asked: Asked) -> list[object]:
    """What the brand can read."""
    return [one.observation.value for one in asked.read()]


def refused(code: str, outcome: object) -> bool:
    """Whether the answer is a no of this sort."""
    return isinstance(outcome, No) and outcome.code == code


@pytest.mark.parametrize("again", ["as it runs", "reopened", "crashed"])
def test_nothing_of_a_blackout_is_ever_given_and_a_gap_looks_like_no_data(world: World, again: str) -> None:
    meter, asked = given(world)
    generation = world.writer.file(meter.person.vault).generation()
    expect(black(asked))
    assert world.writer.file(meter.person.vault).generation() == generation + 1
    assert world.writer.live.generation(meter.person.vault) == generation + 1
    world.pass_time(HOUR)
    if again == "reopened":
        world.reopen()
    elif again == "crashed":
        world.crash()
    meter.send(2)
    world.pass_time(HOUR)
    meter.send(3)  # the bound itself is over
    meter.publish(at(world, -3600, 2.5))  # late
    assert values(asked) == [1.0, 3.0]
    assert meter.person.values() == [1.0, 2.0, 3.0, 2.5]
    assert "blackout" in meter.person.told()


def test_a_blackout_of_some_kinds_leaves_the_others(world: World) -> None:
    meter, asked = given(world)
    expect(black(asked, 2, "humidity"))
    world.pass_time(HOUR)
    meter.send(2)
    meter.send(50, kind="humidity")
    assert values(asked) == [1.0, 2.0]
    assert world.reader.blackouts(meter.person.vault)[0].kinds == ("humidity",)


def test_a_blackout_holds_for_grants_of_after(world: World) -> None:
    meter, asked = given(world)
    expect(black(asked))
    later = Asked(meter.person, world.brand("Globex"))
    meter.person.approve(later, meter.selector())
    world.pass_time(HOUR)
    meter.send(2)
    world.pass_time(HOUR)
    meter.send(3)
    assert values(later) == [3.0]


def test_one_that_is_ended_keeps_back_what_it_kept_back(world: World) -> None:
    meter, asked = given(world)
    expect(black(asked, 5))
    world.pass_time(HOUR)
    meter.send(2)
    world.pass_time(HOUR)
    expect(blackouts.end_blackout(world.writer, meter.person.vault, ONE))
    meter.send(3)
    meter.publish(at(world, -3600, 2.5))
    world.crash()
    meter.publish(at(world, -3600, 2.6))
    world.pass_time(HOUR)
    meter.send(4)
    assert values(asked) == [1.0, 3.0, 4.0]
    (row,) = world.reader.blackouts(meter.person.vault)
    assert row.ended is not None


def test_one_that_is_ended_before_it_began_keeps_nothing_back(world: World) -> None:
    meter, asked = given(world)
    now = world.clock() // 1000
    expect(blackouts.add_blackout(world.writer, meter.person.vault, ONE, now + 60, now + 120, []))
    expect(blackouts.end_blackout(world.writer, meter.person.vault, ONE))
    world.pass_time(90_000)
    meter.send(2)
    assert values(asked) == [1.0, 2.0]
    assert world.writer.file(meter.person.vault).blackouts() == []


def test_the_same_call_again_changes_nothing_and_another_with_its_id_is_refused(world: World) -> None:
    meter, asked = given(world)
    expect(black(asked, 2, "humidity", "temperature"))
    before = world.writer.file(meter.person.vault).generation()
    expect(black(asked, 2, "temperature", "humidity", "humidity"))
    assert world.writer.file(meter.person.vault).generation() == before
    assert refused("conflict", black(asked, 3))


def test_what_is_over_or_ended_or_not_there_is_not_ended(world: World) -> None:
    meter, asked = given(world)
    vault = meter.person.vault
    assert refused("not_found", blackouts.end_blackout(world.writer, vault, ONE))
    expect(black(asked))
    expect(blackouts.end_blackout(world.writer, vault, ONE))
    assert refused("conflict", blackouts.end_blackout(world.writer, vault, ONE))
    expect(black(asked, 1, name=TWO))
    world.pass_time(HOUR)
    assert refused("conflict", blackouts.end_blackout(world.writer, vault, TWO))


NOW = 20_000 * DAY + DAY // 2 + 3600  # as ``given`` leaves the clock
WRONG: dict[str, tuple[bytes, int, int, list[str]]] = {
    "an id of another size": (b"1", NOW, NOW + 60, []),
    "an unknown kind": (ONE, NOW, NOW + 60, ["temperatures"]),
    "no time": (ONE, NOW, NOW, []),
    "backwards": (ONE, NOW + 60, NOW, []),
    "before time began": (ONE, -1, NOW, []),
    "in milliseconds": (ONE, NOW * 1000, NOW * 1000 + 60, []),
    "over in more than ten years": (ONE, NOW, NOW + SPAN_MAX + 1, []),
    "beyond 64 bits": (ONE, NOW, 1 << 64, []),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_blackout_with_one_fault_is_refused(world: World, case: str) -> None:
    meter, _ = given(world)
    assert refused("invalid", blackouts.add_blackout(world.writer, meter.person.vault, *WRONG[case]))
    assert world.reader.blackouts(meter.person.vault) == []


def test_there_are_so_many_at_once_and_no_more(world: World) -> None:
    meter, _ = given(world)
    vault, now = meter.person.vault, world.clock() // 1000
    for n in range(BLACKOUTS_MAX):
        expect(blackouts.add_blackout(world.writer, vault, n.to_bytes(16, "big"), now + n, now + n + 60, []))
    more = world.writer, vault, ONE, now, now + 60, list[str]()
    assert refused("refused", blackouts.add_blackout(*more))
    expect(blackouts.end_blackout(world.writer, vault, bytes(16)))
    expect(blackouts.add_blackout(*more))


@pytest.mark.parametrize("after", [False, True])
def test_a_blackout_that_was_cut_off_at_any_write_holds_or_did_not_happen(
    memory_path: Path, after: bool
) -> None:
    seen = set()

    def begin(world: World) -> tuple[Device, Asked]:
        meter, asked = given(world)
        world.flush(meter.person)
        return meter, asked

    for meter, asked in deaths(memory_path, begin, lambda begun: expect(black(begun[1])), after=after):
        world, vault = meter.person.world, meter.person.vault
        world.writer.state(vault)
        assert world.writer.live.generation(vault) == world.writer.file(vault).generation()
        world.pass_time(HOUR)
        meter.send(2)
        there = bool(world.reader.blackouts(vault))
        seen.add(there)
        assert values(asked) == ([1.0] if there else [1.0, 2.0])
        assert (meter.person.told()[-1] == "blackout") is there
    assert seen == {False, True}
