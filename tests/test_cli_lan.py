"""``up --lan``: TLS for people, brands and devices, with an authority of our own; invitations for others."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from gateway.node.tls import open_tls
from gateway.rpcclient import call_sync
from gateway.wire import GetStatus, NodeStatus
from tests.running import Running
from tests.websocket_client import WebSocketClient

LOOPBACK = ("--mqtts", "127.0.0.1:0")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A server as for the network, on loopback."""
    with Running(tmp_path, "--lan", *LOOPBACK, "--no-mdns") as running:
        yield running


def test_a_person_and_a_device_use_a_server_over_tls(server: Running) -> None:
    authority = server.ready["ca"]
    assert server.http.startswith("https://127.0.0.1:")
    with pytest.raises(httpx.ConnectError):  # the control: without our authority nobody is trusted
        httpx.get(server.http + "/healthz", trust_env=False)
    trusting = ssl.create_default_context(cafile=authority)
    assert httpx.get(server.http + "/healthz", verify=trusting, trust_env=False).status_code == 200

    made = server.run(
        "init", "--server", server.http, "--ca", authority, "--passphrase-file", str(server.passphrase_file),
        "--recovery-file", str(server.directory / "recovery"), "--yes", "--json",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert server.run("unlock", "--passphrase-file", str(server.passphrase_file)).returncode == 0
    meter = server.json("device", "add", "meter")
    assert meter["tls"] is True
    assert meter["ca_fingerprint"] == server.ready["ca_fingerprint"]

    client = Client(CallbackAPIVersion.VERSION2)
    client.tls_set(ca_certs=authority)
    client.username_pw_set(meter["username"], meter["password"])
    client.connect(meter["host"], meter["port"])
    client.loop_start()
    client.publish("meter", b'{"energy":4.5}', qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
    shown = server.json("data", "show", "energy", "--since", "24h")
    assert [reading["value"] for series in shown["series"] for reading in series["readings"]] == [4.5]


def test_without_the_authority_a_client_refuses_the_server(server: Running) -> None:
    refused = server.run(
        "init", "--server", server.http, "--passphrase-file", str(server.passphrase_file),
        "--recovery-file", str(server.directory / "recovery"), "--yes", "--json",
    )  # fmt: skip
    assert refused.returncode == 69
    assert json.loads(refused.stderr)["hint"]


def test_an_invitation_is_made_and_shown_once(server: Running) -> None:
    invited = server.run("invite", "new")
    assert invited.returncode == 0
    assert invited.stdout.strip().startswith("hti_")


def test_an_owner_brings_a_certificate_and_says_where_it_is_good_for(tmp_path: Path) -> None:
    """Nobody is told to pin an authority of ours, and the names are the certificate's."""
    open_tls(tmp_path / "own", ["vault.example"], time.time())
    own = [str(tmp_path / "own" / name) for name in ("server.pem", "server.key")]
    options = ("--lan", *LOOPBACK, "--no-mdns", "--tls-cert", own[0], "--tls-key", own[1])
    trusting = ssl.create_default_context(cafile=str(tmp_path / "own" / "ca.pem"))
    with Running(tmp_path, *options) as server:
        assert (server.ready["ca"], server.ready["ca_fingerprint"]) == ("", "")
        assert httpx.get(server.http + "/healthz", verify=trusting, trust_env=False).status_code == 200
        host, _, port = server.ready["wss"].removeprefix("wss://").removesuffix("/mqtt").rpartition(":")
        with WebSocketClient(int(port), trusting) as browser:
            assert (host, browser.status) == ("127.0.0.1", 101)
        assert list((server.data / "tls").iterdir()) == []


def test_plain_mqtt_beyond_this_computer_is_asked_for_by_name_and_warned_of(tmp_path: Path) -> None:
    everywhere = ("--mqtt", "0.0.0.0:0", "--ws", "0.0.0.0:0")
    with Running(tmp_path, *everywhere, "--cleartext-mqtt") as server:
        said = (tmp_path / "up.log").read_text()
        for place in (server.ready["mqtt"], server.ready["ws"].removeprefix("ws://").removesuffix("/mqtt")):
            assert (
                f"WARNING: without TLS at {place}: passwords and readings cross the network readably" in said
            )
        for option, place in (("--mqtt", everywhere[1]), ("--ws", everywhere[3])):
            refused = server.run("up", "--http", "127.0.0.1:0", option, place, "--json")
            assert refused.returncode == 2
            assert "--cleartext-mqtt" in json.loads(refused.stderr)["hint"]
    with Running(tmp_path, "--cleartext-mqtt"):
        assert "WARNING" not in (tmp_path / "up.log").read_text().replace(said, ""), (
            "nothing crosses a network"
        )


USAGE = {
    "TLS without a network": ("--wss", "127.0.0.1:0"),
    "half a certificate": ("--lan", "--tls-cert", __file__),
    "a certificate that is none": ("--lan", "--tls-cert", __file__, "--tls-key", __file__),
    "no port": ("--ws", "127.0.0.1"),
}


@pytest.mark.parametrize("name", USAGE)
def test_what_cannot_be_meant_is_refused_before_anything_starts(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "HYPERTOUCH_DATA": str(tmp_path / "node")}
    command = [sys.executable, "-m", "cli.main", "up", *USAGE[name], "--json"]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert not (tmp_path / "node").exists()


def test_the_line_that_says_where_has_exactly_these_members(server: Running) -> None:
    started = msgspec.defstruct(
        "Started",
        [
            *((name, str) for name in ("http", "mqtt", "data", "mqtts", "ca_fingerprint", "ca", "ws", "wss")),
            ("ready", bool),
            ("pid", int),
        ],
        forbid_unknown_fields=True,
    )
    msgspec.convert(server.ready, started)
    status = call_sync(server.data / "node.sock", GetStatus())
    assert isinstance(status, NodeStatus)
    assert server.ready["ws"] == f"ws://{status.ws}/mqtt"
    assert server.ready["wss"] == f"wss://{status.wss}/mqtt"
    assert server.ready["mqtts"] == status.mqtts


def test_websockets_can_be_switched_off(tmp_path: Path) -> None:
    with Running(tmp_path, "--ws", "off") as server:
        assert (server.ready["ws"], server.ready["wss"]) == ("", "")
