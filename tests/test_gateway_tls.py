"""The door's own certificate authority: made once, kept, renewed under, and never open to others."""

from __future__ import annotations

import socket
import ssl
import stat
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gateway.address import lan_name
from gateway.errors import TlsError
from gateway.node.limits import Limits
from gateway.node.tls import CA_LIFE, RENEW_BEFORE, SERVER_LIFE, open_own, open_tls
from gateway.tlsfiles import TlsFiles
from tests import mqtt_client as client
from tests.mqtt_client import RawClient
from tests.mqtt_door import door

NOW = 1_790_000_000.0  # 2026
DAY = 86_400.0


def server(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / "server.pem").read_bytes())


def names(directory: Path) -> set[str]:
    extension = server(directory).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(name.value) for name in extension.value}


@pytest.mark.usefixtures("open_umask")
def test_the_first_start_makes_everything_for_the_owner_alone(tmp_path: Path) -> None:
    made = open_tls(tmp_path / "tls", ["Meter.local", "192.0.2.7", "fe80::1"], NOW)
    files = sorted((tmp_path / "tls").iterdir())
    assert [file.name for file in files] == ["ca.key", "ca.pem", "server.key", "server.pem"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
    assert names(tmp_path / "tls") == {
        "localhost", "127.0.0.1", "::1", "meter.local", "192.0.2.7", "fe80::1", lan_name(made.ca_fingerprint),
    }  # fmt: skip
    assert made.ca_path is not None
    ca = x509.load_pem_x509_certificate(made.ca_path.read_bytes())
    assert made.ca_fingerprint == ca.fingerprint(hashes.SHA256()).hex()
    assert made.context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_authority_can_sign_certificates_and_the_server_s_cannot(tmp_path: Path) -> None:
    open_tls(tmp_path, [], NOW)
    ca = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    for certificate, is_authority in ((ca, True), (server(tmp_path), False)):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        assert (constraints.critical, usage.critical) == (True, True)
        assert constraints.value.ca is is_authority
        assert usage.value.key_cert_sign is is_authority


DUE = NOW + (SERVER_LIFE - RENEW_BEFORE).total_seconds()
LATER: dict[str, tuple[float, list[str], bool]] = {
    "the next day": (NOW + DAY, ["meter.local"], False),
    "fewer names": (NOW + DAY, [], False),
    "another name": (NOW + DAY, ["meter.local", "192.0.2.9"], True),
    "shortly before it is due": (
        NOW + SERVER_LIFE.total_seconds() - RENEW_BEFORE.total_seconds() - DAY,
        [],
        False,
    ),
    "when it is due": (NOW + SERVER_LIFE.total_seconds() - RENEW_BEFORE.total_seconds() + DAY, [], True),
    "long after its end": (NOW + 3 * SERVER_LIFE.total_seconds(), [], True),
}


@pytest.mark.parametrize("name", LATER)
def test_the_certificate_is_renewed_when_due_and_the_authority_stays(name: str, tmp_path: Path) -> None:
    now, wanted, renewed = LATER[name]
    first = open_tls(tmp_path, ["meter.local"], NOW)
    before = server(tmp_path)
    second = open_tls(tmp_path, wanted, now)
    assert (server(tmp_path) != before) is renewed
    assert second.ca_fingerprint == first.ca_fingerprint


def test_near_the_end_of_the_authority_the_certificate_ends_with_it(tmp_path: Path) -> None:
    open_tls(tmp_path, [], NOW)
    late = NOW + CA_LIFE.total_seconds() - 30 * DAY
    open_tls(tmp_path, [], late)
    last = server(tmp_path)
    open_tls(tmp_path, [], late + DAY)
    assert server(tmp_path) == last
    with pytest.raises(TlsError, match="ended"):
        open_tls(tmp_path, [], NOW + CA_LIFE.total_seconds() + DAY)


@pytest.mark.parametrize("missing", ["server.key", "server.pem"])
def test_a_start_that_was_cut_short_is_made_good(missing: str, tmp_path: Path) -> None:
    first = open_tls(tmp_path, [], NOW)
    (tmp_path / missing).unlink()
    assert open_tls(tmp_path, [], NOW).ca_fingerprint == first.ca_fingerprint


def test_a_renewal_that_was_cut_short_between_its_files_is_made_good(tmp_path: Path) -> None:
    open_tls(tmp_path, [], NOW)
    old = (tmp_path / "server.pem").read_bytes()
    open_tls(tmp_path, ["another.local"], NOW)
    (tmp_path / "server.pem").write_bytes(old)
    open_tls(tmp_path, [], NOW)
    assert (tmp_path / "server.pem").read_bytes() != old


def test_a_first_start_that_was_cut_short_is_made_good(tmp_path: Path) -> None:
    open_tls(tmp_path, [], NOW)
    for name in ("ca.pem", "server.key", "server.pem"):
        (tmp_path / name).unlink()
    open_tls(tmp_path, [], NOW)


DAMAGES = ["ca.pem", "ca.key", "server.pem", "server.key"]


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_named_and_nothing_is_replaced(name: str, tmp_path: Path) -> None:
    open_tls(tmp_path, [], NOW)
    (tmp_path / name).write_bytes(b"garbage")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(TlsError, match=name):
        open_tls(tmp_path, [], NOW)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
def test_a_lost_authority_is_not_replaced_in_silence(name: str, tmp_path: Path) -> None:
    open_tls(tmp_path, [], NOW)
    (tmp_path / name).unlink()
    with pytest.raises(TlsError, match=name):
        open_tls(tmp_path, [], NOW)


@pytest.mark.parametrize("pair", [("ca.key", "ca"), ("server.pem", "issued")])
def test_files_of_two_authorities_are_not_mixed(pair: tuple[str, str], tmp_path: Path) -> None:
    name, said = pair
    one, other = tmp_path / "one", tmp_path / "other"
    open_tls(one, [], NOW)
    open_tls(other, [], NOW)
    (one / name).write_bytes((other / name).read_bytes())
    with pytest.raises(TlsError, match=said):
        open_tls(one, [], NOW)


@pytest.mark.parametrize("name", ["ca.key", "server.key"])
def test_a_key_that_others_can_read_is_refused(name: str, tmp_path: Path) -> None:
    open_tls(tmp_path, [], NOW)
    (tmp_path / name).chmod(0o640)
    with pytest.raises(TlsError, match="open to others"):
        open_tls(tmp_path, [], NOW)


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64])
def test_what_is_no_host_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TlsError, match="host name"):
        open_tls(tmp_path, [name], NOW)


