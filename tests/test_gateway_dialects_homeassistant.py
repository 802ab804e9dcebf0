"""Home Assistant's discovery beyond single messages: what is learned, kept, replaced and refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import DialectSettings, Lesson, Notebook, Reading, read
from gateway.dialects.books import GROUP_MAX
from gateway.dialects.entities import AVAILABILITY_MAX
from gateway.dialects.home_assistant import ENTITIES_MAX, SHORT, TOPICS_MAX
from vault.observation import Observation

NOW = 1_790_000_000_000
CONFIG = "homeassistant/sensor/x/config"
SENSOR = {
    "device_class": "temperature",
    "state_topic": "attic/state",
    "unit_of_measurement": "°C",
    "value_template": "{{ value_json.inside.t }}",
    "availability": [{"topic": "attic/there", "payload_available": "yes", "payload_not_available": "no"}],
}


def say(topic: str, document: Any, notebook: Notebook | None = None) -> Reading:
    payload = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    return read(topic, payload, NOW, notebook or Notebook())


def lesson(document: Any, topic: str = CONFIG) -> Lesson:
    reading = say(topic, document)
    assert (reading.dialect, reading.observations, reading.quarantine) == ("home-assistant", (), False)
    (found,) = reading.lessons
    return found


def learned(*documents: tuple[str, Any]) -> Notebook:
    notebook = Notebook()
    for topic, document in documents:
        notebook.learn(lesson(document, topic))
    return notebook


def series(reading: Reading) -> list[tuple[str, str, Any]]:
    return sorted((one.channel, one.kind, one.value) for one in reading.observations)


def short(document: dict[str, Any]) -> dict[str, Any]:
    keys = {full: key for key, full in SHORT.items()}
    return {
        keys.get(key, key): [short(one) for one in value] if isinstance(value, list) else value
        for key, value in document.items()
    }


def test_a_shortened_message_teaches_the_same() -> None:
    assert short(SENSOR).keys() == {"dev_cla", "stat_t", "unit_of_meas", "val_tpl", "avty"}
    assert lesson(short(SENSOR)).rules == lesson(SENSOR).rules


@pytest.mark.parametrize("base", ["attic", "a/b/attic"])
def test_a_base_topic_stands_at_the_beginning_or_the_end(base: str) -> None:
    based = {**SENSOR, "~": base, "state_topic": "~/state", "availability": {"t": "there/~"}}
    whole = {**SENSOR, "state_topic": f"{base}/state", "availability": {"topic": f"there/{base}"}}
    assert lesson(based).rules == lesson(whole).rules


def test_a_device_s_message_teaches_what_its_entities_would() -> None:
    device = {"device": {"ids": "1"}, "cmps": {"x": {"p": "sensor", **SENSOR}, "y": {"p": "button"}}}
    assert lesson(device, "homeassistant/device/attic/config").rules == lesson(SENSOR).rules


def test_what_is_learned_can_be_stored_and_taken_up_again() -> None:
    notebook = learned((CONFIG, SENSOR))
    again = Notebook(lessons=Notebook.decode_lessons(notebook.lessons_bytes()))
    sent = {"inside": {"t": 21.5}}
    assert series(say("attic/state", sent, again)) == [("attic/state/inside/t", "temperature", 21.5)]
    assert say("attic/state", sent, again) == say("attic/state", sent, notebook)


def test_a_later_message_on_the_same_topic_counts() -> None:
    notebook = learned(
        (CONFIG, SENSOR), (CONFIG, {**SENSOR, "device_class": "humidity", "unit_of_measurement": "%"})
    )
    assert [one.kind for one in say("attic/state", {"inside": {"t": 21}}, notebook).observations] == [
        "humidity"
    ]


@pytest.mark.parametrize("nothing", ["", " ", "\n"])
def test_an_empty_message_forgets(nothing: str) -> None:
    notebook = learned((CONFIG, SENSOR), (CONFIG, nothing))
    assert notebook.lessons == ()
    assert say("attic/there", "yes", notebook).quarantine


def test_what_many_entities_say_of_their_device_is_one_reading() -> None:
    configs = [
        (f"homeassistant/sensor/{n}/config", {**SENSOR, "state_topic": f"attic/{n}"}) for n in range(50)
    ]
    assert series(say("attic/there", "no", learned(*configs))) == [("attic/there", "connectivity", False)]


def test_entities_that_share_a_field_are_both_read() -> None:
    """The same place may be a number to one and a word to another."""
    kinds = ("power", "apparent_power")
    units = ("W", "VA")
    configs = [
        (f"homeassistant/sensor/{kind}/config", {**SENSOR, "device_class": kind, "unit_of_measurement": unit})
        for kind, unit in zip(kinds, units, strict=True)
    ]
    found = say("attic/state", {"inside": {"t": 5}}, learned(*configs))
    assert {one.kind for one in found.observations} == set(kinds)


def test_a_neighbour_s_sensor_is_not_let_in_by_being_declared() -> None:
    """Theengs declares all that it hears; whose a sensor is, only the person says."""
    topic = "home/OpenMQTTGateway/BTtoMQTT/AABBCCDDEEFF"
    config = {
        "dev_cla": "temperature",
        "stat_t": topic,
        "unit_of_meas": "°C",
        "val_tpl": "{{ value_json.tempc }}",
    }
    assert lesson(config).rules == ()
    own = Notebook(DialectSettings(own=("11:22:33:44:55:66",)), [lesson(config)])
    reading = say(topic, {"id": "AA:BB:CC:DD:EE:FF", "tempc": 21.5}, own)
    assert (reading.observations, reading.foreign, reading.quarantine) == ((), 1, False)


REFUSED: dict[str, Any] = {
    "no topic": {"device_class": "temperature"},
    "a topic with a wildcard": {**SENSOR, "state_topic": "attic/+/state", "availability": []},
    "a topic that is everything": {**SENSOR, "state_topic": "#", "availability": []},
    "a topic that is no text": {**SENSOR, "state_topic": 5, "availability": []},
    "a topic too long for a channel": {**SENSOR, "state_topic": "a" * 256, "availability": []},
    "a class that is no kind": {**SENSOR, "device_class": "monetary", "availability": []},
    "a class of words": {**SENSOR, "device_class": "enum", "availability": []},
    "a path too long": {**SENSOR, "value_template": f"{{{{ value_json.{'a' * 256} }}}}", "availability": []},
    "bytes": {**SENSOR, "encoding": ""},
    "the availability of nothing": {"availability": ["x", 5, {"topic": None}, {}]},
    "components that are none": {"components": [1, 2]},
}


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
def test_nothing_is_learned_from(document: Any) -> None:
    assert lesson(document).rules == ()


@pytest.mark.parametrize("payload", ["[]", "5", "null", "{", '{"a":1,"a":2}', "\x00"])
def test_what_is_no_object_is_not_understood(payload: str) -> None:
    reading = say(CONFIG, payload)
    assert (reading.quarantine, reading.lessons) == (True, ())


def test_a_device_of_many_entities_is_learned_up_to_a_limit() -> None:
    components = {
        f"c{n}": {**SENSOR, "p": "sensor", "value_template": f"{{{{ value_json.t{n} }}}}", "availability": []}
        for n in range(ENTITIES_MAX + 1)
    }
    found = lesson({"cmps": components}, "homeassistant/device/x/config")
    assert [len(rule.fields) for rule in found.rules] == [ENTITIES_MAX]
    assert Notebook().learn(found)


def test_one_message_teaches_so_many_topics() -> None:
    """Of each it must be asked whose it is, and everybody's commits wait for that."""
    components = {
        f"c{n}": {
            "platform": "switch",
            "state_topic": "lamp/state",
            "availability": [{"topic": f"hall/{n}/{m}"} for m in range(AVAILABILITY_MAX)],
        }
        for n in range(ENTITIES_MAX)
    }
    found = lesson({"components": components}, "homeassistant/device/x/config")
    assert len(found.rules) == TOPICS_MAX


