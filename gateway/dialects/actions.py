"""Fields of rules, compiled: one value of a payload -> one reading, fact, or reason why not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway.dialects.conditions import compile_conditions, same, words_of
from gateway.dialects.draft import plain_numbers
from gateway.dialects.paths import ABSENT, ALL, Getter, Item, Path, getter, parse
from gateway.dialects.patterns import Captures
from gateway.dialects.rules import Field
from gateway.dialects.texts import Template, text_of
from gateway.dialects.values import No, is_number, number_in, place, take
from policies.kinds import Kind, catalogue
from vault.observation import Value

FACT_MAX: Final = 1024  # characters of a key or of what is known

Find = Callable[[str], Kind | None]


class Remember(msgspec.Struct, frozen=True):
    """A fact to be known from now on."""

    key: str
    text: str


class Found(msgspec.Struct, frozen=True, gc=False):
    """A reading without its time; ``channel`` is within the rule's."""

    channel: str
    kind: str
    value: Value


# (kind, low, high, scale, values that are no reading, channel within the rule's)
Plain = tuple[str, float, float, float, frozenset[float] | None, str]
Outcome = Found | Remember | No | None  # None: the field does not apply here, or says nothing


class Action:
    """A compiled field; ``find`` and ``units`` are those of its rule."""

    __slots__ = (
        "_channel",
        "_details",
        "_drop_if",
        "_enum",
        "_fact",
        "_find",
        "_inverse",
        "_kind",
        "_kind_text",
        "_linear",
        "_place",
        "_unit",
        "_units",
        "_value",
        "_when",
        "asked",
        "kind",
        "most",
        "named",
        "path",
        "plain",
        "words",
    )

    def __init__(self, field: Field, find: Find, units: Mapping[str, Template]) -> None:
        """Compile.

        Raises:
            ValueError: a path, template or condition that is none, or a kind that does not exist.
        """
        self.path = parse(field.path)
        self.most = field.most
        self._find, self._units = find, units
        self._kind_text = Template(field.kind)
        self.kind = _kind(field.kind, self._kind_text)
        self._unit, self._channel = Template(field.unit), Template(field.channel)
        self._value, self._fact = Template(field.value), Template(field.fact)
        self._when, conditions = compile_conditions(field.when)
        self.words = words_of(field.when)
        self._inverse, self._drop_if = field.inverse, field.drop_if
        self._enum = field.enum
        self._linear: tuple[float, float] | None = None
        if field.scale != 1.0 or field.offset:
            self._linear = (field.scale, field.offset)
            if not all(map(math.isfinite, self._linear)):
                raise ValueError("a scale or offset that is no number")
        details = tuple(map(parse, field.details))
        self._details = tuple(
            (name, getter(path)) for name, path in zip(map(_last, field.details), details, strict=True)
        )
        spots = [parse(text) for text in (field.lat, field.lon, field.accuracy) if text]
        self._place: tuple[Getter, Getter, Getter | None] | None = None
        if field.lat or field.lon or field.accuracy:
            if not field.lat or not field.lon or (self.kind is not None and self.kind.type != "place"):
                raise ValueError("a place has lat and lon")
            gets = [getter(path) for path in spots]
            self._place = (gets[0], gets[1], gets[2] if field.accuracy else None)
        elif not self.path.inner or ALL in self.path.steps:
            raise ValueError("a field's path begins at the item")
        templates = (self._kind_text, self._unit, self._channel, self._value, self._fact)
        self.asked = conditions  # paths that are named in conditions alone
        self.named: tuple[Path, ...] = (
            *details,
            *spots,
            *(path for template in templates for path in template.paths),
        )
        self.plain = self._plain(field)

    @property
    def at_item(self) -> bool:
        """Whether it is about several paths of an item, and not about what stands at one."""
        return self._place is not None

    def _plain(self, field: Field) -> Plain | None:
        """How numbers can be taken at once; None: every one must be looked at."""
        kind, channel = self.kind, self._channel.constant
        rest = msgspec.structs.replace(field, path="", kind="", unit="", most=0, drop_if=(), channel="")
        known = _bounds(kind.name) if kind is not None else None
        if kind is None or known is None or rest != Field() or channel is None:
            return None
        if self._unit.constant is None or (not field.unit and kind.name in self._units):
            return None
        scale, offset = kind.units.get(field.unit or kind.unit, (0.0, 0.0))
        if not scale or offset or not all(map(is_number, self._drop_if)):
            return None
        drop = frozenset(one for one in self._drop_if if is_number(one)) or None
        return (kind.name, *known, scale, drop, channel)

    def apply(self, raw: Any, item: Item, captures: Captures, facts: Mapping[str, str]) -> Outcome:
        """Read a value; ``raw`` is not looked at where the field is about several paths."""
        if self._when is not None and not self._when(item, captures, facts):
            return None
        if self._fact.constant != "":
            return self._remember(raw, item, captures, facts)
        kind, inverse = self.kind, self._inverse
        if kind is None:
            name = self._kind_text.fill(captures, item, facts)
            if self._kind_text.constant == "":
                return Nothing
            kind = self._find(name)
            if kind is None:
                return No.UNKNOWN
            inverse = inverse is not kind.inverts(name)
        value = self._read(kind, raw, item, captures, facts, inverse=inverse)
        if value is None or isinstance(value, No):
            return value
        channel = self._channel.constant
        if channel is None:
            channel = self._channel.fill(captures, item, facts)
        return Found(channel, kind.name, value)

    def _read(
        self,
        kind: Kind,
        raw: Any,
        item: Item,
        captures: Captures,
        facts: Mapping[str, str],
        *,
        inverse: bool,
    ) -> Value | No | None:
        if self._place is not None:
            return _position(item, *self._place) if kind.type == "place" else No.UNKNOWN
        if self._drop_if and any(same(raw, one) for one in self._drop_if):
            return No.DROPPED
        if self._value.constant != "":
            raw = self._value.fill(captures, item, facts)
        if self._enum:
            raw = self._enum.get(text_of(raw), ABSENT) if raw is not None else None
            if raw is ABSENT:
                return No.UNKNOWN
        if self._linear is not None:
            raw = _linear(raw, *self._linear)
        if self._details and isinstance(raw, str):
            raw = self._with_details(raw, item)
        unit = self._unit_of(kind, item, captures, facts) if kind.type == "number" else None
        return take(kind, raw, unit, inverse=inverse)

    def _unit_of(self, kind: Kind, item: Item, captures: Captures, facts: Mapping[str, str]) -> str | None:
        unit = self._unit.constant
        if unit is None:
            unit = self._unit.fill(captures, item, facts)
        if not unit and kind.name in self._units:
            unit = self._units[kind.name].fill(captures, item, facts)
        return unit or None

    def _with_details(self, title: str, item: Item) -> str | None:
        details = {}
        for name, get in self._details:
            value = get(item)
            if isinstance(value, str | bool) or is_number(value):
                details[name] = value
        return f"{title} {msgspec.json.encode(details, order='sorted').decode()}" if details else title

    def _remember(self, raw: Any, item: Item, captures: Captures, facts: Mapping[str, str]) -> Outcome:
        if raw.__class__ in (dict, list):
            return No.UNKNOWN
        key, text = self._fact.fill(captures, item, facts), text_of(raw)
        if not key or len(key) > FACT_MAX or len(text) > FACT_MAX:
            return No.UNKNOWN
        return Remember(key, text)


