"""Standing rules as sentences, as TOML and as signed bytes: what is read is what was meant, or refused."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.conflicts import conflicts
from policies.errors import RulesError
from policies.groups import GROUPS, members
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.rules import (
    MAX_RULES,
    Rule,
    Rules,
    check_rules,
    decode_rules,
    encode_rules,
    minutes_of,
    rules_hash,
    within,
)
from policies.rulesfile import parse_toml, write_toml
from policies.sentences import parse_sentence, say
from policies.words import Subject, words

ACME, UTILITY, HEALTH = "a" * 26, "b" * 26, "c" * 26
BRANDS = {"Acme": ACME, "Acme Energy": UTILITY}
HOSTILE = BRANDS | {
    "health": HEALTH,
    "marketing": "d" * 26,
    "health for marketing": "e" * 26,
    "consumer": "h" * 26,
    "me": "i" * 26,
    "everything": "j" * 26,
    'a " b': "f" * 26,
}
ZONE = "Europe/Berlin"


def parsed(text: str, brands: dict[str, str] = BRANDS, zone: str = ZONE) -> Rule:
    return parse_sentence(text, catalogue(), purposes(), brands=brands, zone=zone)


def said(rule: Rule, brands: dict[str, str] = BRANDS) -> str:
    return say(rule, catalogue(), purposes(), brands)


# -- sentences ---------------------------------------------------------------------------------------------

SENTENCES: dict[str, Rule] = {
    "never marketing": Rule(do="never", purpose="dpv:Marketing"),
    "never targeted advertising": Rule(do="never", purpose="dpv:TargetedAdvertising"),
    "never location": Rule(do="never", kind="location"),
    "never whereabouts": Rule(do="never", group="whereabouts"),
    "never special": Rule(do="never", group="special"),
    "never anything": Rule(do="never"),
    'never location for "Acme"': Rule(do="never", kind="location", brand=ACME),
    "never location for marketing": Rule(do="never", kind="location", purpose="dpv:Marketing"),
    'never temperature asked for for account management for "Acme"': Rule(
        do="never", kind="target_temperature", purpose="dpv:AccountManagement", brand=ACME
    ),
    'never health for marketing for "Acme"': Rule(
        do="never", group="health", purpose="dpv:Marketing", brand=ACME
    ),
    "never anything for the brand " + "g" * 26: Rule(do="never", brand="g" * 26),
    "ask me for health": Rule(do="ask", group="health"),
    "ask me for everything": Rule(do="ask"),
    "ask me for everything for marketing": Rule(do="ask", purpose="dpv:Marketing"),
    "ask me for heart rate": Rule(do="ask", kind="heart_rate"),
    'auto-approve energy at day for "Acme Energy"': Rule(
        do="allow", kind="energy", detail="day", brand=UTILITY
    ),
    "auto-approve energy, at most 30 days": Rule(do="allow", kind="energy", days=30),
    "auto-approve heart rate at rest at day, at most 2 days": Rule(
        do="allow", kind="resting_heart_rate", detail="day", days=2
    ),
    "auto-approve everything at h3-5, at most 1 day": Rule(do="allow", detail="h3-5", days=1),
    "location never finer than h3-5": Rule(do="limit", kind="location", detail="h3-5"),
    "never finer than day": Rule(do="limit", detail="day"),
    "at most 30 days": Rule(do="limit", days=30),
    "at most 1 day": Rule(do="limit", days=1),
    "health at most 30 days for marketing": Rule(
        do="limit", group="health", days=30, purpose="dpv:Marketing"
    ),
    "no history": Rule(do="limit", history=0),
    "location no history": Rule(do="limit", kind="location", history=0),
    "at most 7 days of history": Rule(do="limit", history=7),
    "location at most 1 day of history": Rule(do="limit", kind="location", history=1),
    "only answers": Rule(do="limit", answers=True),
    "energy only as answers": Rule(do="limit", kind="energy", answers=True),
    "temperature at most every 15 minutes": Rule(do="limit", kind="temperature", every=900),
    "at most every 1 hour": Rule(do="limit", every=3600),
    "at most every 61 seconds": Rule(do="limit", every=61),
    "at most every 2 days": Rule(do="limit", every=2 * DAY),
    "quiet 22-07 in Europe/Berlin": Rule(do="limit", quiet=(1320, 420), zone=ZONE),
    "energy quiet 22:30-06:05 in UTC": Rule(do="limit", kind="energy", quiet=(1350, 365), zone="UTC"),
    "quiet 12-24 in Europe/Berlin": Rule(do="limit", quiet=(720, 1440), zone=ZONE),
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_is_read_and_written_back(sentence: str) -> None:
    assert parsed(sentence) == SENTENCES[sentence]
    assert said(SENTENCES[sentence]) == sentence


OTHER_WORDS = {
    "Never  Marketing.": "never marketing",
    "never TargetedAdvertising": "never targeted advertising",
    "never dpv:Marketing": "never marketing",
    "never location for Acme": 'never location for "Acme"',
    "never location for the brand Acme": "",
    'never location for the brand "Acme"': 'never location for "Acme"',
    "never location for acme energy": 'never location for "Acme Energy"',
    "never gps": "never location",
    "never location, for marketing": "never location for marketing",
    "never sensitive data": "never special",
    "never behavior": "never behaviour",
    "ask me": "ask me for everything",
    "ask me for marketing": "ask me for everything for marketing",
    "ask about heart_rate": "ask me for heart rate",
    "always ask me about everything": "ask me for everything",
    "allow energy at daily": "auto-approve energy at day",
    "auto approve energy at hourly for ServiceProvision": "auto-approve energy at hour for service provision",
    "auto-approve energy at most 2 weeks": "auto-approve energy, at most 14 days",
    "no history of location": "location no history",
    "location, no history": "location no history",
    "without history": "no history",
    "at most a week": "at most 7 days",
    "at most one day": "at most 1 day",
    "at most 60 days of history for Acme": 'at most 60 days of history for "Acme"',
    "never read, only answers": "only answers",
    "never read only as answers": "only answers",
    "energy never read, only answers": "energy only as answers",
    "everything only as answers": "only answers",
    "at most every minute": "at most every 1 minute",
    "at most every 120 seconds": "at most every 2 minutes",
    "at most every 24 hours": "at most every 1 day",
    "quiet 22-07": "quiet 22-07 in Europe/Berlin",
    "quiet 22 - 7": "quiet 22-07 in Europe/Berlin",
    "quiet 0-6:30": "quiet 00-06:30 in Europe/Berlin",
    "quiet 22-0": "quiet 22-24 in Europe/Berlin",
    "quiet 22-07 in America/Argentina/Ushuaia": "quiet 22-07 in America/Argentina/Ushuaia",
}


@pytest.mark.parametrize("sentence", [text for text, meant in OTHER_WORDS.items() if meant])
def test_other_words_mean_the_same(sentence: str) -> None:
    assert said(parsed(sentence)) == OTHER_WORDS[sentence]


REFUSED = {
    "never markting": "did you mean marketing",
    "never heartrat": "did you mean heart rate",
    "never xyzzy": "groups are special, personal",
    "never": "is not understood; say for example 'never marketing'",
    "": "is not understood",
    "do what you like": "is not understood",
    "never marketing for advertising": "two purposes",
    "never location for Nobody": "no purpose or brand is called 'Nobody'",
    'never location for "Nobody"': "no brand is called 'Nobody'; known are Acme, Acme Energy",
    'never location for "acme"': "no brand is called 'acme'",
    "never location for health": "no purpose or brand is called 'health'",
    "location never finer than day": "location has no detail day; it has raw, h3-7, h3-5",
    "energy never finer than foo": "there is no detail 'foo'; say one of raw, hour, day, h3-7, h3-5",
    "auto-approve location at hour": "location has no detail hour",
    "auto-approve": "is not understood",
    "auto-approve energy at noon": "no kind or group or purpose is called 'energy at noon'",
    "at most 0 days": "is not understood",
    "at most 3654 days": "days are 1 to 3653",
    "at most 522 weeks": "days are 1 to 3653",
    "at most 3654 days of history": "days are 1 to 3653",
    "at most every 86401 seconds": "a reading in every 1 to 86400 seconds",
    "at most every 0 seconds": "is not understood",
    "quiet 22-22": "two different times",
    "quiet 25-07": "two different times",
    "quiet 24-07": "two different times",
    "quiet 22-07:60": "two different times",
    "quiet 22:60-07": "two different times",
    "quiet 22:99-07:30": "two different times",
    "quiet 1:2-3": "hours are written like",
    "quiet 22-07 in Europe/Atlantis": "there is no time zone 'Europe/Atlantis'",
    "quiet 22-07 in ../../etc/passwd": "there is no time zone",
    "never \x1b[2Jlocation": "one line of at most 300 characters",
    "never marketing\u202e": "one line of at most 300 characters",
    "never marketing\nauto-approve everything": "one line of at most 300 characters",
    "never " + "x" * 300: "one line of at most 300 characters",
    "never purpose": "no kind or group or purpose is called 'purpose'",
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_not_understood_is_refused_with_what_can_be_said(sentence: str) -> None:
    with pytest.raises(RulesError) as caught:
        parsed(sentence)
    assert REFUSED[sentence] in str(caught.value)
    assert str(caught.value).isprintable()


def test_without_brands_none_is_known() -> None:
    with pytest.raises(RulesError, match="none is known"):
        parse_sentence('never anything for "Acme"', catalogue(), purposes())
    assert parse_sentence("quiet 22-07", catalogue(), purposes()).zone == "UTC"


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        ("ask me for health", Rule(do="ask", group="health")),
        ("never anything for marketing", Rule(do="never", purpose="dpv:Marketing")),
        ("ask me for health for marketing", Rule(do="ask", group="health", purpose="dpv:Marketing")),
        ("never optimisation for consumer", Rule(do="never", purpose="dpv:OptimisationForConsumer")),
        ("ask me", Rule(do="ask")),
        ("ask me for everything", Rule(do="ask")),
        ('never anything for "health"', Rule(do="never", brand=HEALTH)),
        ('never anything for "health for marketing"', Rule(do="never", brand="e" * 26)),
    ],
)
def test_a_brand_cannot_take_a_word_of_ours_for_itself(sentence: str, rule: Rule) -> None:
    """A brand that calls itself "health" must not turn "ask me for health" into a rule about itself."""
    assert parsed(sentence, HOSTILE) == rule
    assert parsed(said(rule, HOSTILE), HOSTILE) == rule


def test_two_brands_of_one_name_are_told_apart_by_case_or_id() -> None:
    twins = {"Acme": ACME, "ACME": UTILITY}
    with pytest.raises(RulesError, match="2 brands are called 'acme'; say 'for the brand' and its id"):
        parsed("never anything for acme", twins)
    assert parsed('never anything for "ACME"', twins).brand == UTILITY
    assert parsed(f"never anything for the brand {ACME}", twins).brand == ACME


def test_a_name_that_cannot_stand_in_quotes_is_said_by_its_id() -> None:
    for name in ('a " b', "two  spaces", " begins", "line\nend", "\x1b[2J", "x" * 101):
        rule = Rule(do="never", brand=ACME)
        assert said(rule, {name: ACME}) == f"never anything for the brand {ACME}"


# -- words -------------------------------------------------------------------------------------------------


def test_every_name_alias_label_and_word_leads_to_one_thing() -> None:
    index = words(catalogue(), purposes())
    for name in catalogue().names():
        kind = catalogue().kind(name)
        for word in (name, kind.label, *kind.aliases):
            assert index.find(word) == Subject("kind", name)
    for name, group in GROUPS.items():
        for word in (name, *group.words):
            assert index.find(word) == Subject("group", name)
    for purpose in purposes():
        if purpose.term != "dpv:Purpose":
            for word in (purpose.label, purpose.term, purpose.term.removeprefix("dpv:")):
                assert index.find(word) == Subject("purpose", purpose.term)
    assert index.find("marketing", ("kind", "group")) is None
    assert index.say(Subject("kind", "telepathy")) == "telepathy"


def test_every_kind_is_in_one_group_of_what_it_tells_and_one_tier() -> None:
    tiers = {name for name, group in GROUPS.items() if group.tiers}
    assert tiers == {"special", "personal", "ordinary"}
    for names in (tiers, GROUPS.keys() - tiers):
        found = sorted(kind for name in names for kind in members(catalogue())[name])
        assert found == sorted(catalogue().names())


# -- rules that cannot be ----------------------------------------------------------------------------------

IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "a kind and a group": {"do": "never", "kind": "energy", "group": "health"},
    "a limit without one": {"do": "limit"},
    "a limit with two": {"do": "limit", "days": 1, "history": 0},
    "a refusal with days": {"do": "never", "days": 1},
    "a question with a detail": {"do": "ask", "detail": "day"},
    "a yes with history": {"do": "allow", "history": 0},
    "a yes with hours": {"do": "allow", "quiet": (1, 2), "zone": "UTC"},
    "a group that is none": {"do": "never", "group": "everything"},
    "a brand by its name": {"do": "never", "brand": "Acme"},
    "a brand by too long an id": {"do": "never", "brand": "a" * 27},
    "a detail that is none": {"do": "limit", "detail": "minute"},
    "no days": {"do": "limit", "days": 0},
    "too many days": {"do": "limit", "days": 3654},
    "history of the future": {"do": "limit", "history": -1},
    "too much history": {"do": "limit", "history": 3654},
    "no seconds": {"do": "limit", "every": 0},
    "a zone without hours": {"do": "limit", "days": 1, "zone": "UTC"},
    "hours without a zone": {"do": "limit", "quiet": (1, 2)},
    "hours that are none": {"do": "limit", "quiet": (1, 1), "zone": "UTC"},
    "a path for a zone": {"do": "limit", "quiet": (1, 2), "zone": "../x"},
}


@pytest.mark.parametrize("fields", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_rule_that_makes_no_sense_cannot_be_made_nor_read(fields: dict[str, Any]) -> None:
    with pytest.raises(RulesError, match=r"^[a-z]"):
        Rule(**fields)
    text = encode_rules(Rules()).replace(
        b"[]", b"[" + msgspec.json.encode(dict(sorted(fields.items()))) + b"]"
    )
    with pytest.raises(RulesError):
        decode_rules(text)


POSSIBLE: list[dict[str, Any]] = [
    {"days": 1},
    {"days": 3653},
    {"history": 0},
    {"history": 3653},
    {"every": 1},
    {"quiet": (0, 1440), "zone": "UTC"},
]


@pytest.mark.parametrize("fields", POSSIBLE)
def test_the_last_that_makes_sense_can(fields: dict[str, Any]) -> None:
    assert parsed(said(Rule(do="limit", **fields))) == Rule(do="limit", **fields)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Rule(do="never", kind="telepathy"), "rule 2 names the unknown kind telepathy"),
        (Rule(do="never", kind="gps"), "rule 2 names the unknown kind gps"),
        (Rule(do="never", purpose="dpv:Gone"), "rule 2 names the unknown purpose dpv:Gone"),
        (Rule(do="never", purpose="dpv:Purpose"), "rule 2 names the unknown purpose dpv:Purpose"),
        (
            Rule(do="limit", kind="location", detail="hour"),
            "rule 2: location has no hour; it has raw, h3-7, h3-5",
        ),
    ],
)
def test_a_rule_that_names_the_unknown_is_an_error(rule: Rule, reason: str) -> None:
    with pytest.raises(RulesError) as caught:
        check_rules(Rules(rules=(Rule(do="ask"), rule)), catalogue(), purposes())
    assert str(caught.value) == reason


def test_levels_of_detail() -> None:
    energy, location = catalogue().kind("energy"), catalogue().kind("location")
    text = msgspec.structs.replace(energy, resolutions=("raw",))
    table = {
        detail: [
            [given for given in kind.resolutions if within(detail, kind, given)]
            for kind in (energy, location, text)
        ]
        for detail in ("raw", "hour", "h3-7", "day", "h3-5")
    }
    some, last = [["hour", "day"], ["h3-7", "h3-5"], []], [["day"], ["h3-5"], []]
    every = [["raw", "hour", "day"], ["raw", "h3-7", "h3-5"], ["raw"]]
    assert table == {"raw": every, "hour": some, "h3-7": some, "day": last, "h3-5": last}
    assert not within("raw", energy, "h3-5")


# -- bytes -------------------------------------------------------------------------------------------------


def test_the_form_that_is_signed() -> None:
    assert encode_rules(Rules()) == b'{"rules":[],"version":1}'
    rules = Rules(rules=(parsed("never marketing"), parsed("quiet 22-07")))
    assert encode_rules(rules) == (
        b'{"rules":[{"do":"never","purpose":"dpv:Marketing"},'
        b'{"do":"limit","quiet":[1320,420],"zone":"Europe/Berlin"}],"version":1}'
    )


def test_the_hash_covers_label_and_form() -> None:
    expected = hashlib.sha256(b'hypertouch 1 rules\x00{"rules":[],"version":1}').digest()
    assert rules_hash(Rules()) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "these are no rules: not JSON at character 1"),
        (encode_rules(Rules(version=2)), "these rules have version 2, known is 1"),
        (b" " + encode_rules(Rules()), "these rules are not in canonical form"),
        (
            encode_rules(Rules(rules=(Rule(do="ask"),) * 257)),
            "these are 257 rules, at most 256 can be kept",
        ),
    ],
)
def test_it_is_said_what_is_wrong_with_signed_rules(text: bytes, reason: str) -> None:
    with pytest.raises(RulesError) as caught:
        decode_rules(text)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    "text",
    {
        "nothing": b"",
        "another version": encode_rules(Rules(version=2)),
        "a field too many": encode_rules(Rules())[:-1] + b',"x":1}',
        "a member twice": encode_rules(Rules())[:-1] + b',"version":1}',
        "a space": b" " + encode_rules(Rules()),
        "another order": b'{"version":1,"rules":[]}',
        "a default that is said": b'{"rules":[{"do":"never","kind":""}],"version":1}',
        "a field of a rule too many": b'{"rules":[{"do":"never","x":1}],"version":1}',
        "a float": b'{"rules":[{"days":1.0,"do":"limit"}],"version":1}',
        "a verb that is none": b'{"rules":[{"do":"permit"}],"version":1}',
        "a list": b"[]",
        "too many": encode_rules(Rules(rules=(Rule(do="ask"),) * (MAX_RULES + 1))),
    }.values(),
)
def test_rules_in_any_other_form_are_refused(text: bytes) -> None:
    with pytest.raises(RulesError):
        decode_rules(text)


def test_as_many_rules_as_can_be_kept() -> None:
    rules = Rules(rules=(Rule(do="ask"),) * MAX_RULES)
    assert decode_rules(encode_rules(rules)) == rules


# -- TOML --------------------------------------------------------------------------------------------------

FILE = """
[[rule]]
say = "never marketing"

