"""Buckets: in whatever order and parts readings come, they come to the same, and to the truth."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policies.kinds import RESOLUTIONS, catalogue
from tests.vault_samples import LANE, header_of
from vault.bucket import DAY_MS, FEWEST, SPANS, coarser, finish, holds
from vault.cell import cell_of
from vault.chunk import Sequenced, open_chunk, seal_chunk
from vault.errors import FormatError
from vault.gathering import HOLD_MS, HOUR_MS, LARGEST, LISTED_MAX, Gathering, gather
from vault.observation import Aggregate, Observation, Place, Share, Stay, Summary, Tally, Value

START = 20_000 * DAY_MS + 7 * HOUR_MS
HOME, WORK, NEXT_DOOR = Place(48.7758, 9.1829), Place(48.8352, 9.1519, 12.0), Place(48.7759, 9.1830, 5000.0)
AT_HOME, AT_WORK = cell_of(HOME, "h3-7"), cell_of(WORK, "h3-7")
KINDS = {"energy": "number", "door": "boolean", "activity": "text", "location": "place", "button": "event"}
Timed = Sequence[tuple[int, Value]]  # milliseconds into the hour, and what was read

DOUBLES = st.one_of(
    st.floats(-LARGEST, LARGEST),
    st.integers(-(10**6), 10**6).map(lambda n: n / 100),
    st.sampled_from([0.0, -0.0, 5e-324, 1e100, -1e100, 0.1, 2.0**53]),
)
VALUES: dict[str, st.SearchStrategy[Value]] = {
    "energy": DOUBLES,
    "door": st.booleans(),
    "activity": st.sampled_from(catalogue().kind("activity").values),
    "location": st.one_of(
        st.sampled_from([HOME, WORK, NEXT_DOOR]),
        st.builds(Place, st.floats(-90, 90), st.floats(-180, 180)),
    ),
    "button": st.text(max_size=5),
}
TIMES = st.integers(0, HOUR_MS - 1) | st.sampled_from([0, 1, 999, HOUR_MS - 1])


def timed(kind: str, least: int = 0) -> st.SearchStrategy[list[tuple[int, Value]]]:
    return st.lists(st.tuples(TIMES, VALUES[kind]), min_size=least, max_size=70)


def observed(kind: str, readings: Timed, start: int = START) -> list[Observation]:
    return [Observation("c", kind, start + time, value) for time, value in readings]


def hour_of(kind: str, readings: Timed, start: int = START, before: Gathering | None = None) -> Gathering:
    gathering = gather(kind, start)
    gathering.add(observed(kind, readings, start))
    gathering.close(before)
    return gathering


def bucket(
    kind: str, readings: Timed, resolution: str = "hour", before: Timed | None = None
) -> list[Aggregate]:
    """What an hour comes to, perhaps after the hour before."""
    earlier = None if before is None else hour_of(kind, before, START - HOUR_MS)
    return values(finish(resolution, "c", kind, START, [hour_of(kind, readings, before=earlier)]))


def values(observations: Sequence[Observation]) -> list[Aggregate]:
    found = []
    for one in observations:
        assert isinstance(one.value, Aggregate)
        found.append(one.value)
    return found


def test_which_kinds_have_which_buckets() -> None:
    for name in catalogue().names():
        kind = catalogue().kind(name)
        assert ("raw", *coarser(name)) == kind.resolutions
        assert set(coarser(name)) <= set(SPANS)
        assert holds(name) == (kind.type in ("boolean", "place"))
    assert {coarser(name) for name in KINDS} == {names[1:] for names in RESOLUTIONS.values()}


@pytest.mark.parametrize("kind", ["_quarantine", "_blob", "", "Energy", "temp", "no such kind"])
def test_what_is_no_kind_has_no_buckets(kind: str) -> None:
    assert coarser(kind) == ()
    assert not holds(kind)
    with pytest.raises(FormatError):
        gather(kind, START)


# --- the same, however it comes -----------------------------------------------------------------------


@given(st.data(), st.sampled_from(sorted(KINDS)))
def test_the_order_and_the_parts_in_which_readings_come_change_nothing(
    data: st.DataObject, kind: str
) -> None:
    """To the last bit: the node gathers as they arrive, the client from the chunks of a day."""
    readings = data.draw(timed(kind))
    before = hour_of(kind, data.draw(timed(kind)), START - HOUR_MS)
    shuffled = data.draw(st.permutations(observed(kind, readings)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(readings)), max_size=5)))
    parts = gather(kind, START)
    for since, until in zip([0, *cuts], [*cuts, len(readings)], strict=True):
        parts.add(shuffled[since:until])
    parts.close(before)
    whole = hour_of(kind, readings, before=before)
    for resolution in coarser(kind):
        start = START - START % SPANS[resolution]
        assert repr(finish(resolution, "c", kind, start, [parts])) == repr(
            finish(resolution, "c", kind, start, [whole])
        )


@given(timed("energy", FEWEST), st.data())
def test_a_day_is_the_same_however_its_readings_lie_in_hours(readings: Timed, data: st.DataObject) -> None:
    full = st.just([(0, 1.0)] * FEWEST)
    spread = [data.draw(full | st.just([])) for _ in range(23)]
    hours = [hour_of("energy", some, START + HOUR_MS * (n - 7)) for n, some in enumerate([*spread, readings])]
    [day] = finish("day", "c", "energy", START - START % DAY_MS, data.draw(st.permutations(hours)))
    everything = [value for some in (*spread, readings) for _, value in some if isinstance(value, float)]
    assert day.value == Summary(*truth(everything))
    assert day.time == START - START % DAY_MS


def truth(numbers: Sequence[float]) -> tuple[int, float, float, float, float]:
    """By exact fractions, which ``float`` rounds to the nearest, ties to even."""
    total = float(sum(map(Fraction, numbers)))
    squares = float(sum(Fraction(number * number) for number in numbers))
    return len(numbers), total, min(numbers), max(numbers), squares


@given(timed("energy", FEWEST))
@example([(0, 1e100), (0, 1.0), (0, -1e100), (0, 1e-300), (0, 5e-324)])
@example([(0, -0.0), (0, 0.0), (0, -0.0), (0, -0.0), (0, -0.0)])
@example([(n, 0.1) for n in range(64)])
def test_numbers_come_to_their_exact_sums_rounded_once(readings: Timed) -> None:
    [found] = bucket("energy", readings)
    assert found == Summary(*truth([value for _, value in readings if isinstance(value, float)]))
    assert isinstance(found, Summary)
    assert all(math.copysign(1, zero) == 1 for zero in (found.sum, found.low, found.high) if zero == 0)


# --- numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(FEWEST + 2))
def test_few_numbers_have_no_bucket(count: int) -> None:
    found = bucket("energy", [(n, 2.0) for n in range(count)])
    assert len(found) == (count >= FEWEST)


@pytest.mark.parametrize("readings", [[1.5], [1.5, 7.25], [2.0, 3.0, 11.0], [1.0, 4.0, 6.0, 9.0]])
def test_why_few_numbers_have_none_their_summary_would_be_the_readings(readings: list[float]) -> None:
    """The control: what an observer computes from a summary of up to four."""
    count, total, low, high, squares = truth(readings)
    middle = total - low - high
    left = squares - low * low - high * high
    between = {
        1: [],
        2: [],
        3: [middle],
        4: [
            middle / 2 - math.sqrt(max(left / 2 - middle**2 / 4, 0)),
            middle / 2 + math.sqrt(max(left / 2 - middle**2 / 4, 0)),
        ],
    }[count]
    assert sorted({low, *between, high}) == readings


def test_the_few_numbers_of_some_hours_are_not_in_the_difference_of_a_day_and_its_hours() -> None:
    day = START - START % DAY_MS
    full, one = [(n, float(n)) for n in range(60)], [(0, 777.0)]

    def of(*hours: Timed) -> list[Aggregate]:
        gathered = [hour_of("energy", some, day + n * HOUR_MS) for n, some in enumerate(hours)]
        return values(finish("day", "c", "energy", day, gathered))

    assert of(full, one) == of(full)
    assert of(full, *[one] * (FEWEST - 1)) == of(full)
    [more] = of(full, *[one] * FEWEST)
    assert isinstance(more, Summary)
    assert (more.count, more.high) == (60 + FEWEST, 777.0)
    assert of(*[one] * (FEWEST - 1)) == []
    [hourly] = of(*[one] * 24)  # a device that reports hourly has no hours, but days
    assert isinstance(hourly, Summary)
    assert hourly.count == 24


@pytest.mark.parametrize(
    "wrong",
    [math.nan, math.inf, -math.inf, 1e101, -1e308, "text", b"bytes", HOME, None, Tally(1, 1, 0)],
    ids=repr,
)
def test_a_value_that_a_number_cannot_have_is_not_counted(wrong: Value) -> None:
    right = [(n, float(n)) for n in range(200)]
    for at in (0, 1, 63, 64, 199):
        assert bucket("energy", [*right[:at], (0, wrong), *right[at:]]) == bucket("energy", right)
    assert bucket("energy", [*right[: FEWEST - 1], (0, wrong)]) == []


# --- states -------------------------------------------------------------------------------------------

MINUTE = 60_000
DOORS: dict[str, tuple[Timed, Timed | None, list[Aggregate]]] = {
    "nothing": ([], None, []),
    "open all hour": ([(0, True)], None, [Tally(1, 1, 3600)]),
    "opened late": ([(50 * MINUTE, True)], None, [Tally(1, 1, 600)]),
    "opened and closed": ([(MINUTE, True), (2 * MINUTE, False)], None, [Tally(2, 1, 60)]),
    "out of order": ([(2 * MINUTE, False), (MINUTE, True)], None, [Tally(2, 1, 60)]),
    "said twice": ([(0, True), (MINUTE, True), (2 * MINUTE, False)], None, [Tally(3, 2, 120)]),
    "twice at one time": ([(0, False), (0, True), (MINUTE, False)], None, [Tally(3, 1, 60)]),
    "for less than a second": ([(0, True), (999, False)], None, [Tally(2, 1, 0)]),
    "carried over": ([(MINUTE, False)], [(59 * MINUTE, True)], [Tally(1, 0, 60)]),
    "carried over, but closed": ([(MINUTE, True)], [(59 * MINUTE, False)], [Tally(1, 1, 59 * 60)]),
    "held no longer than an hour": ([(40 * MINUTE, False)], [(30 * MINUTE, True)], [Tally(1, 0, 1800)]),
    "over at the beginning": ([(MINUTE, False)], [(0, True)], [Tally(1, 0, 0)]),
    "an hour without a reading": ([], [(59 * MINUTE, True)], []),
    "the last of the hour before": (
        [(MINUTE, False)], [(59 * MINUTE, True), (58 * MINUTE, False)], [Tally(1, 0, 60)],
    ),
    "not a boolean": ([(0, True), (MINUTE, 0.0)], None, [Tally(1, 1, 3600)]),
}  # fmt: skip


@pytest.mark.parametrize("name", DOORS)
def test_a_door(name: str) -> None:
    readings, before, expected = DOORS[name]
    assert bucket("door", readings, before=before) == expected


PLACES: dict[str, tuple[Timed, Timed | None, list[Aggregate]]] = {
    "at home": ([(0, HOME)], None, [Stay(AT_HOME, 3600, 1)]),
    "home to work": (
        [(0, HOME), (20 * MINUTE, WORK)], None, [Stay(AT_HOME, 1200, 1), Stay(AT_WORK, 2400, 1)],
    ),
    "next door": ([(0, HOME), (20 * MINUTE, NEXT_DOOR)], None, [Stay(AT_HOME, 3600, 2)]),
    "carried over": (
        [(10 * MINUTE, WORK)],
        [(59 * MINUTE, HOME)],
        [Stay(AT_HOME, 600, 0), Stay(AT_WORK, 3000, 1)],
    ),
    "carried over for less than a second": (
        [(999, WORK)], [(59 * MINUTE, HOME)], [Stay(AT_WORK, 3599, 1)],
    ),
    "passed by in no time": (
        [(0, WORK), (0, HOME)],
        None,
        [Stay(min(AT_HOME, AT_WORK), 0, 1), Stay(max(AT_HOME, AT_WORK), 3600, 1)],
    ),
    "nowhere on Earth": ([(0, Place(91.0, 0.0)), (1, Place(math.nan, 0.0)), (MINUTE, 1.0)], None, []),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_a_place(name: str) -> None:
    readings, before, expected = PLACES[name]
    order = sorted(expected, key=lambda stay: stay.cell if isinstance(stay, Stay) else "")
    assert bucket("location", readings, "h3-7", before) == order


@given(timed("location", 1), timed("location"))
def test_coarse_stays_are_sums_of_fine_ones(readings: Timed, before: Timed) -> None:
    fine, coarse = (bucket("location", readings, name, before) for name in ("h3-7", "h3-5"))
    whole = Counter[str](cell_of(value, "h3-5") for _, value in readings if isinstance(value, Place))
    for found in (fine, coarse):
        assert sum(one.count for one in found if isinstance(one, Stay)) == len(readings)
        assert sum(one.seconds or 0 for one in found if isinstance(one, Stay)) <= 3600
    assert {one.cell: one.count for one in coarse if isinstance(one, Stay) if one.count} == whole


@given(timed("door", 1), timed("door"))
def test_a_door_by_another_way(readings: Timed, before: Timed) -> None:
    """Millisecond by millisecond, where anything changes."""
    events = sorted(
        [*((time - HOUR_MS, value) for time, value in before), *readings], key=lambda one: one[:2]
    )
    changes = {edge for time, _ in events for edge in (time, time + HOLD_MS) if 0 < edge < HOUR_MS}
    edges = [0, *sorted(changes), HOUR_MS]
    open_for = 0
    for since, until in itertools.pairwise(edges):
        current = [one for one in events if one[0] <= since]
        if current and current[-1][1] and current[-1][0] + HOLD_MS > since:
            open_for += until - since
    opened = sum(value is True for _, value in readings)
    assert bucket("door", readings, before=before) == [Tally(len(readings), opened, open_for // 1000)]


@pytest.mark.parametrize("kind", ["door", "location"])
def test_more_states_than_can_be_kept_have_no_bucket(kind: str) -> None:
    value: Value = True if kind == "door" else HOME
    resolution = coarser(kind)[0]
    most, one_more = [(n, value) for n in range(LISTED_MAX)], [(LISTED_MAX, value)]
    assert not hour_of(kind, most).overfull
    assert bucket(kind, most, resolution) != []
    assert hour_of(kind, [*most, *one_more]).overfull
    assert bucket(kind, [*most, *one_more], resolution) == []


def test_an_hour_after_an_overfull_one_has_its_state() -> None:
    many = [(n, True) for n in range(LISTED_MAX + 5)]
    assert bucket("door", [(MINUTE, False)], before=[*many, (59 * MINUTE, True)]) == [Tally(1, 0, 60)]
    assert bucket("door", [(MINUTE, False)], before=[*many, (59 * MINUTE, False)]) == [Tally(1, 0, 0)]


def test_a_client_may_keep_more() -> None:
    gathering = gather("door", START, most=10**6)
    gathering.add(observed("door", [(n, True) for n in range(2 * LISTED_MAX)]))
    gathering.close()
    assert values(finish("hour", "c", "door", START, [gathering])) == [
        Tally(2 * LISTED_MAX, 2 * LISTED_MAX, 3600)
    ]


# --- counts -------------------------------------------------------------------------------------------


def test_events_are_counted_and_not_named() -> None:
    assert bucket("button", [(0, "single"), (1, "double"), (1, "double")]) == [Tally(3, 3, 0)]
    assert bucket("button", []) == []


def test_texts_are_counted_by_value_and_only_those_of_the_list() -> None:
    readings: Timed = [(0, "walking"), (1, "running"), (2, "walking"), (3, "dictated words"), (4, 5.0)]
    assert bucket("activity", readings) == [Share("running", 1), Share("walking", 2)]


# --- what is asked for --------------------------------------------------------------------------------


@given(st.data(), st.sampled_from(sorted(KINDS)))
def test_a_bucket_begins_at_its_beginning_and_can_be_sealed(data: st.DataObject, kind: str) -> None:
    hours: dict[int, Timed] = data.draw(st.dictionaries(st.integers(0, 23), timed(kind), max_size=4))
    day, before = START - START % DAY_MS, None
    gathered = []
    for number, readings in sorted(hours.items()):
        before = hour_of(kind, readings, day + number * HOUR_MS, before)
        gathered.append(before)
    for resolution in coarser(kind):
        for start in range(day, day + DAY_MS, SPANS[resolution]):
            inside = [hour for hour in gathered if start <= hour.start < start + SPANS[resolution]]
            found = finish(resolution, "c", kind, start, inside)
            assert {(one.channel, one.kind, one.time, one.claimed) for one in found} <= {
                ("c", kind, start, None)
            }
            if found:
                sealed = Sequenced(range(1, len(found) + 1), found)
                header = header_of(sealed, resolution=resolution)
                again = open_chunk(bytes(32), header, seal_chunk(bytes(32), header, sealed, bytes(12)))
                lane = [Observation(LANE.channel, LANE.kind, one.time, one.value) for one in found]
                assert list(again.observations) == lane


@pytest.mark.parametrize("resolution", ["raw", "h3-7", "minute", ""])
def test_a_resolution_that_the_kind_does_not_have_is_refused(resolution: str) -> None:
    with pytest.raises(FormatError):
        finish(resolution, "c", "energy", START, [hour_of("energy", [(0, 1.0)] * 9)])


def test_hours_of_another_time_or_kind_are_refused() -> None:
    other = hour_of("power", [(0, 1.0)] * 9)
    later = hour_of("energy", [(0, 1.0)] * 9, START + HOUR_MS)
    for hour in (other, later):
        with pytest.raises(FormatError):
            finish("hour", "c", "energy", START, [hour])


def test_numbers_take_the_same_memory_however_many_they_are() -> None:
    gathering = gather("energy", START)
    held = defaultdict[str, set[int]](set)
    for _ in range(300):
        gathering.add(observed("energy", [(n, n / 7) for n in range(100)]))
        for name in ("sums", "squares", "_pending"):
            held[name].add(len(getattr(gathering, name)))
    assert max(map(max, held.values())) < 64
    assert gathering.count == 30_000
