"""What a grant gives is worked out again by the client: what nobody gave is told, and gets no key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from gateway import wire
from gateway.client.answered import doubtful, given_terms
from gateway.client.approve import in_force, revise
from gateway.client.errors import ForkedError, ImpostorError, RolledBackError
from gateway.client.read import Archive
from gateway.client.recipients import look
from gateway.client.rules import set_rules, standing
from policies.grant import Active
from policies.iso8601 import DAY
from policies.rules import Rule, Rules, encode_rules
from tests.client_world import Person, number
from tests.owner_host import START, Clock, OwnerHost, serve
from tests.test_gateway_client_approve import ENERGY_ASK, row_of
from vault.ids import GrantId, VaultId
from vault.statement import Signed, StandingRules, sign
from vault.store.records import GrantRow

ALLOW = Rule(do="allow", kind="energy", days=30)
DETAIL = ENERGY_ASK | {"resolution": "day", "duration": "P30D"}


class Host(OwnerHost):
    """Shows what it is told to show."""

    lie: str = ""
    shown: list[Signed] | None = None  # as the standing rules

    def read(self, vault: VaultId, call: wire.OwnerRead) -> wire.AnyReply:
        answer = super().read(vault, call)
        if isinstance(answer, wire.Grants) and self.lie:
            return wire.Grants([getattr(self, self.lie)(row) for row in answer.grants])
        if isinstance(answer, wire.StandingRulesReply):
            if self.lie == "no_rules":
                return wire.StandingRulesReply([])
            return wire.StandingRulesReply(self.shown if self.shown is not None else answer.signed)
        return answer

    def no_rules(self, row: GrantRow) -> GrantRow:
        return row

    def wider(self, row: GrantRow) -> GrantRow:
        assert isinstance(row.state, Active)
        terms = msgspec.structs.replace(row.state.terms, data_until=row.state.terms.data_until + DAY)
        return msgspec.structs.replace(row, state=msgspec.structs.replace(row.state, terms=terms))

    def later(self, row: GrantRow) -> GrantRow:
        assert row.rule is not None
        return msgspec.structs.replace(row, rule=msgspec.structs.replace(row.rule, at=row.rule.at + 1000))

    def of_other_rules(self, row: GrantRow) -> GrantRow:
        assert row.rule is not None
        return msgspec.structs.replace(row, rule=msgspec.structs.replace(row.rule, rules_version=2))

    def of_nobody(self, row: GrantRow) -> GrantRow:
        return msgspec.structs.replace(row, rule=None)


@contextmanager
def ruled(path: Path) -> Iterator[tuple[Host, Person, GrantId]]:
    """A person whose rule said yes while they were away."""
    with serve(Host(path, Clock())) as host:
        assert isinstance(host, Host)
        person = Person(host)
        device = person.add_device()
        host.publish(person.vault, device, [number("energy", START, 1.0)])
        with person.session() as session:
            said = StandingRules(1, encode_rules(Rules(rules=(ALLOW,))), host.clock())
            session.tell(wire.SetRules(sign(person.owner.signing, person.vault, said)), wire.Done)
        host.clock.now += 1000
        brand = host.brand()
        yield host, person, host.ask(person.vault, brand, host.touchpoint(person.vault, brand), DETAIL)


def test_what_a_rule_gave_is_believed_when_it_comes_out_the_same(tmp_path: Path) -> None:
    with ruled(tmp_path / "data") as (_, person, grant), person.session() as session:
        row, _ = row_of(session, grant)
        assert isinstance(row.state, Active)
        assert row.rule is not None
        assert given_terms(session, row) == row.state.terms
        assert doubtful(session, [row]) == []
        assert [reader.grant for reader in look(session).readers] == [grant]


@pytest.mark.parametrize("lie", ["wider", "later", "of_other_rules", "no_rules", "of_nobody"])
def test_a_grant_that_nobody_gave_is_told_and_gets_nothing_more(tmp_path: Path, lie: str) -> None:
    """Listing goes on: the person must be able to see it, and to end it."""
    with ruled(tmp_path / "data") as (host, person, grant), person.session() as session:
        assert [reader.grant for reader in look(session).readers] == [grant]  # the control
        if lie == "no_rules":  # to a computer that never saw them; one that did is told of older rules
            session.pins = msgspec.structs.replace(session.pins, rules=0, rules_hash=b"")
        host.lie = lie
        row, asks = row_of(session, grant)
        assert [one.grant for one in doubtful(session, [row])] == [grant]
        assert look(session).readers == ()
        with pytest.raises(ImpostorError):
            given_terms(session, row)
        assert isinstance(row.state, Active)
        with pytest.raises(ImpostorError):
            revise(session, Archive(session), row, asks, row.state.terms)
        session.tell(wire.Revoke(row.grant), wire.Done)
        host.lie = ""
        assert doubtful(session, [row_of(session, grant)[0]]) == []  # it is not in force any more


def test_terms_beside_a_statement_are_those_that_were_signed(tmp_path: Path) -> None:
    with ruled(tmp_path / "data") as (host, person, grant), person.session() as session:
        row, asks = row_of(session, grant)
        assert isinstance(row.state, Active)
        revise(session, Archive(session), row, asks, row.state.terms)  # signed from now on
        assert doubtful(session, [row_of(session, grant)[0]]) == []
        host.lie = "wider"
        row, asks = row_of(session, grant)
        assert [one.grant for one in doubtful(session, [row])] == [grant]
        assert look(session).readers == ()
        with pytest.raises(ImpostorError):
            in_force(session, row)


def test_standing_rules_that_were_seen_cannot_be_rolled_back(tmp_path: Path) -> None:
    with ruled(tmp_path / "data") as (host, person, _):
        with person.session() as session:
            first = session.ask(wire.GetRules(), wire.StandingRulesReply).signed
            set_rules(session, standing(session), Rules())
            assert session.pins.rules == 2  # pinned as it is set, not when it is shown
            both = session.ask(wire.GetRules(), wire.StandingRulesReply).signed
        ours, vault, key = Rules(rules=(ALLOW,)), person.vault, person.owner.signing
        other = sign(key, vault, StandingRules(2, encode_rules(ours), host.clock()))
        third = sign(key, vault, StandingRules(3, encode_rules(ours), host.clock()))
        unsigned = Signed(third.body, both[0].signature)
        lies = {
            "an older version": (first, RolledBackError),
            "none": ([], RolledBackError),
            "another of the same number": ([*first, other], ForkedError),
            "a newer one after another": ([*first, other, third], ForkedError),
            "a newer one without ours": ([*first, third], ForkedError),
            "one twice": ([*both, other], ForkedError),
            "out of order": (both[::-1], ForkedError),
            "one that is not signed": ([*both, unsigned], ImpostorError),
        }
        for name, (shown, error) in lies.items():
            host.shown = shown
            with person.session() as session, pytest.raises(error, match="standing rules"):
                standing(session)
            assert person.pins.rules == 2, name
        for shown in (both, [*both, third]):  # the control: what goes on is believed, and pinned
            host.shown = shown
            with person.session() as session:
                assert standing(session).version == len(shown)
            assert person.pins.rules == len(shown)


def test_older_rules_are_believed_again_when_the_person_says_so(tmp_path: Path) -> None:
    with ruled(tmp_path / "data") as (host, person, _):
        with person.session() as session:
            host.copy(tmp_path / "copy")
            set_rules(session, standing(session), Rules())
        host.turn_back(tmp_path / "copy")
        with person.session() as session:
            session.accept()
            assert (session.pins.rules, standing(session).version) == (1, 1)
            host.shown = []
            with pytest.raises(RolledBackError):  # and are held to from then on
                standing(session)


def test_a_grant_by_rule_is_narrowed_by_the_person_and_is_theirs_from_then_on(tmp_path: Path) -> None:
    with ruled(tmp_path / "data") as (_, person, grant):
        with person.session() as session:
            row, asks = row_of(session, grant)
            assert isinstance(row.state, Active)
            assert in_force(session, row) != b""
            until = row.state.terms.data_until - DAY
            less = msgspec.structs.replace(row.state.terms, data_until=until, access_until=until)
            revise(session, Archive(session), row, asks, less)
        with person.session() as session:
            row, _ = row_of(session, grant)
            assert row.rule is None
            assert given_terms(session, row) == less
