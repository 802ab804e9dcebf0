"""Less of what a permit covers: what comes out was in what went in, or is coarser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import TermsError
from policies.iso8601 import DAY, parse_time
from policies.kinds import RESOLUTIONS, SPANS, catalogue
from policies.minimise import DROPPABLE, Limit, minimise, misfit, round_to, whole_every, zone_of
from vault.observation import Observation, Place, Share, Stay, Summary, Tally, Value

MIDNIGHT = parse_time("2026-03-01T00:00:00Z") * 1000
HOUR = 3_600_000
KIND = "temperature"


class Reading(msgspec.Struct, frozen=True):
    """What a page of the store holds."""

    seq: int
    device: str
    observation: Observation
    resolution: str = "raw"


def reading(
    seconds: float, value: Value = 21.37, *, kind: str = KIND, channel: str = "", **of: Any
) -> Reading:
    observation = Observation(channel, kind, MIDNIGHT + int(seconds * 1000), value)
    return Reading(of.pop("seq", 0), of.pop("device", "a"), observation, of.pop("resolution", "raw"))


def bucket(hours: float, value: Value, resolution: str = "hour", kind: str = KIND) -> Reading:
    return reading(hours * 3600, value, kind=kind, resolution=resolution)


def at(*limits: Limit, of: Sequence[Reading]) -> list[float]:
    """When the readings are that get through, in seconds since midnight."""
    return [(one.observation.time - MIDNIGHT) / 1000 for one in minimise(limits, of)]


def value(limit: Limit, of: Value, resolution: str = "raw") -> Value:
    [one] = minimise([limit], [bucket(0, of, resolution, limit.kind)])
    return one.observation.value


def parts(value: Value) -> tuple[object, ...]:
    """The fields of a value, those that were left out as None."""
    assert isinstance(value, msgspec.Struct)
    return msgspec.structs.astuple(value)


def test_without_limits_everything_passes_as_it_is() -> None:
    readings = [reading(0), reading(1, kind="humidity"), bucket(0, Summary(5, 1.0, 0.0, 1.0, 1.0))]
    assert minimise([], readings) == readings
    assert minimise([Limit(kind="humidity", round="1")], readings)[0] is readings[0]
    assert minimise([Limit(kind=KIND)], readings) == readings


# -- rounding ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "step", "rounded"),
    [
        (21.37, "0.5", "21.5"),
        (21.24, "0.5", "21.0"),
        (21.25, "0.5", "21.0"),  # half to even
        (21.75, "0.5", "22.0"),
        (0.3, "0.1", "0.3"),  # no dust: 3 * 0.1 is 0.30000000000000004
        (1234.5, "100", "1200.0"),
        (250.0, "100", "200.0"),
        (350.0, "100", "400.0"),
        (-0.2, "0.5", "0.0"),  # -0.0 would tell that it was below
        (-0.75, "0.5", "-1.0"),
        (0.15, "0.1", "0.2"),  # as it is written, not as its bits are
        (1e22, "0.000000001", "1e+22"),
        (float("inf"), "1", "inf"),
        (float("nan"), "1", "nan"),
    ],
)
def test_a_number_is_rounded_to_a_decimal_step(number: float, step: str, rounded: str) -> None:
    assert repr(round_to(number, step)) == rounded
    assert repr(value(Limit(kind=KIND, round=step), number)) == rounded


def test_of_a_summary_mean_and_extremes_are_rounded_and_the_squares_are_left_out() -> None:
    found = value(Limit(kind=KIND, round="0.5"), Summary(3, 64.2, 21.1, 21.8, 1374.0), "hour")
    assert parts(found) == (3, 64.5, 21.0, 22.0, None)


def test_a_summary_without_its_extremes_can_still_be_rounded() -> None:
    found = value(Limit(kind=KIND, round="0.1", drop=("high", "low")), Summary(3, 0.9, 0.1, 0.5, 1.0), "hour")
    assert parts(found) == (3, 0.9, None, None, None)


def test_an_empty_or_boundless_summary_keeps_its_sum() -> None:
    for summary in (Summary(0, 0.3, 0.3, 0.3, 0.0), Summary(2, float("inf"), 0.3, 0.3, 0.0)):
        found = value(Limit(kind=KIND, round="1"), summary, "hour")
        assert isinstance(found, Summary)
        assert found.sum == summary.sum


def test_the_sum_of_a_summary_has_no_sign_at_zero() -> None:
    found = value(Limit(kind=KIND, round="1"), Summary(5, -0.5, -0.1, -0.1, 0.1), "hour")
    assert isinstance(found, Summary)
    assert repr((found.sum, found.low)) == "(0.0, 0.0)"


@pytest.mark.parametrize("other", [True, "21.37", Place(52.5, 13.4), Tally(5, 2, 60), Share("on", 3)])
def test_what_cannot_be_rounded_is_left_out_and_not_let_through(other: Value) -> None:
    assert minimise([Limit(kind=KIND, round="1")], [reading(0, other)]) == []


# -- one reading in every stretch --------------------------------------------------------------------------


def test_the_first_of_each_stretch_passes() -> None:
    readings = [reading(seconds) for seconds in (1, 2, 899.999, 900, 1799, 1800, 4000)]
    assert at(Limit(kind=KIND, every=900), of=readings) == [1, 900, 1800, 4000]


def test_the_first_is_the_one_that_arrived_first_so_that_late_readings_add_nothing() -> None:
    readings = [reading(30), reading(10), reading(20), reading(3600), reading(5)]
    assert at(Limit(kind=KIND, every=60), of=readings) == [30, 3600]


def test_every_series_has_stretches_of_its_own() -> None:
    others: list[dict[str, Any]] = [{"device": "b"}, {"channel": "attic"}, {"kind": "humidity"}]
    readings = [reading(0), *(reading(1, **other) for other in others), reading(2)]
    limits = [Limit(kind=KIND, every=60), Limit(kind="humidity", every=60)]
    assert minimise(limits, readings) == readings[:-1]


def test_stretches_begin_anew_at_midnight() -> None:
    """50,000 s do not divide a day: the second stretch of a day is shorter, and none runs into the next."""
    readings = [reading(seconds) for seconds in (49_999, 50_000, DAY - 1, DAY, DAY + 1, -1)]
    assert at(Limit(kind=KIND, every=50_000), of=readings) == [49_999, 50_000, DAY, -1]


def test_more_than_a_day_is_the_first_of_every_so_many_days() -> None:
    day = MIDNIGHT // 1000 // DAY
    first = (3 - day % 3) % 3 * DAY
    readings = [reading(first + seconds) for seconds in (-1, 0, 60, DAY, 2 * DAY, 3 * DAY + 5, 3 * DAY + 6)]
    assert at(Limit(kind=KIND, every=3 * DAY), of=readings) == [first, first + 3 * DAY + 5]


def test_once_a_day_is_one_reading_a_day() -> None:
    readings = [reading(seconds) for seconds in (5, DAY - 1, DAY + 7, DAY + 8)]
    assert at(Limit(kind=KIND, every=DAY), of=readings) == [5, DAY + 7]


def test_the_known_bad_control_a_range_before_the_limit_gives_every_reading() -> None:
    """What the module's first rule is for: the same limit, with the range of each read applied too early."""
    readings = [reading(second) for second in range(60)]
    limit = Limit(kind=KIND, every=60)
    wrong = {one for since in range(60) for one in minimise([limit], readings[since:])}
    right = {one for since in range(60) for one in minimise([limit], readings) if one in readings[since:]}
    assert (len(wrong), len(right)) == (60, 1)


