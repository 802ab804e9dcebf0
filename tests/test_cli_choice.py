"""What a person says, on the command line and at the prompt, comes to the same choice."""

from __future__ import annotations

from typing import Any

import click
import pytest

from cli.choice import Choice, narrowing, parse_choice, words
from cli.errors import UsageError

SAID: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing": ("", {}),
    "kinds": ("--kinds energy,power", {"kinds": ("energy", "power")}),
    "one detail for all": ("--detail day", {"details": (("", "day"),)}),
    "a detail a kind": (
        "--detail energy=day --detail location=9km",
        {"details": (("energy", "day"), ("location", "h3-5"))},
    ),
    "details in one word": (
        "--detail temp=hourly,power=raw",
        {"details": (("temperature", "hour"), ("power", "raw"))},
    ),
    "all, but one": ("--detail day --detail energy=hour", {"details": (("", "day"), ("energy", "hour"))}),
    "all of them at last": ("--detail energy=hour --detail day", {"details": (("", "day"),)}),
    "once": ("--once", {"mode": "once", "uses": 1}),
    "one time": ("--times 1", {"mode": "once", "uses": 1}),
    "three times": ("--times 3", {"mode": "read", "uses": 3}),
    "answers": ("--answers-only --budget 10", {"mode": "answer", "budget": 10}),
    "rounded": ("--round temperature=0.50", {"rounds": (("temperature", "0.5"),)}),
    "rounded to tens": ("--round 10", {"rounds": (("", "10"),)}),
    "seldom": ("--every 15m", {"every": (("", 900),)}),
    "by day": ("--hours 07-22 --zone Europe/Berlin", {"hours": (420, 1320), "zone": "Europe/Berlin"}),
    "by night": ("--hours 22:30-6 --zone UTC", {"hours": (1350, 360), "zone": "UTC"}),
    "until midnight": ("--hours 18-24 --zone UTC", {"hours": (1080, 1440), "zone": "UTC"}),
    "history": ("--history 7d", {"history": 7}),
    "no history": ("--history none", {"history": "none"}),
    "lasting": ("--for 30d", {"duration": 30 * 86_400}),
    "few": ("--fewest 10", {"fewest": 10}),
    "without": ("--drop accuracy", {"drop": ("accuracy",)}),
    "as asked": ("--as-asked --future", {"as_asked": True, "future": True}),
    "places": ("--device car --channel gps", {"devices": ("car",), "channels": ("gps",)}),
}


@pytest.mark.parametrize(("typed", "meant"), SAID.values(), ids=SAID)
def test_what_is_typed_is_what_is_meant(typed: str, meant: dict[str, Any]) -> None:
    assert parse_choice(typed.split()) == Choice(**meant)


def test_the_hours_are_those_of_this_computer_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Lisbon")
    assert parse_choice(["--hours", "07-22"]).zone == "Europe/Lisbon"
    assert parse_choice([]).zone == ""


WRONG: dict[str, tuple[str, str]] = {
    "no detail": ("--detail weekly", "raw, hour, day"),
    "no kind": ("--detail gravity=day", "no such kind"),
    "two ways": ("--once --answers-only", "exclude"),
    "two counts": ("--once --times 3", "exclude"),
    "a budget of readings": ("--budget 10", "--answers-only"),
    "a zone of nothing": ("--zone UTC", "--hours"),
    "no zone": ("--hours 07-22 --zone Mars/Olympus", "Europe/Berlin"),
    "no hours": ("--hours 7", "07-22"),
    "an hour that is none": ("--hours 07-25", "07-22"),
    "no time at all": ("--hours 07-07", "07-22"),
    "no step": ("--round 0", "0.5"),
    "a step below nothing": ("--round temperature=-1", "0.5"),
    "no stretch": ("--every 0s", "15m"),
    "too long a stretch": ("--every 2d", "at most a day"),
    "no stretch of time": ("--every often", "30m"),
}


@pytest.mark.parametrize(("typed", "said"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused_with_what_to_write(typed: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_choice(typed.split())
    assert said in f"{caught.value.what} {caught.value.hint}"


@pytest.mark.parametrize("typed", ["--times 0", "--fewest none", "--colour red", "--kinds"])
def test_what_is_no_option_is_refused(typed: str) -> None:
    with pytest.raises(click.UsageError):
        parse_choice(typed.split())


LATER: dict[str, tuple[str, str, str]] = {
    "another kind's detail": (
        "--detail energy=day", "--detail power=hour", "--detail energy=day --detail power=hour",
    ),
    "the same kind's detail": ("--detail energy=day", "--detail energy=hour", "--detail energy=hour"),
    "a detail for all": ("--detail energy=day", "--detail hour", "--detail hour"),
    "an end for a length": ("--for 30d", "--until 2030-01-01", "--until 2030-01-01"),
    "a length for an end": ("--until 2030-01-01 --access-until 2031-01-01", "--for 30d", "--for 30d"),
    "another way": ("--times 3", "--answers-only", "--answers-only"),
    "and back": ("--answers-only --budget 5", "--once", "--once"),
    "something else": ("--kinds energy", "--fewest 9 --round 5", "--kinds energy --fewest 9 --round 5"),
    "nothing": ("--kinds energy --once", "", "--kinds energy --once"),
}  # fmt: skip


@pytest.mark.parametrize(("first", "then", "both"), LATER.values(), ids=LATER)
def test_the_last_word_stands_and_takes_nothing_else_back(first: str, then: str, both: str) -> None:
    assert parse_choice(first.split()).and_then(parse_choice(then.split())) == parse_choice(both.split())


def test_a_command_that_is_narrowing_takes_all_of_it_as_one_choice() -> None:
    heard: list[Choice] = []

    @click.command()
    @narrowing
    def command(choice: Choice) -> None:
        heard.append(choice)

    command.main(["--detail", "day", "--once"], standalone_mode=False)
    assert heard == [parse_choice(["--detail", "day", "--once"])]
    assert {one.opts[0] for one in command.params} == {f"--{word}" for word in words()}
