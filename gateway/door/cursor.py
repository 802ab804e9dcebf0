"""Where the next page begins: a number under a MAC, so that a door keeps no state for anybody's reading.

``version (2) || after (uint64) || use (uint32) || began (uint64) || upto (uint64) || HMAC-SHA-256 truncated
to 16 bytes``, in base64url.  The key derives from the access token, and the MAC covers the grant and the
query, so that a cursor is good for nothing else.  Version 1 had ``after`` alone, and is still read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from typing import Final

import msgspec

from gateway.door.errors import ProblemError, bad_query
from gateway.door.forms import Query
from policies.grant import USE_MS
from vault.ids import GrantId
from vault.labels import PREFIX, hkdf, vec

CURSOR: Final = PREFIX + b"cursor"
_HEADS: Final = {1: struct.Struct(">BQ"), 2: struct.Struct(">BQIQQ")}
_VERSION: Final = 2
_TAG_SIZE: Final = 16


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


def write_cursor(token: str, grant: GrantId, query: Query, place: Place) -> str:
    """A cursor to what comes next."""
    return _write(token, grant, query, _VERSION, place)


def _write(token: str, grant: GrantId, query: Query, version: int, place: Place) -> str:
    values = (place.after, place.use, place.began, place.upto) if version > 1 else (place.after,)
    head = _HEADS[version].pack(version, *values)
    return base64.urlsafe_b64encode(head + _tag(token, grant, query, head)).decode().rstrip("=")


def read_cursor(token: str, grant: GrantId, query: Query) -> Place:
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
    form = _HEADS.get(packed[0]) if packed else None
    if form is None or len(packed) != form.size + _TAG_SIZE:
        raise _bad()
    head = packed[: form.size]
    if not hmac.compare_digest(packed[form.size :], _tag(token, grant, query, head)):
        raise _bad()
    version, *values = form.unpack(head)
    place = Place(*values)
    if _write(token, grant, query, version, place) != query.cursor:  # base64 has several forms
        raise _bad()
    return place


def _tag(token: str, grant: GrantId, query: Query, head: bytes) -> bytes:
    kinds = b"" if query.kinds is None else vec(*(kind.encode() for kind in sorted(query.kinds)))
    bounds = f"{query.since} {query.until}".encode()
    key = hkdf(b"", token.encode(), CURSOR)
    return hmac.digest(key, head + vec(grant, bounds) + hashlib.sha256(kinds).digest(), "sha256")[:_TAG_SIZE]


def _bad() -> ProblemError:
    return bad_query(
        "The cursor is not one of this grant and this query: follow the next link as it is, or leave it out."
    )
