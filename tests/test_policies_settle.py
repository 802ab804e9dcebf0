"""Standing rules against requests: the most private point that serves, who decides, and why."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import RulesError, TermsError
from policies.grant import Refusal
from policies.groups import GROUPS
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.minimise import Limit
from policies.narrow import exceeds
from policies.point import Point
from policies.purposes import purposes
from policies.request import Ask
from policies.rules import Rule, Rules, Verb, within
from policies.sentences import parse_sentence
from policies.settle import Settlement, settle, terms_of
from policies.terms import Selector, Terms
from policies.wishes import Wish
from tests.policies_samples import ASK, HUB, METER, NOW_S

ACME, OTHER = "a" * 26, "b" * 26
BRANDS = {"Acme": ACME, "Other": OTHER}
KINDS = catalogue().names()
PURPOSES = [purpose.term for purpose in purposes() if purpose.term != "dpv:Purpose"]
OPTIONAL = msgspec.structs.replace(ASK, kinds=("temperature", "location"), required=False)
OPEN = msgspec.structs.replace(
    ASK, ideal="raw", minimum="day", data_from=None, data_until=None, access_until=None, required=False
)


def changed(ask: Ask, **changes: Any) -> Ask:
    return msgspec.structs.replace(ask, **changes)


def rules(*sentences: str | Rule) -> Rules:
    return Rules(
        rules=tuple(
            one if isinstance(one, Rule) else parse_sentence(one, catalogue(), purposes(), brands=BRANDS)
            for one in sentences
        )
    )


def settled(said: Rules, *asks: Ask, brand: str = ACME) -> Settlement:
    return settle(asks or (OPEN,), said, catalogue(), purposes(), NOW_S, brand=brand, brands=BRANDS)


def one(said: Rules, ask: Ask, brand: str = ACME) -> tuple[str, Point, str]:
    """Verdict, point and reason where all of an ask stands alike."""
    answer = settled(said, ask, brand=brand)
    [item] = answer.grant + answer.ask + answer.refuse
    assert item.ask == ask
    return answer.answer, item.point, item.reason


def test_without_rules_everything_is_asked_and_nothing_is_given() -> None:
    answer = settled(Rules(), ASK, OPTIONAL)
    assert [item.ask for item in answer.ask] == [ASK, OPTIONAL]
    assert (answer.grant, answer.refuse, answer.answer) == ((), (), "ask")
    assert {item.reason for item in answer.ask} == {"No rule decides this."}


def test_what_nobody_asked_is_refused() -> None:
    assert Settlement((), (), (), ()).answer == "refuse"


# -- the most private point that still serves ---------------------------------------------------------------


def test_every_dimension_is_settled_at_its_minimum() -> None:
    ask = changed(
        OPEN,
        history=Wish(30, 7),
        duration=Wish(365, 90),
        mode="read",
        mode_minimum="once",
        frequency=Wish(60, 900),
        minimum="raw",
    )
    assert one(Rules(), ask)[1] == Point(
        resolutions=(("energy", "raw"),), history=7, duration=90, mode="once", uses=1, every=900
    )


def test_where_nothing_is_said_the_point_says_nothing() -> None:
    assert one(Rules(), OPEN)[1] == Point(resolutions=(("energy", "day"),))


@pytest.mark.parametrize(
    ("minimum", "frequency", "every"),
    [
        ("raw", 900, 900),
        ("hour", 900, None),
        ("hour", 3600, None),
        ("hour", 3601, 3601),
        ("day", 3601, None),
        ("raw", DAY + 1, 2 * DAY),
        ("raw", 2 * DAY, 2 * DAY),
    ],
)
def test_a_frequency_that_the_detail_sees_to_is_no_limit(
    minimum: str, frequency: int, every: int | None
) -> None:
    assert one(Rules(), changed(OPEN, minimum=minimum, frequency=Wish(1, frequency)))[1].every == every


LIMITS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a detail that is fine enough": ("never finer than day", {}, {}),
    "the coarser of two that would do": ("never finer than hour", {"minimum": "day"}, {}),
    "as many days as it needs": ("at most 90 days", {"duration": Wish(365, 90)}, {"duration": 90}),
    "fewer days than it would like": ("at most 100 days", {"duration": Wish(365, 90)}, {"duration": 90}),
    "an end that is cut": ("at most 30 days", {"access_until": NOW_S + 31 * DAY}, {"duration": 30}),
    "an end that is cut by a second": (
        "at most 30 days",
        {"access_until": NOW_S + 30 * DAY + 1},
        {"duration": 30},
    ),
    "an end that need not be": ("at most 30 days", {"access_until": NOW_S + 30 * DAY}, {"duration": None}),
    "an end of the data that is cut": ("at most 30 days", {"data_until": NOW_S + 31 * DAY}, {"duration": 30}),
    "no end, and less than usual": ("at most 29 days", {}, {"duration": 29}),
    "no end, and as usual": ("at most 30 days", {}, {"duration": None}),
    "a later begin": (
        "at most 30 days",
        {"data_from": NOW_S + 29 * DAY, "access_until": NOW_S + 99 * DAY},
        {"duration": 30},
    ),
    "as much history as it needs": ("at most 7 days of history", {"history": Wish(30, 7)}, {"history": 7}),
    "none where none is needed": ("no history", {"history": Wish(30, 0)}, {"history": 0}),
    "answers that would do": ("only answers", {"mode_minimum": "answer"}, {"mode": "answer"}),
    "as often as it needs": (
        "at most every 15 minutes",
        {"minimum": "raw", "frequency": Wish(60, 900)},
        {"every": 900, "resolutions": (("energy", "raw"),)},
    ),
    "less often, where it does not say": (
        "at most every 15 minutes",
        {"minimum": "raw"},
        {"every": 900, "resolutions": (("energy", "raw"),)},
    ),
    "a detail that is seldom enough": (
        "at most every 15 minutes",
        {"minimum": "hour"},
        {"resolutions": (("energy", "hour"),)},
    ),
    "a kind that it is not about": ("location at most 3 days", {}, {}),
    "a group that it is not about": ("health at most 3 days", {}, {}),
    "a group that it is about": ("consumption at most 3 days", {}, {"duration": 3}),
    "a purpose that it is not about": ("at most 3 days for marketing", {}, {}),
    "a purpose that it falls under": ("at most 3 days for service management", {}, {"duration": 3}),
    "a brand that it is not about": ("at most 3 days for Other", {}, {}),
    "a brand that it is about": ("at most 3 days for Acme", {}, {"duration": 3}),
}


@pytest.mark.parametrize(("sentence", "asked", "point"), LIMITS.values(), ids=LIMITS)
def test_a_limit_narrows_what_is_asked(sentence: str, asked: dict[str, Any], point: dict[str, Any]) -> None:
    verdict, found, reason = one(rules(sentence), changed(OPEN, **asked))
    assert verdict == "ask"
    assert found == msgspec.structs.replace(Point(resolutions=(("energy", "day"),)), **point)
    about = not any(word in sentence for word in ("location", "health", "marketing", "Other"))
    assert (reason != "No rule decides this.") is about


STOPS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a finer detail": ("energy never finer than day", {"minimum": "hour"}, "it at hour"),
    "more days": ("at most 89 days", {"duration": Wish(365, 90)}, "90 days"),
    "a later begin": ("at most 30 days", {"data_from": NOW_S + 30 * DAY}, "days that begin later"),
    "history": ("no history", {"history": Wish(7, 1)}, "1 days of history"),
    "more history": ("at most 6 days of history", {"history": Wish(7, 7)}, "7 days of history"),
    "the data": ("only answers", {"mode_minimum": "once"}, "the data itself"),
    "readings more often": (
        "at most every 15 minutes",
        {"frequency": Wish(60, 899)},
        "a reading in every 899 seconds",
    ),
    "no quiet": ("quiet 22-07 in UTC", {"ideal": "day"}, "it at day"),
    "any hour": ("quiet 0-24", {"minimum": "raw"}, "an hour of the day"),
}


@pytest.mark.parametrize(("sentence", "asked", "needs"), STOPS.values(), ids=STOPS)
def test_a_limit_that_leaves_less_than_serves_refuses_and_says_what_is_needed(
    sentence: str, asked: dict[str, Any], needs: str
) -> None:
    verdict, _, reason = one(rules(sentence), changed(OPEN, **asked))
    assert verdict == "refuse"
    assert reason.startswith("Your rule '")
    assert reason.endswith(f" refuses this: it needs {needs}.")


def test_quiet_hours_take_the_coarsest_detail_that_can_leave_them_out() -> None:
    """A day's total would hold the night."""
    _, point, _ = one(rules("quiet 22-07 in Europe/Berlin"), OPEN)
    assert (point.resolutions, point.hours, point.zone) == (
        (("energy", "hour"),),
        (420, 1320),
        "Europe/Berlin",
    )


