"""What all that travels has in common."""

from __future__ import annotations

from typing import Final

import msgspec

from vault.ids import plain

DELIVER_MAX: Final = 4096  # messages of a broker in one call, as many as a device may have in flight
MAX_BODY: Final = 32 << 20  # bytes of one owner's call; a year's history is about 200 kB
NONCE_WINDOW_MS: Final = 60_000  # how far an envelope's clock may be off
NOT_OURS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what decoding raises
_ENCODER = msgspec.msgpack.Encoder(enc_hook=plain)


def encode(message: object) -> bytes:
    """MessagePack of anything in this package; identifiers travel as their 16 bytes."""
    return _ENCODER.encode(message)


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Base of everything that is asked of a door or a node."""


class Reply(msgspec.Struct, frozen=True, tag=True):
    """Base of every answer; unknown fields are ignored, so that a node may be newer than a client."""
