"""What would be best and what would still do: every wish, what is refused of it, and its one written form."""

from __future__ import annotations

import json

import msgspec
import pytest

from policies.iso8601 import DAY, parse_time
from policies.request import format_details
from policies.terms import ask_hash
from policies.wishes import Wish
from tests.policies_asking import OPEN, PLACE, one, parse, refuse, wish
from tests.policies_samples import ASK, DETAIL

WISHES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "a resolution": ({"resolution": "day"}, {"ideal": "day", "minimum": "day"}),
    "a resolution and a coarser one": (
        {"resolution": wish("raw", "day")},
        {"ideal": "raw", "minimum": "day"},
    ),
    "of places": ({**PLACE, "resolution": wish("h3-7", "h3-5")}, {"ideal": "h3-7", "minimum": "h3-5"}),
    "answers": ({"mode": "answer"}, {"mode": "answer", "mode_minimum": "answer"}),
    "reading, or once": ({"mode": wish("read", "once")}, {"mode": "read", "mode_minimum": "once"}),
    "once, or answers": ({"mode": wish("once", "answer")}, {"mode": "once", "mode_minimum": "answer"}),
    "reading, said": ({"mode": "read"}, {}),
    "thirty days back": (
        {"data_from": ..., "history": "P30D"},
        {"data_from": None, "history": Wish(30, 30)},
    ),
    "a year back, or nothing": (
        {"data_from": ..., "history": wish("P365D", "P0D")},
        {"data_from": None, "history": Wish(365, 0)},
    ),
    "no history": ({"data_from": ..., "history": "P0D"}, {"data_from": None, "history": Wish(0, 0)}),
    "two weeks back": ({"data_from": ..., "history": "P2W"}, {"data_from": None, "history": Wish(14, 14)}),
    "half a year on, or a month": (
        {**OPEN, "duration": wish("P180D", "P30D")},
        {"data_from": None, "data_until": None, "access_until": None, "duration": Wish(180, 30)},
    ),
    "ten years on": (
        {**OPEN, "duration": "P3653D"},
        {"data_from": None, "data_until": None, "access_until": None, "duration": Wish(3653, 3653)},
    ),
    "a day on, from a moment to come": (
        {**OPEN, "duration": "P1D", "data_from": "2026-03-02T11:59:59Z"},
        {
            "data_from": parse_time("2026-03-02T11:59:59Z"),
            "data_until": None,
            "access_until": None,
            "duration": Wish(1, 1),
        },
    ),
    "a reading in a quarter of an hour": ({"frequency": "PT15M"}, {"frequency": Wish(900, 900)}),
    "a reading a second, or a day": ({"frequency": wish("PT1S", "P1D")}, {"frequency": Wish(1, 86_400)}),
    "a reading in 366 days": ({"frequency": "P366D"}, {"frequency": Wish(366 * DAY, 366 * DAY)}),
    "a reading in 24 hours": ({"frequency": "PT24H"}, {"frequency": Wish(86_400, 86_400)}),
}


@pytest.mark.parametrize(("changes", "read"), WISHES.values(), ids=WISHES)
def test_a_wish_is_an_ideal_and_what_would_still_do(
    changes: dict[str, object], read: dict[str, object]
) -> None:
    [ask] = parse(one(**changes))
    kinds = ("location",) if "datatypes" in changes else ASK.kinds
    assert ask == msgspec.structs.replace(ASK, kinds=kinds, **read)
    assert parse(json.dumps(format_details((ask,)))) == (ask,)


