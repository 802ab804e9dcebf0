"""Where a node keeps its files; everything is 0600 in directories of 0700, whatever the umask."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from vault.errors import FormatError
from vault.ids import VaultId


class DataDir:
    """The data directory of one node."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @classmethod
    def default(cls) -> DataDir:
        """``HYPERTOUCH_DATA``, or the platform's place for user data."""
        if chosen := os.environ.get("HYPERTOUCH_DATA"):
            return cls(chosen)
        import platformdirs  # start-up of a client does not need it

        return cls(platformdirs.user_data_path("hypertouch", appauthor=False) / "node")

    def create(self) -> None:
        """Make the directories, or tighten the modes of those that are there."""
        for directory in (self.path, self.vaults, self.tls):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)

    @property
    def node_db(self) -> Path:
        """Brands, invitations, and which vault an id belongs to."""
        return self.path / "node.db"

    @property
    def intake_db(self) -> Path:
        """The journal of what was acknowledged and not yet moved."""
        return self.path / "intake.db"

    @property
    def live(self) -> Path:
        """The live file: what no backup may hold."""
        return self.path / "live"

    @property
    def vaults(self) -> Path:
        """One file a person."""
        return self.path / "vaults"

    @property
    def tls(self) -> Path:
        """The certificate authority and the server's certificate."""
        return self.path / "tls"

    @property
    def socket(self) -> Path:
        """The node's unix socket."""
        return self.path / "node.sock"

    @property
    def lock(self) -> Path:
        """Held by the one process that may write."""
        return self.path / "node.lock"

    def vault_db(self, vault: VaultId) -> Path:
        """A person's file."""
        return self.vaults / f"{vault.text}.db"

    def vault_ids(self) -> list[VaultId]:
        """Every vault whose file is here; files that are not named as vaults are not."""
        found: list[VaultId] = []
        for path in self.vaults.glob("*.db"):
            with suppress(FormatError):
                found.append(VaultId.parse(path.stem))
        return sorted(found)
