"""Rules come from devices and people: any rule may meet any payload, and what comes out is sound.

Rules are large, and most that are drawn piece by piece are none, or never meet what they look for.  So they
are made from a seed, around parts that fit together, and payloads around what the rules look for.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import pytest

from gateway.dialects import DialectSettings, Lesson, Notebook, read
from gateway.dialects.paths import parse
from gateway.dialects.patterns import Level
from gateway.dialects.reading import NAMES
from gateway.dialects.rules import Check, Field, Rule, Time
from gateway.dialects.specs import Spec, topics_of
from policies.kinds import catalogue
from tests.dialect_shapes import plant
from vault.observation import Place

T = TypeVar("T")
NOW = 1_790_000_000_000
TOPICS = ("t", "a/b", "zigbee2mqtt/hall", "tele/plug/SENSOR", "homie/5/d/n/p", "owntracks/a/b", "")
PATTERNS: tuple[str | tuple[str, ...], ...] = (
    *("t", "t", "a/b", "{k}", "{k...}", ("t", "{a...?}/{k}"), "zigbee2mqtt/{k}", "", "homie/5/{a...}/p"),
)
MEMBERS = (
    "a",
    "b",
    "n",
    "v",
    "lat",
    "ts",
    "power",
    "state",
    "x:0",
    "x:1",
    "temperature",
    "a_left",
    "a.b",
    "*",
    "",
)
STEPS = ("a", "b", "n", "v", "lat", "ts", "power", "state", "x:0", "temperature", '"a.b"', "a[0]", "b[-1]")
MANY = ("a[]", "{k}", "x:{n:int}", "{m}_{e:left|right}", "{p:a|b|n}", "{k}[]", "b.{k}")
EACH = ("a", "a[]", "{k}", "x:{n:int}", "a[].b[]", "{k}.{m}", "{k}[]", "a.b")
TEXTS = (
    "x",
    "{k}",
    "{n}",
    "{topic}",
    "{#}",
    "{=a}",
    "{=^n}",
    "{=$.n}",
    "{@k}",
    "{@{topic}/{k}}",
    "{k}/{n}",
    "é" * 99,
)
KINDS = (*("power",) * 3, *("temperature",) * 2, "switch", "app_event", "sleep_stage", "{k}", "{=^n}", "")
NUMBERS = (0, 1, 2, 3, 4, 5, 6, 21, 21.5)
OTHERS: list[Any] = ["21.5", "ON", True, False, None, -1, 2**60, 1e300, "", "deep", [], {}, [1, None]]
VALUES: tuple[Any, ...] = (*NUMBERS, *OTHERS)
CONSTANTS: tuple[Any, ...] = (0, 1, 21.5, "ON", "x", "", True, False)
NOISE = ("{", "a..b", "{=a[]}", "[", "x" * 2000, "{a}{b}", "{@{@a}}", "no")


class Draw:
    """Rules and payloads, from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one(self, among: Sequence[T]) -> T:
        return self.random.choice(among)

    def some(self, make: Callable[[], T], most: int) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.random.randint(0, most)))

    def rarely(self, make: Callable[[], T], otherwise: T, part: float = 0.15) -> T:
        return make() if self.random.random() < part else otherwise

    def text(self) -> str:
        return self.one(TEXTS)

    def path(self) -> str:
        steps = ".".join(self.one(STEPS) for _ in range(self.random.randint(1, 2)))
        return self.one(("", "", "", "^", "^^", "$.")) + steps

    def condition(self) -> tuple[str, Any]:
        check = Check(
            present=self.one((None, True, False)),
            least=self.one((None, 0.0)),
            most=self.one((None, 2.0)),
            other_than=self.some(lambda: self.one(CONSTANTS), 2),
        )
        words: Any = self.some(lambda: self.one(CONSTANTS), 3)
        wanted: Any = self.one((self.one(CONSTANTS), words, check, check))
        return self.one((self.path(), self.path(), "{k}", "{=a}/{n}")), wanted

    def when(self) -> dict[str, Any]:
        return dict(self.some(self.condition, 2))

    def time(self) -> Time:
        return Time(self.path(), self.one(("auto", "s", "ns", "rfc3339", "%Y-%m-%d")))

    def field(self) -> Field:
        path = self.one((self.one(STEPS), self.one(STEPS), self.one(MANY), ""))
        more: dict[str, Any] = {
            "unit": lambda: self.one(("kW", "°F", self.text())),
            "scale": lambda: self.one((0.001, -1e308, 0.0)),
            "offset": lambda: self.one((1e308, -40.0)),
            "drop_if": lambda: self.some(lambda: self.one(CONSTANTS), 2),
            "enum": lambda: {self.one(("ON", "1", "x")): self.one(CONSTANTS)},
            "inverse": lambda: True,
            "channel": self.text,
            "when": self.when,
            "value": self.text,
            "details": lambda: self.some(self.path, 2),
            "fact": self.text,
            "most": lambda: self.one((1, 3)),
        }
        if self.random.random() < 0.1:
            return Field(
                kind="location", lat="lat", lon=self.one(STEPS), accuracy=self.one(("", self.path()))
            )
        return Field(path=path, kind=self.one(KINDS), **self.parts(more, 0.1))

    def rule(self) -> Rule:
        more: dict[str, Any] = {
            "format": lambda: self.one(("value", "value", "text", "any", "blob", "unknown")),
            "member": self.text,
            "needs": lambda: (self.one(STEPS),),
            "when": self.when,
            "each": lambda: self.one(EACH),
            "time": lambda: self.some(self.time, 2),
            "channel": self.text,
            "sensor": self.text,
            "kinds": lambda: {self.one(MEMBERS): self.one(("power", "location"))},
            "units": lambda: {"power": self.text()},
            "ignore": lambda: self.some(lambda: self.one((*STEPS, *MANY, "*")), 2),
            "others": lambda: self.one(("ignore", "quarantine")),
        }
        fields = (self.field(), *self.some(self.field, 3))
        rule = Rule(topic=self.one(PATTERNS), fields=fields, **self.parts(more, 0.2))
        if self.random.random() < 0.1:
            rule = msgspec.structs.replace(rule, session=self.path(), number=self.path())
        if self.random.random() < 0.1:
            part = self.one(("topic", "member", "each", "channel", "session", "number", "sensor"))
            rule = msgspec.structs.replace(rule, **{part: self.one(NOISE)})
        return rule

    def parts(self, among: dict[str, Callable[[], Any]], part: float) -> dict[str, Any]:
        """Some of these, each as often as ``part`` says."""
        return {name: make() for name, make in among.items() if self.random.random() < part}

    def notebook(self) -> Notebook:
        def lesson() -> Lesson:
            return Lesson(
                self.one("su"), self.some(self.rule, 3), {self.one(("k", "t/a")): self.one(("°F", ""))}
            )

        taught = self.some(self.rule, 3)
        dialect = self.rarely(lambda: self.one(NAMES), "")
        settings = DialectSettings(dialect=dialect, own=self.one(((), ("a", "21.5", "t"))), taught=taught)
        return Notebook(settings, self.some(lesson, 2))

    def document(self, depth: int = 3) -> Any:
        value = self.one(VALUES)
        match self.one(("value", "value", "object", "array")) if depth else "value":
            case "object":
                return {self.one(MEMBERS): self.document(depth - 1) for _ in range(self.random.randint(1, 4))}
            case "array":
                return [self.document(depth - 1) for _ in range(self.random.randint(0, 3))]
            case _:
                return value

    def filled(self, step: Any) -> Any:
        """A step that a path may take; of patterns, one that they fit."""
        if isinstance(step, Level):
            fitting = [name for name in MEMBERS if step.match(name) is not None]
            return self.one(fitting) if fitting else "a"
        return step

    def payload(self, notebook: Notebook) -> tuple[str, bytes]:
        """A message that one of the rules may be about, with values where it looks for them."""
        known = [*notebook.settings.taught, *(rule for lesson in notebook.lessons for rule in lesson.rules)]
        sound = [rule for rule in known if is_rule(rule)]
        document = {self.one(MEMBERS): self.document() for _ in range(self.random.randint(1, 5))}
        if not sound or self.random.random() < 0.1:
            return self.one(TOPICS), self.bytes(self.document())
        rule = self.one(sound)
        pattern = self.one(topics_of(rule) or TOPICS)
        topic = (
            pattern.replace("{a...?}/", "")
            .replace("{a...}", "d/n")
            .replace("{k}", "hall")
            .replace("{k...}", "a/b")
        )
        if rule.format in ("value", "text"):
            return topic, self.bytes(self.one(VALUES))
        base = parse(rule.each).steps
        for text in [*rule.needs, *(field.path for field in rule.fields), *rule.when]:
            for _ in range(self.random.randint(1, 3)):
                path = parse(text) if "{=" not in text else parse("")
                start = () if path.root else base[: max(0, len(base) - path.out)]
                steps = [self.filled(step) for step in (*start, *path.steps)]
                document = plant(document, steps, self.one(VALUES))
        return topic, self.bytes(document)

    def bytes(self, document: Any) -> bytes:
        whole = json.dumps(document).encode()
        return self.rarely(lambda: self.one((whole[:-1], b"ON", b"", b"\xff" + whole)), whole, 0.05)


