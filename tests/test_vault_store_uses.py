"""What is counted of a grant: durable before it leaves, never given twice, and gone with the grant."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from policies.grant import DEFAULT_BUDGET, UNUSED_MS, USE_MS, Active, Ended, GrantState
from tests.world import DAY_MS, Asked, Device, Fault, Killed, World
from vault.ids import GrantId
from vault.store import grants, ticking, uses
from vault.store.errors import Unavailable
from vault.store.live import Live, LiveReader
from vault.store.records import No
from vault.store.sector import ClockMark, Counter, Frozen
from vault.store.ticking import ERASE_AFTER_MS
from vault.store.uses import BLOCK, Counted, UsedUp

HOUR = 3_600_000


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def given(world: World, days: int = 30, **more: object) -> tuple[Device, Asked]:
    """A meter, and a grant with these terms."""
    meter = world.person().device()
    meter.send(1)
    asked = Asked(meter.person, world.brand())
    terms = replace(asked.terms(meter.selector(), days=days), **more)
    prepared = meter.person.prepare(asked, meter.person.statement(asked, terms))
    meter.person.commit(asked, terms, prepared.segments)
    return meter, asked


def state(asked: Asked) -> GrantState | None:
    """As the person's file has it."""
    return asked.person.world.writer.file(asked.person.vault).state(asked.grant)


def use(asked: Asked) -> Counted | UsedUp | No:
    """As a door asks when a request without a cursor comes."""
    return uses.count(asked.person.world.writer, asked.person.vault, asked.grant, "use")


def answer(asked: Asked) -> Counted | UsedUp | No:
    """As a door asks before it answers."""
    return uses.count(asked.person.world.writer, asked.person.vault, asked.grant, "answer")


def counted(asked: Asked) -> Counter:
    """As a door has it."""
    return asked.person.world.reader.counter(asked.person.vault, asked.grant)


def run(world: World, milliseconds: int, step: int = 12 * HOUR) -> None:
    """Time goes by with a node that runs: its uptime with it, and a tick now and then."""
    while milliseconds > 0:
        world.pass_time(min(step, milliseconds))
        mark = world.writer.live.clock()
        world.writer.live.set_clock(
            ClockMark(world.clock(), mark.uptime + min(step, milliseconds), Frozen.NO)
        )
        milliseconds -= step
        for vault in world.writer.vaults():
            ticking.tick(world.writer, vault)


# --- uses ------------------------------------------------------------------------------------------------


def test_as_many_uses_as_the_terms_give_and_no_more(world: World) -> None:
    _, asked = given(world, uses=2)
    assert counted(asked) == Counter()
    assert [use(asked) for _ in range(4)] == [Counted(1, 1), Counted(2, 0), UsedUp(), UsedUp()]
    assert (counted(asked).uses, counted(asked).began) == (2, world.clock())


def test_uses_without_a_limit_are_counted_all_the_same(world: World) -> None:
    _, asked = given(world)
    assert [use(asked) for _ in range(3)] == [Counted(n, None) for n in (1, 2, 3)]


def test_nothing_is_counted_of_what_is_not_in_force(world: World) -> None:
    meter, asked = given(world, uses=2)
    grants.pause(world.writer, meter.person.vault, asked.grant, paused=True)
    assert isinstance(use(asked), No)
    meter.person.revoke(asked)
    assert isinstance(answer(asked), No)
    nobody = GrantId(bytes(16))
    found = uses.count(world.writer, meter.person.vault, nobody, "use")
    assert isinstance(found, No)
    assert found.code == "not_found"


@pytest.mark.parametrize("after", [False, True])
def test_no_crash_gives_a_use_or_an_answer_twice(memory_path: Path, after: bool) -> None:
    for step in itertools.count(1):
        world = World(memory_path / f"{step}")
        _, asked = given(world, uses=6, budget=6)
        told: dict[str, list[int]] = {"use": [], "answer": []}
        world.files.fail(step, Fault.DEAD, after=after)
        whole = True
        for turn in range(8):
            for what, numbers in told.items():
                try:
                    found = use(asked) if what == "use" else answer(asked)
                except Killed:
                    whole = False
                    world.crash()
                    continue
                if isinstance(found, Counted):
                    numbers.append(found.number)
            if turn == 3:
                world.crash()
        world.files.heal()
        for numbers in told.values():
            assert len(numbers) == len(set(numbers))
            assert all(1 <= number <= 6 for number in numbers)
        if whole:
            break
    assert step > 4


