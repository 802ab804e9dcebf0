"""A person at a real terminal: what is shown, what is asked, and what happens on each answer."""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from cli.errors import ExitCode
from tests.docs import REPO
from tests.running import Acme, Running, publish

PATIENCE_S = 60.0
INTERRUPT = "\x03"  # Ctrl-C
END_OF_INPUT = "\x04"  # Ctrl-D
CONTROLS = (INTERRUPT, END_OF_INPUT)

# A session's leader takes the terminal it opens: what `login` does for a person.
TAKE_TERMINAL = (
    "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """One command at a pseudo-terminal of its own; everything it shows is in ``shown``."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self._ours, theirs = os.openpty()
        command = [sys.executable, "-m", "cli.main", *arguments]
        self._process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm", "COLUMNS": "80"},
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._ours)

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until something new is shown that matches."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = re.compile(pattern, re.M).search(self.shown, self._read)
            if found:
                self._read = found.end()
                return found
            assert self._more(deadline), f"{pattern!r} was not shown, but:\n{self.shown}"

    def type(self, text: str) -> None:
        """Type a line, or a control character."""
        os.write(self._ours, text.encode() if text in CONTROLS else f"{text}\n".encode())

    def end(self) -> int:
        """Wait for the end, and return the exit status."""
        deadline = time.monotonic() + PATIENCE_S
        while self._more(deadline):
            pass
        return self._process.wait(PATIENCE_S)

    def _more(self, deadline: float) -> bool:
        """Read what there is; False at the end of it, and when the time is over."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux: the other end is closed
                raise
            return False
        self.shown += data.decode().replace("\r\n", "\n")
        return bool(data)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A running server, ended after the test."""
    with Running(tmp_path, "--poll-interval", "1") as running:
        yield running


def ask(server: Running) -> tuple[Acme, dict[str, Any]]:
    """A thermostat has published, and Acme asks for two kinds of it."""
    thermostat = server.json("device", "add", "thermostat")
    publish(thermostat, [("home/thermostat", b'{"temperature": 20.5, "humidity": 41}')])
    brand = server.json("brand", "add", "Acme", "--site", "https://acme.example")
    touchpoint = server.json("touchpoint", "new", "Acme")["touchpoint"]
    acme = Acme(server.http, brand["client_id"], brand["client_secret"])
    asked = acme.ask(
        touchpoint,
        {
            "type": "personal_data",
            "datatypes": ["temperature", "humidity"],
            "purpose": "dpv:ServiceProvision",
            "purpose_text": "Heat when it is cold",
            "retention": "P90D",
            "benefit": "10 % off",
        },
    )
    return acme, asked


