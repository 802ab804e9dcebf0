"""The dialects of this release: every ``<name>.toml`` beside this file, and how each is recognised."""

from __future__ import annotations

import functools
import importlib
import importlib.resources
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.dialects.books import ROUTES_MAX, Book
from gateway.dialects.paths import ABSENT, follow
from gateway.dialects.paths import parse as parse_path
from gateway.dialects.patterns import Topic
from gateway.dialects.reading import NAMES, PLAIN, Reading
from gateway.dialects.rules import Dialect
from gateway.dialects.specs import Spec
from gateway.dialects.tries import LAST_LAYER

if TYPE_CHECKING:
    from gateway.dialects.notebook import Notebook

Code = Callable[[str, bytes, int, "Notebook"], Reading | None]


class Key:
    """A path that gives a dialect away."""

    __slots__ = ("_steps", "_words")

    def __init__(self, path: str) -> None:
        """Compile.

        Raises:
            ValueError: it is no path to one member.
        """
        steps = parse_path(path).steps
        self._steps = tuple(step for step in steps if isinstance(step, str))
        if not self._steps or len(self._steps) != len(steps):
            raise ValueError("a key is a path of members")
        self._words = tuple(f'"{step}"'.encode() for step in self._steps)

    @property
    def word(self) -> bytes:
        """The first name, as a payload has it."""
        return self._words[0]

    def likely(self, payload: bytes) -> bool:
        """Whether the path's names occur in a payload."""
        return all(word in payload for word in self._words)

    def leads(self, document: Any) -> bool:
        """Whether the path leads to something."""
        return follow(document, self._steps) is not ABSENT


class Entry:
    """One dialect, ready for use."""

    __slots__ = ("_code", "_known", "_topics", "book", "dialect", "keys", "name", "topics")

    def __init__(self, dialect: Dialect) -> None:
        """Compile a file.

        Raises:
            ValueError: something in it is not of its form.
        """
        self.dialect = dialect
        self.name = dialect.name
        self.topics = tuple(map(Topic, dialect.topics))
        self.keys = tuple(
            tuple(Key(path) for path in ((key,) if isinstance(key, str) else key)) for key in dialect.keys
        )
        self.book = Book([Spec(rule, dialect) for rule in dialect.rules], LAST_LAYER)
        self._topics = tuple(map(Topic, dialect.code))
        self._code: Code | None = None
        self._known: dict[str, bool] = {}

    def code(self, topic: str) -> Code | None:
        """The module's function, where it is to be asked about a topic."""
        if not self._topics:
            return None
        asked = self._known.get(topic)
        if asked is None:
            if len(self._known) >= ROUTES_MAX:
                self._known.clear()
            asked = self._known[topic] = self._asked(topic)
        if not asked:
            return None
        if self._code is None:
            module = importlib.import_module(f"gateway.dialects.{self.name.replace('-', '_')}")
            self._code = module.read
        return self._code

    def _asked(self, topic: str) -> bool:
        return any(pattern.match(topic) is not None for pattern in self._topics)


def parse(text: str) -> Dialect:
    """Read a dialect's file.

    Raises:
        ValueError: not TOML, a field too many or too few, or of another type.
    """
    return msgspec.toml.decode(text, type=Dialect)


@functools.cache
def entry(name: str) -> Entry:
    """The dialect of a name, which is one of ``NAMES`` and not plain."""
    text = importlib.resources.files("gateway.dialects").joinpath(f"{name}.toml").read_text("utf-8")
    dialect = parse(text)
    if dialect.name != name:
        raise ValueError(f"{name}.toml calls itself something else")
    return Entry(dialect)


@functools.cache
def entries() -> tuple[Entry, ...]:
    """All dialects, by name."""
    return tuple(entry(name) for name in NAMES if name != PLAIN)
