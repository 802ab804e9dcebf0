"""Paths into a payload: see ``rules`` for how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from gateway.dialects.patterns import Level, level

PATH_MAX: Final = 512  # characters
STEPS_MAX: Final = 32  # decode.MAX_DEPTH; a longer path leads nowhere


class _Absent:
    """What a path leads to where there is nothing."""

    def __repr__(self) -> str:
        return "ABSENT"


class _Every:
    """The step to every element of an array."""

    def __repr__(self) -> str:
        return "EVERY"


class _All:
    """The path to whatever there is."""

    def __repr__(self) -> str:
        return "ALL"


ABSENT: Final = _Absent()
EVERY: Final = _Every()
ALL: Final = _All()

Step = str | int | Level | _Every | _All
Steps = tuple[Step, ...]


class Item:
    """What a rule is about: a value of the payload, and the item it was found in."""

    __slots__ = ("parent", "value")

    def __init__(self, value: Any, parent: Item | None) -> None:
        """Take a value as it was decoded."""
        self.value = value
        self.parent = parent


class Path(msgspec.Struct, frozen=True):
    """A compiled path: so many items out, or from the document, and then the steps."""

    steps: Steps
    out: int = 0
    root: bool = False

    @property
    def many(self) -> bool:
        """Whether it stands for many values."""
        return any(not isinstance(step, str | int) for step in self.steps)

    @property
    def inner(self) -> bool:
        """Whether it begins at the item."""
        return not self.out and not self.root


Getter = Callable[[Item], Any]

_PLAIN = re.compile(r'[^.\[\]"{}]+')
_INDEX = re.compile(r"\[(-?[0-9]{1,6})?\]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def parse(text: str) -> Path:
    """Compile a path.

    Raises:
        ValueError: it is no path.
    """
    if len(text) > PATH_MAX:
        raise ValueError("a path of more than 512 characters")
    out, root, rest = 0, False, text
    if text[:1] == "$" and text[1:2] in ("", ".", "["):
        root, rest = True, text[1:].removeprefix(".")
    else:
        rest = text.lstrip("^")
        out = len(text) - len(rest)
    if rest == "*":
        return Path((ALL,), out, root)
    steps = _steps(rest)
    if len(steps) > STEPS_MAX:
        raise ValueError("a path of more than 32 steps")
    return Path(tuple(steps), out, root)


def join(steps: Iterable[str | int]) -> str:
    """Write the path of these steps, quoting what must be."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            plain = _PLAIN.fullmatch(step) and not step.startswith(("^", "$", "*"))
            name = step if plain else msgspec.json.encode(step).decode()
            text += f".{name}" if text else name
    return text


def getter(path: Path) -> Getter:
    """Compile a path to one value into a function; it gives ``ABSENT`` where there is nothing.

    Raises:
        ValueError: the path stands for many values.
    """
    if path.many:
        raise ValueError("a path to one value is wanted here")
    steps = tuple(step for step in path.steps if isinstance(step, str | int))
    if len(steps) == 1 and isinstance(steps[0], str) and not path.root and path.out < 2:
        return _around(steps[0]) if path.out else _member(steps[0])
    out, root = path.out, path.root

    def get(item: Item) -> Any:
        start: Item | None = item
        if root:
            while item.parent is not None:
                item = item.parent
            start = item
        for _ in range(out):
            start = None if start is None else start.parent
        return ABSENT if start is None else follow(start.value, steps)

    return get


def follow(value: Any, steps: Iterable[str | int]) -> Any:
    """The value that single steps lead to, else ``ABSENT``."""
    for step in steps:
        if step.__class__ is str:
            if value.__class__ is not dict or step not in value:
                return ABSENT
        elif value.__class__ is not list or not -len(value) <= step < len(value):  # type: ignore[operator]
            return ABSENT
        value = value[step]
    return value


def _member(name: str) -> Getter:
    def get(item: Item) -> Any:
        value = item.value
        return value.get(name, ABSENT) if value.__class__ is dict else ABSENT

    return get


def _around(name: str) -> Getter:
    def get(item: Item) -> Any:
        around = item.parent
        value = None if around is None else around.value
        return value.get(name, ABSENT) if value.__class__ is dict else ABSENT

    return get


def _steps(text: str) -> list[Step]:
    steps: list[Step] = []
    at = 0
    while at < len(text):
        index = _INDEX.match(text, at)
        if index is not None:
            steps.append(EVERY if index[1] is None else int(index[1]))
            at = index.end()
            continue
        if steps:
            if text[at] != ".":
                raise ValueError("a path is written a.b[0].c")
            at += 1
        quoted = _QUOTED.match(text, at)
        if quoted is not None:
            steps.append(_unquote(quoted[0]))
            at = quoted.end()
            continue
        end = _name_end(text, at)
        if end == at:
            raise ValueError("a path is written a.b[0].c")
        steps.append(level(text[at:end]))
        at = end
    return steps


def _name_end(text: str, at: int) -> int:
    """Where a name or pattern ends: at a dot or bracket outside of a capture."""
    inside = False
    while at < len(text):
        character = text[at]
        if text[at : at + 2] in ("{{", "}}"):
            at += 2
            continue
        if not inside and character in '.["]':
            return at
        inside = character == "{" or (inside and character != "}")
        at += 1
    return at


def _unquote(text: str) -> str:
    try:
        return msgspec.json.decode(text, type=str)
    except msgspec.DecodeError:
        raise ValueError("a name in a path is quoted as in JSON") from None
