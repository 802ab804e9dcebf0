"""The life of a grant in the store: only what the owner signed, only once, and over when it is over."""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from policies.grant import Active, Denied, Ended, GrantState, Lapsed, Pending, Preparing, Refusal
from policies.terms import Terms
from tests.world import DAY_MS, Asked, Device, Fault, Killed, Person, RefusedError, World, expect
from vault.errors import SealError
from vault.ids import BrandId, GrantId, SegmentId, TouchpointId, VaultId
from vault.person import Owner
from vault.secrets import PICKUP_PREFIX, TOKEN_PREFIX, read_secret
from vault.segment import open_grant_box
from vault.statement import Enrolment, Signed, sign
from vault.store import asking, grants, people, ticking, uses
from vault.store.recipients import LiveGrant
from vault.store.records import No
from vault.store.sector import ClockMark, Frozen

MINUTE = 60_000


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def state(asked: Asked) -> GrantState | None:
    """As the person's file has it."""
    return asked.person.world.writer.file(asked.person.vault).state(asked.grant)


def refused(code: str, outcome: object) -> bool:
    """Whether the answer is a no of this sort."""
    return isinstance(outcome, No) and outcome.code == code


def asked_for(world: World) -> tuple[Device, Asked]:
    """A meter, and a request for what it reports."""
    meter = world.person().device()
    meter.send(1)
    return meter, Asked(meter.person, world.brand())


def hosts(person: Person, *sql: tuple[str, tuple[object, ...]]) -> None:
    """What a host writes into the person's file while the node is down."""
    world = person.world
    world.close()
    with closing(sqlite3.connect(world.data.vault_db(person.vault))) as connection:
        for statement, values in sql:
            connection.execute(statement, values)
        connection.commit()
    world.open()


# --- asking --------------------------------------------------------------------------------------------


def test_a_request_waits_for_its_answer_and_the_ledger_tells_of_it(world: World) -> None:
    _, asked = asked_for(world)
    assert state(asked) == Pending(world.clock(), asked.request.expires)
    assert asked.person.ledger()[-1].brand == asked.brand.text
    assert asked.token().startswith("htg_")


def test_unknown_ended_and_foreign_touchpoints_look_alike(world: World) -> None:
    person = world.person()
    made = Asked(person, world.brand())
    grants.deny(world.writer, person.vault, made.grant, "")
    answers = [
        asking.ask(world.writer, replace(made.request, touchpoint=TouchpointId(bytes(16)))),
        asking.ask(world.writer, replace(made.request, brand=BrandId(bytes(16)))),
    ]
    expect(people.revoke_touchpoint(world.writer, person.vault, made.touchpoint))
    answers.append(asking.ask(world.writer, made.request))
    assert answers == [No("not_found", "there is no such touchpoint")] * 3


def test_one_request_waits_at_a_touchpoint(world: World) -> None:
    _, asked = asked_for(world)
    another = replace(asked.request, grant=GrantId(b"g" * 16))
    assert refused("conflict", asking.ask(world.writer, another))
    world.pass_time(8 * DAY_MS)
    expect(asking.ask(world.writer, another))


def test_the_first_thing_a_node_does_for_a_vault_may_be_a_request(world: World) -> None:
    """Its slot is made before its row: looking for orphans must not find it."""
    person, brand = world.person(), world.brand()
    touchpoint = person.touchpoint(brand)
    other = Asked(world.person("ben"), brand)
    request = replace(other.request, touchpoint=touchpoint, grant=GrantId(b"g" * 16))
    world.reopen()
    expect(asking.ask(world.writer, request))
    assert world.reader.slot(person.vault, request.grant) == request.slot


