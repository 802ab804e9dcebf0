"""``up --lan``: TLS for people, brands and devices, with an authority of our own; invitations for others."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.running import Running


LOOPBACK = ("--mqtts", "127.0.0.1:0", "--wss", "127.0.0.1:0")


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