@pytest.mark.parametrize(
    ("quiet", "hours"),
    [
        (["22-07", "21-06"], (420, 1260)),
        (["22-07", "12-13"], (780, 1320)),  # 7-12 is shorter than 13-22
        (["00-12"], (720, 1440)),
        (["12-24"], (1440 - 1440, 720)),
        (["06-07", "18-19"], (420, 1080)),  # of two that are as long the first of the day
        (["12-13"], (780, 720)),
    ],
)
def test_of_several_quiet_times_the_longest_other_time_is_left(
    quiet: list[str], hours: tuple[int, int]
) -> None:
    point = one(rules(*(f"quiet {one}" for one in quiet)), changed(OPEN, minimum="raw"))[1]
    assert point.hours == hours


def test_quiet_hours_in_two_time_zones_suit_nothing() -> None:
    said = rules("quiet 22-07 in Europe/Berlin", "quiet 22-07 in Europe/Paris")
    verdict, _, reason = one(said, changed(OPEN, minimum="raw"))
    assert verdict == "refuse"
    assert "in Europe/Paris' refuses this: it needs hours in one time zone" in reason


def test_of_several_limits_the_strictest_counts() -> None:
    said = rules(
        "at most 20 days",
        "at most 10 days",
        "at most 15 days",
        "at most every 2 hours",
        "at most every 1 hour",
    )
    point = one(said, changed(OPEN, minimum="raw"))[1]
    assert (point.duration, point.every) == (10, 7200)


