"""A real server in processes of its own, and the real command line against it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

REPO = Path(__file__).parent.parent
PASSPHRASE = "seven drowsy otters juggle marmalade at dawn"


class Running:
    """``hypertouch up`` on loopback with directories of its own; stopped at the end of a ``with``.

    ``options`` come last, so they may say otherwise than the defaults here.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.data, self.home = directory / "node", directory / "home"
        self.passphrase_file = directory / "passphrase"
        self.passphrase_file.write_text(PASSPHRASE + "\n")
        self._options = options
        self.environment = {
            **os.environ,
            "HYPERTOUCH_DATA": str(self.data),
            "HYPERTOUCH_HOME": str(self.home),
            "PYTHONPATH": str(REPO),
        }
        self.start()

    def start(self, http: str = "127.0.0.1:0", mqtt_at: str = "127.0.0.1:0") -> None:
        """Start it, and wait until it says that it is ready."""
        self.log = (self.directory / "up.log").open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "cli.main",
                "up",
                "--http",
                http,
                "--mqtt",
                mqtt_at,
                "--ws",
                "127.0.0.1:0",
                *(("--wss", "127.0.0.1:0") if "--lan" in self._options else ()),
                "--json",
                *self._options,
            ],
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=self.environment,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.directory / "up.log").read_text()
        self.ready: dict[str, Any] = json.loads(line)
        self.http: str = self.ready["http"]
        host, _, port = str(self.ready["mqtt"]).rpartition(":")
        self.mqtt_host, self.mqtt_port = host, int(port)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """End it, and wait; with SIGKILL its processes go with it."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        status = self.process.wait(timeout=30)
        self.log.close()
        return status

    def restart(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """End it and start it again on the same ports and directories."""
        self.stop(sign)
        self.start(self.http.removeprefix("http://"), f"{self.mqtt_host}:{self.mqtt_port}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run("lock")
        self.stop()

    def run(
        self, *arguments: str, home: Path | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a person's script would."""
        environment = self.environment if home is None else {**self.environment, "HYPERTOUCH_HOME": str(home)}
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            check=False,
        )

    def json(self, *arguments: str, home: Path | None = None) -> Any:
        """Run a command that must succeed, and read what it answers."""
        done = self.run(*arguments, "--json", home=home)
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stderr}"
        return json.loads(done.stdout)

    def make_vault(self, name: str = "home") -> dict[str, Any]:
        """``init`` and ``unlock``."""
        made: dict[str, Any] = self.json(
            "init", "--name", name, "--server", self.http, "--passphrase-file", str(self.passphrase_file),
            "--recovery-file", str(self.directory / "recovery"), "--yes",
        )  # fmt: skip
        unlocked = self.run("unlock", "--passphrase-file", str(self.passphrase_file))
        assert unlocked.returncode == 0, unlocked.stderr
        return made


def publish(device: dict[str, Any], messages: list[tuple[str, bytes]], version: int = 4) -> None:
    """Publish with paho at QoS 1 and return when everything is acknowledged."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="", protocol=MQTTProtocolVersion(version))
    client.username_pw_set(device["username"], device["password"])
    client.connect(device["host"], device["port"])
    client.loop_start()
    try:
        for sent in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
            sent.wait_for_publish(timeout=30)
            assert sent.is_published()
    finally:
        client.disconnect()
        client.loop_stop()


class Acme:
    """A brand that speaks plain HTTP."""

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False)
        self.auth = (client_id, client_secret)

    def ask(self, touchpoint: str, *details: dict[str, Any]) -> dict[str, Any]:
        """Ask, and return the answer to it."""
        form = {"login_hint": touchpoint, "authorization_details": json.dumps(details), "scope": "openid"}
        answer = self.http.post("/bc-authorize", data=form, auth=self.auth)
        assert answer.status_code == 200, answer.text
        asked: dict[str, Any] = answer.json()
        return asked

    def poll(self, asked: dict[str, Any]) -> httpx.Response:
        """Look for the person's answer once."""
        form = {"grant_type": "urn:openid:params:grant-type:ciba", "auth_req_id": asked["auth_req_id"]}
        return self.http.post("/token", data=form, auth=self.auth)

    def token(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Poll until there is a token, at the pace that the server gives."""
        deadline = time.monotonic() + 60
        while (answer := self.poll(asked)).status_code != 200:
            assert answer.json()["error"] in ("authorization_pending", "slow_down"), answer.text
            assert time.monotonic() < deadline
            time.sleep(asked["interval"])
        granted: dict[str, Any] = answer.json()
        return granted

    def get(self, path: str, token: str, **query: str) -> httpx.Response:
        """Read under a grant."""
        return self.http.get(path, params=query or None, headers={"Authorization": f"Bearer {token}"})

    def read(self, token: str, path: str = "/observations", **query: str) -> tuple[list[dict[str, Any]], str]:
        """Every page there is now, as SenML records, and where later ones will be."""
        records: list[dict[str, Any]] = []
        while True:
            answer = self.get(path, token, **query)
            assert answer.status_code == 200, answer.text
            records.extend(answer.json())
            path, query = answer.links["next"]["url"], {}
            if answer.headers["Hypertouch-More"] == "false":
                return records, path


def bytes_below(directory: Path) -> bytes:
    """Everything that lies in a directory, joined."""
    return b"\0".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())
