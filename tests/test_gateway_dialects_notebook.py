"""What is known of one device: learned, replaced, forgotten, bounded, stored and taken up again."""

from __future__ import annotations

import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import DialectSettings, Lesson, Notebook, Reading, read
from gateway.dialects.engine import READINGS_LEAST
from gateway.dialects.notebook import BYTES_MAX, LESSONS_MAX, PATTERNS_MAX
from gateway.dialects.rules import Field, Rule

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor
else:
    from backports.zstd import ZstdCompressor

NOW = 1_790_000_000_000


def lesson(source: str = "s", kind: str = "power", topic: str = "t") -> Lesson:
    fields = (Field(path="x", kind=kind),)
    return Lesson(source, (Rule(topic=topic, fields=fields, others="quarantine"),), {}, "homie")


def packed(plain: bytes) -> bytes:
    return bytes(ZstdCompressor().compress(plain, ZstdCompressor.FLUSH_FRAME))


def kinds(notebook: Notebook, topic: str = "t") -> list[str]:
    return [one.kind for one in read(topic, b'{"x":1}', NOW, notebook).observations]


def test_a_lesson_is_learned_once() -> None:
    notebook = Notebook()
    assert kinds(notebook) == []
    assert notebook.learn(lesson())
    assert not notebook.learn(lesson())
    assert kinds(notebook) == ["power"]
    assert kinds(notebook, "u") == []


def test_a_later_lesson_of_the_same_source_replaces_it() -> None:
    notebook = Notebook(lessons=[lesson()])
    assert notebook.learn(lesson(kind="current"))
    assert kinds(notebook) == ["current"]
    assert len(notebook.lessons) == 1


def test_an_empty_lesson_forgets() -> None:
    notebook = Notebook(lessons=[lesson(), Lesson("f", (), {"key": "text"})])
    assert not notebook.learn(Lesson("another"))
    assert notebook.learn(Lesson("s"))
    assert kinds(notebook) == []
    assert notebook.learn(Lesson("f"))
    assert (notebook.lessons, notebook.facts) == ((), {})


def test_a_fact_of_two_lessons_is_known_while_one_of_them_is() -> None:
    notebook = Notebook(lessons=[Lesson("a", (), {"key": "a"}), Lesson("b", (), {"key": "b"})])
    notebook.learn(Lesson("b"))
    assert notebook.facts == {"key": "a"}


def test_a_fact_that_is_said_anew_leaves_all_others_alone() -> None:
    """A device may do so with every message, and everybody's commits would wait while all are gathered."""
    notebook = Notebook(lessons=[Lesson("many", (), {f"key{n}": "text" for n in range(1000)})])
    known = notebook.facts
    for text in ("a", "b", "c"):
        notebook.learn(Lesson("one", (), {"one": text}))
    assert notebook.facts is known
    assert (len(known), known["one"]) == (1001, "c")


def test_lessons_of_one_topic_are_all_used() -> None:
    fields = (Field(path="y", kind="current"),)
    notebook = Notebook(lessons=[lesson(), Lesson("s2", (Rule(topic="t", fields=fields),))])
    found = read("t", b'{"x":1,"y":2}', NOW, notebook)
    assert [one.kind for one in found.observations] == ["power", "current"]
    notebook.learn(Lesson("s"))
    assert [one.kind for one in read("t", b'{"x":1,"y":2}', NOW, notebook).observations] == ["current"]


def test_reading_changes_nothing() -> None:
    notebook = Notebook()
    before = notebook.lessons_bytes()
    read("homie/5/d/$description", b'{"homie":"5.0","version":1,"nodes":{}}', NOW, notebook)
    assert notebook.lessons_bytes() == before


def test_there_is_room_for_so_many_lessons() -> None:
    notebook = Notebook(lessons=(lesson(str(n), topic=str(n)) for n in range(LESSONS_MAX)))
    assert not notebook.learn(lesson("one more"))
    assert notebook.learn(lesson("7", kind="current"))  # one that is there may change
    assert notebook.learn(Lesson("8"))
    assert notebook.learn(lesson("one more"))


