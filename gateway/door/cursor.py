"""Where the next page begins: sealed by the door, so that it keeps no state for anybody's reading.

``version (3) || AES-SIV(after (uint64) || use (uint32) || began (uint64) || upto (uint64))`` (RFC 5297), in
base64url.  The key derives from the access token and from the grant's pepper, which no brand has: whoever
could make a cursor could say that its use goes on, and read a grant of one use for ever.  It is sealed, too:
sequence numbers count everything that arrives in the vault, also of series that the brand is not given.  The
grant and the query are bound, so that a cursor is good for nothing else.

Cursors of versions 1 and 2 had a MAC whose key a brand could derive, and are not read any more: with one of
its own making for every number, it could find out how many readings of others lie between two of its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from gateway.door.errors import ProblemError, bad_query
from gateway.door.forms import Query
from policies.grant import USE_MS
from vault.ids import GrantId
from vault.labels import PREFIX, hkdf, vec

CURSOR: Final = PREFIX + b"cursor"
_VERSION: Final = 3
_PLACE: Final = struct.Struct(">QIQQ")
_TAG_SIZE: Final = 16
_SIZE: Final = 1 + _TAG_SIZE + _PLACE.size


class Place(msgspec.Struct, frozen=True):
    """After which sequence number to go on, and within which use of a grant that counts them.

    ``use`` 0: none, this begins one.  It began at ``began`` (ms), and gives what had arrived by then: up to
    sequence number ``upto``.
    """

    after: int = 0
    use: int = 0
    began: int = 0
    upto: int = 0

    def goes_on(self, now: int) -> bool:
        """Whether this is one more page of a use, and begins no other."""
        return self.use > 0 and now < self.began + USE_MS


def write_cursor(token: str, pepper: bytes, grant: GrantId, query: Query, place: Place) -> str:
    """A cursor to what comes next."""
    packed = _PLACE.pack(place.after, place.use, place.began, place.upto)
    sealed = _cipher(token, pepper).encrypt(packed, _bound(grant, query))
    return _text(bytes([_VERSION]) + sealed)


def read_cursor(token: str, pepper: bytes, grant: GrantId, query: Query) -> Place:
    """Where to go on; from the beginning for a query without a cursor.

    Raises:
        ProblemError: a cursor that was made by somebody else, for another grant or another query.
    """
    if not query.cursor:
        return Place()
    try:
        packed = base64.b64decode(
            query.cursor + "=" * (-len(query.cursor) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        raise _bad() from None
    if _text(packed) != query.cursor:  # base64 has several forms
        raise _bad()
    if len(packed) != _SIZE or packed[0] != _VERSION:
        raise _bad()
    try:
        return Place(*_PLACE.unpack(_cipher(token, pepper).decrypt(packed[1:], _bound(grant, query))))
    except InvalidTag:
        raise _bad() from None


def _cipher(token: str, pepper: bytes) -> AESSIV:
    return AESSIV(hkdf(pepper, token.encode(), CURSOR))


def _bound(grant: GrantId, query: Query) -> list[bytes]:
    """The grant and the query, as they are bound."""
    kinds = b"" if query.kinds is None else vec(*(kind.encode() for kind in sorted(query.kinds)))
    bounds = f"{query.since} {query.until}".encode()
    return [bytes([_VERSION]), vec(grant, bounds) + hashlib.sha256(kinds).digest()]


def _text(packed: bytes) -> str:
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _bad() -> ProblemError:
    return bad_query(
        "The cursor is not one of this grant and this query: follow the next link as it is, or leave it out."
    )
