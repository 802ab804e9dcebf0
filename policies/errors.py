"""Errors of the policies.  A "no" is never one of them: that is a ``Refusal``, a value.

PolicyError
├── MalformedError     text that is not the strict JSON we read: whoever wrote it is at fault
├── RequestError       authorization_details that cannot be accepted: the brand is at fault
├── RulesError         standing rules that cannot be applied: the person's document is at fault
├── TermsError         terms, bounds or reads that cannot exist: our own caller is at fault
└── PermitError        a permit made, copied or subclassed outside ``decide``: our own caller is at fault
"""

from __future__ import annotations


class PolicyError(Exception):
    """Anything this package raises."""


class MalformedError(PolicyError, ValueError):
    """The text is not JSON as strictly as we read it."""


class RequestError(PolicyError, ValueError):
    """The brand's request cannot be accepted as it stands.

    ``reason`` says what is wrong, ``hint`` what to do next.  Both hold only the characters RFC 6749
    (section 5.2) allows in an ``error_description``, and at most a short escaped excerpt of the request.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason, hint)
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.reason}; {self.hint}"


class RulesError(PolicyError, ValueError):
    """The standing rules are not in canonical form, or name what the tables do not know."""


class TermsError(PolicyError, ValueError):
    """Terms or a read that could not mean anything: no selectors, no time, milliseconds for seconds."""


class PermitError(PolicyError, TypeError):
    """Only ``decide`` makes a permit."""
