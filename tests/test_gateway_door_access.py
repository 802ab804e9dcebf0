"""What a grant gives may change: uses are counted; what is paused or narrowed is so from the next page on."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway import wire
from gateway.door.cursor import CURSOR
from gateway.door.data import MOST_SPANS, spans_of
from gateway.senmlout import Reading, decode
from policies.grant import USE_MS, Active
from policies.terms import Selector
from tests.door_world import Brand, Someone, Story, World, grant_of, tell_story, temperature, world
from tests.owner_host import DAY_MS
from tests.test_gateway_door_answers import given, hourly, problem, today
from vault.gathering import HOUR_MS
from vault.ids import GrantId
from vault.labels import hkdf, vec
from vault.observation import Observation, Summary
from vault.store.sector import ClockMark, Frozen

PROBLEM = "urn:hypertouch:problem/"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    """A door."""
    with world(tmp_path / "data") as it:
        yield it


def values(answer: httpx.Response) -> list[object]:
    """The values of a page."""
    assert answer.status_code == 200, answer.text
    return [reading.value for reading in decode(answer.content)]


def again(story: Story, kind: str = "temperature", resolution: str | None = None, **terms: Any) -> Story:
    """Another brand's grant of the same device."""
    brand = story.world.brand("Umbrella")
    request = brand.ask(story.someone.touchpoint(brand), kind).json()["auth_req_id"]
    selector = Selector(story.source.text, kind, None, resolution)
    story.someone.approve(grant_of(request), selector, days_back=3, **terms)
    token = brand.poll(request).json()["access_token"]
    return msgspec.structs.replace(story, brand=brand, grant=grant_of(request), token=token)


# --- buckets ---------------------------------------------------------------------------------------------


def test_a_grant_of_days_gives_whole_days_and_not_a_reading(made: World) -> None:
    story = given(made)
    found = decode(story.brand.read(story.token).content)
    assert {one.resolution for one in found} == {"day"}
    assert [one.value.sum for one in found if isinstance(one.value, Summary)] == [276, 300, 324]
    assert [one.time for one in found] == [today(made) - days * DAY_MS for days in (3, 2, 1)]
    raw = decode(story.brand.read(again(story).token).content)  # the control: the readings are there
    assert len(raw) == 72


def test_a_bucket_that_a_request_cuts_is_not_in_its_answer(made: World) -> None:
    story = given(made)
    for query, expected in (
        ("?from=2026-11-19T00:00:00Z&until=2026-11-20T00:00:00Z", [300]),
        ("?from=2026-11-19T00:00:01Z&until=2026-11-20T00:00:00Z", []),
        ("?from=2026-11-19T00:00:00Z&until=2026-11-19T23:59:59Z", []),
    ):
        found = values(story.brand.read(story.token, query))
        assert [one.sum for one in found if isinstance(one, Summary)] == expected


def test_brands_that_put_together_what_they_have_have_no_more_than_each(made: World) -> None:
    """D20: one has days, one has hours of another time; no record of either is finer or of elsewhere."""
    dense = [
        msgspec.structs.replace(one, time=one.time + n * 60_000) for one in hourly(made) for n in range(5)
    ]
    days = given(made, readings=dense)
    hours = again(days, resolution="hour")
    hours.someone.revise(hours.grant, Selector(hours.source.text, "temperature", None, "hour"), days_back=1)
    union = [one for s in (days, hours) for one in decode(s.brand.read(s.token).content)]
    assert {one.resolution for one in union} == {"day", "hour"}
    assert {one.time for one in union if one.resolution == "hour"} == {
        today(made) - DAY_MS + hour * HOUR_MS for hour in range(24)
    }
    for mine, theirs in ((days, hours), (hours, days)):
        stolen = mine.brand.read(theirs.token)  # a token is good for its own grant, whoever shows it
        assert {one.resolution for one in decode(stolen.content)} == {"day" if theirs is days else "hour"}
        link = mine.brand.read(mine.token, "?limit=1").links["next"]["url"]
        assert problem(theirs.brand.read(theirs.token, link))[0] == 400


