"""``grant`` and ``touchpoint``: what brands may read, who may ask, and the end of both."""

from __future__ import annotations

import time

import pytest

from tests.cli_world import Desk, Wall, desk, open_desk
from tests.test_cli_request import ASK, DAY_S, ask, minutely
from vault.ids import GrantId, TouchpointId
from vault.ledger import Entry

__all__ = ["desk", "open_desk"]


def given(desk: Desk, **changes: object) -> GrantId:
    """A grant of energy, in force."""
    grant = ask(desk, ASK | changes)
    assert desk.run("request", "approve", grant.text, "--yes").status == 0
    return grant


def read(desk: Desk, grant: GrantId, readings: int) -> None:
    """A brand's read, as the door records it before it answers."""
    entry = Entry(time.time_ns() // 1_000_000, "read", grant=grant.text, kinds=("energy",), readings=readings)
    desk.host.record(desk.vault, entry)


def test_list_tells_what_is_in_force_and_how_much_was_read(open_desk: Desk) -> None:
    assert open_desk.json("grant", "list") == []
    minutely(open_desk)
    grant = given(open_desk)
    ask(open_desk, name="Other")  # only asked: not a grant
    read(open_desk, grant, 1000)
    read(open_desk, grant, 440)
    (row,) = open_desk.json("grant", "list")
    assert (row["grant"], row["brand"], row["kinds"]) == (grant.text, "Acme", ["energy"])
    assert (row["status"], row["readings"], row["access_until"]) == ("active", 1440, ASK["access_until"])
    assert "1,440" in open_desk.run("grant", "list").out


REVOKED = {
    "it had read, and promised": (
        1440,
        {},
        "Acme can read nothing more. It keeps what it read (1,440 readings);"
        " it promised to delete within 90 days.",
    ),
    "it had read one, and promised a year": (
        1,
        {"retention": "P1Y"},
        "Acme can read nothing more. It keeps what it read (1 reading); it promised to delete within 1 year.",
    ),
    "it had read nothing": (0, {}, "Acme can read nothing more. It had read nothing."),
}


@pytest.mark.parametrize(("readings", "changes", "said"), REVOKED.values(), ids=REVOKED)
def test_after_a_revoke_what_is_true_is_said(
    open_desk: Desk, readings: int, changes: dict[str, object], said: str
) -> None:
    minutely(open_desk)
    grant = given(open_desk, **changes)
    read(open_desk, grant, readings)
    done = open_desk.run("grant", "revoke", grant.short, "--yes")
    assert (done.status, done.out.strip()) == (0, said)
    assert "next" in done.err


def test_without_a_promise_none_is_claimed(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk, {name: value for name, value in ASK.items() if name != "retention"})
    open_desk.run("request", "approve", grant.text, "--yes")
    read(open_desk, grant, 7)
    answer = open_desk.json("grant", "revoke", grant.text, "--yes")
    assert (answer["readings"], answer["retention"], answer["status"]) == (7, None, "revoked")


def test_a_grant_is_ended_once_and_never_without_being_asked(open_desk: Desk) -> None:
    minutely(open_desk)
    grant, pending = given(open_desk), ask(open_desk, name="Other")
    assert open_desk.run("grant", "revoke", grant.text).status == 2  # nobody to ask
    assert open_desk.json("grant", "list")[0]["status"] == "active"
    assert open_desk.run("grant", "revoke", grant.text, "--yes").status == 0
    assert open_desk.run("grant", "revoke", grant.text, "--yes").status == 7
    assert open_desk.run("grant", "revoke", pending.text, "--yes").status == 7
    assert open_desk.run("grant", "revoke", "a" * 26, "--yes").status == 5
    assert open_desk.json("grant", "list")[0]["status"] == "revoked"


def test_a_grant_whose_time_is_over_is_shown_as_such(
    open_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutely(open_desk)
    given(open_desk)
    later = time.time_ns() // 1_000_000 + 71 * DAY_S * 1000
    monkeypatch.setattr("cli.session.now_ms", lambda: later)
    assert isinstance(open_desk.host.clock, Wall)
    open_desk.host.clock.ahead = 71 * DAY_S * 1000
    assert open_desk.json("grant", "list")[0]["status"] == "expired"


def test_show_names_exactly_what_is_given(open_desk: Desk) -> None:
    meter = minutely(open_desk)
    grant = given(open_desk)
    shown = open_desk.json("grant", "show", grant.text)
    assert shown["selectors"] == [
        {"device": meter.text, "kind": "energy", "channels": [""], "resolution": "raw"}
    ]
    assert (shown["purpose"], shown["retention"]) == ("dpv:ServiceProvision", "P90D")
    text = open_desk.run("grant", "show", grant.text).out
    assert "energy of meter (itself)" in text
    assert "keeps it  90 days" in text
    pending = ask(open_desk, name="Other")
    assert open_desk.run("grant", "show", pending.text).status == 7


# --- touchpoints ------------------------------------------------------------------------------------


def test_a_touchpoint_lets_one_brand_ask_and_says_so(open_desk: Desk) -> None:
    brand = open_desk.host.brand()
    for name in ("Acme", "acme", brand.text, brand.short):
        made = open_desk.json("touchpoint", "new", name)
        assert made["brand"] == "Acme"
        assert TouchpointId.parse(made["touchpoint"])
    done = open_desk.run("touchpoint", "new", "Acme")
    assert "It lets Acme ask, nothing more." in done.err
    assert TouchpointId.parse(done.out.strip())  # alone on its line, to be copied
    assert open_desk.run("touchpoint", "new", "Umbrella").status == 5
    open_desk.host.brand()  # another of the same name
    assert open_desk.run("touchpoint", "new", "Acme").status == 2


def test_a_touchpoint_ends_and_the_grants_stay(open_desk: Desk) -> None:
    minutely(open_desk)
    given(open_desk)
    (row,) = open_desk.json("touchpoint", "list")
    assert (row["brand"], row["status"]) == ("Acme", "live")
    assert open_desk.run("touchpoint", "revoke", row["touchpoint"]).status == 2
    assert open_desk.json("touchpoint", "revoke", row["touchpoint"][:8], "--yes")["status"] == "revoked"
    assert open_desk.run("touchpoint", "revoke", row["touchpoint"], "--yes").status == 5
    assert open_desk.json("touchpoint", "list")[0]["status"] == "revoked"
    assert open_desk.json("grant", "list")[0]["status"] == "active"


def test_a_grant_rests_and_goes_on(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = given(open_desk)
    assert open_desk.run("grant", "resume", grant.text).status == 7  # nothing to resume
    assert open_desk.json("grant", "pause", grant.short)["status"] == "paused"
    assert open_desk.json("grant", "list")[0]["status"] == "paused"
    again = open_desk.run("grant", "pause", grant.short)
    assert (again.status, again.out) == (7, "")
    assert open_desk.json("grant", "resume", grant.short)["status"] == "active"
    assert open_desk.json("grant", "list")[0]["status"] == "active"
    open_desk.run("grant", "pause", grant.short)
    assert open_desk.run("grant", "revoke", grant.short, "--yes").status == 0


def test_a_grant_is_narrowed_to_what_is_said(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = given(open_desk)
    assert open_desk.run("grant", "narrow", grant.text, "--yes").status == 2  # nothing was said
    narrowed = open_desk.json("grant", "narrow", grant.text, "--detail", "day", "--for", "7d", "--yes")
    assert narrowed["details"] == {"energy": "day"}
    shown = open_desk.json("grant", "show", grant.text)
    assert [one["resolution"] for one in shown["selectors"]] == ["day"]
    assert (shown["status"], shown["access_until"]) == ("active", narrowed["access_until"])
    wider = open_desk.run("grant", "narrow", grant.text, "--detail", "raw", "--yes")
    assert (wider.status, "in more detail" in wider.err) == (2, True)
    assert open_desk.json("grant", "show", grant.text)["access_until"] == narrowed["access_until"]


def test_a_grant_lasts_longer_but_never_than_was_asked(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk)
    assert open_desk.run("request", "approve", grant.text, "--for", "7d", "--yes").status == 0
    first = open_desk.json("grant", "show", grant.text)["access_until"]
    extended = open_desk.json("grant", "extend", grant.text, "--for", "30d", "--yes")
    assert extended["access_until"] > first
    most = open_desk.json("grant", "extend", grant.text, "--for", "365d", "--yes")
    assert most["access_until"] == ASK["access_until"]
    assert open_desk.run("grant", "extend", grant.text, "--for", "365d", "--yes").status == 7
    assert open_desk.run("grant", "extend", grant.text, "--yes").status == 2
    sooner = open_desk.run("grant", "extend", grant.text, "--for", "2d", "--yes")
    assert sooner.status == 7
    assert f"hypertouch grant narrow {grant.text}" in sooner.err
    open_desk.run("grant", "pause", grant.text)
    assert open_desk.run("grant", "extend", grant.text, "--for", "60d", "--yes").status == 7


def test_a_list_says_how_exactly_and_what_rests(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = given(open_desk, resolution={"ideal": "raw", "minimum": "day"})
    assert "energy by the day" in open_desk.run("grant", "list").out
    assert open_desk.json("grant", "list")[0]["details"] == {"energy": "day"}
    open_desk.run("grant", "pause", grant.text)
    assert "paused" in open_desk.run("grant", "list").out
    assert (open_desk.json("status")["active"], open_desk.json("status")["paused"]) == (0, 1)
    assert "no grants, 1 paused, no requests waiting" in open_desk.run("status").out
    shown = open_desk.run("grant", "show", grant.text)
    assert "rests     since" in shown.out
    assert f"hypertouch grant resume {grant.short}" in shown.err
    open_desk.run("grant", "resume", grant.text)
    assert "rested    from" in open_desk.run("grant", "show", grant.text).out
    assert "paused" not in open_desk.run("status").out


def test_show_tells_limits_and_what_is_left(open_desk: Desk) -> None:
    """Of a grant that may be used three times, and was once."""
    minutely(open_desk)
    grant = ask(open_desk, ASK)
    limits = ("--round", "energy=0.5", "--hours", "07-22", "--zone", "UTC")
    assert open_desk.run("request", "approve", grant.text, "--times", "3", *limits, "--yes").status == 0
    assert "  how       3 times at most; 3 left\n" in open_desk.run("grant", "show", grant.text).out
    open_desk.host.count(open_desk.vault, grant)
    shown = open_desk.run("grant", "show", grant.text).out
    assert "  how       3 times at most; 2 left\n" in shown
    assert "  limits    energy in steps of 0.5 kWh\n" in shown
    assert "only from 07:00 to 22:00 (UTC)" in shown
    assert open_desk.json("grant", "show", grant.text)["uses_left"] == 2


def test_answers_are_no_readings(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk, ASK)
    assert open_desk.run("request", "approve", grant.text, "--answers-only", "--yes").status == 0
    now = time.time_ns() // 1_000_000
    told = Entry(now, "read", grant=grant.text, kinds=("energy",), readings=1440, times=2, note="answers")
    open_desk.host.record(open_desk.vault, told)
    assert "answers from energy" in open_desk.run("grant", "list").out
    shown = open_desk.run("grant", "show", grant.text).out
    assert "  how       answers made of it, at most 24 a day; no reading\n" in shown
    assert "  has read  no readings\n  was told  2 answers\n" in shown
    done = open_desk.run("grant", "revoke", grant.text, "--yes").out
    assert "It keeps 2 answers; it promised to delete" in " ".join(done.split())
