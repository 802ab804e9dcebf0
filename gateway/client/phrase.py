"""Passphrases worth keeping, and the 24 words of a recovery phrase (BIP 39, English)."""

from __future__ import annotations

import unicodedata
from typing import Final

from gateway.client.errors import PhraseError, WeakPassphraseError
from vault.labels import KEY_SIZE

WORDS: Final = 24  # they stand for 32 bytes and 8 bits of checksum
SCORED: Final = 72  # characters that zxcvbn looks at; what follows cannot make it weaker
ENOUGH: Final = 4  # of zxcvbn's 0..4: more than 10^10 guesses


def require_strong(passphrase: str) -> None:
    """Return if a passphrase that a person thought of is hard to guess.

    Raises:
        WeakPassphraseError: it is not; its text is advice, and never holds the passphrase.
    """
    import zxcvbn

    if not passphrase.strip():
        raise WeakPassphraseError("It is empty.")
    found = zxcvbn.zxcvbn(passphrase[:SCORED])
    if found["score"] < ENOUGH:
        feedback = found["feedback"]
        advice = " ".join(filter(None, [feedback["warning"], *feedback["suggestions"]]))
        raise WeakPassphraseError(advice or "Add more words that have nothing to do with each other.")


def write_phrase(entropy: bytes) -> str:
    """The 24 words for 32 bytes."""
    from mnemonic import Mnemonic

    if len(entropy) != KEY_SIZE:
        raise ValueError("a recovery phrase stands for 32 bytes")
    words: str = Mnemonic("english").to_mnemonic(entropy)
    return words


def read_phrase(text: str) -> bytes:
    """The 32 bytes behind a phrase as a person types it: any case, any spacing, numbers before the words.

    Raises:
        PhraseError: a typing error; which word it is, is said by its place.
    """
    from mnemonic import Mnemonic

    mnemonic = Mnemonic("english")
    folded = unicodedata.normalize("NFKD", text).lower().replace(",", " ").split()
    words = [word for word in folded if not word.strip(".:)").isdigit()]
    if len(words) != WORDS:
        raise PhraseError(f"the recovery phrase has {WORDS} words, and these are {len(words)}")
    known = set(mnemonic.wordlist)
    for place, word in enumerate(words, 1):
        if word not in known:
            raise PhraseError(f"word {place} is not one a recovery phrase can have")
    try:
        return bytes(mnemonic.to_entropy(words))
    except ValueError:
        raise PhraseError("the words do not fit together: one is wrong, or two changed places") from None
