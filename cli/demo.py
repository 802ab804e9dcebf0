"""``hypertouch demo``: the whole story on this computer, through the real doors, leaving nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import rich_click as click

from cli.ask import say
from cli.errors import CliError
from cli.render import columns, count, next_steps, size, wrap
from cli.stage import DemoDevice, find_plain, publish
from gateway.client.brand import Brand, BrandError

START_S: Final = 30.0
ANSWER_S: Final = 30.0
QUIET: Final = ("--yes",)
WIDTH: Final = 76  # columns beside the margin


class Stage:
    """A server of its own in a temporary directory, and the command line against it."""

    def __init__(self, directory: Path) -> None:
        self.data, self.home = directory / "node", directory / "home"
        self._environment = {
            **os.environ,
            "HYPERTOUCH_DATA": str(self.data),
            "HYPERTOUCH_HOME": str(self.home),
        }
        self._server: subprocess.Popen[str] | None = None

    def up(self) -> dict[str, Any]:
        """Start the server and return what it says; raises CliError."""
        anywhere = ("--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ws", "off")
        arguments = ("up", *anywhere, "--poll-interval", "1", "--json")
        self._server = subprocess.Popen(
            _command(*arguments), stdout=subprocess.PIPE, text=True, env=self._environment
        )
        line = self._server.stdout.readline() if self._server.stdout else ""
        if not line:
            raise CliError("the demo's server did not start", "look at its messages above")
        started: dict[str, Any] = json.loads(line)
        return started

    def down(self) -> None:
        """Stop everything, wherever the story got to."""
        with suppress(CliError):  # what stopped the story is the error to tell; there may be no vault yet
            self.run("lock")
        if self._server is not None and self._server.poll() is None:
            self._server.terminate()
            self._server.wait(START_S)

    def run(self, *arguments: str) -> str:
        """Run a command and return what it shows a person; raises CliError when it fails."""
        return self._run(*arguments)

    def ask(self, *arguments: str) -> Any:
        """Run a command and return what it tells a program."""
        return json.loads(self._run(*arguments, "--json"))

    def show(self, *arguments: str) -> None:
        """Run a command where everybody can see it."""
        say(f"  $ hypertouch {' '.join(argument for argument in arguments if argument not in QUIET)}")
        for line in self.run(*arguments).rstrip().splitlines():
            for part in [line] if columns(line) <= WIDTH else wrap(line, WIDTH):
                say(f"    {part}".rstrip())

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            _command(*arguments),
            capture_output=True,
            text=True,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise CliError(f"the demo stopped at: hypertouch {arguments[0]}", done.stderr.strip()[-300:])
        return done.stdout


@click.command("demo")
def demo() -> None:
    """Play the whole story on this computer and leave nothing behind.

    A server, five devices, a brand and a person: everything is real but the people.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hypertouch-demo-") as name:
        directory = Path(name)
        with _stage(directory) as (stage, started):
            _story(stage, started, directory)
    say()
    say(f"That took {time.monotonic() - begun:.0f} s; everything of it is deleted.")
    say(
        next_steps(
            ("hypertouch up", "start your own server"),
            ("hypertouch init", "make your vault, in another terminal"),
            ("hypertouch device add NAME", "connect your first device"),
        )
    )


@contextmanager
def _stage(directory: Path) -> Iterator[tuple[Stage, dict[str, Any]]]:
    stage = Stage(directory)
    try:
        yield stage, stage.up()
    finally:
        stage.down()