def test_what_arrived_before_a_page_counts() -> None:
    limit = [Limit(kind=KIND, every=60)]
    assert minimise(limit, [reading(30), reading(60)], earlier=[reading(1)]) == [reading(60)]
    assert minimise(limit, [reading(30)], earlier=[reading(1, device="b"), reading(1, kind="humidity")])


def test_a_reading_outside_the_hours_takes_no_turn() -> None:
    limit = Limit(kind=KIND, every=3600, hours=(30, 120))
    readings = [reading(60), reading(1900), reading(2000)]
    assert at(limit, of=readings) == [1900]
    assert minimise([limit], readings[1:], earlier=readings[:1]) == [readings[1]]


@pytest.mark.parametrize(
    ("every", "resolution", "passing"),
    [
        (60, "hour", [0, 1, 2, 3]),
        (3600, "hour", [0, 1, 2, 3]),
        (7200, "hour", [0, 2]),
        (5400, "hour", [0, 3]),
        (DAY, "hour", [0]),
        (7200, "h3-7", [0, 2]),
    ],
)
def test_a_bucket_passes_where_a_stretch_begins_with_it_again_and_again(
    every: int, resolution: str, passing: list[int]
) -> None:
    buckets = [bucket(hour, Tally(5, 1, 60), resolution) for hour in (0, 0, 1, 2, 2, 3)]
    found = at(Limit(kind=KIND, every=every), of=buckets)
    assert found == [hour * 3600 for hour in (0, 0, 1, 2, 2, 3) if hour in passing]


