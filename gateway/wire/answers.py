"""What is answered."""

from __future__ import annotations

from gateway.wire.base import Reply
from gateway.wire.node import (
    BridgeState,
)
from vault.ledger import Head, SealedEntry
from vault.person import KdfParams, WrappedRoot
from vault.statement import Signed
from vault.store.records import (
    BlackoutRow,
    BrandRow,
    ChunkRow,
    ClientRow,
    DeviceRow,
    GrantRow,
    SegmentRow,
    TouchpointRow,
)


class Done(Reply, frozen=True):
    """It is so, durably."""


class Refused(Reply, frozen=True):
    """No.  ``hint`` says what to do next.

    ``code`` is one of a closed set (``PROTOCOL.md``); a door that counts hears ``used_up``, too.
    """

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


class Reserved(Reply, frozen=True):
    """The first of the numbers that were reserved."""

    first: int


class StandingRulesReply(Reply, frozen=True):
    """Every version of the standing rules, signed, the newest last."""

    signed: list[Signed]


class Blackouts(Reply, frozen=True):
    """Times in which nobody gets anything, in the order in which they were made."""

    blackouts: list[BlackoutRow]


class Counted(Reply, frozen=True):
    """Which use of a grant this is, or which answer of the UTC day; 1 is the first.

    ``left`` is how many there are after it; None: no terms limit them.
    """

    number: int
    left: int | None


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
    | Reserved
    | StandingRulesReply
    | Blackouts
    | Counted
    | KdfReply
    | LoginReply
    | BrandAdded
    | Invited
    | BridgeStates
    | NodeStatus
)