[[rule]]
do = "allow"
kind = "kwh"
detail = "day"
brand = "Acme Energy"

[[rule]]
do = "limit"
quiet = "22-07"

[[rule]]
do = "limit"
group = "sensitive"
purpose = "Advertising"
days = 30
"""


def file(text: str) -> Rules:
    return parse_toml(text, catalogue(), purposes(), brands=BRANDS, zone=ZONE)


def test_a_file_of_rules_is_read() -> None:
    assert [said(rule) for rule in file(FILE).rules] == [
        "never marketing",
        'auto-approve energy at day for "Acme Energy"',
        "quiet 22-07 in Europe/Berlin",
        "special at most 30 days for advertising",
    ]
    assert file("") == Rules()


def test_a_file_shows_each_rule_as_a_sentence_too() -> None:
    text = write_toml(
        Rules(rules=(Rule(do="limit", kind="energy", history=0, brand=ACME),)),
        catalogue(),
        purposes(),
        BRANDS,
    )
    assert text == (
        '[[rule]]\n# energy no history for "Acme"\ndo = "limit"\nkind = "energy"\n'
        f'brand = "{ACME}"\nhistory = 0\n'
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[rule]", "not a file of rules"),
        ("[[rule]]\nsays = 'never marketing'", "not a file of rules"),
        ("[[rules]]\nsay = 'never marketing'", "not a file of rules"),
        ("[[rule]]\ndays = 30", "rule 1: a rule says what to do"),
        ("[[rule]]\ndo = 'forbid'", "not a file of rules"),
        (
            "[[rule]]\nsay = 'never marketing'\nkind = 'energy'",
            "rule 1: a rule is a sentence (say) or fields",
        ),
        ("[[rule]]\nsay = 'ask me'\n[[rule]]\nsay = 'never markting'", "rule 2: no kind"),
        ("[[rule]]\ndo = 'never'\nkind = 'health'", "rule 1: no kind is called 'health'"),
        ("[[rule]]\ndo = 'never'\ngroup = 'energy'", "rule 1: no group is called 'energy'"),
        ("[[rule]]\ndo = 'never'\npurpose = 'energy'", "rule 1: no purpose is called 'energy'"),
        ("[[rule]]\ndo = 'never'\nbrand = 'Nobody'", "rule 1: a brand is named by its id"),
        ("[[rule]]\ndo = 'limit'\nquiet = '22'", "rule 1: hours are written like"),
        ("[[rule]]\ndo = 'limit'\nquiet = '22-07'\nzone = 'Mars'", "rule 1: there is no time zone 'Mars'"),
        ("[[rule]]\ndo = 'limit'\ndays = 3\nzone = 'UTC'", "rule 1: quiet hours have a time zone"),
        ("[[rule]]\ndo = 'limit'\nkind = 'location'\ndetail = 'day'", "rule 1: location has no day"),
        ("[[rule]]\ndo = 'ask'\n" * 257, "these are 257 rules, at most 256"),
        ("#" * 70_000, "at most 64 KiB"),
        ("x = " + "[" * 5000, "not a file of rules"),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_the_rule_named(text: str, reason: str) -> None:
    with pytest.raises(RulesError) as caught:
        file(text)
    assert str(caught.value).startswith(reason) or reason in str(caught.value)


def test_a_brand_cannot_take_the_id_of_another_for_its_name() -> None:
    text = f"[[rule]]\ndo = 'never'\nbrand = '{ACME}'"
    found = parse_toml(text, catalogue(), purposes(), brands={ACME: HEALTH})
    assert found.rules[0].brand == ACME


# -- conflicts ---------------------------------------------------------------------------------------------

CONFLICTS: dict[str, tuple[list[str], list[str]]] = {
    "none": (
        ["never marketing", "auto-approve energy at day for Acme", "ask me for health", "at most 30 days"],
        [],
    ),
    "yes and no": (
        ["auto-approve energy", "never energy"],
        ["Rules 2 and 1 contradict each other: one refuses what the other allows."],
    ),
    "a refusal before": (
        ["never consumption", "auto-approve energy for Acme"],
        ["Rule 2 can never apply: rule 1 refuses first."],
    ),
    "a refusal of a broader purpose": (
        ["ask me for energy for advertising", "never marketing"],
        ["Rule 1 can never apply: rule 2 refuses first."],
    ),
    "a refusal of a narrower purpose": (["ask me for energy for marketing", "never advertising"], []),
    "a refusal of another brand": (["never energy for Acme", "ask me for energy for Acme Energy"], []),
    "a refusal for one purpose alone": (["never energy for marketing", "ask me for energy"], []),
    "a question before": (
        ["ask me for energy", "auto-approve energy"],
        ["Rule 2 can never apply: rule 1 asks first."],
    ),
    "a question that is less specific": (["ask me", "auto-approve energy"], []),
    "twice": (["at most 30 days", "ask me", "at most 30 days"], ["Rule 3 says the same as rule 1."]),
    "a stricter number of days": (
        ["at most 7 days", "energy at most 8 days"],
        ["Rule 2 changes nothing: rule 1 is stricter."],
    ),
    "the same number for more": (
        ["at most 7 days", "energy at most 7 days"],
        ["Rule 2 changes nothing: rule 1 is stricter."],
    ),
    "a stricter number for less": (["at most 7 days", "energy at most 6 days"], []),
    "less history": (
        ["no history", "at most 7 days of history"],
        ["Rule 2 changes nothing: rule 1 is stricter."],
    ),
    "less often": (
        ["at most every 2 hours", "at most every 1 hour"],
        ["Rule 2 changes nothing: rule 1 is stricter."],
    ),
    "a coarser detail": (
        ["never finer than day", "location never finer than h3-7"],
        ["Rule 2 changes nothing: rule 1 is stricter."],
    ),
    "the same detail for more": (
        ["never finer than day", "location never finer than h3-5"],
        ["Rule 2 changes nothing: rule 1 is stricter."],
    ),
    "a finer detail": (["never finer than hour", "energy never finer than day"], []),
    "answers for more": (
        ["only answers", "energy only as answers"],
        ["Rule 2 changes nothing: rule 1 is stricter."],
    ),
    "two dimensions": (["no history", "at most 7 days"], []),
    "two zones": (
        ["quiet 22-07 in Europe/Paris", "energy quiet 1-2 in UTC"],
        ["Rules 1 and 2 count quiet hours in two time zones: nothing suits both."],
    ),
    "two quiet times": (["quiet 22-07", "quiet 12-13"], []),
}


@pytest.mark.parametrize(("sentences", "found"), CONFLICTS.values(), ids=CONFLICTS)
def test_contradictory_and_shadowed_rules_are_named(sentences: list[str], found: list[str]) -> None:
    rules = Rules(rules=tuple(map(parsed, sentences)))
    assert conflicts(rules, catalogue(), purposes()) == found


def test_conflicts_are_not_looked_for_among_unknown_words() -> None:
    with pytest.raises(RulesError):
        conflicts(Rules(rules=(Rule(do="never", kind="telepathy"),)), catalogue(), purposes())


# -- properties --------------------------------------------------------------------------------------------

KNOWN = [purpose.term for purpose in purposes() if purpose.term != "dpv:Purpose"]
subjects: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.sampled_from(catalogue().names()).map(lambda name: {"kind": name}),
    st.sampled_from(list(GROUPS)).map(lambda name: {"group": name}),
)
limits = st.one_of(
    st.integers(1, 3653).map(lambda days: {"days": days}),
    st.integers(0, 3653).map(lambda days: {"history": days}),
    st.just({"answers": True}),
    st.integers(1, DAY).map(lambda seconds: {"every": seconds}),
    st.integers(1, 3653).map(lambda days: {"every": days * DAY}),
    st.tuples(st.integers(0, 1439), st.integers(1, 1440))
    .filter(lambda hours: hours[0] != hours[1])
    .map(lambda hours: {"quiet": hours, "zone": "Asia/Kolkata"}),
)


@st.composite
def some_rule(draw: st.DrawFn) -> Rule:
    """Any rule that the tables know."""
    fields: dict[str, Any] = dict(draw(subjects))
    fields["purpose"] = draw(st.sampled_from(["", *KNOWN]))
    fields["brand"] = draw(st.sampled_from(["", "g" * 26, *HOSTILE.values()]))
    resolutions = catalogue().kind(fields["kind"]).resolutions if "kind" in fields else ("raw", "day", "h3-7")
    detail = draw(st.sampled_from(resolutions))
    match draw(st.integers(0, 4)):
        case 0:
            return Rule(do="never", **fields)
        case 1:
            return Rule(do="ask", **fields)
        case 2:
            return Rule(
                do="allow",
                detail=draw(st.sampled_from(["", detail])),
                days=draw(st.none() | st.integers(1, 3653)),
                **fields,
            )
        case 3:
            return Rule(do="limit", detail=detail, **fields)
        case _:
            return Rule(do="limit", **draw(limits), **fields)


@given(some_rule(), st.dictionaries(st.text(max_size=12), st.sampled_from(list(HOSTILE.values()))))
def test_what_is_said_is_read_back_whatever_brands_call_themselves(rule: Rule, names: dict[str, str]) -> None:
    brands = HOSTILE | names
    assert parsed(said(rule, brands), brands) == rule


@given(st.lists(some_rule(), max_size=6))
def test_a_file_and_the_signed_bytes_are_read_back(found: list[Rule]) -> None:
    rules = Rules(rules=tuple(found))
    assert file(write_toml(rules, catalogue(), purposes(), HOSTILE)) == rules
    assert decode_rules(encode_rules(rules)) == rules
    assert len(rules_hash(rules)) == 32
    assert (rules_hash(rules) == rules_hash(Rules())) is (rules == Rules())
    assert all(sentence.endswith(".") for sentence in conflicts(rules, catalogue(), purposes()))


def assert_read_or_refused(text: str) -> None:
    """A text is a rule that is read back the same, or refused in words that can be shown."""
    try:
        rule = parsed(text, HOSTILE)
    except RulesError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert parsed(said(rule, HOSTILE), HOSTILE) == rule
    assert refusal.isprintable()


@given(st.text(max_size=80))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    assert_read_or_refused(text)


WORDS = """never ask me for at most 7 days no history of location health marketing Acme quiet 22-07
in UTC only as answers every 5 minutes finer than h3-5 auto-approve everything , consumer"""


@given(st.lists(st.sampled_from(WORDS.split()), max_size=9))
def test_any_words_in_any_order_are_a_rule_or_refused(some: list[str]) -> None:
    assert_read_or_refused(" ".join(some))


@pytest.mark.parametrize(
    ("text", "hours"), [("22-07", (1320, 420)), ("00:01-00:02", (1, 2)), ("0-24", (0, 1440))]
)
def test_hours(text: str, hours: tuple[int, int]) -> None:
    assert minutes_of(text) == hours
