"""Messages for every dialect: those of the vectors, and what the dialects' own rules look for, turned around.

A new dialect is covered by what uses this as soon as its file, and its vectors, are there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from gateway.dialects import DialectSettings, Notebook, read
from gateway.dialects.library import entries
from gateway.dialects.paths import parse
from gateway.dialects.patterns import Level
from gateway.dialects.reading import NAMES
from gateway.dialects.rules import Check, Conditions, Dialect, Rule
from gateway.dialects.specs import segments, times_of, topics_of

VECTORS = Path(__file__).parent / "vectors"
FILES = sorted((VECTORS / "devices").glob("*.jsonl"))  # one a dialect


class Case(msgspec.Struct, frozen=True):
    """One message of a product's; ``before`` are messages that taught what it means."""

    dialect: str
    source: str
    topic: str
    payload: bytes
    arrival: int
    settings: DialectSettings = DialectSettings()
    before: tuple[tuple[str, bytes], ...] = ()

    def notebook(self) -> Notebook:
        """What is known when the message arrives."""
        notebook = Notebook(self.settings)
        for topic, payload in self.before:
            for lesson in read(topic, payload, self.arrival, notebook).lessons:
                notebook.learn(lesson)
        return notebook

    @property
    def document(self) -> Any:
        """The payload's JSON, or None where it is none."""
        try:
            return json.loads(self.payload)
        except ValueError:
            return None


def _octets(message: dict[str, Any]) -> bytes:
    return bytes.fromhex(message["payload_hex"]) if "payload_hex" in message else message["payload"].encode()


def _cases() -> Iterator[Case]:
    for path in FILES:
        if path.stem not in NAMES:
            continue  # a test says so
        for line in path.read_text("utf-8").splitlines():
            fields = json.loads(line)
            yield Case(
                dialect=fields.get("dialect", path.stem),
                source=f"{path.stem}: {fields['source']}",
                topic=fields["topic"],
                payload=_octets(fields),
                arrival=fields.get("arrival", 1_790_000_000_000),
                settings=msgspec.convert(fields.get("settings", {}), DialectSettings),
                before=tuple((one["topic"], _octets(one)) for one in fields.get("lessons_from", [])),
            )
    for line in (VECTORS / "devices.jsonl").read_text("utf-8").splitlines():
        fields = json.loads(line)
        yield Case(
            dialect=fields["dialect"],
            source=fields["source"],
            topic=fields["topic"],
            payload=fields["payload"].encode(),
            arrival=fields["arrival"],
            settings=DialectSettings(timezone=fields["timezone"]),
        )


CASES = list(_cases())

_CAPTURE = re.compile(r"\{(\w+)(\.\.\.\??|:[^{}]*)?\}")
OWN = ("AA:BB:CC:DD:EE:FF", "x", "kitchen")  # ids of sensors
_WORDS = ["x", "kitchen", "temperature", "0", "a b", "é", "\x1b[31m"]


@st.composite
def filled(draw: st.DrawFn, pattern: str) -> str:
    """A text that a pattern of topics or of members' names fits."""

    def value(match: re.Match[str]) -> str:
        match match[2]:
            case None:
                return draw(st.sampled_from(_WORDS))
            case "...":
                return draw(st.sampled_from(["x", "a/b", "a/b/c/d"]))
            case "...?":
                return draw(st.sampled_from(["x", "a/b"]))
            case ":int" | ":int?":
                return draw(st.sampled_from(["0", "1", "17", "9" * 30]))
            case words:
                return draw(st.sampled_from(str(words)[1:].split("|")))

    return _CAPTURE.sub(value, pattern).replace("{{", "{").replace("}}", "}")


def _steps(path: str) -> list[Any]:
    return list(parse(path).steps)


def plant(document: Any, steps: list[Any], value: Any) -> Any:
    """A document with a value where these steps lead to, and what is there already beside it."""
    if not steps:
        return value
    step, *rest = steps
    if isinstance(step, str):
        fields = document if isinstance(document, dict) else {}
        return {**fields, step: plant(fields.get(step), rest, value)}
    elements = list(document) if isinstance(document, list) else []
    at = max(0, step) if isinstance(step, int) else 0
    elements += [None] * (min(at, 40) + 1 - len(elements))
    elements[min(at, 40)] = plant(elements[min(at, 40)], rest, value)
    return elements


def _named(rule: Rule) -> dict[str, list[Any]]:
    """The paths that a rule looks at -> values that mean something there."""
    found: dict[str, list[Any]] = {path: [] for path in (*rule.needs, *rule.ignore)}
    for time in times_of(rule):
        found.setdefault(time.path, []).extend(TIMES)
    for field in rule.fields:
        for path in (field.path, field.lat, field.lon, field.accuracy, *field.details):
            found.setdefault(path, []).extend(field.enum)
        found.update(_wanted(field.when))
    found.update(_wanted(rule.when))
    return {path: values for path, values in found.items() if path not in ("", "*") and "{=" not in path}


def _wanted(conditions: Conditions) -> dict[str, list[Any]]:
    return {
        path: [wanted] if isinstance(wanted, str | int | float) else [*wanted]
        for path, wanted in conditions.items()
        if "{" not in path and not isinstance(wanted, Check)
    }


NOW = 1_790_000_000_000
TIMES = [1_790_000_000, NOW, NOW * 1_000_000, "2026-09-21T14:13:20Z", "2026-09-21 14:13:20", 17, "never"]
LIKELY = st.sampled_from(
    [0, 1, 21, 21.5, 48.2, True, False, "ON", "off", "online", "21.5", "x", OWN[0], "deep", "kitchen", -1]
)
RULES: list[tuple[Dialect, Rule]] = [(one.dialect, rule) for one in entries() for rule in one.dialect.rules]


@st.composite
def messages(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> tuple[str, bytes, str]:
    """(topic, payload, dialect): what one rule of a dialect looks for; now and then one of the values."""

    def value(among: list[Any]) -> Any:
        how = draw(st.integers(0, 7))
        return draw(values if not how else st.sampled_from(among) if among and how > 2 else LIKELY)

    dialect, rule = draw(st.sampled_from(RULES))
    topic = draw(filled(draw(st.sampled_from([*topics_of(rule), *dialect.topics, "any/topic"]))))
    if rule.format in ("value", "text", "any", "blob"):
        said = value([word for field in rule.fields for word in field.enum])
        plain = isinstance(said, str) and draw(st.booleans())
        return topic, (said if plain else json.dumps(said)).encode("utf-8", "replace"), dialect.name
    base = [step for segment in segments(parse(rule.each)) for step in segment] if rule.each else []
    named = _named(rule)
    chosen = [*rule.needs, *_wanted(rule.when)]
    chosen += draw(st.lists(st.sampled_from(sorted(named)), max_size=6)) if named else []
    chosen += [path for time in times_of(rule) for path in [time.path] if draw(st.booleans())]
    document: Any = {}
    for key in dialect.keys:
        document = plant(document, _steps(key if isinstance(key, str) else draw(st.sampled_from(key))), 1)
    if draw(st.booleans()):
        document |= {"temperature": value([]), "battery": value([])}
    for text in chosen:
        path = parse(text)
        start = [] if path.root else base[: len(base) - path.out] if path.out else base
        steps = [
            draw(filled(step.text)) if isinstance(step, Level) else step for step in (*start, *path.steps)
        ]
        document = plant(document, steps, value(named.get(text, [])))
    return topic, json.dumps(document).encode(), dialect.name