def test_days_with_readings_in_no_bucket_are_told_and_no_others(made: World) -> None:
    story = given(made)
    assert "hypertouch-incomplete" not in story.brand.read(story.token).headers

    def cut(day: int) -> None:
        made.write(
            lambda w: w.transact(
                story.someone.vault,
                None,
                lambda c: c.execute("UPDATE segment SET cut = 1 WHERE day = ?", (day,)),
            )
        )

    first = today(made) // DAY_MS - 3
    cut(first)
    assert story.brand.read(story.token).headers["hypertouch-incomplete"] == "2026-11-18"
    cut(first + 1)
    assert story.brand.read(story.token).headers["hypertouch-incomplete"] == "2026-11-18/2026-11-19"
    outside = story.brand.read(story.token, "?from=2026-11-20T00:00:00Z")
    assert "hypertouch-incomplete" not in outside.headers
    raw = again(story)
    assert "hypertouch-incomplete" not in raw.brand.read(raw.token).headers
    answered = story.brand.answers(story.token).json()["answers"]
    assert [one["complete"] for one in answered] == [False, False, True, False]


def test_very_many_stretches_of_days_are_told_as_fewer_longer_ones() -> None:
    assert spans_of([0, 1, 2, 9]) == "1970-01-01/1970-01-03, 1970-01-10"
    many = spans_of(range(0, 4 * MOST_SPANS, 2))
    assert len(many.split(", ")) == MOST_SPANS
    assert many.endswith("/1970-09-12")


# --- uses ------------------------------------------------------------------------------------------------


def test_a_use_is_all_its_pages_and_no_reading_that_came_later(made: World) -> None:
    story = given(made, resolution="raw", mode="read", uses=2)
    first = story.brand.read(story.token, "?limit=50")
    assert first.headers["hypertouch-uses-left"] == "1"
    story.someone.publish(story.source, temperature(made, 0, 99.0))
    second = story.brand.read(story.token, first.links["next"]["url"])
    assert second.headers["hypertouch-uses-left"] == "1"
    assert len(values(first) + values(second)) == 72
    assert 99.0 not in values(second)
    third = story.brand.read(story.token, second.links["next"]["url"])  # begins another use
    assert (values(third), third.headers["hypertouch-uses-left"]) == ([99.0], "0")
    for query in ("", third.links["next"]["url"]):
        assert problem(story.brand.read(story.token, query)) == (403, PROBLEM + "used-up")


def test_a_use_goes_on_for_an_hour_and_then_another_would_begin(made: World) -> None:
    story = given(made, resolution="raw", uses=1)
    link = story.brand.read(story.token, "?limit=10").links["next"]["url"]
    made.clock.now += USE_MS - 1
    assert len(values(story.brand.read(story.token, link))) == 10
    made.clock.now += 1
    assert problem(story.brand.read(story.token, link)) == (403, PROBLEM + "used-up")


def test_a_brand_makes_no_cursor_of_a_use_that_never_began(made: World) -> None:
    """All that the brand has is its token; one of its own making would read a grant of one use for ever."""
    story = given(made, resolution="raw", uses=1)
    grant = GrantId.parse(story.grant)
    head = struct.pack(">BQIQQ", 2, 0, 1, made.clock.now, 2**62)
    bound = vec(grant, b"None None") + hashlib.sha256(b"").digest()
    tag = hmac.digest(hkdf(b"", story.token.encode(), CURSOR), head + bound, "sha256")[:16]
    forged = base64.urlsafe_b64encode(head + tag).decode().rstrip("=")
    assert problem(story.brand.read(story.token, f"?cursor={forged}")) == (400, PROBLEM + "bad-request")
    assert len(values(story.brand.read(story.token))) == 72  # the control: the use is still there


