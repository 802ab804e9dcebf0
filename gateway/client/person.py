"""Before there is a session: make a vault, unlock it with a phrase, enrol this computer, change the phrase.

Everything secret is made and used here, in the client; the host is given a login key and wrapped roots.
"""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import wire
from gateway.client.errors import AnswerError, ImpostorError, NotAuthorisedError, WrongSecretError
from gateway.client.http import Http
from gateway.client.session import Identity, Session, expect
from gateway.client.verify import IMPOSTOR, Pins
from vault.errors import KeyPolicyError, SealError
from vault.ids import ClientId, Entropy, VaultId
from vault.labels import KEY_SIZE
from vault.person import (
    SALT_SIZE,
    KdfParams,
    Owner,
    Unlocking,
    WrappedRoot,
    from_recovery,
    login_verifier,
    stretch,
    unwrap_root,
    wrap_root,
)
from vault.statement import Enrolment, Signed, sign
from vault.suite import NONCE_SIZE, SUITE

KEEP = b""  # as a verifier in Rewrap: this one stays as it is


class Opened(msgspec.Struct, frozen=True):
    """An unwrapped root: in memory only."""

    vault: VaultId
    root: bytes
    wrapped: WrappedRoot

    @property
    def owner(self) -> Owner:
        """The keys that derive from the root."""
        return Owner(self.root)


def create(
    http: Http,
    passphrase: bytes,
    recovery: bytes,
    *,
    client_name: str,
    invite: str = "",
    entropy: Entropy,
) -> tuple[Opened, Identity]:
    """Make a vault and enrol this client as its first.

    ``passphrase`` is normalised, ``recovery`` the 32 bytes behind a phrase that the person has already kept.

    Raises:
        RefusalError: the host takes no more vaults, or not without an invite.
    """
    vault, root = VaultId.new(entropy), entropy(KEY_SIZE)
    by_passphrase = stretch(passphrase, salt := entropy(SALT_SIZE))
    by_recovery = from_recovery(recovery)
    wrapped = WrappedRoot(
        salt=salt,
        params=KdfParams(),
        by_passphrase=wrap_root(by_passphrase, vault, root, entropy(NONCE_SIZE)),
        by_recovery=wrap_root(by_recovery, vault, root, entropy(NONCE_SIZE)),
    )
    owner = Owner(root)
    identity, enrolment = _new_client(owner, vault, client_name, entropy)
    call = wire.CreateVault(
        vault=vault,
        hpke_public=owner.hpke.public,
        verify_key=owner.verify_key,
        wrapped=wrapped,
        login_verifier=login_verifier(vault, by_passphrase.login_key),
        recovery_verifier=login_verifier(vault, by_recovery.login_key),
        enrolment=enrolment,
        invite=invite,
    )
    expect(http.exchange("/owner/create", call), wire.Done)
    return Opened(vault, root, wrapped), identity


def open_by_passphrase(http: Http, vault: VaultId, passphrase: bytes) -> Opened:
    """Fetch and unwrap the root; the host learns the login key, and nothing that opens anything.

    Raises:
        WrongSecretError: another passphrase, or no such vault: the host does not tell which.
        AnswerError: the host asks for a weaker, or unbearably dear, derivation.
        ThrottledError: too many wrong ones lately.
    """
    salts = expect(http.exchange("/owner/salts", wire.Salts(vault)), wire.KdfReply)
    try:
        unlocking = stretch(passphrase, salts.salt, salts.params)
    except KeyPolicyError:
        raise AnswerError("the server asks for a key derivation that this client does not do") from None
    return _open(http, vault, unlocking, "passphrase")


def open_by_recovery(http: Http, vault: VaultId, recovery: bytes) -> Opened:
    """The same with the 32 bytes behind the recovery phrase."""
    return _open(http, vault, from_recovery(recovery), "recovery")


def enrol(http: Http, opened: Opened, client_name: str, entropy: Entropy) -> Identity:
    """Let this computer speak for the owner."""
    identity, enrolment = _new_client(opened.owner, opened.vault, client_name, entropy)
    expect(http.exchange("/owner/enrol", wire.Enrol(opened.vault, enrolment)), wire.Done)
    return identity


def first_pins(opened: Opened) -> Pins:
    """The pins of a client that has just opened a vault: the keys are the root's own, not the host's word."""
    owner = opened.owner
    return Pins(opened.vault, owner.hpke.public, owner.verify_key, SUITE)


def change_passphrase(session: Session, opened: Opened, passphrase: bytes) -> None:
    """Wrap the root under a new, normalised passphrase; the recovery phrase stays as it is."""
    unlocking = stretch(passphrase, salt := session.entropy(SALT_SIZE))
    wrapped = WrappedRoot(
        salt=salt,
        params=KdfParams(),
        by_passphrase=wrap_root(unlocking, opened.vault, opened.root, session.entropy(NONCE_SIZE)),
        by_recovery=opened.wrapped.by_recovery,
    )
    session.tell(wire.Rewrap(wrapped, login_verifier(opened.vault, unlocking.login_key), KEEP), wire.Done)


def _open(http: Http, vault: VaultId, unlocking: Unlocking, by: str) -> Opened:
    try:
        call = wire.Login(vault, unlocking.login_key, by)
        answer = expect(http.exchange("/owner/login", call), wire.LoginReply)
        wrapped = answer.wrapped.by_passphrase if by == "passphrase" else answer.wrapped.by_recovery
        root = unwrap_root(unlocking, vault, wrapped)
    except (NotAuthorisedError, SealError):
        raise WrongSecretError(f"the {_WORDS[by]} does not open this vault") from None
    owner = Owner(root)
    if (owner.hpke.public, owner.verify_key) != (answer.hpke_public, answer.verify_key):
        raise ImpostorError(IMPOSTOR)
    return Opened(vault, root, answer.wrapped)


_WORDS = {"passphrase": "passphrase", "recovery": "recovery phrase"}


def _new_client(owner: Owner, vault: VaultId, name: str, entropy: Entropy) -> tuple[Identity, Signed]:
    key = Ed25519PrivateKey.from_private_bytes(entropy(KEY_SIZE))
    client = ClientId.new(entropy)
    statement = Enrolment(client.text, key.public_key().public_bytes_raw(), name)
    return Identity(client, key), sign(owner.signing, vault, statement)
