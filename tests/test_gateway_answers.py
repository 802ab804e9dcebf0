"""Figures: of whole periods, of enough readings, the same from readings as from the buckets made of them."""

from __future__ import annotations

import datetime
import itertools
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answers import MOST_HELD, Figures
from gateway.questions import FITTING, MOST_PERIODS, Function, Question, is_finer, misfit, periods
from policies.kinds import catalogue
from vault.bucket import DAY_MS, FEWEST, QUIET_MS, finish
from vault.gathering import HOUR_MS, Gathering, gather
from vault.ids import DeviceId
from vault.observation import Observation, Place, Share, Stay, Summary, Value
from vault.store.release import Released

A, B = DeviceId(bytes(16)), DeviceId(bytes([1]) * 16)
DAY = 86_400
FINE, COARSE = "871f1d489ffffff", "851f1d4bfffffff"
OTHER = "871f1d48bffffff"


def seconds(text: str) -> int:
    """Of a day, its midnight."""
    return int(datetime.datetime.fromisoformat(text + "T00:00:00+00:00").timestamp())


def bucket(value: Value, time: int = 0, resolution: str = "hour", kind: str = "temperature") -> Released:
    """One of device A."""
    return Released(1, A, Observation("", kind, time, value), resolution)


def figure(function: Function, *readings: Released, kind: str = "temperature", **question: object) -> object:
    """The figure of the first day."""
    asked = msgspec.convert({"kind": kind, "function": function, "period": "day", **question}, Question)
    figures = Figures(asked, catalogue().kind(kind), [(0, DAY)])
    figures.add(readings)
    (found,) = figures.answers(DAY_MS + QUIET_MS, frozenset())
    return found.value


# --- periods ---------------------------------------------------------------------------------------------

PERIODS: dict[str, tuple[str, str, str, list[str]]] = {
    "days": ("day", "2026-02-27", "2026-03-02", ["2026-02-27", "2026-02-28", "2026-03-01"]),
    "weeks begin on Monday": ("week", "2026-11-01", "2026-11-18", ["2026-11-02", "2026-11-09"]),
    "months differ in length": (
        "month",
        "2027-12-01",
        "2028-03-01",
        ["2027-12-01", "2028-01-01", "2028-02-01"],
    ),
    "a month that is cut is none": ("month", "2026-01-02", "2026-02-28", []),
    "what has not begun is none": ("month", "2028-11-01", "2029-12-01", ["2028-11-01", "2028-12-01"]),
}


@pytest.mark.parametrize("name", PERIODS)
def test_periods_are_whole_and_have_begun(name: str) -> None:
    period, since, until, expected = PERIODS[name]
    asked = msgspec.convert({"kind": "x", "function": "mean", "period": period}, Question)
    found = periods(asked.period, seconds(since), seconds(until), seconds("2028-12-31"))
    assert found is not None
    assert [first for first, _ in found] == [seconds(text) for text in expected]
    assert all(end == after for (_, end), (after, _) in itertools.pairwise(found))


@given(st.integers(0, 4_000_000_000), st.integers(0, 40_000_000), st.sampled_from(["day", "week", "month"]))
def test_no_period_reaches_beyond_what_is_given(since: int, length: int, period: str) -> None:
    asked = msgspec.convert({"kind": "x", "function": "mean", "period": period}, Question)
    found = periods(asked.period, since, since + length, 1 << 40)
    if found is None:
        assert length > MOST_PERIODS * DAY
        return
    assert len(found) <= MOST_PERIODS
    for begin, end in found:
        assert since <= begin < end <= since + length
        assert begin % DAY == end % DAY == 0


# --- questions -------------------------------------------------------------------------------------------

