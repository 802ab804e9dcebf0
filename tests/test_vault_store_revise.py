"""A grant that is paused, goes on, is narrowed or extended: from the next page on, and across every crash."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from policies.grant import Active, Ended, GrantState, Paused, Preparing, Refusal
from policies.terms import Terms
from tests.deaths import deaths
from tests.world import DAY_MS, Asked, Device, Person, RefusedError, World, at, expect
from vault.ids import GrantId
from vault.person import Owner
from vault.statement import Signed, verify
from vault.store import grants
from vault.store.records import No

HOUR = 3_600_000


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def state(asked: Asked) -> GrantState | None:
    """As the person's file has it."""
    return asked.person.world.writer.file(asked.person.vault).state(asked.grant)


def given(world: World, days: int = 30) -> tuple[Device, Asked, Terms]:
    """A meter that sent 1 and 2, and a grant of all that it sends."""
    meter = world.person().device()
    meter.send(1)
    asked = Asked(meter.person, world.brand(), "temperature", "humidity")
    terms = meter.person.approve(asked, meter.selector(), meter.selector("humidity"), history=True, days=days)
    meter.send(2)
    return meter, asked, terms


def pause(asked: Asked, paused: bool = True) -> None:
    """As the owner's call does."""
    expect(grants.pause(asked.person.world.writer, asked.person.vault, asked.grant, paused=paused))


def values(asked: Asked) -> list[object]:
    """What the brand can read."""
    return [one.observation.value for one in asked.read()]


def change(asked: Asked, terms: Terms, **other: object) -> Signed:
    """A signed change of a grant in force."""
    return asked.person.statement(asked, terms, **{"predecessor": asked.person.in_force(asked), **other})


def revise(asked: Asked, terms: Terms) -> None:
    """Both halves of a change."""
    prepared = asked.person.prepare(asked, change(asked, terms))
    asked.person.commit(asked, terms, prepared.segments)


def refused(code: str, outcome: object) -> bool:
    """Whether the answer is a no of this sort."""
    return isinstance(outcome, No) and outcome.code == code


def hosts(person: Person, sql: str, *more: object) -> None:
    """What a host writes into the person's file while the node is down."""
    person.world.close()
    with closing(sqlite3.connect(person.world.data.vault_db(person.vault))) as connection:
        connection.execute(sql, more)
        connection.commit()
    person.world.open()


def boxed(asked: Asked) -> int:
    """How many boxes a grant has."""
    asked.person.world.flush(asked.person)
    return len(asked.person.world.reader.boxes(asked.person.vault, asked.grant, 0))


# --- pausing -------------------------------------------------------------------------------------------


def test_a_paused_grant_reads_nothing_and_nothing_is_sealed_to_it(world: World) -> None:
    meter, asked, _ = given(world)
    before = boxed(asked), world.writer.file(meter.person.vault).generation()
    pause(asked)
    assert isinstance(state(asked), Paused)
    refusal = asked.permit()
    assert isinstance(refusal, Refusal)
    assert refusal.code == "paused"
    meter.send(3)
    assert boxed(asked) == before[0]
    assert world.writer.file(meter.person.vault).generation() == before[1] + 1
    assert world.reader.slot(meter.person.vault, asked.grant) is not None
    assert meter.person.told()[-1] == "paused"


def test_a_grant_that_goes_on_has_what_was_before_and_what_comes_and_nothing_between(world: World) -> None:
    meter, asked, _ = given(world)
    world.pass_time(HOUR)
    pause(asked)
    world.pass_time(HOUR)
    meter.send(3)
    pause(asked, paused=False)
    world.pass_time(HOUR)
    meter.send(4)
    assert values(asked) == [1.0, 2.0, 4.0]
    found = state(asked)
    assert isinstance(found, Active)
    assert len(found.gaps) == 1
    assert meter.person.told()[-1] == "resumed"


def test_a_reading_of_the_pause_that_comes_late_is_kept_back(world: World) -> None:
    meter, asked, _ = given(world)
    world.pass_time(HOUR)
    pause(asked)
    world.pass_time(HOUR)
    late = meter.arrival(at(world, -1800, 3))
    pause(asked, paused=False)
    world.pass_time(HOUR)
    world.writer.commit([late])
    meter.send(4)
    assert values(asked) == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("crash", [False, True])
def test_a_pause_and_its_end_outlast_the_node(world: World, crash: bool) -> None:
    meter, asked, _ = given(world)
    world.pass_time(HOUR)
    for paused in (True, False):
        pause(asked, paused)
        world.crash() if crash else world.reopen()
        world.pass_time(HOUR)
        meter.send(3.0 if paused else 4.0)
    assert values(asked) == [1.0, 2.0, 4.0]


