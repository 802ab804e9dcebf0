"""``hypertouch bridge``: a real server beside a real Mosquitto, from `bridge add` to `bridge remove`."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish as once
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.bridge_process import wait_until
from tests.broker import Mosquitto
from tests.peers import require_peer
from tests.running import Running

pytestmark = pytest.mark.peer

SECRET = "the broker's own password"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A server with a vault that is open."""
    (tmp_path / "server").mkdir()
    with Running(tmp_path / "server") as running:
        running.make_vault()
        yield running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with one user."""
    words = tmp_path / "words"
    subprocess.run([require_peer("mosquitto_passwd"), "-b", "-c", words, "bridge", SECRET], check=True)
    (tmp_path / "secret").write_text(SECRET + "\n")
    with Mosquitto(tmp_path / "m", "allow_anonymous false", f"password_file {words}") as running:
        yield running


def publish(broker: Mosquitto, *messages: tuple[str, str]) -> None:
    """At QoS 1, as the one user."""
    told: list[Any] = [(topic, payload, 1, False) for topic, payload in messages]
    once.multiple(told, port=broker.port, auth={"username": "bridge", "password": SECRET})


def add(server: Running, broker: Mosquitto, *more: str, name: str = "home") -> Any:
    """``bridge add`` of two devices."""
    return server.json(
        "bridge", "add", name, "--broker", f"mqtt://127.0.0.1:{broker.port}", "--username", "bridge",
        "--password-file", str(server.directory.parent / "secret"),
        "--map", "zigbee2mqtt/#=hub", "--map", "zigbee2mqtt/car/#=car", *more,
    )  # fmt: skip


def row(server: Running) -> Any:
    """The one bridge of ``bridge list``."""
    (found,) = server.json("bridge", "list")
    return found


def pids(server: Running) -> list[int]:
    """The bridges' processes below a server."""
    told = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^ *(\d+) +(\d+) .*gateway\.bridge\.run", told, re.MULTILINE)
    return [int(pid) for pid, parent in found if int(parent) == server.process.pid]


def test_a_broker_is_connected_read_looked_at_and_left(server: Running, broker: Mosquitto) -> None:
    made = add(server, broker)
    assert (made["connected"], made["devices"], made["made"]) == (True, ["car", "hub"], ["hub", "car"])
    publish(
        broker,
        ("zigbee2mqtt/living room", '{"temperature":21.5,"linkquality":80}'),
        ("zigbee2mqtt/car/seat", '{"temperature":4.5}'),
        ("elsewhere", '{"temperature":99}'),
    )
    wait_until(lambda: row(server)["stored"] == 2)
    assert row(server)["waiting"] == row(server)["dropped"] == row(server)["refused"] == 0
    assert row(server)["last"] is not None
    readings = server.json("data", "show", "temperature")["series"]
    assert sorted((one["device"], one["last"]) for one in readings) == [("car", 4.5), ("hub", 21.5)]

    shown = server.json("bridge", "show", "home")
    assert shown["subscribed"] == {"hub": ["zigbee2mqtt/#"], "car": ["zigbee2mqtt/car/#"]}
    assert [(one["device"], one["connected"], one["version"]) for one in shown["sessions"]] == [
        ("car", True, "5"),
        ("hub", True, "5"),
    ]
    told = server.run("bridge", "show", "home").stdout + server.run("bridge", "list").stdout
    assert SECRET not in told + str(shown)
    assert max(map(len, told.splitlines())) <= max(80, *map(len, re.findall("  file .*", told)))

    once.single(
        "zigbee2mqtt/kept",
        "1",
        retain=True,
        port=broker.port,
        auth={"username": "bridge", "password": SECRET},
    )
    seen = server.json("bridge", "test", "home", "--for", "2s")
    assert seen["topics"] == [{"topic": "zigbee2mqtt/kept", "device": "hub", "messages": 0, "retained": True}]
    assert "zigbee2mqtt/kept" in server.run("bridge", "test", "home", "--for", "1s").stdout

    (line,) = server.json("status")["bridges"]
    assert (line["bridge"], line["connected"], line["stored"]) == ("home", True, 3)
    assert "bridge     home: connected" in server.run("status").stdout
    checks = {
        one["what"]: one["state"] for one in server.json("doctor")["checks"] if one["check"] == "bridge"
    }
    assert checks["home: connected"] == "ok"
    assert checks["home: the broker lets in nobody without a password"] == "ok"

    session = shown["sessions"][0]["client_id"]
    gone = server.json("bridge", "remove", "home", "--yes")
    assert gone == {"bridge": "home", "devices": ["car", "hub"], "forgotten": True}
    assert server.json("bridge", "list") == []
    wait_until(lambda: not pids(server))
    assert not session_present(broker, session)
    assert {one["name"] for one in server.json("device", "list")} == {"hub", "car"}


