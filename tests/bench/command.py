"""The command line as a person runs it: processes of their own, from start to end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.bench.history import KINDS
from tests.bench.rig import PASSPHRASE
from tests.bench.year import Home
from vault.grantkey import grant_of_pickup

TIMEOUT_S: Final = 60.0
_ENTRY: Final = "from cli.main import entry; entry()"  # what the installed script says


def program() -> list[str]:
    """The installed script beside this interpreter, or else what it would say."""
    script = Path(sys.executable).with_name("hypertouch")
    return [str(script)] if script.exists() else [sys.executable, "-c", _ENTRY]


def seconds(*arguments: str, environment: dict[str, str] | None = None) -> float:
    """How long a process takes; raises CalledProcessError."""
    begun = time.perf_counter()
    subprocess.run(
        arguments,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    return time.perf_counter() - begun


def approve(repeats: int, home: Home, directory: Path) -> list[float]:
    """Seconds of ``request approve`` with all of the history, on a computer that has just logged in."""
    passphrase = directory / "passphrase"
    passphrase.write_text(PASSPHRASE + "\n")
    passphrase.chmod(0o600)
    environment = {"HYPERTOUCH_HOME": str(directory / "client")}
    unlocking = ("--passphrase-file", str(passphrase), "--json")
    vault = home.written.household.vault.text
    login = (*program(), "login", "--server", home.server.url, "--vault", vault, *unlocking)
    seconds(*login, environment=environment)
    taken: list[float] = []
    for _ in range(repeats):
        grant = grant_of_pickup(home.acme.ask(list(KINDS)).auth_req_id)
        call = (*program(), "request", "approve", grant.text, "--history", "all", "--yes", *unlocking)
        taken.append(seconds(*call, environment=environment))
    return taken
