"""From a request and a choice to terms in the making: never more than was asked, and each kind by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cli.choice import parse_choice
from cli.draft import Draft, as_asked, bounds_of, changed, in_force, kinds_of
from cli.errors import CliError, RefusedError, UsageError
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.minimise import Limit
from policies.purposes import purposes
from policies.request import Ask, parse_details
from policies.terms import Selector, Terms

NOW = 20_410 * DAY + 3600
DETAIL: dict[str, Any] = {
    "type": "personal_data",
    "datatypes": ["energy", "power"],
    "resolution": {"ideal": "raw", "minimum": "day"},
    "history": {"ideal": "P30D", "minimum": "P7D"},
    "duration": {"ideal": "P90D", "minimum": "P10D"},
    "mode": {"ideal": "read", "minimum": "answer"},
    "purpose": "dpv:ServiceProvision",
}
PLACE = DETAIL | {"datatypes": ["location"], "resolution": {"ideal": "h3-7", "minimum": "h3-5"}}


def asks(*details: dict[str, Any]) -> tuple[Ask, ...]:
    """A request as the door reads it."""
    return parse_details(msgspec.json.encode(details or (DETAIL, PLACE)), catalogue(), purposes(), NOW)


def draft(request: tuple[Ask, ...]) -> Draft:
    """The least that serves."""
    return Draft(kinds=kinds_of(request), details={}, mode="answer")


def after(typed: str, request: tuple[Ask, ...] | None = None) -> Draft:
    """The draft after these options."""
    request = request or asks()
    return changed(draft(request), parse_choice(typed.split()), request)


DETAILS: dict[str, tuple[str, dict[str, str]]] = {
    "nothing said": ("", {"energy": "day", "power": "day", "location": "h3-5"}),
    "a kind by itself": ("--detail energy=raw", {"energy": "raw", "power": "day", "location": "h3-5"}),
    "between the two": ("--detail energy=hour", {"energy": "hour", "power": "day", "location": "h3-5"}),
    "all that can": ("--detail hour", {"energy": "hour", "power": "hour", "location": "h3-5"}),
    "fewer kinds": ("--kinds location", {"location": "h3-5"}),
}


@pytest.mark.parametrize(("typed", "details"), DETAILS.values(), ids=DETAILS)
def test_each_kind_has_its_own_detail(typed: str, details: dict[str, str]) -> None:
    assert after(typed).details == details


WRONG: dict[str, tuple[str, type[CliError], str]] = {
    "finer than was asked": ("--detail location=raw", RefusedError, "--detail location=h3-7 or less"),
    "a detail that the kind has not": ("--detail energy=h3-5", UsageError, "raw, hour, day"),
    "a detail of what is not given": ("--kinds energy --detail power=day", UsageError, "choose from: energy"),
    "a kind that was not asked for": ("--kinds humidity", UsageError, "choose from: energy"),
    "a round place": ("--round location=1", UsageError, "numbers"),
    "only places, rounded": ("--kinds location --round 1", UsageError, "leave it out"),
    "an accuracy of energy": ("--kinds energy --drop accuracy", UsageError, "leave it out"),
    "a field that is none": ("--drop colour", UsageError, "accuracy"),
    "hours of a day's bucket": ("--hours 07-22", UsageError, "--detail energy=hour"),
    "few readings of none": ("--kinds energy --detail raw --fewest 9", UsageError, "--detail hour"),
    "a limit of what is not given": ("--kinds energy --every power=15m", UsageError, "choose from: energy"),
}


@pytest.mark.parametrize(("typed", "error", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused_with_what_to_do(typed: str, error: type[CliError], said: str) -> None:
    with pytest.raises(error) as caught:
        after(typed)
    assert said.lower() in f"{caught.value.what} {caught.value.hint}".lower()


def test_reading_is_refused_where_they_asked_for_answers() -> None:
    with pytest.raises(RefusedError) as caught:
        after("--times 3", asks(DETAIL | {"mode": "answer"}))
    assert caught.value.hint == "give --answers-only"


def test_limits_are_by_kind_and_join() -> None:
    made = after("--detail hour --round 0.5 --every location=6h --fewest 9 --hours 07-22 --zone UTC")
    hours: dict[str, Any] = {"hours": (420, 1320), "zone": "UTC", "fewest": 9}
    assert made.limits == {
        "energy": Limit(kind="energy", round="0.5", **hours),
        "power": Limit(kind="power", round="0.5", **hours),
        "location": Limit(kind="location", every=21_600, **hours),
    }
    assert after("").limits == {}


def test_all_that_they_would_like_is_their_ideal() -> None:
    full = as_asked(asks())
    assert (full.details, full.history, full.duration, full.mode) == (
        {"energy": "raw", "power": "raw", "location": "h3-7"},
        30,
        90 * DAY,
        "read",
    )


BOUNDS: dict[str, tuple[str, int, int]] = {
    # words -> days of history from the midnight after, and days of access
    "the least that serves": ("", 7, 10),
    "more history": ("--history 20d", 20, 10),
    "no more history than they asked for": ("--history 300d", 30, 10),
    "longer": ("--for 60d", 7, 60),
    "no longer than they asked for": ("--for 300d", 7, 90),
    "none": ("--history none", 0, 10),
}


@pytest.mark.parametrize(("typed", "history", "access"), BOUNDS.values(), ids=BOUNDS)
def test_bounds_lie_between_the_least_and_the_ideal(typed: str, history: int, access: int) -> None:
    request, choice = asks(), parse_choice(typed.split())
    found = bounds_of(changed(draft(request), choice, request), choice, request[0], NOW, 0)
    since = NOW if history == 0 else (NOW // DAY - history + 1) * DAY
    assert (found.data_from, found.access_until) == (since, NOW + access * DAY)


TERMS = Terms(
    selectors=(Selector("a", "energy", ("",), "hour"), Selector("a", "power", ("",), "day")),
    resolution="day",
    data_from=NOW - 5 * DAY,
    data_until=NOW + 5 * DAY,
    access_until=NOW + 6 * DAY,
    purpose="dpv:ServiceProvision",
    limits=(Limit(kind="energy", round="0.5"),),
    uses=3,
)
KEPT: dict[str, tuple[str, tuple[int, int, int]]] = {
    "nothing said": ("", (TERMS.data_from, TERMS.data_until, TERMS.access_until)),
    "extended": ("--for 20d", (TERMS.data_from, NOW + 20 * DAY, NOW + 20 * DAY)),
    "less history": ("--history none", (NOW, TERMS.data_until, TERMS.access_until)),
}


@pytest.mark.parametrize(("typed", "bounds"), KEPT.values(), ids=KEPT)
def test_of_a_grant_in_force_everything_stays_that_is_not_named(
    typed: str, bounds: tuple[int, int, int]
) -> None:
    request, choice = asks(), parse_choice(typed.split())
    made = changed(in_force(TERMS), choice, request)
    assert made.details == {"energy": "hour", "power": "day"}
    assert made.limits == {"energy": Limit(kind="energy", round="0.5")}
    assert (made.mode, made.uses) == ("read", 3)
    found = bounds_of(made, choice, request[0], NOW, 0)
    assert (found.data_from, found.data_until, found.access_until) == bounds
