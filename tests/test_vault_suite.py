"""The cipher suite against outside vectors, a second writing of it, and a second library."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given
from hypothesis import strategies as st
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey, OpenError

from tests import xwing
from vault.errors import FormatError, SealError
from vault.suite import (
    ENCAPSULATION_SIZE,
    NONCE_SIZE,
    PUBLIC_SIZE,
    TAG_SIZE,
    Recipient,
    aead_open,
    aead_seal,
    check_public,
    seal,
)

HPKE = Path(cryptography_vectors.__file__).parent / "HPKE"
RFC9180 = json.loads((HPKE / "test-vectors.json").read_text())
POST_QUANTUM = json.loads((HPKE / "hpke-pq-test-vectors.json").read_text())
XWING = [vector for vector in POST_QUANTUM if vector["kem_id"] == xwing.KEM_XWING]
BASE_X25519 = [
    v for v in RFC9180 if (v["mode"], v["kem_id"], v["kdf_id"]) == (0, 0x20, 1) and v["aead_id"] in (2, 3)
]
KEMS = {2: AEAD.AES_256_GCM, 3: AEAD.CHACHA20_POLY1305}
SEED, INFO = bytes(range(32)), b"info of a box"


def unhex(vector: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


def nonce(base: bytes, number: int) -> bytes:
    return (int.from_bytes(base, "big") ^ number).to_bytes(12, "big")


def test_there_are_vectors_to_run() -> None:
    assert len(XWING) == 2
    assert [v["aead_id"] for v in BASE_X25519] == [2, 3]


@pytest.mark.parametrize("vector", XWING, ids=lambda v: f"kdf {v['kdf_id']}")
def test_a_seed_is_the_private_key_of_x_wing(vector: dict[str, Any]) -> None:
    seed, public = unhex(vector, "skRm", "pkRm")
    assert Recipient(seed).public == public


@pytest.mark.parametrize("vector", XWING, ids=lambda v: f"kdf {v['kdf_id']}")
def test_the_second_writing_decapsulates_the_vectors(vector: dict[str, Any]) -> None:
    seed, enc, shared = unhex(vector, "skRm", "enc", "shared_secret")
    assert xwing.decapsulate(seed, enc) == shared


def test_the_second_writing_has_the_key_schedule_of_the_vectors() -> None:
    for vector, kem in [(v, xwing.KEM_XWING) for v in XWING if v["kdf_id"] == 1] + [
        (v, 0x20) for v in BASE_X25519
    ]:
        shared, info, *expected = unhex(
            vector, "shared_secret", "info", "key", "base_nonce", "exporter_secret"
        )
        assert xwing.schedule(shared, info, vector["aead_id"], kem) == tuple(expected)


def test_the_second_writing_opens_the_vectors_messages() -> None:
    """X-Wing with HKDF-SHA256 is published with ChaCha20 only: the AEAD is the one part that ours changes."""
    [vector] = [v for v in XWING if v["kdf_id"] == 1]
    seed, enc, info = unhex(vector, "skRm", "enc", "info")
    found = xwing.schedule(xwing.decapsulate(seed, enc), info, xwing.CHACHA20)
    for number, message in enumerate(vector["encryptions"]):
        aad, sealed, plain = unhex(message, "aad", "ct", "pt")
        assert ChaCha20Poly1305(found.key).decrypt(nonce(found.nonce, number), sealed, aad) == plain


def test_our_private_key_opens_boxes_of_the_published_suite() -> None:
    """The library's X-Wing with ChaCha20, the suite of the vectors, takes the key our seed expands to."""
    published = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    [vector] = [v for v in XWING if v["kdf_id"] == 1]
    seed, enc, info, shared = unhex(vector, "skRm", "enc", "info", "shared_secret")
    found = xwing.schedule(shared, info, xwing.CHACHA20)
    box = enc + ChaCha20Poly1305(found.key).encrypt(found.nonce, b"said by the vector's sender", b"")
    assert published.decrypt(box, Recipient(seed)._private, info=info) == b"said by the vector's sender"


@given(plain=st.binary(max_size=200), info=st.binary(max_size=200), seed=st.binary(min_size=32, max_size=32))
def test_two_writers_agree_on_our_boxes(plain: bytes, info: bytes, seed: bytes) -> None:
    recipient = Recipient(seed)
    box = seal(recipient.public, plain, info)
    theirs = xwing.schedule(xwing.decapsulate(seed, box[:ENCAPSULATION_SIZE]), info, xwing.AES_256_GCM)
    assert AESGCM(theirs.key).decrypt(theirs.nonce, box[ENCAPSULATION_SIZE:], b"") == plain
    shared, enc = xwing.encapsulate(recipient.public, X25519PrivateKey.generate())
    ours = xwing.schedule(shared, info, xwing.AES_256_GCM)
    assert recipient.open(enc + AESGCM(ours.key).encrypt(ours.nonce, plain, b""), info) == plain


