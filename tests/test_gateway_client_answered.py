"""What a rule answered is worked out again by the client: what no rule of the owner gives is nobody's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from gateway import wire
from gateway.client.answered import given_terms
from gateway.client.approve import in_force, revise
from gateway.client.errors import ImpostorError
from gateway.client.read import Archive
from gateway.client.recipients import look
from policies.grant import Active
from policies.iso8601 import DAY
from policies.rules import Rule, Rules, encode_rules
from tests.client_world import Person, number
from tests.owner_host import START, Clock, OwnerHost, serve
from tests.test_gateway_client_approve import ENERGY_ASK, row_of
from vault.ids import GrantId, VaultId
from vault.statement import StandingRules, sign
from vault.store.records import GrantRow

ALLOW = Rule(do="allow", kind="energy", days=30)
DETAIL = ENERGY_ASK | {"resolution": "day", "duration": "P30D"}


class Host(OwnerHost):
    """Shows what it is told to show."""

    lie: str = ""

    def read(self, vault: VaultId, call: wire.OwnerRead) -> wire.AnyReply:
        answer = super().read(vault, call)
        if isinstance(answer, wire.Grants) and self.lie:
            return wire.Grants([getattr(self, self.lie)(row) for row in answer.grants])
        if isinstance(answer, wire.StandingRulesReply) and self.lie == "no_rules":
            return wire.StandingRulesReply([])
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
        assert [reader.grant for reader in look(session).readers] == [grant]


@pytest.mark.parametrize("lie", ["wider", "later", "of_other_rules", "no_rules"])
def test_terms_that_no_rule_gives_are_noticed_by_whatever_lists_grants(tmp_path: Path, lie: str) -> None:
    with ruled(tmp_path / "data") as (host, person, grant), person.session() as session:
        row_of(session, grant)  # the control
        host.lie = lie
        with pytest.raises(ImpostorError):
            row_of(session, grant)


def test_a_grant_that_is_said_to_be_signed_and_is_not_gets_no_key(tmp_path: Path) -> None:
    with ruled(tmp_path / "data") as (host, person, _), person.session() as session:
        host.lie = "of_nobody"
        with pytest.raises(ImpostorError):
            look(session)


def test_one_that_nobody_gave_can_still_be_found_and_ended(tmp_path: Path) -> None:
    with ruled(tmp_path / "data") as (host, person, grant), person.session() as session:
        host.lie = "wider"
        session.doubts = False
        row, _ = row_of(session, grant)
        session.tell(wire.Revoke(row.grant), wire.Done)


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
