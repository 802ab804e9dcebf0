"""Home Assistant's entities: what one of them declares -> which field of which topic is which reading.

An entity is a component of MQTT discovery with its keys in full.  Only those that measure or switch are
looked at; what an entity can be told, how it looks and what it is called are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from gateway.dialects.entity_keys import (
    Declared,
    Entity,
    Words,
    declare,
    in_cases,
    last_of,
    part_of,
    template_at,
    text_of,
    topic_at,
    word_at,
)
from gateway.dialects.rules import Field, literal
from policies.kinds import Kind, catalogue

AVAILABILITY_MAX = 16  # topics an entity

# Device classes that are not named like our kinds; "" has none.
SENSORS: Mapping[str, str] = {"enum": "", "timestamp": ""}
BINARY_SENSORS: Mapping[str, str] = {
    "battery": "battery_low",
    "carbon_monoxide": "carbon_monoxide_alarm",
    "gas": "gas_alarm",
    "moisture": "water_leak",
    "moving": "motion",
    "plug": "plugged_in",
    "power": "",  # there is some: a number elsewhere
}
COVERS: Mapping[str, str] = {"door": "door", "garage": "garage_door", "gate": "door", "window": "window"}
BUTTONS = frozenset(("button", "doorbell"))  # of events; any other is an app_event
_OWN = frozenset(("config", "diagnostic"))  # categories of what tells of the device itself
_LAMP = ("color", "color_mode", "color_temp", "effect", "transition", "white")


def declared(component: str, entity: Entity, name: str) -> Iterator[Declared]:
    """What an entity's payloads mean; ``name`` is the last part of its id, such as "temperature"."""
    if entity.get("encoding", "utf-8") not in ("utf-8", "UTF-8", "utf8"):
        return
    match component:
        case "sensor" | "binary_sensor":
            yield from _sensor(component, entity, name)
        case "switch" | "siren":
            yield from _state(entity, "switch", _on_off(entity))
        case "light":
            yield from _light(entity)
        case "fan" | "humidifier":
            yield from _state(entity, "switch", _on_off(entity), template="state_value_template")
        case "lock":
            locked, unlocked = (
                word_at(entity, "state_locked", "LOCKED"),
                word_at(entity, "state_unlocked", "UNLOCKED"),
            )
            yield from _state(entity, "lock", in_cases({unlocked: True, locked: False}))
        case "cover":
            yield from _cover(entity)
        case "climate" | "water_heater":
            yield from _climate(entity)
        case "event":
            yield from _event(entity)
        case "device_tracker":
            yield from _tracker(entity)
        case _:  # buttons, numbers to set, pictures: nothing is measured
            return
    yield from _availability(entity)


def _sensor(component: str, entity: Entity, name: str) -> Iterator[Declared]:
    template = template_at(entity, "value_template")
    topic = topic_at(entity, "state_topic")
    if template is None or topic is None:
        return
    called = last_of(template) or name
    kind = _kind(component, text_of(entity.get("device_class")), called)
    if kind is None:
        if text_of(entity.get("entity_category")) in _OWN and template.path:
            yield declare(topic, template, Field())  # understood: the device about itself
        return
    field = Field(kind=kind.name, channel=part_of(template, kind, called))
    if kind.type == "boolean":
        if component == "sensor":
            return  # in words of the entity's own
        field = msgspec.structs.replace(field, enum=in_cases(_on_off(entity)))
    elif kind.type == "number":
        unit = text_of(entity.get("unit_of_measurement"))
        field = msgspec.structs.replace(field, unit=literal(unit))
    yield declare(topic, template, field)


def _kind(component: str, device_class: str, called: str) -> Kind | None:
    """The kind of a device class, else the one that the value itself is called after."""
    kinds = catalogue()
    if not device_class:
        found = kinds.find(called)
        if found is None or found.type not in ("number", "boolean"):
            return None
        return found if (found.type == "boolean") is (component == "binary_sensor") else None
    name = (SENSORS if component == "sensor" else BINARY_SENSORS).get(device_class, device_class)
    found = kinds.find(name) if name else None
    if found is None or found.type not in ("number", "boolean"):
        return None
    return found if (found.type == "boolean") is (component == "binary_sensor") else None


def _on_off(entity: Entity) -> Words:
    on, off = word_at(entity, "payload_on", "ON"), word_at(entity, "payload_off", "OFF")
    return {word_at(entity, "state_off", off): False, word_at(entity, "state_on", on): True}


def _state(
    entity: Entity, kind: str, words: Words, *, template: str = "value_template"
) -> Iterator[Declared]:
    """The state of something that is one of two."""
    topic, read = topic_at(entity, "state_topic"), template_at(entity, template)
    if topic is not None and read is not None:
        found = catalogue().kind(kind)
        part = part_of(read, found, last_of(read) or "state")
        yield declare(topic, read, Field(kind=kind, channel=part, enum=in_cases(words)))


