"""The node's own file: brands, invitations, and which vault an id belongs to."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from vault.ids import BrandId, Entropy, VaultId
from vault.labels import KEY_SIZE, SECRET_VERIFIER, vec
from vault.store.errors import unavailable
from vault.store.files import Files, migrate
from vault.store.records import BrandRow

BRAND_PREFIX: Final = "hts_"  # of a brand's client_secret
INVITE_PREFIX: Final = "hti_"
_DAMAGED: Final = "the node's file is damaged"


class BrandSecret(msgspec.Struct, frozen=True):
    """A brand, and what its secret is checked against."""

    row: BrandRow
    verifier: bytes


def secret_verifier(secret: str) -> bytes:
    """What is kept of a client secret or an invitation: they have 256 bits, so that one hash is enough."""
    return hashlib.sha256(vec(SECRET_VERIFIER, secret.encode())).digest()


def draw_secret(prefix: str, entropy: Entropy) -> str:
    """A secret of 256 bits, to be shown once."""
    return prefix + base64.b32encode(entropy(KEY_SIZE)).decode().rstrip("=").lower()


class Registry:
    """A connection to the node's file; only the writer's thread uses it."""

    def __init__(self, files: Files, path: Path, entropy: Entropy) -> None:
        self._entropy = entropy
        with unavailable("the node's file cannot be opened"):
            self._connection = files.connect(path)
            migrate(self._connection, "node")
            self._connection.execute("INSERT OR IGNORE INTO secret VALUES ('decoy', ?)", (entropy(KEY_SIZE),))

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def decoy(self) -> bytes:
        """The key that unknown vaults' salts derive from."""
        with unavailable(_DAMAGED):
            row = self._connection.execute("SELECT value FROM secret WHERE name = 'decoy'").fetchone()
        return bytes(row[0])

    def place(self, found: bytes, vault: VaultId) -> bool:
        """Remember which vault an id belongs to; before the id is in the vault, so that none is lost.

        False: it belongs to another vault, and stays there.
        """
        self._write("INSERT OR IGNORE INTO located VALUES (?, ?)", (found, vault))
        return self.locate(found) == vault

    def locate(self, wanted: bytes) -> VaultId | None:
        """The vault of a device, grant or touchpoint."""
        with unavailable(_DAMAGED):
            row = self._connection.execute("SELECT vault FROM located WHERE id = ?", (wanted,)).fetchone()
        return VaultId(row[0]) if row else None

    def add_brand(self, name: str, site: str, now: int) -> tuple[BrandId, str]:
        """Register a brand; (client_id, client_secret)."""
        brand, secret = BrandId.new(self._entropy), draw_secret(BRAND_PREFIX, self._entropy)
        self._write(
            "INSERT INTO brand VALUES (?, ?, ?, ?, ?, NULL)",
            (brand, name, site, secret_verifier(secret), now),
        )
        return brand, secret

    def end_brand(self, brand: bytes, now: int) -> bool:
        """The brand authenticates no more; False: unknown, or it had ended."""
        return self._write("UPDATE brand SET ended = ? WHERE id = ? AND ended IS NULL", (now, brand)) == 1

    def brands(self) -> list[BrandRow]:
        """All of them, by name."""
        with unavailable(_DAMAGED):
            return list_brands(self._connection)

    def brand(self, brand: bytes) -> BrandSecret | None:
        """One brand; None: unknown."""
        with unavailable(_DAMAGED):
            return find_brand(self._connection, brand)

    def invite(self, expires: int) -> str:
        """A one-time code with which a vault can be made from elsewhere."""
        code = draw_secret(INVITE_PREFIX, self._entropy)
        self._write("INSERT INTO invite VALUES (?, ?, NULL)", (secret_verifier(code), expires))
        return code

    def redeem(self, code: str, now: int) -> bool:
        """Use an invitation up; False: unknown, used or expired."""
        changed = self._write(
            "UPDATE invite SET used = ? WHERE verifier = ? AND used IS NULL AND expires > ?",
            (now, secret_verifier(code), now),
        )
        return changed == 1

    def _write(self, sql: str, values: tuple[object, ...]) -> int:
        with unavailable("the node's file could not be written"):
            return self._connection.execute(sql, values).rowcount


def list_brands(connection: sqlite3.Connection) -> list[BrandRow]:
    """Every brand, by name."""
    rows = connection.execute("SELECT id, name, site, created, ended FROM brand ORDER BY name, id")
    return [BrandRow(*row) for row in rows]


def find_brand(connection: sqlite3.Connection, brand: bytes) -> BrandSecret | None:
    """One brand; None: unknown."""
    row = connection.execute(
        "SELECT id, name, site, created, ended, verifier FROM brand WHERE id = ?", (brand,)
    ).fetchone()
    return BrandSecret(BrandRow(*row[:5]), row[5]) if row else None
