"""Addresses: who can reach them, and those that are too long."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.address import is_loopback, unix_address
from gateway.rpcclient import call_sync
from gateway.wire import GetStatus, NodeStatus
from tests.node_process import NodeProcess, Person
from vault.store.paths import DataDir


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::", False),
        ("192.0.2.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_only_this_computer_is_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_a_socket_deep_down_is_bound_and_reached(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    path = deep / "node.sock"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with pytest.raises(OSError, match="too long"):  # the control
            server.bind(str(path))
        with unix_address(path) as address:
            server.bind(address)
        server.listen()
        with unix_address(path) as address:
            client.connect(address)
    assert path.is_socket()


def test_a_node_runs_in_a_deep_directory(tmp_path: Path) -> None:
    person = Person(DataDir(tmp_path / ("d" * 60) / ("e" * 60) / "node"))
    with NodeProcess(person.data) as node:
        assert node.port
        assert isinstance(call_sync(person.data.socket, GetStatus()), NodeStatus)
