"""Identifiers: 16 random bytes each, a type for every thing that is named by one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final, Self

from vault.errors import FormatError

ID_SIZE: Final = 16  # bytes
TEXT_SIZE: Final = 26  # characters of RFC 4648 base32 without padding

Entropy = Callable[[int], bytes]  # os.urandom at the edge, a counter in tests


class Id(bytes):
    """An opaque identifier; ``text`` and ``parse`` are inverse to each other."""

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        if len(value) != ID_SIZE:
            raise FormatError("an identifier has 16 bytes")
        return super().__new__(cls, value)

    @classmethod
    def new(cls, entropy: Entropy) -> Self:
        """Draw a fresh identifier."""
        return cls(entropy(ID_SIZE))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the 26-character form.

        Raises:
            FormatError: not the canonical text of 16 bytes.
        """
        if len(text) != TEXT_SIZE:
            raise FormatError("an identifier has 26 characters")
        try:
            value = base64.b32decode(text.upper() + "======")
        except ValueError:
            raise FormatError("an identifier is written in a-z and 2-7") from None
        made = cls(value)
        if made.text != text:  # upper case, or stray bits in the last character
            raise FormatError("not the canonical form of an identifier")
        return made

    @property
    def text(self) -> str:
        """26 characters of ``a-z2-7``."""
        return base64.b32encode(self).decode().rstrip("=").lower()

    @property
    def short(self) -> str:
        """What a person types: any unique prefix will do, four characters are shown."""
        return self.text[:4].upper()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"

    __str__ = __repr__


def plain(value: object) -> bytes:
    """The ``enc_hook`` of every encoder that may meet an identifier: its 16 bytes.

    Raises:
        NotImplementedError: something else, which msgspec then names.
    """
    if isinstance(value, Id):
        return bytes(value)
    raise NotImplementedError


class VaultId(Id):
    """One person's vault."""

    __slots__ = ()


class DeviceId(Id):
    """The holder of one MQTT credential."""

    __slots__ = ()


class SegmentId(Id):
    """A part of one person's UTC day, written by one node process."""

    __slots__ = ()


class GrantId(Id):
    """A request, and the grant it may become."""

    __slots__ = ()


class BrandId(Id):
    """A registered brand; its text is the OAuth client_id."""

    __slots__ = ()


class ClientId(Id):
    """An enrolled installation of the owner's client."""

    __slots__ = ()


class TouchpointId(Id):
    """The address a person hands to one brand."""

    __slots__ = ()


class BlackoutId(Id):
    """A time in which nothing is sealed to any grant."""

    __slots__ = ()
