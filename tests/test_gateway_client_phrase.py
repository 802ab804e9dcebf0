"""Passphrases worth keeping, and recovery phrases: a typing error is told apart from a wrong phrase."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mnemonic import Mnemonic

from cli.passphrase import generate
from gateway.client.errors import PhraseError, WeakPassphraseError
from gateway.client.phrase import WORDS, read_phrase, require_strong, write_phrase

ENTROPY = bytes(range(32))
PHRASE = write_phrase(ENTROPY)


@given(st.binary(min_size=32, max_size=32))
def test_a_phrase_of_24_words_stands_for_32_bytes(entropy: bytes) -> None:
    phrase = write_phrase(entropy)
    assert len(phrase.split()) == WORDS
    assert read_phrase(phrase) == entropy


@pytest.mark.parametrize(
    "typed",
    [
        PHRASE.upper(),
        PHRASE.replace(" ", "\n"),
        f"  {PHRASE}\n",
        PHRASE.replace(" ", ", "),
        "\n".join(f"{place}. {word}" for place, word in enumerate(PHRASE.split(), 1)),
    ],
    ids=["upper case", "a word a line", "spaces around", "commas", "numbered"],
)
def test_a_phrase_may_be_typed_as_people_do(typed: str) -> None:
    assert read_phrase(typed) == ENTROPY


def changed(place: int, word: str) -> str:
    words = PHRASE.split()
    return " ".join([*words[:place], word, *words[place + 1 :]])


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "these are 0"),
        (" ".join(PHRASE.split()[:23]), "these are 23"),
        (PHRASE + " abandon", "these are 25"),
        (changed(6, "hypertouch"), "word 7 is not"),
        (changed(6, "abandon"), "do not fit together"),
        (" ".join(PHRASE.split()[::-1]), "do not fit together"),
    ],
)
def test_a_typing_error_is_named_and_the_phrase_is_not(typed: str, said: str) -> None:
    with pytest.raises(PhraseError, match=said) as raised:
        read_phrase(typed)
    assert not any(word in str(raised.value).split() for word in typed.split() if len(word) > 4)


def test_one_wrong_digit_is_caught_255_times_in_256() -> None:
    """E18: of all single words in one place, the checksum lets through about one in 256."""
    passed = 0
    for word in Mnemonic("english").wordlist:
        try:
            read_phrase(changed(3, word))
            passed += 1
        except PhraseError:
            continue
    assert 1 <= passed <= 30  # 2048 / 256 = 8 on average, the right one among them


@pytest.mark.parametrize(
    "weak", ["password1", "hypertouch", "aaaaaaaaaaaaaaaa", "12345678", "qwertyuiop", ""]
)
def test_a_passphrase_that_can_be_guessed_is_refused_with_advice(weak: str) -> None:
    with pytest.raises(WeakPassphraseError) as raised:
        require_strong(weak)
    assert str(raised.value)
    assert not weak or weak not in str(raised.value)


def test_what_follows_the_72nd_character_is_neither_scored_nor_an_error() -> None:
    with pytest.raises(WeakPassphraseError):
        require_strong("a" * 72 + generate())
    require_strong(generate() + "a" * 1000)


def test_generated_passphrases_are_strong_enough() -> None:
    for _ in range(20):
        require_strong(generate())
