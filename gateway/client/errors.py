"""Errors of the client side: who could not be reached, who said no, and who cannot be believed.

ClientError
├── UnreachableError         nobody answers at the address, or not in time, or its certificate is another's
├── AddressError             an address we do not speak to: keys would cross a network in the clear
├── AnswerError              an answer that is not in our format: the host is at fault
├── DistrustError            the host shows something else than this client has seen before
│   ├── RolledBackError      an older vault
│   ├── ForkedError          another history of the same length or longer
│   └── ImpostorError        another owner's keys, or another cipher suite
├── RefusalError             the host said no
│   ├── NotAuthorisedError   it does not know this client, or this key
│   ├── NotFoundError        there is no such thing, or it is not yours
│   ├── DeclinedError        a policy of the host
│   ├── ConflictError        done already, or changed meanwhile
│   ├── ThrottledError       too often; ``retry_after`` says when to come back
│   ├── UnavailableError     not now
│   ├── FrozenError          the host's clock is in doubt, so grants rest
│   ├── InvalidError         it did not understand us
│   └── TooLargeError        more than it takes in one call
├── WrongSecretError         a passphrase or recovery phrase that opens nothing
├── WeakPassphraseError      a passphrase that can be guessed; the text is advice
├── PhraseError              a recovery phrase with a typing error
└── TermsError               what the person chose is not something that was asked, or not possible

No text here holds a key, a phrase, a token or a reading. The words of a host (``what``, ``hint``) are a
stranger's: escape them before showing.
"""

from __future__ import annotations

from typing import ClassVar


class ClientError(Exception):
    """Anything this package raises."""


class UnreachableError(ClientError):
    """Nobody answers at the address."""


class AddressError(ClientError, ValueError):
    """An address that is no base URL, or one that would carry keys over a network in the clear."""


class AnswerError(ClientError):
    """What answers does not speak our format."""


class DistrustError(ClientError):
    """The host contradicts what this client has pinned."""


class RolledBackError(DistrustError):
    """The host shows an older vault than this computer has seen."""


class ForkedError(DistrustError):
    """The host shows another history than this computer has seen."""


class ImpostorError(DistrustError):
    """The host shows keys that are not this vault's."""


class RefusalError(ClientError):
    """The host said no: ``what`` happened, ``hint`` what to do next, ``retry_after`` seconds."""

    code: ClassVar[str] = ""

    def __init__(self, what: str, hint: str = "", retry_after: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.retry_after = retry_after


class NotAuthorisedError(RefusalError):
    """The host does not accept this client, or this key."""

    code = "not_authorised"


class NotFoundError(RefusalError):
    """There is no such thing, or it is not yours: the two are not told apart."""

    code = "not_found"


class DeclinedError(RefusalError):
    """A policy of the host says no."""

    code = "refused"


class ConflictError(RefusalError):
    """It was done already, or somebody changed it meanwhile."""

    code = "conflict"


class ThrottledError(RefusalError):
    """Too many attempts."""

    code = "throttled"


class UnavailableError(RefusalError):
    """The host cannot do it now."""

    code = "unavailable"


class FrozenError(RefusalError):
    """The host's clock is in doubt; grants are neither made nor served until it is settled."""

    code = "frozen"


class InvalidError(RefusalError):
    """The host did not understand the call."""

    code = "invalid"


class TooLargeError(RefusalError):
    """The call holds more than the host takes at once."""

    code = "too_large"


REFUSALS: dict[str, type[RefusalError]] = {kind.code: kind for kind in RefusalError.__subclasses__()}


class WrongSecretError(ClientError):
    """A passphrase or a recovery phrase that does not open this vault."""


class WeakPassphraseError(ClientError, ValueError):
    """A passphrase that can be guessed."""


class PhraseError(ClientError, ValueError):
    """A recovery phrase with a typing error: too few words, an unknown one, or a wrong checksum."""


class TermsError(ClientError, ValueError):
    """What the person chose was not asked for, or cannot be given."""
