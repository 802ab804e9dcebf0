"""Where the next page begins: a number under a MAC, so that a door keeps no state for anybody's reading.

``version (1) || after (uint64) || HMAC-SHA-256 truncated to 16 bytes``, in base64url.  The key derives from
the access token, and the MAC covers the grant and the query, so that a cursor is good for nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from typing import Final

from gateway.door.errors import ProblemError, bad_query
from gateway.door.forms import Query
from vault.ids import GrantId
from vault.labels import PREFIX, hkdf, vec

CURSOR: Final = PREFIX + b"cursor"
_HEAD: Final = struct.Struct(">BQ")
_VERSION: Final = 1
_TAG_SIZE: Final = 16
_SIZE: Final = _HEAD.size + _TAG_SIZE


def write_cursor(token: str, grant: GrantId, query: Query, after: int) -> str:
    """A cursor to the readings after a sequence number."""
    head = _HEAD.pack(_VERSION, after)
    return base64.urlsafe_b64encode(head + _tag(token, grant, query, head)).decode().rstrip("=")


def read_cursor(token: str, grant: GrantId, query: Query) -> int:
    """The sequence number after which to go on; 0 for a query without a cursor.

    Raises:
        ProblemError: a cursor that was made by somebody else, for another grant or another query.
    """
    if not query.cursor:
        return 0
    try:
        packed = base64.b64decode(
            query.cursor + "=" * (-len(query.cursor) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        raise _bad() from None
    head = packed[: _HEAD.size]
    if len(packed) != _SIZE or not hmac.compare_digest(packed[_HEAD.size :], _tag(token, grant, query, head)):
        raise _bad()
    version, after = _HEAD.unpack(head)
    if version != _VERSION or write_cursor(token, grant, query, after) != query.cursor:
        raise _bad()
    return int(after)


def _tag(token: str, grant: GrantId, query: Query, head: bytes) -> bytes:
    kinds = b"" if query.kinds is None else vec(*(kind.encode() for kind in sorted(query.kinds)))
    bounds = f"{query.since} {query.until}".encode()
    key = hkdf(b"", token.encode(), CURSOR)
    return hmac.digest(key, head + vec(grant, bounds) + hashlib.sha256(kinds).digest(), "sha256")[:_TAG_SIZE]


def _bad() -> ProblemError:
    return bad_query(
        "The cursor is not one of this grant and this query: follow the next link as it is, or leave it out."
    )