def test_places_and_numbers_have_details_of_one_level() -> None:
    """ "day" is the second from raw, and so is "h3-5"."""
    ask = changed(OPEN, kinds=("location",), ideal="raw", minimum="h3-7")
    assert one(rules("never finer than hour"), ask)[0] == "ask"
    assert one(rules("never finer than day"), ask)[0] == "refuse"
    assert one(rules("never finer than raw"), ask)[0] == "ask"


# -- who decides -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("never", "purpose", "refused"),
    [
        ("never marketing", "dpv:Marketing", True),
        ("never marketing", "dpv:TargetedAdvertising", True),
        ("never marketing", "dpv:ServiceProvision", False),
        ("never targeted advertising", "dpv:Marketing", False),
        ("never anything", "dpv:ServiceProvision", True),
    ],
)
def test_never_a_purpose_refuses_all_that_falls_under_it(never: str, purpose: str, refused: bool) -> None:
    verdict, _, reason = one(rules(never), changed(OPEN, purpose=purpose))
    assert verdict == ("refuse" if refused else "ask")
    assert (reason == f"Your rule '{never}' refuses this.") is refused


def test_never_a_kind_refuses_that_kind_and_asks_about_the_others() -> None:
    answer = settled(rules("never location"), OPTIONAL)
    assert [(item.ask.kinds, item.reason) for item in answer.refuse] == [
        (("location",), "Your rule 'never location' refuses this.")
    ]
    assert [item.ask.kinds for item in answer.ask] == [("temperature",)]
    assert answer.answer == "ask"


