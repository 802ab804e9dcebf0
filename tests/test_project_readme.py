"""The README is executed: its quickstarts in one shell against a real server, its tables against the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
import pytest

from cli.commands import COMMANDS, load
from cli.errors import ExitCode
from gateway.dialects import read as read_payload
from gateway.dialects.notebook import Notebook
from gateway.dialects.reading import NAMES, DialectSettings
from tests.docs import REPO, Block, blocks
from tests.peers import require_peer
from tests.running import Acme, Running, publish

README = (REPO / "README.md").read_text()
ID = "7K3F"  # stands in the README for the id of the latest request, or the grant it became
END = "-- end of block"
SHELL_S = 120.0


def section(heading: str, text: str = README) -> str:
    """What stands under a heading, up to the next one of its level."""
    level = heading.partition(" ")[0]
    _, _, rest = text.partition(f"\n{heading}\n")
    assert rest, f"there is no {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.M)[0]


def quickstarts() -> list[Block]:
    """The blocks of the three quickstarts, in order."""
    lines = README.splitlines()
    headings = [place for place, line in enumerate(lines, 1) if line.startswith("## ")]
    first, *others, last = [
        place for place in headings if lines[place - 1].startswith("## Quickstart for a ")
    ]
    end = headings[headings.index(last) + 1]
    assert len(others) == 1
    return [block for block in blocks(README) if first < block.line < end]


def table(text: str) -> list[list[str]]:
    """The cells of a table's rows, its heading left out."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def spans(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


class TestFirstScreen:
    """What a newcomer sees before scrolling."""

    def test_it_begins_with_two_sentences_and_the_two_commands(self) -> None:
        title, what, *_ = README.split("\n\n")
        assert title == "# Hypertouch"
        assert len(what.splitlines()) == 2
        assert all(line.startswith(("Hypertouch is", "Brands ask")) for line in what.splitlines())
        shown = blocks(README, "sh")[0].text
        targets = re.findall(r"^make (\w+)", shown, re.M)
        assert targets == ["demo", "test"]
        makefile = (REPO / "Makefile").read_text()
        assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)

    @pytest.mark.slow
    def test_its_transcript_is_what_the_demo_prints(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "demo"],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path), "TZ": "UTC"},
        )
        assert done.returncode == 0, done.stderr
        [transcript] = blocks(README, "text")
        assert differences(transcript.text, done.stdout + done.stderr) == []
        assert list(tmp_path.iterdir()) == []

    def test_a_line_that_the_demo_does_not_print_is_found_out(self) -> None:
        printed = "1  one\n  a  7K3F\n  b\n\n2  two\n  c\n"
        assert differences("1  one\n  a  ABCD\n  ...\n2  two\n  c\n", printed) == []
        assert differences("1  one\n  a  ABCD\n2  two\n", printed) == ["2  two"]
        assert differences("1  one\n  ...\n  d\n", printed) == ["  d"]


VARYING = (
    (r"\b[A-Z2-7]{4}\b", "ID"),
    (r"\b\d{1,2} [A-Z][a-z]{2} \d{4}\b", "DATE"),
    (r"\d+ files, [\d.]+ [kM]B", "FILES"),
)


def differences(shown: str, printed: str) -> list[str]:
    """Lines shown that are not the next ones printed; ``...`` stands for any number of them."""
    lines = iter(_settled(printed))
    wrong = []
    skip = True
    for line in _settled(shown):
        if line.strip() == "...":
            skip = True
            continue
        found = next((one for one in lines if one == line), None) if skip else next(lines, None)
        skip = False
        if found != line:
            wrong.append(line)
            break
    return wrong


def _settled(text: str) -> list[str]:
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


class Shell:
    """One bash that keeps its variables between blocks, and ends at the first command that fails."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env=environment,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bash.kill()
        self._bash.communicate()

    def run(self, text: str) -> str:
        """Run a block with nothing to read, and return all that it printed."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"set -euo pipefail\n{{\n{text}\n}} </dev/null\nprintf '\\n%s\\n' '{END}'\n")
        self._bash.stdin.flush()
        printed: list[str] = []
        for line in self._bash.stdout:
            if line == f"{END}\n":
                return "".join(printed)
            printed.append(line)
        raise AssertionError(f"this block failed:\n{text}\nit printed:\n{''.join(printed)}")