def is_rule(rule: Rule) -> bool:
    try:
        Spec(rule)
    except ValueError:
        return False
    return True


def check(topic: str, payload: bytes, notebook: Notebook) -> None:
    """Read, and hold what comes out to what the vault and the brands rely on."""
    found = read(topic, payload, NOW, notebook)
    for one in found.observations:
        kind = catalogue().kind(one.kind)
        assert len(one.channel.encode()) <= 255
        assert NOW - 400 * 86_400_000 <= one.time <= NOW + 300_000
        match one.value:
            case bool():
                assert kind.type == "boolean"
            case float() as number:
                assert kind.type == "number"
                assert math.isfinite(number)
                assert kind.plausible(number)
            case str() as text:
                assert kind.type in ("event", "text")
                assert 0 < len(text.encode()) <= 4096
            case Place():
                assert kind.type == "place"
            case other:
                raise AssertionError(f"a value of {type(other)}")
    for lesson in found.lessons:
        assert Notebook().learn(lesson) is bool(lesson.facts or lesson.rules)
    assert found.foreign in (0, 1) or parse_each(notebook)
    msgspec.msgpack.encode(found)
    assert read(topic, payload, NOW, notebook) == found  # what is remembered in between says the same


def parse_each(notebook: Notebook) -> bool:
    """Whether a rule is about several items, each of which may be somebody else's."""
    known = [*notebook.settings.taught, *(rule for lesson in notebook.lessons for rule in lesson.rules)]
    return any(rule.each for rule in known)


