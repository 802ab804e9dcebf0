"""How often is too often, at exact moments of a clock that is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.door.limits import Buckets, Pace, Rate, source_key
from gateway.door.memory import Nonces, Refusals
from gateway.wire import NONCE_WINDOW_MS
from vault.ids import BrandId, GrantId

GRANT, OTHER = GrantId(b"g" * 16), GrantId(b"h" * 16)
BRAND = BrandId(b"b" * 16)


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    buckets = Buckets(Rate(3, 0.5))
    assert [buckets.take("a", 0) for _ in range(4)] == [0, 0, 0, 2]
    assert buckets.take("a", 1_999) == 1
    assert [buckets.take("a", 2_000), buckets.take("a", 2_000)] == [0, 2]


def test_buckets_of_different_keys_have_nothing_to_do_with_each_other() -> None:
    buckets = Buckets(Rate(1, 1))
    assert [buckets.take("a", 0), buckets.take("b", 0), buckets.take("a", 0)] == [0, 0, 1]


def test_a_bucket_never_owes_more_than_one() -> None:
    buckets = Buckets(Rate(1, 1))
    for _ in range(100):
        buckets.charge("a", 0)
    assert buckets.take("a", 2_000) == 0


def test_the_table_forgets_whom_it_has_not_seen_for_longest() -> None:
    buckets = Buckets(Rate(1, 0.001), size=2)
    for key in ("a", "b", "c"):
        assert buckets.take(key, 0) == 0
    assert len(buckets) == 2
    assert buckets.wait("c", 0) > 0
    assert buckets.wait("a", 0) == 0


@given(st.lists(st.integers(0, 5_000), max_size=60))
def test_no_pattern_of_asking_gets_more_than_burst_and_rate(gaps: list[int]) -> None:
    buckets, now, given_out = Buckets(Rate(5, 2)), 0, 0
    for gap in gaps:
        now += gap
        given_out += buckets.take("a", now) == 0
    assert given_out <= 5 + now * 2 / 1000


@pytest.mark.parametrize(
    ("gaps", "kept"),
    [
        ((0, 10_000, 10_000), (True, True, True)),  # exactly the interval is fine
        ((0, 9_500), (True, True)),  # networks are not that even
        ((0, 9_499), (True, False)),
        ((0, 5_000, 5_000), (True, False, True)),  # the interval counts from the last poll that was answered
        ((0, 0, 0), (True, False, False)),
    ],
)
def test_polls_keep_their_pace(gaps: tuple[int, ...], kept: tuple[bool, ...]) -> None:
    pace, now, found = Pace(10), 1_000_000, []
    for gap in gaps:
        now += gap
        found.append(pace.keeps(GRANT, now))
    assert tuple(found) == kept


def test_a_clock_that_went_back_does_not_silence_a_client() -> None:
    pace = Pace(10)
    assert pace.keeps(GRANT, 1_000_000)
    assert pace.keeps(GRANT, 0)


def test_requests_have_a_pace_of_their_own() -> None:
    pace = Pace(10)
    assert pace.keeps(GRANT, 0)
    assert pace.keeps(OTHER, 0)
    pace.forget(GRANT)
    assert pace.keeps(GRANT, 0)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("example.com", "unknown"),
    ],
)
def test_an_address_is_a_household(address: str, key: str) -> None:
    assert source_key(address) == key


def test_an_envelope_counts_once_for_as_long_as_its_clock_is_accepted() -> None:
    nonces, client = Nonces(), b"c" * 16
    assert nonces.fresh(client, b"n" * 16, 0)
    assert not nonces.fresh(client, b"n" * 16, 2 * NONCE_WINDOW_MS)
    assert nonces.fresh(b"d" * 16, b"n" * 16, 0)
    assert nonces.fresh(client, b"n" * 16, 2 * NONCE_WINDOW_MS + 1)


def test_refusals_of_a_minute_are_told_in_one_line() -> None:
    refusals = Refusals()
    for second in range(60):
        refusals.note(GRANT, BRAND, "ended", second * 1000)
    refusals.note(OTHER, BRAND, "expired", 59_000)
    assert refusals.due(59_999) == []
    (record,) = refusals.due(60_000)
    entry = record.entry
    assert (entry.what, entry.grant, entry.times, entry.note, entry.time) == (
        "refused",
        GRANT.text,
        60,
        "ended",
        0,
    )
    assert refusals.due(60_000) == []
    assert [r.entry.note for r in refusals.due(60_000, everything=True)] == ["expired"]


def test_a_refusal_that_could_not_be_told_is_told_later() -> None:
    refusals = Refusals()
    refusals.note(GRANT, BRAND, "ended", 0)
    (record,) = refusals.due(60_000)
    refusals.again(record)
    assert refusals.due(60_000) == [record]
