"""Where a server listens, as it is typed: ``HOST:PORT``, or ``off``."""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from typing import Final

import msgspec

from cli.errors import CliError, UsageError
from gateway.address import is_loopback

HTTP: Final = "127.0.0.1:8787"
MQTT: Final = "127.0.0.1:1883"
WS: Final = "127.0.0.1:8083"
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  only with --lan, and with TLS
MQTTS: Final = f"{EVERYWHERE[0]}:8883"
WSS: Final = f"{EVERYWHERE[0]}:8884"
OFF: Final = "off"
WAIT_S: Final = 2.0  # for a port that is just being given up


class Address(msgspec.Struct, frozen=True):
    """A host and a port; 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, option: str) -> Address:
        """From ``HOST:PORT``, IPv6 in brackets; raises UsageError."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise UsageError(f"{option} takes HOST:PORT", f"for example {option} {HTTP}")
        return cls(host.strip("[]"), int(port))

    @property
    def text(self) -> str:
        """``HOST:PORT``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether only this computer reaches it."""
        return is_loopback(self.host)


def place(text: str | None, otherwise: str, option: str) -> Address | None:
    """An address that may be switched off; None: it is. Raises UsageError."""
    return None if text == OFF else Address.parse(text or otherwise, option)


def bound(address: Address) -> socket.socket:
    """A socket that listens there; a door whose parent was killed gets time to let go. Raises CliError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            listener.bind((address.host, address.port))
            listener.listen(512)
            return listener
        except OSError as error:  # socket.gaierror is one
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                listener.close()
                what = f"cannot listen on {address.text}"
                raise CliError(what, "choose another with --http HOST:PORT") from None
        time.sleep(0.05)


def own_names() -> list[str]:
    """What others on this network call this computer: its address towards them, and its name."""
    names = [socket.gethostname()]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1: nothing is sent, a route is chosen
        names.insert(0, probe.getsockname()[0])
    return names
