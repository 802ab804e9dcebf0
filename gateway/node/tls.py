"""A certificate authority of our own for the devices of one node, and the node's certificate (RFC 5280).

Devices pin the authority; the node's certificate is renewed under it at start, when it nears its end or its
names change. The authority is never replaced in silence: every device would have to be told.

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

from gateway.errors import TlsError

CA_LIFE = timedelta(days=20 * 365)  # as long as a meter hangs in a cellar
SERVER_LIFE = timedelta(days=397)  # more is refused by some clients
RENEW_BEFORE = timedelta(days=60)
_NAME = "Hypertouch devices"
_SKEW = timedelta(days=1)  # clocks of devices that are behind


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a listener and the people who set up devices need.

    ``ca_fingerprint``: SHA-256 of the authority's DER, 64 lower-case hex digits.
    """

    context: ssl.SSLContext
    ca_path: Path
    ca_fingerprint: str


def open_tls(directory: Path, names: Iterable[str], now: float) -> ServerTls:
    """Read what is there, make what is missing, renew what is due.

    Args:
        directory: made if need be.
        names: host names and addresses devices connect to; loopback is always among them.
        now: seconds since the Unix epoch.

    Raises:
        TlsError: a file is damaged, does not match its partner, lies open to others, or the authority has
        ended.
    """
    moment = datetime.fromtimestamp(now, UTC)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca, ca_key = _authority(directory, moment)
    wanted = _alternative_names(names)
    if _is_due(directory, ca, wanted, moment):
        _issue(directory, ca, ca_key, wanted, moment)
    return ServerTls(
        context=server_context(directory / "server.pem", directory / "server.key"),
        ca_path=directory / "ca.pem",
        ca_fingerprint=ca.fingerprint(hashes.SHA256()).hex(),
    )


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for TLS 1.2 and later from a certificate chain and its key, ours or the owner's own.

    Raises:
        TlsError: they cannot be read or do not match.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise TlsError(f"{certificate.name} and {key.name} are no certificate and its key") from error
    return context


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
