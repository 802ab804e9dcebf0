"""The agent, seen from the commands: it keeps the vault unlocked for a while, so that a person types less.

One agent a home. The process itself is ``cli.keeper``; where no agent can run, as in a container, every
command takes ``--passphrase-file`` instead.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

from cli import keeper
from cli.errors import CliError
from cli.home import prepare

IDLE_S = 15 * 60.0
START_S = 30.0  # for the process to come up on a busy computer
LONGEST_PATH = 100  # bytes; a unix socket's name has 108 on Linux and 104 on macOS, its end included
LONGEST_NAME = f"{keeper.SOCKET}.{1 << 22}"  # while an agent takes over, its socket carries its process id


def fetch_root(home: Path) -> bytes | None:
    """The root key, 32 bytes, if an agent holds it; asking puts off its idle lock."""
    answer = _ask(home, b"get\n")
    if answer is None or not answer.startswith(b"root "):
        return None
    root = bytes.fromhex(answer.removeprefix(b"root ").decode())
    return root if len(root) == keeper.ROOT_SIZE else None


def seconds_left(home: Path) -> int | None:
    """Seconds until the idle lock; None while locked."""
    answer = _ask(home, b"status\n")
    if answer is None or not answer.startswith(b"open "):
        return None
    return int(answer.removeprefix(b"open "))


def start(home: Path, root: bytes, idle_s: float = IDLE_S) -> None:
    """Keep ``root`` until nobody asked for ``idle_s`` seconds; an agent before this one ends.

    Returns when the new agent answers.

    Raises:
        CliError: the agent cannot be started, or its directory is not this user's alone.
    """
    prepare(home)
    directory = socket_directory(home)
    if directory != home:
        _require_private(directory)
    # By path, isolated, without site-packages: see the module it runs.
    command = [sys.executable, "-I", "-S", keeper.__file__, str(directory), str(idle_s)]
    try:
        done = subprocess.run(
            command,
            input=root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=START_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise CliError("the agent cannot be started", _INSTEAD) from None
    if done.returncode != 0:
        raise CliError("the agent did not start", _INSTEAD)


def stop(home: Path) -> bool:
    """Lock: the agent forgets the root and ends. False where there was none."""
    return _ask(home, b"lock\n") == b"locked\n"


def socket_directory(home: Path) -> Path:
    """``home``, or a short directory where the socket's name in it would be too long for the system."""
    if len(os.fsencode(home / LONGEST_NAME)) <= LONGEST_PATH:
        return home
    name = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and len(os.fsencode(Path(runtime, f"hypertouch-{name}", LONGEST_NAME))) <= LONGEST_PATH:
        return Path(runtime, f"hypertouch-{name}")
    return Path("/tmp", f"hypertouch-{os.geteuid()}-{name}")  # noqa: S108 -- made 0700 and checked to be ours


_INSTEAD = "give each command --passphrase-file PATH or --passphrase-command CMD instead"


def _ask(home: Path, request: bytes) -> bytes | None:
    """Send one line; a socket that a dead agent left is removed on the way."""
    directory = socket_directory(home)
    path = directory / keeper.SOCKET
    if not path.exists():
        return None
    answer = keeper.send(str(path), request)
    if answer is None:
        keeper.clear_stale(str(directory))
    return answer


def _require_private(directory: Path) -> None:
    """Make ``directory``, mode 0700; one that was there must be a directory of this user's alone."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise CliError(f"{directory} cannot be used: {error.strerror}", _INSTEAD) from None
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    if not own:
        raise CliError(f"{directory} is not this user's alone", f"remove it, or {_INSTEAD}")
