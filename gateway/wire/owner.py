"""What an owner asks and tells, and how an owner becomes known."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.wire.base import Call
from gateway.wire.deciding import AddBlackout, EndBlackout, GetBlackouts, GetRules, PauseGrant, SetRules
from gateway.wire.rewriting import Reserve, Rewrite
from vault.labels import SIGN, SIGN_CALL, vec
from vault.ledger import Head
from vault.person import WrappedRoot
from vault.statement import Signed
from vault.store.records import SealedChunk, Taught

REASON_MAX: Final = 500  # characters

# --- an owner's reads, answered by the door -----------------------------------------------------


class GetOverview(Call, frozen=True):
    """-> Overview"""


class GetDevices(Call, frozen=True):
    """-> Devices"""


class GetLearned(Call, frozen=True):
    """-> Learned: what one device declared itself; it is large, so that ``Devices`` leave it out."""

    device: bytes


class GetGrants(Call, frozen=True):
    """-> Grants: every request and grant of the vault, newest first."""


class GetTouchpoints(Call, frozen=True):
    """-> Touchpoints"""


class GetBrands(Call, frozen=True):
    """-> Brands: registered on this node."""


class GetClients(Call, frozen=True):
    """-> Clients"""


class GetSegments(Call, frozen=True):
    """-> Segments with their owner's boxes and sealed lane names, by day; never the ledger's."""

    first_day: int
    last_day: int


class GetChunks(Call, frozen=True):
    """-> Chunks of some lanes (all of a segment's when ``lanes`` is empty) after a chunk's row number."""

    segments: list[bytes]
    after: int = 0
    since_seq: int = 0


class GetLedger(Call, frozen=True):
    """-> Ledger entries after a number, oldest first."""

    after: int
    limit: int = 1000


# --- an owner's writes, carried to the node -----------------------------------------------------


class AddDevice(Call, frozen=True):
    """-> Done.  ``name`` and ``settings`` are sealed by the client, which drew the password that
    ``verifier`` is of and ``wrapped_notes`` is wrapped under; nothing: the device has no notes."""

    device: bytes
    name: bytes
    verifier: bytes
    wrapped_notes: bytes = b""
    settings: bytes = b""


class RotateDevice(Call, frozen=True):
    """-> Done; cuts the live connections of the old password."""

    device: bytes
    verifier: bytes
    wrapped_notes: bytes = b""


class SetDevice(Call, frozen=True):
    """-> Done: ``settings`` are sealed by the client; live connections have them at once."""

    device: bytes
    settings: bytes


class RemoveDevice(Call, frozen=True):
    """-> Done; cuts live connections. What it sent stays in the vault."""

    device: bytes


class PauseDevice(Call, frozen=True):
    """-> Done: nothing more of it is taken, or again; cuts live connections. It keeps its credential."""

    device: bytes
    paused: bool


class ReleaseDevice(Call, frozen=True):
    """-> Done: the credential ends, and the grants that name this device alone; the statement is kept."""

    device: bytes
    statement: Signed


class NewTouchpoint(Call, frozen=True):
    """-> Done.  The client draws the id."""

    touchpoint: bytes
    brand: bytes


class RevokeTouchpoint(Call, frozen=True):
    """-> Done."""

    touchpoint: bytes


class Prepare(Call, frozen=True):
    """-> Prepared.  The writer verifies, rotates, and seals forward from now."""

    grant: bytes
    statement: Signed


class SealedKeys(msgspec.Struct, frozen=True, array_like=True):
    """A grant's box and the (sorted, joined) segments it names."""

    segments: bytes
    box: bytes


class CommitGrant(Call, frozen=True):
    """-> Done.  Only now is the grant active.  ``of`` is SHA-256 of the body of the statement that was
    prepared: boxes for other terms, of a call that comes late, are refused."""

    grant: bytes
    boxes: list[SealedKeys]
    of: bytes


class Deny(Call, frozen=True):
    """-> Done.  ``reason`` is the person's own, and stays in the vault."""

    grant: bytes
    reason: Annotated[str, msgspec.Meta(max_length=REASON_MAX)]


class Revoke(Call, frozen=True):
    """-> Done; returns only after the writer has rotated."""

    grant: bytes


class Rewrap(Call, frozen=True):
    """-> Done: a new passphrase, or a new recovery phrase; an empty verifier stays as it is."""

    wrapped: WrappedRoot
    login_verifier: bytes
    recovery_verifier: bytes


class EndClient(Call, frozen=True):
    """-> Done: a lost laptop may not speak any more."""

    client: bytes


class Replace(Call, frozen=True):
    """-> Done: merged chunks of segments that a crash left in pieces, swapped at once."""

    statement: Signed
    chunks: list[SealedChunk]


class Teach(Call, frozen=True):
    """-> Done: payloads leave quarantine and their readings come in, at once."""

    statement: Signed
    taught: Taught


OwnerRead = (
    GetOverview
    | GetDevices
    | GetLearned
    | GetGrants
    | GetTouchpoints
    | GetBrands
    | GetClients
    | GetSegments
    | GetChunks
    | GetLedger
    | GetRules
    | GetBlackouts
)
OwnerWrite = (
    AddDevice
    | RotateDevice
    | SetDevice
    | RemoveDevice
    | PauseDevice
    | ReleaseDevice
    | NewTouchpoint
    | RevokeTouchpoint
    | Prepare
    | CommitGrant
    | Deny
    | Revoke
    | Rewrap
    | EndClient
    | Replace
    | Teach
    | Reserve
    | Rewrite
    | PauseGrant
    | SetRules
    | AddBlackout
    | EndBlackout
)
OwnerCall = OwnerRead | OwnerWrite


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A signed call: ``created`` is milliseconds, ``nonce`` 16 random bytes, ``seen`` the ledger's head
    as this client knows it, ``body`` a MessagePack ``OwnerCall``."""

    vault: bytes
    client: bytes
    created: int
    nonce: bytes
    seen: Head
    body: bytes
    signature: bytes = b""

    def message(self) -> bytes:
        """The bytes that are signed."""
        seen = self.seen.number.to_bytes(8, "big") + self.seen.hash
        return SIGN + vec(
            SIGN_CALL,
            self.vault,
            self.client,
            self.created.to_bytes(8, "big"),
            self.nonce,
            seen,
            hashlib.sha256(self.body).digest(),
        )

    def signed(self, key: Ed25519PrivateKey) -> Envelope:
        """The same with this client's signature."""
        return msgspec.structs.replace(self, signature=key.sign(self.message()))

    def is_signed_by(self, verify_key: bytes) -> bool:
        """Whether the client with this key made it."""
        try:
            Ed25519PublicKey.from_public_bytes(verify_key).verify(self.signature, self.message())
        except (InvalidSignature, ValueError, OverflowError):
            return False
        return True
