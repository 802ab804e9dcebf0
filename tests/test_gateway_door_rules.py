"""A brand asks while the owner is away: what standing rules answer, over HTTP, as a brand sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import wire
from policies.grant import Denied
from policies.rules import Rule, Rules, encode_rules
from tests.door_world import Brand, Someone, World, grant_of, temperature, world
from vault.ids import GrantId
from vault.statement import StandingRules, sign

MINUTE = 60_000
DAY = 86_400_000


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    """A door."""
    with world(tmp_path / "data") as it:
        yield it


def lay_down(someone: Someone, *said: Rule) -> None:
    """Make these the rules."""
    statement = StandingRules(1, encode_rules(Rules(rules=said)), someone.world.clock())
    someone.tell(wire.SetRules(sign(someone.owner.signing, someone.vault, statement)))


def asked(someone: Someone, brand: Brand) -> str:
    """A request, a second later."""
    someone.world.clock.now += 1000
    return str(brand.ask(someone.touchpoint(brand)).json()["auth_req_id"])


def test_a_rule_that_allows_lets_a_brand_read_what_comes_and_nothing_before(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    source = someone.device()
    someone.publish(source, temperature(made, -1, 20))
    lay_down(someone, Rule(do="allow", kind="temperature", days=10))
    request = asked(someone, brand)
    answer = brand.poll(request)
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 10 * 86_400
    someone.publish(source, temperature(made, 0, 21))
    read = brand.read(answer.json()["access_token"])
    assert [one["v"] for one in read.json()] == [21.0]
    with someone.session() as session:
        (row,) = session.ask(wire.GetGrants(), wire.Grants).grants
    assert row.last_used == made.clock() // DAY * DAY
    assert row.rule is not None


def test_a_rule_that_refuses_looks_like_a_person_who_says_no(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    someone.device()
    lay_down(someone, Rule(do="never", kind="temperature"))
    by_rule = asked(someone, brand)
    with someone.session() as session:
        (row,) = session.ask(wire.GetGrants(), wire.Grants).grants
    assert isinstance(row.state, Denied)
    assert "refuses" in row.state.reason
    other = Someone(made)
    other.device()
    by_person = asked(other, brand)
    other.tell(wire.Deny(GrantId.parse(grant_of(by_person)), "a reason"))
    made.clock.now += MINUTE
    answers = [brand.poll(request) for request in (by_rule, by_person)]
    assert answers[0].json()["error"] == "access_denied"
    assert (answers[0].status_code, answers[0].json()) == (answers[1].status_code, answers[1].json())
    assert row.state.reason not in answers[0].text


def test_what_no_rule_decides_waits_for_the_person(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    someone.device()
    lay_down(someone, Rule(do="ask", group="special"))
    assert brand.poll(asked(someone, brand)).json()["error"] == "authorization_pending"


def test_a_paused_grant_tells_the_brand_so_and_goes_on_with_the_same_token(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    source = someone.device()
    lay_down(someone, Rule(do="allow", kind="temperature"))
    request = asked(someone, brand)
    token = brand.poll(request).json()["access_token"]
    grant = GrantId.parse(grant_of(request))
    made.clock.now += 2000
    someone.tell(wire.PauseGrant(grant, True))
    assert brand.read(token).status_code == 403
    made.clock.now += 2000
    someone.publish(source, temperature(made, 0, 20))
    made.clock.now += 2000
    someone.tell(wire.PauseGrant(grant, False))
    made.clock.now += 2000
    someone.publish(source, temperature(made, 0, 21))
    assert [one["v"] for one in brand.read(token).json()] == [21.0]
