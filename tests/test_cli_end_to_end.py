"""The story from end to end, with real processes: a device publishes, a brand asks, the person decides."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Acme, Running, bytes_below, publish

DAY_S = 86_400
ASK = {
    "type": "personal_data",
    "actions": ["read"],
    "datatypes": ["temperature", "humidity"],
    "purpose": "dpv:ServiceProvision",
    "purpose_text": "Heat when it is cold",
    "retention": "P90D",
    "benefit": "10 % off",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A running server, ended after the test."""
    with Running(tmp_path, "--poll-interval", "1") as running:
        yield running


def climate(at: float, temperature: float, humidity: float) -> tuple[str, bytes]:
    """What a thermostat publishes."""
    body = {"time": round(at), "temperature": temperature, "humidity": humidity}
    return "home/thermostat", json.dumps(body).encode()


def test_the_scriptable_sequence_tells_the_whole_story(server: Running) -> None:
    """The contract of the command line, step by step, with what each step answers."""
    server.make_vault()
    thermostat = server.json("device", "add", "thermostat")
    assert {"device", "host", "port", "username", "password"} <= thermostat.keys()
    brand = server.json("brand", "add", "Acme", "--site", "https://acme.example")
    assert {"brand", "client_id", "client_secret"} <= brand.keys()
    touchpoint = server.json("touchpoint", "new", "Acme")["touchpoint"]
    now = time.time()
    publish(thermostat, [climate(now - day * DAY_S, 20 + day / 10, 41.625) for day in (3, 2, 1)])

    acme = Acme(server.http, brand["client_id"], brand["client_secret"])
    asked = acme.ask(touchpoint, ASK)
    assert acme.poll(asked).json()["error"] == "authorization_pending"
    assert b"home/thermostat" not in bytes_below(server.data)  # until a grant names it
    [request] = server.json("request", "list", "--wait", "30s")
    approved = server.json(
        "request", "approve", request["request"],
        "--kinds", "temperature", "--for", "30d", "--history", "all", "--yes",
    )  # fmt: skip
    assert {"request", "grant"} <= approved.keys()

    granted = acme.token(asked)
    token = granted["access_token"]
    assert [detail["datatypes"] for detail in granted["authorization_details"]] == [["temperature"]]
    records, later = acme.read(token)
    assert [record["v"] for record in records] == [20.3, 20.2, 20.1]
    assert acme.get("/observations", token, kind="humidity").status_code == 403
    publish(thermostat, [climate(time.time(), 23.875, 44.125)])
    records, later = acme.read(token, later)
    assert [record["v"] for record in records] == [23.875]

    [grant] = server.json("grant", "list")
    assert grant["grant"] == approved["grant"]
    shown = server.json("data", "show", "temperature", "--since", "24h")
    assert 23.875 in [reading["value"] for series in shown["series"] for reading in series["readings"]]
    lines = server.run("data", "export", "--format", "jsonl").stdout.splitlines()
    assert len(lines) == 8
    assert {"time", "device", "channel", "kind", "value", "unit"} <= json.loads(lines[0]).keys()

    revoked = server.run("grant", "revoke", grant["grant"], "--yes")
    assert "Acme can read nothing more." in revoked.stdout + revoked.stderr
    assert acme.get(later, token).status_code == 401
    assert [entry["what"] for entry in server.json("ledger", "log")].count("read") >= 2
    assert server.json("ledger", "verify")["ok"] is True

    again = acme.ask(touchpoint, ASK)
    [request] = server.json("request", "list", "--wait", "30s")
    server.json("request", "deny", request["request"], "--reason", "not now", "--yes")
    assert acme.poll(again).json()["error"] == "access_denied"

    stored = bytes_below(server.data)
    for canary in (b"23.875", b"44.125", token.encode(), thermostat["password"].encode()):
        assert canary not in stored


def test_what_was_acknowledged_survives_a_kill(server: Running) -> None:
    """Everything dies at once, and every acknowledged reading is there afterwards, once."""
    server.make_vault()
    meter = server.json("device", "add", "meter")
    for round_ in range(3):
        body = [("meter", b'{"energy":%d.5}' % (100 * round_ + i)) for i in range(50)]
        publish(meter, body)
        server.restart(signal.SIGKILL)
    shown = server.json("data", "show", "energy", "--since", "24h")
    values = sorted(reading["value"] for series in shown["series"] for reading in series["readings"])
    assert values == [100 * round_ + i + 0.5 for round_ in range(3) for i in range(50)]


def test_a_second_node_on_one_directory_refuses_and_leaves_the_first_alone(server: Running) -> None:
    """Exit status 7, and the first goes on."""
    second = server.run("up", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ws", "off", "--json")
    assert second.returncode == 7
    assert server.process.poll() is None


def test_a_termination_under_load_loses_nothing(server: Running) -> None:
    """SIGTERM drains: exit status 0, and what was acknowledged is stored."""
    server.make_vault()
    meter = server.json("device", "add", "meter")
    publish(meter, [("meter", b'{"energy":%d.25}' % i) for i in range(200)])
    assert server.stop() == 0
    server.start(server.http.removeprefix("http://"))
    shown = server.json("data", "show", "energy", "--since", "24h")
    assert sum(series["count"] for series in shown["series"]) == 200
