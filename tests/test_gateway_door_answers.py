"""Answers instead of data: figures of what was given, never more, counted, told, and gone with the grant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import wire
from policies.minimise import Limit
from policies.terms import Selector
from tests.door_world import Someone, Story, World, grant_of, world
from tests.owner_host import DAY_MS
from vault.gathering import HOUR_MS
from vault.observation import Observation, Place
from vault.store.sector import ClockMark, Frozen

DENIED = (401, "urn:hypertouch:problem/invalid-token")
HERE, THERE = Place(52.52, 13.405), Place(48.137, 11.575)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    """A door."""
    with world(tmp_path / "data") as it:
        yield it


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A grant of three days of temperature at ``day``, for tests that change nothing."""
    with world(tmp_path_factory.mktemp("answers") / "data") as it:
        yield given(it)


def given(
    made: World,
    kind: str = "temperature",
    resolution: str = "day",
    readings: list[Observation] | None = None,
    days_back: int = 3,
    **terms: Any,
) -> Story:
    """A grant of one kind at one resolution, by default of three days that have 24 readings each."""
    someone, brand = Someone(made), made.brand()
    source = someone.device()
    someone.publish(source, *(hourly(made) if readings is None else readings))
    made.pass_time(11 * 60_000)
    touchpoint = someone.touchpoint(brand)
    wishes: dict[str, Any] = {"resolution": {"ideal": "raw", "minimum": resolution}}
    mode = terms.get("mode", "read")
    if mode != "read":
        wishes["mode"] = {"ideal": "read", "minimum": mode}
    auth_req_id = brand.ask(touchpoint, kind, wishes=wishes).json()["auth_req_id"]
    grant = grant_of(auth_req_id)
    selector = Selector(source.text, kind, None, resolution)
    someone.approve(grant, selector, days_back=days_back, **terms)
    token = brand.poll(auth_req_id).json()["access_token"]
    return Story(made, someone, source, brand, touchpoint, auth_req_id, grant, token)


def today(made: World) -> int:
    """The beginning of this UTC day, in milliseconds."""
    return made.clock() // DAY_MS * DAY_MS


def hourly(made: World, days: int = 3, kind: str = "temperature") -> list[Observation]:
    """Readings 0 to 23 of each of the last days, one an hour, the day's number from 0 added to each."""
    return [
        Observation(
            "", kind, today(made) - (days - day) * DAY_MS + hour * HOUR_MS + 60_000, float(hour + day)
        )
        for day in range(days)
        for hour in range(24)
    ]


def figures(answer: httpx.Response) -> list[float | None]:
    """The values of an answer."""
    assert answer.status_code == 200, answer.text
    return [one["value"] for one in answer.json()["answers"]]


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and type of a problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"]


# --- what comes ------------------------------------------------------------------------------------------