# -- hours of the day --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "passing"),
    [((7 * 60, 22 * 60), [7, 21.99]), ((22 * 60, 7 * 60), [0, 6.99, 22, 23]), ((0, 1440), None)],
)
def test_hours_are_half_open_and_may_run_over_midnight(
    hours: tuple[int, int], passing: list[float] | None
) -> None:
    moments = [0, 6.99, 7, 21.99, 22, 23]
    found = at(Limit(kind=KIND, hours=hours), of=[reading(hour * 3600) for hour in moments])
    assert found == [hour * 3600 for hour in (moments if passing is None else passing)]


def test_a_minute_is_the_step_of_hours() -> None:
    readings = [reading(seconds) for seconds in (59.999, 60, 119.999, 120)]
    assert at(Limit(kind=KIND, hours=(1, 2)), of=readings) == [60, 119.999]


DST = {
    # Europe/Berlin, 2026: 29 March has no hour from 2 to 3, 25 October has it twice.
    "the day in winter": ("2026-01-15", 6, 20),
    "the day in summer": ("2026-07-15", 5, 19),
    "the day that loses an hour": ("2026-03-29", 5, 19),
    "the day that gains one": ("2026-10-25", 6, 20),
}


@pytest.mark.parametrize(("day", "first", "last"), DST.values(), ids=DST)
def test_hours_follow_the_clocks_of_the_zone(day: str, first: int, last: int) -> None:
    """7 to 22 o'clock in Berlin, in hours of UTC."""
    begin = parse_time(f"{day}T00:00:00Z") - MIDNIGHT // 1000
    limit = Limit(kind=KIND, hours=(7 * 60, 22 * 60), zone="Europe/Berlin")
    found = at(limit, of=[reading(begin + hour * 3600) for hour in range(24)])
    assert [(seconds - begin) // 3600 for seconds in found] == list(range(first, last + 1))


def test_the_hour_that_comes_twice_passes_twice_and_the_one_that_is_missing_never() -> None:
    limit = Limit(kind=KIND, hours=(2 * 60, 3 * 60), zone="Europe/Berlin")
    for day, hours in (("2026-10-25", [0, 1]), ("2026-03-29", []), ("2026-03-28", [1])):
        begin = parse_time(f"{day}T00:00:00Z") - MIDNIGHT // 1000
        found = at(limit, of=[reading(begin + hour * 3600) for hour in range(22)])
        assert [(seconds - begin) // 3600 for seconds in found] == hours


@pytest.mark.parametrize(
    ("resolution", "hours", "zone", "passing"),
    [
        ("hour", (7 * 60, 9 * 60), "UTC", [7, 8]),
        ("hour", (7 * 60, 9 * 60 - 1), "UTC", [7]),
        ("hour", (7 * 60 + 1, 9 * 60), "UTC", [8]),
        ("h3-5", (7 * 60, 9 * 60), "UTC", [7, 8]),
        ("hour", (7 * 60, 9 * 60), "Asia/Kolkata", [2]),  # half an hour off: one whole hour lies within
        ("day", (7 * 60, 9 * 60), "UTC", []),
        ("day", (0, 1440), "UTC", [0]),
    ],
)
def test_a_bucket_passes_only_as_a_whole(
    resolution: str, hours: tuple[int, int], zone: str, passing: list[int]
) -> None:
    begins = range(0, 24, 24 if resolution == "day" else 1)
    found = at(
        Limit(kind=KIND, hours=hours, zone=zone),
        of=[bucket(hour, Tally(9, 9, 9), resolution) for hour in begins],
    )
    assert found == [hour * 3600 for hour in passing]


def test_in_a_zone_that_is_not_known_nothing_passes() -> None:
    assert zone_of("Europe/Atlantis") is None
    assert zone_of("Europe/Berlin") == ZoneInfo("Europe/Berlin")
    assert at(Limit(kind=KIND, hours=(0, 1440), zone="Europe/Atlantis"), of=[reading(0)]) == []


def test_every_bucket_that_a_kind_can_be_given_at_has_a_span() -> None:
    assert set(SPANS) == {name for names in RESOLUTIONS.values() for name in names}


# -- the fewest readings, and fields -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "row", [Summary(5, 1.0, 0.0, 1.0, 1.0), Tally(5, 1, 60), Share("on", 5), Stay("8", 60, 5)]
)
def test_a_row_of_a_bucket_with_too_few_readings_is_left_out(row: Value) -> None:
    assert minimise([Limit(kind=KIND, fewest=5)], [bucket(0, row)]) == [bucket(0, row)]
    assert minimise([Limit(kind=KIND, fewest=6)], [bucket(0, row)]) == []


def test_readings_themselves_are_not_counted_and_a_bucket_without_a_count_is_left_out() -> None:
    assert minimise([Limit(kind=KIND, fewest=5)], [reading(0)]) == [reading(0)]
    assert minimise([Limit(kind=KIND, fewest=5)], [bucket(0, "text has a count, too")]) == []


def test_a_field_that_is_left_out_is_none() -> None:
    limit = Limit(kind="location", drop=("accuracy",))
    assert value(limit, Place(52.5, 13.4, 20.0)) == Place(52.5, 13.4)
    limit = Limit(kind=KIND, drop=("high", "low", "squares"))
    found = value(limit, Summary(5, 100.0, 19.0, 21.0, 2000.0), "hour")
    assert parts(found) == (5, 100.0, None, None, None)
    assert parts(value(Limit(kind=KIND, drop=("seconds",)), Tally(5, 1, 60))) == (
        5,
        1,
        None,
    )


def test_every_field_that_can_be_left_out_is_one_of_a_value() -> None:
    fields = {name for struct in (Place, Summary, Tally, Share, Stay) for name in struct.__struct_fields__}
    assert set(DROPPABLE) <= fields - {"count", "lat", "lon", "value", "cell"}


# -- limits that cannot be ---------------------------------------------------------------------------------

BAD: dict[str, dict[str, Any]] = {
    "a step of nothing": {"round": "0"},
    "a step of nothing, longer": {"round": "0.0"},
    "a negative step": {"round": "-1"},
    "a step that is no decimal": {"round": "1e3"},
    "a step with a zero too many": {"round": "0.50"},
    "a step that begins with a point": {"round": ".5"},
    "a step in another script": {"round": "٥"},
    "a step with a line end": {"round": "1\n"},
    "no seconds": {"every": 0},
    "more than a day, but no days": {"every": DAY + 1},
    "more than ten years": {"every": 3654 * DAY},
    "hours of nothing": {"hours": (60, 60)},
    "an hour before midnight": {"hours": (-1, 60)},
    "an hour after midnight": {"hours": (60, 1441)},
    "a beginning at the end": {"hours": (1440, 60)},
    "an end at the beginning": {"hours": (60, 0)},
    "a path for a zone": {"zone": "../../etc/passwd"},
    "no zone": {"zone": ""},
    "no readings at all": {"fewest": 0},
    "too many readings": {"fewest": 1_000_001},
    "a field that must stay": {"drop": ("count",)},
    "a field twice": {"drop": ("low", "low")},
    "fields in no order": {"drop": ("low", "high")},
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD)
def test_a_limit_that_makes_no_sense_cannot_be_made_nor_read(fields: dict[str, Any]) -> None:
    with pytest.raises(TermsError):
        Limit(kind=KIND, **fields)
    plain = {"kind": KIND} | msgspec.to_builtins(fields)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(plain), type=Limit)


