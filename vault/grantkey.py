"""Grant seed, pepper and token: how a brand comes by its key without the node keeping it.

A request draws a *grant seed*, the private key of the recipient to which lanes are sealed.  The seed
is stored only wrapped; what unwraps it is the token, and the token is not stored at all::

    token      = HKDF(salt = pickup_salt, ikm = auth_req_id's secret, info = "token")
    wrapping   = HKDF(salt = pepper, ikm = token, info = "grant seed" || vault || grant)

A successful unwrap *is* the authentication.
"""

from __future__ import annotations

import msgspec

from vault.errors import SealError
from vault.ids import Entropy, GrantId, VaultId
from vault.labels import GRANT_SEED, KEY_SIZE, TOKEN, hkdf, vec
from vault.secrets import PICKUP_PREFIX, TOKEN_PREFIX, read_secret, write_secret
from vault.suite import NONCE_SIZE, Recipient, aead_open, aead_seal


class Slot(msgspec.Struct, frozen=True):
    """The two secrets of a grant that live outside SQLite and outside every backup.

    ``pickup_salt`` is zero once the token was used; ``pepper`` is zero once the grant has ended.
    """

    pepper: bytes
    pickup_salt: bytes


class Drawn(msgspec.Struct, frozen=True):
    """What a request draws: the secret half for the brand, the rest for the node."""

    auth_req_id: str
    public: bytes
    wrapped_seed: bytes
    slot: Slot


def draw(vault: VaultId, grant: GrantId, entropy: Entropy) -> Drawn:
    """Draw the keys of a new request."""
    seed, secret = entropy(KEY_SIZE), entropy(KEY_SIZE)
    slot = Slot(pepper=entropy(KEY_SIZE), pickup_salt=entropy(KEY_SIZE))
    key = _wrapping_key(slot, _token_secret(slot, secret), vault, grant)
    wrapped = aead_seal(key, entropy(NONCE_SIZE), seed, vec(vault, grant))
    return Drawn(write_secret(PICKUP_PREFIX, grant, secret), Recipient(seed).public, wrapped, slot)


def grant_of_pickup(auth_req_id: str) -> GrantId:
    """Which request an ``auth_req_id`` names; raises FormatError."""
    return read_secret(PICKUP_PREFIX, auth_req_id)[0]


def grant_of_token(token: str) -> GrantId:
    """Which grant an access token names; raises FormatError."""
    return read_secret(TOKEN_PREFIX, token)[0]


def pick_up(auth_req_id: str, slot: Slot, wrapped_seed: bytes, vault: VaultId) -> str:
    """The access token of a request, always the same; raises SealError, FormatError."""
    grant, secret = read_secret(PICKUP_PREFIX, auth_req_id)
    if not any(slot.pickup_salt):
        raise SealError("the token was already used")
    token = write_secret(TOKEN_PREFIX, grant, _token_secret(slot, secret))
    unwrap(token, slot, wrapped_seed, vault)
    return token


def unwrap(token: str, slot: Slot, wrapped_seed: bytes, vault: VaultId) -> Recipient:
    """The grant's private key; raises SealError when the token is not this grant's, FormatError."""
    grant, secret = read_secret(TOKEN_PREFIX, token)
    if not any(slot.pepper):
        raise SealError("the grant has ended")
    return Recipient(aead_open(_wrapping_key(slot, secret, vault, grant), wrapped_seed, vec(vault, grant)))


def _token_secret(slot: Slot, secret: bytes) -> bytes:
    return hkdf(slot.pickup_salt, secret, TOKEN)


def _wrapping_key(slot: Slot, token_secret: bytes, vault: VaultId, grant: GrantId) -> bytes:
    return hkdf(slot.pepper, token_secret, vec(GRANT_SEED, vault, grant))