def session_present(broker: Mosquitto, client_id: str) -> bool:
    """Whether the broker keeps a session of this name."""
    found: list[bool] = []
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
    client.username_pw_set("bridge", SECRET)
    client.on_connect = lambda _c, _u, flags, *_: found.append(flags.session_present)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    wait_until(lambda: bool(found))
    client.disconnect()
    client.loop_stop()
    return found[0]


def test_the_passwords_are_in_one_private_file_and_nowhere_else(server: Running, broker: Mosquitto) -> None:
    made = add(server, broker)
    path = Path(made["file"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    kept = path.read_text()
    assert SECRET in kept
    secrets = [SECRET, *re.findall(r'"password": "([a-z2-7]{26})"', kept)]
    assert len(secrets) == 3
    running = pids(server)
    assert running
    for pid in (*running, server.process.pid):
        about = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert not any(secret.encode() in about for secret in secrets)
    others = [other for other in server.data.rglob("*") if other.is_file() and other != path]
    found = b"".join(other.read_bytes() for other in [*others, server.directory / "up.log"])
    assert not any(secret.encode() in found for secret in secrets)


def test_a_bridge_that_is_killed_comes_back_and_so_does_one_of_a_restarted_server(
    server: Running, broker: Mosquitto
) -> None:
    add(server, broker)
    before = pids(server)
    os.kill(before[0], signal.SIGKILL)
    publish(broker, ("zigbee2mqtt/a", '{"temperature":1}'))
    wait_until(lambda: pids(server) not in ([], before))
    wait_until(lambda: row(server)["stored"] == 1)
    server.stop()
    assert row(server)["problem"] == "the server is not running"
    publish(broker, ("zigbee2mqtt/a", '{"temperature":2}'))
    server.start(server.http.removeprefix("http://"), f"{server.mqtt_host}:{server.mqtt_port}")
    wait_until(lambda: row(server)["connected"])
    wait_until(lambda: row(server)["stored"] == 1)
    (series,) = server.json("data", "show", "temperature")["series"]
    assert series["count"] == 2


def test_a_paused_device_waits_at_the_broker_and_the_other_goes_on(
    server: Running, broker: Mosquitto
) -> None:
    add(server, broker)
    server.json("device", "pause", "car")
    publish(broker, ("zigbee2mqtt/car/x", '{"temperature":1}'), ("zigbee2mqtt/y", '{"temperature":2}'))
    wait_until(lambda: row(server)["stored"] == 1)
    wait_until(lambda: "paused" in row(server)["problem"])
    assert row(server)["waiting"] == 1
    server.json("device", "resume", "car")
    wait_until(lambda: row(server)["stored"] == 2)
    wait_until(lambda: row(server)["connected"])


def test_a_device_that_exists_gets_a_new_password_only_on_request(server: Running, broker: Mosquitto) -> None:
    server.json("device", "add", "hub")
    refused = server.run(
        "bridge", "add", "home", "--broker", f"mqtt://127.0.0.1:{broker.port}", "--map", "#=hub"
    )
    assert refused.returncode == 7
    assert "--rotate" in refused.stderr
    assert server.json("bridge", "list") == []
    made = add(server, broker, "--rotate")
    assert made["made"] == ["car"]
    again = server.run(
        "bridge", "add", "home", "--broker", f"mqtt://127.0.0.1:{broker.port}", "--map", "#=other"
    )
    assert again.returncode == 7
    publish(broker, ("zigbee2mqtt/a", '{"temperature":1}'))
    wait_until(lambda: row(server)["stored"] == 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("home", "--broker", "http://x", "--map", "#=a"), "the address of a broker"),
        (("home", "--broker", "mqtt://u:p@x", "--map", "#=a"), "no user name and no password"),
        (("home", "--broker", "mqtt://x"), "nothing is mapped"),
        (("home", "--broker", "mqtt://x", "--map", "#"), "FILTER=DEVICE"),
        (("home", "--broker", "mqtt://x", "--map", "a#=b"), "not a topic filter"),
        (("home", "--broker", "mqtt://x", "--map", "a=b", "--map", "a=c"), "mapped twice"),
        (("Home", "--broker", "mqtt://x", "--map", "#=a"), "cannot have this name"),
        (("home", "--broker", "mqtt://x", "--map", "#=a", "--username", "u"), "--password-file"),
        (("home", "--broker", "mqtt://x", "--map", "#=a", "--workers", "99"), "workers"),
    ],
)
def test_what_cannot_be_a_bridge_is_told_before_anything_is_made(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "bridge", "add", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "HYPERTOUCH_HOME": str(tmp_path / "h"), "HYPERTOUCH_DATA": str(tmp_path / "d")},
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "d").exists()


def test_a_bridge_that_is_not_there_is_not_found(server: Running) -> None:
    for command in ("show", "test"):
        assert server.run("bridge", command, "none").returncode == 5
    assert server.run("bridge", "remove", "none", "--yes").returncode == 5
    assert server.run("bridge", "show", "../x").returncode == 5
