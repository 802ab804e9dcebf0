"""Patterns, paths, templates and forms of time: what they are, what fits, and what is none."""

from __future__ import annotations

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.paths import ABSENT, EVERY, Item, follow, getter, join, parse
from gateway.dialects.patterns import LEVELS_MAX, Level, Topic, level
from gateway.dialects.rules import literal
from gateway.dialects.texts import Template
from gateway.dialects.times import reader

NOT = None
TOPICS: list[tuple[str, str, dict[str, str] | None]] = [
    ("a/b", "a/b", {}),
    ("a/b", "a/c", NOT),
    ("a/b", "a/b/c", NOT),
    ("", "", {}),
    ("a/{x}", "a/b", {"x": "b"}),
    ("a/{x}", "a/", NOT),
    ("a/{x}/{y}", "a/b/c", {"x": "b", "y": "c"}),
    ("a/{x...}", "a/b/c", {"x": "b/c"}),
    ("a/{x...}", "a", NOT),
    ("a/{x...?}", "a", {"x": ""}),
    ("{x...?}/s/{y...?}/E", "s/E", {"x": "", "y": ""}),
    ("{x...?}/s/{y...?}/E", "s/s/b/E", {"x": "", "y": "s/b"}),
    ("{x...}/s/{y...}/E", "s/s/b/E", {"x": "s", "y": "b"}),
    ("{x...?}/s/{y...?}/E", "a/b/E", NOT),
    ("{x...?}/{y}/{z}", "a/b/c/d", {"x": "a/b", "y": "c", "z": "d"}),
    ("p/{n:int}", "p/12", {"n": "12"}),
    ("p/{n:int}", "p/1a", NOT),
    ("p/{n:int}", "p/٣", NOT),
    ("POWER{n:int?}", "POWER", {"n": ""}),
    ("POWER{n:int?}", "POWER2", {"n": "2"}),
    ("POWER{n:int?}", "POWERS", NOT),
    ("{w:on|off}", "off", {"w": "off"}),
    ("{w:on|off}", "of", NOT),
    ("{a}_{b:left|right}", "state_left_right", {"a": "state_left", "b": "right"}),
    ("{a}_{b}", "a_b_c", {"a": "a_b", "b": "c"}),
    ("x{a}x", "xx", NOT),
    ("{{a}}/{b}", "{a}/c", {"b": "c"}),
    ("a//b", "a//b", {}),
    ("{a...}", "/", {"a": "/"}),
]


@pytest.mark.parametrize(("pattern", "topic", "captures"), TOPICS)
def test_a_topic_fits_a_pattern_or_not(pattern: str, topic: str, captures: dict[str, str] | None) -> None:
    assert Topic(pattern).match(topic) == captures


@pytest.mark.parametrize(
    "text",
    [
        *("{", "}", "{}", "{a", "{a}{b}", "{a:}x{a}", "{a:other}", "{1}", "{a b}", "{a...b}", "x" * 1025),
        "x".join(f"{{a{n}}}" for n in range(9)),
    ],
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"capture|brace|between|pattern"):
        Topic(text)


@pytest.mark.parametrize("pattern", ["{a...}", "{a...}/x", "{a...}/x/{b...}"])
def test_a_topic_of_very_many_levels_fits_no_pattern(pattern: str) -> None:
    """To try every place in it, with every pattern there is, would take milliseconds a message."""
    assert Topic(pattern).match("/".join(["x"] * LEVELS_MAX)) is not None
    assert Topic(pattern).match("/".join(["x"] * (LEVELS_MAX + 1))) is None


@given(st.text(max_size=30))
def test_a_quoted_text_fits_itself_alone(text: str) -> None:
    assert Topic(literal(text)).literal == text


@given(st.text(alphabet="ab/_{}:.?in|t", max_size=24), st.text(alphabet="ab/_1", max_size=12))
def test_any_text_is_a_pattern_or_none_and_matching_never_fails(pattern: str, topic: str) -> None:
    try:
        compiled = Topic(pattern)
    except ValueError:
        return
    found = compiled.match(topic)
    assert found is None or found.keys() == compiled.names


DOCUMENT: dict[str, Any] = {
    "a": {"b": [1, {"c": 2}]},
    "a.b": 3,
    "": 4,
    "switch:0": {"on": True},
    'q"': 5,
    "$state": 6,
}
PATHS: list[tuple[str, object]] = [
    ("a.b[0]", 1),
    ("a.b[1].c", 2),
    ("a.b[-1].c", 2),
    ("a.b[2]", ABSENT),
    ("a.b[-3]", ABSENT),
    ("a.b.c", ABSENT),
    ("a[0]", ABSENT),
    ('"a.b"', 3),
    ('""', 4),
    ("switch:0.on", True),
    ('"q\\""', 5),
    ("$state", 6),
    ("$.a.b[0]", 1),
    ("^a", ABSENT),
    ("", DOCUMENT),
]


@pytest.mark.parametrize(("path", "value"), PATHS)
def test_a_path_leads_to_a_value(path: str, value: object) -> None:
    assert getter(parse(path))(Item(DOCUMENT, None)) == value


def test_a_path_leads_out_of_an_item() -> None:
    inner = Item({"x": 3}, Item({"x": 2}, Item({"x": 1}, None)))
    found = [getter(parse(path))(inner) for path in ("x", "^x", "^^x", "^^^x", "$.x")]
    assert found == [3, 2, 1, ABSENT, 1]


