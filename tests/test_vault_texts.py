"""Identifiers and secrets as text: what can be read is written again the same, and nothing else is read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vault.errors import FormatError, SealError
from vault.grantkey import Drawn, Slot, draw, grant_of_pickup, grant_of_token, pick_up, unwrap
from vault.ids import BrandId, ClientId, DeviceId, GrantId, Id, SegmentId, TouchpointId, VaultId
from vault.secrets import PICKUP_PREFIX, TOKEN_PREFIX, read_secret, write_secret
from vault.suite import Recipient

SIXTEEN, THIRTY_TWO = st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32)
PREFIXES = st.sampled_from([TOKEN_PREFIX, PICKUP_PREFIX])
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
# Letters that fold to, or look like, those of the alphabet.
CONFUSABLE = ALPHABET + ALPHABET.upper() + "0189=_- \n\u0131\u017f\u212a\u00df"
TYPES = (VaultId, DeviceId, SegmentId, GrantId, BrandId, ClientId, TouchpointId)
VAULT, GRANT, OTHER = VaultId(b"v" * 16), GrantId(b"g" * 16), GrantId(b"h" * 16)


def counter(start: int = 0) -> Callable[[int], bytes]:
    """Entropy that never repeats and is the same in every run."""
    state = [start]

    def take(size: int) -> bytes:
        state[0] += 1
        return state[0].to_bytes(8, "big").rjust(size, b"e")[:size]

    return take


@given(SIXTEEN)
@pytest.mark.parametrize("kind", TYPES)
def test_an_identifier_is_read_as_it_was_written(kind: type[Id], value: bytes) -> None:
    assert kind.parse(kind(value).text) == value
    assert type(kind.parse(kind(value).text)) is kind
    assert kind(value).text.upper().startswith(kind(value).short)


@given(st.text(CONFUSABLE, min_size=24, max_size=28))
@example("a" * 25 + "b")
@example("A" * 26)
@example("a" * 25 + "\u00df")
def test_every_text_that_is_an_identifier_is_the_only_one(text: str) -> None:
    try:
        found = VaultId.parse(text)
    except FormatError:
        return
    assert found.text == text


@given(st.binary(max_size=40).filter(lambda value: len(value) != 16))
def test_an_identifier_has_sixteen_bytes(value: bytes) -> None:
    with pytest.raises(FormatError):
        VaultId(value)


@given(PREFIXES, SIXTEEN, THIRTY_TWO)
def test_a_secret_is_read_as_it_was_written(prefix: str, grant: bytes, secret: bytes) -> None:
    assert read_secret(prefix, write_secret(prefix, GrantId(grant), secret)) == (grant, secret)


@given(
    prefix=PREFIXES,
    secret=THIRTY_TWO,
    at=st.integers(0, 87),
    letter=st.sampled_from(CONFUSABLE),
    kind=st.sampled_from(["replace", "insert", "delete", "swap"]),
)
def test_every_text_that_is_a_secret_is_the_only_one(
    prefix: str, secret: bytes, at: int, letter: str, kind: str
) -> None:
    """One typing error of each sort: the checksum finds it, and stray bits and case have no second form."""
    text = write_secret(prefix, GRANT, secret)
    after = at + (kind != "insert")
    middle = {"replace": letter, "insert": letter, "delete": "", "swap": text[at : at + 2][::-1]}[kind]
    typed = text[:at] + middle + text[after + (kind == "swap") :]
    try:
        grant, found = read_secret(prefix, typed)
    except FormatError:
        return
    assert write_secret(prefix, grant, found) == typed == text


@given(st.text(CONFUSABLE + "htg_", max_size=90).map(lambda text: TOKEN_PREFIX + text))
def test_noise_is_no_secret(text: str) -> None:
    with pytest.raises(FormatError):
        read_secret(TOKEN_PREFIX, text)


def drawn() -> Drawn:
    return draw(VAULT, GRANT, counter())


def test_a_request_is_picked_up_again_and_again_for_one_token() -> None:
    made = drawn()
    token = pick_up(made.auth_req_id, made.slot, made.wrapped_seed, VAULT)
    assert pick_up(made.auth_req_id, made.slot, made.wrapped_seed, VAULT) == token
    assert grant_of_pickup(made.auth_req_id) == grant_of_token(token) == GRANT
    assert unwrap(token, made.slot, made.wrapped_seed, VAULT).public == made.public


def test_a_token_unwraps_without_the_salt_it_was_made_from() -> None:
    made = drawn()
    token = pick_up(made.auth_req_id, made.slot, made.wrapped_seed, VAULT)
    used = Slot(made.slot.pepper, bytes(32))
    assert isinstance(unwrap(token, used, made.wrapped_seed, VAULT), Recipient)
    with pytest.raises(SealError, match="used"):
        pick_up(made.auth_req_id, used, made.wrapped_seed, VAULT)


ANOTHER = b"x" * 32
WRONG_PICKUPS: dict[str, Callable[[Drawn], tuple[str, Slot, bytes, VaultId]]] = {
    "another secret": lambda m: (write_secret(PICKUP_PREFIX, GRANT, ANOTHER), m.slot, m.wrapped_seed, VAULT),
    "another grant's id": lambda m: (
        write_secret(PICKUP_PREFIX, OTHER, read_secret(PICKUP_PREFIX, m.auth_req_id)[1]),
        m.slot, m.wrapped_seed, VAULT,
    ),
    "another salt": lambda m: (m.auth_req_id, Slot(m.slot.pepper, ANOTHER), m.wrapped_seed, VAULT),
    "another pepper": lambda m: (m.auth_req_id, Slot(ANOTHER, m.slot.pickup_salt), m.wrapped_seed, VAULT),
    "an erased pepper": lambda m: (m.auth_req_id, Slot(bytes(32), m.slot.pickup_salt), m.wrapped_seed, VAULT),
    "another vault": lambda m: (m.auth_req_id, m.slot, m.wrapped_seed, VaultId(b"w" * 16)),
    "no seed": lambda m: (m.auth_req_id, m.slot, b"", VAULT),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_PICKUPS)
def test_nothing_else_unwraps_a_seed(name: str) -> None:
    with pytest.raises(SealError):
        pick_up(*WRONG_PICKUPS[name](drawn()))


def test_a_seed_wrapped_under_zeros_is_not_opened_either() -> None:
    """An erased slot is no key, even for a seed that somebody wrapped under it on purpose."""
    entropy = counter()
    made = draw(VAULT, GRANT, lambda size: bytes(size))
    assert made.slot == Slot(bytes(32), bytes(32))
    with pytest.raises(SealError):
        pick_up(made.auth_req_id, made.slot, made.wrapped_seed, VAULT)
    with pytest.raises(SealError):
        unwrap(write_secret(TOKEN_PREFIX, GRANT, entropy(32)), made.slot, made.wrapped_seed, VAULT)


def test_a_token_is_no_auth_req_id_and_the_other_way_round() -> None:
    made = drawn()
    token = pick_up(made.auth_req_id, made.slot, made.wrapped_seed, VAULT)
    for swapped, read in ((token, grant_of_pickup), (made.auth_req_id, grant_of_token)):
        with pytest.raises(FormatError):
            read(swapped)
    disguised = TOKEN_PREFIX + made.auth_req_id.removeprefix(PICKUP_PREFIX)
    with pytest.raises(FormatError):  # the checksum covers the prefix
        grant_of_token(disguised)
