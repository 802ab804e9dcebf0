"""Reading under a grant: exactly what was given, while it is given, told before it is sent."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway import wire
from gateway.door.memory import KEYS_IDLE_MS, KEYS_MAX, REFUSED_MS
from gateway.senmlout import decode
from policies.terms import Selector
from tests.door_world import Someone, Story, World, grant_of, tell_story, temperature, world
from vault.grantkey import grant_of_token
from vault.ids import GrantId
from vault.observation import Observation, Place
from vault.secrets import TOKEN_PREFIX, write_secret
from vault.store.sector import ClockMark, Frozen

DENIED = (401, "urn:hypertouch:problem/invalid-token")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    """A door."""
    with world(tmp_path / "data") as it:
        yield it


@pytest.fixture
def story(made: World) -> Story:
    """A grant whose token was picked up."""
    return tell_story(made)


def values(answer: httpx.Response) -> list[object]:
    """The values of a page."""
    assert answer.status_code == 200, answer.text
    return [reading.value for reading in decode(answer.content)]


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and type of a problem."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["type"]


# --- what comes ------------------------------------------------------------------------------------


def test_a_brand_reads_what_was_given_and_nothing_else(story: Story) -> None:
    story.someone.publish(story.source, Observation("", "humidity", story.world.clock(), 50.0))
    other = story.someone.device("other")
    story.someone.publish(other, temperature(story.world, 0, 99))
    answer = story.brand.read(story.token)
    assert values(answer) == [0.0, 1.0, 2.0]
    assert answer.headers["content-type"] == "application/senml+json"
    assert answer.headers["cache-control"] == "no-store"
    assert {reading.device for reading in decode(answer.content)} == {story.source.text}


def test_pages_follow_arrival_and_the_last_one_links_what_comes_later(story: Story) -> None:
    pages, query = [], "?limit=2"
    for _ in range(3):
        answer = story.brand.read(story.token, query)
        pages.append((values(answer), answer.headers["hypertouch-more"]))
        query = answer.links["next"]["url"]
    assert pages == [([0.0, 1.0], "true"), ([2.0], "false"), ([], "false")]
    story.someone.publish(story.source, temperature(story.world, -700, 7))  # late, and of yesterday
    answer = story.brand.read(story.token, query)
    assert values(answer) == [7.0]
    assert values(story.brand.read(story.token, answer.links["next"]["url"])) == []


def test_a_page_can_be_asked_for_by_kind_and_time(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    source = someone.device()
    now = made.clock()
    someone.publish(
        source,
        Observation("a", "temperature", now - 60_000, 1.0),
        Observation("b", "humidity", now - 60_000, 2.0),
    )
    request = brand.ask(someone.touchpoint(brand), "temperature", "humidity").json()["auth_req_id"]
    selectors = [Selector(source.text, kind, None) for kind in ("temperature", "humidity")]
    someone.approve(grant_of(request), *selectors, days_back=1)
    token = brand.poll(request).json()["access_token"]
    assert values(brand.read(token)) == [1.0, 2.0]
    assert values(brand.read(token, "?kind=humidity")) == [2.0]
    assert values(brand.read(token, "?kind=humidity&kind=temperature&limit=1")) == [1.0]
    assert values(brand.read(token, "?from=2026-11-21T11:59:00Z&until=2026-11-21T11:59:01Z")) == [1.0, 2.0]
    assert values(brand.read(token, "?from=2026-11-21T11:59:01Z")) == []
    assert values(brand.read(token, "?until=2026-11-21T11:59:00Z")) == []


def test_a_place_arrives_whole(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    source = someone.device("phone")
    someone.publish(source, Observation("", "location", made.clock() - 1, Place(52.52, 13.4, 10.0)))
    request = brand.ask(someone.touchpoint(brand), "location").json()["auth_req_id"]
    someone.approve(grant_of(request), Selector(source.text, "location", None), days_back=1)
    token = brand.poll(request).json()["access_token"]
    assert values(brand.read(token)) == [Place(52.52, 13.4, 10.0)]


def test_a_cursor_of_one_grant_opens_nothing_of_another(story: Story) -> None:
    other = story.world.brand("Umbrella")
    request = other.ask(story.someone.touchpoint(other)).json()["auth_req_id"]
    story.someone.approve(grant_of(request), Selector(story.source.text, "temperature", None), days_back=1)
    token = other.poll(request).json()["access_token"]
    link = story.brand.read(story.token, "?limit=1").links["next"]["url"]
    assert problem(other.read(token, link))[0] == 400
    assert values(other.read(token, "?limit=1")) == [0.0]


# --- what does not ----------------------------------------------------------------------------------


def test_unknown_expired_revoked_and_forged_are_one_answer(tmp_path: Path) -> None:
    """Byte for byte, with the same headers; the control is that each was readable before."""
    found: list[httpx.Response] = []
    stays = 60 * 86_400  # seconds: this door sees both ends
    with world(tmp_path / "data", ended_age_s=stays) as made:
        revoked, expired = tell_story(made), tell_story(made)
        for story in (revoked, expired):
            assert values(story.brand.read(story.token)) == [0.0, 1.0, 2.0]
        revoked.someone.revoke(revoked.grant)
        found.append(revoked.brand.read(revoked.token))
        made.clock.now += 30 * 86_400_000
        found.append(expired.brand.read(expired.token))
        never = write_secret(TOKEN_PREFIX, GrantId(bytes(16)), bytes(32))
        forged = write_secret(TOKEN_PREFIX, grant_of_token(expired.token), bytes(32))
        found += [expired.brand.read(token) for token in (never, forged, "htg_", "x")]
        found.append(expired.brand.read(expired.token[:-1] + "x"))
    assert {problem(answer) for answer in found} == {DENIED}
    assert len({answer.content for answer in found}) == 1
    shown = {tuple((k, v) for k, v in answer.headers.items() if k != "date") for answer in found}
    assert len(shown) == 1


def test_access_ends_at_its_millisecond(story: Story) -> None:
    end = story.world.clock() + 30 * 86_400_000
    story.world.clock.now = end - 1
    assert story.brand.read(story.token).status_code == 200
    story.world.clock.now = end
    assert problem(story.brand.read(story.token)) == DENIED


def test_a_kind_that_was_not_given_is_out_of_scope(story: Story) -> None:
    answer = story.brand.read(story.token, "?kind=temperature&kind=humidity")
    assert problem(answer) == (403, "urn:hypertouch:problem/insufficient-scope")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_without_a_token_the_door_asks_for_one(story: Story) -> None:
    answer = story.world.http().get("/observations")
    assert problem(answer)[0] == 401
    assert "error" not in answer.headers["www-authenticate"]


def test_a_token_in_the_address_is_refused_even_when_the_header_has_it(story: Story) -> None:
    answer = story.brand.read(story.token, f"?access_token={story.token}")
    assert problem(answer)[0] == 400
    assert story.token not in answer.text


def test_a_token_sent_twice_is_refused(story: Story) -> None:
    both = [("authorization", f"Bearer {story.token}")] * 2
    assert problem(story.world.http().get("/observations", headers=both))[0] == 400


@pytest.mark.parametrize(
    "headers", [{"x-forwarded-for": "127.0.0.1"}, {"host": "evil.example"}, {"x-real-ip": "::1"}]
)
def test_no_header_changes_who_may_read(story: Story, headers: dict[str, str]) -> None:
    http = story.world.http(headers=headers)
    for token, status in ((story.token, 200), ("htg_x", 401)):
        answer = http.get("/observations", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status
    assert (
        "evil"
        not in http.get("/observations", headers={"authorization": f"Bearer {story.token}"}).headers["link"]
    )


def test_a_grant_has_a_rate(tmp_path: Path) -> None:
    with world(tmp_path / "data", rates={"grant": {"burst": 2, "per_second": 0.5}}) as made:
        story = tell_story(made)
        found = [story.brand.read(story.token) for _ in range(3)]
        assert [answer.status_code for answer in found] == [200, 200, 429]
        made.clock.now += int(found[-1].headers["retry-after"]) * 1000
        assert story.brand.read(story.token).status_code == 200


def test_guessing_tokens_ends_at_the_limit_whatever_address_it_claims(tmp_path: Path) -> None:
    """Random tokens, and right ids with random secrets: none opens, and the limit is the socket's."""
    dice = random.Random(11)
    with world(tmp_path / "data", rates={"failure": {"burst": 40, "per_second": 0.01}}) as made:
        story = tell_story(made)
        real = GrantId.parse(story.grant)
        found = []
        for n in range(1_000):
            grant = real if n % 2 else GrantId(dice.randbytes(16))
            token = write_secret(TOKEN_PREFIX, grant, dice.randbytes(32))
            spoofed = {"x-forwarded-for": f"10.{n % 256}.{n // 256}.1", "authorization": f"Bearer {token}"}
            found.append(story.brand._http.get("/observations", headers=spoofed).status_code)
        assert found == [401] * 40 + [429] * 960