def test_a_grant_id_or_a_key_of_somebody_else_is_refused(world: World) -> None:
    _, asked = asked_for(world)
    ben = world.person("ben")
    touchpoint = ben.touchpoint(asked.brand)
    taken = replace(asked.request, touchpoint=touchpoint)
    assert refused("conflict", asking.ask(world.writer, taken))
    assert world.writer.registry.locate(asked.grant) == asked.person.vault
    bad = replace(asked.request, touchpoint=touchpoint, grant=GrantId(b"g" * 16), public=bytes(1216))
    assert refused("invalid", asking.ask(world.writer, bad))


def test_a_request_that_could_not_be_written_leaves_no_secret(world: World) -> None:
    person, brand = world.person(), world.brand()
    for after in (False, True):
        world.files.fail(1, after=after, only=lambda word, file: word == "COMMIT" and file != "node.db")
        with pytest.raises(Exception, match="could not be written"):
            Asked(person, brand)
        world.files.heal()
        world.writer.state(person.vault)
    assert world.writer.live.grants(person.vault) == set()


# --- approving -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("history", "values"), [(False, [2.0]), (True, [1.0, 2.0])])
def test_an_approved_grant_reads_what_was_given(world: World, history: bool, values: list[float]) -> None:
    meter, asked = asked_for(world)
    meter.person.approve(asked, meter.selector(), history=history)
    meter.send(2)
    assert [one.observation.value for one in asked.read()] == values
    assert meter.person.told()[-3:] == ["asked", "approved", "active"]


def test_between_prepare_and_commit_nothing_can_be_read_and_new_readings_are_sealed(world: World) -> None:
    meter, asked = asked_for(world)
    terms = asked.terms(meter.selector())
    signed = meter.person.statement(asked, terms)
    prepared = meter.person.prepare(asked, signed)
    meter.send(2)
    assert isinstance(asked.permit(), Refusal)
    meter.person.commit(asked, terms, prepared.segments)
    assert [one.observation.value for one in asked.read()] == [2.0]


@pytest.mark.parametrize("after", [False, True])
def test_an_approval_that_was_cut_off_at_any_write_is_resumed_by_the_same_statement(
    memory_path: Path, after: bool
) -> None:
    for step in itertools.count(1):
        world = World(memory_path / f"{step}")
        meter, asked = asked_for(world)
        terms = asked.terms(meter.selector(), history=True)
        signed = meter.person.statement(asked, terms)
        world.files.fail(step, Fault.DEAD, after=after)
        try:
            meter.person.commit(asked, terms, meter.person.prepare(asked, signed).segments)
            world.files.heal()
            break
        except Killed:
            world.crash()
        meter.send(2)
        if not isinstance(state(asked), Active):
            segments = meter.person.prepare(asked, signed).segments
            meter.person.commit(asked, terms, segments)
        assert {one.observation.value for one in asked.read()} == {1.0, 2.0}
        assert meter.person.told()[-2:] == ["approved", "active"]
    assert step > 8


Alter = Callable[[Asked, Terms], Signed]
ONE_FAULT: dict[str, tuple[str, Alter]] = {
    "signed by somebody else": (
        "not_authorised",
        lambda a, t: sign(Owner(b"x" * 32).signing, a.person.vault, a.person.unsigned(a, t)),
    ),
    "signed for another vault": (
        "not_authorised",
        lambda a, t: sign(a.person.owner.signing, VaultId(bytes(16)), a.person.unsigned(a, t)),
    ),
    "not an approval": (
        "invalid",
        lambda a, _: sign(a.person.owner.signing, a.person.vault, Enrolment(a.grant.text, bytes(32), "")),
    ),
    "of another grant": ("refused", lambda a, t: a.person.statement(a, t, grant=GrantId(bytes(16)).text)),
    "to another key": ("refused", lambda a, t: a.person.statement(a, t, key_hash=bytes(32))),
    "of terms that were not shown": ("refused", lambda a, t: a.person.statement(a, t, terms_hash=bytes(32))),
    "of other terms than hashed": (
        "refused",
        lambda a, t: a.person.statement(a, t, terms=replace(t, data_until=t.data_until - 1)),
    ),
    "of more than was asked": (
        "refused",
        lambda a, t: a.person.statement(a, replace(t, selectors=(replace(t.selectors[0], kind="humidity"),))),
    ),
    "of an older generation": ("conflict", lambda a, t: a.person.statement(a, t, generation=0)),
    "of a later generation": ("conflict", lambda a, t: a.person.statement(a, t, generation=9)),
}


