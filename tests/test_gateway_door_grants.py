"""A brand's own grants are its own: every endpoint against every wrong principal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from gateway import wire
from gateway.door.app import build
from gateway.door.config import DoorConfig
from tests.door_world import Brand, Someone, Story, World, grant_of, tell_story, world
from vault.ids import GrantId
from vault.secrets import TOKEN_PREFIX, write_secret
from vault.store.reader import Reader

NOWHERE = GrantId(bytes(16)).text


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    """A door."""
    with world(tmp_path / "data") as it:
        yield it


@pytest.fixture
def story(made: World) -> Story:
    """A grant whose token was picked up."""
    return tell_story(made)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Story, Story]]:
    """Two people, two brands, two grants."""
    with world(tmp_path_factory.mktemp("two") / "data") as it:
        yield tell_story(it), tell_story(it)


def show(brand: Brand, grant: str) -> httpx.Response:
    """GET /grants/{id}"""
    return brand.world.http(auth=(brand.client_id, brand.secret)).get(f"/grants/{grant}")


def give_back(brand: Brand, grant: str) -> httpx.Response:
    """DELETE /grants/{id}"""
    return brand.world.http(auth=(brand.client_id, brand.secret)).delete(f"/grants/{grant}")


# --- one's own ---------------------------------------------------------------------------------------


def test_a_token_in_force_is_active(story: Story) -> None:
    answer = story.brand.post("/introspect", {"token": story.token, "token_type_hint": "access_token"}).json()
    assert answer["active"] is True
    assert (answer["client_id"], answer["grant_id"]) == (story.brand.client_id, story.grant)
    assert answer["exp"] == story.world.clock() // 1000 + 30 * 86_400
    assert answer["authorization_details"][0]["datatypes"] == ["temperature"]
    assert story.brand.poll(story.auth_req_id).status_code == 200  # introspecting is not using


def test_a_brand_gives_its_token_back(story: Story) -> None:
    answer = story.brand.post("/revoke", {"token": story.token})
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert story.brand.read(story.token).status_code == 401
    assert story.brand.post("/introspect", {"token": story.token}).json() == {"active": False}
    assert story.brand.post("/revoke", {"token": story.token}).status_code == 200  # RFC 7009: done is done
    (entry,) = story.someone.ledger("ended")
    assert (entry.grant, entry.note) == (story.grant, "returned")


def test_a_grant_that_cannot_be_ended_now_is_not_said_to_be(story: Story) -> None:
    story.world.before = lambda call: (
        wire.Refused("unavailable", "the disk is full") if isinstance(call, wire.ReturnGrant) else None
    )
    assert story.brand.post("/revoke", {"token": story.token}).status_code == 503
    assert give_back(story.brand, story.grant).status_code == 503
    assert story.brand.read(story.token).status_code == 200


def test_a_grant_tells_its_life(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    touchpoint = someone.touchpoint(brand)
    denied = grant_of(brand.ask(touchpoint).json()["auth_req_id"])
    assert show(brand, denied).json()["status"] == "pending"
    someone.tell(wire.Deny(GrantId.parse(denied), "no"))
    assert show(brand, denied).json() == {
        "grant_id": denied,
        "status": "denied",
        "asked_at": "2026-11-21T12:00:00Z",
    }
    story = tell_story(made)
    active = show(story.brand, story.grant).json()
    assert (active["status"], active["authorization_details"][0]["datatypes"]) == ("active", ["temperature"])
    story.someone.revoke(story.grant)
    ended = show(story.brand, story.grant).json()
    assert (ended["status"], ended["why"]) == ("ended", "revoked")


def test_a_brand_takes_a_request_or_a_grant_back(made: World) -> None:
    someone, brand = Someone(made), made.brand()
    request = brand.ask(someone.touchpoint(brand)).json()["auth_req_id"]
    assert give_back(brand, grant_of(request)).status_code == 204
    assert brand.poll(request).json()["error"] == "access_denied"
    story = tell_story(made)
    answer = give_back(story.brand, story.grant)
    assert (answer.status_code, answer.content) == (204, b"")
    assert story.brand.read(story.token).status_code == 401
    assert give_back(story.brand, story.grant).status_code == 409


# --- somebody else's -----------------------------------------------------------------------------------


def test_another_brands_token_is_no_token(two: tuple[Story, Story]) -> None:
    mine, theirs = two
    never = write_secret(TOKEN_PREFIX, GrantId(bytes(16)), bytes(32))
    forged = write_secret(TOKEN_PREFIX, GrantId.parse(mine.grant), bytes(32))
    for token in (theirs.token, never, forged, "x", mine.auth_req_id):
        assert mine.brand.post("/introspect", {"token": token}).content == b'{"active":false}'
        assert mine.brand.post("/revoke", {"token": token}).content == b"{}"
    for story in two:
        assert story.brand.post("/introspect", {"token": story.token}).json()["active"] is True


def test_another_brands_grant_is_no_grant(two: tuple[Story, Story]) -> None:
    mine, theirs = two
    for act in (show, give_back):
        answers = [act(mine.brand, grant) for grant in (theirs.grant, NOWHERE, "x", theirs.grant.upper())]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1
    assert show(theirs.brand, theirs.grant).status_code == 200


def test_a_token_reads_its_own_vault_and_no_other(two: tuple[Story, Story]) -> None:
    """Every grant against every token: the id inside the token decides, and only with its own secret."""
    ids = [GrantId.parse(story.grant) for story in two]
    secrets = [read_secret(story.token) for story in two]
    for n, grant in enumerate(ids):
        for m, secret in enumerate(secrets):
            answer = two[0].brand.read(write_secret(TOKEN_PREFIX, grant, secret))
            assert answer.status_code == (200 if n == m else 401)


def read_secret(token: str) -> bytes:
    """The secret half of a token."""
    from vault import secrets

    return secrets.read_secret(TOKEN_PREFIX, token)[1]


# --- every endpoint against every wrong principal ---------------------------------------------------------

Try = Callable[[httpx.Client, Story, Story], httpx.Response]
PUBLIC = {
    "GET /healthz",
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/openid-configuration",
    "GET /.well-known/oauth-protected-resource",
}
# Unsigned by nature: what each of them needs instead is tested with the node and in test_gateway_door_owner.
BEFORE_A_CLIENT = {"POST /owner/salts", "POST /owner/login", "POST /owner/create", "POST /owner/enrol"}
TRIES: dict[str, Try] = {
    "POST /bc-authorize": lambda http, _, theirs: http.post(
        "/bc-authorize", data={"login_hint": theirs.touchpoint}
    ),
    "POST /token": lambda http, _, theirs: http.post(
        "/token",
        data={"grant_type": "urn:openid:params:grant-type:ciba", "auth_req_id": theirs.auth_req_id},
    ),
    "POST /introspect": lambda http, _, theirs: http.post("/introspect", data={"token": theirs.token}),
    "POST /revoke": lambda http, _, theirs: http.post("/revoke", data={"token": theirs.token}),
    "GET /grants/{grant_id:str}": lambda http, _, theirs: http.get(f"/grants/{theirs.grant}"),
    "DELETE /grants/{grant_id:str}": lambda http, _, theirs: http.delete(f"/grants/{theirs.grant}"),
    "GET /observations": lambda http, *_: http.get("/observations"),
    "POST /answers": lambda http, *_: http.post(
        "/answers", json={"kind": "temperature", "function": "mean", "period": "day"}
    ),
    "POST /owner/call": lambda http, mine, theirs: http.post(
        "/owner/call",
        content=wire.encode(foreign_call(mine, theirs)),
        headers={"content-type": "application/msgpack"},
    ),
}
Auth = tuple[str, str] | None
WRONG: dict[str, Callable[[Story], dict[str, str] | Auth]] = {
    "nobody": lambda _: None,
    "a wrong secret": lambda mine: (mine.brand.client_id, "hts_wrong"),
    "a brand's token in place of its secret": lambda mine: {"authorization": f"Bearer {mine.auth_req_id}"},
    "an unknown brand": lambda mine: (NOWHERE, mine.brand.secret),
    "another brand": lambda mine: (mine.brand.client_id, mine.brand.secret),
}


def foreign_call(mine: Story, theirs: Story) -> wire.Envelope:
    """A call about somebody else's vault, signed with one's own key."""
    envelope = wire.Envelope(
        vault=theirs.someone.vault,
        client=mine.someone.identity.client,
        created=mine.world.clock(),
        nonce=bytes(16),
        seen=mine.someone.pins.head,
        body=wire.encode(wire.GetGrants()),
    )
    return envelope.signed(mine.someone.identity.key)


def routes(app: Litestar) -> set[str]:
    """Every method and path there is, of the application itself."""
    return {
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods - {"OPTIONS"}
    }


def test_every_route_has_a_case(two: tuple[Story, Story]) -> None:
    world = two[0].world
    app = build(DoorConfig(data=""), Reader(world.data), world)
    assert routes(app) == {*PUBLIC, *BEFORE_A_CLIENT, *TRIES}


@pytest.mark.parametrize("route", TRIES)
@pytest.mark.parametrize("who", WRONG)
def test_the_wrong_principal_gets_nothing(two: tuple[Story, Story], route: str, who: str) -> None:
    mine, theirs = two
    given = WRONG[who](mine)
    options = {"headers": given} if isinstance(given, dict) else {"auth": given}
    answer = TRIES[route](mine.world.http(**options), mine, theirs)
    if route == "POST /owner/call":
        assert b"Refused" in answer.content
        assert b"not_authorised" in answer.content
    elif route in ("POST /introspect", "POST /revoke") and answer.status_code == 200:
        assert answer.content in (b'{"active":false}', b"{}")
    else:
        assert 400 <= answer.status_code < 500
    for secret in (theirs.token, theirs.source.text, theirs.grant):
        assert secret not in answer.text
    assert theirs.brand.post("/introspect", {"token": theirs.token}).json()["active"] is True
