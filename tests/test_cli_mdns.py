"""What a server says of itself on the network, heard by a real mDNS browser on the same interface."""

from __future__ import annotations

import getpass
import ipaddress
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from zeroconf import IPVersion, ServiceBrowser, ServiceStateChange, Zeroconf

from cli.mdns import PLAIN, SECURE, addresses
from cli.places import Address
from tests.running import Running

SECONDS = 20.0  # a name is probed for, which takes one or two


class Ears:
    """Somebody who listens on loopback, where the servers of these tests serve; ``names``: announced now."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._changed = threading.Condition()
        self.zeroconf = Zeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
        self.browser = ServiceBrowser(self.zeroconf, [SECURE, PLAIN], handlers=[self._note])

    def _note(self, **said: Any) -> None:
        with self._changed:
            gone = said["state_change"] is ServiceStateChange.Removed
            (self.names.discard if gone else self.names.add)(said["name"])
            self._changed.notify_all()

    def hear(self, name: str, *, there: bool = True) -> bool:
        """Whether this comes to be announced, or no longer is, in time."""
        with self._changed:
            return self._changed.wait_for(lambda: (name in self.names) is there, SECONDS)


@pytest.fixture
def ears() -> Iterator[Ears]:
    """A browser for the time of a test."""
    made = Ears()
    yield made
    made.browser.cancel()
    made.zeroconf.close()


def announced(server: Running, kind: str = SECURE) -> str:
    """The name of a server's instance."""
    return f"Hypertouch {server.ready['ca_fingerprint'][:8]}.{kind}"


def loaded(server: Running) -> str:
    """The libraries in a server's first process."""
    return Path(f"/proc/{server.process.pid}/maps").read_text()


TLS_HERE = ("--lan", "--mqtts", "127.0.0.1:0")


def test_a_server_announces_mqtt_over_tls_and_says_goodbye(ears: Ears, tmp_path: Path) -> None:
    with Running(tmp_path, *TLS_HERE) as server:
        name = announced(server)
        assert ears.hear(name), ears.names
        assert announced(server, PLAIN) not in ears.names, "nobody is to send a password readably"
        info = ears.zeroconf.get_service_info(SECURE, name)
        assert info is not None
        assert info.server is not None
        assert info.parsed_addresses() == ["127.0.0.1"]
        assert info.port == int(server.ready["mqtts"].rpartition(":")[2])
        assert info.server == f"hypertouch-{server.ready['ca_fingerprint'][:8]}.local."
        assert info.properties == {}
        certificate = x509.load_pem_x509_certificate((server.data / "tls" / "server.pem").read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert info.server.rstrip(".") in names.get_values_for_type(x509.DNSName), "it can be verified"
        said = f"{name} {info.server} {info.text!r}".lower()
        for personal in (socket.gethostname(), getpass.getuser()):
            assert personal.lower() not in said, "computers are called after people"
        assert "zeroconf" in loaded(server)
    assert ears.hear(name, there=False), "it said goodbye"


def test_a_server_that_is_told_to_be_silent_is(ears: Ears, tmp_path: Path) -> None:
    """The second server, which may speak, is heard: by then so would have been the first."""
    for name in ("silent", "speaking"):
        (tmp_path / name).mkdir()
    with (
        Running(tmp_path / "silent", *TLS_HERE, "--no-mdns") as silent,
        Running(tmp_path / "speaking", *TLS_HERE) as speaking,
    ):
        assert ears.hear(announced(speaking)), ears.names
        assert announced(silent) not in ears.names
        assert "zeroconf" not in loaded(silent)


def test_a_server_of_this_computer_alone_does_not_load_what_it_would_take(tmp_path: Path) -> None:
    with Running(tmp_path) as server:
        assert "zeroconf" not in loaded(server)


PLACES = {
    "one address": (Address("192.0.2.7", 8883), ["192.0.2.7"]),
    "IPv6": (Address("fd00::7", 8883), ["fd00::7"]),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_service_is_announced_where_it_listens(name: str) -> None:
    at, expected = PLACES[name]
    assert addresses(at) == expected


def test_a_service_that_listens_everywhere_is_announced_with_an_address_and_no_name() -> None:
    for found in addresses(Address("0.0.0.0", 8883)):  # noqa: S104
        ipaddress.ip_address(found)