def test_a_day_is_answered_from_the_buckets_of_days(made: World) -> None:
    story = given(made, mode="answer")
    answer = story.brand.answers(story.token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["answers"][0] == {
        "from": "2026-11-18T00:00:00Z",
        "until": "2026-11-19T00:00:00Z",
        "value": 11.5,
        "unit": "Cel",
        "readings": 24,
        "complete": True,
    }
    assert figures(answer) == [11.5, 12.5, 13.5, None]  # of today there is no bucket yet
    assert answer.json()["answers"][3]["complete"] is False
    assert story.source.text not in answer.text


FIGURES: dict[str, tuple[dict[str, Any], list[float | None]]] = {
    "min": ({"function": "min"}, [0, 1, 2, None]),
    "max": ({"function": "max"}, [23, 24, 25, None]),
    "sum": ({"function": "sum"}, [276, 300, 324, None]),
    "count": ({"function": "count"}, [24, 24, 24, None]),
    "above": ({"function": "above", "threshold": 23.5}, [0, 1, 1, None]),
    "below": ({"function": "below", "threshold": 1}, [1, 0, 0, None]),
    "one day": ({"from": "2026-11-19T00:00:00Z", "until": "2026-11-20T00:00:00Z"}, [12.5]),
    "only whole days": ({"from": "2026-11-19T00:00:01Z", "until": "2026-11-21T00:00:00Z"}, [13.5]),
    "no whole day": ({"from": "2026-11-19T00:00:01Z", "until": "2026-11-20T23:59:59Z"}, []),
    "a week is not wholly given": ({"period": "week"}, []),
    "nor is the month": ({"period": "month"}, []),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_function_of_numbers_by_days(story: Story, name: str) -> None:
    asked, expected = FIGURES[name]
    assert figures(story.brand.answers(story.token, **asked)) == expected


def test_hours_and_raw_readings_answer_as_days_do(made: World) -> None:
    """But for what a day cannot tell: in how many hours it was above."""
    dense = [
        Observation("", "temperature", one.time + n * 60_000, one.value)
        for one in hourly(made)
        for n in range(5)
    ]
    for resolution in ("raw", "hour"):
        story = given(made, resolution=resolution, readings=dense)
        assert figures(story.brand.answers(story.token))[:3] == [11.5, 12.5, 13.5]
        above = story.brand.answers(story.token, function="above", threshold=20)
        assert figures(above)[:3] == [3.0, 4.0, 5.0]


def test_weeks_begin_on_monday_and_months_on_the_first(made: World) -> None:
    readings = hourly(made, 30)
    story = given(made, readings=readings, days_back=40)
    answer = story.brand.answers(story.token, period="week", function="count")
    assert [one["from"][:10] for one in answer.json()["answers"]] == [
        "2026-10-12", "2026-10-19", "2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"
    ]  # fmt: skip
    assert figures(answer)[-3:] == [168, 168, 120]
    assert figures(story.brand.answers(story.token, period="month", function="count")) == [480]


def test_a_boolean_answers_how_long_it_was_true(made: World) -> None:
    start = today(made) - DAY_MS
    readings = [Observation("", "door", start + n * 600_000, n % 2 == 0) for n in range(6)]
    for resolution in ("raw", "hour", "day"):
        story = given(made, "door", resolution, readings, days_back=1)
        assert figures(story.brand.answers(story.token, "door", function="time_in"))[0] == 1800
        assert figures(story.brand.answers(story.token, "door", function="count"))[0] == 6


def test_a_place_answers_how_long_it_was_where(made: World) -> None:
    import h3

    start = today(made) - DAY_MS
    readings = [Observation("", "location", start + n * 600_000, HERE if n < 4 else THERE) for n in range(7)]
    fine, coarse = (h3.latlng_to_cell(HERE.lat, HERE.lon, level) for level in (7, 5))
    coarse = h3.cell_to_parent(fine, 5)
    other = h3.cell_to_parent(h3.latlng_to_cell(THERE.lat, THERE.lon, 7), 5)
    for resolution in ("raw", "h3-7", "h3-5"):
        story = given(made, "location", resolution, readings, days_back=1)

        def ask(function: str, *cells: str, story: Story = story) -> httpx.Response:
            return story.brand.answers(story.token, "location", function=function, cells=cells)

        assert figures(ask("dwell", coarse))[0] == 2400
        assert figures(ask("time_in", coarse, other))[0] == 2400 + 1200 + 3600
        if resolution == "h3-5":
            assert problem(ask("dwell", fine)) == (403, "urn:hypertouch:problem/insufficient-scope")
        else:
            assert figures(ask("dwell", fine))[0] == 2400


def test_a_figure_of_too_few_readings_is_not_told_nor_how_many_there_were(made: World) -> None:
    start = today(made) - 2 * DAY_MS
    readings = [Observation("", "temperature", start + n * HOUR_MS, 20.0) for n in range(4)]
    readings += [Observation("", "temperature", start + DAY_MS + n * HOUR_MS, 20.0) for n in range(5)]
    story = given(made, resolution="raw", readings=readings, days_back=2)
    for function in ("mean", "count", "max"):
        few, enough = story.brand.answers(story.token, function=function).json()["answers"][:2]
        assert (few["value"], few["readings"]) == (None, None)
        assert enough["readings"] == 5


# --- what is asked ---------------------------------------------------------------------------------------


def test_an_answer_looks_at_so_many_readings_also_where_limits_leave_most_of_them_out(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one question would keep a door busy with all that a device ever sent."""
    story = given(made, resolution="raw", limits=(Limit(kind="temperature", every=DAY_MS // 1000),))
    assert story.brand.answers(story.token).status_code == 200  # the control
    monkeypatch.setattr("vault.store.release.EXAMINED", 8)
    monkeypatch.setattr("vault.store.release._BATCH", 8)
    monkeypatch.setattr("gateway.door.answers.MOST_PAGES", 1)
    assert problem(story.brand.answers(story.token)) == (400, "urn:hypertouch:problem/bad-request")


def test_an_answer_of_more_than_a_door_keeps_in_memory_is_refused(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = given(made, resolution="raw")
    assert story.brand.answers(story.token).status_code == 200  # the control
    monkeypatch.setattr("gateway.answers.MOST_HELD", 71)  # it has 72 hours
    assert problem(story.brand.answers(story.token)) == (400, "urn:hypertouch:problem/bad-request")


BAD: dict[str, dict[str, Any]] = {
    "an unknown function": {"function": "median"},
    "a function of another type": {"function": "time_in"},
    "an unknown period": {"period": "hour"},
    "an unknown member": {"group": "x"},
    "a threshold where none belongs": {"threshold": 3},
    "no threshold where one belongs": {"function": "above"},
    "a threshold that is none": {"function": "above", "threshold": "3"},
    "cells where none belong": {"cells": ["871f1d489ffffff"]},
    "a moment that is none": {"from": "yesterday"},
    "an end before the beginning": {"from": "2026-11-20T00:00:00Z", "until": "2026-11-19T00:00:00Z"},
}


@pytest.mark.parametrize("name", BAD)
def test_a_question_that_cannot_be_asked_is_refused_and_costs_nothing(story: Story, name: str) -> None:
    story.world.calls.clear()
    answer = story.brand.answers(story.token, **BAD[name])
    assert problem(answer) == (400, "urn:hypertouch:problem/bad-request")
    assert story.world.calls == []


BODIES: dict[str, tuple[bytes, int]] = {
    "no JSON": (b"{", 400),
    "a list": (b"[]", 400),
    "a member twice": (b'{"kind":"temperature","kind":"co2","function":"mean","period":"day"}', 400),
    "NaN": (b'{"kind":"temperature","function":"above","period":"day","threshold":NaN}', 400),
    "a number without end": (
        b'{"kind":"temperature","function":"above","period":"day","threshold":1e999}',
        400,
    ),
    "not UTF-8": (b'{"kind":"\xff","function":"mean","period":"day"}', 400),
    "nested too deep": (b"[" * 4000, 400),
    "too large": (b" " * 4097, 413),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_strict_json_of_up_to_4_kib(story: Story, name: str) -> None:
    body, status = BODIES[name]
    headers = {"authorization": f"Bearer {story.token}", "content-type": "application/json"}
    assert story.world.http().post("/answers", content=body, headers=headers).status_code == status


def test_a_question_is_json_and_stands_in_the_body(story: Story) -> None:
    token = {"authorization": f"Bearer {story.token}"}
    http = story.world.http()
    assert problem(http.post("/answers", data={"kind": "x"}, headers=token))[0] == 415
    assert problem(http.post("/answers?kind=x", json={}, headers=token))[0] == 400
    leaked = http.post(f"/answers?access_token={story.token}", json={})
    assert story.token not in leaked.text
    assert leaked.status_code in (400, 401)


def test_a_kind_that_was_not_given_is_out_of_scope(story: Story) -> None:
    for kind in ("humidity", "nonsense"):
        answer = story.brand.answers(story.token, kind)
        assert problem(answer) == (403, "urn:hypertouch:problem/insufficient-scope")


def test_a_grant_of_answers_gives_no_readings(made: World) -> None:
    story = given(made, mode="answer")
    assert problem(story.brand.read(story.token)) == (403, "urn:hypertouch:problem/answers-only")
    control = given(made, mode="read")
    assert control.brand.read(control.token).status_code == 200


# --- how often, and what the person learns ---------------------------------------------------------------


def test_answers_of_a_day_are_counted_and_there_are_new_ones_at_midnight(made: World) -> None:
    story = given(made, mode="answer", budget=2)
    told = [story.brand.answers(story.token).json()["budget"] for _ in range(2)]
    assert told == [{"limit": 2, "left": left, "resets_at": "2026-11-22T00:00:00Z"} for left in (1, 0)]
    answer = story.brand.answers(story.token)
    assert problem(answer) == (429, "urn:hypertouch:problem/budget-exhausted")
    wait = int(answer.headers["retry-after"])
    assert (made.clock() // 1000 + wait) % 86_400 == 0
    made.clock.now += wait * 1000
    assert story.brand.answers(story.token).json()["budget"]["left"] == 1


def test_without_a_limit_nothing_is_counted_down(story: Story) -> None:
    assert story.brand.answers(story.token).json()["budget"] == {
        "limit": None, "left": None, "resets_at": "2026-11-22T00:00:00Z"
    }  # fmt: skip


def test_an_answer_is_in_the_ledger_before_its_first_byte_leaves(made: World) -> None:
    story = given(made, mode="answer")
    order: list[str] = []
    made.before = lambda call: order.append(type(call).__name__)
    story.brand.answers(story.token, **{"until": "2026-11-20T00:00:00Z"})
    assert order[-2:] == ["Count", "Record"]
    made.before = lambda _: None
    (entry,) = story.someone.ledger("read")
    assert (entry.grant, entry.kinds, entry.note, entry.readings) == (
        story.grant, ("temperature",), "answers", 2
    )  # fmt: skip
    assert entry.since is not None
    assert entry.until is not None
    assert entry.until - entry.since == 2 * 86_400


@pytest.mark.parametrize("kind", [wire.Record, wire.Flush, wire.Count])
def test_what_cannot_be_written_down_is_not_answered(made: World, kind: type[wire.NodeCall]) -> None:
    story = given(made, mode="answer")
    refused = wire.Refused("unavailable", "the disk is full")
    made.before = lambda call: refused if isinstance(call, kind) else None
    assert problem(story.brand.answers(story.token)) == (503, "urn:hypertouch:problem/unavailable")
    made.before = lambda _: None
    assert story.brand.answers(story.token).status_code == 200


@pytest.mark.parametrize("kind", [wire.Record, wire.Flush, wire.Count])
def test_no_answer_leaves_after_a_revocation(made: World, kind: type[wire.NodeCall]) -> None:
    """P3, for answers: whenever it comes before the second look, nothing leaves."""
    story = given(made, mode="answer")
    assert story.brand.answers(story.token).status_code == 200  # the control, and the keys are open
    made.once(kind, lambda: story.someone.revoke(story.grant))
    answer = story.brand.answers(story.token)
    assert answer.status_code in (401, 503)
    assert "11.5" not in answer.text
    assert problem(story.brand.answers(story.token)) == DENIED


def test_the_second_look_is_what_keeps_it_in(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a door that does not look again lets an answer out after the revocation."""
    story = given(made, mode="answer")
    made.once(wire.Record, lambda: story.someone.revoke(story.grant))
    monkeypatch.setattr("gateway.door.access._look_again", lambda _, held: held)
    assert figures(story.brand.answers(story.token))[:3] == [11.5, 12.5, 13.5]


def test_access_ends_at_its_millisecond_for_answers_too(made: World) -> None:
    story = given(made, mode="answer")
    end = made.clock() // 1000 * 1000 + 30 * DAY_MS
    made.clock.now = end - 1
    assert story.brand.answers(story.token).status_code == 200
    made.clock.now = end
    assert problem(story.brand.answers(story.token)) == DENIED


def test_a_clock_in_doubt_rests_answers(made: World) -> None:
    story = given(made, mode="answer")
    mark = ClockMark(made.clock(), 0, Frozen.AHEAD)
    made.write(lambda writer: writer.live.set_clock(mark))
    assert problem(story.brand.answers(story.token)) == (503, "urn:hypertouch:problem/clock")


@pytest.mark.parametrize("kind", [wire.Record, wire.Flush, wire.Count])
def test_no_answer_leaves_after_a_pause(made: World, kind: type[wire.NodeCall]) -> None:
    story = given(made, mode="answer")
    made.once(kind, lambda: story.someone.pause(story.grant))
    answer = story.brand.answers(story.token)
    assert answer.status_code in (403, 503)
    assert "11.5" not in answer.text
    assert problem(story.brand.answers(story.token)) == (403, "urn:hypertouch:problem/paused")
    story.someone.pause(story.grant, paused=False)
    assert figures(story.brand.answers(story.token))[:3] == [11.5, 12.5, 13.5]
