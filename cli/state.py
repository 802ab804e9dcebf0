"""What this computer remembers of the vault: one profile file, written whole, readable by its owner alone.

The profile holds no unlocked secret: the client's key is sealed, the owner's keys in it are public. It pins what the
server must not be able to change or roll back: the owner's keys, the suite, the ledger's head and the generation.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from cli.errors import CliError, NoVaultError

PROFILE = "profile"
LOCK = "profile.lock"
MAX_SIZE = 1 << 20  # bytes; a profile has a few thousand


class Pin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The furthest state of the vault that this client has seen; a server that shows less has rolled back."""

    ledger_n: int = 0  # entries; 0 before the first
    ledger_head: bytes = b""  # hash of entry ledger_n
    generation: int = 0  # of the live file


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person's vault as this computer knows it. Bytes are base64 in the file."""

    version: Literal[1] = 1
    name: str  # what the person calls the vault
    vault: str  # VaultId, 26 characters
    server: str  # base URL of the door
    ca_pem: str = ""  # the server's own CA; empty: the system's
    client: str  # ClientId, 26 characters
    client_key: bytes  # Ed25519, sealed; opens with the root key
    owner_box: bytes  # the owner's HPKE public key
    owner_sign: bytes  # the owner's Ed25519 public key
    suite: int
    pin: Pin = Pin()


def home(given: Path | None = None) -> Path:
    """Where the profile lies: ``given``, else ``HYPERTOUCH_HOME``, else the platform's place for a person's data."""
    if given is not None:
        return given.absolute()
    if named := os.environ.get("HYPERTOUCH_HOME"):
        return Path(named).absolute()
    import platformdirs

    return platformdirs.user_data_path("hypertouch", appauthor=False)


def prepare(home: Path) -> None:
    """Make ``home``, or take it over: a directory of this user that nobody else can enter (0700).

    Raises:
        CliError: it is no directory, or another user's.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        _require_own(home.stat(), home)
        home.chmod(0o700)  # mkdir's mode passes through the umask, and an existing directory had its own
    except FileExistsError:
        raise CliError(f"{home} is not a directory", "choose another with --home") from None
    except PermissionError:
        raise CliError(f"{home} cannot be used", "choose another with --home") from None


def load(home: Path) -> Profile:
    """The profile.

    Raises:
        NoVaultError: there is none.
        CliError: it is a link, another user's, open to others, or not a profile.
    """
    path = home / PROFILE
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise NoVaultError("there is no vault on this computer") from None
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}", "it must be a plain file of yours") from None
    with open(handle, "rb") as file:
        _require_private(os.fstat(file.fileno()), path)
        data = file.read(MAX_SIZE)
    try:
        return msgspec.json.decode(data, type=Profile)
    except msgspec.MsgspecError:
        raise CliError(
            f"{path} is damaged, or from another version", "restore the file, or move it away and log in again"
        ) from None


def save(home: Path, profile: Profile) -> None:
    """Write the profile: durable and whole, or not at all. Raises as ``prepare``."""
    prepare(home)
    write_private(home / PROFILE, msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n")


def update(home: Path, change: Callable[[Profile], Profile]) -> Profile:
    """Load, change and save while no other command does; raises as ``load``."""
    with locked(home):
        before = load(home)
        after = change(before)
        if after != before:
            save(home, after)
        return after


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the profile's lock: commands that change it wait for each other. Raises ``NoVaultError`` without a home."""
    try:
        handle = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        raise NoVaultError("there is no vault on this computer") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_private(path: Path, data: bytes) -> None:
    """Replace ``path`` by a file with ``data``, mode 0600, on disk before this returns."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mkstemp makes it 0600
    try:
        with open(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # the new name is part of what must survive
    finally:
        os.close(directory)


def _require_private(found: os.stat_result, path: Path) -> None:
    _require_own(found, path)
    if not stat.S_ISREG(found.st_mode):
        raise CliError(f"{path} is not a plain file", "move it away")
    if found.st_mode & 0o077:
        raise CliError(f"{path} is open to other users", f"run: chmod 600 {path}")


def _require_own(found: os.stat_result, path: Path) -> None:
    if found.st_uid != os.geteuid():
        raise CliError(f"{path} belongs to another user", "choose another with --home")