MISFITS: dict[str, tuple[str, dict[str, object]]] = {
    "a mean of a boolean": ("door", {"function": "mean"}),
    "a dwell of a number": ("temperature", {"function": "dwell", "cells": [FINE]}),
    "a threshold with a mean": ("temperature", {"function": "mean", "threshold": 1.0}),
    "above without a threshold": ("temperature", {"function": "above"}),
    "cells of a boolean": ("door", {"function": "time_in", "cells": [FINE]}),
    "a place without a cell": ("location", {"function": "time_in"}),
    "dwell in two cells": ("location", {"function": "dwell", "cells": [FINE, COARSE]}),
    "a cell that is none": ("location", {"function": "dwell", "cells": ["871f1d489fffff0"]}),
    "a cell of another level": ("location", {"function": "dwell", "cells": ["891f1d48977ffff"]}),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_question_that_does_not_fit_its_kind_is_refused(name: str) -> None:
    kind, asked = MISFITS[name]
    question = msgspec.convert({"kind": kind, "period": "day", **asked}, Question)
    assert misfit(question, catalogue().kind(kind))


def test_every_kind_has_its_functions_and_no_other() -> None:
    for name in catalogue().names():
        kind = catalogue().kind(name)
        for function in FITTING["number"] + FITTING["place"]:
            more: dict[str, object] = {"threshold": 1.0} if function in ("above", "below") else {}
            if kind.type == "place" and function != "count":
                more = {"cells": [COARSE]}
            question = msgspec.convert(
                {"kind": name, "function": function, "period": "day", **more}, Question
            )
            fits = function in FITTING[kind.type] and kind.resolutions != ("raw",)
            assert (misfit(question, kind) is None) == fits, (name, function)


def test_a_cell_is_finer_than_a_grant_of_coarse_ones() -> None:
    fine = Question("location", "dwell", "day", cells=(FINE,))
    coarse = Question("location", "dwell", "day", cells=(COARSE,))
    assert is_finer(fine, {"h3-5"})
    assert is_finer(fine, {"h3-7", "h3-5"})  # some devices give less
    assert not is_finer(fine, {"h3-7"})
    assert not is_finer(coarse, {"h3-5"})


# --- figures ---------------------------------------------------------------------------------------------


def test_a_bucket_that_comes_again_replaces_the_former_one() -> None:
    first, second = Summary(5, 10.0, 1.0, 3.0, 0.0), Summary(10, 40.0, 1.0, 9.0, 0.0)
    assert figure("sum", bucket(first), bucket(second)) == 40.0
    assert figure("sum", bucket(first), bucket(second, HOUR_MS)) == 50.0
    assert figure("count", bucket(Share("eco", 5)), bucket(Share("eco", 6)), bucket(Share("off", 1))) == 7


def test_what_a_later_page_has_of_a_bucket_is_all_of_it() -> None:
    question = Question("location", "time_in", "day", cells=(FINE, OTHER))
    for pages, seconds in (
        ([[Stay(FINE, 60, 6), Stay(OTHER, 40, 6)]], 100),
        ([[Stay(FINE, 60, 6), Stay(OTHER, 40, 6)], [Stay(OTHER, 50, 6)]], 50),
    ):
        figures = Figures(question, catalogue().kind("location"), [(0, DAY)])
        for page in pages:
            figures.add([bucket(one, resolution="h3-7", kind="location") for one in page])
        assert figures.answers(DAY_MS * 2, ())[0].value == seconds


def test_series_add_up() -> None:
    one, other = bucket(Summary(5, 10.0, 1.0, 3.0, 0.0)), bucket(Summary(5, 20.0, 2.0, 7.0, 0.0))
    other = msgspec.structs.replace(other, device=B)
    assert figure("mean", one, other) == 3.0
    assert figure("max", one, other) == 7.0
    assert figure("above", one, other, threshold=2.5) == 2


def test_what_is_made_of_a_part_that_was_left_out_is_not_told() -> None:
    less = msgspec.structs.replace(Summary(5, 10.0, 1.0, 3.0, 0.0), low=None)
    assert figure("min", bucket(less)) is None
    assert figure("below", bucket(less), bucket(Summary(5, 1.0, 0.0, 1.0, 0.0), HOUR_MS), threshold=1) is None
    assert figure("max", bucket(less)) == 3.0


def test_a_coarse_cell_holds_its_fine_ones() -> None:
    stays = [bucket(Stay(FINE, 60, 6), resolution="h3-7", kind="location")]
    assert figure("dwell", *stays, kind="location", cells=[COARSE]) == 60
    assert figure("dwell", *stays, kind="location", cells=[FINE]) == 60
    assert figure("dwell", *stays, kind="location", cells=["851fb467fffffff"]) == 0


@pytest.mark.parametrize(("count", "told"), [(FEWEST - 1, None), (FEWEST, FEWEST)])
def test_too_few_are_not_told(count: int, told: int | None) -> None:
    readings = [Released(n, A, Observation("", "temperature", n, 1.0)) for n in range(count)]
    assert figure("count", *readings) == told


def test_a_figure_is_complete_when_it_will_not_change() -> None:
    question = Question("temperature", "mean", "day")
    for now, incomplete, complete in (
        (DAY_MS + QUIET_MS, set[int](), True),
        (DAY_MS + QUIET_MS - 1, set[int](), False),
        (DAY_MS + QUIET_MS, {0}, False),
        (DAY_MS + QUIET_MS, {1}, True),
    ):
        figures = Figures(question, catalogue().kind("temperature"), [(0, DAY)])
        assert figures.answers(now, incomplete)[0].complete is complete


times = st.integers(0, DAY_MS - 1)
series: dict[str, st.SearchStrategy[Value]] = {
    "temperature": st.floats(-50, 50).map(lambda value: round(value, 1)),
    "door": st.booleans(),
    "location": st.sampled_from([Place(52.52, 13.405), Place(52.6, 13.405), Place(48.1, 11.6)]),
}


@given(st.data(), st.sampled_from([*series]))
def test_readings_answer_as_the_buckets_that_are_made_of_them(data: st.DataObject, kind: str) -> None:
    """Of all hours; of numbers only where every hour has enough of them to have a bucket."""
    most = data.draw(st.integers(1, 3))
    found = data.draw(
        st.lists(st.tuples(times, series[kind]), min_size=5, max_size=40, unique_by=lambda one: one[0])
    )
    found = [(time % (most * HOUR_MS), value) for time, value in found]
    found = list({time: (time, value) for time, value in found}.values())
    observations = [Observation("", kind, time, value) for time, value in found]
    hours: dict[int, Gathering] = {}
    for one in observations:
        start = one.time // HOUR_MS * HOUR_MS
        hours.setdefault(start, gather(kind, start)).add([one])
    for start, hour in hours.items():
        hour.close(hours.get(start - HOUR_MS))
    resolution = "h3-7" if kind == "location" else "hour"
    made = [
        Released(1, A, one, resolution)
        for start, hour in hours.items()
        for one in finish(resolution, "", kind, start, [hour])
    ]
    if kind == "temperature" and len(made) < len(hours):
        return
    raw = [Released(n, A, one) for n, one in enumerate(observations)]
    for function in FITTING[catalogue().kind(kind).type]:
        more: dict[str, object] = {"threshold": 0.0} if function in ("above", "below") else {}
        if kind == "location" and function != "count":
            more = {"cells": [FINE]}
        ours, theirs = figure(function, *raw, kind=kind, **more), figure(function, *made, kind=kind, **more)
        assert ours == theirs or (
            isinstance(ours, float) and isinstance(theirs, float) and math.isclose(ours, theirs, abs_tol=1e-9)
        )


def test_what_an_answer_keeps_in_memory_has_a_bound_however_many_channels_there_are() -> None:
    kind = catalogue().kind("temperature")
    figures = Figures(Question(kind.name, "count", "day"), kind, [(0, 86_400)])
    device, many = DeviceId(bytes(16)), MOST_HELD // 2
    figures.add(
        Released(n, device, Observation(str(n), kind.name, hour * HOUR_MS, 1.0))
        for n in range(many)
        for hour in range(2)
    )
    assert not figures.overfull
    figures.add([Released(1, device, Observation("one more", kind.name, 0, 1.0))])
    assert figures.overfull


def test_buckets_of_very_many_channels_have_the_same_bound() -> None:
    kind = catalogue().kind("temperature")
    figures = Figures(Question(kind.name, "count", "day"), kind, [(0, 86_400)])
    device, value = DeviceId(bytes(16)), Summary(5, 5.0, 1.0, 1.0, 5.0)
    figures.add(
        Released(n, device, Observation(str(n), kind.name, 0, value), "day") for n in range(MOST_HELD + 1)
    )
    assert figures.overfull