def _light(entity: Entity) -> Iterator[Declared]:
    most = entity.get("brightness_scale", 255)
    most = float(most) if isinstance(most, int | float) and 1 <= most <= 65535 else 255.0
    unit = f"/{most:g}"
    if unit in catalogue().kind("brightness").units:
        brightness = Field(kind="brightness", unit=unit)
    else:
        brightness = Field(kind="brightness", scale=100 / most)
    match entity.get("schema", "basic"):
        case "json":
            topic = topic_at(entity, "state_topic")
            if topic is None:
                return
            words: Words = {"ON": True, "OFF": False}
            yield Declared(topic, "json", Field(path="state", kind="switch", enum=in_cases(words)), _LAMP)
            yield Declared(topic, "json", msgspec.structs.replace(brightness, path="brightness"))
        case "basic":
            yield from _state(entity, "switch", _on_off(entity), template="state_value_template")
            yield from _number(entity, "brightness_state_topic", "brightness_value_template", brightness)


def _cover(entity: Entity) -> Iterator[Declared]:
    """How far it is open; where it says only whether, and is one of our kinds, that."""
    closed, opened = entity.get("position_closed", 0), entity.get("position_open", 100)
    if "position_topic" in entity:
        if isinstance(closed, int) and isinstance(opened, int) and 0 < abs(opened - closed) <= 65535:
            scale = 100 / (opened - closed)
            field = Field(kind="cover_position", scale=scale, offset=-closed * scale)
            yield from _number(entity, "position_topic", "position_template", field)
        return
    kind = COVERS.get(text_of(entity.get("device_class")))
    if kind is not None:
        words: Words = {
            word_at(entity, "state_stopped", "stopped"): True,
            word_at(entity, "state_opening", "opening"): True,
            word_at(entity, "state_closing", "closing"): True,
            word_at(entity, "state_open", "open"): True,
            word_at(entity, "state_closed", "closed"): False,
        }
        yield from _state(entity, kind, words)


def _climate(entity: Entity) -> Iterator[Declared]:
    unit = {"C": "Cel", "F": "°F"}.get(text_of(entity.get("temperature_unit")), "")
    for topic, template, field in (
        ("current_temperature_topic", "current_temperature_template", Field(kind="temperature", unit=unit)),
        (
            "temperature_state_topic",
            "temperature_state_template",
            Field(kind="target_temperature", unit=unit),
        ),
        ("current_humidity_topic", "current_humidity_template", Field(kind="humidity", unit="%")),
    ):
        yield from _number(entity, topic, template, field)


def _event(entity: Entity) -> Iterator[Declared]:
    """An event names itself in a JSON object."""
    topic = topic_at(entity, "state_topic")
    if topic is not None and "value_template" not in entity:
        kind = "button" if text_of(entity.get("device_class")) in BUTTONS else "app_event"
        yield Declared(topic, "json", Field(path="event_type", kind=kind))


def _tracker(entity: Entity) -> Iterator[Declared]:
    topic = topic_at(entity, "json_attributes_topic")
    template = template_at(entity, "json_attributes_template")
    if topic is not None and template is not None and template.path in (None, ()):
        lat, lon, accuracy = "latitude", "longitude", "gps_accuracy"
        yield Declared(topic, "json", Field(kind="location", lat=lat, lon=lon, accuracy=accuracy))
        yield Declared(topic, "json", Field(path="battery_level", kind="battery"), ("source_type", "icon"))
    home, away = word_at(entity, "payload_home", "home"), word_at(entity, "payload_not_home", "not_home")
    yield from _state(entity, "presence", {away: False, home: True})


def _availability(entity: Entity) -> Iterator[Declared]:
    """Whether the device can be reached: one topic, or a list of them."""
    several = entity.get("availability")
    several = [several] if isinstance(several, dict) else several
    if not isinstance(several, list):
        several = [
            {
                "topic": entity.get("availability_topic"),
                "value_template": entity.get("availability_template"),
                "payload_available": entity.get("payload_available"),
                "payload_not_available": entity.get("payload_not_available"),
            }
        ]
    for one in several[:AVAILABILITY_MAX]:
        if not isinstance(one, dict):
            continue
        topic, template = topic_at(one, "topic"), template_at(one, "value_template")
        if topic is not None and template is not None:
            there = word_at(one, "payload_available", "online")
            gone = word_at(one, "payload_not_available", "offline")
            field = Field(kind="connectivity", enum=in_cases({gone: False, there: True}))
            yield declare(topic, template, field)


def _number(entity: Entity, topic: str, template: str, field: Field) -> Iterator[Declared]:
    found, read = topic_at(entity, topic), template_at(entity, template)
    if found is not None and read is not None:
        part = part_of(read, catalogue().kind(field.kind), last_of(read))
        yield declare(found, read, msgspec.structs.replace(field, channel=part))
