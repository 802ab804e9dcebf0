"""What ``init``, ``login`` and ``recovery use`` share: which vault, on which server, by which passphrase."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from cli import state
from cli.ask import say
from cli.errors import ConflictError, NoVaultError, UsageError
from cli.passphrase import PassphraseSource, generate, read_new
from cli.session import CLIENT_NAME, profile_of, require_own_keys, session_of, with_pins
from cli.state import Profile
from gateway.client import person
from gateway.client.http import Http
from gateway.client.phrase import require_strong
from vault.errors import FormatError
from vault.ids import VaultId

SERVER = "http://127.0.0.1:8787"


def server(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--server`` and ``--ca``: where the vault is, and whose certificate is believed there."""
    function = click.option(
        "--ca",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="The server's own certificate authority (PEM), as `up --lan` names it.",
    )(function)
    return click.option("--server", metavar="URL", help=f"The server's address; {SERVER}.")(function)


def new_passphrase(source: PassphraseSource, *, choose: bool) -> tuple[str, bool]:
    """The passphrase to be, and whether it was made here and is still to be shown.

    Raises:
        UsageError: one of the person's own that can be guessed.
    """
    if not source.given and not choose:
        return generate(), True
    words = read_new(source)
    require_strong(words)
    return words, False


def show_made(made: bool, words: str, as_json: bool) -> None:
    """Show a passphrase that was made here, once."""
    if made and not as_json:
        say("Your passphrase, shown once. Write it down:")
        say(f"\n    {words}\n")


def find_vault(
    home: Path, server: str | None, vault_id: str | None, ca: Path | None
) -> tuple[Profile | None, VaultId, Http, str]:
    """Which vault on which server: as the command line says, else as this computer remembers.

    Raises:
        UsageError: neither says.
        ConflictError: this computer already has another vault.
    """
    try:
        known: Profile | None = state.load(home)
    except NoVaultError:
        known = None
    if vault_id is None and known is None:
        raise UsageError("which vault?", "give --server URL and --vault ID")
    try:
        vault = VaultId.parse(vault_id.lower() if vault_id else known.vault if known else "")
    except FormatError as error:
        raise UsageError(str(error), "give --vault ID") from None
    if known is not None and known.vault != vault.text:
        raise ConflictError("this computer has another vault already", "use this one with --home DIR")
    ca_pem = read_ca(ca) or (known.ca_pem if known else "")
    address = server or (known.server if known else SERVER)
    return known, vault, Http(address, ca_pem or None), ca_pem


def enrol(
    home: Path, http: Http, ca_pem: str, opened: person.Opened, known: Profile | None, name: str | None
) -> Profile:
    """Make this computer a client of the vault and remember it; what was pinned before stays pinned."""
    pins = person.first_pins(opened)
    if known is not None:
        require_own_keys(opened.owner, known.pins())
        pins = known.pins()
    identity = person.enrol(http, opened, CLIENT_NAME, os.urandom)
    label = name or (known.name if known else "home")
    profile = profile_of(label, http, ca_pem, opened, identity, pins)
    state.save(home, profile)
    session = session_of(home, profile, http, opened.root)
    session.follow()
    return with_pins(profile, session.pins)


def require_free(home: Path) -> None:
    """Return if this computer has no vault yet; raises ConflictError."""
    try:
        state.load(home)
    except NoVaultError:
        return
    raise ConflictError("there is a vault on this computer already", "make another with --home DIR")


def read_ca(path: Path | None) -> str:
    """A certificate authority in PEM; "" where none was named."""
    if path is None:
        return ""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise UsageError("the certificate authority cannot be read", "--ca takes a PEM file") from None
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise UsageError("the certificate authority is not in PEM", "--ca takes a PEM file")
    return text