def test_a_required_part_that_is_refused_takes_the_whole_request_with_it() -> None:
    answer = settled(rules("never energy", "auto-approve temperature"), ASK, OPTIONAL)
    assert (answer.ask, answer.grant, answer.answer) == ((), (), "refuse")
    assert [item.ask.kinds for item in answer.refuse] == [("energy",), ("temperature",), ("location",)]
    assert [item.reason for item in answer.refuse] == [
        "Your rule 'never energy' refuses this.",
        "The brand says it cannot serve without something that is refused.",
        "The brand says it cannot serve without something that is refused.",
    ]


def test_what_is_refused_stands_at_the_point_that_was_asked() -> None:
    ask = changed(
        OPEN, history=Wish(9, 7), duration=Wish(99, 90), mode_minimum="once", frequency=Wish(60, 900)
    )
    asked = Point(resolutions=(("energy", "day"),), history=7, duration=90, mode="once", uses=1, every=900)
    assert one(rules("never anything"), ask)[1] == asked
    assert one(rules("never anything"), OPEN)[1] == Point(resolutions=(("energy", "day"),))


def test_an_optional_part_that_is_refused_does_not() -> None:
    answer = settled(rules("never location", "never temperature", "auto-approve energy"), OPEN, OPTIONAL)
    assert [item.ask for item in answer.grant] == [OPEN]
    assert [item.ask.kinds for item in answer.refuse] == [("temperature",), ("location",)]
    assert answer.answer == "grant"


DECIDED: dict[str, tuple[list[str], str, str]] = {
    "a refusal goes before everything": (
        ["auto-approve energy for Acme", "never anything"],
        "refuse",
        "never anything",
    ),
    "of refusals the most specific is named": (
        ["never anything", "never energy", "never consumption"],
        "refuse",
        "never energy",
    ),
    "a brand before a kind": (
        ["ask me for energy", "auto-approve everything for Acme"],
        "grant",
        'auto-approve everything for "Acme"',
    ),
    "a kind before a group": (
        ["ask me for consumption", "auto-approve energy"],
        "grant",
        "auto-approve energy",
    ),
    "a group before a purpose": (
        ["ask me for everything for service management", "auto-approve consumption"],
        "grant",
        "auto-approve consumption",
    ),
    "a purpose before nothing": (
        ["ask me", "auto-approve everything for service provision"],
        "grant",
        "auto-approve everything for service provision",
    ),
    "both before one": (
        ["auto-approve energy", "ask me for energy for Acme"],
        "ask",
        'ask me for energy for "Acme"',
    ),
    "asking before allowing": (["auto-approve energy", "ask me for energy"], "ask", "ask me for energy"),
    "the first of two alike": (
        ["auto-approve energy at hour", "auto-approve energy at day"],
        "grant",
        "auto-approve energy at hour",
    ),
    "another brand's do not count": (
        ["never energy for Other", "auto-approve energy"],
        "grant",
        "auto-approve energy",
    ),
    "another kind's do not count": (
        ["never location", "auto-approve energy"],
        "grant",
        "auto-approve energy",
    ),
}


@pytest.mark.parametrize(("sentences", "verdict", "named"), DECIDED.values(), ids=DECIDED)
def test_the_most_specific_rule_decides_and_is_named(sentences: list[str], verdict: str, named: str) -> None:
    for order in (sentences, sentences[::-1]):
        if named.endswith("at hour"):
            order = sentences
        found, _, reason = one(rules(*order), OPEN)
        assert found == verdict
        assert reason.startswith(f"Your rule '{named}' ")


def test_the_reason_of_a_yes_is_the_rule() -> None:
    assert one(rules("auto-approve energy at day"), OPEN)[::2] == (
        "grant",
        "Your rule 'auto-approve energy at day' allows this.",
    )
    assert one(rules("ask me for energy"), OPEN)[2] == "Your rule 'ask me for energy' asks you."


