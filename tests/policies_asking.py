"""Requests for the tests of the policies: written as a brand would, refused as it would see it, and drawn."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import strategies as st

from policies.errors import RequestError
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.purposes import ROOT, purposes
from policies.request import MAX_SPAN, Ask, parse_details
from policies.wishes import MODES_SUPPORTED, Wish
from tests.policies_samples import DETAIL, NOW_S

KINDS = catalogue().names()
# RFC 6749, section 5.2: what an error_description may hold.
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")


def parse(text: str | bytes) -> tuple[Ask, ...]:
    return parse_details(text, catalogue(), purposes(), NOW_S)


def one(**changes: object) -> str:
    """The example with some fields changed, as the text of a list of one; ``...`` leaves a field out."""
    fields = {**DETAIL, **changes}
    return json.dumps([{field: value for field, value in fields.items() if value is not ...}])


def refuse(text: str | bytes) -> RequestError:
    """Parse what must be refused, and check what holds of every refusal."""
    with pytest.raises(RequestError) as caught:
        parse(text)
    error = caught.value
    for said in (error.reason, error.hint):
        assert DESCRIPTION.fullmatch(said), said
        assert len(said) < 250
    return error


def wish(ideal: str, minimum: str) -> dict[str, str]:
    return {"ideal": ideal, "minimum": minimum}


OPEN = {"data_from": ..., "data_until": ..., "access_until": ...}
PLACE = {"datatypes": ["location"]}


def texts(most: int, least: int = 0) -> st.SearchStrategy[str]:
    letters = st.characters(categories=("L", "M", "N", "P", "S", "Zs"), include_characters="\u200c\u200d")
    return st.text(letters, min_size=least, max_size=most).filter(lambda text: text == text.strip())


def wishes(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    """Two numbers, the smaller first."""
    return st.lists(st.integers(least, most), min_size=2, max_size=2).map(lambda two: (min(two), max(two)))


@st.composite
def details(draw: st.DrawFn, base: Ask, kinds: list[str]) -> Ask:
    """One detail over these kinds: a wish for a resolution that all have, and maybe for a frequency."""
    lists = [catalogue().kind(kind).resolutions for kind in kinds]
    common = [name for name in lists[0] if all(name in other for other in lists)]
    fine, coarse = draw(wishes(0, len(common) - 1))
    often, seldom = draw(wishes(1, DAY) | wishes(1, 366).map(lambda two: (two[0] * DAY, two[1] * DAY)))
    return msgspec.structs.replace(
        base,
        kinds=tuple(kinds),
        required=draw(st.booleans()),
        ideal=common[fine],
        minimum=common[coarse],
        frequency=draw(st.none() | st.just(Wish(often, seldom))),
    )


@st.composite
def requests(draw: st.DrawFn) -> tuple[Ask, ...]:
    """Any request that can be read: shared words and bounds, kinds dealt out to one or more details."""
    start = draw(st.none() | st.integers(NOW_S - MAX_SPAN, NOW_S + 4 * 365 * DAY))
    end = draw(st.none() | st.integers((start or NOW_S) + 1, min((start or NOW_S), NOW_S) + MAX_SPAN))
    access = draw(st.integers(max(start or 0, NOW_S) + 1, NOW_S + MAX_SPAN))
    until = draw(st.sampled_from([access, None])) if end is None or end > NOW_S else access
    history = duration = None
    if start is None and draw(st.booleans()):
        less, more = draw(wishes(0 if end is None or end > NOW_S else 1, 3653))
        history = Wish(more, less)
    if end is None and until is None and draw(st.booleans()):
        less, more = draw(wishes(1, 3653))
        duration = Wish(max(more, ((start or NOW_S) - NOW_S) // DAY + 1), less)
    private, ideal = draw(wishes(0, len(MODES_SUPPORTED) - 1))
    base = Ask(
        actions=("read",),
        kinds=(),
        ideal="raw",
        minimum="raw",
        data_from=start,
        data_until=end,
        access_until=until,
        purpose=draw(st.sampled_from([purpose.term for purpose in purposes() if purpose.term != ROOT])),
        purpose_text=draw(texts(500)),
        retention=draw(st.none() | st.sampled_from(["P0D", "P90D", "P2W", "P1Y6M"])),
        recipients=tuple(draw(st.lists(texts(100, least=1), max_size=4, unique=True))),
        benefit=draw(texts(500)),
        required=False,
        history=history,
        duration=duration,
        mode=MODES_SUPPORTED[ideal],
        mode_minimum=MODES_SUPPORTED[private],
    )
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8, unique=True))
    cut = draw(st.integers(1, len(kinds)))
    return tuple(draw(details(base, part)) for part in (kinds[:cut], kinds[cut:]) if part)
