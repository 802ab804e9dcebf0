"""Rows of the store as values; the wire carries them as they are."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from policies.grant import GrantState
from vault.observation import Aggregate, Observation, Place
from vault.statement import Signed

STATE: Final = msgspec.msgpack.Decoder(GrantState)  # of ``grant_.state``
SETTINGS_MAX: Final = 256 << 10  # bytes, sealed: all devices' settings travel in one answer


class DeviceRow(msgspec.Struct, frozen=True):
    """A device as the host knows it; times are milliseconds.

    ``name`` is sealed to the owner, ``settings`` under the device's notes key.  ``notes``: the node can open
    them while the device is connected.  What the device declared itself has a call of its own: it is large.
    """

    device: bytes
    name: bytes
    created: int
    ended: int | None
    last_seen: int | None
    readings: int
    quarantined: int
    dropped: int
    notes: bool = False
    settings: bytes | None = None
    paused: int | None = None  # since when nothing of it is taken
    released: Signed | None = None  # the owner's statement that it left their hands
    duplicates: int = 0  # readings that it had sent before
    gaps: int = 0  # messages that it numbered and we never had
    foreign: int = 0  # readings of sensors that are not the owner's: not stored
    blobs: int = 0  # images and the like, kept whole


class RuleAnswer(msgspec.Struct, frozen=True):
    """A yes that a standing rule said: which rules, to what, as which terms, and when (ms).

    Whoever seals to the grant settles the request with these rules as of ``at`` again, and takes the terms
    only where the same come out.  Hashes are SHA-256: of the signed rules, of the request, of its terms.
    """

    rules_version: int
    rules_hash: bytes
    request_hash: bytes
    terms_hash: bytes
    at: int


class GrantRow(msgspec.Struct, frozen=True):
    """A request or grant; ``brand_name`` and ``ask`` are the brand's words: escape before showing."""

    grant: bytes
    brand: bytes
    brand_name: str
    brand_site: str
    state: GrantState
    public: bytes
    ask: bytes  # canonical JSON authorization_details
    binding_message: str
    asked: int
    statement: Signed | None
    picked_up: int | None
    last_used: int | None = None  # the beginning of the UTC day on which it was last read
    rule: RuleAnswer | None = None  # where a standing rule said yes, and no statement has changed it since
    used: int = 0  # uses that were begun, while a grant whose terms count them lives


class BlackoutRow(msgspec.Struct, frozen=True):
    """A time in which nothing is sealed to any grant: [since, until) seconds of event time.

    No ``kinds`` means all kinds; ``ended`` (ms) is when it was taken back before it was over.
    """

    id: bytes
    since: int
    until: int
    kinds: tuple[str, ...]
    made: int
    ended: int | None = None


class TouchpointRow(msgspec.Struct, frozen=True):
    """The address a person handed to one brand."""

    touchpoint: bytes
    brand: bytes
    created: int
    ended: int | None


class BrandRow(msgspec.Struct, frozen=True):
    """A brand registered on this node."""

    brand: bytes
    name: str
    site: str
    created: int
    ended: int | None


class ClientRow(msgspec.Struct, frozen=True):
    """An enrolled installation of the owner's client."""

    client: bytes
    name: str
    enrolled: int
    ended: int | None


class LaneRow(msgspec.Struct, frozen=True, array_like=True):
    """A numbered lane of a segment; ``name`` (series and part) is sealed under the segment's key."""

    number: int
    device: bytes
    name: bytes


class SegmentRow(msgspec.Struct, frozen=True, array_like=True):
    """A segment's header (41 bytes), owner's box and lanes; ``open``: it was not closed and merged."""

    header: bytes
    owner_box: bytes
    lanes: list[LaneRow]
    open: bool
    cut: bool = False  # some of its readings are in no bucket yet


class ChunkRow(msgspec.Struct, frozen=True, array_like=True):
    """A sealed chunk and the clear part of its header."""

    row: int
    segment: bytes
    number: int
    resolution: str
    first_seq: int
    last_seq: int
    count: int
    body: bytes


class SealedChunk(msgspec.Struct, frozen=True, array_like=True):
    """A chunk on its way into the store: of a commit, or one that stands for several of its lane."""

    segment: bytes
    number: int
    resolution: str
    first_seq: int
    last_seq: int
    count: int
    body: bytes


class Stretch(msgspec.Struct, frozen=True, array_like=True):
    """Payloads in one lane of quarantine, from one sequence number to another: whole chunks."""

    segment: bytes
    number: int
    first_seq: int
    last_seq: int
    count: int


class NewReading(msgspec.Struct, frozen=True, array_like=True):
    """An ``Observation`` on its way in from the owner's client: of a kind that a device can report."""

    channel: str
    kind: str
    time: int
    value: float | bool | str | Place
    claimed: int | None = None

    @classmethod
    def of(cls, one: Observation) -> NewReading | None:
        """As it travels; None: a payload is no reading, nor is what was made of readings."""
        if isinstance(one.value, bytes | Aggregate):
            return None
        return cls(one.channel, one.kind, one.time, one.value, one.claimed)

    @property
    def observation(self) -> Observation:
        """The same, as it is stored."""
        return Observation(self.channel, self.kind, self.time, self.value, self.claimed)


class Taught(msgspec.Struct, frozen=True, array_like=True):
    """Payloads that were understood later: of ``stretches`` only ``chunks`` stay, and the readings come in.

    ``dropped`` are values that were understood and are no readings.
    """

    device: bytes
    stretches: tuple[Stretch, ...]
    chunks: tuple[SealedChunk, ...]
    readings: tuple[NewReading, ...]
    dropped: int = 0


class ChunkPlace(msgspec.Struct, frozen=True, array_like=True):
    """All chunks of a lane at one resolution."""

    segment: bytes
    number: int
    resolution: str


class GrantBox(msgspec.Struct, frozen=True, array_like=True):
    """A grant's box and the (sorted, joined) segments it names."""

    grant: bytes
    segments: bytes
    box: bytes


class Rewritten(msgspec.Struct, frozen=True, array_like=True):
    """A day that was read and sealed again by the owner's client, in one new segment.

    ``header`` and ``owner_box`` are the new segment's, empty where nothing is sealed; ``chunks`` come in the
    stead of all that is at ``gone``; ``whole`` are segments all of whose readings are in buckets now;
    ``reserved`` is the first sequence number that was reserved for it, 0 where none was; ``generation`` is
    the vault's when it was decided who may read what.
    """

    header: bytes
    owner_box: bytes
    lanes: tuple[LaneRow, ...]
    chunks: tuple[SealedChunk, ...]
    boxes: tuple[GrantBox, ...]
    gone: tuple[ChunkPlace, ...]
    whole: tuple[bytes, ...]
    reserved: int = 0
    generation: int = 0


class VaultRow(msgspec.Struct, frozen=True):
    """What is in clear about a vault."""

    vault: bytes
    hpke_public: bytes
    verify_key: bytes
    generation: int
    ledger_number: int
    ledger_hash: bytes
    created: int


class No(msgspec.Struct, frozen=True):
    """A change that is not made, and why; ``hint`` is what to do next."""

    code: Literal["not_authorised", "not_found", "conflict", "refused", "invalid", "frozen"]
    what: str
    hint: str = ""
