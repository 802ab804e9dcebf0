"""A device's credential: what the node keeps of its password, and what it can open while it is connected."""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from vault.errors import FormatError
from vault.ids import DeviceId
from vault.labels import (
    DEDUPE_CLIENT,
    DEDUPE_MESSAGE,
    DEVICE_DEDUPE,
    DEVICE_VERIFY,
    DEVICE_WRAP,
    KEY_SIZE,
    LESSONS,
    RESENT,
    RESENT_READING,
    SETTINGS,
    expand_with_label,
    hkdf,
    vec,
)
from vault.observation import Observation, Place, Value
from vault.suite import aead_open, aead_seal
from vault.values import BLOB, BOOLEAN, NUMBER, PLACE, TEXT

PASSWORD_BITS: Final = 130  # 26 characters of a-z2-7, drawn by the client
DIGEST_SIZE: Final = 8  # bytes kept for each packet id, and for each reading that may come again
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


def wrap_notes(device: DeviceId, password: bytes, notes_key: bytes, nonce: bytes) -> bytes:
    """Seal a device's notes key under its password, which the node sees at CONNECT: 60 bytes."""
    return aead_seal(hkdf(device, password, DEVICE_WRAP), nonce, notes_key, device)


def unwrap_notes(device: DeviceId, password: bytes, wrapped: bytes) -> bytes:
    """Inverse of ``wrap_notes``; raises SealError when the password is another."""
    return aead_open(hkdf(device, password, DEVICE_WRAP), wrapped, device)


class Notes:
    """What is noted of one device, under keys from its notes key.

    The owner's client writes *settings*, the node writes *lessons*: what the device declared itself.
    """

    __slots__ = ("_device", "_lessons", "_resent", "_settings")

    def __init__(self, device: DeviceId, notes_key: bytes) -> None:
        if len(notes_key) != KEY_SIZE:
            raise FormatError("a notes key has 32 bytes")
        self._device = device
        self._settings = expand_with_label(notes_key, SETTINGS)
        self._lessons = expand_with_label(notes_key, LESSONS)
        key = expand_with_label(notes_key, RESENT)
        self._resent = hashlib.blake2b(vec(RESENT_READING), key=key, digest_size=DIGEST_SIZE)

    def seal_settings(self, plaintext: bytes, nonce: bytes) -> bytes:
        """What the owner sets, as the host keeps it."""
        return aead_seal(self._settings, nonce, plaintext, self._device)

    def open_settings(self, sealed: bytes) -> bytes:
        """Inverse of ``seal_settings``; raises SealError."""
        return aead_open(self._settings, sealed, self._device)

    def seal_lessons(self, plaintext: bytes, nonce: bytes) -> bytes:
        """What the device declared, as the host keeps it."""
        return aead_seal(self._lessons, nonce, plaintext, self._device)

    def open_lessons(self, sealed: bytes) -> bytes:
        """Inverse of ``seal_lessons``; raises SealError."""
        return aead_open(self._lessons, sealed, self._device)

    def reading_digest(self, reading: Observation) -> bytes:
        """What recognises a reading that is sent again: 8 bytes over series, time and value.

        The time is the device's own, also where it was not believed: the arrival is another each time.
        """
        told = self._resent.copy()
        time = reading.time if reading.claimed is None else reading.claimed
        series = vec(reading.channel.encode(errors=_ANY), reading.kind.encode(errors=_ANY))
        told.update(series + (time % (1 << 64)).to_bytes(8, "big") + _told(reading.value))
        return told.digest()


_ANY: Final = "surrogatepass"  # what is no text is refused where it is sealed, and not here


def _told(value: Value) -> bytes:
    """A value as it is digested: its type as a chunk has it, then its bytes."""
    match value:
        case bool():
            return bytes((BOOLEAN, value))
        case float() | int():
            return struct.pack(">Bd", NUMBER, value)
        case str():
            return bytes((TEXT,)) + value.encode(errors=_ANY)
        case bytes():
            return bytes((BLOB,)) + value
        case Place(lat, lon, accuracy):
            more = b"" if accuracy is None else struct.pack(">d", accuracy)
            return struct.pack(">Bdd", PLACE, lat, lon) + more
        case _:
            raise FormatError("a device sends readings, and not what is made of them")
