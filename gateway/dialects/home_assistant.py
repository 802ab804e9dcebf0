"""Home Assistant's MQTT discovery (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery).

A message on <prefix>/<component>/[<node>/]<object>/config declares an entity, one on
<prefix>/device/<object>/config many; both teach what is published elsewhere, and hold no readings.  An
empty one takes it back.

What is declared of ESPHome's and Zigbee2MQTT's topics is added to what our dialects know of them.  Of a
topic of any other dialect nothing is learned: they know better, and what is declared of Theengs' topics is
of the neighbours' sensors as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gateway.dialects import plain
from gateway.dialects.decode import decode
from gateway.dialects.detect import of_topic
from gateway.dialects.entities import declared
from gateway.dialects.entity_keys import Declared, Entity
from gateway.dialects.notebook import Notebook
from gateway.dialects.reading import Lesson, Reading
from gateway.dialects.rules import Field, Format, Rule, Time, literal

NAME = "home-assistant"
DEVICE = "device"
ENTITIES_MAX = 512  # of a device
TOPICS_MAX = 1024  # of a message; what a device declares beyond it is read as if it had not
FIELDS_MAX = 512  # of a topic

# Keys that may be shortened, of those that are read here.
SHORT: Mapping[str, str] = {
    "avty": "availability",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "bri_scl": "brightness_scale",
    "bri_stat_t": "brightness_state_topic",
    "bri_val_tpl": "brightness_value_template",
    "cmps": "components",
    "curr_hum_t": "current_humidity_topic",
    "curr_hum_tpl": "current_humidity_template",
    "curr_temp_t": "current_temperature_topic",
    "curr_temp_tpl": "current_temperature_template",
    "dev_cla": "device_class",
    "e": "encoding",
    "ent_cat": "entity_category",
    "json_attr": "json_attributes_topic",
    "json_attr_t": "json_attributes_topic",
    "json_attr_tpl": "json_attributes_template",
    "p": "platform",
    "pl_avail": "payload_available",
    "pl_home": "payload_home",
    "pl_not_avail": "payload_not_available",
    "pl_not_home": "payload_not_home",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "pos_clsd": "position_closed",
    "pos_open": "position_open",
    "pos_t": "position_topic",
    "pos_tpl": "position_template",
    "stat_closing": "state_closing",
    "stat_clsd": "state_closed",
    "stat_locked": "state_locked",
    "stat_off": "state_off",
    "stat_on": "state_on",
    "stat_open": "state_open",
    "stat_opening": "state_opening",
    "stat_stopped": "state_stopped",
    "stat_t": "state_topic",
    "stat_unlocked": "state_unlocked",
    "stat_val_tpl": "state_value_template",
    "t": "topic",
    "temp_stat_t": "temperature_state_topic",
    "temp_stat_tpl": "temperature_state_template",
    "temp_unit": "temperature_unit",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}

# What the entities of a device have in common may stand beside them.
SHARED = (
    "availability",
    "availability_template",
    "availability_topic",
    "encoding",
    "payload_available",
    "payload_not_available",
    "state_topic",
)
_BASE = "~"
ASPECTS = frozenset(("climate", "cover", "fan", "valve"))  # components of ESPHome with several states

# Where an object in no dialect of ours says when; Home Assistant has no word for it.
TIMES = tuple(map(Time, plain.TIMES))


def read(topic: str, payload: bytes, _arrival: int, _notebook: Notebook) -> Reading | None:
    """Learn what an entity or a device declares."""
    component, name = _subject(topic)
    if not payload.strip():
        return Reading(NAME, (), False, 0, lessons=(Lesson(topic, dialect=NAME),))
    document = decode(payload)
    if not isinstance(document, dict):
        return None
    if component == DEVICE:
        entities = _of_device(document)
    else:
        entities = iter([(component, _based(_full(document), None), name)])
    rules = _rules(one for entity in entities for one in declared(*entity))
    return Reading(NAME, (), False, 0, lessons=(Lesson(topic, rules, dialect=NAME),))


def _subject(topic: str) -> tuple[str, str]:
    """The component, and what the object is called."""
    levels = topic.split("/")
    return (levels[1], levels[-2]) if len(levels) in (4, 5) else ("", "")


def _of_device(document: Mapping[str, Any]) -> Iterator[tuple[str, Entity, str]]:
    """The entities of one device, each with what they have in common."""
    device = _full(document)
    components = device.get("components")
    if not isinstance(components, dict):
        return
    shared = {key: device[key] for key in SHARED if key in device}
    for name, component in list(components.items())[:ENTITIES_MAX]:
        if isinstance(component, dict):
            entity = _full(component)
            platform = entity.get("platform")
            if isinstance(platform, str) and len(entity) > 1:  # alone, it takes the entity back
                yield platform, _based({**shared, **entity}, device.get(_BASE)), name


def _full(keys: Mapping[str, Any]) -> dict[str, Any]:
    """The same with its keys in full."""
    full = {SHORT.get(key, key): value for key, value in keys.items()}
    availability = full.get("availability")
    if isinstance(availability, list):
        full["availability"] = [_full(one) if isinstance(one, dict) else one for one in availability]
    elif isinstance(availability, dict):
        full["availability"] = _full(availability)
    return full


def _based(entity: dict[str, Any], shared: object) -> Entity:
    """The same with the base topic in its place, at the beginning or the end of a topic."""
    base = entity.get(_BASE, shared)
    if not isinstance(base, str):
        return entity
    based = {key: _whole(value, base) if key.endswith("topic") else value for key, value in entity.items()}
    availability = based.get("availability")
    if isinstance(availability, dict):
        availability = [availability]
    if isinstance(availability, list):
        based["availability"] = [
            {**one, "topic": _whole(one.get("topic"), base)} for one in availability if isinstance(one, dict)
        ]
    return based


def _whole(topic: object, base: str) -> object:
    if not isinstance(topic, str):
        return topic
    if topic.startswith(_BASE):
        return base + topic[1:]
    return topic[:-1] + base if topic.endswith(_BASE) else topic


def _rules(fields: Iterable[Declared]) -> tuple[Rule, ...]:
    """One rule a topic and form, with the fields of all entities that share it, each once."""
    found: dict[tuple[str, Format], dict[bytes, Field]] = {}
    passed: dict[tuple[str, Format], dict[str, None]] = {}
    bases: dict[tuple[str, Format], str | None] = {}
    for one in fields:
        key = (one.topic, one.format)
        if key not in bases:
            if len(bases) == TOPICS_MAX:  # to look for a topic's dialect is what takes long
                continue
            bases[key] = _base(*key)
        if bases[key] is None:
            continue
        known = found.setdefault(key, {})
        if len(known) < FIELDS_MAX:
            known.setdefault(msgspec.json.encode(one.field), one.field)
            passed.setdefault(key, {}).update(dict.fromkeys(one.passed))
    return tuple(
        Rule(
            topic=literal(topic),
            format=form,
            channel=literal(bases[topic, form] or ""),
            time=TIMES if form == "json" and of_topic(topic) in (None, "esphome") else (),
            fields=tuple(known.values()),
            ignore=tuple(passed[topic, form]),
            others="quarantine",  # what no entity names is left to the dialect
        )
        for (topic, form), known in found.items()
    )


def _base(topic: str, form: Format) -> str | None:
    """The channel of a topic, the one that it has without discovery; None: nothing is learned about it."""
    match of_topic(topic):
        case None:
            return topic
        case "zigbee2mqtt":
            name = topic.removeprefix("zigbee2mqtt/")
            return None if name.startswith("bridge/") or name.endswith("/availability") else name
        case "esphome":
            return _of_node(topic, form) or topic
        case _:
            return None


def _of_node(topic: str, form: Format) -> str:
    """<node>/<name> of ESPHome's topics; an object there, unless it is a lamp's, is somebody else's."""
    levels = topic.split("/")
    if len(levels) > 4 and levels[-4] in ASPECTS:  # <node>/cover/<name>/position/state
        return "/".join([*levels[:-4], levels[-3]])
    if len(levels) < 4 or (form != "value" and levels[-3] != "light"):
        return ""
    return "/".join([*levels[:-3], levels[-2]])  # <node>/sensor/<name>/state
