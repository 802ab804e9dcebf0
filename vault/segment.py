"""The key tree of a segment and the boxes in which its keys travel (FORMAT.md, "Segments").

Pure: keys and headers in, bytes out.  Which lane a reading belongs to is the writer's business.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

import msgspec

from vault.errors import FormatError
from vault.ids import ID_SIZE, DeviceId, GrantId, SegmentId, VaultId, plain
from vault.labels import (
    DIRECTORY,
    GRANT_BOX,
    KEY_SIZE,
    LANE,
    OWNER_BOX,
    RESOLUTION,
    VERSION,
    expand_with_label,
    pack,
    vec,
)
from vault.suite import SUITE, Recipient, aead_open, aead_seal, seal

SEGMENT_MAGIC: Final = b"HTS"
CHANNEL_MAX: Final = 255  # bytes of UTF-8
RAW: Final = "raw"
RESERVED: Final = (
    "_"  # begins the kinds that are the vault's own: no catalogue has one, no grant is given one
)
QUARANTINE: Final = "_quarantine"  # the kind of payloads that were not understood, kept whole
BLOB_KIND: Final = "_blob"  # the kind of payloads that are not to be read: an image, say; kept whole
_HEADER = struct.Struct(">3sBB16s16si")


class SegmentHeader(msgspec.Struct, frozen=True):
    """What is in clear about a segment: whose it is and which UTC day (days since 1970-01-01)."""

    vault: VaultId
    segment: SegmentId
    day: int

    def encode(self) -> bytes:
        """41 bytes: magic || version || suite || vault || segment || day (int32, big endian)."""
        return SEGMENT_MAGIC + bytes((VERSION, SUITE)) + self.vault + self.segment + pack("i", self.day)

    @classmethod
    def decode(cls, data: bytes) -> SegmentHeader:
        """Inverse of ``encode``; raises FormatError on anything else."""
        if len(data) != _HEADER.size:
            raise FormatError("a segment header has 41 bytes")
        magic, version, suite, vault, segment, day = _HEADER.unpack(data)
        if (magic, version, suite) != (SEGMENT_MAGIC, VERSION, SUITE):
            raise FormatError("a segment of another version or suite")
        return cls(VaultId(vault), SegmentId(segment), day)


class Lane(msgspec.Struct, frozen=True):
    """(device, channel, kind, part): readings that the same recipients may read."""

    device: DeviceId
    channel: str
    kind: str
    part: int

    def encode(self) -> bytes:
        """device (16) || vec(channel, kind) || part (uint32); raises FormatError for what does not fit."""
        try:
            channel, kind = self.channel.encode(), self.kind.encode()
        except UnicodeEncodeError:
            raise FormatError("a name of a series is not UTF-8") from None
        if len(channel) > CHANNEL_MAX:
            raise FormatError("a channel has up to 255 bytes")
        return self.device + vec(channel, kind) + pack("I", self.part)

    @classmethod
    def decode(cls, data: bytes) -> Lane:
        """Inverse of ``encode``; raises FormatError on anything else."""
        try:
            device, rest = DeviceId(data[:ID_SIZE]), data[ID_SIZE:]
            channel, rest = _take(rest)
            kind, rest = _take(rest)
            (part,) = struct.unpack(">I", rest)
            lane = cls(device, channel.decode(), kind.decode(), part)
        except (struct.error, UnicodeDecodeError):
            raise FormatError("not a lane") from None
        if len(channel) > CHANNEL_MAX:
            raise FormatError("a channel has up to 255 bytes")
        return lane


def is_reserved(kind: str) -> bool:
    """Whether a kind is the vault's own: its lanes are the owner's alone, whatever a grant says."""
    return kind.startswith(RESERVED)


def lane_key(segment_key: bytes, lane: Lane) -> bytes:
    """``K_l = EWL(K, "lane", device || channel || kind || part)``."""
    return expand_with_label(segment_key, LANE, lane.encode())


def resolution_key(key: bytes, resolution: str) -> bytes:
    """``K_lr = EWL(K_l, "resolution", resolution)``."""
    return expand_with_label(key, RESOLUTION, resolution.encode())


def seal_lane_name(segment_key: bytes, header: SegmentHeader, number: int, lane: Lane, nonce: bytes) -> bytes:
    """Seal which series a numbered lane holds, so that the host's disk does not say it."""
    return aead_seal(_directory_key(segment_key), nonce, lane.encode(), _lane_aad(header, number))