def test_a_brand_without_a_name_is_this_brand() -> None:
    said = rules("never energy for Acme")
    answer = settle((OPEN,), said, catalogue(), purposes(), NOW_S, brand=ACME)
    assert answer.refuse[0].reason == "Your rule 'never energy for \"this brand\"' refuses this."


def test_a_rule_about_a_brand_says_nothing_to_one_that_is_not_known() -> None:
    answer = settle((OPEN,), rules("auto-approve energy for Acme"), catalogue(), purposes(), NOW_S)
    assert answer.answer == "ask"


UNCOVERED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a finer detail": ("auto-approve energy at day", {"minimum": "hour"}, "does not cover hour."),
    "history": ("auto-approve energy", {"history": Wish(7, 1)}, "covers no history, and this asks for some."),
    "the past alone": (
        "auto-approve energy",
        {"data_until": NOW_S, "access_until": NOW_S + DAY},
        "covers no history, and this asks for some.",
    ),
    "more days": (
        "auto-approve energy, at most 30 days",
        {"duration": Wish(90, 31)},
        "covers 30 days, and this needs 31 days.",
    ),
    "more than a year": (
        "auto-approve energy",
        {"duration": Wish(999, 367)},
        "covers 366 days, and this needs 367 days.",
    ),
    "a later begin": (
        "auto-approve energy",
        {"data_from": NOW_S + 366 * DAY},
        "covers 366 days, and this needs days that begin later.",
    ),
}


@pytest.mark.parametrize(("sentence", "asked", "reason"), UNCOVERED.values(), ids=UNCOVERED)
def test_what_a_rule_does_not_cover_is_asked(sentence: str, asked: dict[str, Any], reason: str) -> None:
    verdict, _, said = one(rules(sentence), changed(OPEN, **asked))
    assert verdict == "ask"
    assert said.endswith(f"' {reason}")


COVERED: dict[str, tuple[str, dict[str, Any], int | None]] = {
    "the very detail": ("auto-approve energy at day", {}, None),
    "a coarser one": ("auto-approve energy at hour", {}, None),
    "the very days": ("auto-approve energy, at most 30 days", {"duration": Wish(90, 30)}, 30),
    "fewer days": ("auto-approve energy, at most 30 days", {"duration": Wish(90, 7)}, 7),
    "an end that is cut": ("auto-approve energy, at most 30 days", {"access_until": NOW_S + 99 * DAY}, 30),
    "an end in ten years": ("auto-approve energy", {"access_until": NOW_S + 3650 * DAY}, 366),
    "an end in a year": ("auto-approve energy", {"access_until": NOW_S + 366 * DAY}, None),
    "no history": ("auto-approve energy", {"history": Wish(7, 0)}, None),
    "an end in a second": ("auto-approve energy", {"data_until": NOW_S + 1}, None),
}


@pytest.mark.parametrize(("sentence", "asked", "days"), COVERED.values(), ids=COVERED)
def test_what_a_rule_covers_is_given(sentence: str, asked: dict[str, Any], days: int | None) -> None:
    verdict, point, _ = one(rules(sentence), changed(OPEN, **asked))
    assert (verdict, point.duration) == ("grant", days)


def test_limits_hold_for_what_is_given_unasked_too() -> None:
    said = rules("auto-approve energy, at most 90 days", "at most 7 days", "quiet 22-07")
    verdict, point, _ = one(said, OPEN)
    assert (verdict, point.duration, point.hours) == ("grant", 7, (420, 1320))
    said = rules("auto-approve energy, at most 7 days", "at most 20 days")
    assert one(said, OPEN)[1].duration == 7


def test_kinds_that_stand_alike_stand_together() -> None:
    ask = changed(OPEN, kinds=("energy", "temperature", "water", "humidity"))
    answer = settled(rules("auto-approve consumption"), ask)
    assert [item.ask.kinds for item in answer.grant] == [("energy", "water")]
    assert [item.point.resolutions for item in answer.ask] == [(("temperature", "day"), ("humidity", "day"))]


