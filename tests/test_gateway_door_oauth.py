"""A brand asks and collects: each answer of the OAuth endpoints, over HTTP, on a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import wire
from gateway.door.metadata import GRANT_TYPE
from policies.terms import Selector
from tests.door_world import Json, Someone, Story, World, grant_of, tell_story, world
from vault.ids import GrantId, TouchpointId
from vault.store.sector import ClockMark, Frozen

DAY_MS = 86_400_000


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    """A door."""
    with world(tmp_path / "data") as it:
        yield it


@pytest.fixture
def story(made: World) -> Story:
    """A grant that was picked up and not used."""
    return tell_story(made)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A story for tests that change nothing."""
    with world(tmp_path_factory.mktemp("shared") / "data") as it:
        yield tell_story(it)


def error_of(answer: object) -> tuple[int, str]:
    """Status and OAuth error."""
    import httpx

    assert isinstance(answer, httpx.Response)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}
    return answer.status_code, answer.json()["error"]


# --- what a program finds out by itself -----------------------------------------------------------


def test_the_metadata_lead_to_endpoints_that_exist(shared: Story) -> None:
    http = shared.world.http()
    found = http.get("/.well-known/oauth-authorization-server").json()
    assert found == http.get("/.well-known/openid-configuration").json()
    assert found["issuer"] == shared.world.url
    assert found["backchannel_token_delivery_modes_supported"] == ["poll"]
    assert found["authorization_details_types_supported"] == ["personal_data"]
    endpoints = [
        value for name, value in found.items() if name.endswith("_endpoint") and "grant_" not in name
    ]
    assert len(endpoints) == 4
    for endpoint in endpoints:
        assert http.post(endpoint).status_code == 401  # it is there, and wants to know who asks
    resource = http.get("/.well-known/oauth-protected-resource").json()
    assert resource["resolutions_supported"] == ["raw", "hour", "day", "h3-7", "h3-5"]
    assert resource["modes_supported"] == ["answer", "once", "read"]
    assert "temperature" in resource["datatypes_supported"]


def test_what_is_advertised_can_be_asked_for(shared: Story) -> None:
    kinds = shared.world.http().get("/.well-known/oauth-protected-resource").json()["datatypes_supported"]
    unknown = shared.brand.ask(TouchpointId(bytes(16)).text, *kinds[:64])
    assert error_of(unknown) == (400, "unknown_user_id")  # the details were in order


# --- asking ---------------------------------------------------------------------------------------


def test_a_request_reaches_the_person_as_it_was_asked(made: World) -> None:
    someone, brand = Someone(made), made.brand("Acme")
    answer = brand.ask(someone.touchpoint(brand), "energy", binding_message="Contract 12-34", acr_values="x")
    assert answer.status_code == 200
    assert answer.json().keys() == {"auth_req_id", "expires_in", "interval"}
    assert (answer.json()["expires_in"], answer.json()["interval"]) == (7 * 86_400, 10)
    with someone.session() as session:
        (row,) = session.ask(wire.GetGrants(), wire.Grants).grants
    assert (row.brand_name, row.binding_message) == ("Acme", "Contract 12-34")
    assert json.loads(row.ask)[0]["datatypes"] == ["energy"]
    assert GrantId(row.grant).text == grant_of(answer.json()["auth_req_id"])


def test_nothing_that_leads_to_nobody_can_be_told_apart(made: World) -> None:
    """Unknown, ended, another brand's touchpoint, and one that is none: the same bytes."""
    someone, brand, other = Someone(made), made.brand("Acme"), made.brand("Umbrella")
    ended = someone.touchpoint(brand)
    someone.tell(wire.RevokeTouchpoint(TouchpointId.parse(ended)))
    hints = [TouchpointId(bytes(16)).text, ended, someone.touchpoint(other), "nobody", "A" * 26]
    answers = [brand.ask(hint) for hint in hints]
    assert {error_of(answer) for answer in answers} == {(400, "unknown_user_id")}
    assert len({answer.content for answer in answers}) == 1
    # An address of the right form costs the same work whether it exists or not: the node is asked each time.
    assert sum(isinstance(call, wire.AskGrant) for call in made.calls) == 3


