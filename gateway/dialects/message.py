"""A payload as rules see it: decoded when somebody asks, and of one of four shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.dialects.decode import decode, word
from gateway.dialects.paths import ABSENT

# What a payload can be; which formats have a place for it.
CONTAINER, SCALAR, WORD, OTHER = range(4)
FITS: Final[Mapping[str, frozenset[int]]] = {
    "json": frozenset((CONTAINER,)),
    "value": frozenset((SCALAR, WORD)),
    "text": frozenset((SCALAR, WORD)),
    "any": frozenset((CONTAINER, SCALAR, WORD, OTHER)),
    "blob": frozenset((CONTAINER, SCALAR, WORD, OTHER)),
    "unknown": frozenset((CONTAINER, SCALAR, WORD, OTHER)),
}


class Message:
    """A payload, decoded when somebody asks."""

    __slots__ = ("_document", "_shape", "payload")

    def __init__(self, payload: bytes) -> None:
        """Take a payload of any sort."""
        self.payload = payload
        self._document: Any = ABSENT
        self._shape = -1

    @property
    def document(self) -> Any:
        """The JSON it is; None: it is none, or null."""
        if self._document is ABSENT:
            self._document = decode(self.payload)
        return self._document

    @property
    def shape(self) -> int:
        """What it is."""
        if self._shape < 0:
            document = self.document
            if document.__class__ is dict or document.__class__ is list:
                self._shape = CONTAINER
            elif document is not None:
                self._shape = SCALAR
            else:
                self._shape = OTHER if word(self.payload) is None else WORD
        return self._shape

    def value(self, form: str) -> Any:
        """What rules of a format are about."""
        if form == "text" or self.shape == WORD:
            return word(self.payload)
        return self.document