def test_only_a_grant_in_force_is_paused_and_only_a_paused_one_goes_on(world: World) -> None:
    meter, asked, _ = given(world)
    writer, vault = world.writer, meter.person.vault
    assert refused("conflict", grants.pause(writer, vault, asked.grant, paused=False))
    pause(asked)
    assert refused("conflict", grants.pause(writer, vault, asked.grant, paused=True))
    meter.person.revoke(asked)
    for paused in (True, False):
        assert refused("conflict", grants.pause(writer, vault, asked.grant, paused=paused))
    nobody = GrantId(bytes(16))
    assert refused("not_found", grants.pause(writer, vault, nobody, paused=True))


def test_a_paused_grant_is_revoked_returned_and_expires(world: World) -> None:
    for end in (grants.revoke, grants.give_back):
        meter, asked, _ = given(world)
        pause(asked)
        expect(end(world.writer, meter.person.vault, asked.grant))
        assert isinstance(state(asked), Ended)
        assert world.reader.slot(meter.person.vault, asked.grant) is None


def test_a_key_that_the_host_put_in_place_while_it_was_paused_is_not_sealed_to(world: World) -> None:
    meter, asked, _ = given(world)
    pause(asked)
    theirs = Owner(b"h" * 32).hpke
    sql = "UPDATE grant_ SET public = ? WHERE id = ?"
    world.writer.file(meter.person.vault).connection.execute(sql, (theirs.public, asked.grant))
    outcome = grants.pause(world.writer, meter.person.vault, asked.grant, paused=False)
    assert refused("refused", outcome)
    assert isinstance(state(asked), Paused)


# --- narrowing and extending ------------------------------------------------------------------------------


def test_a_narrowed_grant_reads_the_new_scope_from_the_next_page_on(world: World) -> None:
    """ACCEPTANCE D5: a page that was begun ends; no later one has a row outside of the new scope."""
    meter, asked, terms = given(world)
    for value in range(3, 9):
        meter.send(value)
        meter.send(value, kind="humidity")
    keys = asked.keys()
    first = asked.page(keys, limit=3)
    assert {one.observation.kind for one in asked.read()} == {"temperature", "humidity"}
    revise(asked, replace(terms, selectors=(meter.selector(),)))
    later = list(asked.pages(asked.keys(), 3, first.last_seq))
    assert len(later) == 5
    assert {one.observation.kind for one in later} == {"temperature"}
    with_old_keys = list(asked.pages(keys, 3, first.last_seq))
    assert {one.observation.kind for one in with_old_keys} == {"temperature"}
    meter.send(9, kind="humidity")
    assert {one.observation.kind for one in asked.read()} == {"temperature"}
    assert meter.person.told()[-2:] == ["revised", "active"]


def test_the_boxes_of_before_are_gone_when_the_first_half_is_done(world: World) -> None:
    meter, asked, terms = given(world)
    generation = world.writer.file(meter.person.vault).generation()
    old = world.reader.boxes(meter.person.vault, asked.grant, 0)
    world.flush(meter.person)
    assert boxed(asked) >= 2
    asked.person.prepare(asked, change(asked, replace(terms, selectors=(meter.selector(),))))
    assert boxed(asked) == 0
    assert isinstance(asked.permit(), Refusal)
    assert world.writer.file(meter.person.vault).generation() == generation + 1
    assert all(box not in world.bytes_on_disk() for *_, box in old)


def test_an_extended_grant_reads_for_longer_with_the_same_token(world: World) -> None:
    meter, asked, terms = given(world, days=2)
    token = asked.token()
    later = terms.data_until + 10 * 86_400
    revise(asked, replace(terms, data_until=later, access_until=later))
    world.pass_time(5 * DAY_MS)
    meter.send(3)
    assert asked.token() == token
    assert values(asked) == [1.0, 2.0, 3.0]


def test_pauses_stay_gaps_in_a_grant_that_is_changed(world: World) -> None:
    meter, asked, terms = given(world)
    world.pass_time(HOUR)
    pause(asked)
    world.pass_time(HOUR)
    meter.send(3)
    world.pass_time(HOUR)
    pause(asked, paused=False)
    world.pass_time(HOUR)
    later = terms.data_until + 86_400
    revise(asked, replace(terms, data_until=later, access_until=later))
    meter.send(4)
    assert values(asked) == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("after", [False, True])