def test_there_is_room_for_so_many_bytes() -> None:
    large = {"key": "x" * (BYTES_MAX // 2)}
    notebook = Notebook(lessons=[Lesson("a", (), large)])
    assert not notebook.learn(Lesson("b", (), large))
    assert notebook.learn(Lesson("a", (), {"key": "x"}))
    assert notebook.learn(Lesson("b", (), large))


def test_other_settings_keep_what_was_learned() -> None:
    notebook = Notebook(lessons=[lesson()]).with_settings(DialectSettings(timezone="Asia/Tokyo"))
    assert kinds(notebook) == ["power"]
    assert notebook.settings.timezone == "Asia/Tokyo"


def test_what_is_stored_is_taken_up_again() -> None:
    notebook = Notebook(lessons=[lesson(), Lesson("f", (), {"key": "text"})])
    again = Notebook(lessons=Notebook.decode_lessons(notebook.lessons_bytes()))
    assert again.lessons == notebook.lessons
    assert again.facts == {"key": "text"}
    assert kinds(again) == ["power"]


@pytest.mark.parametrize("data", [b"", b"\0", b"not zstd", Notebook(lessons=[lesson()]).lessons_bytes()[:-3]])
def test_what_is_damaged_teaches_nothing(data: bytes) -> None:
    assert Notebook.decode_lessons(data) == ()


@given(st.binary(max_size=64))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    assert Notebook.decode_lessons(data) == ()


def test_lessons_of_another_release_teach_nothing() -> None:
    def stored(rule: dict[str, object]) -> bytes:
        return packed(msgspec.msgpack.encode([{"source": "s", "rules": [rule]}]))

    assert Notebook.decode_lessons(stored({"topic": "t"})) == (Lesson("s", (Rule(topic="t"),)),)
    assert Notebook.decode_lessons(stored({"topic": "t", "whatever": 1})) == ()


def test_what_inflates_without_end_is_not_inflated() -> None:
    assert Notebook.decode_lessons(packed(bytes(64 * BYTES_MAX))) == ()


def test_a_short_message_gives_so_many_readings_and_no_more() -> None:
    """A device declares one value over and over, and sends it: few bytes must not fill the disk."""

    def taken(times: int) -> Reading:
        fields = [Field(path="x", kind="power", scale=1 + n / 1000) for n in range(times)]
        rules = [Rule(topic="t", fields=tuple(fields[at : at + 500])) for at in range(0, times, 500)]
        lessons = [Lesson(str(n), (rule,), {}, "homie") for n, rule in enumerate(rules)]
        return read("t", b'{"x":1}', NOW, Notebook(lessons=lessons))

    assert len(taken(READINGS_LEAST).observations) == READINGS_LEAST  # the control
    many = taken(10_000)
    assert (many.observations, many.quarantine) == ((), True)


@pytest.mark.parametrize("spread", ["in one rule", "over many"])
def test_patterns_that_a_person_teaches_have_a_limit(spread: str) -> None:
    """Each is held against every member of every payload, on the thread that writes for everybody."""

    def taught(count: int) -> Notebook:
        fields = [Field(path=f"{{name}}_{n}", kind="temperature") for n in range(count)]
        groups = [fields] if spread == "in one rule" else [[field] for field in fields]
        return Notebook(DialectSettings(taught=tuple(Rule(topic="t", fields=tuple(g)) for g in groups)))

    last = b'{"a_%d": 21.5}' % (PATTERNS_MAX - 1)
    assert read("t", last, NOW, taught(PATTERNS_MAX)).observations
    assert not read("t", b'{"a_%d": 21.5}' % PATTERNS_MAX, NOW, taught(PATTERNS_MAX + 1)).observations