SEEDS = range(30)
EACH_SEED = 40


@pytest.mark.parametrize("seed", SEEDS)
def test_any_rules_read_any_payload(seed: int) -> None:
    draw = Draw(seed)
    for _ in range(EACH_SEED):
        notebook = draw.notebook()
        for _ in range(3):
            check(*draw.payload(notebook), notebook)


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_what_a_payload_left_behind_changes_no_other(seed: int) -> None:
    draw = Draw(1000 + seed)
    for _ in range(EACH_SEED):
        notebook = draw.notebook()
        sent = [draw.payload(notebook) for _ in range(6)]
        alone = [read(*one, NOW, notebook.with_settings(notebook.settings)) for one in sent]
        assert [read(*one, NOW, notebook) for one in sent] == alone


def test_a_rule_is_stored_and_taken_up_again() -> None:
    draw = Draw(5)
    for _ in range(300):
        lesson = Lesson("s", (draw.rule(),))
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(lesson), type=Lesson) == lesson


def test_most_rules_are_rules_and_many_are_met() -> None:
    """What is above would hold of rules that nobody can compile, and of payloads that nothing reads."""
    draw = Draw(6)
    rules = [draw.rule() for _ in range(300)]
    assert sum(map(is_rule, rules)) > 200
    readings = dropped = facts = quarantined = 0
    for _ in range(300):
        notebook = draw.notebook()
        found = read(*draw.payload(notebook), NOW, notebook)
        readings += bool(found.observations)
        dropped += bool(found.dropped)
        facts += bool(found.lessons)
        quarantined += found.quarantine
    assert min(readings, dropped, 300 - quarantined) > 20
    assert facts > 2