def test_a_brand_that_ended_is_a_stranger(made: World) -> None:
    brand = made.brand()
    touchpoint = Someone(made).touchpoint(brand)
    made.write(lambda writer: writer.registry.end_brand(brand.raw, 1))
    assert error_of(brand.ask(touchpoint)) == (401, "invalid_client")


def test_one_request_waits_at_a_touchpoint(made: World) -> None:
    brand = made.brand()
    touchpoint = Someone(made).touchpoint(brand)
    assert brand.ask(touchpoint).status_code == 200
    assert error_of(brand.ask(touchpoint)) == (400, "invalid_request")


WISHES: dict[str, Json] = {
    "a resolution that is not built": {"resolution": "minute"},
    "a resolution of other kinds": {"resolution": "h3-7"},
    "a mode that is not built": {"mode": "stream"},
    "a minimum that is more than its ideal": {"history": {"ideal": "P1D", "minimum": "P2D"}},
}
FORMS: dict[str, tuple[Json, str]] = {
    "no hint": ({"login_hint": ""}, "invalid_request"),
    "two hints": ({"id_token_hint": "x"}, "invalid_request"),
    "another hint": ({"login_hint": "", "login_hint_token": "x"}, "invalid_request"),
    "a signed request": ({"request": "ey"}, "invalid_request"),
    "expiry of nothing": ({"requested_expiry": "0"}, "invalid_request"),
    "expiry of over 30 days": ({"requested_expiry": "2592001"}, "invalid_request"),
    "expiry in words": ({"requested_expiry": "7d"}, "invalid_request"),
    "a message that is too long": ({"binding_message": "x" * 101}, "invalid_binding_message"),
    "a message that colours a terminal": ({"binding_message": "\x1b[31mhi"}, "invalid_binding_message"),
    "a message that turns round": ({"binding_message": "a\u202eb"}, "invalid_binding_message"),
    "no details": ({"authorization_details": ""}, "invalid_request"),
    "details that are no list": ({"authorization_details": "{}"}, "invalid_authorization_details"),
    "a member twice": (
        {"authorization_details": '[{"type":"personal_data","type":"personal_data"}]'},
        "invalid_authorization_details",
    ),
    "ten thousand datatypes": (
        {"authorization_details": json.dumps([{"type": "personal_data", "datatypes": ["energy"] * 4_000}])},
        "invalid_authorization_details",
    ),
}


@pytest.mark.parametrize(("form", "error"), FORMS.values(), ids=FORMS.keys())
def test_a_request_that_cannot_be_put_to_a_person_is_refused(shared: Story, form: Json, error: str) -> None:
    assert error_of(shared.brand.ask(shared.touchpoint, **form)) == (400, error)


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
def test_a_wish_that_cannot_be_granted_is_refused(shared: Story, wish: Json) -> None:
    answer = shared.brand.ask(shared.touchpoint, "energy", wishes=wish)
    assert error_of(answer) == (400, "invalid_authorization_details")


def test_what_ciba_lets_a_client_send_besides_is_accepted(made: World) -> None:
    brand = made.brand()
    touchpoint = Someone(made).touchpoint(brand)
    more: Json = {
        "acr_values": "a b",
        "user_code": "1234",
        "client_notification_token": "x",
        "requested_expiry": "60",
    }
    answer = brand.ask(touchpoint, **more)
    assert answer.json()["expires_in"] == 60


