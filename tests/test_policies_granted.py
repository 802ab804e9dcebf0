"""What the brand is told: what was given, in details that are alike, and nothing of devices."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from policies.granted import granted_details
from policies.minimise import Limit
from policies.terms import Selector, Terms
from policies.wishes import RESOLUTIONS_SUPPORTED
from tests.policies_samples import HUB, METER, TERMS

TOLD = {
    "type": "personal_data",
    "actions": ["read"],
    "datatypes": ["energy", "temperature"],
    "resolution": "raw",
    "data_from": "2026-03-01T12:00:00Z",
    "data_until": "2026-03-31T12:00:00Z",
    "access_until": "2026-04-01T12:00:00Z",
    "purpose": "dpv:ServiceProvision",
    "purpose_text": "Bill by what you use",
    "retention": "P90D",
    "recipients": ["Grid operator"],
    "benefit": "10 % off the base fee",
}


def told(**changes: object) -> list[dict[str, object]]:
    """What a brand is told of the example with these changes."""
    return granted_details(msgspec.structs.replace(TERMS, **changes))


def test_the_brand_is_told_what_was_granted_and_nothing_of_devices() -> None:
    assert granted_details(TERMS) == [TOLD]
    assert "retention" not in told(retention=None)[0]


def test_kinds_in_different_detail_are_in_different_details_the_finest_first() -> None:
    selectors = (
        Selector(HUB, "temperature", None, "day"),
        Selector(METER, "energy", None, "hour"),
        Selector(METER, "location", None, "h3-5"),
        Selector(METER, "power"),
    )
    found = [(one["resolution"], one["datatypes"]) for one in told(selectors=selectors, resolution="hour")]
    assert found == [("hour", ["energy", "power"]), ("day", ["temperature"]), ("h3-5", ["location"])]


def test_a_kind_that_one_device_gives_finer_is_in_both() -> None:
    selectors = (Selector(METER, "energy", None, "raw"), Selector(HUB, "energy", None, "day"))
    found = told(selectors=selectors, resolution="day")
    assert [(one["resolution"], one["datatypes"]) for one in found] == [
        ("raw", ["energy"]),
        ("day", ["energy"]),
    ]


def test_the_way_it_is_given_is_told_where_it_says_something() -> None:
    assert told(mode="once", uses=1) == [TOLD | {"mode": "once", "uses": 1}]
    assert told(mode="answer", budget=5) == [TOLD | {"mode": "answer", "budget": 5}]
    assert told(uses=3) == [TOLD | {"uses": 3}]


def test_what_was_left_out_is_told_as_far_as_the_figures_need_it() -> None:
    limit = Limit(
        kind="energy",
        round="0.5",
        every=900,
        hours=(1320, 420),
        zone="Europe/Berlin",
        fewest=9,
        drop=("high", "low"),
    )
    energy, temperature = told(limits=(limit,))
    if energy["datatypes"] != ["energy"]:
        energy, temperature = temperature, energy
    assert energy["minimised"] == {
        "round": "0.5",
        "every": "PT15M",
        "hours": {"from": "22:00", "until": "07:00", "zone": "Europe/Berlin"},
        "fewest": 9,
        "drop": ["high", "low"],
    }
    assert "minimised" not in temperature


def test_kinds_with_the_same_limit_stay_together() -> None:
    limits = (Limit(kind="energy", every=900), Limit(kind="temperature", every=900))
    [detail] = told(limits=limits)
    assert detail["minimised"] == {"every": "PT15M"}
    assert detail["datatypes"] == ["energy", "temperature"]


def test_a_limit_that_limits_nothing_is_not_told() -> None:
    assert told(limits=(Limit(kind="energy"),)) == [TOLD]
    midnight = told(
        limits=(Limit(kind="energy", hours=(0, 1440)), Limit(kind="temperature", hours=(0, 1440)))
    )
    assert midnight[0]["minimised"] == {"hours": {"from": "00:00", "until": "24:00", "zone": "UTC"}}


given_kinds = st.sampled_from(["energy", "temperature", "power"])
resolutions = st.sampled_from([None, *RESOLUTIONS_SUPPORTED])
limits = st.builds(
    Limit, kind=given_kinds, every=st.sampled_from([None, 60]), fewest=st.sampled_from([None, 9])
)


@given(
    st.dictionaries(st.tuples(st.sampled_from([METER, HUB]), given_kinds), resolutions, min_size=1),
    st.lists(limits, unique_by=lambda limit: limit.kind),
)
def test_the_details_hold_every_kind_as_it_is_given_and_nothing_else(
    chosen: dict[tuple[str, str], str | None], limited: list[Limit]
) -> None:
    selectors = tuple(
        Selector(device, kind, None, resolution) for (device, kind), resolution in chosen.items()
    )
    terms: Terms = msgspec.structs.replace(
        TERMS, selectors=selectors, resolution="day", limits=tuple(limited)
    )
    details = granted_details(terms)
    expected = {(selector.kind, terms.resolution_of(selector)) for selector in selectors}
    found = [(kind, one["resolution"]) for one in details for kind in _names(one["datatypes"])]
    assert set(found) == expected
    assert len(found) == len(expected)
    for one in details:
        for kind in _names(one["datatypes"]):
            every = {limit.kind: limit.every for limit in limited}.get(kind)
            less = one.get("minimised", {})
            assert isinstance(less, dict)
            assert less.get("every") == (None if every is None else "PT1M")
    text = json.dumps(details)
    assert METER not in text
    assert HUB not in text


def _names(value: object) -> list[str]:
    assert isinstance(value, list)
    return value
