"""New files for the person alone: there whole, or not at all, and never over another one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cli.errors import CliError, ConflictError


@contextmanager
def new_file(path: Path) -> Iterator[IO[str]]:
    """A text file of mode 0600, whatever the umask, that appears under its name when the block ends well.

    Raises:
        ConflictError: there is one of this name.
        CliError: it cannot be written.
    """
    if path.exists():
        raise ConflictError(f"{path} exists already", "nothing is overwritten; name another file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", "name another file") from None
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), 0o600)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # unlike a rename, it never replaces what appeared meanwhile
    except FileExistsError:
        raise ConflictError(f"{path} exists already", "nothing is overwritten; name another file") from None
    finally:
        part.unlink(missing_ok=True)
