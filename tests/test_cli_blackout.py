"""``blackout``: times of which nobody gets anything."""

from __future__ import annotations

import pytest

from tests.cli_world import Desk, desk, open_desk
from tests.test_cli_grant import given, read
from tests.test_cli_request import minutely

__all__ = ["desk", "open_desk"]


def test_guests_come_for_three_hours(open_desk: Desk) -> None:
    assert open_desk.json("blackout", "list") == []
    added = open_desk.json("blackout", "add", "--now", "--for", "3h")
    assert (added["status"], added["kinds"], added["read_before"]) == ("now", [], [])
    (row,) = open_desk.json("blackout", "list")
    assert row["blackout"] == added["blackout"]
    assert "everything" in open_desk.run("blackout", "list").out
    assert open_desk.json("blackout", "end", added["blackout"][:6])["status"] == "ended"
    assert open_desk.json("blackout", "list") == []
    assert [row["status"] for row in open_desk.json("blackout", "list", "--all")] == ["ended"]


def test_a_time_to_come_of_some_kinds(open_desk: Desk) -> None:
    words = ("--from", "2031-01-01", "--until", "2031-01-02T06:00:00Z", "--kinds", "energy,temp")
    done = open_desk.json("blackout", "add", *words)
    assert (done["status"], done["kinds"]) == ("to come", ["energy", "temperature"])


def test_of_the_past_it_is_said_who_had_read_it(open_desk: Desk) -> None:
    minutely(open_desk)
    grant = given(open_desk)
    read(open_desk, grant, 1440)
    assert open_desk.run("blackout", "add", "--from", "3h", "--for", "2h").status == 2  # nobody to ask
    done = open_desk.run("blackout", "add", "--from", "3h", "--for", "2h", "--yes")
    assert done.status == 0, done.err
    assert "Acme read up to 1,440 readings of that time before, and keeps them" in done.out


MISSAID = {
    "no beginning": ("--for", "3h"),
    "two beginnings": ("--now", "--from", "1h", "--for", "3h"),
    "no end": ("--now",),
    "two ends": ("--now", "--for", "3h", "--until", "2031-01-01"),
    "over before it begins": ("--from", "2031-01-02", "--until", "2031-01-01"),
    "for longer than a grant can last": ("--now", "--for", "99999d"),
    "an unknown kind": ("--now", "--for", "3h", "--kinds", "aura"),
    "not a time": ("--now", "--for", "a while"),
}


@pytest.mark.parametrize("words", MISSAID.values(), ids=MISSAID)
def test_what_cannot_be_is_told_in_one_line(open_desk: Desk, words: tuple[str, ...]) -> None:
    done = open_desk.run("blackout", "add", *words, "--yes")
    assert (done.status, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert open_desk.json("blackout", "list", "--all") == []


def test_only_a_blackout_that_is_not_over_can_be_ended(open_desk: Desk) -> None:
    assert open_desk.run("blackout", "end", "a" * 26).status == 5
    added = open_desk.json("blackout", "add", "--now", "--for", "3h")
    assert open_desk.run("blackout", "end", added["blackout"]).status == 0
    assert open_desk.run("blackout", "end", added["blackout"]).status == 7
