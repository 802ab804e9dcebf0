"""Patterns of topics and of members' names: text with captures; see ``rules``.

Matching does not backtrack: its time grows with the text times the pattern, whatever either holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

PATTERN_MAX: Final = 1024  # characters
CAPTURES_MAX: Final = 8  # in one level
LEVELS_MAX: Final = 64  # of a topic; one of more levels fits no pattern with captures

Captures = Mapping[str, str]


class Caught(dict[str, str]):
    """The captures of a topic, which many messages share; ``filled`` is what was made of them alone."""

    __slots__ = ("filled",)

    def __init__(self, captures: Captures) -> None:
        """Take a copy."""
        super().__init__(captures)
        self.filled: dict[object, str] = {}


class Level(msgspec.Struct, frozen=True):
    """One level with captures: ``texts[0] names[0] texts[1] names[1] ... texts[n]``."""

    text: str
    texts: tuple[str, ...]
    names: tuple[str, ...]
    checks: tuple[Callable[[str], bool], ...]
    words: bool  # every capture is one of a list

    def match(self, text: str) -> dict[str, str] | None:
        """What the captures hold; None: the text does not fit.

        From the right, every capture ends where the text before it occurs last.
        """
        first, last = self.texts[0], self.texts[-1]
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return None
        rest = text[len(first) : len(text) - len(last)]
        found: dict[str, str] = {}
        for at in range(len(self.names) - 1, -1, -1):
            part = rest
            if at:
                before, separator, part = rest.rpartition(self.texts[at])
                if not separator:
                    return None
                rest = before
            if not self.checks[at](part):
                return None
            found[self.names[at]] = part
        return found


class Many(msgspec.Struct, frozen=True):
    """A capture of whole levels, at least so many."""

    name: str
    least: int


class Topic:
    """A compiled pattern of topics."""

    __slots__ = ("levels", "literal", "names", "order", "text")

    def __init__(self, text: str) -> None:
        """Compile.

        Raises:
            ValueError: it is no pattern.
        """
        _check_length(text)
        self.text = text
        self.levels: tuple[str | Level | Many, ...] = tuple(_topic_level(part) for part in split(text, "/"))
        self.literal: str | None = None
        if all(isinstance(part, str) for part in self.levels):
            self.literal = "/".join(part for part in self.levels if isinstance(part, str))
        self.order = tuple(map(_openness, self.levels))
        self.names = frozenset(
            name
            for part in self.levels
            if not isinstance(part, str)
            for name in (part.names if isinstance(part, Level) else (part.name,))
        )

    def match(self, topic: str) -> dict[str, str] | None:
        """What the captures hold; None: the topic does not fit."""
        if self.literal is not None:
            return {} if topic == self.literal else None
        if topic.count("/") >= LEVELS_MAX:
            return None
        levels = topic.split("/")
        found: dict[str, str] = {}
        runs: list[list[str | Level]] = [[]]
        manies: list[Many] = []
        for part in self.levels:
            if isinstance(part, Many):
                manies.append(part)
                runs.append([])
            else:
                runs[-1].append(part)
        if not _run_at(runs[0], levels, 0, found):
            return None
        at = len(runs[0])
        if not manies:
            return found if at == len(levels) else None
        for many, run in zip(manies[:-1], runs[1:-1], strict=True):
            start = at + many.least
            while not _run_at(run, levels, start, found):
                start += 1
                if start + len(run) > len(levels):
                    return None
            found[many.name] = "/".join(levels[at:start])
            at = start + len(run)
        end = len(levels) - len(runs[-1])
        if end < at + manies[-1].least or not _run_at(runs[-1], levels, end, found):
            return None
        found[manies[-1].name] = "/".join(levels[at:end])
        return found


def level(text: str) -> str | Level:
    """Compile one level or the name of a member; a text without captures is a str.

    Raises:
        ValueError: it is no pattern.
    """
    _check_length(text)
    texts = [""]
    names: list[str] = []
    checks: list[Callable[[str], bool]] = []
    words = True
    at = 0
    while at < len(text):
        character = text[at]
        if text[at : at + 2] in ("{{", "}}"):
            texts[-1] += character
            at += 2
        elif character == "{":
            end = text.find("}", at)
            name, _, form = text[at + 1 : end].partition(":")
            if end < 0 or not name.isidentifier() or name in names:
                raise ValueError("a capture is {name}, {name:int}, {name:int?} or {name:a|b}")
            if names and not texts[-1]:
                raise ValueError("between two captures there must be a text")
            names.append(name)
            checks.append(_capture(form))
            words = words and "|" in form
            texts.append("")
            at = end + 1
        elif character == "}":
            raise ValueError("a brace that closes nothing")
        else:
            texts[-1] += character
            at += 1
    if len(names) > CAPTURES_MAX:
        raise ValueError("too many captures")
    return Level(text, tuple(texts), tuple(names), tuple(checks), words) if names else texts[0]


def split(text: str, separator: str) -> list[str]:
    """Split at a character outside of captures."""
    parts, depth = [""], 0
    for character in text:
        if character == separator and not depth:
            parts.append("")
            continue
        depth = max(0, depth + (character == "{") - (character == "}"))
        parts[-1] += character
    return parts


def _topic_level(text: str) -> str | Level | Many:
    if text.startswith("{") and text.endswith(("...}", "...?}")) and text.count("{") == 1:
        name = text[1:].partition(".")[0]
        if not name.isidentifier():
            raise ValueError("captures of levels are {name...} or {name...?}")
        return Many(name, 0 if text.endswith("?}") else 1)
    return level(text)


def _run_at(run: list[str | Level], levels: list[str], start: int, found: dict[str, str]) -> bool:
    """Whether consecutive levels fit at one place; then their captures are added."""
    if start + len(run) > len(levels):
        return False
    captured: dict[str, str] = {}
    for part, text in zip(run, levels[start:], strict=False):
        if isinstance(part, str):
            if part != text:
                return False
        else:
            matched = part.match(text)
            if matched is None:
                return False
            captured.update(matched)
    found.update(captured)
    return True


def _capture(form: str) -> Callable[[str], bool]:
    match form:
        case "":
            return bool
        case "int":
            return _digits
        case "int?":
            return _maybe_digits
        case _ if "|" in form:
            return frozenset(form.split("|")).__contains__
        case _:
            raise ValueError("a capture is {name}, {name:int}, {name:int?} or {name:a|b}")


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _maybe_digits(text: str) -> bool:
    return not text or _digits(text)


def _openness(part: str | Level | Many) -> int:
    """How much fits: the order in which dialects are tried."""
    if isinstance(part, str):
        return 0
    if isinstance(part, Level):
        return 1 if part.words else 2 if any(part.texts) else 3
    return 4


def _check_length(text: str) -> None:
    if len(text) > PATTERN_MAX:
        raise ValueError("a pattern of more than 1024 characters")
