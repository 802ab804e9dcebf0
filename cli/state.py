"""What this computer remembers of the vault: one profile file, written whole, readable by its owner alone.

The profile holds no unlocked secret: the client's key is sealed, the owner's keys in it are public. It pins
what the server must not change or roll back: the owner's keys, the suite, the ledger's head, the generation,
the standing rules.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from cli.errors import CliError, NoVaultError
from cli.home import locked, prepare, read_private, write_private
from gateway.client.verify import Pins, further
from vault.ids import VaultId
from vault.ledger import Head

PROFILE = "profile"
MAX_SIZE = 1 << 20  # bytes; a profile has a few thousand


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The furthest state of the vault that this client has seen; a server that shows less has rolled back."""

    head: Head = Head()
    generation: int = 0  # of the live file
    rules: int = 0  # the version of the newest standing rules; a profile of before there were any has none
    rules_hash: bytes = b""

    @classmethod
    def of(cls, pins: Pins) -> Pin:
        """What a session has seen."""
        return cls(pins.head, pins.generation, pins.rules, pins.rules_hash)


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person's vault as this computer knows it. Bytes are base64 in the file."""

    version: Literal[1] = 1
    name: str  # what the person calls the vault
    vault: str  # VaultId.text
    server: str  # base URL of the door
    ca_pem: str = ""  # the server's own CA; empty: the system's
    client: str  # ClientId.text
    client_key: bytes  # Ed25519 private key, sealed with Owner.seal_state
    hpke_public: bytes  # the owner's keys, as they were when this client was enrolled
    verify_key: bytes
    suite: int
    pin: Pin = Pin()
    looked: int = 0  # ms: when the rules gave the latest answer that the person was told of

    def pins(self) -> Pins:
        """What this computer holds the server to."""
        vault, pin = VaultId.parse(self.vault), self.pin
        seen = pin.head, pin.generation, pin.rules, pin.rules_hash
        return Pins(vault, self.hpke_public, self.verify_key, self.suite, *seen)


def load(home: Path) -> Profile:
    """The profile.

    Raises:
        NoVaultError: there is none.
        CliError: it is a link, another user's, open to others, or not a profile.
    """
    path = home / PROFILE
    data = read_private(path, MAX_SIZE)
    if data is None:
        raise NoVaultError("there is no vault on this computer")
    try:
        return msgspec.json.decode(data, type=Profile)
    except msgspec.MsgspecError:
        raise CliError(
            f"{path} is damaged, or from another version", "move it away and log in again: hypertouch login"
        ) from None


def save(home: Path, profile: Profile) -> None:
    """Write the profile: durable and whole, or not at all. Raises as ``prepare``."""
    prepare(home)
    write_private(home / PROFILE, msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n")


def update(home: Path, change: Callable[[Profile], Profile]) -> Profile:
    """Load, change and save while no other command does; raises as ``load``."""
    with locked(home):
        before = load(home)
        after = change(before)
        if after != before:
            save(home, after)
        return after


def keep(home: Path, pins: Pins) -> None:
    """Remember how far the vault has been seen; what another command saw meanwhile is never forgotten."""

    def forward(profile: Profile) -> Profile:
        return msgspec.structs.replace(profile, pin=Pin.of(further(profile.pins(), pins)))

    update(home, forward)
