"""What Zigbee2MQTT says of its devices: their names, and what they expose.

``bridge/devices`` lists both
(https://www.zigbee2mqtt.io/guide/usage/mqtt_topics_and_messages.html#zigbee2mqtt-bridge-devices).  Rules
are learned only for what the dialect's own would read differently: names like ``hall/set/lamp`` that look
like a command, values in units other than the vocabulary's, endpoints, and locks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gateway.dialects.decode import decode
from gateway.dialects.library import entry
from gateway.dialects.notebook import Notebook
from gateway.dialects.paths import join
from gateway.dialects.reading import Lesson, Reading
from gateway.dialects.rules import Field, Rule, literal
from policies.kinds import catalogue

NAME: Final = "zigbee2mqtt"
DEVICES_MAX: Final = 1024
FIELDS_MAX: Final = 128  # of a device
DEPTH_MAX: Final = 4  # features within features
TEXT_MAX: Final = 255

DEVICE: Final = ("zigbee2mqtt/{device...}", "zigbee2mqtt/{device...}/{attribute}")  # topics of its rules
_LIST: Final = "bridge/devices"
_AMBIGUOUS: Final = frozenset(("availability", "bridge", "get", "set"))  # levels that mean something else
_LAMP_MAX: Final = (254, 255)  # brightness of a lamp that is fully on


def read(topic: str, payload: bytes, _arrival: int, _notebook: Notebook) -> Reading | None:
    """Learn from a list of devices; None: it is none."""
    document = decode(payload)
    if not isinstance(document, list) or not topic.endswith(_LIST):
        return None
    base = topic.removesuffix(_LIST)
    rules: list[Rule] = []
    for device in document[:DEVICES_MAX]:
        if isinstance(device, dict) and device.get("type") != "Coordinator":
            rules.extend(_of_device(base, device))
    return Reading(NAME, (), False, 0, lessons=(Lesson(topic, tuple(rules), dialect=NAME),))


def _of_device(base: str, device: dict[str, Any]) -> Iterator[Rule]:
    name, definition = device.get("friendly_name"), device.get("definition")
    if not isinstance(name, str) or not name or len(name) > TEXT_MAX:
        return
    exposes = definition.get("exposes") if isinstance(definition, dict) else None
    found = dict(_fields(exposes, "", 0)) if isinstance(exposes, list) else {}
    fields = tuple(found.values())[:FIELDS_MAX]
    ambiguous = not _AMBIGUOUS.isdisjoint(name.split("/"))
    if not fields and not ambiguous:
        return
    whole, channel = literal(base + name), literal(name)
    if not ambiguous:
        yield Rule(topic=whole, channel=channel, fields=fields, others="quarantine")
        for path in found:
            attribute = f"{whole}/{literal(path)}"
            yield Rule(topic=attribute, format="value", member=literal(path), channel=channel, fields=fields)
        return
    # The dialect's own rules would take this name for something else: these stand in their place.
    yield _own(Rule(topic=whole, channel=channel, fields=fields))
    state = Field(path="state", kind="connectivity")
    there = f"{whole}/availability"
    yield Rule(topic=there, channel=channel, fields=(state,))
    yield Rule(topic=there, format="value", channel=channel, fields=(Field(kind="connectivity"),))
    each = f"{whole}/{{attribute}}"
    yield _own(Rule(topic=each, format="value", member="{attribute}", channel=channel, fields=fields))


def _own(rule: Rule) -> Rule:
    """The same, with all that the dialect knows of devices."""
    dialect = entry(NAME).dialect
    known = next(
        one for one in dialect.rules if one.format == rule.format and not set(DEVICE).isdisjoint(one.topic)
    )
    return msgspec.structs.replace(
        rule,
        fields=(*rule.fields, *known.fields),
        ignore=dialect.ignore,
        kinds=dialect.kinds,
        units=dialect.units,
    )


def _fields(features: list[Any], group: str, depth: int) -> Iterator[tuple[str, Field]]:
    """Member -> what it means, of those that the dialect's own rules would read differently."""
    for feature in features:
        if not isinstance(feature, dict):
            continue
        kind = feature.get("type")
        inner = feature.get("features")
        if isinstance(inner, list) and depth < DEPTH_MAX and kind != "composite":
            yield from _fields(inner, kind if isinstance(kind, str) else "", depth + 1)
            continue
        member, name = feature.get("property"), feature.get("name")
        if not isinstance(member, str) or not 0 < len(member) <= TEXT_MAX or not isinstance(name, str):
            continue
        field = _field(feature, member, name, group)
        if field is not None:
            yield member, field


def _field(feature: dict[str, Any], member: str, name: str, group: str) -> Field | None:
    endpoint = feature.get("endpoint")
    part = literal(endpoint) if isinstance(endpoint, str) and len(endpoint) <= TEXT_MAX else ""
    path = join((member,))
    if group == "lock" and name == "state":
        return Field(path=path, kind="lock", channel=part, enum={"LOCK": False, "UNLOCK": True})
    if group == "cover" and name in ("position", "state"):  # the state says less than the position
        return Field(path=path, kind="cover_position" if name == "position" else "", channel=part)
    kind = catalogue().find(name)
    if kind is None or kind.type not in ("number", "boolean"):
        return None
    unit = feature.get("unit")
    if kind.type == "boolean" or feature.get("type") != "numeric":
        return Field(path=path, kind=kind.name, channel=part, inverse=kind.inverts(name)) if part else None
    if kind.name == "brightness":
        most = feature.get("value_max")
        return (
            Field(path=path, kind=kind.name, unit=f"/{most}", channel=part)
            if part and most in _LAMP_MAX
            else None
        )
    if not isinstance(unit, str) or not 0 < len(unit) <= TEXT_MAX:
        return Field(path=path, kind=kind.name, channel=part) if part else None
    same = kind.units.get(unit) == (1.0, 0.0)
    return None if same and not part else Field(path=path, kind=kind.name, unit=literal(unit), channel=part)