# -- hostile and contradictory -----------------------------------------------------------------------------


def test_a_purpose_that_is_not_in_the_table_is_refused_whatever_the_rules_say() -> None:
    for said in (Rules(), rules("auto-approve everything for Acme"), rules("never marketing")):
        verdict, _, reason = one(said, changed(OPEN, purpose="dpv:Gone"))
        assert (verdict, reason) == ("refuse", "The purpose of this request is not known here.")


def test_a_kind_that_is_not_in_the_table_is_refused() -> None:
    verdict, _, reason = one(rules("auto-approve everything"), changed(OPEN, kinds=("telepathy",)))
    assert (verdict, reason) == ("refuse", "This kind of data is not known here.")


@pytest.mark.parametrize(("kind", "minimum"), [("location", "day"), ("energy", "h3-5")])
def test_a_minimum_that_cannot_be_is_refused(kind: str, minimum: str) -> None:
    verdict, _, reason = one(rules("auto-approve everything"), changed(OPEN, kinds=(kind,), minimum=minimum))
    assert verdict == "refuse"
    assert reason == f"There is no {catalogue().kind(kind).label} at {minimum}."


def test_a_minimum_that_is_finer_than_the_ideal_is_refused() -> None:
    assert one(rules("auto-approve everything"), changed(OPEN, ideal="day", minimum="raw"))[0] == "refuse"


def test_an_ideal_that_cannot_be_leaves_the_minimum() -> None:
    assert one(Rules(), changed(OPEN, ideal="h3-5", minimum="hour"))[1].resolutions == (("energy", "hour"),)


def test_rules_that_contradict_each_other_refuse() -> None:
    assert one(rules("auto-approve energy", "never energy"), OPEN)[0] == "refuse"
    assert one(rules("never energy", "auto-approve energy"), OPEN)[0] == "refuse"


@pytest.mark.parametrize(
    "rule",
    [
        Rule(do="never", purpose="dpv:Marketting"),
        Rule(do="never", purpose="dpv:Purpose"),
        Rule(do="never", kind="place"),
        Rule(do="limit", kind="location", detail="day"),
    ],
)
def test_a_rule_that_names_the_unknown_is_an_error_not_a_yes(rule: Rule) -> None:
    with pytest.raises(RulesError):
        settled(rules("auto-approve everything", rule))


# -- the default offer -------------------------------------------------------------------------------------

METERS = (Selector(METER, "energy"), Selector(HUB, "location"), Selector(HUB, "temperature", ("attic",)))


def offer(said: Rules, *asks: Ask, history: bool = True) -> Terms:
    terms = terms_of(settled(said, *asks), asks, METERS, NOW_S, history=history)
    assert isinstance(terms, Terms)
    assert exceeds(asks, terms, answered_s=NOW_S) is None
    return terms


def test_the_offer_is_what_is_left_at_its_point() -> None:
    place = changed(OPEN, kinds=("location", "temperature"), ideal="raw", minimum="raw")
    terms = offer(rules("never temperature", "location at most every 1 hour", "at most 20 days"), OPEN, place)
    assert [(one.kind, terms.resolution_of(one)) for one in terms.selectors] == [
        ("energy", "day"),
        ("location", "raw"),
    ]
    assert terms.limits == (Limit(kind="location", every=3600),)
    assert (terms.data_from, terms.data_until, terms.access_until) == (
        NOW_S,
        NOW_S + 20 * DAY,
        NOW_S + 20 * DAY,
    )


def test_the_offer_lasts_as_long_as_the_part_that_lasts_least() -> None:
    both = changed(OPEN, kinds=("energy", "temperature"))
    terms = offer(rules("energy at most 9 days", "temperature at most 5 days"), both)
    assert terms.access_until == NOW_S + 5 * DAY


