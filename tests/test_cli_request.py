"""``request``: what is approved is what was shown, never more than was asked, and only once."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.render import date
from gateway import wire
from gateway.client import person
from gateway.client.approve import make_statement
from gateway.client.http import Http
from gateway.client.session import Session
from gateway.client.verify import Pins
from policies.iso8601 import format_time
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.request import parse_details
from policies.rules import Rules
from policies.settle import settle, terms_of
from policies.strict import canonical
from policies.terms import Selector, Terms
from tests.cli_world import DAY_MS, Desk, Wall, desk, open_desk
from tests.terminal import converse, in_turn
from vault.ids import DeviceId, GrantId
from vault.observation import Observation
from vault.person import normalise
from vault.statement import sign

__all__ = ["desk", "open_desk"]
DAY_S = 86_400


def now() -> int:
    return time.time_ns() // 1_000_000


def midnight() -> int:
    """Of today, UTC, in seconds."""
    return now() // DAY_MS * DAY_S


UNTIL = midnight() + 70 * DAY_S
ASK: dict[str, Any] = {
    "type": "personal_data",
    "datatypes": ["energy"],
    "access_until": format_time(UNTIL),
    "purpose": "dpv:ServiceProvision",
    "purpose_text": "bill by what you use",
    "retention": "P90D",
    "recipients": [],
    "benefit": "10 % off the base fee",
    "required": True,
}


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def ask(desk: Desk, *details: dict[str, Any], name: str = "Acme") -> GrantId:
    """A brand asks."""
    brand = desk.host.brand(name)
    return desk.host.ask(desk.vault, brand, desk.host.touchpoint(desk.vault, brand), *(details or (ASK,)))


def minutely(desk: Desk) -> DeviceId:
    """A meter that reported every minute of yesterday."""
    meter = desk.add_device("meter")
    start = (midnight() - DAY_S) * 1000
    desk.publish(
        meter,
        *(Observation("", "energy", start + minute * 60_000, (minute - 8) / 1000) for minute in range(1440)),
    )
    return meter


def test_a_request_is_shown_so_that_anyone_can_decide_in_ten_seconds(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk)
    shown = open_desk.run("request", "show", grant.short)
    assert shown.out.splitlines() == [
        f"Acme (acme.example) asks for energy                 request {grant.short}",
        "  why       bill by what you use",
        "  detail    every reading",
        "  from      meter; from now on, no history",
        f"  until     {date(UNTIL)}; you can end it any time",
        "  they      keep it 90 days, share with nobody",
        "  you get   10 % off the base fee",
        "  yesterday this was 1,440 readings, e.g. 07:00 0.412 kWh",
        "  note      It needs raw energy for a purpose (Service Provision) that peers",
        "            serve with day.",
    ]


def test_list_tells_what_waits_and_waits_for_what_comes(open_desk: Desk) -> None:
    started = time.monotonic()
    assert open_desk.json("request", "list", "--wait", "1s") == []
    assert time.monotonic() - started >= 1
    assert open_desk.json("inbox") == []
    grant = ask(open_desk)
    (row,) = open_desk.json("request", "list", "--wait", "30s")
    assert (row["request"], row["brand"], row["kinds"]) == (grant.text, "Acme", ["energy"])
    assert (row["purpose"], row["status"], row["site"]) == (
        "dpv:ServiceProvision",
        "pending",
        "https://acme.example",
    )
    assert row["asked"].endswith("Z")
    assert row["expires"] > row["asked"]
    assert grant.short in open_desk.run("inbox").out


APPROVALS: dict[str, tuple[tuple[str, ...], int, int, int]] = {
    # words -> (data_from, data_until, access_until), in days from today's midnight; 0.5 stands for now
    "as it was asked": ((), -1, 70, 70),
    "for ten days": (("--for", "10d"), -1, -2, -2),
    "with a week of history": (("--history", "7d"), -6, 70, 70),
    "with all history there is": (("--history", "all"), -9, 70, 70),
    "exactly": (
        ("--from", format_time(midnight() - 3 * DAY_S), "--until", format_time(midnight() + 5 * DAY_S)),
        -3,
        5,
        5,
    ),
    "data for five days, to be read for thirty": (
        (
            "--until",
            format_time(midnight() + 5 * DAY_S),
            "--access-until",
            format_time(midnight() + 30 * DAY_S),
        ),
        -1,
        5,
        30,
    ),
    "only what is past, by whole days": (
        (
            "--from",
            format_time(midnight() - 3 * DAY_S),
            "--until",
            format_time(midnight() - DAY_S),
            "--access-until",
            format_time(midnight() + 2 * DAY_S),
        ),
        -3,
        -1,
        2,
    ),
}


@pytest.mark.parametrize(("words", "since", "until", "access"), APPROVALS.values(), ids=APPROVALS)
def test_an_approval_gives(
    open_desk: Desk, words: tuple[str, ...], since: int, until: int, access: int
) -> None:
    meter = open_desk.add_device("meter")
    base = midnight() * 1000
    open_desk.publish(
        meter, *(Observation("", "energy", base - day * DAY_MS + 1, 1.0) for day in range(-0, 10))
    )
    grant = ask(open_desk)
    before = now() // 1000
    given = open_desk.json("request", "approve", grant.text, "--yes", *words)
    after = now() // 1000
    assert (given["request"], given["grant"], given["kinds"]) == (grant.text, grant.text, ["energy"])

    def expected(days: int, sentinel: int, seconds: int) -> set[str]:
        if days == sentinel:
            return {format_time(at + seconds) for at in range(before, after + 1)}
        return {format_time(midnight() + days * DAY_S)}

    assert given["data_from"] in expected(since, -1, 0) | expected(since, 99, 0)
    assert given["data_until"] in expected(until, -2, 10 * DAY_S)
    assert given["access_until"] in expected(access, -2, 10 * DAY_S)
    assert open_desk.json("grant", "list")[0]["status"] == "active"


def test_only_the_kinds_and_devices_that_were_chosen_are_given(open_desk: Desk) -> None:
    meter, hub = open_desk.add_device("meter"), open_desk.add_device("hub")
    open_desk.publish(meter, Observation("", "energy", now(), 1.0), Observation("", "power", now(), 1.0))
    open_desk.publish(hub, Observation("bath", "energy", now(), 1.0))
    grant = ask(open_desk, ASK | {"datatypes": ["energy", "power"]})
    shown = open_desk.run("request", "show", grant.text).out
    assert "hub (bath), meter" in shown
    given = open_desk.json("request", "approve", grant.text, "--kinds", "energy", "--device", "hub", "--yes")
    assert given["kinds"] == ["energy"]
    assert given["devices"] == [{"device": hub.text, "kind": "energy", "channels": ["bath"]}]


def test_what_was_never_seen_is_given_whatever_channel_it_will_use_and_the_card_says_so(
    open_desk: Desk,
) -> None:
    open_desk.add_device("meter")
    grant = ask(open_desk)
    done = open_desk.run("request", "approve", grant.text, "--yes")
    assert "meter (whatever channel it will use)" in done.err
    assert "there was nothing of this" in done.err
    (row,) = open_desk.json("grant", "list")
    assert open_desk.json("grant", "show", row["grant"])["selectors"][0]["channels"] is None


def test_future_channels_are_given_only_when_said_so(open_desk: Desk) -> None:
    hub = open_desk.add_device("hub")
    open_desk.publish(hub, Observation("bath", "energy", now(), 1.0))
    grant = ask(open_desk)
    done = open_desk.run("request", "approve", grant.text, "--future", "--yes")
    assert "hub (every channel, new ones too)" in done.err


def test_leaving_out_what_they_need_is_said(open_desk: Desk) -> None:
    open_desk.add_device("meter")
    grant = ask(open_desk, ASK | {"datatypes": ["energy"]}, ASK | {"datatypes": ["power"], "required": False})
    done = open_desk.run("request", "approve", grant.text, "--kinds", "power", "--yes")
    assert "they say they cannot do without energy" in done.err


WRONG: dict[str, tuple[tuple[str, ...], int, str]] = {
    "a kind that was not asked for": (("--kinds", "location"), 2, "choose from: energy"),
    "a kind that is none": (("--kinds", "gravity"), 2, "choose from: energy"),
    "a device that is not there": (("--device", "fridge"), 5, "device list"),
    "no length": (("--for", "soon"), 2, "30m"),
    "no history": (("--history", "soon"), 2, "30m"),
    "no date": (("--until", "soon"), 2, "2026"),
    "two ends": (("--for", "30d", "--until", "2030-01-01"), 2, "exclude"),
    "an end before it begins": (("--until", "2001-01-01"), 6, "past"),
    "more than ten years": (("--for", "9999d"), 6, "ten years"),
}


@pytest.mark.parametrize(("words", "status", "said"), WRONG.values(), ids=WRONG)
def test_an_approval_that_cannot_be_is_refused_and_gives_nothing(
    open_desk: Desk, words: tuple[str, ...], status: int, said: str
) -> None:
    open_desk.add_device("meter")
    grant = ask(open_desk)
    done = open_desk.run("request", "approve", grant.text, "--yes", *words)
    assert (done.status, said in done.err) == (status, True), done
    assert open_desk.json("grant", "list") == []


def test_nobody_to_ask_is_said_before_anything_else(open_desk: Desk) -> None:
    grant = ask(open_desk)
    open_desk.host.calls.clear()
    for words in (("approve",), ("deny",)):
        done = open_desk.run("request", *words, grant.text)
        assert done.status == 2
        assert "--yes" in done.err
    assert open_desk.host.calls == []


def test_an_id_may_be_cut_short_as_long_as_it_is_clear(open_desk: Desk) -> None:
    open_desk.add_device("meter")
    grant = ask(open_desk)
    for text in (grant.text, grant.short, grant.text[:7].upper()):
        assert open_desk.json("request", "show", text)["request"] == grant.text
    assert open_desk.run("request", "show", "").status in (2, 5)
    assert (
        open_desk.run("request", "approve", "zzzzz" if grant.text[0] != "z" else "aaaaa", "--yes").status == 5
    )
    others = [ask(open_desk, name=f"Brand {n}") for n in range(40)]  # 32 letters: two begin alike
    first = [one.text[0] for one in (*others, grant)]
    twice = next(letter for letter in first if first.count(letter) > 1)
    assert open_desk.run("request", "show", twice).status == 2


def test_a_request_is_answered_once(open_desk: Desk) -> None:
    open_desk.add_device("meter")
    yes, no = ask(open_desk), ask(open_desk, name="Other")
    assert open_desk.run("request", "approve", yes.text, "--yes").status == 0
    assert open_desk.json("request", "deny", no.text, "--reason", "not now", "--yes")["status"] == "denied"
    for grant in (yes, no):
        assert open_desk.run("request", "approve", grant.text, "--yes").status == 7
        assert open_desk.run("request", "deny", grant.text, "--yes").status == 7
    assert open_desk.json("inbox") == []
    assert sorted(row["status"] for row in open_desk.json("request", "list", "--all")) == ["active", "denied"]


def test_a_request_that_lapsed_is_no_longer_answered(
    open_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_desk.add_device("meter")
    grant = ask(open_desk)
    later = now() + 8 * DAY_MS
    monkeypatch.setattr("cli.session.now_ms", lambda: later)
    assert isinstance(open_desk.host.clock, Wall)
    open_desk.host.clock.ahead = 8 * DAY_MS
    assert open_desk.json("inbox") == []
    done = open_desk.run("request", "approve", grant.text, "--yes")
    assert (done.status, "is over" in done.err) == (7, True)


def test_an_approval_that_was_cut_off_is_finished_with_what_was_signed(open_desk: Desk) -> None:
    """Whatever is chosen the second time: the first yes stands, and is shown."""
    meter = minutely(open_desk)
    grant = ask(open_desk)
    http = Http(open_desk.host.url)
    opened = person.open_by_passphrase(
        http, open_desk.vault, normalise(Path(open_desk.passphrase).read_text())
    )
    identity = person.enrol(http, opened, "second", os.urandom)
    kept: list[Pins] = []
    with Session(
        http, opened.owner, identity, person.first_pins(opened),
        keep=kept.append, clock=now, entropy=os.urandom,
    ) as session:  # fmt: skip
        (row,) = session.ask(wire.GetGrants(), wire.Grants).grants
        asks = parse_details(row.ask, catalogue(), purposes(), row.asked // 1000)
        terms = Terms(
            selectors=(Selector(meter.text, "energy", ("",)),),
            data_from=midnight() - 2 * DAY_S,
            data_until=midnight() + 3 * DAY_S,
            access_until=midnight() + 3 * DAY_S,
            purpose=asks[0].purpose,
            purpose_text=asks[0].purpose_text,
            retention=asks[0].retention,
            benefit=asks[0].benefit,
        )
        statement = make_statement(row, asks, terms, session.pins.generation)
        session.tell(wire.Prepare(grant, sign(opened.owner.signing, opened.vault, statement)), wire.Prepared)
    (row_shown,) = open_desk.json("inbox")
    assert row_shown["status"] == "preparing"
    done = open_desk.run("request", "approve", grant.text, "--for", "30d", "--yes", "--json")
    assert done.json["data_until"] == format_time(midnight() + 3 * DAY_S)
    assert open_desk.json("grant", "list")[0]["status"] == "active"


def test_a_card_says_where_history_begins(open_desk: Desk) -> None:
    minutely(open_desk)
    week, everything = ask(open_desk), ask(open_desk, name="Other")
    done = open_desk.run("request", "approve", week.text, "--history", "7d", "--yes")
    assert f"from now on, and history since {date(midnight() - 6 * DAY_S)}" in done.err
    done = open_desk.run("request", "approve", everything.text, "--history", "all", "--for", "5d", "--yes")
    assert "from now on, and all history" in done.err


def test_a_reason_has_a_length(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk)
    done = open_desk.run("request", "deny", grant.text, "--reason", "a" * 501, "--yes")
    assert (done.status, "at most 500 characters" in done.err) == (2, True)
    assert open_desk.run("request", "deny", grant.text, "--reason", "a" * 500, "--yes").status == 0


def test_a_request_that_the_rules_refuse_is_shown_with_the_reason(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk)
    open_desk.run("rule", "add", "never energy")
    done = open_desk.run("request", "show", grant.text)
    assert done.status == 0, done.err
    assert "Acme asks for energy" in done.out
    assert "Your rule 'never energy' refuses this" in done.out
    assert f"hypertouch request deny {grant.short}" in done.err
    shown = open_desk.json("request", "show", grant.text)
    assert (shown["terms"], shown["notes"]) == (None, ["Your rule 'never energy' refuses this"])
    assert open_desk.run("request", "show", grant.text, "--kinds", "energy").status == 6
    assert open_desk.run("request", "approve", grant.text, "--yes").status == 6


def test_an_approval_says_how_exactly_and_how_often(open_desk: Desk) -> None:
    minutely(open_desk)
    wish = ASK | {"resolution": {"ideal": "raw", "minimum": "day"}}
    twice = open_desk.run("request", "approve", ask(open_desk, wish).text, "--times", "2", "--yes")
    assert twice.out.startswith("Acme can read energy by the day until ")
    assert twice.out.rstrip().endswith(", 2 times")
    answers = ask(open_desk, wish, name="Other")
    seen = open_desk.run("request", "preview", answers.text, "--answers-only").out
    assert "you would give no reading, but answers made of them: at most 24 a day" in seen
    told = open_desk.run("request", "approve", answers.text, "--answers-only", "--yes").out
    assert told.startswith("Other gets answers from energy by the day until ")


QUESTION = "Approve exactly this? [y]es [n]o [c]hange [p]review"
CHANGE = "? lists all, reset begins anew)"


def test_at_a_terminal_a_person_changes_looks_again_and_says_yes(open_desk: Desk) -> None:
    minutely(open_desk)
    hub = open_desk.add_device("hub")
    open_desk.publish(hub, Observation("", "power", now(), 1.0))
    grant = ask(open_desk, ASK | {"datatypes": ["energy", "power"]})
    talk = converse(
        open_desk.home,
        ["request", "approve", grant.text],
        in_turn(
            [
                (QUESTION, "what"),
                (QUESTION, "c"),
                (CHANGE, "kinds energy device meter for 3d"),
                (QUESTION, "c"),
                (CHANGE, "for soon"),
                (QUESTION, "c"),
                (CHANGE, "device fridge"),
                (QUESTION, "c"),
                (CHANGE, "colour red"),
                (QUESTION, "c"),
                (CHANGE, "?"),
                (CHANGE, "--detail"),
                ("or energy=day)", "energy=hour"),
                (QUESTION, "c"),
                (CHANGE, ""),
                (QUESTION, "p"),
                (QUESTION, "y"),
            ]
        ),
    )
    assert talk.status == 0, talk.said
    assert "please answer y or n or c or p" in talk.said
    assert "not a length of time" in talk.said
    assert "there is no such device" in talk.said
    assert "there is no 'colour' to change" in talk.said
    assert "They get answers made of it" in talk.said
    assert "energy by the hour (they would like every reading)" in talk.said
    assert "they say they need every reading of energy" in talk.said
    looks = talk.said.count("last week they would have received")
    assert looks >= 1  # it was asked for once, and the first look may take longer than a person waits
    assert looks + talk.said.count("takes a while here") == 2
    (row,) = open_desk.json("grant", "list")
    assert row["kinds"] == ["energy"]
    shown = open_desk.json("grant", "show", row["grant"])
    assert [one["channels"] for one in shown["selectors"]] == [[""]]


def test_a_change_can_be_taken_back_at_the_prompt(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk)
    answers = [(QUESTION, "c"), (CHANGE, "detail day"), (QUESTION, "c"), (CHANGE, "reset"), (QUESTION, "n")]
    talk = converse(open_desk.home, ["request", "approve", grant.text], in_turn(answers))
    assert talk.status == 130, talk.said
    assert talk.said.count("energy by the day") == 1
    assert talk.said.count("detail    every reading") == 2


def test_at_a_terminal_no_gives_nothing_and_leaves_the_request(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk)
    talk = converse(open_desk.home, ["request", "approve", grant.text], in_turn([(QUESTION, "n")]))
    assert talk.status == 130
    assert open_desk.json("grant", "list") == []
    assert len(open_desk.json("inbox")) == 1


def test_a_brand_without_a_device_to_give_is_told_to_the_person(open_desk: Desk) -> None:
    grant = ask(open_desk)
    done = open_desk.run("request", "approve", grant.text, "--yes")
    assert (done.status, "device add" in done.err) == (2, True)


WISHES = ASK | {
    "resolution": {"ideal": "raw", "minimum": "day"},
    "history": {"ideal": "P30D", "minimum": "P7D"},
    "duration": {"ideal": "P90D", "minimum": "P10D"},
    "mode": {"ideal": "read", "minimum": "answer"},
}
del WISHES["access_until"]
PLACE = WISHES | {"datatypes": ["location"], "resolution": {"ideal": "h3-7", "minimum": "h3-5"}}


def test_the_least_that_serves_is_offered_with_what_they_would_like_beside_it(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk, WISHES, PLACE)
    shown = " ".join(open_desk.run("request", "show", grant.text).out.split())
    assert "detail energy by the day (they would like every reading); location to about 9 km" in shown
    assert "they see no reading (they would like to read it whenever they want)" in shown
    assert f"and history since {date(midnight() - 6 * DAY_S)} (they would like 30 days)" in shown
    assert "(they would like it until" in shown
    offered = open_desk.json("request", "show", grant.text)["terms"]
    assert offered["details"] == {"energy": "day", "location": "h3-5"}
    assert (offered["mode"], offered["uses"], offered["limits"]) == ("answer", None, [])


def test_the_offer_is_what_the_rules_and_the_request_settle_at(open_desk: Desk) -> None:
    """The node that answers by rule, the client that checks it, and this offer come to the same terms."""
    meter = minutely(open_desk)
    grant = ask(open_desk, WISHES)
    offered = open_desk.json("request", "show", grant.text)["terms"]
    asks = parse_details(msgspec.json.encode([WISHES]), catalogue(), purposes(), now() // 1000)
    settlement = settle(asks, Rules(), catalogue(), purposes(), now() // 1000)
    terms = terms_of(settlement, asks, [Selector(meter.text, "energy", ("",))], now() // 1000)
    assert isinstance(terms, Terms)
    assert offered["data_from"] == format_time(terms.data_from)
    assert (offered["mode"], offered["uses"], offered["details"]) == (
        terms.mode,
        terms.uses,
        {one.kind: terms.resolution_of(one) for one in terms.selectors},
    )


GIVEN: dict[str, tuple[str, dict[str, Any]]] = {
    "a detail a kind": (
        "--detail energy=hour --detail location=h3-7",
        {"details": {"energy": "hour", "location": "h3-7"}},
    ),
    "one detail for all that can": ("--detail hour", {"details": {"energy": "hour", "location": "h3-5"}}),
    "all that they would like": (
        "--as-asked",
        {"details": {"energy": "raw", "location": "h3-7"}, "mode": "read"},
    ),
    "once": ("--once", {"mode": "once", "uses": 1}),
    "three times": ("--times 3", {"mode": "read", "uses": 3}),
    "answers": ("--answers-only --budget 7", {"mode": "answer", "budget": 7}),
    "rounded, by hours and seldom": (
        "--kinds energy --detail hour --round 0.5 --every 6h --hours 07-22 --zone Europe/Berlin --fewest 9",
        {
            "limits": [
                {
                    "kind": "energy",
                    "round": "0.5",
                    "every": 21_600,
                    "hours": [420, 1320],
                    "zone": "Europe/Berlin",
                    "fewest": 9,
                }
            ]
        },
    ),
    "a channel": ("--kinds energy --channel itself", {"kinds": ["energy"]}),
}  # fmt: skip


@pytest.mark.parametrize(("words", "given"), GIVEN.values(), ids=GIVEN)
def test_whatever_is_changed_is_approved_so(open_desk: Desk, words: str, given: dict[str, Any]) -> None:
    minutely(open_desk)
    grant = ask(open_desk, WISHES, PLACE)
    offered = open_desk.json("request", "show", grant.text, *words.split())["terms"]
    approved = open_desk.json("request", "approve", grant.text, "--yes", *words.split())
    for answer in (offered, approved):
        assert {name: answer[name] for name in given} == given
    assert open_desk.json("grant", "list")[0]["status"] == "active"


MORE: dict[str, tuple[str, int, str]] = {
    "finer than they asked": ("--detail location=raw", 6, "give --detail location=h3-7 or less"),
    "a detail that is none": ("--detail energy=h3-5", 2, "raw, hour, day"),
    "a channel that is not there": ("--kinds energy --channel attic", 2, "itself"),
    "hours of a day": ("--hours 07-22", 2, "--detail energy=hour"),
    "a budget of readings": ("--budget 7", 2, "--answers-only"),
}


@pytest.mark.parametrize(("words", "status", "said"), MORE.values(), ids=MORE)
def test_what_is_more_or_makes_no_sense_gives_nothing_and_says_what_to_do(
    open_desk: Desk, words: str, status: int, said: str
) -> None:
    minutely(open_desk)
    grant = ask(open_desk, WISHES, PLACE)
    done = open_desk.run("request", "approve", grant.text, "--yes", *words.split())
    assert (done.status, said in done.err) == (status, True), done
    assert open_desk.json("grant", "list") == []


def test_no_word_of_a_brand_can_act_on_a_terminal(open_desk: Desk) -> None:
    """B11: whatever reaches us, no escape character reaches the screen."""
    hostile = "Ac\x1b[2Jme\u202e\x07"
    meter = minutely(open_desk)
    open_desk.publish(meter, Observation("\x1b]0;owned\x07", "energy", now() - DAY_MS, 1.0))
    grant = ask(open_desk, ASK | {"resolution": {"ideal": "raw", "minimum": "day"}}, name=hostile)
    for line in (
        "inbox",
        "request list",
        f"request show {grant.text}",
        f"request show {grant.text} --json",
        f"request preview {grant.text}",
        f"request preview {grant.text} --json",
        f"request approve {grant.text} --yes",
        "grant list",
        f"grant show {grant.text}",
        "ledger log",
        "touchpoint list",
        f"grant revoke {grant.text} --yes",
        "request list --all --json",
        "grant list --json",
    ):
        done = open_desk.run(*line.split())
        assert done.status == 0, done
        assert not set("\x1b\x07\u202e") & set(done.out + done.err), line
    assert "Ac\\x1b[2Jme\\u202e\\x07" in open_desk.run("grant", "list").out


def test_no_word_of_a_brand_can_act_on_a_terminal_where_it_is_asked_about(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = ask(open_desk, name="Ac\x1b[2Jme\u202e\x07")
    answers = [(QUESTION, "c"), (CHANGE, "\u202egrab"), (QUESTION, "p"), (QUESTION, "y")]
    talk = converse(open_desk.home, ["request", "approve", grant.text], in_turn(answers))
    assert talk.status == 0, talk.said
    shown = talk.said.replace("\u202egrab\r\n", "", 1)  # the terminal's echo of what was typed
    assert not set("\x1b\x07\u202e") & set(shown)


def test_what_a_host_changes_between_the_card_and_the_yes_is_refused(open_desk: Desk) -> None:
    """D7: the terms are made before the card and signed after it; they bind the request that was shown."""
    minutely(open_desk)
    grant = ask(open_desk)
    shown = open_desk.json("request", "show", grant.text)["details"]

    def edit() -> None:
        file = open_desk.host.writer.file(open_desk.vault)
        changed = canonical([shown[0] | {"benefit": "all of it"}])
        file.transact(lambda database: database.execute("UPDATE grant_ SET ask = ?", (changed,)))

    said: list[str] = []

    def answer(heard: str) -> str | None:
        if not heard.rstrip().endswith(QUESTION) or said:
            return None
        open_desk.host.run(edit)
        said.append("y")
        return "y"

    talk = converse(open_desk.home, ["request", "approve", grant.text], answer)
    assert talk.status != 0, talk.said
    assert [row["status"] for row in open_desk.json("grant", "list")] == []
