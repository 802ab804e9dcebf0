"""``device add --profile``: what each product is told lets it connect, read from the text that is copied."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from cli import profiles
from gateway.client.device import Credential
from gateway.client.errors import TermsError
from tests.running import Running
from vault.ids import DeviceId

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
COPIED_WHOLE = ("owntracks://", "Backlog ", '{"id"', "hypertouch bridge add ")  # one line, however long
READING = ("t/x", b'{"temperature": 21.5}')


class Told(NamedTuple):
    """What a product makes of its instructions."""

    host: str
    port: int
    user: str
    password: str
    tls: bool


def tasmota(text: str) -> Told:
    """Tasmota's console: ``Backlog`` and commands, split at semicolons."""
    first, _, rest = text.partition(" ")
    assert (first, "\n" in text) == ("Backlog", False)
    commands = dict(command.strip().split(" ", 1) for command in rest.split(";"))
    return Told(
        commands["MqttHost"],
        int(commands["MqttPort"]),
        commands["MqttUser"],
        commands["MqttPassword"],
        commands["SetOption103"] == "1",
    )


def owntracks(text: str) -> Told:
    """The app: base64 of JSON behind ``inline=``."""
    settings = json.loads(base64.b64decode(text.removeprefix("owntracks:///config?inline=")))
    assert (settings["_type"], settings["mode"], settings["mqttProtocolLevel"]) == ("configuration", 0, 4)
    return Told(
        settings["host"], settings["port"], settings["username"], settings["password"], settings["tls"]
    )


def shelly(text: str) -> Told:
    """curl sends what stands between the two EOF."""
    body = json.loads(re.search(r"<<'EOF'\n(.*)\nEOF", text, re.DOTALL)[1])  # type: ignore[index]  # or fail
    config = body["params"]["config"]
    host, port = config["server"].rsplit(":", 1)
    assert body["method"] == "MQTT.SetConfig"
    return Told(host, int(port), config["user"], config["pass"], config["ssl_ca"] is not None)


def zigbee2mqtt(text: str) -> Told:
    mqtt = yaml.safe_load(text)["mqtt"]
    scheme, host, port = re.fullmatch(r"(mqtts?)://(.+):(\d+)", mqtt["server"]).groups()  # type: ignore[union-attr]  # or fail
    return Told(host, int(port), mqtt["user"], mqtt["password"], scheme == "mqtts")


def esphome(text: str) -> Told:
    mqtt = yaml.safe_load(text)["mqtt"]
    return Told(
        mqtt["broker"], mqtt["port"], mqtt["username"], mqtt["password"], "certificate_authority" in mqtt
    )


def theengs(text: str) -> Told:
    settings = json.loads(text)
    return Told(
        settings["host"],
        settings["port"],
        settings["user"],
        settings["pass"],
        bool(settings.get("enable_tls")),
    )


def table(text: str) -> Told:
    """A person who types a form."""
    words = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    return Told(
        words["host"][0],
        int(words["port"][0]),
        words["user"][0],
        words["password"][0],
        "without" not in words["port"],
    )


READERS: dict[str, Callable[[str], Told]] = {
    "owntracks": owntracks,
    "zigbee2mqtt": zigbee2mqtt,
    "tasmota": tasmota,
    "shelly": shelly,
    "esphome": esphome,
    "home-assistant": table,
    "theengs": theengs,
    "sensor-logger": table,
    "health-auto-export": table,
    "generic": table,
}


def copied(steps: list[dict[str, str]], password: str) -> str:
    """The one text that holds the credential; OwnTracks' is base64."""
    (text,) = [
        step["text"] for step in steps if password in step["text"] or step["text"].startswith("owntracks:")
    ]
    return text


