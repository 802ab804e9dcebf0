"""Narrowing is never wider, in any dimension."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from policies.kinds import catalogue
from policies.minimise import Limit
from policies.terms import Selector, Terms
from policies.widen import widens

NOW = Terms(
    selectors=(Selector("a", "energy", ("", "garage"), "hour"), Selector("a", "location", None, "h3-7")),
    data_from=1000,
    data_until=9000,
    access_until=9000,
    purpose="dpv:ServiceProvision",
    uses=5,
    budget=10,
    limits=(Limit(kind="energy", round="0.5", every=600, hours=(420, 1320), fewest=6, drop=("high",)),),
)
ENERGY, PLACE = NOW.selectors


def limited(**changes: Any) -> dict[str, Any]:
    return {"limits": (msgspec.structs.replace(NOW.limits[0], **changes),)}


LESS: dict[str, dict[str, Any]] = {
    "the same": {},
    "fewer kinds": {"selectors": (ENERGY,)},
    "fewer channels": {"selectors": (msgspec.structs.replace(ENERGY, channels=("garage",)), PLACE)},
    "one channel of all": {"selectors": (ENERGY, msgspec.structs.replace(PLACE, channels=("phone",)))},
    "less detail": {"selectors": (msgspec.structs.replace(ENERGY, resolution="day"), PLACE)},
    "less detail, said for all": {
        "selectors": (msgspec.structs.replace(ENERGY, resolution=None),),
        "resolution": "day",
    },
    "later": {"data_from": 2000},
    "shorter": {"data_until": 8000, "access_until": 8500},
    "answers only": {"mode": "answer"},
    "once": {"mode": "once", "uses": 1},
    "fewer answers": {"budget": 1},
    "coarser steps": limited(round="1.5"),
    "rarer": limited(every=1200),
    "fewer hours": limited(hours=(480, 600)),
    "more readings in each": limited(fewest=7),
    "fewer fields": limited(drop=("high", "low")),
    "a limit of what is given no more": {"selectors": (PLACE,), "limits": ()},
    "one more limit": {"limits": (*NOW.limits, Limit(kind="location", every=600))},
}
MORE: dict[str, dict[str, Any]] = {
    "another device": {"selectors": (ENERGY, PLACE, Selector("b", "energy", None, "day"))},
    "another channel": {"selectors": (msgspec.structs.replace(ENERGY, channels=("", "attic")), PLACE)},
    "every channel": {"selectors": (msgspec.structs.replace(ENERGY, channels=None), PLACE)},
    "more detail": {"selectors": (msgspec.structs.replace(ENERGY, resolution="raw"), PLACE)},
    "more detail, said for all": {"selectors": (msgspec.structs.replace(ENERGY, resolution=None), PLACE)},
    "further back": {"data_from": 999},
    "longer data": {"data_until": 9001},
    "longer access": {"access_until": 9001},
    "more uses": {"uses": 6},
    "any number of uses": {"uses": None},
    "more answers": {"budget": 11},
    "any number of answers": {"budget": None},
    "finer steps": limited(round="0.1"),
    "other steps": limited(round="0.7"),
    "no steps": limited(round=None),
    "more often": limited(every=300),
    "at other times": limited(every=700),
    "longer hours": limited(hours=(420, 1321)),
    "over midnight": limited(hours=(1320, 420)),
    "the same hours elsewhere": limited(zone="Asia/Tokyo"),
    "fewer readings in each": limited(fewest=5),
    "every field": limited(drop=()),
    "no limit": {"limits": ()},
}


@pytest.mark.parametrize("changes", LESS.values(), ids=LESS)
def test_less_is_less(changes: dict[str, Any]) -> None:
    assert widens(NOW, msgspec.structs.replace(NOW, **changes), catalogue()) is None


@pytest.mark.parametrize("changes", MORE.values(), ids=MORE)
def test_more_is_more_and_said(changes: dict[str, Any]) -> None:
    refusal = widens(NOW, msgspec.structs.replace(NOW, **changes), catalogue())
    assert refusal is not None
    assert refusal.reason.startswith("It ")
    assert refusal.reason.endswith("than now.")


def test_answers_are_less_than_reading_and_not_the_other_way_round() -> None:
    answers = msgspec.structs.replace(NOW, mode="answer")
    assert widens(answers, NOW, catalogue()) is not None
