"""A person's keys: Argon2id against its vectors, bounds, normalising, wrapping, and what wrong keys give."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import cryptography_vectors
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records import records
from vault.errors import FormatError, KeyPolicyError, SealError
from vault.ids import VaultId
from vault.labels import expand_with_label
from vault.person import (
    CEILING,
    FLOOR,
    PASSPHRASE_MAX,
    KdfParams,
    Owner,
    argon2id,
    from_recovery,
    login_verifier,
    normalise,
    owner_key_id,
    stretch,
    unwrap_root,
    wrap_root,
)

ARGON2ID = [
    case
    for case in records(Path(cryptography_vectors.__file__).parent / "KDF" / "argon2id.txt")
    if not case.get("secret") and not case.get("ad")
]
VAULT, OTHER = VaultId(bytes(16)), VaultId(bytes(15) + b"\1")
ROOT, SALT, NONCE = bytes(range(32)), bytes(16), bytes(12)
OWNER = Owner(ROOT)


def test_there_are_vectors_to_run() -> None:
    assert len(ARGON2ID) >= 3


@pytest.mark.parametrize("case", ARGON2ID, ids=lambda case: f"{case['memcost']} KiB, {case['COUNT']}")
def test_argon2id_gives_the_values_of_its_vectors(case: dict[str, str]) -> None:
    params = KdfParams(int(case["iter"]), int(case["memcost"]), int(case["lanes"]))
    passphrase, salt = bytes.fromhex(case["pass"]), bytes.fromhex(case["salt"])
    assert argon2id(passphrase, salt, params, int(case["length"])).hex() == case["output"]


def test_stretching_is_argon2id_and_two_labels() -> None:
    stretched = argon2id(b"lantern orbit", SALT, FLOOR)
    made = stretch(b"lantern orbit", SALT)
    assert made.login_key == expand_with_label(stretched, "login")
    assert made.wrapping_key == expand_with_label(stretched, "wrap root")
    assert made.login_key != made.wrapping_key


@pytest.mark.parametrize("name", KdfParams.__struct_fields__)
@pytest.mark.parametrize("bound", [FLOOR, CEILING])
def test_a_server_cannot_ask_for_less_or_for_too_much(name: str, bound: KdfParams) -> None:
    """Refused before any work is done; -1 and 0 as well."""
    step = -1 if bound is FLOOR else 1
    for value in {getattr(bound, name) + step, getattr(bound, name) + 1000 * step, 0, -1}:
        with pytest.raises(KeyPolicyError):
            stretch(b"x", SALT, msgspec.structs.replace(FLOOR, **{name: value}))


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_salt_has_sixteen_bytes(size: int) -> None:
    with pytest.raises(KeyPolicyError):
        stretch(b"x", bytes(size))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("correct horse", "correct horse"),
        ("correct horse\n", "correct horse"),
        ("correct horse\r\n", "correct horse"),
        ("correct horse\n\n", "correct horse\n"),
        (" correct  horse ", " correct  horse "),
        ("ﬁre", "fire"),
        ("e\u0301tude", "étude"),
        ("\n", None),
        ("", None),
        ("a" * (PASSPHRASE_MAX + 1), None),
        ("\udcff", None),
    ],
)
def test_a_passphrase_is_the_same_however_it_is_typed(typed: str, kept: str | None) -> None:
    if kept is None:
        with pytest.raises(FormatError):
            normalise(typed)
    else:
        assert normalise(typed) == kept.encode()


@given(st.text(min_size=1, max_size=40))
def test_composed_and_decomposed_letters_are_one_passphrase(text: str) -> None:
    if normalised := unicodedata.normalize("NFKC", text.rstrip("\r\n")):
        assert normalise(unicodedata.normalize("NFD", normalised) + "\n") == normalise(normalised + "\n")


def test_the_root_opens_with_its_own_keys_in_its_own_vault_and_nowhere_else() -> None:
    right, wrong = from_recovery(bytes(32)), from_recovery(bytes(31) + b"\1")
    wrapped = wrap_root(right, VAULT, ROOT, NONCE)
    assert unwrap_root(right, VAULT, wrapped) == ROOT
    for unlocking, vault, blob in (
        (wrong, VAULT, wrapped),
        (right, OTHER, wrapped),
        (right, VAULT, wrapped[:-1]),
        (msgspec.structs.replace(right, wrapping_key=right.login_key), VAULT, wrapped),
    ):
        with pytest.raises(SealError):
            unwrap_root(unlocking, vault, blob)


def test_a_login_key_tells_nothing_of_the_wrapping_key_and_is_bound_to_its_vault() -> None:
    made = from_recovery(bytes(32))
    assert login_verifier(VAULT, made.login_key) != login_verifier(OTHER, made.login_key)
    assert len(login_verifier(VAULT, made.login_key)) == 32


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_recovery_entropy_and_roots_have_32_bytes(size: int) -> None:
    with pytest.raises(FormatError):
        from_recovery(bytes(size))
    with pytest.raises(FormatError):
        Owner(os.urandom(size))


def test_names_open_beside_their_own_thing_only() -> None:
    sealed = OWNER.seal_name(VAULT, "Küche", NONCE)
    assert OWNER.open_name(VAULT, sealed) == "Küche"
    with pytest.raises(SealError):
        OWNER.open_name(OTHER, sealed)
    with pytest.raises(SealError):
        OWNER.open_state(sealed)
    assert OWNER.open_state(OWNER.seal_state(b"pins", NONCE)) == b"pins"


def test_the_key_id_names_both_of_the_owners_keys() -> None:
    other = Owner(bytes(32))
    ids = {
        OWNER.key_id,
        owner_key_id(other.hpke.public, OWNER.verify_key),
        owner_key_id(OWNER.hpke.public, other.verify_key),
        other.key_id,
    }
    assert len(ids) == 4
