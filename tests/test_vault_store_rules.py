"""Standing rules: signed, in order, and all that a yes without a signature rests on."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from policies.grant import Active, Denied, GrantState, Pending
from policies.rules import Rule, Rules, encode_rules, rules_hash
from policies.terms import Selector, Terms
from tests.deaths import deaths
from tests.world import DAY_MS, Asked, Device, Person, World, expect
from vault.ids import BrandId, GrantId, VaultId
from vault.person import Owner
from vault.statement import Enrolment, Signed, StandingRules, sign
from vault.store import asking, grants, holders, rules
from vault.store.records import No, RuleAnswer
from vault.store.ruling import SKEW_MS, read_rules, upheld

HOUR = 3_600_000
ALLOW = Rule(do="allow", kind="temperature", days=30)
NEVER = Rule(do="never", kind="temperature")


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def signed(person: Person, version: int, *said: Rule, **other: Any) -> Signed:
    """These rules in the owner's name; ``other`` replaces fields of the statement."""
    made = person.world.clock()
    statement = StandingRules(version, encode_rules(Rules(rules=said)), made)
    return sign(person.owner.signing, person.vault, replace(statement, **other))


def lay_down(person: Person, version: int, *said: Rule) -> None:
    """Make these the rules."""
    expect(rules.set_rules(person.world.writer, person.vault, signed(person, version, *said)))


def state(asked: Asked) -> GrantState | None:
    """As the person's file has it."""
    return asked.person.world.writer.file(asked.person.vault).state(asked.grant)


def values(asked: Asked) -> list[object]:
    """What the brand can read."""
    return [one.observation.value for one in asked.read()]


def refused(code: str, outcome: object) -> bool:
    """Whether the answer is a no of this sort."""
    return isinstance(outcome, No) and outcome.code == code


def hosts(person: Person, *sql: tuple[str, tuple[object, ...]]) -> None:
    """What a host writes into the person's file while the node is down."""
    person.world.close()
    with closing(sqlite3.connect(person.world.data.vault_db(person.vault))) as connection:
        for statement, given in sql:
            connection.execute(statement, given)
        connection.commit()
    person.world.open()


def shown(person: Person) -> list[tuple[StandingRules, Rules]]:
    """What a client reads of them."""
    kept = person.world.reader.rules(person.vault)
    return [read_rules(person.owner.verify_key, person.vault, one) for one in kept]


def ruled(world: World, *said: Rule) -> tuple[Device, Asked]:
    """A meter that sent 1, rules, and then a request."""
    meter = world.person().device()
    meter.send(1)
    lay_down(meter.person, 1, *(said or (ALLOW,)))
    world.pass_time(1000)
    return meter, Asked(meter.person, world.brand())


def sealed_to(asked: Asked) -> bool:
    """Whether the writer seals to a grant."""
    world, vault = asked.person.world, asked.person.vault
    return asked.grant in world.writer.state(vault).open.readers


# --- the rules themselves ------------------------------------------------------------------------------


def test_rules_are_kept_in_every_version_and_the_ledger_tells(world: World) -> None:
    person = world.person()
    for version, rule in enumerate((ALLOW, NEVER), start=1):
        lay_down(person, version, rule)
    assert [(s.version, r.rules) for s, r in shown(person)] == [(1, (ALLOW,)), (2, (NEVER,))]
    assert person.told()[-2:] == ["rules", "rules"]
    assert [entry.note for entry in person.ledger()[-2:]] == ["version 1", "version 2"]