def test_the_control_that_counts_in_memory_gives_a_use_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above looks for."""
    kept: dict[bytes, Counter] = {}
    monkeypatch.setattr(Live, "set_counter", lambda _, _v, grant, counter: kept.update({grant: counter}))
    monkeypatch.setattr(Live, "counter", lambda _, _v, grant: kept.get(grant, Counter()))
    _, asked = given(world, uses=1)
    assert use(asked) == Counted(1, 0)
    world.crash()
    kept.clear()
    assert use(asked) == Counted(1, 0)


def test_a_disk_that_fails_gives_nothing_and_counts_at_most_once_too_often(world: World) -> None:
    _, asked = given(world, uses=3)
    use(asked)
    world.files.fail(1, only=lambda word, _: word == "FSYNC")
    with pytest.raises(Unavailable):
        use(asked)
    world.files.heal()
    assert use(asked) in (Counted(2, 1), Counted(3, 0))
    world.crash()
    with suppress(Unavailable):
        assert isinstance(use(asked), Counted | UsedUp)
    assert counted(asked).uses <= 3


def test_a_use_that_is_used_up_ends_the_grant_when_its_pages_are_over(world: World) -> None:
    _, asked = given(world, uses=1)
    use(asked)
    run(world, USE_MS - 1, USE_MS - 1)
    assert isinstance(state(asked), Active)
    run(world, 1, 1)
    found = state(asked)
    assert isinstance(found, Ended)
    assert found.why == "used up"
    assert world.reader.slot(asked.person.vault, asked.grant) is None
    assert asked.person.ledger()[-1].note == "used up"


def test_a_grant_with_uses_left_goes_on(world: World) -> None:
    _, asked = given(world, uses=2)
    use(asked)
    run(world, 2 * USE_MS)
    assert isinstance(state(asked), Active)


# --- answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "budget"),
    [({"budget": 5}, 5), ({"mode": "answer"}, DEFAULT_BUDGET), ({"mode": "answer", "budget": 3}, 3)],
)
def test_as_many_answers_in_a_day_as_the_budget_gives(
    world: World, more: dict[str, object], budget: int
) -> None:
    _, asked = given(world)
    found = state(asked)
    assert isinstance(found, Active)
    force(asked, replace(found, terms=replace(found.terms, **more)))
    assert [answer(asked) for _ in range(budget)] == [Counted(n, budget - n) for n in range(1, budget + 1)]
    midnight = (world.clock() // DAY_MS + 1) * DAY_MS
    assert answer(asked) == UsedUp(-(-(midnight - world.clock()) // 1000))
    world.pass_time(midnight - world.clock() - 1)
    assert answer(asked) == UsedUp(1)
    world.pass_time(1)
    assert answer(asked) == Counted(1, budget - 1)


def force(asked: Asked, found: Active) -> None:
    """Put a grant in force with terms that its request did not ask for: that is looked at elsewhere."""
    file = asked.person.world.writer.file(asked.person.vault)
    file.connection.execute("UPDATE grant_ SET state = ?", (msgspec.msgpack.encode(found),))


def test_a_crash_counts_fewer_than_a_block_of_answers_too_many_and_none_too_few(world: World) -> None:
    _, asked = given(world, budget=10)
    assert answer(asked) == Counted(1, 9)
    assert counted(asked).answers == BLOCK
    world.crash()
    assert answer(asked) == Counted(BLOCK + 1, 9 - BLOCK)
    assert [answer(asked) for _ in range(10 - BLOCK)][-1] == UsedUp(12 * 3600)


def test_a_clock_that_goes_back_gives_no_day_again(world: World) -> None:
    """``Writer.now`` never goes back behind the mark that the node keeps (F1)."""
    _, asked = given(world, budget=2)
    world.writer.live.set_clock(ClockMark(world.clock(), 0, Frozen.NO))
    assert [answer(asked), answer(asked)] == [Counted(1, 1), Counted(2, 0)]
    world.pass_time(-DAY_MS)
    assert isinstance(answer(asked), UsedUp)


def test_the_counter_goes_with_the_grant(world: World) -> None:
    meter, asked = given(world, uses=9)
    assert use(asked) == Counted(1, 8)
    meter.person.revoke(asked)
    assert counted(asked) == Counter()
    assert bytes(asked.grant) not in world.data.live.read_bytes()


def test_a_door_sees_each_count_at_once(world: World) -> None:
    """Both sectors of the pair are where a reader that knows one of them looks."""
    _, asked = given(world, uses=9)
    reader = LiveReader(world.data.live)
    for n in range(1, 6):
        use(asked)
        assert reader.counter(asked.person.vault, asked.grant).uses == n
    reader.close()


# --- unused ------------------------------------------------------------------------------------------------


def last_used(asked: Asked) -> int | None:
    """As the owner's client is told."""
    row = asked.person.world.reader.grant(asked.person.vault, asked.grant)
    assert row is not None
    return row.last_used


