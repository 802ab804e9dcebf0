"""A certificate and its key in two files that change now and then, and the one TLS context that follows them.

Whoever listens keeps the context for as long as it runs: handshakes that begin after a ``reload`` are given
the new certificate, and connections that stand go on.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from gateway.errors import TlsError

_Stamp = tuple[tuple[int, int, int], ...]  # modification time in ns, inode, size; of each file


class TlsFiles:
    """``context``: TLS 1.2 and later, from a chain in PEM and its key, ours or the owner's own.

    Raises:
        TlsError: they cannot be read or do not match.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._paths = (certificate, key)
        self._stamp = self._seen = _stamp(self._paths)
        self.context = server_context(certificate, key)

    def reload(self) -> bool:
        """Take what the files hold now, where that has changed; True: new handshakes get it.

        A pair that does not fit leaves what was: two files are seldom replaced at once.

        Raises:
            TlsError: the files changed and cannot be used; said once for each change.
        """
        stamp = _stamp(self._paths)
        if stamp in (self._stamp, self._seen):
            return False
        self._seen = stamp
        server_context(*self._paths)  # tried apart, as a context into which half a pair was loaded is broken
        _load(self.context, *self._paths)
        self._stamp = stamp
        return True


def names_of(certificate: Path) -> list[str]:
    """The host names and addresses that a certificate is good for, without patterns; raises TlsError."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError) as error:
        raise TlsError(f"{certificate.name} is no certificate") from error
    except x509.ExtensionNotFound:
        return []
    hosts = [name for name in names.get_values_for_type(x509.DNSName) if "*" not in name]
    return [*hosts, *map(str, names.get_values_for_type(x509.IPAddress))]


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for TLS 1.2 and later; raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, certificate, key)
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise TlsError(f"{certificate.name} and {key.name} are no certificate and its key") from error


def _no_password() -> str:
    """A key under a password would have OpenSSL ask the terminal."""
    raise ValueError("the key is encrypted")


def _stamp(paths: tuple[Path, Path]) -> _Stamp:
    found = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_mtime_ns, status.st_ino, status.st_size))
    return tuple(found)
