"""Templates: text with captures, values of a payload and known facts in it; see ``rules``.

This is all there is: no functions, no conditions, nothing that a device could make run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.dialects.paths import Getter, Item, Path, getter, parse
from gateway.dialects.patterns import Captures, Caught

TEMPLATE_MAX: Final = 512  # characters
PIECES_MAX: Final = 32
_NESTED: Final = 1  # a fact's key may hold captures, and no facts


class Capture(msgspec.Struct, frozen=True):
    """A capture's place."""

    name: str


class At(msgspec.Struct, frozen=True):
    """The place of what is at a path."""

    path: Path
    get: Getter


class Fact(msgspec.Struct, frozen=True):
    """A fact's place."""

    key: Template


Piece = str | Capture | At | Fact


class Template:
    """A compiled template."""

    __slots__ = ("_alone", "_key", "_levels", "_only", "_pure", "constant", "facts", "names", "paths")

    def __init__(self, text: str, *, nested: int = _NESTED) -> None:
        """Compile.

        Raises:
            ValueError: it is no template.
        """
        if len(text) > TEMPLATE_MAX:
            raise ValueError("a template of more than 512 characters")
        pieces = _pieces(text, nested)
        if len(pieces) > PIECES_MAX:
            raise ValueError("a template with too much in it")
        self._levels = _levels(pieces)
        self.constant: str | None = None
        if all(isinstance(piece, str) for piece in pieces):
            self.constant = "".join(piece for piece in pieces if isinstance(piece, str))
        only = pieces[0] if len(pieces) == 1 else None
        self._only = only.name if isinstance(only, Capture) else None
        self._alone = only.get if isinstance(only, At) else None
        self._key = only.key if isinstance(only, Fact) else None
        self._pure = all(isinstance(piece, str | Capture) for piece in pieces)
        self.facts = any(isinstance(piece, Fact) for piece in pieces)
        keys = [piece.key for piece in pieces if isinstance(piece, Fact)]
        self.paths: tuple[Path, ...] = (
            *(piece.path for piece in pieces if isinstance(piece, At)),
            *(path for key in keys for path in key.paths),
        )
        self.names: frozenset[str] = frozenset(
            piece.name for piece in pieces if isinstance(piece, Capture)
        ).union(*(key.names for key in keys))

    def fill(self, captures: Captures, item: Item, facts: Mapping[str, str]) -> str:
        """The text; what is not there is empty, and an empty level left out."""
        if self.constant is not None:
            return self.constant
        if self._only is not None:
            return captures.get(self._only, "")
        if self._alone is not None:
            return text_of(self._alone(item))
        if self._key is not None:
            return facts.get(self._key.fill(captures, item, facts), "")
        if not self._pure or captures.__class__ is not Caught:
            return self._fill(captures, item, facts)
        filled = captures.filled.get(self)
        if filled is None:
            filled = captures.filled[self] = self._fill(captures, item, facts)
        return filled

    def _fill(self, captures: Captures, item: Item, facts: Mapping[str, str]) -> str:
        parts = []
        for level in self._levels:
            if level.__class__ is str:
                parts.append(level)
                continue
            text = "".join([_fill(piece, captures, item, facts) for piece in level])
            if text:
                parts.append(text)
        return "/".join(parts)


def text_of(value: Any) -> str:
    """A text, number or boolean as JSON writes it, a text without its quotes; else nothing."""
    if value.__class__ is str:
        return str(value)
    if value.__class__ is bool:
        return "true" if value else "false"
    if value.__class__ is int and abs(value) < 2**63:
        return str(value)
    return repr(value).removesuffix(".0") if value.__class__ is float else ""


def _fill(piece: Piece, captures: Captures, item: Item, facts: Mapping[str, str]) -> str:
    match piece:
        case str():
            return piece
        case Capture(name):
            return captures.get(name, "")
        case At(_, get):
            return text_of(get(item))
        case Fact(key):
            return facts.get(key.fill(captures, item, facts), "")


def _levels(pieces: list[Piece]) -> tuple[str | tuple[Piece, ...], ...]:
    """The pieces between slashes; a level of text alone is joined, and stays where it is."""
    levels: list[list[Piece]] = [[]]
    for piece in pieces:
        if isinstance(piece, str):
            first, *others = piece.split("/")
            levels[-1].append(first)
            levels.extend([other] for other in others)
        else:
            levels[-1].append(piece)
    return tuple(
        "".join(piece for piece in level if isinstance(piece, str))
        if all(isinstance(piece, str) for piece in level)
        else tuple(piece for piece in level if piece != "")
        for level in levels
    )


def _pieces(text: str, nested: int) -> list[Piece]:
    pieces: list[Piece] = []
    plain = ""
    at = 0
    while at < len(text):
        character = text[at]
        if text[at : at + 2] in ("{{", "}}"):
            plain += character
            at += 2
        elif character == "{":
            end = _closing(text, at)
            if plain:
                pieces.append(plain)
                plain = ""
            pieces.append(_place(text[at + 1 : end], nested))
            at = end + 1
        elif character == "}":
            raise ValueError("a brace that closes nothing")
        else:
            plain += character
            at += 1
    return [*pieces, plain] if plain else pieces


def _closing(text: str, at: int) -> int:
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if not depth:
            return end
    raise ValueError("a brace that is not closed")


def _place(text: str, nested: int) -> Piece:
    if text.startswith("="):
        path = parse(text[1:])
        return At(path, getter(path))
    if text.startswith("@") and nested:
        return Fact(Template(text[1:], nested=nested - 1))
    if text == "#" or text.isidentifier():
        return Capture(text)
    raise ValueError("in a template stand {name}, {=path} and {@key}")
