"""Whether the wall clock can be believed (ACCEPTANCE F1, F2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.node.clock import AHEAD_MS, BEHIND_MS, ClockWatch
from vault.store.sector import ClockMark, Frozen

NOW = 1_790_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR


def watch(mark: int = NOW, wall: int = NOW) -> ClockWatch:
    """A run that begins with this mark and wall clock, an uptime of an hour."""
    return ClockWatch(ClockMark(mark, 10 * HOUR), wall, HOUR)


STEPS: dict[str, tuple[int, Frozen]] = {
    "it went on with the uptime": (0, Frozen.NO),
    "a second of correction": (1000, Frozen.NO),
    "an hour ahead to the millisecond": (AHEAD_MS, Frozen.NO),
    "more than an hour ahead": (AHEAD_MS + 1, Frozen.AHEAD),
    "a year ahead": (365 * DAY, Frozen.AHEAD),
    "back by what a time service corrects": (-BEHIND_MS, Frozen.NO),
    "back by more": (-BEHIND_MS - 11_000, Frozen.BEHIND),
    "a day back": (-DAY, Frozen.BEHIND),
    "a year back": (-365 * DAY, Frozen.BEHIND),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_the_wall_clock_is_judged(name: str) -> None:
    step, expected = STEPS[name]
    clock = watch()
    assert clock.observe(NOW + 10_000 + step, HOUR + 10_000).frozen is expected


def test_a_clock_far_ahead_does_not_move_the_mark_and_its_return_unfreezes() -> None:
    clock = watch()
    assert clock.observe(NOW + 365 * DAY, HOUR + 1000).mark == NOW
    back = clock.observe(NOW + 2000, HOUR + 2000)
    assert (back.frozen, back.mark) == (Frozen.NO, NOW + 2000)


def test_a_start_behind_the_mark_is_frozen_until_time_has_caught_up() -> None:
    clock = watch(wall=NOW - DAY)
    assert clock.mark.frozen is Frozen.BEHIND
    assert clock.mark.mark == NOW
    assert clock.observe(NOW - BEHIND_MS, HOUR + DAY).frozen is Frozen.NO


def test_the_owner_of_the_machine_can_say_that_the_clock_is_right() -> None:
    for wall in (NOW - 30 * DAY, NOW + 30 * DAY):
        clock = watch()
        assert clock.observe(wall, HOUR + 1).frozen is not Frozen.NO
        trusted = clock.trust(wall, HOUR + 2)
        assert (trusted.frozen, trusted.mark) == (Frozen.NO, wall)


def test_hours_of_sleep_are_no_step() -> None:
    """CLOCK_BOOTTIME counts sleep, so both clocks come back together."""
    clock = watch()
    assert clock.observe(NOW + 9 * HOUR, HOUR + 9 * HOUR).frozen is Frozen.NO


@given(st.lists(st.tuples(st.integers(-400 * DAY, 400 * DAY), st.integers(0, 10 * HOUR))))
def test_the_mark_never_goes_back_and_uptime_adds_up(steps: list[tuple[int, int]]) -> None:
    clock, uptime, mark, total = watch(), HOUR, NOW, 10 * HOUR
    for offset, elapsed in steps:
        uptime += elapsed
        total += elapsed
        seen = clock.observe(NOW + offset, uptime)
        assert seen.mark >= mark
        assert seen.uptime == total
        mark = seen.mark