ONE_FAULT: dict[str, tuple[str, Callable[[Person], Signed]]] = {
    "signed by somebody else": (
        "not_authorised",
        lambda p: sign(Owner(b"x" * 32).signing, p.vault, StandingRules(1, b"", p.world.clock())),
    ),
    "for another vault": (
        "not_authorised",
        lambda p: sign(p.owner.signing, VaultId(bytes(16)), StandingRules(1, b"", p.world.clock())),
    ),
    "not rules": (
        "invalid",
        lambda p: sign(p.owner.signing, p.vault, Enrolment(p.client.text, bytes(32), "")),
    ),
    "no document": ("invalid", lambda p: signed(p, 1, rules=b"never marketing")),
    "not canonical": ("invalid", lambda p: signed(p, 1, rules=encode_rules(Rules()) + b" ")),
    "of a kind that is not known": ("invalid", lambda p: signed(p, 1, Rule(do="never", kind="moods"))),
    "of a purpose that is not known": ("invalid", lambda p: signed(p, 1, Rule(do="never", purpose="dpv:X"))),
    "version 0": ("conflict", lambda p: signed(p, 0, ALLOW)),
    "the version after the next": ("conflict", lambda p: signed(p, 2, ALLOW)),
    "dated too far back": ("invalid", lambda p: signed(p, 1, ALLOW, made=p.world.clock() - SKEW_MS - 1)),
    "dated ahead": ("invalid", lambda p: signed(p, 1, ALLOW, made=p.world.clock() + SKEW_MS + 1)),
}


@pytest.mark.parametrize("fault", ONE_FAULT)
def test_rules_with_one_fault_are_refused_and_change_nothing(world: World, fault: str) -> None:
    person = world.person()
    code, make = ONE_FAULT[fault]
    assert refused(code, rules.set_rules(world.writer, person.vault, make(person)))
    assert world.reader.rules(person.vault) == []
    lay_down(person, 1, ALLOW)  # the one without a fault is taken
    assert refused("conflict", rules.set_rules(world.writer, person.vault, signed(person, 1, ALLOW)))


# --- answers -------------------------------------------------------------------------------------------


def test_without_rules_the_person_is_asked(world: World) -> None:
    asked = Asked(world.person(), world.brand())
    assert isinstance(state(asked), Pending)


def test_a_yes_gives_what_is_to_come_and_no_history(world: World) -> None:
    meter, asked = ruled(world)
    found = state(asked)
    assert isinstance(found, Active)
    assert found.terms.selectors == (Selector(meter.id.text, "temperature"),)
    meter.send(2)
    assert values(asked) == [2.0]
    assert meter.person.told()[-2:] == ["asked", "approved"]
    assert meter.person.ledger()[-1].note == "by your rules, version 1"
    row = world.reader.grant(meter.person.vault, asked.grant)
    assert row is not None
    assert row.rule is not None
    assert (row.statement, row.rule.rules_version) == (None, 1)
    assert row.rule.rules_hash == rules_hash(Rules(rules=(ALLOW,)))


@pytest.mark.parametrize("crash", [False, True])
def test_a_yes_outlasts_the_node_and_the_rules_that_follow(world: World, crash: bool) -> None:
    meter, asked = ruled(world)
    world.pass_time(2 * HOUR)
    lay_down(meter.person, 2, NEVER)
    world.crash() if crash else world.reopen()
    meter.send(2)
    assert values(asked) == [2.0]


def test_devices_of_after_are_not_given(world: World) -> None:
    meter, asked = ruled(world)
    world.pass_time(1000)
    other = meter.person.device("thermostat")
    world.reopen()
    other.send(5)
    meter.send(2)
    assert values(asked) == [2.0]


def test_a_no_is_said_at_once_its_reason_is_the_owners_and_no_secret_is_kept(world: World) -> None:
    meter, asked = ruled(world, NEVER)
    found = state(asked)
    assert isinstance(found, Denied)
    assert "temperature" in found.reason.lower()
    assert world.reader.slot(meter.person.vault, asked.grant) is None
    assert world.reader.wrapped_seed(meter.person.vault, asked.grant) is None
    assert meter.person.told()[-2:] == ["asked", "denied"]
    with pytest.raises(LookupError):
        asked.token()


def test_what_the_rules_leave_open_is_asked(world: World) -> None:
    _, asked = ruled(world, Rule(do="allow", kind="humidity"))
    assert isinstance(state(asked), Pending)


def test_a_vault_without_devices_is_asked(world: World) -> None:
    person = world.person()
    lay_down(person, 1, ALLOW)
    assert isinstance(state(Asked(person, world.brand())), Pending)