def credential(**changed: Any) -> Credential:
    made = Credential(DeviceId(bytes(16)), "Hall Näme", "10.0.0.7", 8883, True, "user", "pass", "ab" * 32)
    return Credential(**{name: getattr(made, name) for name in made.__struct_fields__} | changed)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server as for the network, on loopback, with a vault."""
    with Running(tmp_path_factory.mktemp("lan"), "--lan", "--mqtts", "127.0.0.1:0") as running:
        made = running.run(
            "init", "--server", running.http, "--ca", running.ready["ca"], "--passphrase-file",
            str(running.passphrase_file), "--recovery-file", str(running.directory / "recovery"), "--yes",
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        assert running.run("unlock", "--passphrase-file", str(running.passphrase_file)).returncode == 0
        yield running


def test_every_profile_of_the_issue_is_there_and_is_read_here() -> None:
    assert READERS.keys() == profiles.PROFILES.keys()


@pytest.mark.parametrize("profile", READERS)
def test_a_product_that_does_what_it_is_told_connects_and_is_stored(server: Running, profile: str) -> None:
    made = server.json("device", "add", f"my {profile}", "--profile", profile)
    told = READERS[profile](copied(made["steps"], made["password"]))
    assert told.tls
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    client.tls_set(ca_certs=server.ready["ca"])
    client.username_pw_set(told.user, told.password)
    client.connect(told.host, told.port)
    client.loop_start()
    sent = client.publish(*READING, qos=1)
    sent.wait_for_publish(10)
    assert sent.is_published()
    client.disconnect()
    client.loop_stop()
    (row,) = [row for row in server.json("device", "list") if row["name"] == f"my {profile}"]
    assert row["readings"] == 1


def test_the_authority_that_the_steps_name_is_the_servers(server: Running, tmp_path: Path) -> None:
    saved = server.json("device", "authority", "--output", str(tmp_path / "ca.pem"))
    assert (tmp_path / "ca.pem").read_text() == saved["ca_pem"] == Path(server.ready["ca"]).read_text()
    assert server.run("device", "authority", "--output", str(tmp_path / "ca.pem")).returncode == 7


def test_a_server_without_an_authority_of_its_own_says_so(tmp_path: Path) -> None:
    with Running(tmp_path) as plain:
        plain.make_vault()
        refused = plain.run("device", "authority")
        assert (refused.returncode, refused.stdout) == (5, "")


def test_its_first_readings_are_shown_as_they_arrive_and_then_it_returns(server: Running) -> None:
    waiting = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "device", "add", "porch", "--no-qr", "--wait", "60s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=server.environment,
    )
    assert waiting.stdout is not None
    shown: list[str] = []
    while not shown or not shown[-1].startswith("password"):
        shown.append(waiting.stdout.readline())
        assert shown[-1], waiting.stderr and waiting.stderr.read()
    told = table("".join(line for line in shown if line.startswith(("host ", "port ", "user ", "password "))))
    client = Client(CallbackAPIVersion.VERSION2)
    client.tls_set(ca_certs=server.ready["ca"])
    client.username_pw_set(told.user, told.password)
    client.connect(told.host, told.port)
    client.loop_start()
    client.publish(*READING, qos=1).wait_for_publish(10)
    out, err = waiting.communicate(timeout=60)
    client.disconnect()
    client.loop_stop()
    assert waiting.returncode == 0, err
    assert "porch" in out
    assert "21.5 °C" in out
    assert "porch works: 1 reading" in err


def test_without_a_terminal_nothing_is_waited_for(server: Running) -> None:
    done = server.run("device", "add", "quiet")  # would be stopped by the suite's time limit
    assert done.returncode == 0
    assert "waiting" not in done.stderr


def test_when_nothing_comes_in_time_it_says_so_and_the_credential_stays(server: Running) -> None:
    done = server.run("device", "add", "silent", "--wait", "1s")
    assert done.returncode == 0
    assert "nothing has arrived yet" in done.stderr


@pytest.mark.parametrize("profile", profiles.PROFILES)
@pytest.mark.parametrize("host", ["a b", "h;reboot", "h\nx: y", '"', "$(id)", "", "x" * 254, "h'"])
def test_a_host_that_could_act_where_it_is_pasted_is_refused(profile: str, host: str) -> None:
    with pytest.raises(TermsError):
        profiles.guide(profile, credential(host=host), PEM)


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_a_name_cannot_act_where_it_is_pasted(profile: str) -> None:
    """The name is the person's own, but may have come from somewhere; what is copied has a plain word."""
    told = profiles.guide(profile, credential(name="x\"; Reset 1\n$(id) 'EOF"), PEM)
    for step in told.steps:
        assert "Reset 1" not in step.text
        assert "$(id)" not in step.text


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_no_password_is_put_into_the_arguments_of_a_command(profile: str) -> None:
    told = profiles.guide(profile, credential(password="s3cr3tpassword"), PEM)
    for step in told.steps:
        for line in step.text.splitlines():
            assert not (line.startswith(("curl", "hypertouch")) and "s3cr3tpassword" in line)


@pytest.mark.parametrize("hub", ["zigbee2mqtt", "home-assistant"])
def test_a_hub_that_others_depend_on_is_told_to_keep_its_broker(hub: str) -> None:
    told = profiles.guide(hub, credential(), PEM)
    assert any("bridge" in note for note in told.notes)
    assert not any("bridge" in note for note in profiles.guide("tasmota", credential(), PEM).notes)


@pytest.mark.parametrize(("name", "said"), [("Hall Näme", "Hall Näme"), ("it's $(id)", "NAME")])
def test_a_command_names_the_device_unless_its_name_could_act_in_it(name: str, said: str) -> None:
    first = profiles.guide("home-assistant", credential(name=name), PEM).steps[0]
    assert first.text.endswith(f" --map '#={said}'")
    assert f"'{said}' --own" in " ".join(profiles.guide("theengs", credential(name=name), PEM).notes)


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_what_is_not_copied_and_the_code_fit_eighty_columns(server: Running, profile: str) -> None:
    done = server.run("device", "add", f"wide-{profile[:5]}", "--profile", profile)
    long = [line for line in (done.stdout + done.stderr).splitlines() if len(line) > 80]
    assert done.returncode == 0
    assert all(line.startswith(COPIED_WHOLE) for line in long)


def test_a_code_too_wide_for_a_terminal_says_how_wide_it_is(server: Running) -> None:
    done = server.run("device", "add", "a phone with a name so long", "--profile", "owntracks")
    assert "The code needs a window of 8" in done.stdout


def test_an_address_of_version_6_is_bracketed_where_a_port_follows() -> None:
    six = credential(host="fd00::7")
    assert profiles.link_of(six) == "mqtts://user:pass@[fd00::7]:8883"
    assert "mqtts://[fd00::7]:8883" in profiles.guide("zigbee2mqtt", six, PEM).steps[-1].text
