"""``request preview``: what they would have received, by the way a brand reads, in words before pictures."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from cli.plot import LETTERS
from cli.preview import TooSlowError, at_most
from tests.cli_world import DAY_MS, Desk, desk, open_desk
from tests.terminal import converse, in_turn
from tests.test_cli_request import ASK, QUESTION, ask, midnight
from vault.ids import DeviceId, GrantId
from vault.observation import Observation, Place

__all__ = ["desk", "open_desk"]
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def days(count: int, step_ms: int) -> range:
    """Moments of whole past days, from a midnight."""
    today = midnight() * 1000
    return range(today - count * DAY_MS, today, step_ms)


def meter(desk: Desk, step_ms: int = 60_000) -> DeviceId:
    """A meter that reported for three days."""
    device = desk.add_device("meter")
    desk.publish(
        device, *(Observation("", "energy", at, 1 + at % DAY_MS / DAY_MS) for at in days(3, step_ms))
    )
    return device


def detail(kind: str, minimum: str, **more: Any) -> dict[str, Any]:
    """Raw at best; ``minimum`` would do."""
    return ASK | {"datatypes": [kind], "resolution": {"ideal": "raw", "minimum": minimum}} | more


def test_numbers_are_told_and_then_drawn(open_desk: Desk) -> None:
    meter(open_desk)
    shown = open_desk.run("request", "preview", ask(open_desk, detail("energy", "day")).text)
    assert shown.status == 0, shown
    lines = shown.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "  last week they would have received"
    assert lines[2].split() == ["readings", "a", "day", "1,440", "1"]
    told = " ".join(shown.out.split())
    assert "energy of meter: asked is 4,320 readings, min 1 mean 1.49965 max 1.99931 kWh;" in told
    assert "you would give 3 values by the day, min 1.49965 mean 1.49965 max 1.49965 kWh" in told
    sentence = next(place for place, line in enumerate(lines) if "you would give" in line)
    picture = next(place for place, line in enumerate(lines) if LETTERS.high * 5 in line)
    assert sentence < picture


def test_programs_get_the_figures_and_a_sample(open_desk: Desk) -> None:
    meter(open_desk)
    grant = ask(open_desk, detail("energy", "day"))
    answer = open_desk.json("request", "preview", grant.text, "--detail", "hour", "--days", "2")
    assert answer["request"] == grant.text
    assert answer["terms"]["details"] == {"energy": "hour"}
    assert answer["asked"]["readings_a_day"] == 1440
    assert answer["settled"]["readings_a_day"] == 24
    assert answer["asked"]["bytes_a_day"] > answer["settled"]["bytes_a_day"] > 0
    assert answer["settled"]["series"][0]["readings"] == 48
    assert answer["settled"]["sample"][0]["device"] == "meter"
    assert answer["settled"]["sample"][0]["value"]["count"] == 60
    assert {one["resolution"] for one in answer["settled"]["sample"]} == {"hour"}
    assert answer["rare"] == []


def test_a_place_is_a_coarse_map_and_what_is_true_a_bar_an_hour(open_desk: Desk) -> None:
    phone, door = open_desk.add_device("phone"), open_desk.add_device("door")
    open_desk.publish(
        phone,
        *(
            Observation("", "location", at, Place(52.5 + 0.2 * math.sin(at / DAY_MS), 13.4, 10.0))
            for at in days(2, 600_000)
        ),
    )
    open_desk.publish(
        door, *(Observation("", "door", at, at % (2 * HOUR_MS) == 0) for at in days(2, 600_000))
    )
    grant = ask(open_desk, detail("location", "h3-5"), detail("door", "hour"))
    shown = open_desk.run("request", "preview", grant.text).out
    assert "location of phone: asked is 288 readings, in " in shown
    assert "an area is about" in " ".join(shown.split())
    assert "door or window open of door: asked is 288 readings, 8% of them true" in " ".join(shown.split())
    bars = [line for line in shown.splitlines() if "# # # #" in line]
    assert len(bars) == 2
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_what_is_too_rare_to_be_hidden_is_said_before_it_is_given(open_desk: Desk) -> None:
    meter(open_desk, HOUR_MS)
    grant = ask(open_desk, detail("energy", "hour"))
    said = "energy of meter has only 1 reading in a bucket as a rule: by the hour hides little of it"
    for words in (("show",), ("preview",), ("approve", "--yes")):
        done = open_desk.run("request", words[0], grant.text, *words[1:])
        assert said in " ".join((done.out + done.err).split()), words
    often = ask(open_desk, detail("energy", "day"), name="Other")
    assert "hides little" not in open_desk.run("request", "show", often.text).out


def test_nothing_is_told_as_nothing(open_desk: Desk) -> None:
    open_desk.add_device("meter")
    shown = open_desk.run("request", "preview", ask(open_desk).text)
    assert "there was nothing of this" in shown.out
    assert open_desk.json("request", "preview", ask(open_desk, name="Other").text)["asked"]["sample"] == []


def test_the_preview_is_of_the_terms_that_are_then_signed(open_desk: Desk) -> None:
    meter(open_desk)
    grant = ask(open_desk, detail("energy", "day"))
    words = ("--detail", "hour", "--round", "0.5", "--until", "2030-01-01", "--access-until", "2030-01-01")
    seen = open_desk.json("request", "preview", grant.text, *words)
    assert all(one["value"]["sum"] / one["value"]["count"] % 0.5 == 0 for one in seen["settled"]["sample"])
    given = open_desk.json("request", "approve", grant.text, "--yes", *words)
    varying = ("data_from", "request", "grant")
    assert {k: v for k, v in given.items() if k not in varying} == {
        k: v for k, v in seen["terms"].items() if k not in varying
    }


def test_an_answered_request_has_no_preview(open_desk: Desk) -> None:
    meter(open_desk)
    grant = ask(open_desk)
    assert open_desk.run("request", "approve", grant.text, "--yes").status == 0
    assert open_desk.run("request", "preview", grant.text).status == 7
    assert open_desk.run("request", "preview", "zzzz").status == 5


def _approve(desk: Desk, grant: GrantId, *answers: str) -> str:
    """What is said until the person says no."""
    typed = [(QUESTION, answer) for answer in (*answers, "n")]
    talk = converse(desk.home, ["request", "approve", grant.text], in_turn(typed))
    assert talk.status == 130, talk.said
    return talk.said


def test_at_a_terminal_it_is_shown_without_being_asked_for_and_without_colour(open_desk: Desk) -> None:
    meter(open_desk)
    said = _approve(open_desk, ask(open_desk))
    before = said[: said.index(QUESTION)]  # on a busy machine it is said that it takes a while
    assert "last week they would have received" in before or "takes a while here" in before
    assert "\x1b" not in said


def test_a_terminal_without_blocks_gets_plain_letters(
    open_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter(open_desk)
    grant = ask(open_desk)
    assert not _approve(open_desk, grant, "p").isascii()
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    plain = _approve(open_desk, grant, "p")
    assert plain.replace("\N{NARROW NO-BREAK SPACE}", "").isascii()
    assert "last week they would have received" in plain


def test_what_takes_longer_than_a_person_waits_is_ended() -> None:
    at_most(60)(0.5)
    hurried = at_most(-1)
    hurried(1.0)
    with pytest.raises(TooSlowError):
        hurried(0.5)


def test_no_name_of_a_channel_or_a_brand_can_act_on_a_terminal(open_desk: Desk) -> None:
    device = open_desk.add_device("meter")
    open_desk.publish(
        device, *(Observation("\x1b]0;x\x07\u2066", "energy", at, 1.0) for at in days(2, HOUR_MS))
    )
    grant = ask(open_desk, detail("energy", "hour"), name="Ac\x1b[2Jme\u202e\x07")
    for words in (("preview",), ("preview", "--json"), ("show",), ("show", "--json"), ("approve", "--yes")):
        done = open_desk.run("request", words[0], grant.text, *words[1:])
        assert done.status == 0, done
        assert not set("\x1b\x07\u202e\u2066") & set(done.out + done.err), words