def _story(stage: Stage, started: dict[str, Any], directory: Path) -> None:
    _chapter("1  A server starts, and a person makes a vault")
    passphrase = directory / "passphrase"
    passphrase.write_text("velvet anchors hum beneath seven lanterns\n")
    passphrase.chmod(0o600)
    stage.run(
        "init", "--name", "home", "--server", started["http"], "--passphrase-file", str(passphrase),
        "--recovery-file", str(directory / "recovery"), *QUIET,
    )  # fmt: skip
    stage.run("unlock", "--passphrase-file", str(passphrase))
    say("  The passphrase and the 24 recovery words never left this terminal's side.")

    _chapter("2  Five devices publish over MQTT, each with its own topics and payloads")
    now = datetime.now(UTC)
    plain: list[bytes] = []
    for device in _devices(now):
        credential = stage.ask("device", "add", device.name)
        publish(credential, device)
        plain.extend(device.plain)
        say(f"  {device.name:<12} {device.speaks:<24} {count(len(device.messages), 'message')} acknowledged")
    stage.show("device", "list")

    _chapter("3  Acme asks for energy")
    registered = stage.ask("brand", "add", "Acme", "--site", "https://acme.example")
    touchpoint = stage.ask("touchpoint", "new", "Acme")["touchpoint"]
    with Brand(started["http"], registered["client_id"], registered["client_secret"]) as acme:
        asked = acme.ask(touchpoint, [_ask(now)], message="Your bill")
        [request] = stage.ask("request", "list", "--wait", "30s")
        stage.show("request", "show", request["request"][:4].upper())

        _chapter("4  The person gives energy alone, for 30 days, with a week of history")
        stage.show(
            "request", "approve", request["request"][:4].upper(),
            "--kinds", "energy", "--for", "30d", "--history", "7d", *QUIET,
        )  # fmt: skip
        granted = acme.wait(asked, ANSWER_S)
        if granted is None:
            raise CliError("the brand got no answer in time")
        readings = list(acme.readings(granted.access_token))
        kinds = ", ".join(sorted({reading.kind for reading in readings}))
        say(f"  Acme reads {count(len(readings), 'reading')} of: {kinds}")
        _refused(acme, granted.access_token, "power", "Acme tries power, which it also asked for")

        _chapter("5  The person looks at who read what, and ends it")
        stage.show("data", "show", "energy", "--since", "2d")
        stage.show("ledger", "log")
        [grant] = stage.ask("grant", "list")
        stage.show("grant", "revoke", grant["grant"][:4].upper(), *QUIET)
        _refused(acme, granted.access_token, "energy", "Acme tries again")
        stage.show("ledger", "verify")

    _chapter("6  Somebody copies every file of the server")
    searched, octets, found = find_plain(stage.data, plain)
    say(f"  {count(searched, 'file')}, {size(octets)}: searched for {len(plain)} values that were sent")
    if found:
        raise CliError("plaintext was found in the server's files", "please report this")
    say("  none of them found")


def _refused(acme: Brand, token: str, kind: str, what: str) -> None:
    try:
        list(acme.readings(token, kind=kind))
    except BrandError as error:
        say(f"  {what}: refused ({error.status} {error.code})")
    else:
        raise CliError("the brand read what it may not", "please report this")


def _ask(now: datetime) -> dict[str, Any]:
    until = (now + timedelta(days=70)).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "type": "personal_data",
        "actions": ["read"],
        "datatypes": ["energy", "power"],
        "access_until": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "purpose": "dpv:ServiceProvision",
        "purpose_text": "Bill by what you use",
        "retention": "P90D",
        "recipients": [],
        "benefit": "10 % off the base fee",
        "required": True,
    }


def _devices(now: datetime) -> Iterator[DemoDevice]:
    """Payloads as these products send them, with values that can be searched for."""
    seconds = int(now.timestamp())
    phone = {"_type": "location", "tid": "JJ", "tst": seconds, "lat": 48.858327, "lon": 2.295131, "acc": 5}
    yield DemoDevice("phone", "OwnTracks", [("owntracks/jj/phone", phone)], [b"48.858327", b"2.295131"])
    climate = {"temperature": 27.34, "humidity": 44.72, "battery": 91, "linkquality": 124}
    known = [b"27.34", b"44.72", b"living room"]
    yield DemoDevice("hub", "Zigbee2MQTT", [("zigbee2mqtt/living room", climate)], known)
    yesterday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    minutes = []
    for minute in range(1440):
        at = (yesterday + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S")
        energy = {"Total": round(4711.031 + minute * 0.0003, 4), "Power": 180 + minute % 60}
        minutes.append(("tele/meter/SENSOR", {"Time": at, "ENERGY": energy, "TempUnit": "C"}))
    yield DemoDevice("meter", "Tasmota, a day's minutes", minutes, [b"4711.0", b"4711.4"])
    voltage = {"bn": "urn:dev:ow:10e2073a0108006:", "bt": seconds, "n": "voltage", "u": "V", "v": 230.125}
    pack = [voltage, {"n": "current", "u": "A", "v": 1.625}]
    yield DemoDevice("sensor", "SenML (RFC 8428)", [("lab/sensor", pack)], [b"230.125", b"10e2073a0108006"])
    event = {"event": "purchase", "item": "espresso", "price": 3.2}
    yield DemoDevice("app", "an app's events", [("shop/app/events", event)], [b"espresso"])


def _chapter(title: str) -> None:
    say()
    say(title)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", *arguments]
