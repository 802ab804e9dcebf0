"""What travels between client, door and node: MessagePack structs, tagged by name.

An owner's call is an *envelope* signed by an enrolled client.  The door answers reads from its own
read-only connections and carries writes unchanged to the node, which verifies the envelope itself:
a door cannot speak for an owner.  What a brand does arrives over HTTP and OAuth (``PROTOCOL.md``); the
door turns it into the calls at the end of this file.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from vault.grantkey import Slot
from vault.ids import plain
from vault.labels import SIGN, SIGN_CALL, vec
from vault.ledger import Entry, Head, SealedEntry
from vault.person import KdfParams, WrappedRoot
from vault.statement import Signed
from vault.store.records import (
    BrandRow,
    ChunkRow,
    ClientRow,
    DeviceRow,
    GrantRow,
    SealedChunk,
    SegmentRow,
    Taught,
    TouchpointRow,
)

MAX_BODY: Final = 32 << 20  # bytes of one owner's call; a year's history is about 200 kB
NONCE_WINDOW_MS: Final = 60_000  # how far an envelope's clock may be off


NOT_OURS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what decoding raises
_ENCODER = msgspec.msgpack.Encoder(enc_hook=plain)


def encode(message: object) -> bytes:
    """MessagePack of anything in this module; identifiers travel as their 16 bytes."""
    return _ENCODER.encode(message)


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Base of everything that is asked of a door or a node."""


class Reply(msgspec.Struct, frozen=True, tag=True):
    """Base of every answer; unknown fields are ignored, so that a node may be newer than a client."""


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
    """-> Done.  Only now is the grant active."""

    grant: bytes
    boxes: list[SealedKeys]


class Deny(Call, frozen=True):
    """-> Done."""

    grant: bytes
    reason: str


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


# --- before there is an enrolled client ---------------------------------------------------------


class Salts(Call, frozen=True):
    """-> KdfReply.  A vault that does not exist gets a decoy that never changes."""

    vault: bytes


class Login(Call, frozen=True):
    """-> LoginReply.  ``by`` is "passphrase" or "recovery"; throttled per vault and source."""

    vault: bytes
    login_key: bytes
    by: str
    source: str = ""  # filled in by the door


class CreateVault(Call, frozen=True):
    """-> Done.  ``enrolment`` makes the first client; ``invite`` may be empty on loopback."""

    vault: bytes
    hpke_public: bytes
    verify_key: bytes
    wrapped: WrappedRoot
    login_verifier: bytes
    recovery_verifier: bytes
    enrolment: Signed
    invite: str = ""
    local: bool = False  # filled in by the door: the call came over loopback


class Enrol(Call, frozen=True):
    """-> Done.  The owner's own signature stands for the envelope."""

    vault: bytes
    enrolment: Signed


# --- between door and node, over the 0600 unix socket -------------------------------------------


class Carried(Call, frozen=True):
    """An owner's write, as it came."""

    envelope: Envelope


class Flush(Call, frozen=True):
    """-> Done: everything acknowledged so far for this vault is in its file."""

    vault: bytes


class AskGrant(Call, frozen=True):
    """-> Done, or Refused: no live touchpoint of this brand, or one request is already pending."""

    grant: bytes
    touchpoint: bytes
    brand: bytes
    public: bytes
    wrapped_seed: bytes
    slot: Slot
    ask: bytes  # canonical JSON authorization_details
    binding_message: str
    expires: int  # ms


class PickedUp(Call, frozen=True):
    """-> Done: the token was handed out for the first time."""

    grant: bytes


class FirstUse(Call, frozen=True):
    """-> Done: the token was used; the pick-up salt is erased."""

    grant: bytes


class Record(Call, frozen=True):
    """-> Done, once the entry is durable: only then may the answer's first byte leave."""

    grant: bytes
    entry: Entry


class ReturnGrant(Call, frozen=True):
    """-> Done: the brand itself ended its grant."""

    grant: bytes


# --- on the node itself: ``brand``, ``invite``, ``status``, ``backup`` ----------------------------


class AddBrand(Call, frozen=True):
    """-> BrandAdded: the secret is shown once."""

    name: str
    site: str


class EndBrand(Call, frozen=True):
    """-> Done: the brand's client authenticates no more."""

    brand: bytes


class NewInvite(Call, frozen=True):
    """-> Invited"""

    valid_ms: int


class GetStatus(Call, frozen=True):
    """-> NodeStatus"""


class Backup(Call, frozen=True):
    """-> Done: a consistent copy of a vault's file is at ``path``, which did not exist before."""

    vault: bytes
    path: str


class Unfreeze(Call, frozen=True):
    """-> Done: the owner of the machine says that its clock is right."""


class ListBrands(Call, frozen=True):
    """-> Brands"""


# --- a bridge, which brings what an existing broker holds -------------------------------------------


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True, gc=False):
    """What a broker delivered.  ``again``: it may be stored already, then under this ``packet_id``; of
    QoS 0 that is a number of the bridge's own.  ``retained``: state from before the bridge subscribed."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int
    again: bool = False
    retained: bool = False


class Deliver(Call, frozen=True):
    """-> Done, once all of these are durable: only then is the broker told.  Refused: none of them is
    stored. ``client_id`` names the broker's session, within which packet ids count."""

    device: bytes
    password: bytes
    client_id: str
    messages: list[Message]


