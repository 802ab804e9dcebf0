"""What a request asks for in excess is named; what it needs is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from policies.groups import GROUPS, members
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.needs import Need, nearest, needs, notes, read_needs
from policies.purposes import purposes
from policies.request import Ask
from policies.rules import within
from policies.wishes import Wish
from tests.policies_samples import ASK, NOW_S

KINDS = catalogue().names()
DAILY = msgspec.structs.replace(ASK, ideal="raw", minimum="day")


def noted(ask: Ask, **changes: Any) -> tuple[str, ...]:
    return notes((msgspec.structs.replace(ask, **changes),), catalogue(), purposes(), NOW_S)


# -- the table ---------------------------------------------------------------------------------------------


def test_every_row_names_a_purpose_a_group_and_a_reason() -> None:
    for row in needs():
        assert purposes().find(row.purpose) is not None
        assert row.purpose != "dpv:Purpose"
        assert row.group in GROUPS
        assert row.why[0].isupper()
        assert row.why.endswith(".")


def test_every_detail_is_one_that_kinds_of_its_group_have() -> None:
    for row in needs():
        if row.detail:
            kinds = [catalogue().kind(name) for name in members(catalogue())[row.group]]
            assert any(row.detail in kind.resolutions for kind in kinds)


def test_only_groups_of_what_kinds_tell_are_in_the_table() -> None:
    assert not {row.group for row in needs()} & {"special", "personal", "ordinary"}


ROW = '[[need]]\npurpose = "Marketing"\ngroup = "health"\nwhy = "So."\n'


@pytest.mark.parametrize(
    "text",
    {
        "a group that is none": ROW.replace("health", "energy"),
        "a detail that is none": ROW + 'detail = "minute"\n',
        "no reason": ROW.replace("So.", ""),
        "a row twice": ROW + ROW,
        "a field too many": ROW + "x = 1\n",
        "no table": "need = 1",
    }.values(),
)
def test_a_table_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (three kinds of it, one a case)
        read_needs(text)


def test_the_control_a_table_that_is_right_is_read() -> None:
    assert read_needs(ROW) == (Need("dpv:Marketing", "health", "So."),)


# -- the nearest purpose -----------------------------------------------------------------------------------

TABLE = (
    Need("dpv:Marketing", "health", "So.", "day"),
    Need("dpv:Personalisation", "health", "So.", "hour"),
    Need("dpv:Advertising", "health", "So.", "raw"),
    Need("dpv:Marketing", "vehicle", "So.", "raw"),
)


@pytest.mark.parametrize(
    ("purpose", "detail"),
    [
        ("dpv:Marketing", "day"),
        ("dpv:DirectMarketing", "day"),
        ("dpv:Advertising", "raw"),
        ("dpv:PersonalisedAdvertising", "hour"),  # of Advertising and Personalisation what needs less
        ("dpv:TargetedAdvertising", "hour"),
        ("dpv:ServicePersonalisation", "hour"),
        ("dpv:ServiceProvision", None),
    ],
)
def test_the_nearest_purpose_counts(purpose: str, detail: str | None) -> None:
    for table in (TABLE, TABLE[::-1]):
        found = nearest(purpose, "health", table, purposes())
        assert (found.detail if found else None) == detail


@pytest.mark.parametrize(
    ("first", "found"), [("", ""), ("day", "day"), ("h3-5", "h3-5"), ("hour", "hour"), ("raw", "hour")]
)
def test_of_two_that_are_equally_near_the_coarser_counts(first: str, found: str) -> None:
    table = (
        Need("dpv:Advertising", "health", "So.", first),
        Need("dpv:Personalisation", "health", "So.", "hour"),
    )
    row = nearest("dpv:TargetedAdvertising", "health", table, purposes())
    assert row is not None
    assert row.detail == found


# -- notes -------------------------------------------------------------------------------------------------

NOTES: dict[str, tuple[dict[str, Any], str]] = {
    "many kinds": (
        {"kinds": KINDS[:9]},
        "It asks for 9 kinds of data at once.",
    ),
    "long access": ({"access_until": NOW_S + 400 * DAY}, "It asks for access for longer than a year."),
    "access for a second too long": (
        {"access_until": NOW_S + 366 * DAY + 1},
        "It asks for access for longer than a year.",
    ),
    "a long duration": (
        {"access_until": None, "data_until": None, "duration": Wish(367, 1)},
        "It asks for access for longer than a year.",
    ),
    "no retention": ({"retention": None}, "It does not say how long it keeps the data."),
    "long retention": ({"retention": "P367D"}, "It keeps the data for longer than a year."),
    "raw use of energy": (
        {"minimum": "raw"},
        "It needs raw energy for a purpose (Service Provision) that peers serve with day.",
    ),
    "raw whereabouts": (
        {"kinds": ("location",), "minimum": "raw"},
        "It needs raw location for a purpose (Service Provision) that peers serve with h3-7.",
    ),
    "whereabouts that are too fine for a narrower purpose": (
        {"kinds": ("location",), "minimum": "h3-7", "purpose": "dpv:SellProductsToDataSubject"},
        "It needs h3-7 location for a purpose (Sell Products to Data Subject) that peers serve with h3-5.",
    ),
    "numbers about whereabouts": (
        {"kinds": ("speed",), "minimum": "raw"},
        "It needs raw speed for a purpose (Service Provision) that peers serve with hour.",
    ),
    "several kinds of one detail": (
        {"kinds": ("energy", "temperature", "water"), "minimum": "hour"},
        "It needs hour energy, water used for a purpose (Service Provision) that peers serve with day.",
    ),
    "what peers serve without": (
        {"kinds": ("heart_rate",), "purpose": "dpv:AccountManagement"},
        "It needs day heart rate for a purpose (Account Management) that peers serve without.",
    ),
}


@pytest.mark.parametrize(("changes", "note"), NOTES.values(), ids=NOTES)
def test_asking_for_much_is_noted(changes: dict[str, Any], note: str) -> None:
    assert noted(DAILY, **changes) == (note,)


def test_health_for_advertising_is_noted_twice_over() -> None:
    assert noted(DAILY, kinds=("heart_rate",), purpose="dpv:Advertising") == (
        "It asks for sensitive data (heart rate) to sell or advertise.",
        "It needs day heart rate for a purpose (Advertising) that peers serve without.",
    )


LITTLE: dict[str, dict[str, Any]] = {
    "as it is": {},
    "eight kinds": {"kinds": KINDS[:8]},
    "a year": {"access_until": NOW_S + 366 * DAY},
    "a duration of a year": {"access_until": None, "data_until": None, "duration": Wish(366, 1)},
    "kept for a year": {"retention": "P366D"},
    "health to serve": {"kinds": ("heart_rate",)},
    "health by the hour to serve": {"kinds": ("heart_rate",), "minimum": "hour"},
    "raw readings of the home": {"kinds": ("temperature",), "minimum": "raw"},
    "a delivery to the door": {"kinds": ("location",), "minimum": "raw", "purpose": "dpv:DeliveryOfGoods"},
    "whereabouts as peers need them": {"kinds": ("location",), "minimum": "h3-7"},
    "an ideal beyond, where less would do": {"kinds": ("location",), "minimum": "h3-5"},
    "a purpose that is not known": {"purpose": "dpv:Gone", "minimum": "raw"},
}


@pytest.mark.parametrize("changes", LITTLE.values(), ids=LITTLE)
def test_asking_for_little_is_not_noted(changes: dict[str, Any]) -> None:
    assert noted(DAILY, **changes) == ()


def test_notes_look_at_every_detail_of_a_request() -> None:
    place = msgspec.structs.replace(DAILY, kinds=("location",), minimum="raw")
    [note] = notes((DAILY, place), catalogue(), purposes(), NOW_S)
    assert note.startswith("It needs raw location ")


def test_kinds_and_minimums_that_cannot_be_are_no_fault() -> None:
    assert noted(DAILY, kinds=("telepathy",)) == ()
    assert len(noted(DAILY, kinds=("location",), minimum="day")) == 1


def test_every_purpose_and_kind_can_be_noted() -> None:
    for purpose in purposes():
        for minimum in ("raw", "day"):
            for note in noted(DAILY, kinds=KINDS, purpose=purpose.term, minimum=minimum):
                assert note.endswith(".")


def test_the_table_never_says_that_less_is_usual_than_the_kind_has() -> None:
    for row in needs():
        for name in members(catalogue())[row.group]:
            kind = catalogue().kind(name)
            assert not row.detail or any(within(row.detail, kind, one) for one in kind.resolutions)