def test_the_offer_has_the_hours_and_the_one_use() -> None:
    ask = changed(OPEN, mode="read", mode_minimum="once", ideal="raw", minimum="raw", frequency=Wish(1, 60))
    terms = offer(rules("quiet 22-07 in Europe/Berlin"), ask)
    assert (terms.mode, terms.uses) == ("once", 1)
    assert terms.limits == (Limit(kind="energy", every=60, hours=(420, 1320), zone="Europe/Berlin"),)


def test_the_offer_of_a_node_has_no_history() -> None:
    ask = changed(OPEN, history=Wish(30, 7))
    assert offer(Rules(), ask).data_from == (NOW_S // DAY - 6) * DAY
    assert offer(Rules(), ask, history=False).data_from == NOW_S
    default = terms_of(settled(Rules(), ask), (ask,), METERS, NOW_S)
    assert default == offer(Rules(), ask)
    assert offer(Rules(), OPEN).data_from == NOW_S


def test_an_offer_that_leaves_no_time_is_refused() -> None:
    ask = changed(OPEN, data_until=NOW_S - DAY, access_until=NOW_S + DAY)
    assert isinstance(terms_of(settled(Rules(), ask), (ask,), METERS, NOW_S), Refusal)


def test_parts_of_one_request_can_be_offered_at_different_details() -> None:
    place = changed(OPEN, kinds=("location",), ideal="raw", minimum="h3-5")
    terms = offer(Rules(), OPEN, place)
    assert [terms.resolution_of(one) for one in terms.selectors] == ["day", "h3-5"]
    night = offer(rules("energy quiet 22-07"), OPEN)
    assert [night.resolution_of(one) for one in night.selectors] == ["hour"]


def test_an_offer_of_nothing_cannot_be() -> None:
    with pytest.raises(TermsError):
        terms_of(settled(rules("never energy")), (OPEN,), METERS, NOW_S)


# -- properties --------------------------------------------------------------------------------------------

conditions = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(KINDS),
        "purpose": st.sampled_from(PURPOSES),
        "brand": st.sampled_from([ACME, OTHER]),
    },
) | st.builds(lambda group: {"group": group}, st.sampled_from(list(GROUPS)))
dimensions = st.one_of(
    st.builds(lambda x: {"detail": x}, st.sampled_from(["raw", "hour", "h3-5"])),
    st.builds(lambda x: {"days": x}, st.integers(1, 400)),
    st.builds(lambda x: {"history": x}, st.integers(0, 400)),
    st.just({"answers": True}),
    st.builds(lambda x: {"every": x}, st.integers(1, DAY)),
    st.just({"quiet": (1320, 420), "zone": "Europe/Berlin"}),
)


@st.composite
def some_rule(draw: st.DrawFn) -> Rule:
    """Any rule that the tables know."""
    verbs: list[Verb] = ["never", "ask", "allow", "limit"]
    verb = draw(st.sampled_from(verbs))
    fields: dict[str, Any] = dict(draw(conditions))
    if verb == "limit":
        fields |= draw(dimensions)
    elif verb == "allow":
        fields |= draw(st.sampled_from([{}, {"detail": "hour"}, {"days": 30}, {"detail": "raw", "days": 7}]))
    if "kind" in fields and fields.get("detail", "raw") not in catalogue().kind(fields["kind"]).resolutions:
        del fields["kind"]
    return Rule(do=verb, **fields)


wishes = st.tuples(st.integers(1, 900), st.integers(1, 900))
higher = st.none() | wishes.map(lambda pair: Wish(max(pair), min(pair)))
lower = st.none() | wishes.map(lambda pair: Wish(min(pair), max(pair)))