SAID: dict[str, str] = {
    "round": "a step is a decimal above 0, such as 0.5 or 10",
    "every": "a reading in every 1 to 86400 seconds, or in a number of whole days",
    "hours": "hours are two different minutes of a day",
    "zone": "a zone is named like Europe/Berlin",
    "fewest": "the fewest readings are 1 to 1000000",
    "drop": "what can be left out, each once and sorted, is accuracy, low, high, squares, seconds",
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD)
def test_it_is_said_what_would_make_sense(fields: dict[str, Any]) -> None:
    with pytest.raises(TermsError) as caught:
        Limit(kind=KIND, **fields)
    assert str(caught.value) == SAID[next(iter(fields))]


@pytest.mark.parametrize(
    ("seconds", "every"), [(1, 1), (DAY, DAY), (DAY + 1, 2 * DAY), (2 * DAY, 2 * DAY), (3 * DAY - 1, 3 * DAY)]
)
def test_from_a_day_on_only_whole_days_make_sense(seconds: int, every: int) -> None:
    assert whole_every(seconds) == every
    assert Limit(kind=KIND, every=every).every == every


GOOD: dict[str, dict[str, Any]] = {
    "a small step": {"round": "0.000000001"},
    "a large step": {"round": "999999999999"},
    "a second": {"every": 1},
    "a day": {"every": DAY},
    "ten years": {"every": 3653 * DAY},
    "all day": {"hours": (0, 1440)},
    "until the first minute": {"hours": (1439, 1)},
    "one reading": {"fewest": 1},
    "a million": {"fewest": 1_000_000},
    "a zone of three parts": {"zone": "America/Argentina/Ushuaia"},
    "everything": {"drop": tuple(sorted(DROPPABLE))},
}