Nothing: Final = Remember("", "")  # understood, and nothing to keep


def _bounds(kind: str) -> tuple[float, float] | None:
    """What a kind that is a number can be."""
    found = plain_numbers().get(kind)
    return None if found is None or found[0] != kind else found[1:]


def _kind(text: str, template: Template) -> Kind | None:
    if template.constant is None or not text:
        return None
    try:
        return catalogue().kind(template.constant)
    except KeyError:
        raise ValueError("there is no such kind") from None


def _linear(raw: Any, scale: float, offset: float) -> Any:
    """A number times ``scale`` plus ``offset``, in 15 digits; anything else as it is."""
    number = number_in(raw) if isinstance(raw, str) else float(raw) if is_number(raw) else None
    if number is None:
        return raw
    found = number * scale + offset
    return float(f"{found:.15g}") if math.isfinite(found) else found


def _last(path: str) -> str:
    """The name of a detail: the last step of its path."""
    steps = parse(path).steps
    return str(steps[-1]) if steps else "value"


def _position(item: Item, at_lat: Getter, at_lon: Getter, at_accuracy: Getter | None) -> Value | No | None:
    lat, lon = at_lat(item), at_lon(item)
    if lat is ABSENT and lon is ABSENT:
        return None
    accuracy = ABSENT if at_accuracy is None else at_accuracy(item)
    return place(
        None if lat is ABSENT else lat,
        None if lon is ABSENT else lon,
        None if accuracy is ABSENT else accuracy,
    )