def test_a_change_that_was_cut_off_at_any_write_is_resumed_by_the_same_statement(
    memory_path: Path, after: bool
) -> None:
    def begin(world: World) -> tuple[Device, Asked, Terms, Signed]:
        meter, asked, terms = given(world)
        narrow = replace(terms, selectors=(meter.selector(),))
        meter.send(0.5, kind="humidity")
        return meter, asked, narrow, change(asked, narrow)

    def act(begun: tuple[Device, Asked, Terms, Signed]) -> None:
        _, asked, narrow, signed = begun
        asked.person.commit(asked, narrow, asked.person.prepare(asked, signed).segments)

    died = 0
    for meter, asked, narrow, signed in deaths(memory_path, begin, act, after=after):
        died += 1
        world = meter.person.world
        meter.send(3)
        found = state(asked)
        assert isinstance(found, Active | Preparing)
        if isinstance(found, Preparing) or found.terms != narrow:
            meter.person.commit(asked, narrow, meter.person.prepare(asked, signed).segments)
        assert set(values(asked)) == {1.0, 2.0, 3.0}
        assert meter.person.told()[-2:] == ["revised", "active"]
        vault = meter.person.vault
        assert world.writer.live.generation(vault) == world.writer.file(vault).generation()
    assert died >= 8


@pytest.mark.parametrize("after", [False, True])
def test_a_pause_that_was_cut_off_at_any_write_holds_or_did_not_happen(
    memory_path: Path, after: bool
) -> None:
    seen = set()

    def begin(world: World) -> tuple[Device, Asked]:
        meter, asked, _ = given(world)
        world.flush(meter.person)
        return meter, asked

    for meter, asked in deaths(memory_path, begin, lambda begun: pause(begun[1]), after=after):
        world, vault = meter.person.world, meter.person.vault
        world.writer.state(vault)
        assert world.writer.live.generation(vault) == world.writer.file(vault).generation()
        found = state(asked)
        seen.add(type(found))
        boxes = boxed(asked)
        meter.send(3)
        assert (boxed(asked) == boxes) is isinstance(found, Paused)
        assert world.reader.slot(vault, asked.grant) is not None
    assert seen == {Active, Paused}


Alter = Callable[[Device, Asked, Terms], Signed]
ONE_FAULT: dict[str, tuple[str, Alter]] = {
    "of another predecessor": ("conflict", lambda _, a, t: change(a, t, predecessor=bytes(32))),
    "of no predecessor": ("conflict", lambda _, a, t: change(a, t, predecessor=b"")),
    "of an older generation": ("conflict", lambda _, a, t: change(a, t, generation=0)),
    "of more than was asked": (
        "refused",
        lambda m, a, t: change(a, replace(t, selectors=(m.selector("power"),))),
    ),
    "over before it begins": ("conflict", lambda _, a, t: change(a, replace(t, access_until=1_000_000))),
    "of terms that were not shown": ("refused", lambda _, a, t: change(a, t, terms_hash=bytes(32))),
    "to another key": ("refused", lambda _, a, t: change(a, t, key_hash=bytes(32))),
}


@pytest.mark.parametrize("fault", ONE_FAULT)
def test_a_change_with_one_fault_is_refused_and_changes_nothing(world: World, fault: str) -> None:
    meter, asked, terms = given(world)
    code, alter = ONE_FAULT[fault]
    before, boxes = state(asked), boxed(asked)
    narrow = replace(terms, selectors=(meter.selector(),))
    signed = alter(meter, asked, narrow)
    assert refused(code, grants.prepare(world.writer, meter.person.vault, asked.grant, signed))
    assert (state(asked), boxed(asked)) == (before, boxes)
    revise(asked, narrow)  # the one without a fault is taken


def test_a_change_is_done_once_and_its_statement_cannot_bring_it_back(world: World) -> None:
    """The statement of before, and that of the change, are refused once another took their place."""
    meter, asked, terms = given(world)
    narrow = change(asked, replace(terms, selectors=(meter.selector(),)))
    asked.person.commit(asked, terms, asked.person.prepare(asked, narrow).segments)
    wide = asked.person.world.writer.file(meter.person.vault)
    revise(asked, terms)
    for old in (narrow, asked.person.statement(asked, terms)):
        assert refused("conflict", grants.prepare(world.writer, wide.id, asked.grant, old))


def test_boxes_of_the_terms_of_before_are_not_added_to_a_grant_that_was_narrowed(world: World) -> None:
    """The second half of an approval comes late, when another client finished it and narrowed the grant."""
    meter, asked, terms = given(world)
    meter.send(50, kind="humidity")
    (packed,) = world.writer.file(meter.person.vault).row("SELECT statement FROM grant_")
    narrow = change(asked, replace(terms, selectors=(meter.selector(),)))
    prepared = meter.person.prepare(asked, narrow)
    with pytest.raises(RefusedError, match="changed"):
        meter.person.commit(asked, terms, prepared.segments, msgspec.msgpack.decode(packed, type=Signed))
    meter.person.commit(asked, replace(terms, selectors=(meter.selector(),)), prepared.segments, narrow)