BAD_WISHES: dict[str, tuple[dict[str, object], str, str]] = {
    "cells of a number": ({"resolution": "h3-7"}, "energy has no resolution 'h3-7'", "has: raw, hour, day;"),
    "hours of a place": (
        {**PLACE, "resolution": wish("raw", "hour")},
        "location has no resolution 'hour'",
        "location has: raw, h3-7, h3-5;",
    ),
    "hours of a number and a place": (
        {"datatypes": ["energy", "location"], "resolution": "hour"},
        "location has no resolution 'hour'",
        "another detail",
    ),
    "a finer minimum": ({"resolution": wish("day", "hour")}, "finer than the ideal", "raw, hour, day"),
    "a finer minimum of cells": (
        {**PLACE, "resolution": wish("h3-5", "raw")},
        "finer than the ideal",
        "raw, h3-7, h3-5",
    ),
    "a stream": ({"mode": "stream"}, "mode 'stream' is not supported yet", "answer, once, read"),
    "a stream, or reading": ({"mode": wish("stream", "read")}, "not supported yet", "answer, once, read"),
    "a mode that is unknown": ({"mode": "push"}, "mode 'push' is unknown", "answer, once, read"),
    "a minimum that is less private": ({"mode": wish("once", "read")}, "less private", "answer, once, read"),
    "answers, or once": ({"mode": wish("answer", "once")}, "less private", "answer, once, read"),
    "a minimum of more history": (
        {"data_from": ..., "history": wish("P7D", "P8D")},
        "minimum of history is more",
        "send less",
    ),
    "a minimum of a longer time": (
        {**OPEN, "duration": wish("P7D", "P8D")},
        "minimum of duration",
        "send less",
    ),
    "a minimum of more readings": ({"frequency": wish("PT15M", "PT5M")}, "more often", "longer"),
    "history and where it begins": ({"history": "P30D"}, "history and data_from exclude", "not both"),
    "a duration and its end": (
        {"duration": "P30D", "access_until": ...},
        "duration and data_until exclude",
        "not both",
    ),
    "a duration and the end of access": (
        {"duration": "P30D", "data_until": ...},
        "duration and access_until exclude",
        "not both",
    ),
    "a duration that ends before the data begins": (
        {**OPEN, "duration": "P1D", "data_from": "2026-03-02T12:00:00Z"},
        "duration ends before data_from",
        "longer",
    ),
    "the past, and no history": (
        {"data_from": ..., "history": "P0D", "data_until": "2026-03-01T12:00:00Z"},
        "history is P0D",
        "nothing could be read",
    ),
    "no time at all": ({**OPEN, "duration": "P0D"}, "duration is not 1 to 3653 days", "P30D"),
    "no time as minimum": ({**OPEN, "duration": wish("P30D", "P0D")}, "not 1 to 3653 days", "P30D"),
    "over ten years of history": ({"data_from": ..., "history": "P3654D"}, "not 0 to 3653 days", "P3653D"),
    "over ten years": ({**OPEN, "duration": "P522W"}, "not 1 to 3653 days", "P3653D"),
    "months": ({"data_from": ..., "history": "P6M"}, "months and years differ", "P30D"),
    "a year": ({**OPEN, "duration": "P1Y"}, "months and years differ", "P30D"),
    "hours of history": ({"data_from": ..., "history": "PT12H"}, "history 'PT12H' is not", "P30D"),
    "days as a number": ({"data_from": ..., "history": 30}, "history is not a text", "P30D"),
    "no wish": ({"data_from": ..., "history": None}, "history is not a text", "P30D"),
    "a wish without ideal": ({"data_from": ..., "history": {"minimum": "P1D"}}, "ideal and minimum", "P30D"),
    "a wish for more": ({"frequency": {"ideal": "PT1H", "best": "PT1M"}}, "ideal and minimum", "PT15M"),
    "as often as can be": ({"frequency": "PT0S"}, "frequency is neither", "PT15M"),
    "more seldom than a year": ({"frequency": "P367D"}, "frequency is neither", "P366D"),
    "in a day and an hour": ({"frequency": "P1DT1H"}, "frequency is neither", "whole days"),
    "a minimum in a day and an hour": (
        {"frequency": wish("PT1H", "PT25H")},
        "frequency is neither",
        "whole days",
    ),
    "in a month": ({"frequency": "P1M"}, "frequency 'P1M' is not", "PT15M"),
    "a mode that is a number": ({"mode": 1}, "mode is not a text", "answer, once, read"),
    "a resolution that is true": (
        {"resolution": wish("raw", "raw") | {"minimum": True}},
        "not a text",
        "raw",
    ),
}


@pytest.mark.parametrize(("changes", "reason", "hint"), BAD_WISHES.values(), ids=BAD_WISHES)
def test_an_impossible_wish_is_refused_with_the_reason(
    changes: dict[str, object], reason: str, hint: str
) -> None:
    error = refuse(one(**changes))
    assert reason in error.reason
    assert hint in error.hint


def test_details_may_differ_in_resolution_and_frequency_too() -> None:
    details = [
        {**DETAIL, "resolution": "hour", "frequency": "PT2H"},
        {**DETAIL, **PLACE, "resolution": wish("h3-7", "h3-5"), "required": False},
    ]
    asks = parse(json.dumps(details))
    assert [(ask.ideal, ask.minimum, ask.frequency) for ask in asks] == [
        ("hour", "hour", Wish(7200, 7200)),
        ("h3-7", "h3-5", None),
    ]


@pytest.mark.parametrize(
    "changes", [{"mode": "once"}, {"history": "P1D"}, {"benefit": ""}, {"retention": "P1D"}]
)
def test_details_may_not_differ_in_anything_else(changes: dict[str, object]) -> None:
    base = {field: value for field, value in DETAIL.items() if field != "data_from"}
    text = json.dumps([base, {**base, **PLACE, **changes}])
    assert "differ in more than datatypes, required, resolution and frequency" in refuse(text).reason


SAME: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "weeks and days": ({"data_from": ..., "history": "P2W"}, {"data_from": ..., "history": "P14D"}),
    "minutes and hours": ({"frequency": "PT60M"}, {"frequency": "PT1H"}),
    "hours and a day": ({"frequency": "PT24H"}, {"frequency": "P1D"}),
    "a mode, and none": ({"mode": "read"}, {}),
    "an object of one": ({"mode": {"ideal": "once"}}, {"mode": wish("once", "once")}),
}


@pytest.mark.parametrize(("one_way", "other_way"), SAME.values(), ids=SAME)
def test_what_means_the_same_is_the_same_request(
    one_way: dict[str, object], other_way: dict[str, object]
) -> None:
    first, second = parse(one(**one_way)), parse(one(**other_way))
    assert first == second
    assert ask_hash(first) == ask_hash(second)


def test_a_request_of_before_is_written_as_before() -> None:
    """So its hash is the one that was signed."""
    assert format_details((ASK,)) == [DETAIL]
    assert list(format_details((ASK,))[0]) == list(DETAIL)
