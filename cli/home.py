"""The directory where this computer keeps its part of a vault, and files in it that only the owner can read.

Modes are set on the open file, never left to the umask: directories 0700, files 0600.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.errors import CliError, NoVaultError

LOCK = "lock"


def locate(given: Path | None = None) -> Path:
    """``given``, else ``HYPERTOUCH_HOME``, else the platform's place for a person's data."""
    if given is not None:
        return given.absolute()
    if named := os.environ.get("HYPERTOUCH_HOME"):
        return Path(named).absolute()
    import platformdirs

    return platformdirs.user_data_path("hypertouch", appauthor=False)


def prepare(home: Path) -> None:
    """Make ``home``, or take it over: a directory of this user that nobody else can enter.

    Raises:
        CliError: it is no directory, another user's, or cannot be made.
    """
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        require_own(home.stat(), home)
        home.chmod(0o700)  # mkdir's mode passes through the umask, and an existing directory had its own
    except OSError as error:
        raise CliError(
            f"{home} cannot be used: {error.strerror}", "choose another directory with --home"
        ) from None


def read_private(path: Path, limit: int) -> bytes | None:
    """At most ``limit`` bytes of a plain file of this user, closed to others; None where there is no file.

    Raises:
        CliError: it is a link, another user's, open to others, or unreadable.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # ELOOP: a symbolic link
        raise CliError(f"{path} cannot be read: {error.strerror}", "it must be a file of yours") from None
    try:
        found = os.fstat(handle)
        require_own(found, path)
        if not stat.S_ISREG(found.st_mode):
            raise CliError(f"{path} is not a plain file", "move it away")
        if found.st_mode & 0o077:
            raise CliError(f"{path} is open to other users", f"run: chmod 600 {path}")
        with open(handle, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(handle)


def write_private(path: Path, data: bytes) -> None:
    """Replace ``path`` by a file with ``data``, mode 0600, on disk before this returns.

    Raises:
        CliError: it cannot be written; what was there before is still there, whole.
    """
    try:
        _replace(path, data)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", "is the disk full?") from None


def _replace(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
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


@contextmanager
def locked(directory: Path, name: str = LOCK) -> Iterator[None]:
    """Hold a lock in ``directory``: commands that change what lies there wait for each other.

    Raises:
        NoVaultError: there is no such directory.
    """
    try:
        handle = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        raise NoVaultError("there is no vault on this computer") from None
    try:
        os.fchmod(handle, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def require_own(found: os.stat_result, path: Path) -> None:
    """Raise ``CliError`` where the thing at ``path`` is another user's."""
    if found.st_uid != os.geteuid():
        raise CliError(f"{path} belongs to another user", "choose another directory with --home")
