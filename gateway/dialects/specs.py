"""Rules, compiled one by one: paths, templates and conditions into functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.dialects.actions import Action
from gateway.dialects.conditions import compile_conditions
from gateway.dialects.paths import EVERY, Getter, Path, Steps, getter, parse
from gateway.dialects.patterns import Level, Topic
from gateway.dialects.rules import Dialect, Format, Others, Rule, Time
from gateway.dialects.texts import Template
from gateway.dialects.times import Reader, reader
from policies.kinds import Kind, catalogue

FIELDS_MAX: Final = 1024  # fields, or paths passed over, of a rule
TOPICS_MAX: Final = 32
TIMES_MAX: Final = 8

When = tuple[Getter, Reader]


class Spec:
    """A compiled rule."""

    __slots__ = (
        "actions",
        "asked",
        "case",
        "channel",
        "each",
        "everywhere",
        "find",
        "format",
        "ignore",
        "member",
        "named",
        "others",
        "patterns",
        "rule",
        "sensors",
        "sequence",
        "times",
        "topics",
        "units",
        "when",
    )

    def __init__(self, rule: Rule, dialect: Dialect | None = None) -> None:
        """Compile a rule, of a dialect's file or of its own.

        Raises:
            ValueError: something in it is not of its form, or names a kind that does not exist.
        """
        ignored = dialect.ignore if dialect is not None else ()
        if max(len(rule.fields), len(rule.ignore), len(ignored)) > FIELDS_MAX:
            raise ValueError("a rule with too much in it")
        self.rule = rule
        self.topics = tuple(map(Topic, topics_of(rule)))
        self.format: Format = rule.format
        self.others: Others = rule.others
        self.member = Template(rule.member) if rule.member else None
        self.channel = Template(rule.channel)
        sensors = (rule.sensor,) if isinstance(rule.sensor, str) else rule.sensor
        self.sensors = tuple(map(Template, filter(None, sensors)))
        self.each = segments(parse(rule.each))
        kinds = {**(dialect.kinds if dialect is not None else {}), **rule.kinds}
        self.find = finder(kinds)
        units = {**(dialect.units if dialect is not None else {}), **rule.units}
        self.units: Mapping[str, Template] = {_known(kind): Template(text) for kind, text in units.items()}
        self.actions = tuple(Action(field, self.find, self.units) for field in rule.fields)
        self.when, conditions = compile_conditions(rule.when, rule.needs)
        self.case = _case(rule)
        times = times_of(rule)
        if len(times) > TIMES_MAX:
            raise ValueError("too many times")
        moments = tuple(parse(time.path) for time in times)
        self.times: tuple[When, ...] = tuple(
            (getter(path), reader(time.form)) for path, time in zip(moments, times, strict=True)
        )
        self.ignore = tuple(map(parse, rule.ignore))
        self.everywhere = tuple(map(parse, ignored))
        counted = tuple(Path(parse(text).steps, root=True) for text in (rule.session, rule.number) if text)
        self.sequence: tuple[Getter, Getter] | None = None
        if counted:
            if len(counted) != 2:
                raise ValueError("session and number go together")
            self.sequence = (getter(counted[0]), getter(counted[1]))
        self.asked = tuple(path for action in self.actions for path in action.asked)
        templates = (self.channel, *self.units.values(), *self.sensors, *filter(None, (self.member,)))
        self.named: tuple[Path, ...] = (
            *conditions,
            *moments,
            *counted,
            *(path for template in templates for path in template.paths),
            *(path for action in self.actions for path in action.named),
        )
        paths = (*self.named, *self.asked, *self.ignore, *(parse(field.path) for field in rule.fields))
        self.patterns = sum(isinstance(step, Level) for path in paths for step in path.steps)


def topics_of(rule: Rule) -> tuple[str, ...]:
    """A rule's patterns of topics; none: any topic.

    Raises:
        ValueError: too many.
    """
    topics = (rule.topic,) if isinstance(rule.topic, str) else rule.topic
    if len(topics) > TOPICS_MAX:
        raise ValueError("too many topics in a rule")
    return topics if any(topics) else ()


def times_of(rule: Rule) -> tuple[Time, ...]:
    """Where a rule's items say when, in order."""
    return (rule.time,) if isinstance(rule.time, Time) else rule.time


def _case(rule: Rule) -> tuple[str, frozenset[str]] | None:
    """(path, words) of a rule whose only condition is that one of these texts is there."""
    if len(rule.when) != 1 or rule.needs:
        return None
    ((path, wanted),) = rule.when.items()
    words = wanted if isinstance(wanted, tuple) else (wanted,)
    if "{" in path or not all(isinstance(word, str) for word in words):
        return None
    return path, frozenset(word for word in words if isinstance(word, str))


def segments(path: Path) -> tuple[Steps, ...]:
    """The steps of ``each`` from item to item: every step for many ends one.

    Raises:
        ValueError: it does not begin at the document.
    """
    if not path.inner or any(
        not isinstance(step, str | int | Level) and step is not EVERY for step in path.steps
    ):
        raise ValueError("each begins at the document")
    parts: list[Steps] = []
    part: list[Any] = []
    for step in path.steps:
        part.append(step)
        if not isinstance(step, str | int):
            parts.append(tuple(part))
            part = []
    return (*parts, tuple(part)) if part else tuple(parts)


def finder(kinds: Mapping[str, str]) -> Callable[[str], Kind | None]:
    """The function that finds what a name means.

    Raises:
        ValueError: a kind that does not exist.
    """
    known = catalogue()
    if not kinds:
        return known.find
    own = {name: known.kind(_known(kind)) for name, kind in kinds.items()}

    def find(name: str) -> Kind | None:
        found = own.get(name)
        return known.find(name) if found is None else found

    return find


def _known(kind: str) -> str:
    try:
        return catalogue().kind(kind).name
    except KeyError:
        raise ValueError("there is no such kind") from None
