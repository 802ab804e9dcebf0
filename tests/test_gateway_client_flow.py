"""A flow in figures: exact over all readings, however few of them are shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client.flow import NOTHING, SAMPLED, Flow, flow_of
from vault.gathering import HOUR_MS
from vault.ids import DeviceId
from vault.observation import Observation, Summary, Value
from vault.store.release import Released

DEVICE = DeviceId(bytes(16))
DAY_MS = 24 * HOUR_MS


def released(
    *values: Value, kind: str = "energy", resolution: str = "raw", step: int = 60_000
) -> list[Released]:
    """Readings, one a minute."""
    return [
        Released(n, DEVICE, Observation("", kind, n * step, value), resolution)
        for n, value in enumerate(values)
    ]


def shown(flow: Flow) -> list[float]:
    """The numbers of a sample."""
    return [one.value for one in flow.sample if isinstance(one.value, float)]


def test_nothing_is_nothing() -> None:
    assert flow_of([]) == NOTHING


def test_few_readings_are_all_shown_in_order_of_time() -> None:
    flow = flow_of(released(3.0, 1.0, 2.0)[::-1])
    assert shown(flow) == [3.0, 1.0, 2.0]
    (told,) = flow.told
    assert (told.readings, told.low, told.mean, told.high) == (3, 1.0, 2.0, 3.0)
    assert (flow.readings, flow.series) == (3.0, 1)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=2000))
def test_however_many_there_are_the_least_and_the_greatest_are_shown(values: list[float]) -> None:
    flow = flow_of(released(*values))
    assert len(shown(flow)) <= SAMPLED
    assert (min(shown(flow)), max(shown(flow))) == (min(values), max(values))
    (told,) = flow.told
    assert (told.readings, told.low, told.high) == (len(values), min(values), max(values))
    assert [one.time for one in flow.sample] == sorted(one.time for one in flow.sample)


def test_a_sample_by_steps_alone_loses_the_greatest() -> None:
    """The control of the test before: what every n-th reading would show."""
    values = [float(n == 1) for n in range(2000)]
    assert max(values[:: len(values) // SAMPLED]) == 0.0
    assert max(shown(flow_of(released(*values)))) == 1.0


def test_what_is_true_is_counted_by_the_hour_of_all_readings() -> None:
    flow = flow_of(released(*(n % 3 == 0 for n in range(1200)), kind="door"))
    assert len(flow.sample) <= SAMPLED
    assert flow.told[0].hours == tuple((hour * HOUR_MS, 20) for hour in range(20))
    assert flow.told[0].low is None


def test_of_buckets_the_means_are_told() -> None:
    buckets = [Summary(10, 10.0 * n, 0.0, 100.0, 0.0) for n in (1, 2, 3)]
    (told,) = flow_of(released(*buckets, resolution="hour", step=HOUR_MS)).told
    assert (told.low, told.mean, told.high, told.resolution) == (1.0, 2.0, 3.0, "hour")


def test_a_day_is_one_that_had_readings() -> None:
    flow = flow_of(released(*[1.0] * 10, step=DAY_MS))
    assert flow.readings == 1.0
    assert flow.bytes > 0


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_what_is_no_number_is_in_no_figure(odd: float) -> None:
    (told,) = flow_of(released(odd, 1.0)).told
    assert (told.readings, told.low, told.high) == (2, 1.0, 1.0)
