"""The brand's SDK against a real server: ask, wait, read what was given, and learn that it ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest

from gateway.client.brand import Brand, BrandError, Granted, Waiting
from gateway.client.errors import AddressError, AnswerError, UnreachableError
from tests.running import Running, publish
from tests.test_gateway_client_http import answering

DETAIL = {
    "type": "personal_data",
    "actions": ["read"],
    "datatypes": ["energy", "location"],
    "purpose": "dpv:ServiceProvision",
    "purpose_text": "bill by what you use",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running server with a vault."""
    with Running(tmp_path_factory.mktemp("sdk"), "--poll-interval", "1") as running:
        running.make_vault()
        yield running


@pytest.fixture(scope="module")
def acme(server: Running) -> Iterator[Brand]:
    """A registered brand."""
    made = server.json("brand", "add", "Acme", "--site", "https://acme.example")
    with Brand(server.http, made["client_id"], made["client_secret"]) as brand:
        yield brand


def test_the_story_from_the_brands_side(server: Running, acme: Brand) -> None:
    meter = server.json("device", "add", "meter")
    at = round(time.time()) - 60
    publish(meter, [("meter", json.dumps({"energy": n, "time": at + n}).encode()) for n in range(30)])
    place = {"_type": "location", "lat": 52.52, "lon": 13.405, "acc": 12, "tst": at}
    publish(meter, [("owntracks/a/phone", json.dumps(place).encode())])

    asked = acme.ask(server.json("touchpoint", "new", "Acme")["touchpoint"], [DETAIL], message="hello")
    assert asked.expires_in > 6 * 86_400
    assert acme.poll(asked) == Waiting(asked.interval)
    assert acme.wait(asked, 0) is None
    (request,) = server.json("request", "list", "--wait", "30s")

    def approve() -> None:
        server.json("request", "approve", request["request"], "--history", "7d", "--for", "5d", "--yes")

    person = threading.Thread(target=approve)
    person.start()
    granted = acme.wait(asked, 60)
    person.join()
    assert isinstance(granted, Granted)
    assert granted.grant_id == request["request"]
    assert granted.authorization_details[0]["datatypes"] == ["energy", "location"]

    token = granted.access_token
    readings = list(acme.readings(token))
    assert [one.value for one in readings if one.kind == "energy"] == [float(n) for n in range(30)]
    (found,) = [one for one in readings if one.kind == "location"]
    assert found.value is not None
    assert (found.channel, found.time) == ("a/phone", at * 1000)
    first = acme.page(token, kind="energy", limit=10)
    assert (len(first.readings), first.more) == (10, True)
    assert [one.value for one in acme.follow(token, first.next).readings][:1] == [10.0]

    counted = acme.answers(token, "energy", "count")
    assert counted.budget.limit is None
    assert sum(one.readings or 0 for one in counted.answers) in range(26, 31)  # midnight may part them
    assert acme.answers(token, "energy", "max", since="2020-01-01T00:00:00Z").answers != []
    assert acme.answers(token, "energy", "above", threshold=1e6, until="2020-01-01T00:00:00Z").answers == []
    assert [one.unit for one in acme.answers(token, "location", "dwell", cells=["871f1d489ffffff"]).answers][
        -1
    ] == "s"
    with pytest.raises(BrandError) as refused:
        acme.answers(token, "energy", "dwell")
    assert refused.value.code == "bad-request"
    assert (first.incomplete, first.uses_left) == ((), None)

    assert acme.introspect(token)["active"] is True
    assert acme.grant(granted.grant_id)["authorization_details"] == granted.authorization_details
    acme.end(granted.grant_id)
    assert acme.introspect(token) == {"active": False}
    with pytest.raises(BrandError) as raised:
        acme.page(token)
    assert raised.value.status == 401
    assert server.json("grant", "list")[0]["status"] == "returned"


def test_a_no_has_its_name(server: Running, acme: Brand) -> None:
    touchpoint = server.json("touchpoint", "new", "Acme")["touchpoint"]
    with pytest.raises(BrandError) as raised:
        acme.ask("a" * 26, [DETAIL])
    assert raised.value.status == 400
    with pytest.raises(BrandError) as raised:
        acme.ask(touchpoint, [DETAIL | {"datatypes": ["gravity"]}])
    assert raised.value.code == "invalid_authorization_details"
    asked = acme.ask(touchpoint, [DETAIL])
    (request,) = server.json("request", "list", "--wait", "30s")
    server.json("request", "deny", request["request"], "--yes")
    with pytest.raises(BrandError) as raised:
        acme.wait(asked, 10)
    assert raised.value.code == "access_denied"
    with Brand(server.http, "a" * 26, "wrong") as stranger, pytest.raises(BrandError) as raised:
        stranger.ask(touchpoint, [DETAIL])
    assert raised.value.code == "invalid_client"


def test_a_token_can_be_revoked_by_its_brand(server: Running, acme: Brand) -> None:
    asked = acme.ask(server.json("touchpoint", "new", "Acme")["touchpoint"], [DETAIL])
    (request,) = server.json("request", "list", "--wait", "30s")
    server.json("request", "approve", request["request"], "--yes")
    granted = acme.wait(asked, 30)
    assert granted is not None
    acme.revoke(granted.access_token)
    assert acme.introspect(granted.access_token) == {"active": False}


def test_what_answers_and_is_no_door_is_told() -> None:
    with pytest.raises(AddressError):
        Brand("http://vault.example", "a", "b")
    with Brand("http://127.0.0.1:1", "a", "b") as nobody, pytest.raises(UnreachableError):
        nobody.introspect("x")
    with answering(b"<html>", kind="text/html") as url, Brand(url, "a", "b") as web:
        with pytest.raises(AnswerError):
            web.introspect("x")
        with pytest.raises(AnswerError):
            web.ask("x", [DETAIL])
    with (
        answering(b"<html>", 500, "text/html") as url,
        Brand(url, "a", "b") as broken,
        pytest.raises(BrandError, match="http 500"),
    ):
        broken.introspect("x")
