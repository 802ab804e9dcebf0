"""What the demo's story is played on: a server, devices that publish, and somebody who searches the files."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from cli.ask import say
from cli.errors import CancelledError, CliError, ExitCode
from cli.main import main
from cli.render import columns, wrap

START_S: Final = 30.0
ACKNOWLEDGED_S: Final = 20.0
QUIET: Final = ("--yes",)
WIDTH: Final = 78  # columns beside the margin
_LABEL: Final = re.compile(r" *(?:\S+ {2,})?")


class DemoDevice(NamedTuple):
    """A device, the messages it publishes, and byte strings of them that must not be found anywhere."""

    name: str
    speaks: str
    messages: list[tuple[str, Any]]
    plain: list[bytes]


def publish(credential: dict[str, Any], device: DemoDevice) -> None:
    """Publish with paho-mqtt at QoS 1 until everything is acknowledged; raises CliError."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, client_id=device.name)
    client.max_inflight_messages_set(500)
    client.username_pw_set(credential["username"], credential["password"])
    client.connect(credential["host"], credential["port"])
    client.loop_start()
    try:
        for sent in [client.publish(topic, json.dumps(body), qos=1) for topic, body in device.messages]:
            sent.wait_for_publish(ACKNOWLEDGED_S)
            if not sent.is_published():
                raise CliError(f"the demo's {device.name} was not acknowledged in time")
    finally:
        client.disconnect()
        client.loop_stop()


def find_plain(directory: Path, plain: list[bytes]) -> tuple[int, int, list[bytes]]:
    """(files searched, their bytes, what was found of ``plain``)."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in files]
    found = [text for text in plain if any(text in content for content in contents)]
    return len(files), sum(map(len, contents)), found


class Stage:
    """A server of its own in a temporary directory, and the command line against it."""

    def __init__(self, directory: Path) -> None:
        self.data, self.home = directory / "node", directory / "home"
        self._places = {"HYPERTOUCH_DATA": str(self.data), "HYPERTOUCH_HOME": str(self.home)}
        self._server: subprocess.Popen[str] | None = None

    def up(self) -> dict[str, Any]:
        """Start the server and return what it says; raises CliError."""
        anywhere = ("--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ws", "off")
        arguments = ("up", *anywhere, "--poll-interval", "1", "--json")
        command = [sys.executable, "-m", "cli.main", *arguments]
        self._server = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **self._places}
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
        words = shlex.join(argument for argument in arguments if argument not in QUIET)
        say(f"$ hypertouch {words}")
        for line in textwrap.dedent(self.run(*arguments)).rstrip().splitlines():
            for part in _fitted(line):
                say(f"  {part}".rstrip())

    def _run(self, *arguments: str) -> str:
        """What the program of that name does, here: starting it anew each time would be most of the story."""
        with self._elsewhere() as (told, wrong):
            status = main(list(arguments))
            said, fault = _read(told), _read(wrong)
        if status == ExitCode.CANCELLED:
            raise CancelledError("cancelled", "")
        if status:
            raise CliError(f"the demo stopped at: hypertouch {arguments[0]}", fault.strip()[-300:])
        return said

    @contextmanager
    def _elsewhere(self) -> Iterator[tuple[TextIO, TextIO]]:
        """Nobody to ask, our directories, and what is said kept back."""
        before = {name: os.environ.get(name) for name in self._places}
        stdin, letters = sys.stdin, sys.stderr.encoding or "utf-8"
        told, wrong = (io.TextIOWrapper(io.BytesIO(), letters, errors="replace") for _ in range(2))
        os.environ.update(self._places)
        try:
            with open(os.devnull) as sys.stdin, redirect_stdout(told), redirect_stderr(wrong):
                yield told, wrong
        finally:
            sys.stdin = stdin
            for name, value in before.items():
                _set(name, value)


def _fitted(line: str) -> Iterator[str]:
    """The line, or lines that hang below where its words begin."""
    if columns(line) <= WIDTH:
        yield line
        return
    found = _LABEL.match(line)
    label = found[0] if found else ""
    for number, part in enumerate(wrap(line[len(label) :], WIDTH - len(label))):
        yield f"{' ' * len(label) if number else label}{part}"


def _read(text: TextIO) -> str:
    text.seek(0)
    return text.read()


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