@pytest.mark.parametrize("fault", ONE_FAULT)
def test_an_approval_with_one_fault_is_refused_and_changes_nothing(world: World, fault: str) -> None:
    meter, asked = asked_for(world)
    code, alter = ONE_FAULT[fault]
    signed = alter(asked, asked.terms(meter.selector()))
    before = state(asked)
    assert refused(code, grants.prepare(world.writer, meter.person.vault, asked.grant, signed))
    assert state(asked) == before
    meter.person.approve(asked, meter.selector())  # the one without a fault is taken


def test_a_request_that_changed_after_it_was_shown_is_not_approved(world: World) -> None:
    """ACCEPTANCE D7: what is signed is the hash of what was shown, whoever changes the request."""
    meter, asked = asked_for(world)
    signed = meter.person.statement(asked, asked.terms(meter.selector()))
    told = asked.request.ask.replace(b"Bill by what you use", b"Sell what you do, now")
    assert told != asked.request.ask
    hosts(meter.person, ("UPDATE grant_ SET ask = ?", (told,)))
    assert refused("refused", grants.prepare(world.writer, meter.person.vault, asked.grant, signed))
    assert isinstance(state(asked), Pending)


def test_one_token_however_often_a_request_is_answered(world: World) -> None:
    """ACCEPTANCE D8: a second yes, one that comes too late, and one after a no give nothing."""
    meter, asked = asked_for(world)
    signed = meter.person.statement(asked, asked.terms(meter.selector()))
    tokens = {asked.token()}
    for _ in range(2):
        meter.person.prepare(asked, signed)
        tokens.add(asked.token())
    meter.person.commit(asked, asked.terms(meter.selector()), [])
    assert refused("conflict", grants.prepare(world.writer, meter.person.vault, asked.grant, signed))
    assert tokens == {asked.token()}
    no = Asked(meter.person, world.brand("Globex"))
    grants.deny(world.writer, meter.person.vault, no.grant, "")
    late = Asked(meter.person, world.brand("Initech"))
    world.pass_time(8 * DAY_MS)
    for one in (no, late):
        again = meter.person.statement(one, one.terms(meter.selector()))
        assert refused("conflict", grants.prepare(world.writer, meter.person.vault, one.grant, again))


def test_an_altered_signature_is_refused_whichever_byte_it_is(world: World) -> None:
    meter, asked = asked_for(world)
    signed = meter.person.statement(asked, asked.terms(meter.selector()))
    for place in range(64):
        altered = bytearray(signed.signature)
        altered[place] ^= 1
        bad = replace(signed, signature=bytes(altered))
        assert refused("not_authorised", grants.prepare(world.writer, meter.person.vault, asked.grant, bad))


def test_an_approval_that_was_begun_takes_no_other_statement(world: World) -> None:
    meter, asked = asked_for(world)
    terms = asked.terms(meter.selector())
    meter.person.prepare(asked, meter.person.statement(asked, terms))
    other = meter.person.statement(asked, replace(terms, data_until=terms.data_until - 60))
    assert refused("conflict", grants.prepare(world.writer, meter.person.vault, asked.grant, other))


def test_a_grant_is_approved_and_committed_once(world: World) -> None:
    meter, asked = asked_for(world)
    terms = asked.terms(meter.selector())
    signed = meter.person.statement(asked, terms)
    prepared = meter.person.prepare(asked, signed)
    meter.person.commit(asked, terms, prepared.segments)
    with pytest.raises(RefusedError, match="already"):
        meter.person.commit(asked, terms, prepared.segments)
    assert refused("conflict", grants.prepare(world.writer, meter.person.vault, asked.grant, signed))
    assert [entry.what for entry in meter.person.ledger()].count("active") == 1