def test_what_the_owner_revoked_no_rule_gives_back_and_one_at_a_time_is_enough(world: World) -> None:
    meter, asked = ruled(world)

    def again(number: int) -> GrantState | None:
        request = replace(asked.request, grant=GrantId(bytes([number]) * 16))
        expect(asking.ask(world.writer, request))
        return world.writer.file(meter.person.vault).state(request.grant)

    assert isinstance(again(1), Pending)
    expect(grants.deny(world.writer, meter.person.vault, GrantId(b"\x01" * 16), ""))
    expect(grants.give_back(world.writer, meter.person.vault, asked.grant))
    assert isinstance(again(2), Active)  # the brand itself ended it
    expect(grants.revoke(world.writer, meter.person.vault, GrantId(b"\x02" * 16)))
    assert isinstance(again(3), Pending)


def test_rules_for_a_brand_hold_for_that_brand(world: World) -> None:
    meter = world.person().device()
    mine, other = world.brand("Acme"), world.brand("Globex")
    lay_down(meter.person, 1, replace(ALLOW, brand=mine.text))
    assert isinstance(state(Asked(meter.person, mine)), Active)
    assert isinstance(state(Asked(meter.person, other)), Pending)


def test_a_grant_by_rule_is_paused_goes_on_is_changed_and_revoked(world: World) -> None:
    meter, asked = ruled(world)
    person = meter.person
    world.pass_time(HOUR)
    for paused in (True, False):
        expect(grants.pause(world.writer, person.vault, asked.grant, paused=paused))
        world.pass_time(HOUR)
        meter.send(2 if paused else 3)
    assert values(asked) == [3.0]
    found = state(asked)
    assert isinstance(found, Active)
    (rule,) = world.writer.file(person.vault).row("SELECT rule FROM grant_ WHERE id = ?", (asked.grant,))
    shorter = replace(found.terms, data_until=found.terms.data_until - 60)
    made = person.statement(asked, shorter, predecessor=hashlib.sha256(rule).digest())
    person.commit(asked, shorter, person.prepare(asked, made).segments)
    row = world.reader.grant(person.vault, asked.grant)
    assert row is not None
    assert (row.rule, row.statement) == (None, made)
    world.reopen()
    meter.send(4)
    assert 4.0 in values(asked)
    person.revoke(asked)
    assert not sealed_to(asked)


@pytest.mark.parametrize("after", [False, True])
def test_a_yes_that_was_cut_off_at_any_write_holds_or_did_not_happen(memory_path: Path, after: bool) -> None:
    seen = set()

    def begin(world: World) -> tuple[Person, BrandId]:
        meter = world.person().device()
        lay_down(meter.person, 1, ALLOW)
        return meter.person, world.brand()

    for person, _ in deaths(memory_path, begin, lambda begun: Asked(*begun), after=after):
        world, vault = person.world, person.vault
        world.writer.state(vault)
        rows = world.reader.grants(vault)
        held = {reader.grant for reader in world.writer.file(vault).live_grants()}
        assert {row.grant for row in rows} == held == world.writer.live.grants(vault)
        assert ("approved" in person.told()) is bool(rows)
        seen.add(len(rows))
    assert seen == ({0, 1} if after else {0})  # nothing is written after the transaction


# --- what a host writes --------------------------------------------------------------------------------


def answer_of(asked: Asked) -> tuple[Active, RuleAnswer]:
    """A grant by rule, as it is kept."""
    found, row = state(asked), asked.person.world.reader.grant(asked.person.vault, asked.grant)
    assert isinstance(found, Active)
    assert row is not None
    assert row.rule is not None
    return found, row.rule