@pytest.mark.parametrize("vector", BASE_X25519, ids=lambda v: f"aead {v['aead_id']}")
def test_the_library_reads_rfc_9180(vector: dict[str, Any]) -> None:
    """Message 0 of a vector has data beside it that the single shot cannot take, so it is sealed anew."""
    private, enc, info, key, base = unhex(vector, "skRm", "enc", "info", "key", "base_nonce")
    aad, sealed, plain = unhex(vector["encryptions"][0], "aad", "ct", "pt")
    cipher = (AESGCM if vector["aead_id"] == 2 else ChaCha20Poly1305)(key)
    assert cipher.decrypt(base, sealed, aad) == plain
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, KEMS[vector["aead_id"]])
    box = enc + cipher.encrypt(base, plain, b"")
    assert suite.decrypt(box, X25519PrivateKey.from_private_bytes(private), info=info) == plain


def test_a_second_library_agrees_on_hpke_with_our_kdf_and_aead() -> None:
    """pyhpke has no X-Wing; with X25519 in its place each opens what the other sealed under the same info."""
    ours = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    theirs = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)
    private = X25519PrivateKey.generate()
    box = ours.encrypt(b"hello", private.public_key(), info=INFO)
    key = KEMKey.from_pyca_cryptography_key(private)
    assert theirs.create_recipient_context(box[:32], key, info=INFO).open(box[32:]) == b"hello"
    with pytest.raises(OpenError):
        theirs.create_recipient_context(box[:32], key, info=INFO + b"x").open(box[32:])
    enc, sender = theirs.create_sender_context(
        KEMKey.from_pyca_cryptography_key(private.public_key()), info=INFO
    )
    assert ours.decrypt(enc + sender.seal(b"hello"), private, info=INFO) == b"hello"


def test_a_box_is_as_large_as_the_document_says() -> None:
    recipient = Recipient(SEED)
    assert len(recipient.public) == PUBLIC_SIZE
    assert len(seal(recipient.public, b"12345", INFO)) == ENCAPSULATION_SIZE + 5 + TAG_SIZE


@given(st.binary(max_size=1300))
def test_any_other_bytes_are_a_box_that_does_not_open(noise: bytes) -> None:
    with pytest.raises(SealError):
        Recipient(SEED).open(noise, INFO)


@given(at=st.integers(0), change=st.integers(1, 255))
def test_a_box_with_one_changed_byte_does_not_open(at: int, change: int) -> None:
    box = bytearray(seal(Recipient(SEED).public, b"a key", INFO))
    box[at % len(box)] ^= change
    with pytest.raises(SealError):
        Recipient(SEED).open(bytes(box), INFO)


@pytest.mark.parametrize(
    "public",
    {
        "short": bytes(PUBLIC_SIZE - 1),
        "long": Recipient(SEED).public + b"\0",
        "coefficients out of range": b"\xff" * PUBLIC_SIZE,
        "a point of low order": Recipient(SEED).public[:1184] + bytes(32),
    }.items(),
    ids=lambda case: case[0],
)
def test_nothing_is_sealed_to_what_is_not_a_public_key(public: tuple[str, bytes]) -> None:
    with pytest.raises(FormatError):
        check_public(public[1])
    check_public(Recipient(SEED).public)


@pytest.mark.parametrize(("key", "size"), [(16, 12), (24, 12), (31, 12), (32, 11), (32, 16), (32, 0)])
def test_only_keys_of_32_and_nonces_of_12_bytes_are_used(key: int, size: int) -> None:
    """The library would take 16 bytes for AES-128."""
    with pytest.raises(FormatError):
        aead_seal(bytes(key), bytes(size), b"x", b"")
    if key != 32:
        with pytest.raises(FormatError):
            aead_open(bytes(key), bytes(40), b"")


def test_what_is_too_short_does_not_open() -> None:
    sealed = aead_seal(bytes(32), bytes(NONCE_SIZE), b"", b"")
    assert aead_open(bytes(32), sealed, b"") == b""
    for size in range(len(sealed)):
        with pytest.raises(SealError):
            aead_open(bytes(32), sealed[:size], b"")


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(size: int) -> None:
    with pytest.raises(FormatError):
        Recipient(os.urandom(size))
