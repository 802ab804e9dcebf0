"""``brand``, ``invite``, ``backup`` and ``status``: what a person does where the server runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Running
from vault.ids import BrandId


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running server with a vault."""
    with Running(tmp_path_factory.mktemp("brand")) as running:
        running.make_vault()
        yield running


def test_add_registers_a_brand_and_shows_its_secret_once(server: Running) -> None:
    made = server.json("brand", "add", "Acme", "--site", "https://acme.example")
    assert {"brand", "client_id", "client_secret"} <= made.keys()
    assert made["brand"] == made["client_id"] == BrandId.parse(made["brand"]).text
    (row,) = [row for row in server.json("brand", "list") if row["brand"] == made["brand"]]
    assert (row["name"], row["site"], row["status"]) == ("Acme", "https://acme.example", "live")
    assert made["client_secret"] not in server.run("brand", "list").stdout
    text = server.run("brand", "add", "Second", "--site", "https://second.example")
    assert "client_secret" in text.stdout
    assert "It can ask nobody yet" in text.stderr


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("", "https://acme.example"),
        ("Ac\x1bme", "https://acme.example"),
        ("x" * 101, "https://acme.example"),
        ("Acme", "acme.example"),
        ("Acme", "http://acme.example"),
        ("Acme", "https://"),
        ("Acme", "https://me@acme.example"),
        ("Acme", "https://[acme"),
        ("Acme", "https://аcme.example"),  # a Cyrillic letter
    ],
)
def test_a_brand_that_could_be_mistaken_is_refused(server: Running, name: str, site: str) -> None:
    assert server.run("brand", "add", name, "--site", site).returncode == 2


def test_remove_ends_a_brand(server: Running) -> None:
    made = server.json("brand", "add", "Leaving", "--site", "https://leaving.example")
    assert server.run("brand", "remove", "Leaving").returncode == 2  # nobody to ask
    assert server.json("brand", "remove", "leaving", "--yes")["brand"] == made["brand"]
    assert server.run("brand", "remove", "Leaving", "--yes").returncode == 5
    assert server.run("touchpoint", "new", "Leaving").returncode == 5


def test_an_invitation_is_made_for_a_while(server: Running) -> None:
    made = server.json("invite", "new", "--for", "2d")
    assert made.keys() == {"invite", "expires"}
    assert server.run("invite", "new", "--for", "99d").returncode == 2
    text = server.run("invite", "new")
    assert re.fullmatch(r"\S{20,}\n", text.stdout)  # alone, to be copied
    assert "--invite-file" in text.stderr


def test_where_no_server_runs_the_status_is_69_and_the_directory_is_named(
    server: Running, tmp_path: Path
) -> None:
    elsewhere = Running.__new__(Running)
    elsewhere.environment = server.environment | {"HYPERTOUCH_DATA": str(tmp_path)}
    for line in ("brand list", "invite new", "brand remove x --yes", "doctor --unfreeze"):
        done = elsewhere.run(*line.split())
        assert done.returncode == 69, line
        assert str(tmp_path) in done.stderr or "HYPERTOUCH_DATA" in done.stderr


def test_status_tells_what_needs_the_person(server: Running) -> None:
    answer = server.json("status")
    assert (answer["reachable"], answer["unlocked"], answer["name"]) == (True, True, "home")
    assert {"devices", "pending", "active", "readings_today"} <= answer.keys()
    server.run("lock")
    locked = server.json("status")
    assert (locked["reachable"], locked["unlocked"]) == (True, False)
    assert "hypertouch unlock" in server.run("status").stderr
    server.run("unlock", "--passphrase-file", str(server.passphrase_file))


def test_doctor_finds_nothing_wrong_with_a_fresh_server_and_what_is_wrong_later(server: Running) -> None:
    done = server.run("doctor", "--json")
    found = {one["check"]: one["state"] for one in json.loads(done.stdout)["checks"]}
    assert "fail" not in found.values(), done.stdout
    assert {"home", "data", "server", "history", "sqlite", "keys"} <= found.keys()
    (server.home / "profile").chmod(0o644)
    bad = server.run("doctor")
    assert bad.returncode == 1
    assert "chmod 600" in bad.stdout
    (server.home / "profile").chmod(0o600)
    assert server.run("doctor", "--unfreeze").returncode == 0
