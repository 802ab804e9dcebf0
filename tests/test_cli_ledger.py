"""``ledger``: everything that happened has its sentence, and a host that tells it otherwise is found out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from cli.ledger import sentence
from gateway import wire
from tests.cli_world import Desk, desk, open_desk
from tests.test_cli_request import ask, minutely
from vault.ids import VaultId
from vault.ledger import Entry, What

__all__ = ["desk", "open_desk"]
NAMES = {"b" * 26: "Acme"}

SENTENCES: dict[What, tuple[Entry, str]] = {
    "created": (Entry(0, "created"), "the vault was made"),
    "enrolled": (Entry(0, "enrolled", note="hypertouch"), "a computer was let in"),
    "device": (Entry(0, "device", note="rotated"), "a device was rotated"),
    "touchpoint": (Entry(0, "touchpoint", brand="b" * 26, note="made"), "a touchpoint for Acme was made"),
    "asked": (Entry(0, "asked", brand="b" * 26), "Acme asked for your data"),
    "approved": (
        Entry(0, "approved", brand="b" * 26, kinds=("energy", "power")),
        "you approved energy, power for Acme",
    ),
    "active": (Entry(0, "active", brand="b" * 26), "Acme can read from now on"),
    "paused": (Entry(0, "paused", brand="b" * 26), "you paused the grant of Acme"),
    "resumed": (Entry(0, "resumed", brand="b" * 26), "you let the grant of Acme go on"),
    "revised": (
        Entry(0, "revised", brand="b" * 26, kinds=("energy",)),
        "you changed the grant of Acme to energy",
    ),
    "rules": (Entry(0, "rules"), "your standing rules were changed"),
    "blackout": (Entry(0, "blackout", kinds=("energy",), note="made"), "a blackout of energy was made"),
    "denied": (Entry(0, "denied", brand="b" * 26), "Acme was told no"),
    "picked up": (Entry(0, "picked up", brand="b" * 26), "Acme fetched its key"),
    "read": (
        Entry(0, "read", brand="b" * 26, kinds=("energy",), readings=1440),
        "Acme read up to 1,440 readings of energy",
    ),
    "refused": (Entry(0, "refused", brand="b" * 26, times=12), "Acme was refused (12 times)"),
    "ended": (Entry(0, "ended", brand="b" * 26, note="revoked"), "the grant of Acme ended: revoked"),
    "lapsed": (Entry(0, "lapsed", brand="b" * 26), "the request of Acme lapsed unanswered"),
    "rewrapped": (Entry(0, "rewrapped"), "the passphrase or the recovery phrase was changed"),
    "restored": (Entry(0, "restored", times=2), "the vault was restored from a backup; 2 grants ended"),
}


def test_everything_that_can_happen_has_a_sentence() -> None:
    assert SENTENCES.keys() == set(get_args(What))


@pytest.mark.parametrize(("entry", "said"), SENTENCES.values(), ids=SENTENCES)
def test_it_is_told_as(entry: Entry, said: str) -> None:
    assert sentence(entry, NAMES) == said


def test_an_answer_is_told_apart_from_a_read() -> None:
    entry = Entry(0, "read", brand="b" * 26, kinds=("energy",), readings=30, note="answers")
    assert sentence(entry, NAMES) == "Acme was answered from up to 30 readings of energy"


def test_a_brand_nobody_remembers_is_told_by_its_id() -> None:
    assert sentence(Entry(0, "asked", brand="c" * 26), NAMES) == "CCCC asked for your data"


def test_log_tells_the_story_in_order(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk)
    open_desk.run("request", "approve", grant.text, "--yes")
    open_desk.run("grant", "revoke", grant.text, "--yes")
    rows = open_desk.json("ledger", "log")
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["what"] for row in rows][-4:] == ["asked", "approved", "active", "ended"]
    assert (rows[-1]["brand"], rows[-1]["grant"], rows[-3]["kinds"]) == ("Acme", grant.text, ["energy"])
    assert [row["what"] for row in open_desk.json("ledger", "log", "--limit", "2")] == ["active", "ended"]
    mine = open_desk.json("ledger", "log", "--grant", grant.short)
    assert {row["grant"] for row in mine} == {grant.text}
    assert f"you approved energy for Acme [{grant.short}]" in open_desk.run("ledger", "log").out


def test_verify_follows_every_entry(open_desk: Desk) -> None:
    for number in range(7):
        open_desk.add_device(f"device {number}")
    answer = open_desk.json("ledger", "verify")
    assert (answer["ok"], answer["entries"]) == (True, 9)
    assert len(answer["head"]) == 64


def test_an_older_vault_is_noticed_by_the_next_command_whatever_it_is(
    open_desk: Desk, tmp_path: Path
) -> None:
    """E12 at the command line: a status that is not 0, and nothing is shown."""
    open_desk.host.copy(tmp_path / "copy")
    open_desk.add_device("lamp")
    open_desk.host.turn_back(tmp_path / "copy")
    for line in ("device list", "status", "inbox", "grant list", "data show", "ledger log", "device add x"):
        done = open_desk.run(*line.split())
        assert (done.status, done.out) == (1, ""), line
        assert "the host shows" in done.err
    done = open_desk.run("ledger", "verify", "--json")
    assert done.status == 1
    assert json.loads(done.out)["ok"] is False
    checks = {one["check"]: one for one in json.loads(open_desk.run("doctor", "--json").out)["checks"]}
    assert checks["history"]["state"] == "fail"
    assert "ledger verify --accept" in checks["history"]["next"]


def test_after_a_restored_backup_a_person_may_accept_what_is_there(open_desk: Desk, tmp_path: Path) -> None:
    open_desk.host.copy(tmp_path / "copy")
    open_desk.add_device("lamp")
    open_desk.host.turn_back(tmp_path / "copy")
    assert open_desk.run("ledger", "verify", "--accept").status == 2  # nobody to ask
    assert open_desk.run("device", "list").status == 1
    assert open_desk.json("ledger", "verify", "--accept", "--yes")["ok"] is True
    assert open_desk.json("device", "list") == []
    open_desk.add_device("lamp")
    assert open_desk.run("device", "list").status == 0


def test_standing_rules_that_are_turned_back_are_noticed_and_may_be_accepted(
    open_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_desk.run("rule", "add", "no history")
    older = open_desk.host.read(open_desk.vault, wire.GetRules())
    open_desk.run("rule", "add", "never marketing")
    assert open_desk.json("ledger", "verify")["ok"] is True  # the control
    true = open_desk.host.read

    def lying(vault: VaultId, call: wire.OwnerRead) -> wire.AnyReply:
        return older if isinstance(call, wire.GetRules) else true(vault, call)

    monkeypatch.setattr(open_desk.host, "read", lying)
    for line in ("rule list", "rule add never energy", "ledger verify"):
        done = open_desk.run(*line.split())
        assert (done.status, done.out) == (1, ""), line
        assert "older standing rules" in done.err
    checks = {one["check"]: one for one in json.loads(open_desk.run("doctor", "--json").out)["checks"]}
    assert (checks["history"]["state"], "older" in checks["history"]["what"]) == ("fail", True)
    accepted = open_desk.run("ledger", "verify", "--accept", "--yes")
    assert (accepted.status, "version 2 of your rules" in accepted.err) == (0, True)
    assert open_desk.json("rule", "list")["version"] == 1
    monkeypatch.setattr(open_desk.host, "read", true)
    assert open_desk.json("rule", "list")["version"] == 2