def test_when_a_grant_was_read_is_kept_to_the_day(world: World) -> None:
    _, asked = given(world)
    assert last_used(asked) is None
    day = world.clock() // DAY_MS * DAY_MS
    for _ in range(3):
        uses.was_read(world.writer, asked.person.vault, asked.grant)
        world.pass_time(HOUR)
        assert last_used(asked) == day


def test_a_grant_that_nobody_used_for_90_days_ends(world: World) -> None:
    _, asked = given(world, days=300)
    run(world, 30 * DAY_MS)
    uses.was_read(world.writer, asked.person.vault, asked.grant)
    run(world, UNUSED_MS)
    assert isinstance(state(asked), Active)  # its last day counts until it ends, and then a day of uptime
    run(world, DAY_MS + ERASE_AFTER_MS + HOUR)
    found = state(asked)
    assert isinstance(found, Ended)
    assert found.why == "unused"
    assert world.reader.slot(asked.person.vault, asked.grant) is None


def test_a_use_on_the_last_day_lets_it_go_on(world: World) -> None:
    _, asked = given(world, days=300)
    run(world, UNUSED_MS + ERASE_AFTER_MS - 12 * HOUR)
    uses.was_read(world.writer, asked.person.vault, asked.grant)
    run(world, UNUSED_MS)
    assert isinstance(state(asked), Active)


def test_one_glitch_of_the_clock_ends_nothing(world: World) -> None:
    """F2: a year ahead at a start, and back: it takes a day of uptime to end what only the clock ends."""
    _, asked = given(world, days=300)
    world.pass_time(100 * DAY_MS)
    ticking.tick(world.writer, asked.person.vault)
    world.pass_time(-100 * DAY_MS)
    ticking.tick(world.writer, asked.person.vault)
    run(world, 3 * DAY_MS)
    assert isinstance(state(asked), Active)


@pytest.mark.parametrize("frozen", [Frozen.AHEAD, Frozen.BEHIND])
def test_nothing_ends_while_the_clock_is_in_doubt(world: World, frozen: Frozen) -> None:
    _, asked = given(world, days=300, uses=1)
    use(asked)
    world.pass_time(200 * DAY_MS)
    for uptime in (0, 10 * ERASE_AFTER_MS):
        world.writer.live.set_clock(ClockMark(world.clock(), uptime, frozen))
        ticking.tick(world.writer, asked.person.vault)
    assert isinstance(state(asked), Active)


def test_a_pause_is_not_held_against_a_brand(world: World) -> None:
    _, asked = given(world, days=300)
    vault = asked.person.vault
    grants.pause(world.writer, vault, asked.grant, paused=True)
    run(world, UNUSED_MS + 3 * DAY_MS)
    grants.pause(world.writer, vault, asked.grant, paused=False)
    run(world, UNUSED_MS - DAY_MS)
    assert isinstance(state(asked), Active)
