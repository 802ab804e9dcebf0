"""From the ask to the terms: never wider, and the past in whole UTC days."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.grant import Refusal
from policies.iso8601 import DAY
from policies.narrow import LEEWAY, Bounds, exceeds, make_terms, settle_bounds
from policies.request import Ask
from policies.terms import Selector
from policies.wishes import Wish
from tests.policies_asking import requests
from tests.policies_samples import ASK, METER, MIDNIGHT_S, NOW_S

HOUR = 3600
OPEN = msgspec.structs.replace(ASK, data_from=None, data_until=None, access_until=None)
YEAR_END = ASK.data_until or 0
ACCESS_END = ASK.access_until or 0


def ask(**bounds: object) -> Any:
    return msgspec.structs.replace(OPEN, **bounds)


MONTH = NOW_S + 30 * DAY

SETTLES: dict[str, tuple[Any, dict[str, Any], tuple[int, int, int]]] = {
    "nobody says anything: from now on, 30 days": (OPEN, {}, (NOW_S, MONTH, MONTH)),
    "the brand says all: from now on, to its ends": (ASK, {}, (NOW_S, YEAR_END, ACCESS_END)),
    "a duration ends both data and access": (ASK, {"duration_s": DAY}, (NOW_S, NOW_S + DAY, NOW_S + DAY)),
    "an exact end": (ASK, {"until": NOW_S + 7}, (NOW_S, NOW_S + 7, NOW_S + 7)),
    "a duration past the ask is cut": (ASK, {"duration_s": 3000 * DAY}, (NOW_S, YEAR_END, ACCESS_END)),
    "access is cut where only data was asked": (
        ask(data_until=NOW_S + DAY),
        {"duration_s": 9 * DAY},
        (NOW_S, NOW_S + DAY, NOW_S + DAY),
    ),
    "data ends with access where only access was asked": (
        ask(access_until=NOW_S + DAY),
        {},
        (NOW_S, NOW_S + DAY, NOW_S + DAY),
    ),
    "data never outlasts access": (
        ask(data_until=NOW_S + 9 * DAY, access_until=NOW_S + DAY),
        {},
        (NOW_S, NOW_S + DAY, NOW_S + DAY),
    ),
    "all history of a brand that says since when": (
        ASK,
        {"history": "all"},
        (ASK.data_from or 0, YEAR_END, ACCESS_END),
    ),
    "all history of a brand that does not": (OPEN, {"history": "all"}, (0, MONTH, MONTH)),
    "all history since the vault's first day": (
        OPEN,
        {"history": "all", "first_day": 20_000},
        (20_000 * DAY, MONTH, MONTH),
    ),
    "the past begins at the next midnight": (
        ask(data_from=NOW_S - 10 * DAY),
        {"history": "all"},
        (MIDNIGHT_S - 9 * DAY, MONTH, MONTH),
    ),
    "a midnight stays": (
        ask(data_from=MIDNIGHT_S - DAY),
        {"history": "all"},
        (MIDNIGHT_S - DAY, MONTH, MONTH),
    ),
    "seven days back, in whole days": (OPEN, {"history": 7}, (MIDNIGHT_S - 6 * DAY, MONTH, MONTH)),
    "a day back is today so far": (OPEN, {"history": 1}, (MIDNIGHT_S, MONTH, MONTH)),
    "no days back is from now on": (OPEN, {"history": 0}, (NOW_S, MONTH, MONTH)),
    "more days back than there were": (OPEN, {"history": 99_999}, (0, MONTH, MONTH)),
    "days back past the ask are cut": (ASK, {"history": 999}, (ASK.data_from or 0, YEAR_END, ACCESS_END)),
    "today at noon is from now on, there is no midnight between": (
        OPEN,
        {"data_from": NOW_S - HOUR},
        (NOW_S, MONTH, MONTH),
    ),
    "an exact start before the ask is cut": (
        ASK,
        {"data_from": 0},
        (ASK.data_from or 0, YEAR_END, ACCESS_END),
    ),
    "an exact start to come stays to the second": (
        OPEN,
        {"data_from": NOW_S + 7},
        (NOW_S + 7, MONTH, MONTH),
    ),
    "a start the brand puts in the future stands": (
        ask(data_from=NOW_S + 7),
        {"history": "all"},
        (NOW_S + 7, MONTH, MONTH),
    ),
    "only the past, given: its end moves back to midnight": (
        ask(data_from=MIDNIGHT_S - 9 * DAY, data_until=NOW_S - DAY, access_until=NOW_S + DAY),
        {"history": "all"},
        (MIDNIGHT_S - 9 * DAY, MIDNIGHT_S - DAY, NOW_S + DAY),
    ),
    "the person gives only the past: data ends there, access lasts as asked": (
        ASK,
        {"history": "all", "until": MIDNIGHT_S - 5},
        (ASK.data_from or 0, MIDNIGHT_S - DAY, ACCESS_END),
    ),
    "the person gives only the past to a brand that says no end": (
        OPEN,
        {"history": 7, "until": MIDNIGHT_S},
        (MIDNIGHT_S - 6 * DAY, MIDNIGHT_S, MONTH),
    ),
    "nobody chooses between wishes: what would still do": (
        ask(history=Wish(30, 7), duration=Wish(365, 30)),
        {},
        (MIDNIGHT_S - 6 * DAY, MONTH, MONTH),
    ),
    "no history would still do": (ask(history=Wish(30, 0)), {}, (NOW_S, MONTH, MONTH)),
    "all history is the ideal": (
        ask(history=Wish(30, 7)),
        {"history": "all"},
        (MIDNIGHT_S - 29 * DAY, MONTH, MONTH),
    ),
    "more history than the ideal is cut": (
        ask(history=Wish(30, 7)),
        {"history": 90},
        (MIDNIGHT_S - 29 * DAY, MONTH, MONTH),
    ),
    "an exact start before the ideal is cut": (
        ask(history=Wish(30, 7)),
        {"data_from": 0},
        (MIDNIGHT_S - 29 * DAY, MONTH, MONTH),
    ),
    "less history than the minimum is the person's to give": (
        ask(history=Wish(30, 7)),
        {"history": "none"},
        (NOW_S, MONTH, MONTH),
    ),
    "no days of history, said": (ask(history=Wish(30, 7)), {"history": 0}, (NOW_S, MONTH, MONTH)),
    "a duration between the wishes": (
        ask(duration=Wish(365, 30)),
        {"duration_s": 90 * DAY},
        (NOW_S, NOW_S + 90 * DAY, NOW_S + 90 * DAY),
    ),
    "a duration past the ideal is cut": (
        ask(duration=Wish(365, 30)),
        {"duration_s": 999 * DAY},
        (NOW_S, NOW_S + 365 * DAY, NOW_S + 365 * DAY),
    ),
    "a shorter one than the minimum is the person's to give": (
        ask(duration=Wish(365, 30)),
        {"until": NOW_S + 7},
        (NOW_S, NOW_S + 7, NOW_S + 7),
    ),
    "only the past of a wish: access lasts as long as would still do": (
        ask(history=Wish(30, 7), duration=Wish(365, 30)),
        {"until": NOW_S - DAY},
        (MIDNIGHT_S - 6 * DAY, MIDNIGHT_S - DAY, MONTH),
    ),
    "history as wished, to an exact end": (
        msgspec.structs.replace(ASK, data_from=None, history=Wish(3, 3)),
        {},
        (MIDNIGHT_S - 2 * DAY, YEAR_END, ACCESS_END),
    ),
}


@pytest.mark.parametrize(("asked", "choice", "expected"), SETTLES.values(), ids=SETTLES)
def test_bounds_settle_as_the_sentence_says(
    asked: Any, choice: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    assert settle_bounds(asked, now_s=NOW_S, **choice) == Bounds(*expected)


REFUSES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "access that was asked is over": (ask(access_until=NOW_S), {}, "over"),
    "data that was asked is over and access with it": (ask(data_until=NOW_S - 1), {"history": "all"}, "over"),
    "only the past was asked, and no history given": (
        ask(data_until=NOW_S - DAY, access_until=NOW_S + DAY),
        {},
        "empty",
    ),
    "less than a whole day of the past": (
        ask(data_from=MIDNIGHT_S + 1, data_until=NOW_S, access_until=NOW_S + DAY),
        {"history": "all"},
        "empty",
    ),
    "the past, to this very second": (ask(data_until=NOW_S, access_until=NOW_S + 1), {}, "empty"),
    "an end before the start": (OPEN, {"data_from": NOW_S + DAY, "until": NOW_S + 5}, "empty"),
    "a start after the ask's end": (ASK, {"data_from": YEAR_END}, "empty"),
    "eleven years": (OPEN, {"duration_s": 11 * 366 * DAY}, "too_long"),
    "eleven years of a wish": (ask(duration=Wish(3653, 1)), {"duration_s": 3654 * DAY}, "too_long"),
    "less than a day of a wish, all of it past": (
        ask(history=Wish(1, 1), data_until=MIDNIGHT_S, access_until=NOW_S + 1),
        {},
        "empty",
    ),
    "until the year 2100": (OPEN, {"until": 4_102_444_800}, "too_long"),
}


@pytest.mark.parametrize(("asked", "choice", "code"), REFUSES.values(), ids=REFUSES)
def test_bounds_that_leave_nothing_are_refused_with_a_sentence(
    asked: Any, choice: dict[str, Any], code: str
) -> None:
    refusal = settle_bounds(asked, now_s=NOW_S, **choice)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert re.fullmatch(r"[A-Z][a-z ][a-z,; ]+(UTC )?[a-z ]+\.", refusal.reason)


@pytest.mark.parametrize(
    "choice", [{"duration_s": 5, "until": NOW_S + 5}, {"duration_s": 0}, {"duration_s": -5}, {"history": -1}]
)
def test_a_choice_that_contradicts_itself_is_an_error(choice: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="duration"):
        settle_bounds(ASK, now_s=NOW_S, **choice)


near = st.integers(NOW_S - 500 * DAY, NOW_S + 500 * DAY)


@given(
    requests(),
    st.sampled_from([None, "none", "all"]) | st.integers(0, 4000),
    st.none() | near,
    st.none() | near,
    st.none() | st.integers(1, 500 * DAY),
)
def test_bounds_are_never_wider_than_the_ask_and_the_past_is_whole_days(
    asks: tuple[Ask, ...],
    history: Any,
    data_from: int | None,
    until: int | None,
    duration_s: int | None,
) -> None:
    one = asks[0]
    bounds = settle_bounds(
        one,
        now_s=NOW_S,
        history=history,
        data_from=data_from,
        until=until,
        duration_s=None if until is not None else duration_s,
    )
    if isinstance(bounds, Refusal):
        return
    assert bounds.data_from < bounds.data_until <= max(NOW_S, bounds.access_until)
    assert bounds.access_until > NOW_S
    assert one.data_from is None or bounds.data_from >= one.data_from
    assert one.data_until is None or bounds.data_until <= one.data_until
    assert one.access_end is None or bounds.access_until <= one.access_end
    assert one.history is None or bounds.data_from >= NOW_S - one.history.ideal * DAY
    assert one.duration is None or bounds.access_until <= NOW_S + one.duration.ideal * DAY
    assert bounds.data_from >= NOW_S or bounds.data_from % DAY == 0
    assert bounds.data_until > NOW_S or bounds.data_until % DAY == 0
    assert data_from is None or bounds.data_from >= min(data_from, NOW_S)
    assert until is None or bounds.data_until <= until
    if data_from is None:
        # What nobody chose is no more than would still do.
        enough = 0 if one.history is None else one.history.minimum
        days = {"none": 0, "all": 99_999, None: enough}.get(history, history)
        assert bounds.data_from >= NOW_S - days * DAY
    if until is None and duration_s is None and one.duration is not None:
        assert bounds.data_until <= NOW_S + one.duration.minimum * DAY
    made = make_terms(asks, [Selector(METER, asks[0].kinds[0])], bounds)
    assert exceeds(asks, made, answered_s=NOW_S) is None
    for moment in (NOW_S - LEEWAY, NOW_S + LEEWAY):
        assert exceeds(asks, made, answered_s=moment) is None
