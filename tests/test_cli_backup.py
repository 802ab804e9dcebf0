"""``backup``: a copy is as sealed as the vault, is put back only where nobody writes, and revives nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Acme, Running, publish

ASK = {
    "type": "personal_data",
    "actions": ["read"],
    "datatypes": ["energy"],
    "purpose": "dpv:ServiceProvision",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A running server with a vault."""
    with Running(tmp_path, "--poll-interval", "1") as running:
        running.make_vault()
        yield running


def test_a_backup_brings_the_readings_back_and_no_grant(server: Running, tmp_path: Path) -> None:
    """ACCEPTANCE E11: a backup from before a revocation does not undo it."""
    meter = server.json("device", "add", "meter")
    publish(meter, [("meter", b'{"energy":%d.5}' % n) for n in range(20)])
    brand = server.json("brand", "add", "Acme", "--site", "https://acme.example")
    touchpoint = server.json("touchpoint", "new", "Acme")["touchpoint"]
    acme = Acme(server.http, brand["client_id"], brand["client_secret"])
    asked = acme.ask(touchpoint, ASK)
    (request,) = server.json("request", "list", "--wait", "30s")
    server.json("request", "approve", request["request"], "--history", "all", "--yes")
    token = acme.token(asked)["access_token"]
    assert acme.get("/observations", token).status_code == 200

    file = tmp_path / "mine.backup"
    made = server.json("backup", "create", str(file))
    assert (made["file"], made["bytes"]) == (str(file), file.stat().st_size)
    assert file.stat().st_mode & 0o777 == 0o600
    assert server.run("backup", "create", str(file)).returncode == 7  # never over another
    assert server.run("backup", "restore", str(file), "--yes").returncode == 7  # the server runs

    server.run("grant", "revoke", request["request"], "--yes")
    publish(meter, [("meter", b'{"energy":99.5}')])
    server.stop()
    assert server.run("backup", "restore", str(file)).returncode == 2  # nobody to ask
    assert "all its grants end" in server.run("backup", "restore", str(file), "--yes").stdout
    server.start(server.http.removeprefix("http://"), f"{server.mqtt_host}:{server.mqtt_port}")

    assert acme.get("/observations", token).status_code == 401
    behind = server.run("device", "list")
    assert behind.returncode == 1
    assert "the host shows" in behind.stderr
    server.json("ledger", "verify", "--accept", "--yes")
    (grant,) = server.json("grant", "list")
    assert grant["status"] == "restored"
    assert server.json("ledger", "log")[-1]["what"] == "restored"
    shown = server.json("data", "show", "energy")
    assert sum(series["count"] for series in shown["series"]) == 20
    publish(meter, [("meter", json.dumps({"energy": 7.5, "time": round(time.time())}).encode())])


def test_what_is_not_a_backup_is_not_put_in_place(server: Running, tmp_path: Path) -> None:
    server.stop()
    other = tmp_path / "other"
    other.write_bytes(b"SQLite format 3\0" + bytes(4096))
    before = sorted(path.name for path in server.data.rglob("*"))
    assert server.run("backup", "restore", str(other), "--yes").returncode == 1
    assert server.run("backup", "restore", str(tmp_path / "none"), "--yes").returncode == 2
    assert sorted(path.name for path in server.data.rglob("*")) == before


def test_a_vault_must_be_named_where_none_is_known(server: Running, tmp_path: Path) -> None:
    done = server.run("backup", "create", str(tmp_path / "x"), home=tmp_path / "nobody")
    assert done.returncode == 2
    done = server.run("backup", "create", str(tmp_path / "x"), "--vault", "a" * 26)
    assert done.returncode == 5
