"""What a node keeps of a device: a verifier, and digests that cannot be compared without the password."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.device import (
    CLIENT_KEY_SIZE,
    DIGEST_SIZE,
    Notes,
    client_key,
    dedupe_key,
    message_digest,
    unwrap_notes,
    verifier,
    wrap_notes,
)
from vault.errors import FormatError, SealError
from vault.ids import DeviceId
from vault.labels import expand_with_label
from vault.observation import Observation, Place, Value
from vault.person import Owner

DEVICE, OTHER = DeviceId(bytes(16)), DeviceId(b"o" * 16)
PASSWORD = b"abcdefghijklmnopqrstuvwxyz"
KEY = dedupe_key(DEVICE, PASSWORD)
TOPICS, PAYLOADS = st.binary(max_size=40), st.binary(max_size=200)


def test_the_stored_verifier_gives_no_dedupe_key() -> None:
    assert len({verifier(DEVICE, PASSWORD), KEY, verifier(OTHER, PASSWORD), dedupe_key(OTHER, PASSWORD)}) == 4


@given(TOPICS, PAYLOADS)
def test_a_digest_is_what_the_document_says(topic: bytes, payload: bytes) -> None:
    label = b"hypertouch 1 dedupe message"
    told = len(label).to_bytes(2, "big") + label + len(topic).to_bytes(2, "big") + topic + payload
    assert (
        message_digest(KEY, topic, payload)
        == hashlib.blake2b(told, key=KEY, digest_size=DIGEST_SIZE).digest()
    )


@given(TOPICS, PAYLOADS, TOPICS, PAYLOADS)
def test_messages_are_told_apart_wherever_topic_and_payload_meet(
    topic: bytes, payload: bytes, other_topic: bytes, other_payload: bytes
) -> None:
    same = (topic, payload) == (other_topic, other_payload)
    assert (message_digest(KEY, topic, payload) == message_digest(KEY, other_topic, other_payload)) == same
    if topic:
        assert message_digest(KEY, topic, payload) != message_digest(KEY, topic[:-1], topic[-1:] + payload)


@given(TOPICS, PAYLOADS)
def test_a_guessed_payload_cannot_be_compared_without_the_password(topic: bytes, payload: bytes) -> None:
    guesses = (
        dedupe_key(DEVICE, PASSWORD[:-1] + b"0"),
        verifier(DEVICE, PASSWORD),
        dedupe_key(OTHER, PASSWORD),
    )
    assert message_digest(KEY, topic, payload) not in {message_digest(key, topic, payload) for key in guesses}


@given(st.text(max_size=40))
def test_a_client_id_is_named_by_a_key_of_its_own_sort(client_id: str) -> None:
    named = client_key(KEY, client_id)
    assert len(named) == CLIENT_KEY_SIZE
    assert named != client_key(dedupe_key(OTHER, PASSWORD), client_id)
    assert named not in {
        message_digest(KEY, client_id.encode(), b""),
        message_digest(KEY, b"", client_id.encode()),
    }


NOTES_KEY = Owner(b"r" * 32).notes_key(DEVICE)
NOTES = Notes(DEVICE, NOTES_KEY)
NUMBERS = st.floats(allow_nan=False)
VALUES: st.SearchStrategy[Value] = st.one_of(
    NUMBERS,
    st.booleans(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.builds(Place, NUMBERS, NUMBERS, st.none() | NUMBERS),
)
READINGS = st.builds(
    Observation,
    st.text(max_size=3),
    st.sampled_from(["energy", "power"]),
    st.integers(-(2**63), 2**63 - 1),
    VALUES,
    st.none() | st.integers(),
)


def test_each_device_has_a_notes_key_of_its_own_and_only_the_root_gives_it() -> None:
    keys = {Owner(root * 32).notes_key(device) for root in (b"r", b"s") for device in (DEVICE, OTHER)}
    assert len(keys) == 4
    assert expand_with_label(b"r" * 32, "device notes", DEVICE) == NOTES_KEY


def test_the_notes_key_opens_with_the_password_and_for_that_device_alone() -> None:
    wrapped = wrap_notes(DEVICE, PASSWORD, NOTES_KEY, bytes(12))
    assert len(wrapped) == 60
    assert unwrap_notes(DEVICE, PASSWORD, wrapped) == NOTES_KEY
    for device, password, sealed in (
        (DEVICE, PASSWORD + b"x", wrapped),
        (DEVICE, verifier(DEVICE, PASSWORD), wrapped),
        (DEVICE, dedupe_key(DEVICE, PASSWORD), wrapped),
        (OTHER, PASSWORD, wrapped),
        (DEVICE, PASSWORD, wrapped[:-1]),
        (DEVICE, PASSWORD, b""),
    ):
        with pytest.raises(SealError):
            unwrap_notes(device, password, sealed)


def test_settings_and_lessons_open_as_what_they_are_and_for_their_device_alone() -> None:
    settings, lessons = NOTES.seal_settings(b"one", bytes(12)), NOTES.seal_lessons(b"two", bytes(12))
    assert (NOTES.open_settings(settings), NOTES.open_lessons(lessons)) == (b"one", b"two")
    attempts: list[tuple[Callable[[bytes], bytes], bytes]] = [
        (NOTES.open_lessons, settings),
        (NOTES.open_settings, lessons),
        (Notes(OTHER, NOTES_KEY).open_settings, settings),
        (Notes(DEVICE, Owner(b"s" * 32).notes_key(DEVICE)).open_settings, settings),
    ]
    for attempt, sealed in attempts:
        with pytest.raises(SealError):
            attempt(sealed)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_notes_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(FormatError):
        Notes(DEVICE, bytes(size))


def test_a_reading_is_digested_as_the_document_says() -> None:
    label = b"hypertouch 1 resent reading"
    told = len(label).to_bytes(2, "big") + label + b"\0\4grid\0\6energy" + (-5 % 2**64).to_bytes(8, "big")
    told += b"\0" + struct.pack(">d", 1.5)
    key = expand_with_label(NOTES_KEY, "resent")
    expected = hashlib.blake2b(told, key=key, digest_size=DIGEST_SIZE).digest()
    assert NOTES.reading_digest(Observation("grid", "energy", -5, 1.5)) == expected
    assert (
        NOTES.reading_digest(Observation("grid", "energy", 9, 1.5, -5)) == expected
    )  # the device's own time
    assert Notes(OTHER, Owner(b"r" * 32).notes_key(OTHER)).reading_digest(
        Observation("grid", "energy", -5, 1.5)
    ) != (expected)


def told_apart(one: Observation) -> tuple[object, ...]:
    """What makes a reading another; -0.0 and 0.0 are two values, True and 1.0 as well."""
    time = one.time if one.claimed is None else one.claimed
    return one.channel, one.kind, time % 2**64, type(one.value), repr(one.value)


@given(READINGS, READINGS)
def test_readings_are_told_apart_by_series_time_and_value(one: Observation, other: Observation) -> None:
    same = told_apart(one) == told_apart(other)
    assert (NOTES.reading_digest(one) == NOTES.reading_digest(other)) == same


def test_a_reading_that_cannot_be_sealed_can_be_digested() -> None:
    """Whose fault it is is found out where it is sealed; here nothing may raise."""
    assert NOTES.reading_digest(Observation("\ud800", "energy", 2**70, "\udfff"))
