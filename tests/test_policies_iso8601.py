"""Moments and spans: what is read, what is refused, and the one form in which each is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.iso8601 import DAY, LAST_SECOND, format_span, format_time, parse_span, parse_time

SPANS = {
    "PT1S": 1,
    "PT15M": 900,
    "PT1H": 3600,
    "P1D": DAY,
    "P1DT1S": DAY + 1,
    "P366DT23H59M59S": 366 * DAY + DAY - 1,
    "PT1H1S": 3601,
    "PT0S": 0,
}


@pytest.mark.parametrize(("text", "seconds"), SPANS.items())
def test_a_span_is_a_number_of_seconds(text: str, seconds: int) -> None:
    assert parse_span(text) == seconds
    assert format_span(seconds) == text


@pytest.mark.parametrize("text", ["PT60S", "PT60M", "PT24H", "PT86400S", "P0DT1S", "PT0H0M1S", "P1DT0S"])
def test_a_span_may_be_written_in_other_ways(text: str) -> None:
    assert parse_span(format_span(parse_span(text))) == parse_span(text)
    assert format_span(parse_span(text)) != text


NO_SPANS = [
    "", "P", "T", "PT", "P1DT", "1H", "P1H", "PT1D", "P1M", "P1Y", "P1W", "PT-1S", "PT+1S", "PT1.5S", "PT01S",
    "pt1s", "PT1S ", " PT1S", "PT1S\n", "PT١S", "PT1S1M", "PT1M1H", "PT1H1H", "PT999999999S", "P1D1D", "PT1",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_SPANS)
def test_a_span_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_span(text)


@given(st.integers(0, 99_999_999 * DAY))
def test_every_span_has_one_form_that_carries(seconds: int) -> None:
    text = format_span(seconds)
    assert parse_span(text) == seconds
    assert len(text) < 22


@given(st.text("PTDHMS0123456789 \n", max_size=16))
def test_any_text_is_a_span_or_refused(text: str) -> None:
    try:
        seconds = parse_span(text)
    except ValueError:
        return
    assert parse_span(format_span(seconds)) == seconds


@given(st.integers(0, LAST_SECOND))
def test_every_second_has_one_form(second: int) -> None:
    assert parse_time(format_time(second)) == second
    assert len(format_time(second)) == 20