# --- the ledger, and what may change meanwhile ------------------------------------------------------


def test_a_read_is_in_the_ledger_before_its_first_byte_leaves(story: Story) -> None:
    told: list[int] = []
    story.world.before = lambda call: told.append(len(told)) if isinstance(call, wire.Record) else None
    story.brand.read(story.token, "?limit=2")
    (entry,) = story.someone.ledger("read")
    assert told == [0]
    assert (entry.grant, entry.kinds, entry.readings) == (story.grant, ("temperature",), 2)


@pytest.mark.parametrize("kind", [wire.Record, wire.Flush, wire.FirstUse])
def test_what_cannot_be_written_down_is_not_given(story: Story, kind: type[wire.NodeCall]) -> None:
    refused = wire.Refused("unavailable", "the disk is full")
    story.world.before = lambda call: refused if isinstance(call, kind) else None
    answer = story.brand.read(story.token)
    assert problem(answer) == (503, "urn:hypertouch:problem/unavailable")
    assert int(answer.headers["retry-after"]) > 0
    story.world.before = lambda _: None
    assert values(story.brand.read(story.token)) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("kind", [wire.Record, wire.Flush])
def test_a_revocation_while_a_page_is_made_keeps_the_page_in(story: Story, kind: type[wire.NodeCall]) -> None:
    assert values(story.brand.read(story.token)) == [0.0, 1.0, 2.0]  # the control, and the keys are open
    story.world.once(kind, lambda: story.someone.revoke(story.grant))
    assert problem(story.brand.read(story.token)) == DENIED


