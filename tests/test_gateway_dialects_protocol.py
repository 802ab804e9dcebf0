"""PROTOCOL.md says what the dialects do: its tables, row by row."""

from __future__ import annotations

import importlib.resources
import re
from pathlib import Path

import pytest

from gateway.dialects import Notebook, books, decode, draft, notebook, read
from gateway.dialects.library import Entry, entries
from gateway.dialects.reading import NAMES, PLAIN, DialectSettings, Lesson
from gateway.dialects.rules import Field, Rule
from tests.docs import REPO

TEXT = (REPO / "gateway" / "PROTOCOL.md").read_text().split("\n## Dialects\n")[1].split("\n## ")[0]
FILES = Path(str(importlib.resources.files("gateway.dialects")))
NOW = 1_790_000_000_000


def table(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, code marks taken off."""
    under = TEXT.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    rows = [line for line in under.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_every_dialect_is_listed_under_its_title_and_nothing_else_is() -> None:
    listed = {name: title for name, title in table("Which dialect") if name != PLAIN}
    assert listed == {entry.name: entry.dialect.title for entry in entries()}
    assert [name for name, _ in table("Which dialect")] == sorted(NAMES)


def test_every_file_is_a_dialect_and_every_dialect_a_file() -> None:
    assert {path.stem for path in FILES.glob("*.toml")} == set(NAMES) - {PLAIN}


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_a_dialect_says_what_it_is_and_how_it_is_told(entry: Entry) -> None:
    dialect = entry.dialect
    assert dialect.title
    assert dialect.about.startswith("https://")
    assert dialect.topics or dialect.keys or dialect.arrays
    assert dialect.rules or dialect.code


def test_the_limits() -> None:
    known = {
        "MAX_PAYLOAD": decode.MAX_PAYLOAD,
        "MAX_DEPTH": decode.MAX_DEPTH,
        "CHANNEL_MAX": draft.CHANNEL_MAX,
        "LESSONS_MAX": notebook.LESSONS_MAX,
        "BYTES_MAX": notebook.BYTES_MAX,
        "PATTERNS_MAX": notebook.PATTERNS_MAX,
        "GROUP_MAX": books.GROUP_MAX,
    }
    assert {name: int(value) for name, value, _ in table("What becomes of a value")} == known


def test_adding_a_dialect_takes_ten_lines_to_explain() -> None:
    steps = re.findall(r"^(\d+)\. ", TEXT.split("\n### Adding a dialect\n")[1], re.M)
    assert [int(step) for step in steps] == list(range(1, 11))


def kinds(topic: str, payload: bytes, known: Notebook) -> list[tuple[str, str]]:
    return [(one.channel, one.kind) for one in read(topic, payload, NOW, known).observations]


def test_the_order_is_taught_learned_set_detected_plain() -> None:
    topic, payload = "owntracks/a/b", b'{"temperature":21}'

    def says(kind: str) -> Rule:
        return Rule(topic=topic, channel=kind, fields=(Field(path="temperature", kind="temperature"),))

    plain = Notebook()
    assert kinds("a/b", payload, plain) == [("a/b", "temperature")]
    assert read(topic, payload, NOW, plain).dialect == "owntracks"  # the topic gives it away
    chosen = Notebook(DialectSettings(dialect="zigbee2mqtt"))
    assert read(topic, payload, NOW, chosen).dialect == "zigbee2mqtt"
    chosen.learn(Lesson("a declaration", (says("learned"),), dialect="homie"))
    assert kinds(topic, payload, chosen) == [("learned", "temperature")]
    assert read(topic, payload, NOW, chosen).dialect == "homie"
    taught = chosen.with_settings(DialectSettings(taught=(says("taught"),)))
    assert kinds(topic, payload, taught) == [("taught", "temperature")]
    assert read(topic, payload, NOW, taught).dialect == "taught"