# --- who asks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/bc-authorize", "/token", "/introspect", "/revoke"])
def test_only_a_client_with_its_secret_is_heard(shared: Story, path: str) -> None:
    brand = shared.brand
    wrong = [(brand.client_id, "hts_x"), (brand.client_id, ""), ("nobody", brand.secret), ("", "")]
    for auth in wrong:
        answer = brand.post(path, {"token": shared.token}, auth=auth)
        assert error_of(answer) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic ")
    posted = {"client_id": brand.client_id, "client_secret": brand.secret}
    by_form = brand.post(path, posted, auth=None)
    assert error_of(by_form) != (401, "invalid_client") if by_form.content != b"{}" else True


@pytest.mark.parametrize("path", ["/bc-authorize", "/token", "/introspect", "/revoke"])
def test_nothing_is_taken_from_the_address(shared: Story, path: str) -> None:
    answer = shared.brand.post(f"{path}?token={shared.token}", {})
    assert error_of(answer) == (400, "invalid_request")
    assert shared.token not in answer.text


def test_a_body_that_is_too_large_is_not_read(shared: Story) -> None:
    answer = shared.brand.post("/bc-authorize", {"login_hint": "x" * 70_000})
    assert error_of(answer) == (413, "invalid_request")
    assert answer.headers["connection"] == "close"


def test_an_address_that_guesses_secrets_has_to_wait(tmp_path: Path) -> None:
    """A thousand addresses in X-Forwarded-For are one address, and the right secret has to wait, too."""
    with world(tmp_path / "data", rates={"failure": {"burst": 5, "per_second": 0.1}}) as made:
        brand = made.brand()
        found = [
            brand.post(
                "/token",
                {},
                auth=(brand.client_id, f"hts_{n}"),
                headers={"x-forwarded-for": f"10.0.{n // 250}.{n % 250}"},
            ).status_code
            for n in range(8)
        ]
        assert found == [401] * 5 + [429] * 3
        waiting = brand.post("/token", {})
        assert error_of(waiting) == (429, "temporarily_unavailable")
        made.clock.now += int(waiting.headers["retry-after"]) * 1000
        assert error_of(brand.post("/token", {})) == (400, "invalid_request")


def test_a_client_has_a_rate(tmp_path: Path) -> None:
    with world(tmp_path / "data", rates={"client": {"burst": 3, "per_second": 1}}) as made:
        brand, other = made.brand("Acme"), made.brand("Umbrella")
        assert [brand.post("/token", {}).status_code for _ in range(4)] == [400, 400, 400, 429]
        assert other.post("/token", {}).status_code == 400


# --- polling --------------------------------------------------------------------------------------


def test_a_poll_is_answered_once_an_interval(made: World) -> None:
    brand = made.brand()
    request = brand.ask(Someone(made).touchpoint(brand)).json()["auth_req_id"]
    found = []
    for gap in (0, 5_000, 5_000, 10_000, 0):
        made.clock.now += gap
        found.append(error_of(brand.poll(request))[1])
    pending, slow = "authorization_pending", "slow_down"
    assert found == [pending, slow, pending, pending, slow]