@pytest.mark.parametrize(
    "text", ["a..b", "a.", "[x]", "a[0", "a]", '"a', '"a"b', "a.[", "x" * 513, "a" + ".b" * 40]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"path|brace"):
        parse(text)


@given(st.lists(st.text(max_size=6) | st.integers(-3, 3), max_size=6))
def test_steps_that_are_written_are_read_again(steps: list[str | int]) -> None:
    assert list(parse(join(steps)).steps) == steps


@given(st.text(alphabet='ab.[]"{}^$*1:|', max_size=16))
def test_any_text_is_a_path_or_none(text: str) -> None:
    try:
        path = parse(text)
    except ValueError:
        return
    assert all(isinstance(step, str | int | Level) or step is EVERY for step in path.steps) or text.endswith(
        "*"
    )
    if not path.many:
        getter(path)(Item(DOCUMENT, None))


def test_following_a_path_into_the_wrong_sort_of_value_leads_nowhere() -> None:
    values: list[Any] = [None, 1, "a", [], {"a": {}}, {"a": []}]
    assert [follow(value, ("a", 0)) for value in values] == [ABSENT] * 6


TEMPLATES: list[tuple[str, str]] = [
    ("", ""),
    ("x/y", "x/y"),
    ("{a}", "A"),
    ("{a}/{b}/c", "A/c"),  # an empty level is left out
    ("/{b}/", "/"),  # but those that are written stay
    ("x{b}y", "xy"),
    ("{=n}", "1.5"),
    ("{=flag}/{=whole}/{=text}", "true/2/t"),
    ("{=deep}{=nothing}{=null}", ""),
    ("{@key}", "fact"),
    ("{@{a}/k}", "another"),
    ("{@no}", ""),
    ("{{a}}", "{a}"),
]


@pytest.mark.parametrize(("template", "text"), TEMPLATES)
def test_a_template_is_filled(template: str, text: str) -> None:
    item = Item({"n": 1.5, "flag": True, "whole": 2.0, "text": "t", "deep": {}, "null": None}, None)
    assert Template(template).fill({"a": "A"}, item, {"key": "fact", "A/k": "another"}) == text


@pytest.mark.parametrize(
    "text", ["{", "}", "{a", "{=a[]}", "{@{@a}}", "{a b}", "{" + "x" * 512 + "}", "{a}{b}" * 20]
)
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"template|brace|path"):
        Template(text)


NOON = 1_790_000_000_000  # 2026-09-21T14:13:20Z
TIMES: list[tuple[str, object, int | None]] = [
    ("s", NOON // 1000, NOON),
    ("s", NOON / 1000 + 0.25, NOON + 250),
    ("s", str(NOON // 1000), NOON),
    ("ms", NOON, NOON),
    ("us", NOON * 1000, NOON),
    ("ns", NOON * 1_000_000, NOON),
    ("ns", str(NOON * 1_000_000), NOON),
    ("auto", NOON * 1_000_000, NOON),
    ("auto", str(NOON), NOON),
    ("auto", "2026-09-21T14:13:20Z", NOON),
    ("rfc3339", "2026-09-21 16:13:20", NOON),  # in Berlin
    ("rfc3339", NOON, None),
    ("s", "soon", None),
    ("s", True, None),
    ("s", None, None),
    ("s", [], None),
    ("s", "1" * 30, None),
    ("%Y-%m-%d %H:%M:%S %z", "2026-09-21 14:13:20 +0000", NOON),
    ("%Y-%m-%d %H:%M:%S %z", "2026-09-21 7:13:20 -0700", NOON),
    ("%Y-%m-%d %H:%M:%S", "2026-09-21 16:13:20", NOON),
    ("%Y-%m-%d %H:%M:%S %z", "2026-09-21 14:13:20", None),
    ("%Y-%m-%d %I:%M:%S %p %z", "2026-09-21 2:13:20 PM +0000", NOON),
    ("%Y-%m-%d %I:%M:%S %p %z", "2026-09-21 2:13:20 PM +00:00", NOON),
    ("%Y-%m-%d %I:%M:%S %p %z", "2026-09-21 14:13:20 PM +0000", None),
    ("%d.%m.%Y %H:%M:%S.%f", "21.09.2026 16:13:20.5", NOON + 500),
    ("%Y-%m-%d %H:%M:%S %z", "2026-02-30 14:13:20 +0000", None),
    ("%Y-%m-%d %H:%M:%S %z", "2026-09-21 14:13:20 +9900", None),
    ("%Y-%m-%d %H:%M:%S %z", "0001-01-01 00:00:00 +2300", -62_135_679_600_000),
    ("%Y-%m-%d %H:%M:%S %z", "x" * 100_000, None),
]


@pytest.mark.parametrize(("form", "value", "moment"), TIMES)
def test_a_time_is_read_in_its_form(form: str, value: object, moment: int | None) -> None:
    assert reader(form)(value, ZoneInfo("Europe/Berlin")) == moment


@pytest.mark.parametrize("form", ["", "h", "%Q", "%Y%Y", "%", "%Y" + "x" * 64])
def test_what_is_no_form_of_time_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="form"):
        reader(form)


@given(
    st.sampled_from(["s", "ns", "auto", "rfc3339", "%Y-%m-%d %H:%M:%S %z", "%Y%m%d%H", "%I %p", "%z%f"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.text("0123456789-: +.ZAPM"),
)
def test_no_value_makes_a_form_of_time_fail(form: str, value: object) -> None:
    found = reader(form)(value, datetime.UTC)
    assert found is None or isinstance(found, int)


def test_a_level_without_captures_is_a_text() -> None:
    assert level("a:b") == "a:b"
