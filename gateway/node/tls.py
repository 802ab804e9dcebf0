"""A certificate authority of our own for the devices of one node, and the node's certificate (RFC 5280).

Devices pin the authority; the node's certificate is renewed under it when it nears its end, while the node
runs, and at a start when its names have changed. The authority is never replaced in silence: every device
would have to be told. An owner may bring a certificate and a key instead, and renew them.

Files in one directory, 0700, each 0600: ``ca.pem``, ``ca.key``, ``server.pem`` (with the authority behind
it), ``server.key``.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.address import lan_name
from gateway.errors import TlsError
from gateway.tlsfiles import TlsFiles

CA_LIFE = timedelta(days=20 * 365)  # as long as a meter hangs in a cellar
SERVER_LIFE = timedelta(days=397)  # more is refused by some clients
RENEW_BEFORE = timedelta(days=60)
_NAME = "Hypertouch devices"
_AGAIN_S = 3600.0  # until a renewal that failed is tried again
_SKEW = timedelta(days=1)  # clocks of devices that are behind


class ServerTls:
    """What listeners and the people who set up devices need.

    ``ca_path`` and ``ca_fingerprint`` (SHA-256 of the authority's DER, 64 lower-case hex digits) are empty
    where the certificate is the owner's own.
    """

    def __init__(self, files: TlsFiles, made: _Made | None = None) -> None:
        self._files = files
        self._made = made
        self.ca_path = made.directory / "ca.pem" if made is not None else None
        self.ca_fingerprint = made.ca_fingerprint if made is not None else ""

    @property
    def context(self) -> ssl.SSLContext:
        """For listeners; it is the same as long as this lives."""
        return self._files.context

    def refresh(self, now: float) -> bool:
        """Renew what is due, take what has changed; True: new handshakes get another certificate.

        To be called now and then; costs two looks at files where there is nothing to do.

        Args:
            now: seconds since the Unix epoch.

        Raises:
            TlsError: as ``open_tls``, and for files that changed and cannot be used. What was goes on.
        """
        made = self._made
        if made is not None and now >= made.due:
            made.due = now + _AGAIN_S  # should it fail
            made.due = _renew(made.directory, made.names, datetime.fromtimestamp(now, UTC)).due
        return self._files.reload()


@dataclass(slots=True)
class _Made:
    """A certificate under our own authority; ``due``: seconds since the epoch, when to renew it."""

    directory: Path
    names: list[str]
    ca_fingerprint: str
    due: float


def open_tls(directory: Path, names: Iterable[str], now: float) -> ServerTls:
    """Read what is there, make what is missing, renew what is due.

    Args:
        directory: made if need be.
        names: host names and addresses devices connect to; loopback, and the name under which the node is
            announced, are always among them.
        now: seconds since the Unix epoch.

    Raises:
        TlsError: a file is damaged, does not match its partner, lies open to others, or the authority has
        ended.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = _renew(directory, list(names), datetime.fromtimestamp(now, UTC))
    return ServerTls(TlsFiles(directory / "server.pem", directory / "server.key"), made)


def open_own(certificate: Path, key: Path) -> ServerTls:
    """An owner's own certificate chain and its key; raises TlsError, also where anybody may read the key."""
    if key.exists() and key.stat().st_mode & 0o007:
        raise TlsError(f"{key.name} is open to others: chmod 600")
    return ServerTls(TlsFiles(certificate, key))


def _renew(directory: Path, names: list[str], now: datetime) -> _Made:
    ca, ca_key = _authority(directory, now)
    fingerprint = ca.fingerprint(hashes.SHA256()).hex()
    wanted = _alternative_names([*names, lan_name(fingerprint)])
    if _is_due(directory, ca, wanted, now):
        _issue(directory, ca, ca_key, wanted, now)
    ends = _read_certificate(directory / "server.pem").not_valid_after_utc
    due = ends - RENEW_BEFORE if ends < ca.not_valid_after_utc else ends
    return _Made(directory, names, fingerprint, due.timestamp())


def _authority(directory: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate_path, key_path = directory / "ca.pem", directory / "ca.key"
    if not certificate_path.exists() and not (directory / "server.pem").exists():
        # The first start, or one that was cut short before any device could have seen an authority.
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign(
            key,
            _NAME,
            key.public_key(),
            _NAME,
            now + CA_LIFE,
            now,
            [
                (x509.BasicConstraints(ca=True, path_length=0), True),
                (_usage(authority=True), True),
                (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            ],
        )
        _write(key_path, _key_pem(key))
        _write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
        return certificate, key
    certificate, key = _read_certificate(certificate_path), _read_key(key_path)
    if certificate.public_key() != key.public_key():
        raise TlsError("ca.pem and ca.key do not belong together")
    if certificate.not_valid_after_utc <= now:
        raise TlsError("the authority has ended: remove the tls directory, and set up every device again")
    return certificate, key


def _is_due(directory: Path, ca: x509.Certificate, wanted: list[x509.GeneralName], now: datetime) -> bool:
    certificate_path, key_path = directory / "server.pem", directory / "server.key"
    if not certificate_path.exists() or not key_path.exists():
        return True
    certificate, key = _read_certificate(certificate_path), _read_key(key_path)
    try:
        certificate.verify_directly_issued_by(ca)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, TypeError, ValueError, x509.ExtensionNotFound):
        raise TlsError("server.pem was not issued by ca.pem: remove it, and server.key") from None
    ends = certificate.not_valid_after_utc
    return (
        (ends - now < RENEW_BEFORE and ends < ca.not_valid_after_utc)
        or certificate.public_key() != key.public_key()  # renewal was cut short between the two files
        or not set(wanted) <= set(names)
    )


def _issue(
    directory: Path,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName],
    now: datetime,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(
        ca_key,
        _NAME,
        key.public_key(),
        "Hypertouch",
        min(now + SERVER_LIFE, ca.not_valid_after_utc),
        now,
        [
            (x509.SubjectAlternativeName(names), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(authority=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False),
        ],
    )
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (certificate, ca))
    _write(directory / "server.key", _key_pem(key))
    _write(directory / "server.pem", chain)


def _sign(
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: str,
    subject_key: ec.EllipticCurvePublicKey,
    subject: str,
    until: datetime,
    now: datetime,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .public_key(subject_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(until)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(names: Iterable[str]) -> list[x509.GeneralName]:
    """Each name once: addresses as addresses, the rest as DNS names in ASCII."""
    found: dict[x509.GeneralName, None] = {}
    for name in ("localhost", "127.0.0.1", "::1", *names):
        try:
            found[x509.IPAddress(ipaddress.ip_address(name))] = None
            continue
        except ValueError:
            pass
        try:
            host = name.lower().encode("idna").decode()
        except ValueError:
            host = ""
        if not host:
            raise TlsError("a name for the certificate is no host name")
        found[x509.DNSName(host)] = None
    return list(found)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TlsError(f"{path.name} is no certificate") from error


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        if path.stat().st_mode & 0o077:
            raise TlsError(f"{path.name} is open to others: chmod 600")
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TlsError(f"{path.name} is no private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TlsError(f"{path.name} is not a key that was made here")
    return key


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and never readable by others, whatever the umask."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
