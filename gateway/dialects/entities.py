"""Home Assistant's entities: what one of them declares -> which field of which topic is which reading.

An entity is a component of MQTT discovery with its keys in full.  Only those that measure or switch are
looked at; what an entity can be told, how it looks and what it is called are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.dialects.paths import join
from gateway.dialects.rules import Field, Format, Scalar, literal
from gateway.dialects.value_templates import Template, parse
from policies.kinds import Kind, catalogue

TOPIC_MAX = 255  # bytes, as a channel
TEXT_MAX = 64  # characters of a unit, of payload_on and the like
AVAILABILITY_MAX = 16  # topics an entity

Entity = Mapping[str, Any]
Words = dict[str, Scalar]


class Declared(msgspec.Struct, frozen=True):
    """One field of the payloads of one topic."""

    topic: str
    format: Format  # json: somewhere in an array or object; value: all of the payload
    field: Field
    passed: tuple[str, ...] = ()  # paths of settings in the same payloads


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
                _word(entity, "state_locked", "LOCKED"),
                _word(entity, "state_unlocked", "UNLOCKED"),
            )
            yield from _state(entity, "lock", _words({unlocked: True, locked: False}))
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
    template = _template(entity, "value_template")
    topic = _topic(entity, "state_topic")
    if template is None or topic is None:
        return
    called = _last(template) or name
    kind = _kind(component, _text(entity.get("device_class")), called)
    if kind is None:
        if _text(entity.get("entity_category")) in _OWN and template.path:
            yield _declare(topic, template, Field())  # understood: the device about itself
        return
    field = Field(kind=kind.name, channel=_part(template, kind, called))
    if kind.type == "boolean":
        if component == "sensor":
            return  # in words of the entity's own
        field = msgspec.structs.replace(field, enum=_words(_on_off(entity)))
    elif kind.type == "number":
        unit = _text(entity.get("unit_of_measurement"))
        field = msgspec.structs.replace(field, unit=literal(unit))
    yield _declare(topic, template, field)


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
    on, off = _word(entity, "payload_on", "ON"), _word(entity, "payload_off", "OFF")
    return {_word(entity, "state_off", off): False, _word(entity, "state_on", on): True}


def _state(
    entity: Entity, kind: str, words: Words, *, template: str = "value_template"
) -> Iterator[Declared]:
    """The state of something that is one of two."""
    topic, read = _topic(entity, "state_topic"), _template(entity, template)
    if topic is not None and read is not None:
        found = catalogue().kind(kind)
        part = _part(read, found, _last(read) or "state")
        yield _declare(topic, read, Field(kind=kind, channel=part, enum=_words(words)))


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
            topic = _topic(entity, "state_topic")
            if topic is None:
                return
            words: Words = {"ON": True, "OFF": False}
            yield Declared(topic, "json", Field(path="state", kind="switch", enum=_words(words)), _LAMP)
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
    kind = COVERS.get(_text(entity.get("device_class")))
    if kind is not None:
        words: Words = {
            _word(entity, "state_stopped", "stopped"): True,
            _word(entity, "state_opening", "opening"): True,
            _word(entity, "state_closing", "closing"): True,
            _word(entity, "state_open", "open"): True,
            _word(entity, "state_closed", "closed"): False,
        }
        yield from _state(entity, kind, words)


def _climate(entity: Entity) -> Iterator[Declared]:
    unit = {"C": "Cel", "F": "°F"}.get(_text(entity.get("temperature_unit")), "")
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
    topic = _topic(entity, "state_topic")
    if topic is not None and "value_template" not in entity:
        kind = "button" if entity.get("device_class") in BUTTONS else "app_event"
        yield Declared(topic, "json", Field(path="event_type", kind=kind))


def _tracker(entity: Entity) -> Iterator[Declared]:
    topic = _topic(entity, "json_attributes_topic")
    template = _template(entity, "json_attributes_template")
    if topic is not None and template is not None and template.path in (None, ()):
        lat, lon, accuracy = "latitude", "longitude", "gps_accuracy"
        yield Declared(topic, "json", Field(kind="location", lat=lat, lon=lon, accuracy=accuracy))
        yield Declared(topic, "json", Field(path="battery_level", kind="battery"), ("source_type", "icon"))
    home, away = _word(entity, "payload_home", "home"), _word(entity, "payload_not_home", "not_home")
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
        topic, template = _topic(one, "topic"), _template(one, "value_template")
        if topic is not None and template is not None:
            there = _word(one, "payload_available", "online")
            gone = _word(one, "payload_not_available", "offline")
            field = Field(kind="connectivity", enum=_words({gone: False, there: True}))
            yield _declare(topic, template, field)


def _number(entity: Entity, topic: str, template: str, field: Field) -> Iterator[Declared]:
    found, read = _topic(entity, topic), _template(entity, template)
    if found is not None and read is not None:
        part = _part(read, catalogue().kind(field.kind), _last(read))
        yield _declare(found, read, msgspec.structs.replace(field, channel=part))


def _declare(topic: str, template: Template, field: Field) -> Declared:
    """A field where a template says that it is; its scale comes before the field's own."""
    scale, offset = template.scale * field.scale, template.offset * field.scale + field.offset
    path = join(template.path or ())  # within its 512 characters: a template has no more to say
    field = msgspec.structs.replace(field, path=path, scale=scale, offset=offset)
    return Declared(topic, "json" if template.path else "value", field)


def _part(template: Template, kind: Kind, called: str) -> str:
    """Which part of the device a value is about: the objects it is in, and what sets it off from its kind.

    ``{{ value_json.ENERGY.Power }}`` is of ENERGY, ``{{ value_json.device_temperature }}`` of device,
    ``{{ value_json.state_left }}`` of left; ``{{ value_json.temperature }}`` of the device as such.
    """
    if not template.path:
        return ""
    parts = [str(step) for step in template.path[:-1]]
    rest = _beside(called, kind)
    return literal("/".join([*parts, rest] if rest else parts))


def _beside(called: str, kind: Kind) -> str:
    """What remains of a name without the kind's own."""
    name = called.lower()
    for alias in sorted((kind.name, *kind.aliases), key=len, reverse=True):
        if name == alias:
            return ""
        if name.endswith(f"_{alias}"):
            return called[: -len(alias) - 1]
        if name.startswith(f"{alias}_"):
            return called[len(alias) + 1 :]
    return called


def _last(template: Template) -> str:
    """The name of the member that a template leads to, if it is one."""
    last = template.path[-1] if template.path else ""
    return last if isinstance(last, str) else ""


def _template(entity: Entity, key: str) -> Template | None:
    """The template under a key, or the one for what has none; None: not one of ours."""
    text = entity.get(key)
    return Template(None) if text is None or text == "" else parse(text)


def _topic(entity: Entity, key: str) -> str | None:
    """The topic under a key, where it is one that can be published on."""
    topic = entity.get(key)
    if not isinstance(topic, str) or not topic or len(topic.encode(errors="replace")) > TOPIC_MAX:
        return None
    return None if "#" in topic or "+" in topic else topic


def _text(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= TEXT_MAX else ""


def _word(entity: Entity, key: str, default: str) -> str:
    """What is said under a key, as text; JSON's true is "true"."""
    value = entity.get(key)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < 2**53:
        return str(value)
    return _text(value) or default


def _words(words: Words) -> Words:
    """The same words in other cases: of "True", which is how a template writes it, JSON says true."""
    cased = {form: meant for word, meant in words.items() for form in (word.lower(), word.upper())}
    return {**cased, **words}