class BridgeState(msgspec.Struct, frozen=True):
    """How one worker of a bridge fares with one device; counts are since it started.

    ``problem`` is a sentence from a closed set, without names of topics; ``expiry`` is for how many
    seconds the broker keeps the session, None: it does not say.  ``last`` is milliseconds since the epoch.
    """

    bridge: str
    worker: int
    device: str
    connected: bool
    problem: str = ""
    version: str = ""
    expiry: int | None = None
    last: int | None = None
    stored: int = 0
    waiting: int = 0  # received and not stored
    retained: int = 0
    refused: int = 0  # batches that the node did not take, and that were tried again
    dropped: int = 0  # of QoS 0 with no room left, too large, or without a readable topic
    forgotten: int = 0  # sessions that the broker had lost when we came back


class ReportBridge(Call, frozen=True):
    """-> Done: how a bridge's worker fares; forgotten when its connection ends."""

    states: list[BridgeState]


class GetBridges(Call, frozen=True):
    """-> BridgeStates"""


NodeCall = (
    Carried
    | Salts
    | Login
    | CreateVault
    | Enrol
    | Flush
    | AskGrant
    | PickedUp
    | FirstUse
    | Record
    | ReturnGrant
    | AddBrand
    | EndBrand
    | ListBrands
    | NewInvite
    | GetStatus
    | Backup
    | Unfreeze
    | Deliver
    | ReportBridge
    | GetBridges
)


# --- answers --------------------------------------------------------------------------------------


class Done(Reply, frozen=True):
    """It is so, durably."""


class Refused(Reply, frozen=True):
    """No.  ``code`` is one of a closed set (``PROTOCOL.md``), ``hint`` says what to do next."""

    code: str
    what: str
    hint: str = ""
    retry_after: int = 0  # seconds


class Overview(Reply, frozen=True):
    """The vault at a glance."""

    hpke_public: bytes
    verify_key: bytes
    suite: int
    generation: int
    head: Head
    created: int
    devices: int
    pending: int
    active: int
    readings: int
    first_day: int | None
    last_day: int | None
    frozen: str = ""  # why grants are refused for now, if they are


class Devices(Reply, frozen=True):
    """The devices, and where devices connect."""

    devices: list[DeviceRow]
    mqtt_host: str = ""  # where devices connect, for `device add`
    mqtt_port: int = 0
    mqtt_tls: bool = False
    ca_fingerprint: str = ""


class Learned(Reply, frozen=True):
    """What a device declared itself, sealed under its notes key; None: nothing yet."""

    learned: bytes | None


class Grants(Reply, frozen=True):
    """Requests and grants, newest first."""

    grants: list[GrantRow]


class Touchpoints(Reply, frozen=True):
    """Addresses handed out."""

    touchpoints: list[TouchpointRow]


class Brands(Reply, frozen=True):
    """Who may be handed a touchpoint."""

    brands: list[BrandRow]


class Clients(Reply, frozen=True):
    """Who may speak for the owner."""

    clients: list[ClientRow]


class Segments(Reply, frozen=True):
    """Segments of some days."""

    segments: list[SegmentRow]


class Chunks(Reply, frozen=True):
    """``after`` is where the next call goes on; None when there is no more."""

    chunks: list[ChunkRow]
    after: int | None


class Ledger(Reply, frozen=True):
    """Entries and the segments they are sealed under; ``head`` is the ledger's newest."""

    entries: list[SealedEntry]
    segments: list[SegmentRow]
    head: Head
    generation: int


class Prepared(Reply, frozen=True):
    """The statement holds from now on; history lies in these segments' lanes up to ``last_seq``."""

    segments: list[SegmentRow]
    last_seq: int


class KdfReply(Reply, frozen=True):
    """How to stretch this vault's passphrase."""

    salt: bytes
    params: KdfParams


class LoginReply(Reply, frozen=True):
    """The wrapped root and the owner's public keys."""

    wrapped: WrappedRoot
    hpke_public: bytes
    verify_key: bytes


class BrandAdded(Reply, frozen=True):
    """The OAuth client_id (text of ``brand``) and client_secret."""

    brand: bytes
    secret: str


class Invited(Reply, frozen=True):
    """A one-time code to create a vault with."""

    code: str
    expires: int


class BridgeStates(Reply, frozen=True):
    """How the bridges fare that run now."""

    states: list[BridgeState]


class NodeStatus(Reply, frozen=True):
    """Counts only: nothing here names a person."""

    vaults: int
    connections: int
    acknowledged: int
    uptime_ms: int
    pid: int
    mqtt: str
    mqtts: str
    http: str
    ca_fingerprint: str
    frozen: str
    version: str
    ws: str = ""
    wss: str = ""


AnyReply = (
    Done
    | Refused
    | Overview
    | Devices
    | Learned
    | Grants
    | Touchpoints
    | Brands
    | Clients
    | Segments
    | Chunks
    | Ledger
    | Prepared
    | KdfReply
    | LoginReply
    | BrandAdded
    | Invited
    | BridgeStates
    | NodeStatus
)