def test_a_clock_that_is_set_back_does_not_prolong_a_use(made: World) -> None:
    story = given(made, resolution="raw", uses=1)
    link = story.brand.read(story.token, "?limit=10").links["next"]["url"]
    assert len(values(story.brand.read(story.token, link))) == 10  # the control
    mark = ClockMark(made.clock.now + USE_MS, 0, Frozen.NO)
    made.write(lambda writer: writer.live.set_clock(mark))
    assert problem(story.brand.read(story.token, link)) == (403, PROBLEM + "used-up")


def test_a_use_is_counted_before_anything_is_read(made: World) -> None:
    """Whatever fails after it: a grant of one use is used."""
    story = given(made, resolution="raw", uses=1)
    made.before = lambda call: wire.Refused("unavailable", "x") if isinstance(call, wire.Record) else None
    assert problem(story.brand.read(story.token))[0] == 503
    made.before = lambda _: None
    assert problem(story.brand.read(story.token)) == (403, PROBLEM + "used-up")


def test_an_answer_of_a_grant_that_counts_uses_is_a_use(made: World) -> None:
    story = given(made, uses=1)
    assert story.brand.answers(story.token).status_code == 200
    assert problem(story.brand.answers(story.token)) == (403, PROBLEM + "used-up")
    assert problem(story.brand.read(story.token)) == (403, PROBLEM + "used-up")


def test_a_grant_that_counts_no_uses_is_not_counted(made: World) -> None:
    story = tell_story(made)
    answer = story.brand.read(story.token)
    assert "hypertouch-uses-left" not in answer.headers
    assert not any(isinstance(call, wire.Count) for call in made.calls)


# --- pauses and changes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [wire.Record, wire.Flush])
def test_a_pause_while_a_page_is_made_keeps_the_page_in(made: World, kind: type[wire.NodeCall]) -> None:
    story = tell_story(made)
    assert values(story.brand.read(story.token)) == [0.0, 1.0, 2.0]  # the control, and the keys are open
    made.once(kind, lambda: story.someone.pause(story.grant))
    answer = story.brand.read(story.token)
    assert answer.status_code in (403, 503)
    assert b"temperature" not in answer.content
    assert problem(story.brand.read(story.token)) == (403, PROBLEM + "paused")
    assert GrantId.parse(story.grant) not in made.door.keys
    story.someone.pause(story.grant, paused=False)
    assert values(story.brand.read(story.token)) == [0.0, 1.0, 2.0]


def test_only_who_opens_the_grants_key_is_told_that_it_rests(made: World) -> None:
    story = tell_story(made)
    story.someone.pause(story.grant)
    forged = story.token[:-20] + ("a" * 20 if story.token[-20:] != "a" * 20 else "b" * 20)
    assert problem(story.brand.read(forged)) == (401, PROBLEM + "invalid-token")
    assert problem(story.brand.read(story.token)) == (403, PROBLEM + "paused")
    assert story.brand.post("/introspect", {"token": story.token}).json() == {"active": False}


def test_a_paused_grant_can_be_given_back_by_its_token(made: World) -> None:
    story = tell_story(made)
    story.someone.pause(story.grant)
    assert story.brand.post("/revoke", {"token": story.token}).status_code == 200
    assert problem(story.brand.read(story.token)) == (401, PROBLEM + "invalid-token")


def test_what_was_measured_in_a_pause_is_never_given(made: World) -> None:
    story = tell_story(made)
    made.clock.now += 60_000
    story.someone.pause(story.grant)
    made.clock.now += 60_000
    story.someone.publish(story.source, temperature(made, 0, 50.0))
    made.clock.now += 60_000
    story.someone.pause(story.grant, paused=False)
    story.someone.publish(story.source, temperature(made, -1, 51.0), temperature(made, 0, 3.0))
    made.clock.now += 60_000
    story.someone.publish(story.source, temperature(made, 0, 4.0))
    found = values(story.brand.read(story.token))
    assert 50.0 not in found
    assert 51.0 not in found
    assert found[-1] == 4.0


