"""A grant that the person never gave is told wherever grants are listed, and can be ended."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway import wire
from policies.grant import Active
from policies.iso8601 import DAY
from tests.cli_world import Desk, desk, open_desk
from tests.test_cli_grant import given
from tests.test_cli_request import ASK, ask, minutely
from vault.ids import GrantId, VaultId
from vault.store.records import GrantRow

__all__ = ["desk", "open_desk"]


def lie(desk: Desk, patch: pytest.MonkeyPatch, grant: GrantId) -> None:
    """From now on the host shows this grant as if it gave a day more."""
    true = desk.host.read

    def longer(row: GrantRow) -> GrantRow:
        state = row.state
        if row.grant != grant or not isinstance(state, Active):
            return row
        terms = msgspec.structs.replace(state.terms, data_until=state.terms.data_until + DAY)
        return msgspec.structs.replace(row, state=msgspec.structs.replace(state, terms=terms))

    def read(vault: VaultId, call: wire.OwnerRead) -> wire.AnyReply:
        answer = true(vault, call)
        return wire.Grants(list(map(longer, answer.grants))) if isinstance(answer, wire.Grants) else answer

    patch.setattr(desk.host, "read", read)


def by_rule(desk: Desk) -> GrantId:
    """A grant that a rule gave."""
    brand = desk.host.brand("Rulers")
    assert desk.run("rule", "add", "auto-approve energy at day for Rulers").status == 0
    details = ASK | {"resolution": "day"}
    return desk.host.ask(desk.vault, brand, desk.host.touchpoint(desk.vault, brand), details)


def checks(desk: Desk) -> Any:
    return {one["check"]: one for one in json.loads(desk.run("doctor", "--json").out)["checks"]}


SAID = {
    "by a rule": "says that a rule of yours gave it, and your rules do not",
    "by a statement": "says that you gave it, and you did not sign it",
}


@pytest.mark.parametrize(("how", "said"), SAID.items(), ids=SAID)
def test_what_nobody_gave_is_told_everywhere_and_can_be_ended(
    open_desk: Desk, monkeypatch: pytest.MonkeyPatch, how: str, said: str
) -> None:
    minutely(open_desk)
    grant = by_rule(open_desk) if how == "by a rule" else given(open_desk)
    honest = given(open_desk)
    waiting = ask(open_desk, name="Other")
    note = f"note  {grant.short} {said}: hypertouch grant revoke {grant.short}"
    listing = ("request list", "inbox", "grant list", f"grant show {grant.text}", "status")
    for line in listing:  # the control
        done = open_desk.run(*line.split())
        assert (done.status, "note" in done.err) == (0, False), line
    assert checks(open_desk)["grants"]["state"] == "ok"

    lie(open_desk, monkeypatch, grant)
    for line in listing:
        done = open_desk.run(*line.split())
        assert (done.status, done.err.count(note)) == (0, 1), line
    statuses = {row["grant"]: row["status"] for row in open_desk.json("grant", "list")}
    assert statuses == {grant.text: "unproven", honest.text: "active"}
    assert open_desk.json("grant", "show", grant.text)["status"] == "unproven"
    assert open_desk.json("grant", "show", honest.text)["status"] == "active"
    assert "unproven" in open_desk.run("grant", "list").out
    every = {row["request"]: row["status"] for row in open_desk.json("request", "list", "--all")}
    assert every == {grant.text: "unproven", honest.text: "active", waiting.text: "pending"}
    assert open_desk.json("request", "show", grant.text)["status"] == "unproven"
    assert open_desk.json("status")["unproven"] == [grant.text]
    found = checks(open_desk)["grants"]
    assert (found["state"], found["next"]) == ("fail", f"end it: hypertouch grant revoke {grant.short}")

    for line in ("narrow {} --for 1d --yes", "extend {} --for 60d --yes"):  # it gets nothing more
        refused = open_desk.run("grant", *line.format(grant.text).split())
        assert (refused.status, refused.out, said in refused.err) == (6, "", True), line
    assert open_desk.run("request", "approve", waiting.text, "--detail", "day", "--yes").status == 0

    assert open_desk.run("grant", "revoke", grant.short, "--yes").status == 0
    assert note not in open_desk.run("grant", "list").err
    assert checks(open_desk)["grants"]["state"] == "ok"
    assert open_desk.json("status")["unproven"] == []


def test_many_are_told_in_few_lines(open_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    minutely(open_desk)
    for _ in range(6):
        lie(open_desk, monkeypatch, given(open_desk))
    done = open_desk.run("inbox")
    assert done.err.count("note  ") == 5
    assert "and 2 more grants like that" in done.err
    assert "and 5 more grants like that" in checks(open_desk)["grants"]["what"]


def test_one_that_rests_does_not_go_on(open_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    minutely(open_desk)
    grant, honest = given(open_desk), given(open_desk)
    for one in (grant, honest):
        assert open_desk.run("grant", "pause", one.text).status == 0
    true = open_desk.host.read

    def read(vault: VaultId, call: wire.OwnerRead) -> wire.AnyReply:
        answer = true(vault, call)
        if not isinstance(answer, wire.Grants):
            return answer
        bare = [
            msgspec.structs.replace(row, statement=None) if row.grant == grant else row
            for row in answer.grants
        ]
        return wire.Grants(bare)

    monkeypatch.setattr(open_desk.host, "read", read)
    assert open_desk.run("grant", "resume", grant.text).status == 6
    assert open_desk.run("grant", "resume", honest.text).status == 0