@pytest.mark.slow
def test_a_person_makes_a_vault_and_decides_at_a_terminal(server: Running) -> None:
    """init with the recovery words typed back, unlock, approve after a change, revoke, recovery test."""
    with Terminal(server.environment, "init", "--server", server.http) as terminal:
        shown = terminal.expect(r"(?:^(?: +\d+\. [a-z]+){4} *\n){6}")[0]
        words = {int(number): word for number, word in re.findall(r"(\d+)\. ([a-z]+)", shown)}
        asked = int(terminal.expect(r"^Word (\d+)\? ")[1])
        terminal.type("wrong" if words[asked] != "wrong" else "right")
        terminal.expect("that is another word")
        terminal.expect(rf"^Word {asked}\? ")
        terminal.type(words[asked])
        later = int(terminal.expect(r"^Word (\d+)\? ")[1])
        assert later > asked
        terminal.type(words[later])
        passphrase = terminal.expect(r"^    ((?:[a-z]+ ){5}[a-z]+)$")[1]
        assert terminal.end() == ExitCode.OK
        assert "hypertouch unlock" in terminal.shown

    with Terminal(server.environment, "unlock") as terminal:
        terminal.expect("Passphrase: ")
        terminal.type("not this one at all")
        assert terminal.end() == ExitCode.WRONG_PASSPHRASE
    with Terminal(server.environment, "unlock") as terminal:
        terminal.expect("Passphrase: ")
        terminal.type(passphrase)
        assert terminal.end() == ExitCode.OK
        assert passphrase not in terminal.shown  # nobody beside the screen reads it

    acme, asked_of_us = ask(server)
    [request] = server.json("request", "list", "--wait", "30s")
    with Terminal(server.environment, "request", "approve", request["short"]) as terminal:
        terminal.expect(r"^Acme \(acme\.example\) asks for humidity, temperature ")
        terminal.expect(r"^  last week they would have received$")
        terminal.expect(r"^Approve exactly this\? \[y\]es \[n\]o \[c\]hange \[p\]review ")
        terminal.type("c")
        for question, answer in (
            (r"^Change what\? ", "kinds for 30d history"),
            (r"^Which kinds\? \(temperature, humidity\) ", "temperature"),
            (r"^How much history", "all"),
        ):
            terminal.expect(question)
            terminal.type(answer)
        terminal.expect(rf"^Acme \(acme\.example\) asks for temperature +request {request['short']}$")
        terminal.expect(r"from now on, and all history$")
        terminal.expect(r"^Approve exactly this\? ")
        terminal.type("y")
        assert terminal.end() == ExitCode.OK
    granted = acme.token(asked_of_us)
    records, _ = acme.read(granted["access_token"])
    assert [record["v"] for record in records] == [20.5]

    with Terminal(server.environment, "grant", "revoke", request["short"]) as terminal:
        terminal.expect(r"^End what Acme may read\? \[y\]es \[n\]o ")
        terminal.type("y")
        terminal.expect(r"^Acme can read nothing more\. It keeps what it read \(1 reading\);")
        assert terminal.end() == ExitCode.OK
    assert acme.get("/observations", granted["access_token"]).status_code == 401

    with Terminal(server.environment, "recovery", "test") as terminal:
        terminal.expect("^> ")
        terminal.type(" ".join(words[place] for place in range(1, 25)))
        terminal.expect("these words open your vault")
        assert terminal.end() == ExitCode.OK


@pytest.mark.slow
def test_no_and_ctrl_c_change_nothing_and_leave_with_130(server: Running) -> None:
    """At every question, whoever does not say yes has given nothing."""
    with Terminal(server.environment, "init", "--server", server.http) as terminal:
        terminal.expect(r"^Word \d+\? ")
        terminal.type(INTERRUPT)
        assert terminal.end() == ExitCode.CANCELLED
        assert "Traceback" not in terminal.shown
    assert server.run("status").returncode == ExitCode.NO_VAULT

    server.make_vault()
    ask(server)
    [request] = server.json("request", "list", "--wait", "30s")
    for answer in ("n", INTERRUPT, END_OF_INPUT):
        with Terminal(server.environment, "request", "approve", request["short"]) as terminal:
            terminal.expect(r"^Approve exactly this\? ")
            terminal.type(answer)
            assert terminal.end() == ExitCode.CANCELLED
    [still] = server.json("request", "list")
    assert (still["request"], still["status"]) == (request["request"], "pending")
    assert server.json("grant", "list") == []


@pytest.mark.slow
def test_ctrl_c_ends_the_demo_and_leaves_nothing(tmp_path: Path) -> None:
    """In the midst of it, with a server, its doors and an agent running."""
    environment = {**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path)}
    with Terminal(environment, "demo") as terminal:
        terminal.expect("^3  Acme asks")
        [directory] = tmp_path.iterdir()
        terminal.type(INTERRUPT)
        assert terminal.end() == ExitCode.CANCELLED
        assert "Traceback" not in terminal.shown
    assert list(tmp_path.iterdir()) == []
    assert processes_in(directory) == []


def test_a_process_that_is_left_is_found(tmp_path: Path) -> None:
    """The control of the test above."""
    environment = {**os.environ, "HYPERTOUCH_DATA": str(tmp_path)}
    with subprocess.Popen(["cat"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left:
        assert left.stdin is not None
        assert left.stdout is not None
        left.stdin.write(b"ready\n")
        left.stdin.flush()
        assert left.stdout.readline() == b"ready\n"  # it runs, so that its environment can be read
        assert processes_in(tmp_path) == [left.pid]


def processes_in(directory: Path) -> list[int]:
    """Processes whose environment names a directory; those that let nobody look are not found."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(directory) in environment:
            found.append(int(entry.name))
    return found
