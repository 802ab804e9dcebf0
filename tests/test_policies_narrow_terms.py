"""From the ask to the terms: the least that would still do, and never more than the ideal in any way."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.errors import TermsError
from policies.grant import Refusal
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.minimise import Limit
from policies.narrow import LEEWAY, Bounds, exceeds, make_terms, settle_bounds
from policies.request import Ask
from policies.terms import Selector, Terms
from policies.wishes import MODES_SUPPORTED, RESOLUTIONS_SUPPORTED, Mode, Wish
from tests.policies_asking import requests
from tests.policies_samples import ASK, HUB, METER, MIDNIGHT_S, NOW_S

OPEN = msgspec.structs.replace(ASK, data_from=None, data_until=None, access_until=None)
YEAR_END = ASK.data_until or 0
ACCESS_END = ASK.access_until or 0
near = st.integers(NOW_S - 500 * DAY, NOW_S + 500 * DAY)

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


BOUNDS = Bounds(NOW_S, YEAR_END, ACCESS_END)
WISHED = msgspec.structs.replace(ASK, ideal="raw", minimum="hour", mode="read", mode_minimum="answer")
BOTH = [Selector(METER, "energy"), Selector(HUB, "temperature")]


def test_a_selector_without_a_resolution_gets_the_one_that_would_still_do() -> None:
    made = make_terms((WISHED,), [Selector(METER, "energy"), Selector(HUB, "energy")], BOUNDS)
    assert made.resolution == "hour"
    assert [selector.resolution for selector in made.selectors] == [None, None]
    assert exceeds((WISHED,), made, answered_s=NOW_S) is None


def test_selectors_that_differ_say_their_resolution_each_and_the_terms_the_coarsest() -> None:
    daily = msgspec.structs.replace(WISHED, kinds=("temperature",), ideal="hour", minimum="day")
    made = make_terms(
        (WISHED, daily), [Selector(METER, "energy", None, "raw"), Selector(HUB, "temperature")], BOUNDS
    )
    assert made.selectors == (
        Selector(METER, "energy", None, "raw"),
        Selector(HUB, "temperature", None, "day"),
    )
    assert made.resolution == "day"
    assert exceeds((WISHED, daily), made, answered_s=NOW_S) is None


def test_terms_that_mean_the_same_are_the_same() -> None:
    said = make_terms((WISHED,), [Selector(HUB, "energy", None, "hour"), Selector(METER, "energy")], BOUNDS)
    unsaid = make_terms((WISHED,), [Selector(METER, "energy"), Selector(HUB, "energy")] * 2, BOUNDS)
    assert said == unsaid


def test_a_kind_that_was_not_asked_for_is_refused_in_whatever_detail() -> None:
    for resolution in (None, "day"):
        made = make_terms((WISHED,), [Selector(METER, "humidity", None, resolution)], BOUNDS)
        assert made.resolution == resolution or made.resolution == WISHED.minimum
        assert exceeds((WISHED,), made, answered_s=NOW_S) is not None


def test_uses_and_answers_a_day_are_as_the_person_says() -> None:
    made = make_terms((WISHED,), BOTH[:1], BOUNDS, uses=7, budget=5)
    assert (made.mode, made.uses, made.budget) == ("answer", 7, 5)


def test_the_mode_is_the_one_that_would_still_do_and_once_is_one_use() -> None:
    assert make_terms((WISHED,), BOTH[:1], BOUNDS).mode == "answer"
    once = make_terms((WISHED,), BOTH[:1], BOUNDS, mode="once")
    assert (once.mode, once.uses) == ("once", 1)
    thrice = make_terms((WISHED,), BOTH[:1], BOUNDS, mode="read", uses=3)
    assert (thrice.mode, thrice.uses) == ("read", 3)
    with pytest.raises(TermsError):
        make_terms((WISHED,), BOTH[:1], BOUNDS, mode="once", uses=2)


OFTEN = msgspec.structs.replace(ASK, frequency=Wish(900, 3600), minimum="hour")
LIMITED: dict[str, tuple[list[Selector], list[Limit], list[Limit]]] = {
    "as seldom as would still do": (
        [Selector(METER, "energy", None, "raw")],
        [],
        [Limit(kind="energy", every=3600)],
    ),
    "an hour's bucket is seldom enough": ([Selector(METER, "energy", None, "hour")], [], []),
    "of one device at least it is not": (
        [Selector(METER, "energy", None, "hour"), Selector(HUB, "energy", None, "raw")],
        [],
        [Limit(kind="energy", every=3600)],
    ),
    "of one device at least it is not, in whatever order": (
        [Selector(HUB, "energy", None, "raw"), Selector(METER, "energy", None, "hour")],
        [],
        [Limit(kind="energy", every=3600)],
    ),
    "as the person says": (
        [Selector(METER, "energy", None, "raw")],
        [Limit(kind="energy", every=900)],
        [Limit(kind="energy", every=900)],
    ),
    "with what else the person says": (
        [Selector(METER, "energy", None, "raw")],
        [Limit(kind="energy", round="0.5", hours=(0, 60))],
        [Limit(kind="energy", round="0.5", hours=(0, 60), every=3600)],
    ),
    "a limit of what is not given is left out": (
        [Selector(METER, "energy", None, "hour")],
        [Limit(kind="temperature", every=900)],
        [],
    ),
    "in the order of kinds": (
        [Selector(METER, "energy", None, "hour"), Selector(HUB, "temperature")],
        [Limit(kind="temperature", every=900), Limit(kind="energy", fewest=9)],
        [Limit(kind="energy", fewest=9), Limit(kind="temperature", every=900)],
    ),
}


@pytest.mark.parametrize(("selectors", "limits", "expected"), LIMITED.values(), ids=LIMITED)
def test_a_kind_is_given_no_more_often_than_would_still_do(
    selectors: list[Selector], limits: list[Limit], expected: list[Limit]
) -> None:
    asks = (OFTEN, msgspec.structs.replace(OFTEN, kinds=("temperature",), frequency=None))
    made = make_terms(asks, selectors, BOUNDS, limits=limits)
    assert list(made.limits) == expected
    assert exceeds(asks, made, answered_s=NOW_S) is None


def sentence(refusal: Refusal | None, code: str) -> bool:
    """Whether it is a refusal with this code and a sentence."""
    words = r"The terms (?!give None)[a-z][a-z_, ]+\."
    return refusal is not None and refusal.code == code and bool(re.fullmatch(words, refusal.reason))


def test_two_limits_of_one_kind_are_an_error() -> None:
    with pytest.raises(TermsError):
        make_terms((OFTEN,), BOTH[:1], BOUNDS, limits=[Limit(kind="energy", every=900), Limit(kind="energy")])


EXCEEDS: dict[str, tuple[dict[str, Any], str]] = {
    "a kind that was not asked for": (
        {"selectors": (*GIVEN.selectors, Selector(HUB, "humidity"))},
        "wider_than_asked",
    ),
    "cells of a number": ({"resolution": "h3-7"}, "wider_than_asked"),
    "cells of one number": (
        {"selectors": (GIVEN.selectors[0], msgspec.structs.replace(GIVEN.selectors[1], resolution="h3-5"))},
        "wider_than_asked",
    ),
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
    assert sentence(exceeds(ASKS, msgspec.structs.replace(GIVEN, **changes), answered_s=NOW_S), code)


HOURS = msgspec.structs.replace(
    ASK,
    data_from=None,
    data_until=None,
    access_until=None,
    ideal="hour",
    minimum="day",
    mode="once",
    mode_minimum="answer",
    history=Wish(30, 0),
    duration=Wish(60, 30),
    frequency=Wish(7200, 7200),
)
CELLS = msgspec.structs.replace(HOURS, kinds=("location",), ideal="h3-7", minimum="h3-5", frequency=None)
WITHIN = make_terms(
    (HOURS, CELLS),
    [Selector(METER, "energy", None, "hour"), Selector(HUB, "location", None, "h3-7")],
    Bounds(MIDNIGHT_S - 29 * DAY, NOW_S + 60 * DAY, NOW_S + 60 * DAY),
    mode="once",
)
FINER: dict[str, dict[str, Any]] = {
    "raw numbers": {"selectors": (Selector(METER, "energy", None, "raw"),)},
    "raw numbers by default": {"selectors": (Selector(METER, "energy"),), "resolution": "raw"},
    "raw places of one device": {
        "selectors": (
            Selector(HUB, "location", None, "h3-5"),
            Selector(METER, "location", None, "raw"),
        )
    },
    "hours of a place": {"selectors": (Selector(HUB, "location", None, "hour"),)},
    "every hour for every second": {"limits": ()},
    "every hour for every second, limited otherwise": {"limits": (Limit(kind="energy", every=7199),)},
    "a limit of another kind": {"limits": (Limit(kind="location", every=7200),)},
    "as often as the brand likes": {"mode": "read", "uses": None},
    "once more than the leeway back": {"data_from": NOW_S - 30 * DAY - LEEWAY - 1},
    "longer than the leeway": {"data_until": NOW_S + 60 * DAY + LEEWAY + 1},
    "access for longer than the leeway": {"access_until": NOW_S + 60 * DAY + LEEWAY + 1},
}


@pytest.mark.parametrize("changes", FINER.values(), ids=FINER)
def test_nothing_is_given_beyond_an_ideal(changes: dict[str, Any]) -> None:
    assert exceeds((HOURS, CELLS), WITHIN, answered_s=NOW_S) is None
    refusal = exceeds((HOURS, CELLS), msgspec.structs.replace(WITHIN, **changes), answered_s=NOW_S)
    assert sentence(refusal, "wider_than_asked")


LESS: dict[str, dict[str, Any]] = {
    "days": {"selectors": (Selector(METER, "energy", None, "day"),), "limits": ()},
    "larger cells": {"selectors": (Selector(HUB, "location", None, "h3-5"),)},
    "answers": {"mode": "answer", "uses": None},
    "few answers": {"mode": "answer", "uses": 3, "budget": 1},
    "more seldom": {"limits": (Limit(kind="energy", every=86_400, round="10"),)},
    "no history": {"data_from": NOW_S},
    "a day": {"data_until": NOW_S + DAY, "access_until": NOW_S + DAY},
    "to the last second of the leeway": {
        "data_from": NOW_S - 30 * DAY - LEEWAY,
        "data_until": NOW_S + 60 * DAY + LEEWAY,
        "access_until": NOW_S + 60 * DAY + LEEWAY,
    },
}


@pytest.mark.parametrize("changes", LESS.values(), ids=LESS)
def test_less_than_asked_is_always_an_answer(changes: dict[str, Any]) -> None:
    """Also less than would still do: that is the person's to say, and the brand's to leave."""
    assert exceeds((HOURS, CELLS), msgspec.structs.replace(WITHIN, **changes), answered_s=NOW_S) is None


def test_a_revision_may_keep_the_history_that_was_given_and_no_more() -> None:
    later = NOW_S + 20 * DAY
    longer = msgspec.structs.replace(WITHIN, access_until=later + 60 * DAY, data_until=later + 60 * DAY)
    assert exceeds((HOURS, CELLS), longer, answered_s=later) is not None
    assert exceeds((HOURS, CELLS), longer, answered_s=later, before=WITHIN) is None
    further = msgspec.structs.replace(longer, data_from=WITHIN.data_from - DAY)
    assert exceeds((HOURS, CELLS), further, answered_s=later, before=WITHIN) is not None
    less = msgspec.structs.replace(WITHIN, data_from=NOW_S)
    assert exceeds((HOURS, CELLS), longer, answered_s=later, before=less) is not None


FINENESS = {"raw": 2, "hour": 1, "day": 0, "h3-7": 1, "h3-5": 0}
SECONDS = {"raw": 0, "hour": 3600, "day": 86_400, "h3-7": 3600, "h3-5": 3600}
PRIVACY = {"answer": 0, "once": 1, "read": 2}


def more_than_asked(asks: tuple[Ask, ...], terms: Terms) -> bool:
    """The same question, answered another way: by what a reader of GRANTS.md would count."""
    first, limits = asks[0], {limit.kind: limit for limit in terms.limits}
    for selector in terms.selectors:
        found = [ask for ask in asks if selector.kind in ask.kinds]
        resolution = selector.resolution or terms.resolution
        if not found or resolution not in catalogue().kind(selector.kind).resolutions:
            return True
        if FINENESS[resolution] > FINENESS[found[0].ideal]:
            return True
        limit = limits.get(selector.kind)
        between = max(SECONDS[resolution], (limit.every or 0) if limit else 0)
        if found[0].frequency is not None and between < found[0].frequency.ideal:
            return True
    since = first.data_from
    until, access = first.data_until, first.access_until or first.data_until
    if first.history is not None:
        since = NOW_S - 3600 - first.history.ideal * DAY
    if first.duration is not None:
        until = access = NOW_S + 3600 + first.duration.ideal * DAY
    return (
        PRIVACY[terms.mode] > PRIVACY[first.mode]
        or (since is not None and terms.data_from < since)
        or (until is not None and terms.data_until > until)
        or (access is not None and terms.access_until > access)
    )


@st.composite
def answers(draw: st.DrawFn) -> tuple[tuple[Ask, ...], Terms]:
    """A request and terms that give some of it, often too much in one way or another."""
    asks = draw(requests())
    kinds = [kind for ask in asks for kind in ask.kinds]
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4, unique=True))
    resolutions = st.sampled_from([None, *RESOLUTIONS_SUPPORTED])
    selectors = [
        Selector(device, kind, None, draw(resolutions))
        for kind in chosen
        for device in draw(st.sampled_from([[METER], [HUB], [METER, HUB]]))
    ]
    start = draw(near)
    end = draw(st.integers(start + 1, start + 900 * DAY))
    every = st.none() | st.integers(1, DAY) | st.integers(1, 366).map(lambda days: days * DAY)
    mode: Mode | None = draw(st.sampled_from([None, *MODES_SUPPORTED]))
    terms = make_terms(
        asks,
        selectors,
        Bounds(start, end, draw(st.integers(end, end + DAY))),
        mode=mode,
        uses=None if mode in (None, "once") else draw(st.none() | st.integers(1, 9)),
        budget=draw(st.none() | st.integers(1, 9)),
        limits=[Limit(kind=kind, every=draw(every)) for kind in draw(st.sets(st.sampled_from(kinds)))],
    )
    if draw(st.booleans()):  # and often within, or nearly
        bounds = settle_bounds(asks[0], now_s=NOW_S, history="all")
        if isinstance(bounds, Bounds):
            moved = {
                "data_from": max(0, bounds.data_from + draw(st.sampled_from([0, 0, -DAY, DAY]))),
                "data_until": bounds.data_until + draw(st.sampled_from([0, 0, DAY])),
                "access_until": bounds.access_until + draw(st.sampled_from([0, 0, DAY])),
            }
            if moved["data_from"] < moved["data_until"]:
                terms = msgspec.structs.replace(terms, **moved)
    return asks, terms


@settings(max_examples=500)
@given(answers())
def test_what_exceeds_a_request_is_what_gives_more_in_any_dimension(
    answer: tuple[tuple[Ask, ...], Terms],
) -> None:
    asks, terms = answer
    refusal = exceeds(asks, terms, answered_s=NOW_S)
    assert (refusal is not None) is more_than_asked(asks, terms)
    assert refusal is None or refusal.code == "wider_than_asked"


@given(requests(), st.data())
def test_what_nobody_chose_gives_no_more_than_would_still_do(
    asks: tuple[Ask, ...], data: st.DataObject
) -> None:
    kinds = [kind for ask in asks for kind in ask.kinds]
    chosen = data.draw(st.lists(st.sampled_from(kinds), min_size=1, unique=True))
    bounds = settle_bounds(asks[0], now_s=NOW_S)
    if isinstance(bounds, Refusal):
        return
    terms = make_terms(asks, [Selector(METER, kind) for kind in chosen], bounds)
    least = tuple(
        msgspec.structs.replace(
            ask,
            ideal=ask.minimum,
            mode=ask.mode_minimum,
            history=ask.history and Wish(ask.history.minimum, ask.history.minimum),
            duration=ask.duration and Wish(ask.duration.minimum, ask.duration.minimum),
            frequency=ask.frequency and Wish(ask.frequency.minimum, ask.frequency.minimum),
        )
        for ask in asks
    )
    assert exceeds(least, terms, answered_s=NOW_S) is None
    assert not more_than_asked(least, terms)


def test_access_may_not_outlast_the_data_where_only_the_data_was_bounded() -> None:
    asks = (msgspec.structs.replace(OPEN, data_until=NOW_S + DAY),)
    terms = make_terms(asks, [Selector(METER, "energy")], Bounds(NOW_S, NOW_S + DAY, NOW_S + DAY + 1))
    assert exceeds(asks, terms, answered_s=NOW_S) is not None
