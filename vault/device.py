"""A device's credential: what the node keeps of its password, and the key that recognises a redelivery."""

from __future__ import annotations

import hashlib
from typing import Final

from vault.ids import DeviceId
from vault.labels import DEDUPE_CLIENT, DEDUPE_MESSAGE, DEVICE_DEDUPE, DEVICE_VERIFY, hkdf, vec

PASSWORD_BITS: Final = 130  # 26 characters of a-z2-7, drawn by the client
DIGEST_SIZE: Final = 8  # bytes kept for each packet id
CLIENT_KEY_SIZE: Final = 8  # bytes: an MQTT client id, as it is named on disk
_MESSAGE: Final = vec(DEDUPE_MESSAGE)


def verifier(device: DeviceId, password: bytes) -> bytes:
    """What the node stores; a password has 130 bits, so that one HKDF is enough."""
    return hkdf(device, password, DEVICE_VERIFY)


def dedupe_key(device: DeviceId, password: bytes) -> bytes:
    """The key of this device's redelivery digests; derived at CONNECT, held while connected."""
    return hkdf(device, password, DEVICE_DEDUPE)


def message_hash(key: bytes) -> hashlib.blake2b:
    """What ``digest_with`` starts from: made once a connection, because the key costs half of a digest."""
    return hashlib.blake2b(_MESSAGE, key=key, digest_size=DIGEST_SIZE)


def digest_with(start: hashlib.blake2b, topic: bytes, payload: bytes) -> bytes:
    """Keyed BLAKE2b (RFC 7693) over topic and payload, 8 bytes: guessing a payload needs the password.

    Every message of QoS 1 and 2 is digested, and this is several times as fast as HMAC-SHA-256.
    """
    told = start.copy()
    told.update(len(topic).to_bytes(2, "big") + topic + payload)
    return told.digest()


def message_digest(key: bytes, topic: bytes, payload: bytes) -> bytes:
    """The same for one message."""
    return digest_with(message_hash(key), topic, payload)


def client_key(key: bytes, client_id: str) -> bytes:
    """How a client id is named on disk, under the same key: 8 bytes."""
    told = vec(DEDUPE_CLIENT, client_id.encode())
    return hashlib.blake2b(told, key=key, digest_size=CLIENT_KEY_SIZE).digest()
