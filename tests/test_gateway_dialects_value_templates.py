"""Value templates: those that say where a value stands, and all the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.value_templates import Template, parse

OURS: dict[str, tuple[str, Template]] = {
    "the payload itself": ("{{ value }}", Template(None)),
    "the payload, without blanks": ("{{value}}", Template(None)),
    "the payload as a number": ("{{ value | float }}", Template(None)),
    "blanks cut away": ("{{- value -}}", Template(None)),
    "a field": ("{{ value_json.temperature }}", Template(("temperature",))),
    "a field of a field": ("{{ value_json.ENERGY.Power }}", Template(("ENERGY", "Power"))),
    "a field in double quotes": ('{{ value_json["temperature"] }}', Template(("temperature",))),
    "a field in single quotes": ("{{ value_json['temperature'] }}", Template(("temperature",))),
    "a field with a dot in its name": ("{{ value_json['a.b'].c }}", Template(("a.b", "c"))),
    "an element": ("{{ value_json.values[0] }}", Template(("values", 0))),
    "an element, as an attribute": ("{{ value_json.values.0 }}", Template(("values", 0))),
    "an element of a list": ("{{ value_json[1] }}", Template((1,))),
    "the document": ("{{ value_json }}", Template(())),
    "get": ("{{ value_json.get('x') }}", Template(("x",))),
    "get with a default": ("{{ value_json.get('x', none) }}", Template(("x",))),
    "as an integer": ("{{ value_json.x | int }}", Template(("x",))),
    "as an integer, else 0": ("{{ value_json.x | int(0) }}", Template(("x",))),
    "rounded": ("{{ value_json.x | round(2) }}", Template(("x",))),
    "rounded down": ("{{ value_json.x | round(2, 'floor') }}", Template(("x",))),
    "with a default": ("{{ value_json.x | default(0) }}", Template(("x",))),
    "with a default that is a word": ("{{ value_json.x | default('', true) }}", Template(("x",))),
    "where it is defined": ("{{ value_json.x | is_defined }}", Template(("x",))),
    "several filters": ("{{ value_json.x|float(0)|round(1) }}", Template(("x",))),
    "a tenth": ("{{ value_json.x * 0.1 }}", Template(("x",), 0.1)),
    "a thousandth": ("{{ value_json.x | float / 1000 }}", Template(("x",), 0.001)),
    "a thousandth, rounded": ("{{ (value_json.x | float / 1000) | round(3) }}", Template(("x",), 0.001)),
    "the factor first": ("{{ 0.1 * value_json.x }}", Template(("x",), 0.1)),
    "negative": ("{{ -value_json.x }}", Template(("x",), -1.0)),
    "a filter binds closer than a factor": ("{{ value | float * 10 }}", Template(None, 10.0)),
    "from Fahrenheit": ("{{ (value_json.f - 32) / 2 }}", Template(("f",), 0.5, -16.0)),
    "from a hundred": ("{{ 100 - value_json.x }}", Template(("x",), -1.0, 100.0)),
}

OTHERS: dict[str, object] = {
    "no template": "value_json.x",
    "text around it": "{{ value_json.x }} W",
    "two of them": "{{ value_json.x }}{{ value_json.y }}",
    "a condition": "{% if value_json.x > 0 %}ON{% else %}OFF{% endif %}",
    "an inline condition": "{{ 'true' if value == 'Charging' else 'false' }}",
    "a constant": "{{ 'offline' }}",
    "a number": "{{ 5 * 3 }}",
    "the clock": "{{ now() }}",
    "another entity": "{{ states('sensor.x') }}",
    "an attribute of the object, called": "{{ value_json.x.items() }}",
    "two fields": "{{ value_json.x + value_json.y }}",
    "two fields, multiplied": "{{ value_json.x * value_json.y }}",
    "one over a field": "{{ 1 / value_json.x }}",
    "by nothing": "{{ value_json.x / 0 }}",
    "times nothing": "{{ value_json.x * 0 }}",
    "a filter that is not ours": "{{ value | regex_replace('(?<=[a-z])', ' ') }}",
    "a default without one": "{{ value_json.x | default }}",
    "an argument that is no constant": "{{ value_json.x | default(value_json.y) }}",
    "a comparison": "{{ value_json.x == 'on' }}",
    "a power": "{{ value_json.x ** 2 }}",
    "a whole division": "{{ value_json.x // 2 }}",
    "a computed key": "{{ value_json[value] }}",
    "an escape in a key": "{{ value_json['a\\'b'] }}",
    "a dunder, called": "{{ value_json.__class__.__mro__() }}",
    "an empty one": "{{ }}",
    "half of one": "{{ value_json.",
    "unbalanced": "{{ (value_json.x }}",
    "an index too large": "{{ value_json[999999999999] }}",
    "a number too long": "{{ value_json.x * 1000000000000000000000 }}",
    "too many brackets": "{{ " + "(" * 9 + "value" + ")" * 9 + " }}",
    "too long a path": "{{ value_json" + ".a" * 17 + " }}",
    "too long": "{{ value_json." + "a" * 1024 + " }}",
    "not a text": 5,
    "nothing": None,
}


@pytest.mark.parametrize(("text", "expected"), OURS.values(), ids=OURS)
def test_a_template_that_says_where_a_value_stands_is_read(text: str, expected: Template) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_any_other_template_is_not(text: object) -> None:
    assert parse(text) is None


@given(
    st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "value",
                "value_json",
                ".",
                "[",
                "]",
                "(",
                ")",
                "'x'",
                "|",
                "float",
                "default",
                "*",
                "/",
                "-",
                "0",
                "1.5",
                " ",
                "\\",
                '"',
            ]
        ),
        max_size=40,
    )
)
def test_nothing_makes_the_reader_raise(parts: list[str]) -> None:
    parse("".join(parts))
    parse("{{" + "".join(parts) + "}}")


@pytest.mark.parametrize("part", ["(", "[", "'", "-", "|float", ".a", "value ", "*2", " ", "get("])
def test_a_template_as_long_as_one_may_be_is_answered(part: str) -> None:
    parse("{{ value_json.x" + part * 1_000_000 + " }}")
    parse("{{" + part * (1000 // len(part)) + "}}")