def test_boxes_of_history_must_name_segments_of_the_days_given(world: World) -> None:
    meter, asked = asked_for(world)
    person, writer = meter.person, world.writer
    world.pass_time(-3 * DAY_MS)
    meter.send(0)
    world.pass_time(3 * DAY_MS)
    writer.move(person.vault)
    terms = asked.terms(meter.selector())
    person.prepare(asked, person.statement(asked, terms))
    of = person.in_force(asked)
    rows = world.reader.segments(person.vault, 0, 1 << 30)
    headers = [person.open_segment(row)[0] for row in rows]
    by_day = {header.day: bytes(header.segment) for header in headers}
    today = by_day[world.clock() // DAY_MS]
    _, ledgers = world.reader.ledger(person.vault, 0, 100)
    ledger = bytes(person.open_segment(ledgers[0])[0].segment)
    for bad in (by_day[min(by_day)], ledger, bytes(SegmentId(bytes(16))), today + b"x", b"", today + ledger):
        assert refused("refused", grants.commit(writer, person.vault, asked.grant, [(bad, b"box")], of))
        assert isinstance(state(asked), Preparing)
    assert grants.commit(writer, person.vault, asked.grant, [(today, b"box")], of) is None


def test_a_grant_of_nobody_is_not_found(world: World) -> None:
    meter, asked = asked_for(world)
    nobody, vault = GrantId(bytes(16)), meter.person.vault
    signed = meter.person.statement(asked, asked.terms(meter.selector()))
    answers = [
        grants.prepare(world.writer, vault, nobody, signed),
        grants.commit(world.writer, vault, nobody, [], b""),
        grants.revoke(world.writer, vault, nobody),
        grants.deny(world.writer, vault, nobody, ""),
        grants.give_back(world.writer, vault, nobody),
    ]
    assert all(refused("not_found", answer) for answer in answers)


# --- what a host writes does not count -------------------------------------------------------------------


def test_a_key_that_the_host_put_in_place_is_not_sealed_to(world: World) -> None:
    meter, asked = asked_for(world)
    meter.person.approve(asked, meter.selector())
    theirs = Owner(b"h" * 32).hpke
    hosts(meter.person, ("UPDATE grant_ SET public = ?", (theirs.public,)))
    meter.send(2)
    world.flush(meter.person)
    assert world.reader.boxes(meter.person.vault, asked.grant, 0) == []


@pytest.mark.parametrize("signed", [b"", msgspec.msgpack.encode((b"body", bytes(64)))])
def test_a_state_that_the_host_wrote_is_not_sealed_to(world: World, signed: bytes) -> None:
    meter, asked = asked_for(world)
    forced = msgspec.msgpack.encode(Active(asked.terms(meter.selector()), 1, 2))
    hosts(meter.person, ("UPDATE grant_ SET state = ?, statement = ?", (forced, signed or None)))
    assert meter.send(2)
    world.flush(meter.person)
    assert world.reader.boxes(meter.person.vault, asked.grant, 0) == []


def test_a_signed_grant_that_the_host_brings_back_has_no_key_to_read_with(world: World) -> None:
    meter, asked = asked_for(world)
    meter.person.approve(asked, meter.selector())
    token, active = asked.token(), state(asked)
    meter.person.revoke(asked)
    hosts(meter.person, ("UPDATE grant_ SET state = ?", (msgspec.msgpack.encode(active),)))
    meter.send(2)
    world.flush(meter.person)
    assert world.reader.boxes(meter.person.vault, asked.grant, 0) == []
    with pytest.raises(LookupError):
        asked.keys(token)


def test_the_control_that_trusts_the_row_seals_to_the_host(world: World) -> None:
    """What the tests above look for: a writer that believes the table beside the statement."""
    meter, asked = asked_for(world)
    meter.person.approve(asked, meter.selector())
    theirs = Owner(b"h" * 32).hpke
    trusting = LiveGrant.of(asked.grant, theirs.public, asked.terms(meter.selector()))
    world.writer.state(meter.person.vault).open.admit(trusting)
    meter.send(2)
    world.flush(meter.person)
    ((_, segments, box),) = world.reader.boxes(meter.person.vault, asked.grant, 0)
    vault, key_id = meter.person.vault, meter.person.owner.key_id
    assert open_grant_box(theirs, key_id, vault, asked.grant, segments, box)


def test_one_damaged_row_does_not_keep_the_vault_from_taking_readings(world: World) -> None:
    meter, asked = asked_for(world)
    other = Asked(meter.person, world.brand("Globex"))
    for one in (asked, other):
        meter.person.approve(one, meter.selector())
    hosts(meter.person, ("UPDATE grant_ SET statement = x'00' WHERE id = ?", (asked.grant,)))
    assert meter.send(2)
    assert [one.observation.value for one in other.read()] == [2.0]


# --- endings ------------------------------------------------------------------------------------------


def test_deny_revoke_and_return_end_it_once(world: World) -> None:
    meter = world.person().device()
    ends: list[tuple[Callable[[GrantId], No | None], bool, type, str]] = [
        (lambda g: grants.deny(world.writer, meter.person.vault, g, "no"), False, Denied, "denied"),
        (lambda g: grants.revoke(world.writer, meter.person.vault, g), False, Denied, "ended"),
        (lambda g: grants.revoke(world.writer, meter.person.vault, g), True, Ended, "ended"),
        (lambda g: grants.give_back(world.writer, meter.person.vault, g), True, Ended, "ended"),
    ]
    for end, approved, left, what in ends:
        asked = Asked(meter.person, world.brand())
        if approved:
            meter.person.approve(asked, meter.selector())
        expect(end(asked.grant))
        assert isinstance(state(asked), left)
        assert meter.person.told()[-1] == what
        assert refused("conflict", end(asked.grant))
        assert world.reader.slot(meter.person.vault, asked.grant) is None
        assert world.reader.wrapped_seed(meter.person.vault, asked.grant) is None


def test_a_request_lapses_when_its_time_is_over(world: World) -> None:
    _, asked = asked_for(world)
    world.clock.now = asked.request.expires - 1
    ticking.tick(world.writer, asked.person.vault)
    assert isinstance(state(asked), Pending)
    world.pass_time(1)
    ticking.tick(world.writer, asked.person.vault)
    assert state(asked) == Lapsed(world.clock())
    assert asked.person.told()[-1] == "lapsed"


def test_an_approval_comes_too_late_at_the_very_millisecond(world: World) -> None:
    meter, asked = asked_for(world)
    terms = asked.terms(meter.selector())
    signed = meter.person.statement(asked, terms)
    world.clock.now = asked.request.expires
    assert refused("conflict", grants.prepare(world.writer, meter.person.vault, asked.grant, signed))


def test_an_expired_grant_is_refused_at_once_and_erased_after_a_day_of_uptime(world: World) -> None:
    """F1, F4: to the millisecond, and one glitch of a clock destroys nothing."""
    meter, asked = asked_for(world)
    terms = meter.person.approve(asked, meter.selector())
    hour, live, vault = 3_600_000, world.writer.live, meter.person.vault
    world.clock.now = terms.access_until * 1000 - 1
    assert not isinstance(asked.permit(), Refusal)
    world.pass_time(1)
    assert isinstance(asked.permit(), Refusal)
    live.set_clock(ClockMark(world.clock(), 0))
    ticking.tick(world.writer, vault)
    world.clock.now -= 100 * DAY_MS  # the clock goes back: the mark does not
    assert isinstance(asked.permit(), Refusal)
    for uptime, kind in [(23 * hour, Active), (24 * hour - 1, Active), (24 * hour, Ended)]:
        live.set_clock(ClockMark(live.clock().mark, uptime))
        ticking.tick(world.writer, vault)
        assert isinstance(state(asked), kind)
    assert meter.send(5)  # ingest goes on


def test_a_grant_that_was_over_only_for_a_glitch_has_its_whole_day_again(world: World) -> None:
    meter, asked = asked_for(world)
    terms = meter.person.approve(asked, meter.selector())
    live, vault, before = world.writer.live, meter.person.vault, world.clock()
    world.clock.now = terms.access_until * 1000
    ticking.tick(world.writer, vault)
    world.clock.now = before
    ticking.tick(world.writer, vault)
    world.clock.now = terms.access_until * 1000
    live.set_clock(ClockMark(0, 30 * 3_600_000))
    for _ in range(2):
        ticking.tick(world.writer, vault)
    assert isinstance(state(asked), Active)


def test_while_the_clock_cannot_be_believed_time_ends_nothing(world: World) -> None:
    _, asked = asked_for(world)
    uses.picked_up(world.writer, asked.person.vault, asked.grant)
    world.writer.live.set_clock(ClockMark(0, 0, Frozen.AHEAD))
    world.pass_time(100 * DAY_MS)
    ticking.tick(world.writer, asked.person.vault)
    assert isinstance(state(asked), Pending)
    assert world.writer.live.has_pickup(asked.person.vault, asked.grant)


# --- the token ----------------------------------------------------------------------------------------


def test_the_same_token_is_given_for_a_quarter_of_an_hour_after_the_first_time(world: World) -> None:
    meter, asked = asked_for(world)
    meter.person.approve(asked, meter.selector())
    first = asked.token()
    uses.picked_up(world.writer, meter.person.vault, asked.grant)
    for minutes in (0, 10, 5):
        world.pass_time(minutes * MINUTE)
        uses.picked_up(world.writer, meter.person.vault, asked.grant)
        ticking.tick(world.writer, meter.person.vault)
        assert asked.token() == first
    world.pass_time(1)
    ticking.tick(world.writer, meter.person.vault)
    with pytest.raises(SealError):
        asked.token()
    assert meter.person.told().count("picked up") == 1
    asked.keys(first)


def test_the_first_use_ends_picking_up(world: World) -> None:
    meter, asked = asked_for(world)
    meter.person.approve(asked, meter.selector())
    token = asked.token()
    for _ in range(2):
        uses.first_use(world.writer, meter.person.vault, asked.grant)
    with pytest.raises(SealError):
        asked.token()
    asked.keys(token)


def test_what_was_never_picked_up_cannot_be_when_the_request_has_expired(world: World) -> None:
    meter, asked = asked_for(world)
    meter.person.approve(asked, meter.selector())
    world.clock.now = asked.request.expires - 1
    ticking.tick(world.writer, meter.person.vault)
    assert asked.token()
    world.pass_time(1)
    ticking.tick(world.writer, meter.person.vault)
    with pytest.raises(SealError):
        asked.token()


def test_neither_token_nor_its_hash_nor_the_secret_of_the_request_is_on_disk(world: World) -> None:
    meter, asked = asked_for(world)
    meter.person.approve(asked, meter.selector())
    token = asked.token()
    uses.picked_up(world.writer, meter.person.vault, asked.grant)
    found = world.bytes_on_disk()
    for secret in (
        token.encode(),
        read_secret(TOKEN_PREFIX, token)[1],
        read_secret(PICKUP_PREFIX, asked.drawn.auth_req_id)[1],
    ):
        assert secret not in found
        assert hashlib.sha256(secret).digest() not in found
    assert asked.drawn.wrapped_seed in found  # the control of this search
