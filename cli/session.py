"""From a command line to a session with the vault: the profile, the root, and what every command shares."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cli import agent, options, state
from cli.ask import say
from cli.errors import CliError, LockedError, NotFoundError, UsageError
from cli.passphrase import PassphraseSource, read_bytes
from cli.render import next_steps
from cli.state import Pin, Profile
from gateway.client import person
from gateway.client.errors import ImpostorError, ThrottledError
from gateway.client.http import Http
from gateway.client.person import Opened
from gateway.client.session import Identity, Session
from gateway.client.verify import IMPOSTOR, Pins
from vault.errors import VaultError
from vault.ids import TEXT_SIZE, ClientId, Id, VaultId
from vault.person import Owner
from vault.suite import NONCE_SIZE

CLIENT_NAME: Final = "hypertouch"  # what the host's list of clients shows; nothing of this computer or person
PATIENCE_S: Final = 30  # how long a throttled login waits, in all
I = TypeVar("I", bound=Id)  # noqa: E741  an id
T = TypeVar("T")


def now_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def with_vault(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``, ``--home`` and the passphrase's options: what every command with a session takes."""
    return options.as_json(options.home(options.passphrase(function)))


@contextmanager
def unlocked(home: Path, passphrase: PassphraseSource) -> Iterator[Session]:
    """A session, with the root from the agent or by the passphrase that was given.

    Raises:
        NoVaultError, LockedError, WrongPassphraseError, ...
    """
    profile = state.load(home)
    http = http_of(profile)
    try:
        with session_of(home, profile, http, find_root(home, profile, http, passphrase)) as session:
            yield session
    finally:
        http.close()


def find_root(home: Path, profile: Profile, http: Http, passphrase: PassphraseSource) -> bytes:
    """The root: by the passphrase where one was given, else from the agent; never by asking.

    Raises:
        LockedError: neither.
    """
    if passphrase.given:
        return log_in(http, VaultId.parse(profile.vault), read_bytes(passphrase)).root
    root = agent.fetch_root(home)
    if root is None:
        raise LockedError("your vault is locked")
    return root


def log_in(http: Http, vault: VaultId, passphrase: bytes) -> Opened:
    """Open a vault by its passphrase; a server that throttles is waited for, half a minute at most."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return person.open_by_passphrase(http, vault, passphrase)
        except ThrottledError as error:
            if not 0 < error.retry_after <= deadline - time.monotonic():
                raise
            say(f"the server lets nobody try faster; waiting {error.retry_after} s")
            time.sleep(error.retry_after)


def session_of(home: Path, profile: Profile, http: Http, root: bytes) -> Session:
    """A session of this computer's client.

    Raises:
        ImpostorError: the root is another vault's.
        CliError: the profile's key does not open.
    """
    owner, pins = Owner(root), profile.pins()
    require_own_keys(owner, pins)
    try:
        key = Ed25519PrivateKey.from_private_bytes(owner.open_state(profile.client_key))
    except (VaultError, ValueError):
        raise CliError("this computer's key does not open", "log in again: hypertouch login") from None
    identity = Identity(ClientId.parse(profile.client), key)
    return Session(
        http,
        owner,
        identity,
        pins,
        keep=lambda pins: state.keep(home, pins),
        clock=now_ms,
        entropy=os.urandom,
    )


def require_own_keys(owner: Owner, pins: Pins) -> None:
    """Return if the keys are those this computer has pinned; raises ImpostorError."""
    if (owner.hpke.public, owner.verify_key) != (pins.hpke_public, pins.verify_key):
        raise ImpostorError(IMPOSTOR)


def http_of(profile: Profile) -> Http:
    """The transport to the profile's server."""
    return Http(profile.server, profile.ca_pem or None)


def profile_of(name: str, http: Http, ca_pem: str, opened: Opened, identity: Identity, pins: Pins) -> Profile:
    """What this computer remembers after it was enrolled; the client's key is sealed under the root."""
    private = identity.key.private_bytes_raw()
    return Profile(
        name=name,
        vault=opened.vault.text,
        server=http.base_url,
        ca_pem=ca_pem,
        client=identity.client.text,
        client_key=opened.owner.seal_state(private, os.urandom(NONCE_SIZE)),
        hpke_public=pins.hpke_public,
        verify_key=pins.verify_key,
        suite=pins.suite,
        pin=Pin.of(pins),
    )


def suggest(as_json: bool, *steps: tuple[str, str]) -> None:
    """Say what to do next, on stderr; programs need no advice. Commands come without the program's name."""
    if not as_json and steps:
        say(next_steps(*((f"hypertouch {command}", purpose) for command, purpose in steps)))


def pick(items: Iterable[T], text: str, id_of: Callable[[T], I], noun: str, hint: str) -> T:
    """The one thing that a person means by an id or the beginning of one, in any case.

    Raises:
        NotFoundError: there is none.
        UsageError: there are several.
    """
    wanted = text.lower()
    found = [item for item in items if wanted and id_of(item).text.startswith(wanted)]
    if len(wanted) > TEXT_SIZE or not found:
        raise NotFoundError(f"there is no such {noun}", hint)
    if len(found) > 1:
        raise UsageError(f"several {noun}s begin with that", "give more of the id")
    return found[0]


def with_pins(profile: Profile, pins: Pins) -> Profile:
    """The profile with these pins, whatever it had before."""
    return msgspec.structs.replace(profile, pin=Pin.of(pins))