@pytest.mark.parametrize("fields", GOOD.values(), ids=GOOD)
def test_the_last_that_makes_sense_can(fields: dict[str, Any]) -> None:
    limit = Limit(kind=KIND, **fields)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(limit), type=Limit) == limit


def test_what_says_nothing_is_not_written() -> None:
    assert msgspec.to_builtins(Limit(kind=KIND)) == {"kind": KIND}


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (Limit(kind="location", round="1"), "Only numbers can be rounded; location is none."),
        (Limit(kind="motion", round="1"), "Only numbers can be rounded; motion is none."),
        (Limit(kind=KIND, hours=(1, 2), zone="Mars/Olympus"), "There is no time zone Mars/Olympus."),
        (Limit(kind=KIND, drop=("accuracy",)), "Only places have an accuracy; temperature is none."),
        (Limit(kind=KIND, zone="Mars/Olympus"), None),
        (Limit(kind=KIND, round="1", hours=(1, 2), drop=("low",)), None),
        (Limit(kind="location", drop=("accuracy",), every=60), None),
    ],
)
def test_a_limit_may_not_fit_its_kind(limit: Limit, said: str | None) -> None:
    assert misfit(limit, catalogue().kind(limit.kind)) == said


# -- properties --------------------------------------------------------------------------------------------

finite = st.floats(-1e9, 1e9)
values: dict[str, st.SearchStrategy[Value]] = {
    "raw": st.one_of(finite, st.booleans(), st.text(max_size=5), st.builds(Place, finite, finite, finite)),
    "hour": st.one_of(
        st.builds(Summary, st.integers(1, 9), finite, finite, finite, finite),
        st.builds(Tally, st.integers(1, 9), st.integers(0, 9), st.integers(0, 3600)),
        st.builds(Share, st.text(max_size=3), st.integers(1, 9)),
    ),
    "h3-7": st.builds(Stay, st.text(max_size=3), st.integers(0, 3600), st.integers(1, 9)),
}


