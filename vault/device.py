"""A device's credential: what the node keeps of its password, and the key that recognises a redelivery."""

from __future__ import annotations

import hmac
from typing import Final

from vault.ids import DeviceId
from vault.labels import DEDUPE_CLIENT, DEDUPE_MESSAGE, DEVICE_DEDUPE, DEVICE_VERIFY, hkdf, vec

PASSWORD_BITS: Final = 130  # 26 characters of a-z2-7, drawn by the client
DIGEST_SIZE: Final = 8  # bytes of HMAC-SHA-256 kept for each packet id
CLIENT_KEY_SIZE: Final = 8  # bytes: an MQTT client id, as it is named on disk


def verifier(device: DeviceId, password: bytes) -> bytes:
    """What the node stores; a password has 130 bits, so that one HKDF is enough."""
    return hkdf(device, password, DEVICE_VERIFY)


def dedupe_key(device: DeviceId, password: bytes) -> bytes:
    """The key of this device's redelivery digests; derived at CONNECT, held while connected."""
    return hkdf(device, password, DEVICE_DEDUPE)


def message_digest(key: bytes, topic: bytes, payload: bytes) -> bytes:
    """HMAC over topic and payload, 8 bytes: guessing a payload needs the password."""
    return hmac.digest(key, vec(DEDUPE_MESSAGE, topic) + payload, "sha256")[:DIGEST_SIZE]


def client_key(key: bytes, client_id: str) -> bytes:
    """How a client id is named on disk, under the same key: 8 bytes."""
    return hmac.digest(key, vec(DEDUPE_CLIENT, client_id.encode()), "sha256")[:CLIENT_KEY_SIZE]
