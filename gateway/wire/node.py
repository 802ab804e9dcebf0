"""What doors, bridges and the command line ask of a node, over its 0600 unix socket."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gateway.wire.base import DELIVER_MAX, Call
from gateway.wire.joining import CreateVault, Enrol, Login, Salts
from gateway.wire.owner import Envelope
from vault.grantkey import Slot
from vault.ledger import Entry

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


class Count(Call, frozen=True):
    """-> Counted, once it is durable: only then may the answer's first byte leave.

    Or Refused, "used_up".  A "use" begins with a request without a cursor; an "answer" counts against the
    budget of its UTC day.
    """

    grant: bytes
    what: Literal["use", "answer"]


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
    messages: Annotated[list[Message], msgspec.Meta(max_length=DELIVER_MAX)]


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
    | Count
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