def test_topics_with_braces_are_taken_as_they_are() -> None:
    topic = "attic/{what...}/{{state}}"
    notebook = learned((CONFIG, {**SENSOR, "state_topic": topic, "value_template": None}))
    assert series(say(topic, "21.5", notebook)) == [(topic, "temperature", 21.5)]
    assert say("attic/x/{state}", "21.5", notebook).quarantine


def test_a_fahrenheit_that_is_declared_is_not_read_as_celsius() -> None:
    """The control: without the declaration it is."""
    config = {
        "state_topic": "attic",
        "unit_of_measurement": "°F",
        "value_template": "{{ value_json.temperature }}",
    }
    expected = Observation("attic", "temperature", NOW, 10.0)
    assert say("attic", {"temperature": 50}, learned((CONFIG, config))).observations == (expected,)
    assert say("attic", {"temperature": 50}).observations[0].value == 50.0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(sorted({*SHORT, *SHORT.values(), "~", "cmps", "components", "schema", "platform"}))
COMPONENTS = (
    "binary_sensor climate cover device device_tracker event fan humidifier light lock sensor siren switch"
).split()
texts = st.sampled_from(
    ["{{ value }}", "{{ value_json.a['b'] | float * 2 }}", "~/x", "x/~", "a/b", "°C", "on", "ON"]
)


@pytest.mark.parametrize("odd", [[], {}, [[]], {"a": []}, True, -1, 1e300, None, ""], ids=repr)
@pytest.mark.parametrize("component", COMPONENTS)
def test_no_member_of_another_type_makes_a_declaration_raise(component: str, odd: Any) -> None:
    topics = {name: "a/b" for name in SHORT.values() if name.endswith("_topic")}
    for name in sorted({*SHORT.values(), "schema", "platform", "~"}):
        for rest in ({}, topics, {**topics, "schema": "json"}):
            say(f"homeassistant/{component}/x/config", {**rest, name: odd})


@settings(max_examples=500)
@given(
    st.sampled_from(COMPONENTS),
    st.dictionaries(keys, json_values | texts, max_size=12),
    st.dictionaries(keys, json_values | texts, max_size=12),
    json_values,
)
def test_no_declaration_makes_anything_raise(
    component: str, document: dict[str, Any], inner: dict[str, Any], sent: Any
) -> None:
    """Nor do the payloads of the topics that it declares."""
    notebook = Notebook()
    for config in (document, {**document, "components": {"x": {"platform": "sensor", **inner}}}):
        for one in say(f"homeassistant/{component}/x/config", config).lessons:
            notebook.learn(one)
            for rule in one.rules:
                topic = str(rule.topic).replace("{{", "{").replace("}}", "}")
                say(topic, sent, notebook)
                say(topic, "ON", notebook)


def test_one_topic_has_a_limit_of_rules_and_the_first_count() -> None:
    configs = [
        (
            f"homeassistant/sensor/{n}/config",
            {"device_class": "power", "state_topic": "hub", "value_template": f"{{{{ value_json.p{n} }}}}"},
        )
        for n in range(GROUP_MAX + 10)
    ]
    reading = say("hub", {f"p{n}": 1 for n in range(GROUP_MAX + 10)}, learned(*configs))
    assert len(reading.observations) == GROUP_MAX
    assert reading.quarantine
