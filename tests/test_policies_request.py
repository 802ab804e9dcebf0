"""The request: what is refused, what the brand is told, and that what is read is written back the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import RequestError
from policies.iso8601 import format_time, parse_retention
from policies.purposes import ROOT
from policies.request import FIELDS, MAX_SPAN, Ask, format_details
from policies.terms import ask_hash, terms_hash
from tests.policies_asking import DESCRIPTION, one, parse, refuse, requests, wish
from tests.policies_samples import ASK, DETAIL, NOW_S, TERMS

TEN_YEARS_ON = format_time(NOW_S + MAX_SPAN + 1)
TEN_YEARS_AGO = format_time(NOW_S - MAX_SPAN - 1)


def test_the_example_of_the_design_is_read() -> None:
    assert parse(one()) == (ASK,)
    assert parse(one().encode()) == (ASK,)


def test_what_may_be_left_out_is_read_as_the_most_private_of_what_it_can_mean() -> None:
    [ask] = parse('[{"type": "personal_data", "datatypes": ["energy"], "purpose": "dpv:ServiceProvision"}]')
    assert ask == Ask(
        actions=("read",),
        kinds=("energy",),
        ideal="raw",
        minimum="raw",
        data_from=None,
        data_until=None,
        access_until=None,
        purpose="dpv:ServiceProvision",
        purpose_text="",
        retention=None,
        recipients=(),
        benefit="",
        required=False,
    )


@pytest.mark.parametrize("resolution", ["raw", {"ideal": "raw"}, {"ideal": "raw", "minimum": "raw"}])
def test_resolution_raw_may_be_written_as_text_or_object(resolution: object) -> None:
    assert parse(one(resolution=resolution)) == (ASK,)


def test_details_may_differ_in_datatypes_and_required() -> None:
    optional = {**DETAIL, "datatypes": ["temperature"], "required": False}
    asks = parse(json.dumps([DETAIL, optional]))
    assert [(ask.kinds, ask.required) for ask in asks] == [(("energy",), True), (("temperature",), False)]


def test_words_in_any_script_are_read() -> None:
    words = "برای صورت‌حساب 👩‍🔬 – «Zähler»"
    assert parse(one(purpose_text=words))[0].purpose_text == words


NOT_JSON: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "not JSON"),
    "half a list": ('[{"type"', "not JSON"),
    "two lists": ("[] []", "not JSON"),
    "one quote": ('"', "not JSON"),
    "a member twice": (one()[:-2] + ', "purpose": "dpv:Marketing"}]', "twice"),
    "a member twice, once escaped": (one()[:-2] + ', "p\\u0075rpose": "dpv:Marketing"}]', "twice"),
    "a member twice, deeper": (
        one(resolution=...)[:-2] + ', "resolution": {"ideal": "raw", "ideal": "raw"}}]',
        "twice",
    ),
    "NaN": (one()[:-2] + ', "x": NaN}]', "integer"),
    "Infinity": (one()[:-2] + ', "x": -Infinity}]', "integer"),
    "1e999": (one()[:-2] + ', "x": 1e999}]', "integer"),
    "a number of 5000 digits": (one()[:-2] + ', "x": ' + "9" * 5000 + "}]", "too large"),
    "2^63": (one()[:-2] + f', "x": {2**63}}}]', "too large"),
    "33 levels": ("[" * 33 + "]" * 33, "nested deeper than 32"),
    "1000 levels": ('[{"type":' * 500 + "0" + "}]" * 500, "nested deeper than 32"),
    "30000 levels, never closed": ("[" * 30_000, "nested deeper than 32"),
    "100000 levels": ("[" * 100_000, "64 KiB"),
    "64 KiB and a byte": (one() + " " * (64 * 1024 + 1 - len(one())), "64 KiB"),
    "64 KiB of two-byte letters": ("é" * 40_000, "64 KiB"),
    "no UTF-8": (b'[{"type": "\xff"}]', "UTF-8"),
    "overlong UTF-8": (b'[{"type": "\xc0\xaf"}]', "UTF-8"),
    "a surrogate in the text itself": ('["\ud800"]', "UTF-8"),
    "a byte order mark": ("\ufeff" + one(), "byte order mark"),
    "a raw line end in a text": (one(purpose_text="a\nb").replace("\\n", "\n"), "not JSON"),
}


@pytest.mark.parametrize(("text", "reason"), NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_strict_json_is_refused(text: str | bytes, reason: str) -> None:
    assert reason in refuse(text).reason


def test_the_parser_underneath_would_have_read_them() -> None:
    """The control: without our checks these would be requests, and another parser might read another one."""
    for text in ('{"a": 1, "a": 2}', "NaN", "1e999", '"\\ud800"', "9" * 4000, "[" * 500 + "]" * 500):
        json.loads(text)


def test_64_kib_and_32_levels_are_still_read() -> None:
    assert parse(one() + " " * (64 * 1024 - len(one()))) == (ASK,)
    assert "not an object" in refuse("[" * 32 + "]" * 32).reason


def test_brackets_in_a_text_do_not_nest() -> None:
    words = "[" * 60 + '\\"' + "{" * 60
    assert parse(one(benefit=words))[0].benefit == words


NOT_OURS: dict[str, tuple[str, str]] = {
    "an object instead of a list": (json.dumps(DETAIL), "not a list"),
    "an empty list": ("[]", "not a list"),
    "nine details": (json.dumps([DETAIL] * 9), "not a list"),
    "null": ("null", "not a list"),
    "a text as detail": ('["energy"]', "not an object"),
    "no type": (one(type=...), "type"),
    "another type": (one(type="payment_initiation"), "type"),
    "a type that is no text": (one(type=["personal_data"]), "type"),
    "an unknown field": (one(scope="all"), "field 'scope' is unknown"),
    "a common field of RFC 9396 we do not have": (one(locations=[]), "field 'locations' is unknown"),
    "no datatypes": (one(datatypes=...), "datatypes"),
    "an empty list of datatypes": (one(datatypes=[]), "datatypes"),
    "datatypes as text": (one(datatypes="energy"), "datatypes"),
    "65 datatypes": (one(datatypes=["energy"] * 65), "datatypes"),
    "10001 datatypes": (one(datatypes=["a"] * 10_001), "datatypes"),
    "a datatype twice": (one(datatypes=["energy", "energy"]), "twice"),
    "a datatype in two details": (json.dumps([DETAIL, DETAIL]), "twice"),
    "an unknown datatype": (one(datatypes=["energy", "soul"]), "datatype 'soul' is unknown"),
    "an alias of a device's firmware": (one(datatypes=["temp"]), "datatype 'temp' is unknown"),
    "a datatype in other letters": (one(datatypes=["Energy"]), "datatype 'Energy' is unknown"),
    "a datatype that is a number": (one(datatypes=[1]), "datatypes is not a text"),
    "no action": (one(actions=[]), "actions"),
    "actions read and write": (one(actions=["read", "write"]), "actions"),
    "actions as text": (one(actions="read"), "actions"),
    "resolution minute": (one(resolution="minute"), "resolution 'minute' is not supported"),
    "resolution in other letters": (one(resolution="Day"), "resolution 'Day' is not supported"),
    "an unknown minimum": (
        one(resolution={"ideal": "raw", "minimum": "week"}),
        "resolution 'week' is not supported",
    ),
    "resolution without ideal": (one(resolution={"minimum": "raw"}), "resolution"),
    "resolution with a field too many": (one(resolution={"ideal": "raw", "best": "raw"}), "resolution"),
    "resolution null": (one(resolution=None), "resolution"),
    "resolution as a list": (one(resolution=["raw"]), "resolution"),
    "no purpose": (one(purpose=...), "purpose"),
    "purpose null": (one(purpose=None), "purpose"),
    "an unknown purpose": (one(purpose="dpv:WorldDomination"), "purpose 'dpv:WorldDomination' is unknown"),
    "the purpose of all purposes": (one(purpose=ROOT), "says nothing"),
    "required as text": (one(required="true"), "required"),
    "required as number": (one(required=1), "required"),
    "benefit null": (one(benefit=None), "benefit is not a text"),
    "501 characters": (one(benefit="x" * 501), "benefit has 501 characters"),
    "a space before": (one(purpose_text=" x"), "space"),
    "33 recipients": (one(recipients=[str(number) for number in range(33)]), "recipients"),
    "a recipient twice": (one(recipients=["Grid", "Grid"]), "twice"),
    "a recipient without a name": (one(recipients=[""]), "empty name"),
    "a recipient of 101 characters": (one(recipients=["x" * 101]), "101 characters"),
    "recipients as text": (one(recipients="Grid"), "recipients"),
    "details with two purposes": (
        json.dumps([DETAIL, {**DETAIL, "datatypes": ["gas"], "purpose": "dpv:Marketing"}]),
        "differ",
    ),
    "details with two ends": (
        json.dumps([DETAIL, {**DETAIL, "datatypes": ["gas"], "access_until": "2027-02-01T00:00:00Z"}]),
        "differ",
    ),
}


@pytest.mark.parametrize(("text", "reason"), NOT_OURS.values(), ids=NOT_OURS)
def test_what_we_would_have_to_guess_about_is_refused(text: str, reason: str) -> None:
    assert reason in refuse(text).reason


def test_the_hint_says_what_to_write_instead() -> None:
    assert refuse(one(datatypes=["temp"])).hint == "write temperature"
    assert refuse(one(resolution="week")).hint == "leave it out, or send one of: raw, hour, day, h3-7, h3-5"
    assert all(field in refuse(one(scope="all")).hint for field in FIELDS)


TIMES: dict[str, tuple[dict[str, object], str]] = {
    "a date": ({"data_from": "2026-01-01"}, "RFC 3339"),
    "an offset": ({"data_from": "2026-01-01T00:00:00+00:00"}, "RFC 3339"),
    "a fraction": ({"data_from": "2026-01-01T00:00:00.0Z"}, "RFC 3339"),
    "small letters": ({"data_from": "2026-01-01t00:00:00z"}, "RFC 3339"),
    "other digits": ({"data_from": "２026-01-01T00:00:00Z"}, "RFC 3339"),
    "a line end after": ({"data_from": "2026-01-01T00:00:00Z\n"}, "RFC 3339"),
    "30 February": ({"data_from": "2026-02-30T00:00:00Z"}, "calendar"),
    "24:00": ({"data_from": "2026-01-01T24:00:00Z"}, "calendar"),
    "a leap second": ({"data_from": "2016-12-31T23:59:60Z"}, "calendar"),
    "the year 0": ({"data_from": "0000-01-01T00:00:00Z"}, "calendar"),
    "a number": ({"data_from": 1767225600}, "not a text"),
    "null": ({"data_from": None}, "not a text"),
    "an end before the start": ({"data_until": "2025-12-31T00:00:00Z"}, "not after data_from"),
    "an end at the start": ({"data_until": "2026-01-01T00:00:00Z"}, "not after data_from"),
    "access that is over": ({"access_until": "2026-03-01T12:00:00Z"}, "in the past"),
    "access that ends before the data begins": (
        {"data_from": "2026-06-01T00:00:00Z", "access_until": "2026-05-01T00:00:00Z"},
        "not after data_from",
    ),
    "the past without a time to read it": (
        {"data_until": "2026-02-01T00:00:00Z", "access_until": ...},
        "access_until is missing",
    ),
    "a hundred years": ({"data_until": "2126-01-01T00:00:00Z"}, "ten years"),
    "access for over ten years": ({"access_until": TEN_YEARS_ON}, "ten years"),
    "a start over ten years ago": ({"data_from": TEN_YEARS_AGO}, "ten years"),
    "twelve years around now": (
        {"data_from": "2020-01-01T00:00:00Z", "data_until": "2032-01-01T00:00:00Z"},
        "ten years apart",
    ),
}


@pytest.mark.parametrize(("changes", "reason"), TIMES.values(), ids=TIMES)
def test_times_in_another_form_or_that_leave_nothing_are_refused(
    changes: dict[str, object], reason: str
) -> None:
    assert reason in refuse(one(**changes)).reason


def test_bounds_of_exactly_ten_years_and_access_of_a_second_are_read() -> None:
    until = format_time(NOW_S + MAX_SPAN)
    [ask] = parse(one(data_from=format_time(NOW_S), data_until=until, access_until=until))
    assert ask.data_until == ask.access_until == NOW_S + MAX_SPAN
    parse(one(access_until="2026-03-01T12:00:01Z"))


@pytest.mark.parametrize("retention", ["P0D", "P90D", "P2W", "P6M", "P1Y", "P1Y6M", "P1Y2M3D", "P9999D"])
def test_retention_is_a_duration_of_whole_days_or_more(retention: str) -> None:
    assert parse(one(retention=retention))[0].retention == retention


@pytest.mark.parametrize(
    "retention",
    [
        "",
        "P",
        "90",
        "90D",
        "P90",
        "P-1D",
        "p90d",
        "P090D",
        "P1.5Y",
        "PT1H",
        "P1DT1H",
        "P1Y2W",
        "P2W1D",
        "P10000D",
        "P1D\n",
        "P١D",
    ],
)
def test_retention_in_another_form_is_refused(retention: str) -> None:
    assert "retention" in refuse(one(retention=retention)).reason


def test_a_duration_tells_how_many_days_it_is_at_most() -> None:
    days = {"P0D": 0, "P90D": 90, "P2W": 14, "P1M": 31, "P1Y1M1D": 398}
    assert {text: parse_retention(text).at_most_days for text in days} == days


HOSTILE = {
    "ESC": "\x1b[2Jnothing to see",
    "a line end": "fine\r\nApproved: yes",
    "NUL": "a\0b",
    "BEL": "a\x07",
    "DEL": "a\x7fb",
    "C1 control": "a\x9b2Jb",
    "right-to-left override": "\u202egnihton",
    "isolate": "a\u2066b",
    "right-to-left mark": "a\u200fb",
    "Arabic letter mark": "a\u061cb",
    "zero-width space": "a\u200bb",
    "soft hyphen": "a\u00adb",
    "line separator": "a\u2028b",
    "a tag character": "a\U000e0041b",
    "private use": "a\ue000b",
    "a lone surrogate": "a\ud800b",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_could_act_on_a_terminal_is_refused_wherever_it_stands(text: str) -> None:
    for field in ("purpose_text", "benefit"):
        assert f"{field} holds the character U+" in refuse(one(**{field: text})).reason
    assert "recipients holds the character U+" in refuse(one(recipients=[text])).reason
    for changes in (
        {"purpose": text},
        {"datatypes": [text]},
        {"resolution": text},
        {"resolution": {"ideal": "raw", "minimum": text}},
        {"retention": text},
        {"mode": text},
        {"mode": {"ideal": text}},
        {"history": text},
        {"duration": {"ideal": "P30D", "minimum": text}},
        {"frequency": text},
        {text: 1},
    ):
        refuse(one(**changes))  # refuse() checks that nothing of it is echoed as it is


def test_an_error_echoes_a_short_excerpt_only() -> None:
    error = refuse(one(purpose='"\\' + "secret " * 1000))
    assert error.reason.startswith("the purpose '<U+0022><U+005C>secret")
    assert len(error.reason) < 80
    assert str(error) == f"{error.reason}; {error.hint}"


MEGABYTE = 1 << 20
ENORMOUS: dict[str, Callable[[], str | bytes]] = {
    "a purpose": lambda: one(purpose="x" * MEGABYTE),
    "words": lambda: one(purpose_text="x" * MEGABYTE),
    "words, as bytes": lambda: one(purpose_text="x" * MEGABYTE).encode(),
    "marks that turn the text around": lambda: one(benefit="\u202e" * (MEGABYTE // 6)),
    "escapes": lambda: one(benefit="\x1b[31m" * (MEGABYTE // 10)),
    "a mode": lambda: one(mode="x" * MEGABYTE),
    "a resolution": lambda: one(resolution=wish("raw", "x" * MEGABYTE)),
    "a history": lambda: one(history="P" + "9" * MEGABYTE + "D"),
    "a frequency": lambda: one(frequency="PT" + "1H" * (MEGABYTE // 2)),
    "a field": lambda: one(**{"x" * MEGABYTE: 1}),
    "a wish of many members": lambda: one(mode={str(number): "read" for number in range(70_000)}),
    "quotes": lambda: '"' * MEGABYTE,
    "backslashes": lambda: '["' + "\\" * MEGABYTE,
}


@pytest.mark.parametrize("make", ENORMOUS.values(), ids=ENORMOUS)
def test_a_megabyte_is_refused_for_its_size_before_anybody_reads_it(make: Callable[[], str | bytes]) -> None:
    text = make()
    assert len(text) >= 690_000
    error = refuse(text)
    assert "longer than 64 KiB" in error.reason


HUGE: dict[str, dict[str, object]] = {
    "a purpose": {"purpose": "x" * 60_000},
    "words": {"purpose_text": "x" * 60_000},
    "words of four bytes": {"purpose_text": "👩" * 5_000},
    "a mode": {"mode": "x" * 60_000},
    "a minimum": {"resolution": wish("raw", "x" * 60_000)},
    "a history of many digits": {"history": "P" + "9" * 60_000 + "D"},
    "a duration of many zeros": {"duration": "P" + "0" * 60_000 + "1D"},
    "a frequency of many digits": {"frequency": "PT" + "1" * 60_000 + "S"},
    "a frequency of many parts": {"frequency": "P" + "T1H" * 20_000},
    "a retention of many digits": {"retention": "P" + "9" * 60_000 + "D"},
    "a field": {"x" * 60_000: 1},
    "marks that turn the text around": {"benefit": "\u202e" * 10_000},
    "thousands of recipients": {"recipients": [str(number) for number in range(8_000)]},
    "members of a wish": {"mode": {f"{number:05}": 0 for number in range(5_000)}},
}


@pytest.mark.parametrize("changes", HUGE.values(), ids=HUGE)
def test_what_fits_64_kib_and_is_too_long_is_refused_in_few_words(changes: dict[str, object]) -> None:
    error = refuse(one(**changes))
    assert len(str(error)) < 400


def test_no_request_that_was_changed_after_it_was_shown_has_its_hash() -> None:
    """An approval signs the hash of the terms, and that is over the hash of the request."""
    changed: list[dict[str, object]] = [
        {"datatypes": ["gas"]},
        {"datatypes": ["energy", "gas"]},
        {"resolution": "day"},
        {"resolution": wish("raw", "day")},
        {"frequency": "PT1H"},
        {"mode": "once"},
        {"mode": wish("read", "answer")},
        {"data_from": ..., "history": "P1D"},
        {"data_from": ..., "history": wish("P1D", "P0D")},
        {"data_until": ..., "access_until": ..., "duration": "P1D"},
        {"data_from": "2026-01-01T00:00:01Z"},
        {"data_until": "2027-01-01T00:00:01Z"},
        {"access_until": "2027-01-31T00:00:01Z"},
        {"access_until": ...},
        {"purpose": "dpv:Marketing"},
        {"purpose_text": "Bill by what you use."},
        {"purpose_text": "Bill by what you use" + "\u200d"},
        {"retention": "P91D"},
        {"retention": ...},
        {"recipients": ["Grid operator"]},
        {"benefit": "10 % off the base fee!"},
        {"required": False},
    ]
    requests = [parse(one(**changes)) for changes in ({}, *changed)]
    hashes = [ask_hash(asks) for asks in requests]
    assert len(set(hashes)) == len(hashes)
    assert len({terms_hash(request_hash, TERMS) for request_hash in hashes}) == len(hashes)
    # The control: a hash over what is most striking would let most of them pass.
    assert len({(asks[0].kinds, asks[0].purpose) for asks in requests}) < len(hashes) // 4


@given(requests())
def test_what_is_written_is_read_back_the_same(asks: tuple[Ask, ...]) -> None:
    written = format_details(asks)
    assert parse(json.dumps(written)) == asks
    assert parse(json.dumps(written, ensure_ascii=False)) == asks
    assert format_details(parse(json.dumps(written))) == written


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_any_fields_are_read_and_written_back_or_refused(changes: dict[str, Any]) -> None:
    text = json.dumps([{**DETAIL, **changes}])
    try:
        asks = parse(text)
    except RequestError:
        refuse(text)
    else:
        assert parse(json.dumps(format_details(asks))) == asks


@given(st.binary(max_size=200) | st.text('[]{}",:\\u0ntf \ud800\ufeff', max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes | str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(text)
    assert DESCRIPTION.fullmatch(str(caught.value))


@given(requests(), requests())
def test_two_requests_have_one_hash_only_if_they_are_the_same(
    asks: tuple[Ask, ...], others: tuple[Ask, ...]
) -> None:
    assert (ask_hash(asks) == ask_hash(others)) is (asks == others)
