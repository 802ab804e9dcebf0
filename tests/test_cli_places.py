"""Where a server listens: a port that is just being given up is waited for, and one that is taken is not."""

from __future__ import annotations

import socket
import threading

import pytest

from cli import places
from cli.errors import CliError
from cli.places import Address, bound


def taken() -> tuple[socket.socket, Address]:
    other = socket.create_server(("127.0.0.1", 0))
    return other, Address(*other.getsockname()[:2])


def test_a_port_that_is_given_up_meanwhile_is_taken() -> None:
    other, address = taken()
    leaving = threading.Timer(0.3, other.close)
    leaving.start()
    with bound(address) as listener:
        assert listener.getsockname()[1] == address.port
    leaving.join()


def test_a_port_that_stays_taken_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "WAIT_S", 0.2)
    other, address = taken()
    with other, pytest.raises(CliError, match="cannot listen"):
        bound(address)


def test_a_host_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(CliError, match="cannot listen"):
        bound(Address("no.such.host.invalid", 1))
