"""What an entity of Home Assistant says under a key: a topic, a place in a payload, a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.dialects.paths import join
from gateway.dialects.rules import Field, Format, Scalar, literal
from gateway.dialects.value_templates import Template, parse
from policies.kinds import Kind

TOPIC_MAX = 255  # bytes, as a channel
PATH_MAX = 255  # characters; it is a channel's in part
TEXT_MAX = 64  # characters of a unit, of payload_on and the like

Entity = Mapping[str, Any]  # its keys in full
Words = dict[str, Scalar]


class Declared(msgspec.Struct, frozen=True):
    """One field of the payloads of one topic."""

    topic: str
    format: Format  # json: somewhere in an array or object; value: all of the payload
    field: Field
    passed: tuple[str, ...] = ()  # paths of settings in the same payloads


def declare(topic: str, template: Template, field: Field) -> Declared:
    """A field where a template says that it is; its scale comes before the field's own."""
    scale, offset = template.scale * field.scale, template.offset * field.scale + field.offset
    field = msgspec.structs.replace(field, path=join(template.path or ()), scale=scale, offset=offset)
    return Declared(topic, "json" if template.path else "value", field)


def part_of(template: Template, kind: Kind, called: str) -> str:
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


def last_of(template: Template) -> str:
    """The name of the member that a template leads to, if it is one."""
    last = template.path[-1] if template.path else ""
    return last if isinstance(last, str) else ""


def template_at(entity: Entity, key: str) -> Template | None:
    """The template under a key, or the one for what has none; None: not one of ours."""
    text = entity.get(key)
    if text is None or text == "":
        return Template(None)
    template = parse(text)
    too_long = template is not None and len(join(template.path or ())) > PATH_MAX
    return None if too_long else template


def topic_at(entity: Entity, key: str) -> str | None:
    """The topic under a key, where it is one that can be published on."""
    topic = entity.get(key)
    if not isinstance(topic, str) or not topic or len(topic.encode(errors="replace")) > TOPIC_MAX:
        return None
    return None if "#" in topic or "+" in topic else topic


def text_of(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= TEXT_MAX else ""


def word_at(entity: Entity, key: str, default: str) -> str:
    """What is said under a key, as text; JSON's true is "true"."""
    value = entity.get(key)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < 2**53:
        return str(value)
    return text_of(value) or default


def in_cases(words: Words) -> Words:
    """The same words in other cases: of "True", which is how a template writes it, JSON says true."""
    cased = {form: meant for word, meant in words.items() for form in (word.lower(), word.upper())}
    return {**cased, **words}
