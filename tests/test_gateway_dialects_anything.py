"""No input makes a dialect raise, and what comes out is fit for the vault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import DialectSettings, Lesson, Notebook, Reading
from gateway.dialects.reading import NAMES, PLAIN
from gateway.dialects.rules import Check, Field, Rule, Time
from policies.kinds import catalogue
from tests.dialect_shapes import CASES, FILES, OWN, RULES, Case, messages
from tests.oracle import DAY, check, hold, whole
from vault.observation import Observation, Place

FIELDS = """
    _type lat lon acc tst batt vel n bn bt bu bv bs bver u v vs vb vd s t time ts unit value event state
    contact temperature Temperature power battery voltage action ENERGY Power Time Epoch TempUnit Wifi
    Signal POWER availability location steps params switch:0 src id mac rssi model data metrics name units
    qty date payload sessionId messageId values state_topic device_class value_template cmps command
"""
field_names = st.sampled_from(FIELDS.split()) | st.text(max_size=6)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        [
            "ON",
            "online",
            "open",
            "21.5",
            "2026-01-01T00:00:00",
            "°F",
            "",
            "location",
            "Cel",
            -1,
            "NaN",
            "1e999",
        ]
    )
    | st.sampled_from([1_790_000_000, 1_790_000_000_000, 1_790_000_000_000_000_000, -(2**63), 2**64, 1e300])
    | st.text(max_size=8)
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(field_names, inner, max_size=6),
    max_leaves=12,
)
TOPICS = sorted({case.topic for case in CASES} | {topic for case in CASES for topic, _ in case.before})
topics = st.sampled_from(TOPICS) | st.text(max_size=20)
senml_packs = st.lists(st.dictionaries(field_names, json_values, max_size=5), max_size=4)
arrivals = st.just(1_790_000_000_000) | st.integers(min_value=0, max_value=4_000_000_000_000)

TAUGHT = (
    Rule(
        topic="{a}/{b...?}",
        channel="{b}/{=name}",
        others="ignore",
        time=(Time("t"), Time("Time", "%Y-%m-%d %H:%M:%S")),
        fields=(
            Field("v", kind="{=name}", unit="{=u}", scale=1e300),
            Field("value", kind="temperature", offset=-1e308, drop_if=(-1, "NaN")),
            Field(kind="location", lat="lat", lon="lon", accuracy="acc"),
            Field("event", kind="app_event", details=("data", "$", "")),
            Field("state", fact="{a}/{=name}"),
        ),
    ),
    Rule(
        topic="{a...}",
        each="data.metrics[].data[]",
        fields=(Field("qty", kind="{=^name}", unit="{=^^units}"),),
    ),
    Rule(topic="{t...}", format="value", member="{t}", when={"{t}": Check(most=5)}, kinds={"x": "switch"}),
    Rule(
        topic="{t...}",
        format="text",
        fields=(Field(kind="{@{t}}", enum={"ON": True, "1": 1.5, "a": "deep"}),),
    ),
)
any_settings = st.builds(
    DialectSettings,
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "America/St_Johns"]),
    dialect=st.just("") | st.sampled_from(NAMES),
    own=st.just(()) | st.just(OWN) | st.lists(st.text(max_size=4), max_size=2).map(tuple),
    secret=st.sampled_from(["", "s3cr3t"]) | st.text(max_size=40),
    taught=st.just(()) | st.lists(st.sampled_from(TAUGHT), max_size=3).map(tuple),
)
any_notebook = any_settings.map(Notebook)


@given(topics, st.binary(max_size=200), arrivals, any_notebook)
def test_any_bytes_are_read_without_an_exception(
    topic: str, payload: bytes, arrival: int, notebook: Notebook
) -> None:
    hold(topic, payload, arrival, notebook)


@settings(max_examples=400)
@given(topics, json_values | senml_packs, arrivals, any_notebook)
def test_any_json_is_read_without_an_exception(
    topic: str, document: Any, arrival: int, notebook: Notebook
) -> None:
    hold(topic, json.dumps(document).encode(), arrival, notebook)


@settings(max_examples=1000)
@given(messages(json_values), arrivals, any_settings, st.booleans())
def test_what_a_rule_looks_for_may_hold_anything(
    sent: tuple[str, bytes, str], arrival: int, chosen: DialectSettings, forced: bool
) -> None:
    topic, payload, dialect = sent
    hold(topic, payload, arrival, Notebook(DialectSettings(dialect=dialect, own=OWN) if forced else chosen))


def test_every_rule_of_every_dialect_is_among_them() -> None:
    assert {dialect.name for dialect, _ in RULES} <= set(NAMES) - {PLAIN}
    assert {path.stem for path in FILES} <= set(NAMES), "vectors of a dialect that there is not"
    assert {case.dialect for case in CASES} >= set(NAMES), "a dialect without a product's own words"


OBJECTS = [case for case in CASES if isinstance(case.document, dict) and case.document]


@st.composite
def altered(draw: st.DrawFn) -> tuple[Case, bytes]:
    """What a device sends, with fields added, replaced or filled with something else."""
    case = draw(st.sampled_from(OBJECTS))
    document = json.loads(case.payload)
    places = [document]
    for place in places:
        if len(places) < 40:
            inner = place.values() if isinstance(place, dict) else place
            places += [value for value in inner if isinstance(value, dict | list) and value]
    place = draw(st.sampled_from(places))
    if isinstance(place, dict):
        names = field_names | st.sampled_from(sorted(place))
        place.update(draw(st.dictionaries(names, json_values, max_size=3)))
    else:
        place[draw(st.integers(0, len(place) - 1))] = draw(json_values)
    return case, json.dumps(document).encode()


@settings(max_examples=1000)
@given(
    altered(), arrivals, any_settings, st.sampled_from(["as it is", "at another time", "in another dialect"])
)
def test_a_device_s_payload_with_other_fields_is_read_without_an_exception(
    sent: tuple[Case, bytes], arrival: int, chosen: DialectSettings, how: str
) -> None:
    case, payload = sent
    notebook = Notebook(chosen) if how == "in another dialect" else case.notebook()
    hold(case.topic, payload, case.arrival if how == "as it is" else arrival, notebook)


TEACHING = [(case, at) for case in CASES for at in range(len(case.before))]


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    """The same bytes with a few of them changed."""
    payload = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(payload)))
        end = draw(st.integers(at, min(len(payload), at + 3)))
        payload[at:end] = draw(
            st.binary(max_size=4)
            | st.sampled_from(
                [b"-", b"9" * 20, b'"', b"{", b"null", b"}}", b"{{", b"$", b"..", b"[]", b"\\u0000"]
            )
        )
    return bytes(payload)


@settings(max_examples=400)
@given(st.sampled_from(CASES), st.data())
def test_a_device_s_payload_with_bytes_changed_is_read_without_an_exception(
    case: Case, data: st.DataObject
) -> None:
    hold(case.topic, data.draw(mutated(case.payload)), case.arrival, case.notebook())


@settings(max_examples=400)
@given(st.data())
def test_what_a_device_says_wrongly_of_itself_harms_no_later_reading(data: st.DataObject) -> None:
    """Lessons with bytes changed are learned as they come, and the message after them is read."""
    if not TEACHING:
        return
    case, wrong = data.draw(st.sampled_from(TEACHING))
    notebook = Notebook(case.settings)
    for at, (topic, payload) in enumerate(case.before):
        sent = data.draw(mutated(payload)) if at == wrong else payload
        hold(topic, sent, case.arrival, notebook)
    hold(case.topic, case.payload, case.arrival, notebook)
    again = Notebook(case.settings, Notebook.decode_lessons(notebook.lessons_bytes()))
    assert again.lessons == notebook.lessons
    hold(case.topic, case.payload, case.arrival, again)


@st.composite
def sound_packs(draw: st.DrawFn) -> bytes:
    """SenML whose records have the right types, and any values."""
    number = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
    record = st.fixed_dictionaries(
        {"n": st.sampled_from(["temperature", "x:power", "hall:contact", "d", "lat", ""])},
        optional={
            "bn": st.sampled_from(["urn:dev:1:", "", "home/"]),
            "u": st.sampled_from(["Cel", "W", "lat", "lon", "%EL", "kat", "degF"]),
            **dict.fromkeys(("bt", "t", "bv", "s", "bs"), number),
        },
    )
    value = st.fixed_dictionaries({"v": number}) | st.fixed_dictionaries({"vb": st.booleans()})
    records = draw(st.lists(st.tuples(record, value), min_size=1, max_size=4))
    return json.dumps([{**fields, **measured} for fields, measured in records]).encode()


@settings(max_examples=400)
@given(sound_packs(), arrivals)
def test_any_sound_senml_is_read_without_an_exception(pack: bytes, arrival: int) -> None:
    hold("any/topic", pack, arrival, Notebook())


unknown_names = st.from_regex(r"\Azq[a-z]{0,5}\Z")
unknown = st.dictionaries(
    unknown_names,
    st.recursive(
        st.integers() | st.booleans() | st.text(min_size=1, max_size=8),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(unknown_names, inner, min_size=1, max_size=3)
        ),
        max_leaves=6,
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300)
@given(unknown, st.sampled_from(["", *NAMES]), st.sampled_from(["zq/zq", "zq", "a b/ü/zq"]))
def test_what_nobody_knows_is_quarantined_whole_in_every_dialect(
    document: dict[str, Any], dialect: str, topic: str
) -> None:
    found = hold(
        topic, json.dumps(document).encode(), 1_790_000_000_000, Notebook(DialectSettings(dialect=dialect))
    )
    assert whole(found)


@given(
    st.binary(min_size=1, max_size=64).filter(lambda data: not _is_utf8(data)), st.sampled_from(["", *NAMES])
)
def test_bytes_that_are_no_text_are_quarantined_whole_or_kept_as_a_file(data: bytes, dialect: str) -> None:
    found = hold("zq/zq", data, 1_790_000_000_000, Notebook(DialectSettings(dialect=dialect)))
    assert whole(found) or found.blob


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(
    st.lists(st.builds(Lesson, st.text(max_size=8), st.lists(st.sampled_from(TAUGHT), max_size=2).map(tuple)))
)
def test_lessons_come_back_as_they_were_stored(lessons: list[Lesson]) -> None:
    notebook = Notebook(lessons=lessons)
    assert Notebook.decode_lessons(notebook.lessons_bytes()) == notebook.lessons


@given(st.binary(max_size=200))
def test_lessons_that_cannot_be_read_are_none(data: bytes) -> None:
    assert isinstance(Notebook.decode_lessons(data), tuple)


def test_the_check_itself_finds_what_it_is_to_find() -> None:
    """The control: readings that must not be, and each is found out."""
    now = 1_790_000_000_000
    wrong = [
        Observation("", "temperature", now, float("nan")),
        Observation("", "temperature", now, 1000.0),
        Observation("", "temperature", now, "warm"),
        Observation("", "temperature", now - 401 * DAY, 20.0),
        Observation("", "temperature", now + 301_000, 20.0),
        Observation("", "temperature", now - 1, 20.0, 5),
        Observation("", "location", now, Place(91.0, 0.0)),
        Observation("", "sleep_stage", now, "snoring"),
        Observation("", "app_event", now, "a\0"),
        Observation("x" * 256, "temperature", now, 20.0),
        Observation("", "motion", now, 1.0),
    ]
    for observation in wrong:
        with pytest.raises(AssertionError):
            check(observation, now)
    check(Observation("", "temperature", now, 20.0), now)
    assert not whole(Reading(PLAIN, (Observation("", "temperature", now, 20.0),), True, 0))
    assert catalogue().find("zqa") is None