Forge = Callable[[Terms, RuleAnswer], tuple[Terms, RuleAnswer]]
FORGED: dict[str, Forge] = {
    "for longer": lambda t, a: (replace(t, data_until=t.data_until + 1), a),
    "with history": lambda t, a: (replace(t, data_from=0), a),
    "of another device": lambda t, a: (
        replace(t, selectors=(*t.selectors, replace(t.selectors[0], device="a" * 26))),
        a,
    ),
    "of another kind": lambda t, a: (replace(t, selectors=(replace(t.selectors[0], kind="humidity"),)), a),
    "for another purpose": lambda t, a: (replace(t, purpose="dpv:Marketing"), a),
    "answered later": lambda t, a: (t, replace(a, at=a.at + 1000)),
    "answered before the rules": lambda t, a: (t, replace(a, at=a.at - 3 * SKEW_MS)),
    "by rules that are not there": lambda t, a: (t, replace(a, rules_version=2)),
    "by a version beyond any": lambda t, a: (t, replace(a, rules_version=2**64 - 1)),
    "by other rules": lambda t, a: (t, replace(a, rules_hash=bytes(32))),
    "to another request": lambda t, a: (t, replace(a, request_hash=bytes(32))),
    "with other terms": lambda t, a: (t, replace(a, terms_hash=bytes(32))),
    "nothing": lambda t, a: (t, a),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_yes_that_the_host_changed_is_not_sealed_to(world: World, forged: str) -> None:
    """Exactly as strict as a signature; ``nothing`` is the control, which is put back as it was."""
    meter, asked = ruled(world)
    found, answer = answer_of(asked)
    terms, altered = FORGED[forged](found.terms, answer)
    kept = msgspec.msgpack.encode(replace(found, terms=terms)), msgspec.msgpack.encode(altered)
    hosts(meter.person, ("UPDATE grant_ SET state = ?, rule = ?", kept))
    assert sealed_to(asked) is (forged == "nothing")


def test_a_yes_to_a_request_that_the_host_changed_is_not_sealed_to(world: World) -> None:
    meter, asked = ruled(world)
    other = Asked(meter.person, world.brand("Globex"), "temperature", "humidity")
    assert isinstance(state(other), Pending)
    hosts(meter.person, ("UPDATE grant_ SET ask = ? WHERE id = ?", (other.request.ask, asked.grant)))
    assert not sealed_to(asked)


def test_a_yes_of_rules_that_were_replaced_before_it_is_not_sealed_to(world: World) -> None:
    """A host cannot choose among the versions: the one that follows says until when each held."""
    meter, asked = ruled(world)
    _, answer = answer_of(asked)
    lay_down(meter.person, 2, NEVER)
    for made, held in ((answer.at - SKEW_MS - 1, False), (answer.at - SKEW_MS, True)):
        packed = msgspec.msgpack.encode(signed(meter.person, 2, NEVER, made=made))
        hosts(meter.person, ("UPDATE rules SET signed = ? WHERE version = 2", (packed,)))
        assert sealed_to(asked) is held  # the clocks of a client and of a node may differ by an hour


def test_rules_that_the_host_wrote_say_nothing(world: World) -> None:
    meter = world.person().device()
    document = encode_rules(Rules(rules=(ALLOW,)))
    theirs = sign(Owner(b"h" * 32).signing, meter.person.vault, StandingRules(1, document, world.clock()))
    packed = msgspec.msgpack.encode(theirs)
    hosts(meter.person, ("INSERT INTO rules VALUES (1, ?, ?)", (packed, world.clock())))
    assert isinstance(state(Asked(meter.person, world.brand())), Pending)


@pytest.mark.parametrize("junk", [b"", b"\xc1", msgspec.msgpack.encode([1, 2])])
def test_damaged_rules_and_answers_keep_nobody_from_anything(world: World, junk: bytes) -> None:
    meter, asked = ruled(world)
    hosts(meter.person, ("UPDATE rules SET signed = ?", (junk,)))
    assert not sealed_to(asked)
    assert meter.send(2)
    assert isinstance(state(Asked(meter.person, world.brand("Globex"))), Pending)


def test_the_control_that_believes_the_row_seals_to_whatever_the_host_wrote(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests above look for."""
    monkeypatch.setattr(holders, "upheld", lambda *_: True)
    meter, asked = ruled(world)
    found, _ = answer_of(asked)
    wide = msgspec.msgpack.encode(replace(found, terms=replace(found.terms, data_from=0)))
    hosts(meter.person, ("UPDATE grant_ SET state = ?", (wide,)))
    assert sealed_to(asked)


def test_a_client_comes_to_the_same_from_what_it_is_shown(world: World) -> None:
    meter, asked = ruled(world)
    found, answer = answer_of(asked)
    versions, rest = shown(meter.person), (asked.brand, asked.request.ask, found.terms)
    assert upheld(versions, answer, *rest, [meter.id.text])
    assert not upheld(versions, answer, *rest, [])
    assert not upheld([], answer, *rest, [meter.id.text])
    assert not upheld(versions, replace(answer, at=answer.at + 30 * DAY_MS), *rest, [meter.id.text])