@st.composite
def some_readings(draw: st.DrawFn) -> list[Reading]:
    """Readings of few series and two days, in no order of time, each with its own number."""
    found: list[Reading] = []
    for seq in range(draw(st.integers(0, 25))):
        resolution = draw(st.sampled_from(["raw", "raw", "hour", "h3-7"]))
        step = 1000 * (SPANS[resolution] or 37)
        found.append(
            Reading(
                seq,
                draw(st.sampled_from("ab")),
                Observation(
                    draw(st.sampled_from(["", "attic"])),
                    draw(st.sampled_from([KIND, "humidity"])),
                    MIDNIGHT + step * draw(st.integers(0, 2 * DAY * 1000 // step)),
                    draw(values[resolution]),
                ),
                resolution,
            )
        )
    return found


minutes = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda hours: hours[0] != hours[1])
some_limits = st.builds(
    Limit,
    kind=st.just(KIND),
    round=st.none() | st.sampled_from(["0.5", "0.1", "7", "1000"]),
    every=st.none() | st.integers(1, DAY) | st.just(2 * DAY),
    hours=st.none() | minutes,
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
    fewest=st.none() | st.integers(1, 9),
    drop=st.sets(st.sampled_from(DROPPABLE)).map(lambda names: tuple(sorted(names))),
)


@given(some_limits, some_readings())
def test_nothing_comes_out_that_was_not_in_and_the_order_stays(limit: Limit, readings: list[Reading]) -> None:
    found = minimise([limit], readings)
    by_seq = {one.seq: one for one in readings}
    assert [one.seq for one in found] == sorted({one.seq for one in found})
    for one in found:
        before = by_seq[one.seq]
        same = {"device": one.device, "resolution": one.resolution}
        assert same == {"device": before.device, "resolution": before.resolution}
        assert msgspec.structs.replace(one.observation, value=before.observation.value) == before.observation
        assert type(one.observation.value) is type(before.observation.value)
        if one.observation.kind != KIND:
            assert one is before
    assert [one for one in found if one.observation.kind != KIND] == [
        one for one in readings if one.observation.kind != KIND
    ]


@given(some_limits, some_readings())
def test_twice_is_the_same_as_once(limit: Limit, readings: list[Reading]) -> None:
    found = minimise([limit], readings)
    assert minimise([limit], found) == found


@given(some_limits, some_readings(), st.integers(0, 25))
def test_pages_make_no_difference(limit: Limit, readings: list[Reading], cut: int) -> None:
    first, rest = readings[:cut], readings[cut:]
    pages = minimise([limit], first) + minimise([limit], rest, earlier=first)
    assert pages == minimise([limit], readings)


@given(some_limits, some_readings(), some_readings())
def test_what_arrives_later_takes_nothing_back(
    limit: Limit, readings: list[Reading], more: list[Reading]
) -> None:
    found = minimise([limit], readings)
    assert minimise([limit], readings + more)[: len(found)] == found


@given(some_limits.filter(lambda limit: limit.every is not None), some_readings())
def test_no_stretch_of_a_series_gives_two_readings(limit: Limit, readings: list[Reading]) -> None:
    found = [one for one in minimise([limit], readings) if one.resolution == "raw"]
    stretches = [
        (one.device, one.observation.channel, day, second // (limit.every or 1))
        for one in found
        if one.observation.kind == KIND
        for day, second in [divmod(one.observation.time // 1000, DAY)]
    ]
    assert len(stretches) == len(set(stretches))


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["0.5", "0.1", "7", "0.000000001"]))
def test_rounding_moves_by_half_a_step_at_most(number: float, step: str) -> None:
    rounded = round_to(number, step)
    assert abs(rounded - number) <= float(step) / 2 + abs(number) * 1e-15
    assert round_to(rounded, step) == rounded