def test_the_page_after_a_narrowing_is_of_the_new_scope(made: World) -> None:
    """D5: whatever cursor it has, and none of the former keys are kept."""
    someone, brand = Someone(made), made.brand()
    source = someone.device()
    start = today(made) - DAY_MS
    someone.publish(
        source,
        *(
            Observation("", kind, start + n * 60_000, float(n))
            for n in range(40)
            for kind in ("carbon_dioxide", "power")
        ),
    )
    request = brand.ask(someone.touchpoint(brand), "carbon_dioxide", "power").json()["auth_req_id"]
    both = [Selector(source.text, kind, None) for kind in ("carbon_dioxide", "power")]
    grant = grant_of(request)
    someone.approve(grant, *both, days_back=2)
    token = brand.poll(request).json()["access_token"]
    first = brand.read(token, "?limit=20")
    assert {one.kind for one in decode(first.content)} == {"carbon_dioxide", "power"}
    someone.revise(grant, both[1], days_back=2)
    found = list(pages(brand, token, first.links["next"]["url"]))
    assert {one.kind for one in found} == {"power"}
    assert problem(brand.read(token, "?kind=carbon_dioxide")) == (403, PROBLEM + "insufficient-scope")
    someone.revise(grant, both[1], days_back=0)
    assert list(pages(brand, token, first.links["next"]["url"])) == []
    (state,) = [state for held, state in made.door.keys.states() if held == GrantId.parse(grant)]
    assert isinstance(state, Active)
    assert state.terms.data_from > start // 1000 + 3600
    details = brand.post("/introspect", {"token": token}).json()["authorization_details"]
    assert details[0]["datatypes"] == ["power"]


def pages(brand: Brand, token: str, query: str) -> Iterator[Reading]:
    """Every reading from a cursor on."""
    more = True
    while more:
        answer = brand.read(token, query)
        assert answer.status_code == 200, answer.text
        yield from decode(answer.content)
        query, more = answer.links["next"]["url"], answer.headers["hypertouch-more"] == "true"


def test_a_door_lets_go_of_keys_of_former_terms_although_nobody_reads(made: World) -> None:
    story = given(made, resolution="raw")
    story.brand.read(story.token)
    assert GrantId.parse(story.grant) in made.door.keys
    story.someone.revise(story.grant, Selector(story.source.text, "temperature", None, "raw"), days_back=1)
    made.tidy()
    assert GrantId.parse(story.grant) not in made.door.keys


@pytest.mark.parametrize("kind", [wire.Record, wire.Flush])
def test_a_narrowing_while_a_page_is_made_keeps_the_page_in(made: World, kind: type[wire.NodeCall]) -> None:
    story = given(made, resolution="raw")
    selector = Selector(story.source.text, "temperature", None, "raw")
    made.once(kind, lambda: story.someone.revise(story.grant, selector, days_back=1))
    assert problem(story.brand.read(story.token)) == (503, PROBLEM + "changing")
    assert len(values(story.brand.read(story.token))) == 24


def test_while_a_change_waits_for_its_keys_the_token_is_told_to_come_again(made: World) -> None:
    story = given(made, resolution="raw")
    calls: list[httpx.Response] = []

    def look(call: wire.NodeCall) -> None:
        preparing = isinstance(call, wire.Carried) and not isinstance(state(), Active) and not calls
        if preparing:
            calls.append(story.brand.read(story.token))

    def state() -> object:
        return made.write(lambda w: w.file(story.someone.vault).state(GrantId.parse(story.grant)))

    made.before = look
    story.someone.revise(story.grant, Selector(story.source.text, "temperature", None, "raw"), days_back=1)
    made.before = lambda _: None
    (answer,) = calls
    assert problem(answer) == (503, PROBLEM + "changing")
    assert int(answer.headers["retry-after"]) > 0
