"""Nothing that came from outside reaches a terminal as a command, or as something else than it is."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.text import escape, json_text

HOSTILE = {
    "\x1b[2J": "\\x1b[2J",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "\x9b31m": "\\x9b31m",  # the C1 form of ESC [
    "\x7f\b\b": "\\x7f\\x08\\x08",
    "two\nlines\r\n\t": "two\\nlines\\r\\n\\t",
    "\u202egnp.exe": "\\u202egnp.exe",  # right-to-left override
    "\u2066x\u2069": "\\u2066x\\u2069",  # isolates
    "ac\u200bme": "ac\\u200bme",  # zero-width space
    "ac\u00adme": "ac\\xadme",  # soft hyphen
    "\ufeff": "\\ufeff",
    "\u3164": "\\u3164",  # a letter that shows as nothing
    "\U000e0041": "\\U000e0041",  # a tag character
    "\U000e0100": "\\U000e0100",  # a variation selector that hides bytes
    "\u2028": "\\u2028",
    "\ue000": "\\ue000",
    "\ud800": "\\ud800",
}
HARMLESS = ["", "plain", "10 % off", "Müller & Söhne", "日本", "0.5 µg", "❤\ufe0f", "a\\b", "5\u00a0€"]


@pytest.mark.parametrize(("given_text", "shown"), HOSTILE.items(), ids=lambda text: ascii(text))
def test_what_could_act_or_hide_becomes_visible(given_text: str, shown: str) -> None:
    assert escape(given_text) == shown
    assert given_text not in escape(given_text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_write_stays(text: str) -> None:
    assert escape(text) == text


@given(st.text(alphabet=st.characters(codec=None)))
def test_no_control_or_format_character_is_left(text: str) -> None:
    left = {unicodedata.category(char) for char in escape(text)}
    assert left.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@given(st.text(alphabet=st.characters(codec=None)))
def test_json_is_printable_ascii_and_says_the_same(text: str) -> None:
    line = json_text({"text": text})
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {"text": text}


def test_json_has_no_form_for_what_is_not_a_number() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text(float("nan"))