def test_an_approval_that_is_under_way_is_still_pending(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    source = someone.device()
    request = brand.ask(someone.touchpoint(brand)).json()["auth_req_id"]
    seen: list[str] = []

    def while_preparing(call: wire.NodeCall) -> None:
        if isinstance(call, wire.Carried) and b"CommitGrant" in call.envelope.body:
            seen.append(brand.poll(request).json()["error"])

    made.before = while_preparing
    someone.approve(grant_of(request), Selector(source.text, "temperature", None))
    assert seen == ["authorization_pending"]


def test_the_token_says_what_was_given(story: Story) -> None:
    answer = story.brand.poll(story.auth_req_id).json()
    assert answer["token_type"] == "Bearer"
    assert answer["grant_id"] == story.grant
    assert answer["expires_in"] == 30 * 86_400
    (detail,) = answer["authorization_details"]
    assert detail["datatypes"] == ["temperature"]
    assert detail["access_until"] == detail["data_until"] == "2026-12-21T12:00:00Z"
    assert story.source.text not in json.dumps(answer)  # a person's devices are not the brand's business


def test_the_same_token_again_until_it_is_used(story: Story) -> None:
    assert [story.brand.poll(story.auth_req_id).json()["access_token"] for _ in range(3)] == [story.token] * 3
    assert story.brand.read(story.token).status_code == 200
    assert error_of(story.brand.poll(story.auth_req_id)) == (400, "invalid_grant")
    assert story.brand.read(story.token).status_code == 200
    assert sum(isinstance(call, wire.PickedUp) for call in story.world.calls) == 1
    assert sum(isinstance(call, wire.FirstUse) for call in story.world.calls) == 1


def test_a_quarter_of_an_hour_after_the_first_pick_up_there_is_no_other(story: Story) -> None:
    story.world.clock.now += 15 * 60_000
    assert story.brand.poll(story.auth_req_id).json()["access_token"] == story.token
    story.world.clock.now += 1
    assert error_of(story.brand.poll(story.auth_req_id)) == (400, "invalid_grant")


def test_a_request_belongs_to_whoever_made_it(story: Story) -> None:
    other = story.world.brand("Umbrella")
    assert error_of(other.poll(story.auth_req_id)) == (400, "invalid_grant")
    assert other.poll(story.auth_req_id).content == other.poll("htr_" + "a" * 84).content


def test_the_id_of_a_request_is_not_enough_to_poll_it(made: World) -> None:
    """The secret half matters, also for the client whose request it is, before anything is told."""
    from vault.grantkey import grant_of_pickup
    from vault.secrets import PICKUP_PREFIX, write_secret

    brand = made.brand()
    request = brand.ask(Someone(made).touchpoint(brand)).json()["auth_req_id"]
    forged = write_secret(PICKUP_PREFIX, grant_of_pickup(request), bytes(32))
    assert error_of(brand.poll(forged)) == (400, "invalid_grant")
    assert error_of(brand.poll(request)) == (400, "authorization_pending")


def test_a_no_is_told_as_a_no(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    request = brand.ask(someone.touchpoint(brand)).json()["auth_req_id"]
    someone.tell(wire.Deny(GrantId.parse(grant_of(request)), "not you again"))
    answer = brand.poll(request)
    assert error_of(answer) == (400, "access_denied")
    assert "not you again" not in answer.text  # what a person notes for themselves


def test_a_request_lapses_to_the_millisecond(made: World) -> None:
    brand = made.brand()
    request = brand.ask(Someone(made).touchpoint(brand), requested_expiry="60").json()["auth_req_id"]
    made.clock.now += 59_999
    assert error_of(brand.poll(request)) == (400, "authorization_pending")
    made.clock.now += 1
    assert error_of(brand.poll(request)) == (400, "expired_token")


def test_a_grant_that_was_ended_before_it_was_picked_up_gives_no_token(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    source = someone.device()
    request = brand.ask(someone.touchpoint(brand)).json()["auth_req_id"]
    someone.approve(grant_of(request), Selector(source.text, "temperature", None))
    someone.revoke(grant_of(request))
    assert error_of(brand.poll(request)) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": GRANT_TYPE}, "invalid_request"),
        ({"grant_type": GRANT_TYPE, "auth_req_id": "x"}, "invalid_grant"),
    ],
)
def test_a_poll_that_is_none_is_refused(shared: Story, form: Json, error: str) -> None:
    assert error_of(shared.brand.post("/token", form)) == (400, error)


def test_while_the_clock_is_in_doubt_no_token_is_handed_out(story: Story) -> None:
    frozen = ClockMark(story.world.clock(), 0, Frozen.AHEAD)
    story.world.write(lambda writer: writer.live.set_clock(frozen))
    answer = story.brand.poll(story.auth_req_id)
    assert error_of(answer) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