@st.composite
def some_ask(draw: st.DrawFn) -> Ask:
    """A request of one detail that could be parsed; kinds of one type."""
    kinds = draw(
        st.sampled_from([("energy", "temperature", "heart_rate"), ("location",), ("motion", "steps")])
    )
    known = catalogue().kind(kinds[0]).resolutions
    ideal = draw(st.integers(0, len(known) - 1))
    modes = ("answer", "once", "read")
    mode = draw(st.integers(0, 2))
    return changed(
        OPEN,
        kinds=kinds,
        ideal=known[ideal],
        minimum=known[draw(st.integers(ideal, len(known) - 1))],
        purpose=draw(st.sampled_from(PURPOSES)),
        history=draw(higher),
        duration=draw(higher),
        mode=modes[mode],
        mode_minimum=modes[draw(st.integers(0, mode))],
        frequency=draw(lower),
        required=draw(st.booleans()),
    )


@given(st.lists(some_rule(), max_size=8), some_ask(), st.sampled_from([ACME, OTHER, ""]))
def test_every_kind_stands_in_one_item_and_no_rule_is_broken(said: list[Rule], ask: Ask, brand: str) -> None:
    answer = settled(Rules(rules=tuple(said)), ask, brand=brand)
    items = answer.grant + answer.ask + answer.refuse
    assert sorted(kind for item in items for kind in item.ask.kinds) == sorted(ask.kinds)
    assert all(item.reason.endswith(".") for item in items)
    for item in answer.grant + answer.ask:
        assert [kind for kind, _ in item.point.resolutions] == list(item.ask.kinds)
        for name, given_at in item.point.resolutions:
            kind = catalogue().kind(name)
            assert kind.resolutions.index(ask.ideal) <= kind.resolutions.index(given_at)
            assert kind.resolutions.index(given_at) <= kind.resolutions.index(ask.minimum)
            for rule in said:
                if not is_about(rule, name, ask.purpose, brand):
                    continue
                assert rule.do != "never"
                assert rule.do != "limit" or not rule.detail or within(rule.detail, kind, given_at)
                assert rule.do != "limit" or rule.history is None or item.point.history <= rule.history
                assert rule.do != "limit" or rule.days is None or (item.point.duration or 30) <= rule.days
                assert not rule.answers or item.point.mode == "answer"
                assert not rule.quiet or item.point.hours == (420, 1320)
    for item in answer.grant:
        assert item.point.history == 0
        for name in item.ask.kinds:
            assert any(rule.do == "allow" and is_about(rule, name, ask.purpose, brand) for rule in said)


def is_about(rule: Rule, name: str, purpose: str, brand: str) -> bool:
    """The condition of a rule, told once more."""
    return (
        (not rule.brand or rule.brand == brand)
        and (not rule.purpose or purposes().subsumes(rule.purpose, purpose))
        and (not rule.kind or rule.kind == name)
        and (not rule.group or GROUPS[rule.group].holds(catalogue().kind(name)))
    )


@given(st.lists(some_rule(), max_size=6), some_ask(), st.booleans())
def test_the_default_offer_is_never_more_than_was_asked(said: list[Rule], ask: Ask, history: bool) -> None:
    answer = settled(Rules(rules=tuple(said)), ask)
    selectors = [Selector(METER, kind) for item in answer.grant + answer.ask for kind in item.ask.kinds]
    if not selectors:
        return
    terms = terms_of(answer, (ask,), selectors, NOW_S, history=history)
    if isinstance(terms, Refusal):
        return
    assert exceeds((ask,), terms, answered_s=NOW_S) is None
    assert history or terms.data_from == NOW_S


@given(
    st.lists(some_rule(), max_size=6),
    some_rule().filter(lambda rule: rule.do in ("never", "limit")),
    some_ask(),
)
def test_one_more_refusal_or_limit_never_gives_more(said: list[Rule], more: Rule, ask: Ask) -> None:
    before = settled(Rules(rules=tuple(said)), ask)
    after = settled(Rules(rules=(*said, more)), ask)

    def kinds(answer: Settlement) -> set[str]:
        return {kind for item in answer.grant for kind in item.ask.kinds}

    assert kinds(after) <= kinds(before)
    refused = {kind for item in before.refuse for kind in item.ask.kinds}
    assert refused <= {kind for item in after.refuse for kind in item.ask.kinds}