def test_a_grant_that_ends_while_a_page_is_made_keeps_the_page_in(story: Story) -> None:
    end = story.world.clock() + 30 * 86_400_000
    story.world.clock.now = end - 1

    def later(call: wire.NodeCall) -> None:
        if isinstance(call, wire.Record):
            story.world.clock.now = end

    story.world.before = later
    assert problem(story.brand.read(story.token)) == DENIED


def test_a_clock_in_doubt_rests_every_grant_and_ends_none(story: Story) -> None:
    def freeze(frozen: Frozen) -> None:
        mark = ClockMark(story.world.clock(), 0, frozen)
        story.world.write(lambda writer: writer.live.set_clock(mark))

    for frozen in (Frozen.AHEAD, Frozen.BEHIND):
        freeze(frozen)
        answer = story.brand.read(story.token)
        assert problem(answer) == (503, "urn:hypertouch:problem/clock")
        assert "retry-after" in answer.headers
    freeze(Frozen.NO)
    assert values(story.brand.read(story.token)) == [0.0, 1.0, 2.0]


def test_time_is_never_before_the_mark(story: Story) -> None:
    """A wall clock that a time service put back a little does not lengthen a grant."""
    end = story.world.clock() + 30 * 86_400_000
    story.world.write(lambda writer: writer.live.set_clock(ClockMark(end, 0, Frozen.NO)))
    story.world.clock.now = end - 30_000
    assert problem(story.brand.read(story.token)) == DENIED


def test_refused_reads_of_a_minute_are_one_line_of_the_ledger(tmp_path: Path) -> None:
    with world(tmp_path / "data", ended_age_s=3600) as made:  # this door stays although its grant has ended
        story = tell_story(made)
        story.someone.revoke(story.grant)
        for _ in range(5):
            assert problem(story.brand.read(story.token)) == DENIED
        made.tidy()
        assert story.someone.ledger("refused") == []
        made.clock.now += REFUSED_MS
        made.tidy()
        (entry,) = story.someone.ledger("refused")
        assert (entry.grant, entry.times) == (story.grant, 5)


def test_a_door_that_closes_tells_the_refusals_it_still_holds(tmp_path: Path) -> None:
    with world(tmp_path / "data") as made:
        story = tell_story(made)
        story.brand.read(story.token, "?kind=humidity")
        calls = made.calls
        assert not any(isinstance(call, wire.Record) for call in calls)
    (record,) = [call for call in calls if isinstance(call, wire.Record)]
    assert (record.entry.what, record.entry.note) == ("refused", "insufficient_scope")


# --- what a door keeps in memory --------------------------------------------------------------------


def test_open_keys_are_dropped_after_a_minute(story: Story) -> None:
    story.brand.read(story.token)
    keys = story.world.door.keys
    assert GrantId.parse(story.grant) in keys
    story.world.clock.now += KEYS_IDLE_MS
    story.world.tidy()
    assert len(keys) == 0
    assert story.world.door.retire_at is None


def test_a_grant_that_ended_leaves_no_keys_and_asks_for_a_fresh_door(story: Story) -> None:
    story.brand.read(story.token)
    story.someone.revoke(story.grant)
    story.world.tidy()  # nobody asked again: the door looks by itself
    assert len(story.world.door.keys) == 0
    config = story.world.door.config
    assert story.world.door.retire_at == story.world.clock() + config.ended_age_s * 1000
    assert config.ended_age_s <= 60


def test_only_so_many_grants_keep_their_keys_open(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    source = someone.device()
    for _ in range(KEYS_MAX + 1):
        request = brand.ask(someone.touchpoint(brand)).json()["auth_req_id"]
        someone.approve(grant_of(request), Selector(source.text, "temperature", None))
        assert brand.read(brand.poll(request).json()["access_token"]).status_code == 200
    assert len(made.door.keys) == KEYS_MAX
