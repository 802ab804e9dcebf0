"""A certificate that changes while a real node and a real door use it."""

from __future__ import annotations

import os
import socket
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509

from gateway.errors import TlsError
from gateway.node.tls import open_tls
from gateway.tlsfiles import TlsFiles, names_of
from tests.mqtt_client import PINGREQ, PINGRESP, RawClient, connect
from tests.node_process import PASSWORD, NodeProcess, Person
from tests.test_gateway_door_run import door
from vault.store.paths import DataDir

SECONDS = 20.0  # a node looks every second


def put(made: Path, own: Path) -> int:
    """Replace the files that are in use, the key first, as tools do; the serial number of the new one."""
    own.mkdir(exist_ok=True)
    for name in ("server.key", "server.pem"):
        fresh = own / "fresh"
        fresh.write_bytes((made / name).read_bytes())
        fresh.chmod(0o600)
        os.replace(fresh, own / name)
    return x509.load_pem_x509_certificate((own / "server.pem").read_bytes()).serial_number


def trusting(*authorities: Path) -> ssl.SSLContext:
    """Whoever trusts these, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for authority in authorities:
        context.load_verify_locations(authority / "ca.pem")
    return context


def serial(port: int, context: ssl.SSLContext) -> int:
    """What a handshake that begins now is shown."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        der = secure.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def changes(port: int, context: ssl.SSLContext, wanted: int) -> bool:
    """Whether new handshakes are shown another certificate in time."""
    deadline = time.monotonic() + SECONDS
    while serial(port, context) != wanted:
        if time.monotonic() > deadline:
            return False
    return True


def healthy(connection: ssl.SSLSocket) -> bool:
    """Whether a door answers on this connection."""
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b'{"ok":true}'):
        more = connection.recv(1 << 16)
        if not more:
            return False
        answer += more
    return True


@pytest.fixture
def authorities(tmp_path: Path) -> tuple[Path, Path]:
    """Two of them, with a certificate each."""
    for name in ("one", "other"):
        open_tls(tmp_path / name, [], time.time())
    return tmp_path / "one", tmp_path / "other"


def test_a_node_takes_a_new_certificate_and_keeps_its_connections(
    tmp_path: Path, authorities: tuple[Path, Path]
) -> None:
    own, person = tmp_path / "own", Person(DataDir(tmp_path / "node"))
    first = put(authorities[0], own)
    tls = {"tls_cert": str(own / "server.pem"), "tls_key": str(own / "server.key")}
    with NodeProcess(person.data, mqtts_host="127.0.0.1", mqtts_port=0, **tls) as node:
        port, context = node.ready["mqtts_port"], trusting(*authorities)
        assert node.ready["ca_fingerprint"] == "", "the owner's own needs no pin of ours"
        assert list(person.data.tls.iterdir()) == []
        with RawClient(port, context) as before:
            before.send(connect(5, "meter", person.device.text, PASSWORD))
            before.receive()
            assert serial(port, context) == first
            second = put(authorities[1], own)
            assert changes(port, context, second)
            before.send(PINGREQ)
            assert before.receive() == PINGRESP


def test_a_door_takes_a_new_certificate_and_keeps_its_connections(
    tmp_path: Path, authorities: tuple[Path, Path]
) -> None:
    own, person = tmp_path / "own", Person(DataDir(tmp_path / "node"))
    put(authorities[0], own)
    certificate, key = str(own / "server.pem"), str(own / "server.key")
    context = trusting(*authorities)
    with door(person.data, patience_s=30.0, tls_cert=certificate, tls_key=key) as running:
        with (
            socket.create_connection(("127.0.0.1", running.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as before,
        ):
            assert healthy(before)
            second = put(authorities[1], own)
            assert changes(running.port, context, second)
            assert healthy(before), "the connection made before goes on"
        assert running.process.poll() is None, "and the door did not have to go"


def test_a_node_without_a_usable_certificate_does_not_start(tmp_path: Path) -> None:
    person = Person(DataDir(tmp_path / "node"))
    (tmp_path / "bad.pem").write_text("nothing")
    (tmp_path / "bad.key").write_text("nothing")
    (tmp_path / "bad.key").chmod(0o600)
    tls = {"tls_cert": str(tmp_path / "bad.pem"), "tls_key": str(tmp_path / "bad.key")}
    with NodeProcess(person.data, mqtts_host="127.0.0.1", mqtts_port=0, **tls) as node:
        assert node.ready == {}
        status, said = node.end()
        assert status == 5
        assert said.splitlines()[-1].endswith("bad.pem and bad.key are no certificate and its key")


def test_the_names_of_a_certificate(tmp_path: Path) -> None:
    open_tls(tmp_path, ["Vault.example", "*.vault.example", "192.0.2.7"], time.time())
    names = names_of(tmp_path / "server.pem")
    assert "vault.example" in names
    assert "192.0.2.7" in names
    assert not [name for name in names if "*" in name]
    with pytest.raises(TlsError):
        names_of(tmp_path / "server.key")


def test_a_certificate_that_went_away_leaves_what_was(tmp_path: Path) -> None:
    open_tls(tmp_path, [], time.time())
    files = TlsFiles(tmp_path / "server.pem", tmp_path / "server.key")
    assert files.reload() is False
    (tmp_path / "server.pem").rename(tmp_path / "away.pem")
    with pytest.raises(TlsError):
        files.reload()
    assert files.reload() is False, "said once"
    (tmp_path / "away.pem").rename(tmp_path / "server.pem")
    assert files.reload() is False, "it is the same again"