class Story:
    """Runs blocks one after another, and plays everybody else who would be there."""

    def __init__(self, server: Running, shell: Shell) -> None:
        self.server = server
        self._shell = shell
        self._printed = ""
        # Where the README shows a conversation, the test gives the answers beforehand.
        self.scripted = {
            "hypertouch init": f"hypertouch init --server {server.http} --yes"
            f" --passphrase-file {server.passphrase_file} --recovery-file {server.directory / 'recovery'}",
            "hypertouch unlock": f"hypertouch unlock --passphrase-file {server.passphrase_file}",
            "hypertouch request approve": "hypertouch request approve --yes",
            "hypertouch grant narrow": "hypertouch grant narrow --yes",
            "hypertouch grant revoke": "hypertouch grant revoke --yes",
        }
        self.used: set[str] = set()
        # What happens meanwhile elsewhere, after the block that holds these words.
        self._meanwhile: dict[str, Callable[[], None]] = {
            "device add thermostat": self._thermostat_publishes,
            "touchpoint new Acme": self._acme_asks,
        }

    def run(self, block: Block) -> None:
        """Do what a block says; a JSON block is compared with what the block before it printed."""
        match block.language:
            case "sh" if block.text == "hypertouch up\n":
                assert self.server.process.poll() is None  # this is how the test started its server
            case "sh":
                self._printed = self._shell.run(self._here(block.text))
                for words in [words for words in self._meanwhile if words in block.text]:
                    self._meanwhile.pop(words)()
            case "python":
                self._printed = self._python(self._here(block.text))
            case "json":
                answer = json.loads(self._printed.strip().splitlines()[-1])
                assert shape(answer) == shape(json.loads(block.text)), f"line {block.line}: {answer}"
            case _:
                raise AssertionError(f"line {block.line}: nobody runs {block.language!r}")

    def finish(self) -> str:
        """Everything that was prepared has happened; returns what the last block printed."""
        assert not self._meanwhile
        assert self.used == set(self.scripted)
        return self._printed

    def _here(self, text: str) -> str:
        """The block with this server's addresses, the latest request's id, and answers given beforehand."""
        text = text.replace("127.0.0.1:8787", self.server.http.removeprefix("http://"))
        text = text.replace("-p 1883", f"-p {self.server.mqtt_port}")
        if ID in text:
            text = text.replace(ID, self.server.json("request", "list", "--all")[0]["short"])
        for words, instead in self.scripted.items():
            if words in text:
                self.used.add(words)
                text = text.replace(words, instead)
        return text

    def _python(self, text: str) -> str:
        """Run a program; whoever it asks says yes."""
        with subprocess.Popen(
            [sys.executable, "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.server.directory,
            env=self.server.environment,
        ) as program:
            try:
                if "brand.wait" in text:
                    [request] = self.server.json("request", "list", "--wait", "60s")
                    self.server.json("request", "approve", request["request"], "--history", "all", "--yes")
                printed, _ = program.communicate(timeout=SHELL_S)
            finally:
                program.kill()
        assert program.returncode == 0, f"this program failed:\n{text}\nit printed:\n{printed}"
        return printed

    def _said(self, label: str) -> str:
        """What the last block printed behind a word."""
        found = re.search(rf"^\s*{label}\s+(\S+)$", self._printed, re.M)
        assert found, f"{label!r} is not in:\n{self._printed}"
        return found[1]

    def _thermostat_publishes(self) -> None:
        credential = {
            "host": self._said("host"),
            "port": self.server.mqtt_port,
            "username": self._said("user"),
            "password": self._said("password"),
        }
        publish(credential, [("home/thermostat", b'{"temperature": 20.5, "humidity": 41}')])

    def _acme_asks(self) -> None:
        acme = Acme(self.server.http, self._said("client_id"), self._said("client_secret"))
        [touchpoint] = re.findall(r"^[a-z2-7]{26}$", self._printed, re.M)
        kinds = ["temperature", "humidity"]
        acme.ask(touchpoint, {"type": "personal_data", "datatypes": kinds, "purpose": "dpv:ServiceProvision"})


def shape(value: Any) -> Any:
    """The names and types of a JSON value; of a list, those of its first element."""
    match value:
        case dict():
            return {name: shape(one) for name, one in value.items()}
        case list():
            return [shape(one) for one in value[:1]]
        case bool() | str() | None:
            return type(value)
        case _:
            return float


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A running server, ended after the test."""
    with Running(tmp_path, "--poll-interval", "1") as running:
        yield running


@pytest.mark.slow
@pytest.mark.peer
def test_the_quickstarts_can_be_typed_from_top_to_bottom(server: Running, tmp_path: Path) -> None:
    """One shell, one server, every block in its order."""
    for program in ("bash", "curl", "mosquitto_pub"):
        require_peer(program)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    shim = bin_ / "hypertouch"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli.main "$@"\n')
    shim.chmod(0o755)
    path = os.pathsep.join([str(bin_), os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    with Shell(tmp_path, {**server.environment, "PATH": path}) as shell:
        story = Story(server, shell)
        for block in quickstarts():
            story.run(block)
        last = story.finish()
    # How the story ends: what was revoked is refused, the SDK read what was given, nothing more waits.
    assert json.loads((tmp_path / "state.json").read_text())["active"] is True
    assert json.loads((tmp_path / "refused.json").read_text())["status"] == 401
    assert [line.split()[1:] for line in last.splitlines()] == [
        ["humidity", "41.0", "%RH"],
        ["humidity", "48.0", "%RH"],
    ]
    assert server.json("request", "list") == []
    assert (tmp_path / "readings.csv").read_text().count("\n") == 3


def test_a_block_that_fails_fails_its_test(tmp_path: Path) -> None:
    with Shell(tmp_path, dict(os.environ)) as shell:
        assert shell.run("A=1\necho one") == "one\n\n"
        assert shell.run('echo "$A"') == "1\n\n"
        with pytest.raises(AssertionError, match="it printed:\ntwo"):
            shell.run("echo two\nfalse | tee /dev/null\necho three")


OURS = Notebook(DialectSettings(own=("AA:BB:CC:DD:EE:FF",)))


def test_every_payload_of_the_table_is_understood() -> None:
    seen = set()
    for name, topics, payloads in table(section("## Quickstart for a device")):
        topic = (spans(topics) or ["home/kitchen"])[0]
        word = name.lower().split()[0].strip(",")
        (dialect,) = [one for one in NAMES if one.partition("-")[0] == word]
        seen.add(dialect)
        for payload in spans(payloads):
            reading = read_payload(topic, payload.encode(), time.time_ns() // 1_000_000, OURS)
            assert reading.observations or reading.lessons, (topic, payload)
            assert not reading.quarantine, (topic, payload)
            assert reading.dialect == dialect, (topic, payload)
    assert seen == set(NAMES)


def test_the_commands_are_listed_as_they_are() -> None:
    expected = []
    for name, entry in COMMANDS.items():
        command = load(name)
        members = f" {'|'.join(command.commands)}" if isinstance(command, click.Group) else ""
        expected.append(f"- `hypertouch {name}{members}`: {entry.short}")
    listed = [line for line in section("### Commands").splitlines() if line.startswith("- ")]
    assert listed == expected


def test_the_exit_statuses_are_those_of_the_code() -> None:
    listed = {int(number): name for number, name, _ in table(section("### Exit status"))}
    assert listed == {code.value: code.name.lower().replace("_", " ") for code in ExitCode}


def test_the_environment_variables_are_those_that_the_code_reads() -> None:
    listed = {variable for row in table(section("### Files and environment")) for variable in spans(row[0])}
    read = set()
    for package in ("policies", "vault", "gateway", "cli"):
        for path in (REPO / package).rglob("*.py"):
            read |= set(re.findall(r"environ[^\n]*\"(HYPERTOUCH_\w+)\"", path.read_text()))
    assert listed == read
