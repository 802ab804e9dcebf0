"""Topic filters: what they match, whose a topic is, and a list to subscribe to that has each message once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bridge.filters import Mapping, Routes, check_filter, covers, disjoint, join, matches, overlap
from gateway.errors import BridgeConfigError

LEVEL = st.sampled_from(["a", "b", "", "$x"])
TOPIC = st.lists(LEVEL, min_size=1, max_size=4).map("/".join)
FILTER = st.builds(
    lambda levels, tail: "/".join([*levels, *tail]),
    st.lists(st.sampled_from(["a", "b", "", "+", "$x"]), min_size=1, max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(bool) | st.just("#")


@pytest.mark.parametrize(
    ("pattern", "topic", "so"),
    [
        ("zigbee2mqtt/#", "zigbee2mqtt/living room/lamp", True),
        ("zigbee2mqtt/#", "zigbee2mqtt", True),
        ("zigbee2mqtt/#", "zigbee2mqtt2/x", False),
        ("tele/+/SENSOR", "tele/plug/SENSOR", True),
        ("tele/+/SENSOR", "tele/a/b/SENSOR", False),
        ("tele/+/SENSOR", "tele//SENSOR", True),
        ("+", "a/b", False),
        ("+/+", "/a", True),
        ("/+", "/a", True),
        ("/+", "a", False),
        ("#", "a/b/c", True),
        ("#", "$SYS/broker/uptime", False),
        ("+/broker/uptime", "$SYS/broker/uptime", False),
        ("$SYS/#", "$SYS/broker/uptime", True),
        ("a", "A", False),
    ],
)
def test_a_filter_matches_as_the_standard_says(pattern: str, topic: str, so: bool) -> None:
    assert matches(pattern, topic) is so


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a/#/b",
        "a#",
        "a/b#",
        "+a",
        "a/+b/c",
        "a\0b",
        "a\nb",
        "$share/g/a",
        "a/" * 64,
        "x" * 1025,
        "\ud800",
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(BridgeConfigError):
        check_filter(text)


@given(FILTER)
def test_every_filter_of_these_tests_is_one(pattern: str) -> None:
    check_filter(pattern)


def test_the_most_specific_mapping_wins_whatever_their_order() -> None:
    mappings = [
        Mapping("#", "everything"),
        Mapping("home/#", "house"),
        Mapping("home/+/power", "meters"),
        Mapping("home/car/+", "car"),
        Mapping("home/car/power", "charger"),
        Mapping("home", "root"),
    ]
    expected = {
        "other": "everything",
        "home": "root",
        "home/attic": "house",
        "home/oven/power": "meters",
        "home/car/speed": "car",
        "home/car/power": "charger",
        "$SYS/uptime": None,
    }
    for order in (mappings, mappings[::-1]):
        assert {topic: Routes(order).device(topic) for topic in expected} == expected


@given(st.lists(FILTER, min_size=1, max_size=5, unique=True), TOPIC)
def test_a_topic_has_one_device_whatever_the_order(filters: list[str], topic: str) -> None:
    mappings = [Mapping(one, one) for one in filters]
    found = Routes(mappings).device(topic)
    assert found == Routes(mappings[::-1]).device(topic)
    assert (found is not None) == any(matches(one, topic) for one in filters)
    assert found is None or matches(found, topic)


@given(FILTER, FILTER, TOPIC)
def test_overlap_covers_and_join_agree_with_matching(one: str, other: str, topic: str) -> None:
    both = matches(one, topic), matches(other, topic)
    assert overlap(one, other) or both != (True, True)
    assert overlap(one, other) == overlap(other, one)
    assert covers(one, one)
    assert not covers(one, other) or both != (False, True)
    if overlap(one, other):
        assert covers(join(one, other), one)
        assert covers(join(one, other), other)


@given(st.lists(FILTER, min_size=1, max_size=5), TOPIC)
def test_what_is_subscribed_to_has_each_message_once(filters: list[str], topic: str) -> None:
    chosen = disjoint(filters)
    times = sum(matches(one, topic) for one in chosen)
    assert times <= 1
    assert times == 1 or not any(matches(one, topic) for one in filters)
    assert disjoint(chosen) == chosen


@pytest.mark.parametrize(
    ("filters", "chosen"),
    [
        (["a/#", "a/b", "a/+/c"], ["a/#"]),
        (["a/b", "c/d"], ["a/b", "c/d"]),
        (["a/+/c", "a/b/+"], ["a/+/+"]),
        (["+/x", "a/#", "b/y"], ["+/#"]),
        (["#", "$SYS/#"], ["#", "$SYS/#"]),
        (["a", "a/#"], ["a/#"]),
    ],
)
def test_overlapping_filters_become_the_narrowest_that_has_both(
    filters: list[str], chosen: list[str]
) -> None:
    assert disjoint(filters) == chosen


def test_filters_that_are_left_as_they_are_would_deliver_twice() -> None:
    """The known-bad control: what a broker may do with overlapping subscriptions."""
    assert sum(matches(one, "a/b/c") for one in ["a/+/c", "a/b/+"]) == 2
