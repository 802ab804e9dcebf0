"""The command line in this process, with a home of its own, against an ``OwnerHost``."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli.main import main
from tests.owner_host import Clock, OwnerHost, serve
from vault.ids import DeviceId, VaultId
from vault.observation import Observation

PASSPHRASE = "lantern orbit velvet cactus prism harbour"
DAY_MS = 86_400_000


class Wall(Clock):
    """The real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it answered in JSON."""
        assert self.status == 0, self.err
        return json.loads(self.out)


class Desk:
    """A person at a computer."""

    def __init__(self, host: OwnerHost, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host, self.directory, self._patch = host, directory, monkeypatch
        self.home = directory / "home"
        self.passphrase = self.write("passphrase", PASSPHRASE + "\n")
        self.recovery = directory / "recovery"

    def write(self, name: str, text: str) -> str:
        """A file beside the home; its path."""
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    def run(self, *words: str, home: Path | None = None, stdin: str = "") -> Done:
        """A command line, without a terminal."""
        self._patch.setenv("HYPERTOUCH_HOME", str(home or self.home))
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main(list(words))
        return Done(status, out.getvalue(), err.getvalue())

    def json(self, *words: str) -> Any:
        """A command that must succeed, and its answer."""
        return self.run(*words, "--json").json

    def init(self, *words: str) -> Done:
        """``init`` as a script would."""
        return self.run(
            "init",
            "--server",
            self.host.url,
            "--recovery-file",
            str(self.recovery),
            "--yes",
            "--json",
            *words,
        )

    def make_vault(self) -> VaultId:
        """A vault, unlocked."""
        made = self.init("--passphrase-file", self.passphrase).json
        assert self.run("unlock", "--passphrase-file", self.passphrase).status == 0
        self.vault = VaultId.parse(made["vault"])
        return self.vault

    def add_device(self, name: str = "meter") -> DeviceId:
        """A device of the vault."""
        return DeviceId.parse(self.json("device", "add", name)["device"])

    def publish(self, device: DeviceId, *readings: Observation) -> None:
        """What it sends."""
        self.host.publish(self.vault, device, readings)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A computer without a vault yet."""
    with serve(OwnerHost(tmp_path / "data", Wall())) as host:
        made = Desk(host, tmp_path, monkeypatch)
        yield made
        made.run("lock")


@pytest.fixture
def open_desk(desk: Desk) -> Desk:
    """A computer with an unlocked vault."""
    desk.make_vault()
    return desk
