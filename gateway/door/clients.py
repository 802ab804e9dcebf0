"""Which brand asks: a client id and its secret, compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from gateway.door.context import Door
from gateway.door.errors import invalid_client, oauth_slow
from gateway.door.forms import Headers, parse_client
from vault.errors import FormatError
from vault.ids import BrandId
from vault.store.records import BrandRow
from vault.store.registry import secret_verifier

_NOBODY = bytes(32)  # the verifier of no secret: SHA-256 of something else


def authenticate(door: Door, headers: Headers, form: Mapping[str, str], source: str) -> BrandRow:
    """The brand that sent this request.

    Raises:
        OAuthError: unknown, ended or a wrong secret, which all look alike; or too many requests.
    """
    now = door.clock()
    wait = door.failures.wait(("client", source), now)
    if wait:
        raise oauth_slow(wait)
    credentials = parse_client(headers, form)
    try:
        known = door.reader.brand(BrandId.parse(credentials.client_id))
    except FormatError:
        known = None
    expected = known.verifier if known and known.row.ended is None else _NOBODY
    matches = hmac.compare_digest(expected, secret_verifier(credentials.secret))
    if known is None or known.row.ended is not None or not matches:
        door.failures.charge(("client", source), now)
        raise invalid_client()
    wait = door.clients.take(known.row.brand, now)
    if wait:
        raise oauth_slow(wait)
    return known.row
