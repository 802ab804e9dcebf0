"""Numbered messages that never came: counted from the numbers that did."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.node.gaps import DEVICES, JUMP, LATE, SESSIONS, Gaps
from vault.ids import DeviceId, VaultId

VAULT, OTHERS = VaultId(bytes(16)), VaultId(b"o" * 16)
PHONE, WATCH = DeviceId(bytes(16)), DeviceId(b"w" * 16)


def counted(gaps: Gaps, *numbers: int, session: str = "s", device: DeviceId = PHONE) -> list[int]:
    return [gaps.count(VAULT, device, session, number) for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ((1, 2, 3), 0),
        ((41, 42, 43), 0),  # the first is where counting begins
        ((1, 2, 5, 6), 2),
        ((1, 3, 2), 0),  # late is not lost
        ((1, 4, 2, 3), 0),
        ((1, 4, 3), 1),
        ((1, 2, 2, 2, 3), 0),  # redelivered
        ((1, 4, 2, 2, 4, 4), 1),
        ((5, 4, 3, 6), 0),  # from before the first
        ((-3, -1), 1),
        ((0, JUMP + 1), JUMP),
        ((0, JUMP + 2, JUMP + 3), 0),  # too far: another count was begun
        ((9, 0, 10), 0),
    ],
)
def test_what_is_missing(numbers: tuple[int, ...], missing: int) -> None:
    assert sum(counted(Gaps(), *numbers)) == missing


def test_sessions_and_devices_are_counted_apart() -> None:
    gaps = Gaps()
    counted(gaps, 1)
    assert counted(gaps, 900, session="t") == [0]
    assert counted(gaps, 900, device=WATCH) == [0]
    assert counted(gaps, 3) == [1]
    for n in range(SESSIONS):
        counted(gaps, 1, session=f"{n}")
    assert counted(gaps, 9) == [0]  # too many sessions: the first was forgotten


def test_only_the_latest_of_many_missing_may_still_come() -> None:
    gaps = Gaps()
    assert counted(gaps, 0, 3 * LATE, 3 * LATE + 2) == [0, 3 * LATE - 1, 1]
    assert counted(gaps, 1, 2 * LATE) == [0, 0]
    assert counted(gaps, 3 * LATE + 1, 3 * LATE - 1, 2 * LATE + 1) == [-1, -1, -1]


def test_of_a_commit_that_failed_nothing_counts() -> None:
    gaps = Gaps()
    assert counted(gaps, 1, 3) == [0, 1]
    gaps.settle(None)
    assert counted(gaps, 7, 8) == [0, 0]  # the first again
    gaps.settle(set())
    assert counted(gaps, 12, 9) == [3, -1]
    gaps.settle({VAULT})
    assert counted(gaps, 12) == [3]
    gaps.settle({OTHERS})
    assert counted(gaps, 11, 10, 9, 8) == [-1, -1, -1, 0]


def test_devices_that_were_silent_the_longest_are_forgotten() -> None:
    gaps = Gaps()
    for n in range(DEVICES):
        counted(gaps, 1, device=DeviceId(n.to_bytes(16, "big")))
        gaps.settle(set())
    counted(gaps, 1, device=WATCH)
    gaps.settle(set())
    assert counted(gaps, 5) == [0]  # it was the first
    assert counted(gaps, 5, device=DeviceId((9).to_bytes(16, "big"))) == [3]


@given(st.permutations(range(40)), st.sets(st.integers(0, 39)), st.lists(st.integers(0, 39)))
def test_in_any_order_with_any_repeats_what_never_came_is_missing(
    order: list[int], lost: set[int], again: list[int]
) -> None:
    """An oracle: of the numbers between the first that came and the highest, those that never did."""
    came = [number for number in order if number not in lost]
    came += [number for number in again if number not in lost]
    gaps, total = Gaps(), 0
    for number in came:
        total += counted(gaps, number)[0]
        gaps.settle(set())
    expected = set(range(came[0] + 1, max(came))) - set(came) if came else set()
    assert total == len(expected)
