"""What a node keeps of a device: a verifier, and digests that cannot be compared without the password."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from vault.device import CLIENT_KEY_SIZE, DIGEST_SIZE, client_key, dedupe_key, message_digest, verifier
from vault.ids import DeviceId

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
