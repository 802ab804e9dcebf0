"""``rule``: what the person would answer every time, said once, and answered while they sleep."""

from __future__ import annotations

import pytest

from gateway import wire
from policies.grant import Active, Denied
from tests.cli_world import Desk, desk, open_desk
from tests.test_cli_request import ASK, ask, minutely
from vault.ids import GrantId

__all__ = ["desk", "open_desk"]


def test_rules_are_said_listed_and_taken_back(open_desk: Desk) -> None:
    assert open_desk.json("rule", "list") == {"version": 0, "rules": [], "notes": []}
    assert "never marketing" in open_desk.run("rule", "add", "never", "marketing").out.lower()
    open_desk.json("rule", "add", "location never finer than h3-5")
    listed = open_desk.json("rule", "list")
    assert listed["version"] == 2
    assert [row["number"] for row in listed["rules"]] == [1, 2]
    assert "h3-5" in open_desk.run("rule", "list").out
    left = open_desk.json("rule", "remove", "1")
    assert [row["rule"] for row in left["rules"]] == [listed["rules"][1]["rule"]]
    assert open_desk.run("rule", "remove", "7").status == 5


def test_a_rule_twice_is_one_rule(open_desk: Desk) -> None:
    assert open_desk.run("rule", "add", "no history").status == 0
    assert open_desk.run("rule", "add", "no history").status == 7
    assert len(open_desk.json("rule", "list")["rules"]) == 1


MISSAID = {
    "nothing": (),
    "no rule": ("be", "nice"),
    "an unknown detail": ("energy never finer than week",),
    "a detail that the kind has not": ("energy never finer than h3-5",),
    "an unknown brand": ("never energy for Nobody in particular",),
    "control characters": ("never \x1b[2Jmarketing",),
    "a novel": ("never " + "marketing " * 1000,),
    "a sentence and a file": ("no history", "--file", "-"),
    "an unknown zone": ("quiet 22-07 in Europe/Nowhere",),
}


@pytest.mark.parametrize("words", MISSAID.values(), ids=MISSAID)
def test_what_is_not_understood_is_told_in_one_line(open_desk: Desk, words: tuple[str, ...]) -> None:
    done = open_desk.run("rule", "add", *words)
    assert (done.status, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err
    assert open_desk.json("rule", "list")["version"] == 0


def test_rules_travel_in_a_file(open_desk: Desk) -> None:
    for sentence in ("never marketing", "quiet 22-07 in Europe/Berlin", "at most 30 days"):
        assert open_desk.run("rule", "add", sentence).status == 0
    file = open_desk.run("rule", "list", "--toml").out
    before = open_desk.json("rule", "list")["rules"]
    for _ in before:
        open_desk.run("rule", "remove", "1")
    added = open_desk.json("rule", "add", "--file", open_desk.write("rules.toml", file))
    assert added["rules"] == before
    assert open_desk.run("rule", "add", "--file", open_desk.write("bad.toml", "[[rule]]\ndo = 3")).status == 2


def test_contradictions_are_told(open_desk: Desk) -> None:
    open_desk.run("rule", "add", "never energy")
    done = open_desk.run("rule", "add", "auto-approve energy at day")
    assert done.status == 0
    assert "note" in done.err
    assert open_desk.json("rule", "list")["notes"]


def test_a_no_by_rule_needs_nobody_and_says_why(open_desk: Desk) -> None:
    minutely(open_desk)
    open_desk.run("rule", "add", "never marketing")
    open_desk.run("lock")
    grant = ask(open_desk, ASK | {"purpose": "dpv:TargetedAdvertising"})
    assert isinstance(state_of(open_desk, grant), Denied)
    open_desk.run("unlock", "--passphrase-file", open_desk.passphrase)
    (tried,) = open_desk.json("rule", "test", grant.text)
    assert (tried["answer"], tried["waiting"]) == ("refuse", False)
    assert "marketing" in tried["refuse"][0]["reason"].lower()


def test_a_yes_by_rule_is_given_while_the_vault_is_locked_and_is_of_the_future_only(open_desk: Desk) -> None:
    minutely(open_desk)
    host, vault = open_desk.host, open_desk.vault
    brand = host.brand("Acme")
    assert open_desk.run("rule", "add", "auto-approve energy at day for Acme").status == 0
    open_desk.run("lock")
    details = ASK | {"resolution": {"ideal": "raw", "minimum": "day"}}
    grant = host.ask(vault, brand, host.touchpoint(vault, brand), details)
    state = state_of(open_desk, grant)
    assert isinstance(state, Active)
    assert {state.terms.resolution_of(one) for one in state.terms.selectors} == {"day"}
    assert state.terms.data_from * 1000 >= state.approved - 1000
    open_desk.run("unlock", "--passphrase-file", open_desk.passphrase)
    assert open_desk.json("grant", "show", grant.text)["status"] == "active"
    assert open_desk.run("grant", "revoke", grant.text, "--yes").status == 0


def test_what_rules_answered_is_told_once(open_desk: Desk) -> None:
    """One yes and one no, while the vault was locked."""
    minutely(open_desk)
    host, vault = open_desk.host, open_desk.vault
    assert "your rules" not in open_desk.run("inbox").err
    open_desk.run("rule", "add", "auto-approve energy at day")
    open_desk.run("rule", "add", "never power")
    open_desk.run("lock")
    for kind in ("energy", "power"):
        brand = host.brand("Acme")
        wish = {"datatypes": [kind], "resolution": {"ideal": "raw", "minimum": "day"}}
        host.ask(vault, brand, host.touchpoint(vault, brand), ASK | wish)
    open_desk.run("unlock", "--passphrase-file", open_desk.passphrase)
    assert open_desk.json("inbox") == []  # a program is not told, and nothing is forgotten for it
    said = "your rules answered 2 requests since you last looked: 1 given, 1 refused"
    assert said in open_desk.run("inbox").err
    assert "your rules" not in open_desk.run("inbox").err
    log = open_desk.run("ledger", "log").out
    assert "your rules gave energy" in log
    assert "your rules told Acme no" in log


def test_testing_answers_nothing(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk)
    open_desk.run("rule", "add", "never energy")
    (tried,) = open_desk.json("rule", "test")
    assert (tried["request"], tried["answer"], tried["waiting"]) == (grant.text, "refuse", True)
    assert "energy" in open_desk.run("rule", "test").out
    assert open_desk.json("request", "list")[0]["request"] == grant.text


def state_of(desk: Desk, grant: GrantId) -> object:
    """As the host has it."""
    answer = desk.host.read(desk.vault, wire.GetGrants())
    assert isinstance(answer, wire.Grants)
    rows = answer.grants
    return next(row.state for row in rows if row.grant == grant)