def test_a_paused_grant_goes_on_before_it_is_changed(world: World) -> None:
    meter, asked, terms = given(world)
    signed = change(asked, replace(terms, selectors=(meter.selector(),)))
    pause(asked)
    assert refused("conflict", grants.prepare(world.writer, meter.person.vault, asked.grant, signed))


def test_a_predecessor_is_the_body_of_the_statement_in_force(world: World) -> None:
    meter, asked, terms = given(world)
    row = world.writer.file(meter.person.vault).row("SELECT statement FROM grant_")
    signed = msgspec.msgpack.decode(row[0], type=Signed)
    assert meter.person.in_force(asked) == hashlib.sha256(signed.body).digest()
    revise(asked, replace(terms, selectors=(meter.selector(),)))
    (kept,) = world.writer.file(meter.person.vault).row("SELECT statement FROM grant_")
    newer = msgspec.msgpack.decode(kept, type=Signed)
    statement = verify(meter.person.owner.verify_key, meter.person.vault, newer)
    assert getattr(statement, "predecessor", None) == hashlib.sha256(signed.body).digest()


# --- hosts and older copies ---------------------------------------------------------------------------------


def test_terms_that_the_host_widened_in_the_state_are_not_sealed_to(world: World) -> None:
    meter, asked, terms = given(world)
    revise(asked, replace(terms, selectors=(meter.selector(),)))
    hosts(
        meter.person,
        "UPDATE grant_ SET state = ? WHERE id = ?",
        msgspec.msgpack.encode(Active(terms, 1, 2)),
        asked.grant,
    )
    before = boxed(asked)
    meter.send(9, kind="humidity")
    assert boxed(asked) == before


def test_an_older_copy_ends_paused_grants_too(world: World) -> None:
    meter, asked, _ = given(world)
    pause(asked)
    world.close()
    old = world.data.vault_db(meter.person.vault).read_bytes()
    world.open()
    other = Asked(meter.person, world.brand("Globex"))
    grants.deny(world.writer, meter.person.vault, other.grant, "")  # a narrowing that the copy does not know
    world.close()
    world.data.vault_db(meter.person.vault).write_bytes(old)
    world.open()
    found = state(asked)
    assert isinstance(found, Ended)
    assert found.why == "restored"
    assert world.reader.slot(meter.person.vault, asked.grant) is None
    with pytest.raises(RefusedError):
        pause(asked, paused=False)


# --- wishes of the brand, which count from the answer ---------------------------------------------------


def wished(world: World) -> tuple[Asked, Terms]:
    """A request for a week of history, and terms that give exactly that."""
    meter = world.person().device()
    meter.send(1)
    asked = Asked(meter.person, world.brand(), "temperature", history="P7D")
    begins = (world.clock() // DAY_MS - 6) * DAY_MS // 1000
    return asked, replace(asked.terms(meter.selector()), data_from=begins)


def test_an_approval_gives_no_more_history_than_was_wished_for(world: World) -> None:
    asked, terms = wished(world)
    signed = asked.person.statement(asked, replace(terms, data_from=terms.data_from - 2 * 86_400))
    with pytest.raises(RefusedError):
        asked.person.prepare(asked, signed)
    assert not isinstance(state(asked), Preparing)


def test_a_change_may_keep_the_history_that_was_given_and_no_more(world: World) -> None:
    asked, terms = wished(world)
    prepared = asked.person.prepare(asked, asked.person.statement(asked, terms))
    asked.person.commit(asked, terms, prepared.segments)
    world.pass_time(3 * DAY_MS)
    with pytest.raises(RefusedError):
        asked.person.prepare(asked, change(asked, replace(terms, data_from=terms.data_from - 86_400)))
    revise(asked, replace(terms, access_until=terms.access_until - 86_400))
    assert isinstance(state(asked), Active)
    assert values(asked) == [1.0]


def test_an_approval_that_was_cut_off_goes_on_days_later(world: World) -> None:
    """The wishes count from when it was first given, not from when it went on."""
    asked, terms = wished(world)
    signed = asked.person.statement(asked, terms)
    asked.person.prepare(asked, signed)
    world.pass_time(3 * DAY_MS)
    prepared = asked.person.prepare(asked, signed)
    asked.person.commit(asked, terms, prepared.segments)
    assert isinstance(state(asked), Active)
