"""From the ask to the terms: never wider, and the past in whole UTC days."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import TermsError
from policies.grant import Refusal, Selector
from policies.granted import granted_details
from policies.iso8601 import DAY
from policies.narrow import Bounds, exceeds, make_terms, settle_bounds
from tests.policies_samples import ASK, HUB, METER, MIDNIGHT_S, NOW_S, TERMS

HOUR = 3600
OPEN = msgspec.structs.replace(ASK, data_from=None, data_until=None, access_until=None)
YEAR_END = ASK.data_until or 0
ACCESS_END = ASK.access_until or 0


def ask(**bounds: int | None) -> Any:
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
    "an end before the start": (OPEN, {"data_from": NOW_S + DAY, "until": NOW_S + 5}, "empty"),
    "a start after the ask's end": (ASK, {"data_from": YEAR_END}, "empty"),
    "eleven years": (OPEN, {"duration_s": 11 * 366 * DAY}, "too_long"),
    "until the year 2100": (OPEN, {"until": 4_102_444_800}, "too_long"),
}


@pytest.mark.parametrize(("asked", "choice", "code"), REFUSES.values(), ids=REFUSES)
def test_bounds_that_leave_nothing_are_refused_with_a_sentence(
    asked: Any, choice: dict[str, Any], code: str
) -> None:
    refusal = settle_bounds(asked, now_s=NOW_S, **choice)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert refusal.reason.endswith(".")


@pytest.mark.parametrize(
    "choice", [{"duration_s": 5, "until": NOW_S + 5}, {"duration_s": 0}, {"duration_s": -5}, {"history": -1}]
)
def test_a_choice_that_contradicts_itself_is_an_error(choice: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="duration"):
        settle_bounds(ASK, now_s=NOW_S, **choice)


near = st.integers(NOW_S - 500 * DAY, NOW_S + 500 * DAY)


@given(
    st.tuples(st.none() | near, st.none() | near, st.none() | near),
    st.sampled_from(["none", "all"]) | st.integers(0, 600),
    st.none() | near,
    st.none() | near,
    st.none() | st.integers(1, 500 * DAY),
)
def test_bounds_are_never_wider_than_the_ask_and_the_past_is_whole_days(
    asked: tuple[int | None, int | None, int | None],
    history: Any,
    data_from: int | None,
    until: int | None,
    duration_s: int | None,
) -> None:
    one = ask(data_from=asked[0], data_until=asked[1], access_until=asked[2])
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
    assert bounds.data_from >= NOW_S or bounds.data_from % DAY == 0
    assert bounds.data_until > NOW_S or bounds.data_until % DAY == 0
    assert data_from is None or bounds.data_from >= min(data_from, NOW_S)
    assert until is None or bounds.data_until <= until
    if history == "none" and data_from is None:
        assert bounds.data_from >= NOW_S
    made = make_terms((one,), [Selector(METER, "energy")], bounds)
    assert exceeds((one,), made, answered_s=NOW_S) is None


ASKS = (ASK, msgspec.structs.replace(ASK, kinds=("temperature",), required=False))
GIVEN = make_terms(
    ASKS, [Selector(METER, "energy"), Selector(HUB, "temperature")], Bounds(NOW_S, YEAR_END, ACCESS_END)
)


def test_terms_take_the_words_of_the_request_and_the_choice_of_the_person() -> None:
    assert GIVEN.kinds == ("energy", "temperature")
    assert (GIVEN.purpose, GIVEN.purpose_text, GIVEN.retention) == (
        ASK.purpose,
        ASK.purpose_text,
        ASK.retention,
    )
    assert (GIVEN.recipients, GIVEN.benefit, GIVEN.resolution) == (ASK.recipients, ASK.benefit, "raw")
    assert exceeds(ASKS, GIVEN, answered_s=NOW_S) is None


def test_terms_without_a_selector_are_an_error() -> None:
    with pytest.raises(TermsError):
        make_terms(ASKS, [], Bounds(NOW_S, YEAR_END, ACCESS_END))


EXCEEDS: dict[str, tuple[dict[str, Any], str]] = {
    "a kind that was not asked for": (
        {"selectors": (*GIVEN.selectors, Selector(HUB, "humidity"))},
        "wider_than_asked",
    ),
    "another detail": ({"resolution": "hour"}, "wider_than_asked"),
    "a second more of history": ({"data_from": (ASK.data_from or 0) - 1}, "wider_than_asked"),
    "a second more of data": ({"data_until": YEAR_END + 1}, "wider_than_asked"),
    "a second more of access": ({"access_until": ACCESS_END + 1}, "wider_than_asked"),
    "another purpose": ({"purpose": "dpv:Marketing"}, "not_as_asked"),
    "other words": ({"purpose_text": "Bill by what you use!"}, "not_as_asked"),
    "a longer retention": ({"retention": "P91D"}, "not_as_asked"),
    "another recipient": ({"recipients": ("Grid operator",)}, "not_as_asked"),
    "another benefit": ({"benefit": ""}, "not_as_asked"),
}


@pytest.mark.parametrize(("changes", "code"), EXCEEDS.values(), ids=EXCEEDS)
def test_terms_that_no_narrowing_leads_to_are_refused(changes: dict[str, Any], code: str) -> None:
    refusal = exceeds(ASKS, msgspec.structs.replace(GIVEN, **changes), answered_s=NOW_S)
    assert refusal is not None
    assert refusal.code == code


def test_access_may_not_outlast_the_data_where_only_the_data_was_bounded() -> None:
    asks = (ask(data_until=NOW_S + DAY),)
    terms = make_terms(asks, [Selector(METER, "energy")], Bounds(NOW_S, NOW_S + DAY, NOW_S + DAY + 1))
    assert exceeds(asks, terms, answered_s=NOW_S) is not None


def test_the_brand_is_told_what_was_granted_and_nothing_of_devices() -> None:
    [detail] = granted_details(TERMS)
    assert detail == {
        "type": "personal_data",
        "actions": ["read"],
        "datatypes": ["energy", "temperature"],
        "resolution": "raw",
        "data_from": "2026-03-01T12:00:00Z",
        "data_until": "2026-03-31T12:00:00Z",
        "access_until": "2026-04-01T12:00:00Z",
        "purpose": "dpv:ServiceProvision",
        "purpose_text": "Bill by what you use",
        "retention": "P90D",
        "recipients": ["Grid operator"],
        "benefit": "10 % off the base fee",
    }
    assert "retention" not in granted_details(msgspec.structs.replace(TERMS, retention=None))[0]