def open_lane_name(segment_key: bytes, header: SegmentHeader, number: int, sealed: bytes) -> Lane:
    """Inverse of ``seal_lane_name``; raises SealError, FormatError."""
    return Lane.decode(aead_open(_directory_key(segment_key), sealed, _lane_aad(header, number)))


def seal_owner_box(public: bytes, owner_key_id: bytes, header: SegmentHeader, segment_key: bytes) -> bytes:
    """The owner's box: one a segment, opens all of it."""
    return seal(public, segment_key, _owner_info(owner_key_id, header))


def open_owner_box(owner: Recipient, owner_key_id: bytes, header: SegmentHeader, box: bytes) -> bytes:
    """The segment key; raises SealError."""
    key = owner.open(box, _owner_info(owner_key_id, header))
    if len(key) != KEY_SIZE:
        raise FormatError("a segment key has 32 bytes")
    return key


class LaneKey(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One key in a grant's box: it opens this lane at this resolution, and nothing else."""

    segment: bytes
    number: int
    lane: bytes
    resolution: str
    key: bytes


def seal_grant_box(
    public: bytes, owner_key_id: bytes, vault: VaultId, grant: GrantId, keys: list[LaneKey]
) -> tuple[bytes, bytes]:
    """Seal lane keys to a grant: (the distinct segments, sorted and joined; the box).

    The list of segments stays in clear beside the box and is bound by it.
    """
    segments = b"".join(sorted({key.segment for key in keys}))
    info = _grant_info(owner_key_id, vault, grant, public, segments)
    return segments, seal(public, msgspec.msgpack.encode(keys, enc_hook=plain), info)


def open_grant_box(
    recipient: Recipient, owner_key_id: bytes, vault: VaultId, grant: GrantId, segments: bytes, box: bytes
) -> list[LaneKey]:
    """The keys in a grant's box; raises SealError, FormatError."""
    opened = recipient.open(box, _grant_info(owner_key_id, vault, grant, recipient.public, segments))
    try:
        keys = msgspec.msgpack.decode(opened, type=list[LaneKey])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise FormatError("not a list of lane keys") from None
    if any(len(key.segment) != ID_SIZE or len(key.key) != KEY_SIZE for key in keys):
        raise FormatError("a lane key has a segment of 16 bytes and a key of 32")
    if b"".join(sorted({key.segment for key in keys})) != segments:
        raise FormatError("a grant's box names other segments than its header")
    return keys


def _directory_key(segment_key: bytes) -> bytes:
    return expand_with_label(segment_key, DIRECTORY)


def _lane_aad(header: SegmentHeader, number: int) -> bytes:
    return header.encode() + pack("I", number)


def _owner_info(owner_key_id: bytes, header: SegmentHeader) -> bytes:
    return vec(OWNER_BOX, header.encode(), owner_key_id)


def _grant_info(owner_key_id: bytes, vault: VaultId, grant: GrantId, public: bytes, segments: bytes) -> bytes:
    return vec(
        GRANT_BOX,
        bytes((VERSION, SUITE)),
        vault,
        grant,
        hashlib.sha256(public).digest(),
        owner_key_id,
        hashlib.sha256(segments).digest(),
    )


def _take(data: bytes) -> tuple[bytes, bytes]:
    (size,) = struct.unpack(">H", data[:2])
    if len(data) < 2 + size:
        raise FormatError("a field is cut short")
    return data[2 : 2 + size], data[2 + size :]