def test_an_owners_own_certificate_must_match_its_key(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    open_tls(one, [], NOW)
    open_tls(other, [], NOW)
    assert open_own(one / "server.pem", one / "server.key").ca_fingerprint == ""
    with pytest.raises(TlsError):
        open_own(one / "server.pem", other / "server.key")
    with pytest.raises(TlsError):
        open_own(one / "none.pem", one / "server.key")
    (one / "server.key").chmod(0o604)
    with pytest.raises(TlsError, match="open to others"):
        open_own(one / "server.pem", one / "server.key")


def trusting(ca: Path | None) -> ssl.SSLContext:
    assert ca is not None
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def test_a_client_that_pins_the_authority_gets_through_and_another_does_not(tmp_path: Path) -> None:
    now = time.time()
    ours = open_tls(tmp_path / "ours", [], now)
    other = open_tls(tmp_path / "other", [], now)
    with door(tls=ours.context) as running:
        with RawClient(running.port, trusting(ours.ca_path)) as device:
            assert device.connect() == b"\0\0"
            device.send(client.publish("a", bytes(200_000)))
            assert device.receive() == (0x40, b"\0\1")
        with pytest.raises(ssl.SSLCertVerificationError):
            RawClient(running.port, trusting(other.ca_path))
        with RawClient(running.port) as plain:
            plain.send(client.connect())
            with pytest.raises(OSError, match=r"reset|time|closed"):
                raise_when_closed(plain)


def raise_when_closed(plain: RawClient) -> None:
    """A TLS server answers plain MQTT with an alert, or closes; never with a CONNACK."""
    first = plain.socket.recv(1)
    assert first != b"\x20"
    raise ConnectionResetError("closed")


def test_tls_connections_drain_and_time_out_like_others(tmp_path: Path) -> None:
    ours = open_tls(tmp_path, [], time.time())
    limits = Limits(connect_seconds=0.2, sweep_seconds=0.05)
    with door(limits, ours.context) as running:
        with RawClient(running.port, trusting(ours.ca_path)) as silent:
            assert silent.closed()
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as mute:
            assert mute.recv(1) == b""
        with RawClient(running.port, trusting(ours.ca_path)) as device:
            device.connect(version=5)
            assert running.run(running.endpoint.drain(1))
            assert device.rest() == [(0xE0, b"\x8b\0")]


def serial_of(connection: RawClient) -> int:
    assert isinstance(connection.socket, ssl.SSLSocket)
    der = connection.socket.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def test_a_certificate_is_renewed_while_the_door_is_open(tmp_path: Path) -> None:
    """New handshakes get the new one, under the same authority; a connection made before goes on."""
    begun = time.time() - SERVER_LIFE.total_seconds() + RENEW_BEFORE.total_seconds() - DAY
    ours = open_tls(tmp_path, [], begun)
    with door(tls=ours.context) as running, RawClient(running.port, trusting(ours.ca_path)) as before:
        before.connect(client_id="before")
        assert running.call(lambda: ours.refresh(time.time() - 2 * DAY)) is False, "not yet due"
        with RawClient(running.port, trusting(ours.ca_path)) as control:
            assert serial_of(control) == serial_of(before)
        assert running.call(lambda: ours.refresh(time.time())) is True
        with RawClient(running.port, trusting(ours.ca_path)) as after:
            after.connect(client_id="after")
            assert serial_of(after) == server(tmp_path).serial_number != serial_of(before)
        before.send(client.publish("a", b"1"))
        assert before.receive() == (0x40, b"\0\1")
        assert running.call(lambda: ours.refresh(time.time())) is False


def test_a_renewal_that_fails_leaves_the_certificate_and_is_tried_again(tmp_path: Path) -> None:
    ours = open_tls(tmp_path, [], NOW)
    kept = (tmp_path / "ca.key").read_bytes()
    (tmp_path / "ca.key").write_bytes(b"garbage")
    with pytest.raises(TlsError, match=r"ca\.key"):
        ours.refresh(DUE + DAY)
    assert ours.refresh(DUE + DAY + 60) is False, "an hour later, and not all the time"
    (tmp_path / "ca.key").write_bytes(kept)
    assert ours.refresh(DUE + DAY + 3600) is True


def test_an_owners_own_certificate_is_taken_when_both_its_files_are_new(tmp_path: Path) -> None:
    """Half a pair, and then garbage, are said once each and change nothing for those who connect."""
    one, other, own = tmp_path / "one", tmp_path / "other", tmp_path / "own"
    own.mkdir()
    now = time.time()
    authorities = [open_tls(made, [], now).ca_path for made in (one, other)]

    def put(name: str, data: bytes) -> None:
        fresh = own / "fresh"
        fresh.write_bytes(data)
        fresh.chmod(0o600)
        fresh.replace(own / name)

    for name in ("server.pem", "server.key"):
        put(name, (one / name).read_bytes())
    ours = open_own(own / "server.pem", own / "server.key")
    with door(tls=ours.context) as running, RawClient(running.port, trusting(authorities[0])) as before:
        before.connect(client_id="before")
        for half in ((other / "server.pem").read_bytes(), b"garbage"):
            put("server.pem", half)
            with pytest.raises(TlsError):
                running.call(lambda: ours.refresh(now))
            assert running.call(lambda: ours.refresh(now)) is False
            with RawClient(running.port, trusting(authorities[0])) as still:
                assert serial_of(still) == serial_of(before)
        for name in ("server.pem", "server.key"):
            put(name, (other / name).read_bytes())
        assert running.call(lambda: ours.refresh(now)) is True
        with RawClient(running.port, trusting(authorities[1])) as after:
            assert serial_of(after) == server(other).serial_number
        assert before.barrier() == []


def test_a_key_under_a_password_is_refused_instead_of_asked_for(tmp_path: Path) -> None:
    open_tls(tmp_path, [], NOW)
    key = serialization.load_pem_private_key((tmp_path / "server.key").read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsError):
        TlsFiles(tmp_path / "server.pem", locked)
