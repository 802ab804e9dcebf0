"""What an address says about who can reach it, and addresses that are too long."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SOCKET_PATH_MAX: Final = 104  # bytes of sun_path on macOS; Linux has four more


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this computer."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def lan_name(ca_fingerprint: str) -> str:
    """What a node is called by mDNS: after its authority, so that it stays, and tells nothing of a person."""
    return f"hypertouch-{ca_fingerprint[:8]}.local" if ca_fingerprint else "hypertouch.local"


@contextmanager
def unix_address(path: Path) -> Iterator[str]:
    """A name for a unix socket's path that a socket address can hold: at most 107 bytes on Linux.

    A data directory may lie deeper than that.  Its open directory then stands for it, as long as the block
    lasts (Linux, where nodes run).
    """
    if len(os.fsencode(path)) < SOCKET_PATH_MAX:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
