"""Pictures of letters: what they show is what was given to them, in 80 columns, on any terminal."""

from __future__ import annotations

import math
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.plot import (
    BLOCKS,
    HEIGHT,
    LABEL,
    LETTERS,
    MAP,
    WIDTH,
    Step,
    axis,
    bars,
    beside,
    chart,
    day,
    heat,
    ink_for,
    window,
)
from vault.gathering import HOUR_MS

DAY_MS = 24 * HOUR_MS
MONDAY = 20_409 * DAY_MS  # 2025-11-17
RAMP = [(MONDAY - (-n * DAY_MS // WIDTH), float(n)) for n in range(WIDTH)]


def test_a_line_rises_from_the_lower_left_to_the_upper_right() -> None:
    rows = chart(RAMP, [], MONDAY, MONDAY + DAY_MS)
    assert len(rows) == HEIGHT
    assert rows[0].startswith(f"{WIDTH - 1:>{LABEL - 1}} ")
    assert rows[-1].startswith(f"{0:>{LABEL - 1}} ·")
    assert rows[0].endswith("·")
    marked = [next(r for r, row in enumerate(rows) if row.ljust(80)[LABEL + c] != " ") for c in range(WIDTH)]
    assert marked == sorted(marked, reverse=True)


def test_steps_are_drawn_over_the_line_they_stand_for() -> None:
    steps = [Step(MONDAY, MONDAY + DAY_MS // 2, 16.5), Step(MONDAY + DAY_MS // 2, MONDAY + DAY_MS, 50.5)]
    rows = chart(RAMP, steps, MONDAY, MONDAY + DAY_MS)
    drawn = "".join(rows)
    assert sum(drawn.count(letter) for letter in (BLOCKS.low, BLOCKS.high)) == WIDTH
    plain = chart(RAMP, steps, MONDAY, MONDAY + DAY_MS, LETTERS)
    assert "".join(plain).isascii()
    assert "".join(plain).count("=") == WIDTH


def test_a_column_with_many_readings_shows_the_least_and_the_greatest() -> None:
    wild = [(MONDAY + n * 1000, float(n % 2)) for n in range(100)]
    rows = chart(wild, [], MONDAY, MONDAY + DAY_MS)
    assert [row[LABEL:] for row in rows] == [BLOCKS.rise] * HEIGHT


NOTHING = {
    "no values": ([], [], MONDAY, MONDAY + DAY_MS),
    "no time": (RAMP, [], MONDAY, MONDAY),
    "nothing within": (RAMP, [Step(0, 1, 1.0)], MONDAY + DAY_MS, MONDAY + 2 * DAY_MS),
    "no numbers": ([(MONDAY, math.nan)], [Step(MONDAY, MONDAY + 1, math.inf)], MONDAY, MONDAY + DAY_MS),
}


@pytest.mark.parametrize(("asked", "steps", "since", "until"), NOTHING.values(), ids=NOTHING)
def test_there_is_no_picture_of(
    asked: list[tuple[int, float]], steps: list[Step], since: int, until: int
) -> None:
    assert chart(asked, steps, since, until) == []


def test_one_value_is_a_flat_line_with_one_label() -> None:
    rows = chart([(MONDAY, 5.0)], [], MONDAY, MONDAY + DAY_MS)
    assert [row.strip() for row in rows if row.strip()] == ["5", BLOCKS.line]


@given(
    st.lists(st.tuples(st.integers(MONDAY - DAY_MS, MONDAY + 8 * DAY_MS), st.floats(width=32)), max_size=50),
    st.lists(
        st.builds(
            lambda at, span, value: Step(at, at + span, value),
            st.integers(MONDAY - DAY_MS, MONDAY + 8 * DAY_MS),
            st.integers(1, 2 * DAY_MS),
            st.floats(width=32),
        ),
        max_size=20,
    ),
)
def test_whatever_comes_a_chart_fits(asked: list[tuple[int, float]], steps: list[Step]) -> None:
    for ink in (BLOCKS, LETTERS):
        rows = chart(asked, steps, MONDAY, MONDAY + 7 * DAY_MS, ink)
        assert len(rows) in (0, HEIGHT)
        assert all(len(row) <= 80 and row.isprintable() for row in rows)


def test_an_axis_names_its_days() -> None:
    assert axis(MONDAY, MONDAY + 7 * DAY_MS, UTC).split("  ")[0].strip() == ""
    assert axis(MONDAY, MONDAY + 7 * DAY_MS, UTC).split() == ["Mon", "17", "Nov", "Sun", "23", "Nov"]
    assert len(axis(MONDAY, MONDAY + 7 * DAY_MS, UTC)) == LABEL + WIDTH
    assert day(MONDAY, UTC) == "Mon 17 Nov"


def test_an_hour_is_a_bar_and_a_day_is_a_row() -> None:
    asked = {MONDAY + 7 * HOUR_MS: 8.0, MONDAY + 8 * HOUR_MS: 4.0, MONDAY + DAY_MS: 1.0}
    hourly = [Step(at, at + HOUR_MS, value) for at, value in asked.items()]
    rows = bars(asked, hourly, UTC)
    assert rows == [
        "Mon 17 Nov ·······█▅···············   ·······█▅···············",
        "Tue 18 Nov ▂·······················   ▂·······················",
    ]
    daily = bars(asked, [Step(MONDAY, MONDAY + DAY_MS, 12.0)], UTC)
    assert daily[0].endswith("█" * 24)
    assert daily[1].endswith("·" * 24)


def test_a_map_shows_every_place_and_the_one_of_longest_stay_darkest() -> None:
    places = [(52.5, 13.4), (52.6, 13.2), (52.45, 13.5)]
    shown = window(places, 2.0)
    assert shown is not None
    weights = {shown.spot(*place): float(weight) for place, weight in zip(places, (9, 4, 1), strict=True)}
    assert len(weights) == 3
    drawn = "".join(heat(weights))
    assert set(drawn) == set(" ░▒█")
    assert len(heat(weights)) == MAP[1]
    assert all(len(row) == MAP[0] for row in heat(weights, LETTERS))


EDGES = {
    "one place": [(0.0, 0.0)],
    "across the date line": [(10.0, 179.9), (10.0, -179.9)],
    "at a pole": [(90.0, 0.0), (89.9, 180.0)],
    "the whole earth": [(-90.0, -180.0), (90.0, 179.0)],
}


@pytest.mark.parametrize("places", EDGES.values(), ids=EDGES)
def test_a_window_holds(places: list[tuple[float, float]]) -> None:
    shown = window(places, 1.0)
    assert shown is not None
    columns, rows = MAP
    for place in places:
        row, column = shown.spot(*place)
        assert (0 <= row < rows, 0 <= column < columns) == (True, True)


def test_two_places_near_the_date_line_are_near_each_other() -> None:
    shown = window([(10.0, 179.99), (10.0, -179.99)], 1.0)
    assert shown is not None
    assert shown.km < 1


@given(st.floats(-85, 85), st.floats(-180, 179.9), st.integers(0, MAP[1] - 1), st.integers(0, MAP[0] - 1))
def test_the_middle_of_a_character_lies_in_it(lat: float, lon: float, row: int, column: int) -> None:
    shown = window([(lat, lon)], 10.0)
    assert shown is not None
    assert shown.spot(*shown.centre(row, column)) == (row, column)


def test_no_places_no_map() -> None:
    assert window([], 1.0) is None
    assert set("".join(heat({}))) == {" "}
    assert set("".join(heat({(99, 99): 1.0}))) == {" "}


def test_two_pictures_stand_side_by_side() -> None:
    both = beside(heat({}), heat({(0, 0): 1.0}))
    assert len(both) == MAP[1]
    assert all(len(line) <= 80 for line in both)


@pytest.mark.parametrize(
    ("encoding", "ink"),
    [("utf-8", BLOCKS), ("ascii", LETTERS), ("latin-1", LETTERS), (None, LETTERS), ("no-such", LETTERS)],
)
def test_a_terminal_without_blocks_gets_letters(encoding: str | None, ink: object) -> None:
    assert ink_for(encoding) is ink
