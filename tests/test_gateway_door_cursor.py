"""A cursor is good for one grant and one query, and nobody else can make one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.door.cursor import CURSOR, Place, read_cursor, write_cursor
from gateway.door.errors import ProblemError
from gateway.door.forms import Query
from vault.ids import GrantId
from vault.labels import hkdf, vec

GRANT = GrantId(b"g" * 16)
QUERY = Query(("energy", "power"), 1, 2, 1000, "")


PLACE = Place(7, 3, 1_000, 9)


PEPPER = b"p" * 32


def made(
    place: Place = PLACE,
    token: str = "token",
    grant: GrantId = GRANT,
    query: Query = QUERY,
    pepper: bytes = PEPPER,
) -> str:
    """A cursor, by default the right one."""
    return write_cursor(token, pepper, grant, query, place)


def forged(form: struct.Struct, *values: int) -> str:
    """What a brand can make of its own token: the cursors of before, whose key was the token's alone."""
    head = form.pack(*values)
    kinds = hashlib.sha256(vec(b"energy", b"power")).digest()
    bound = vec(GRANT, f"{QUERY.since} {QUERY.until}".encode()) + kinds
    tag = hmac.digest(hkdf(b"", b"token", CURSOR), head + bound, "sha256")[:16]
    return base64.urlsafe_b64encode(head + tag).decode().rstrip("=")


def read(cursor: str, query: Query = QUERY) -> Place:
    """What the door makes of it."""
    return read_cursor("token", PEPPER, GRANT, msgspec.structs.replace(query, cursor=cursor))


big = st.integers(0, 2**63 - 1)


@given(st.builds(Place, big, st.integers(0, 2**31), big, big))
def test_a_cursor_says_where_to_go_on(place: Place) -> None:
    assert read(made(place)) == place


def test_a_use_goes_on_for_an_hour() -> None:
    assert PLACE.goes_on(PLACE.began)
    assert PLACE.goes_on(PLACE.began + 3_600_000 - 1)
    assert not PLACE.goes_on(PLACE.began + 3_600_000)
    assert not Place(7).goes_on(0)  # none was begun


def test_a_cursor_of_a_number_that_a_brand_chose_is_refused() -> None:
    """By which of its readings come after a number it would learn how many of others lie between them."""
    with pytest.raises(ProblemError):
        read(forged(struct.Struct(">BQ"), 1, 7))


def test_whoever_has_the_token_cannot_say_that_a_use_goes_on() -> None:
    with pytest.raises(ProblemError):
        read(forged(struct.Struct(">BQIQQ"), 2, 0, 1, 1_000, 2**62))


def test_a_cursor_does_not_show_how_much_arrived_in_the_vault() -> None:
    """Sequence numbers are of all series; a cursor of before had them in clear (the control)."""
    place = Place(0x0123456789ABCDEF, 3, 1_000, 0x0123456789ABCDFF)
    shown = struct.pack(">Q", place.after)[:-1]
    assert shown not in base64.urlsafe_b64decode(made(place) + "==")
    assert shown in base64.urlsafe_b64decode(forged(struct.Struct(">BQ"), 1, place.after) + "==")


def test_without_a_cursor_reading_begins_at_the_beginning() -> None:
    assert read("") == Place()


def test_the_order_of_kinds_and_the_size_of_pages_may_change() -> None:
    other = msgspec.structs.replace(QUERY, kinds=("power", "energy"), limit=3)
    assert read(made(), other) == PLACE


FOREIGN = {
    "another token": made(token="other"),
    "another pepper": made(pepper=b"q" * 32),
    "another grant": made(grant=GrantId(b"h" * 16)),
    "other kinds": made(query=msgspec.structs.replace(QUERY, kinds=("energy",))),
    "kinds that only look the same when joined": made(
        query=msgspec.structs.replace(QUERY, kinds=("energypower",))
    ),
    "all kinds": made(query=msgspec.structs.replace(QUERY, kinds=None)),
    "another beginning": made(query=msgspec.structs.replace(QUERY, since=None)),
    "another end": made(query=msgspec.structs.replace(QUERY, until=3)),
    "cut short": made()[:-1],
    "one character more": made() + "A",
    "padded": made() + "==",
    "not base64": "!" * 34,
    "not ASCII": "ä" * 34,
    "standard base64": base64.b64encode(b"\xff" * 25).decode(),
}


@pytest.mark.parametrize("cursor", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_cursor_for_something_else_is_refused(cursor: str) -> None:
    with pytest.raises(ProblemError) as caught:
        read(cursor)
    assert caught.value.status == 400


def test_no_forged_cursor_is_taken() -> None:
    """Ten thousand: random ones, and right ones with one bit turned."""
    dice = random.Random(10)
    right = base64.urlsafe_b64decode(made() + "==")
    taken = 0
    for n in range(10_000):
        forged = bytearray(right if n % 2 else dice.randbytes(len(right)))
        if n % 2:
            forged[dice.randrange(len(forged))] ^= 1 << dice.randrange(8)
        try:
            read(base64.urlsafe_b64encode(forged).decode().rstrip("="))
            taken += 1
        except ProblemError:
            pass
    assert taken == 0
    assert read(made()) == PLACE  # the control: what was not forged is taken
