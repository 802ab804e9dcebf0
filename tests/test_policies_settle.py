"""Standing rules: a rule can refuse and cut, everything else is asked, and each answer has its reason."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import RulesError
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.request import Ask
from policies.settle import Rules, Settlement, decode_rules, encode_rules, rules_hash, settle
from tests.policies_samples import ASK, NOW_S

KINDS = catalogue().names()
PURPOSES = [purpose.term for purpose in purposes()]
OPTIONAL = msgspec.structs.replace(ASK, kinds=("temperature", "location"), required=False)


def settled(rules: Rules, *asks: Ask) -> Settlement:
    return settle(asks or (ASK,), rules, catalogue(), purposes(), NOW_S)


def changed(ask: Ask, **changes: Any) -> Ask:
    return msgspec.structs.replace(ask, **changes)


def test_without_rules_everything_is_asked_and_nothing_is_given() -> None:
    answer = settled(Rules(), ASK, OPTIONAL)
    assert [item.ask for item in answer.ask] == [ASK, OPTIONAL]
    assert (answer.grant, answer.refuse) == ((), ())
    assert {item.reason for item in answer.ask} == {"No rule decides this."}


@pytest.mark.parametrize(
    ("never", "purpose", "refused"),
    [
        ("dpv:Marketing", "dpv:Marketing", True),
        ("dpv:Marketing", "dpv:TargetedAdvertising", True),
        ("dpv:Marketing", "dpv:ServiceProvision", False),
        ("dpv:TargetedAdvertising", "dpv:Marketing", False),
        ("dpv:Purpose", "dpv:ServiceProvision", True),
    ],
)
def test_never_a_purpose_refuses_all_that_falls_under_it(never: str, purpose: str, refused: bool) -> None:
    answer = settled(Rules(never_purposes=(never,)), changed(ASK, purpose=purpose))
    assert bool(answer.refuse) is refused
    assert bool(answer.ask) is not refused


def test_the_reason_of_a_refusal_is_the_rule() -> None:
    answer = settled(Rules(never_purposes=("dpv:Marketing",)), changed(ASK, purpose="dpv:DirectMarketing"))
    assert answer.refuse[0].reason == "Your rules say never Marketing."


def test_never_a_kind_refuses_that_kind_and_asks_about_the_others() -> None:
    answer = settled(Rules(never_kinds=("location",)), OPTIONAL)
    assert [(item.ask.kinds, item.reason) for item in answer.refuse] == [
        (("location",), "Your rules say never location.")
    ]
    assert [item.ask.kinds for item in answer.ask] == [("temperature",)]


def test_a_required_part_that_is_refused_takes_the_whole_request_with_it() -> None:
    answer = settled(Rules(never_kinds=("energy",)), ASK, OPTIONAL)
    assert answer.ask == ()
    assert [item.reason for item in answer.refuse] == [
        "Your rules say never energy.",
        "The brand says it cannot serve without something your rules refuse.",
    ]


def test_an_optional_part_that_is_refused_does_not() -> None:
    answer = settled(Rules(never_kinds=("location", "temperature")), ASK, OPTIONAL)
    assert [item.ask for item in answer.ask] == [ASK]
    assert [item.ask.kinds for item in answer.refuse] == [("temperature", "location")]


def test_kinds_to_be_asked_about_are_named_in_the_reason() -> None:
    answer = settled(Rules(ask_kinds=("location",)), OPTIONAL)
    assert answer.ask[0].reason == "Your rules say to ask about location."


END = NOW_S + 30 * DAY


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((None, None), (END, END)),
        ((NOW_S + 99 * DAY, None), (END, END)),
        ((NOW_S + 5, None), (NOW_S + 5, NOW_S + 5)),
        ((None, NOW_S + 99 * DAY), (END, END)),
        ((NOW_S - DAY, NOW_S + 99 * DAY), (NOW_S - DAY, END)),
    ],
)
def test_at_most_thirty_days_cuts_data_and_access(
    bounds: tuple[int | None, int | None], expected: tuple[int, int]
) -> None:
    asked = changed(ASK, data_until=bounds[0], access_until=bounds[1])
    [item] = settled(Rules(max_days=30), asked).ask
    assert (item.ask.data_until, item.ask.access_until) == expected
    was_cut = (bounds[0], asked.access_end) != expected
    assert (item.reason == "Your rules cut this to 30 days.") is was_cut


def test_what_begins_only_after_the_cut_is_refused() -> None:
    late = changed(ASK, data_from=END, data_until=END + DAY, required=False)
    [item] = settled(Rules(max_days=30), late).refuse
    assert item.reason == "Your rules give at most 30 days, and this begins later."


def test_a_purpose_that_is_no_longer_in_the_table_is_refused() -> None:
    assert settled(Rules(), changed(ASK, purpose="dpv:Gone")).refuse[0].ask.purpose == "dpv:Gone"


@pytest.mark.parametrize(
    "rules",
    [
        Rules(never_purposes=("dpv:Marketting",)),
        Rules(never_kinds=("place",)),
        Rules(ask_kinds=("health",)),
    ],
)
def test_a_rule_that_names_the_unknown_is_an_error_not_a_yes(rules: Rules) -> None:
    with pytest.raises(RulesError):
        settled(rules)


NOTES: dict[str, tuple[dict[str, Any], str]] = {
    "many kinds": ({"kinds": KINDS[:9]}, "It asks for 9 kinds of data at once."),
    "long access": ({"access_until": NOW_S + 400 * DAY}, "It asks for access for longer than a year."),
    "health for advertising": (
        {"kinds": ("heart_rate",), "purpose": "dpv:Advertising"},
        f"It asks for sensitive data ({catalogue().kind('heart_rate').label}) to sell or advertise.",
    ),
    "no retention": ({"retention": None}, "It does not say how long it keeps the data."),
    "long retention": ({"retention": "P2Y"}, "It keeps the data for longer than a year."),
}


@pytest.mark.parametrize(("changes", "note"), NOTES.values(), ids=NOTES)
def test_asking_for_much_is_noted(changes: dict[str, Any], note: str) -> None:
    assert settled(Rules(), changed(ASK, **changes)).notes == (note,)


def test_asking_for_little_is_not_noted() -> None:
    assert settled(Rules()).notes == ()
    assert settled(Rules(), changed(ASK, kinds=("heart_rate",))).notes == ()


some_rules = st.builds(
    Rules,
    never_purposes=st.lists(st.sampled_from(PURPOSES), max_size=3).map(tuple),
    never_kinds=st.lists(st.sampled_from(KINDS), max_size=3).map(tuple),
    ask_kinds=st.lists(st.sampled_from(KINDS), max_size=3).map(tuple),
    max_days=st.none() | st.integers(1, 4000),
)


@given(some_rules, st.lists(st.sampled_from(KINDS), min_size=1, unique=True), st.sampled_from(PURPOSES))
def test_every_kind_stands_in_one_item_and_no_rule_widens(
    rules: Rules, kinds: list[str], purpose: str
) -> None:
    asks = (changed(ASK, kinds=tuple(kinds), purpose=purpose, required=False),)
    answer = settled(rules, *asks)
    items = answer.grant + answer.ask + answer.refuse
    assert sorted(kind for item in items for kind in item.ask.kinds) == sorted(kinds)
    assert all(item.reason.endswith(".") for item in items)
    assert answer.grant == ()
    for item in answer.ask:
        assert not set(item.ask.kinds) & set(rules.never_kinds)
        assert (item.ask.data_until or 0) <= (ASK.data_until or 0)
        assert (item.ask.access_until or 0) <= (ASK.access_until or 0)
        assert item.ask.data_from == ASK.data_from


@given(some_rules)
def test_rules_are_read_back_the_same_and_hashed_by_every_byte(rules: Rules) -> None:
    assert decode_rules(encode_rules(rules)) == rules
    assert len(rules_hash(rules)) == 32
    assert (rules_hash(rules) == rules_hash(Rules())) is (rules == Rules())


def test_the_empty_rules_have_this_form() -> None:
    assert encode_rules(Rules()) == (
        b'{"ask_kinds":[],"max_days":null,"never_kinds":[],"never_purposes":[],"version":1}'
    )


@pytest.mark.parametrize(
    "text",
    {
        "nothing": b"",
        "another version": encode_rules(Rules(version=2)),
        "a field too many": encode_rules(Rules())[:-1] + b',"x":1}',
        "a member twice": encode_rules(Rules())[:-1] + b',"version":1}',
        "a space": b" " + encode_rules(Rules()),
        "a default left out": b'{"version":1}',
        "another order": b'{"version":1,"ask_kinds":[],"max_days":null,"never_kinds":[],"never_purposes":[]}',
        "no days at all": encode_rules(Rules(max_days=0)),
        "days as text": encode_rules(Rules()).replace(b"null", b'"30"'),
        "a list": b"[]",
    }.values(),
)
def test_rules_in_any_other_form_are_refused(text: bytes) -> None:
    with pytest.raises(RulesError):
        decode_rules(text)
