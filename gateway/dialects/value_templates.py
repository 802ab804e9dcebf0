"""Home Assistant's value templates, as far as they only say where a value stands.

``{{ value_json.ENERGY.Power | float * 0.001 }}`` is a path and a line through the origin; such templates
are read here, by a grammar of our own.  Whatever else Jinja can say (conditions, states, time, macros)
is not read, and never run: it would be somebody else's program.
"""

from __future__ import annotations

import math
import re

import msgspec

TEMPLATE_MAX = 1024  # characters
DEPTH_MAX = 8  # brackets within each other
PATH_MAX = 16  # steps

Step = str | int

# Every alternative either takes characters or ends the reading: linear in the template.
_TOKEN = re.compile(
    r"\s*+(?:(?P<number>[0-9]++(?:\.[0-9]++)?+)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*+)"
    r"|'(?P<single>[^'\\]*+)'|\"(?P<double>[^\"\\]*+)\""
    r"|(?P<sign>[-+*/().,|\[\]]))"
)
_NUMBER_MAX = 18  # characters: no factor between two units needs more

# Filters that change how a value is written, not what it says.  Rounding is among them: what was
# measured is kept.  A default would stand for a field that was not sent, which is no reading.
_CASTS = frozenset(("float", "int", "round", "is_defined", "string", "trim", "lower", "upper"))
_DEFAULTS = frozenset(("default", "d"))
_ARGUMENTS_MAX = 2
_ARGUMENT_WORDS = frozenset(("true", "false", "none", "True", "False", "None"))


class Template(msgspec.Struct, frozen=True):
    """Where a value stands in a payload, and value * scale + offset is what it says."""

    path: tuple[Step, ...] | None  # None: {{ value }}, the payload as it is; else steps into its JSON
    scale: float = 1.0
    offset: float = 0.0


def parse(text: object) -> Template | None:
    """Read a template; None when it says more than where a value stands."""
    if not isinstance(text, str) or len(text) > TEMPLATE_MAX:
        return None
    text = text.strip()
    if not text.startswith("{{") or not text.endswith("}}"):
        return None
    tokens = _tokens(text[2:-2].removeprefix("-").removesuffix("-"))
    if not tokens:
        return None
    try:
        reader = _Reader(tokens)
        template = reader.expression()
        reader.end()
    except _OtherError:
        return None
    if not isinstance(template, Template):  # a constant
        return None
    finite = math.isfinite(template.scale) and math.isfinite(template.offset) and template.scale != 0.0
    return template if finite else None


class _OtherError(Exception):
    """This template is not one of ours."""


class _Token(msgspec.Struct, frozen=True):
    what: str  # number, name, text, sign
    text: str


_END = _Token("end", "")


def _tokens(text: str) -> list[_Token]:
    """The words of a template; none at all where one is not a word of ours."""
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None or match.lastgroup is None:
            return []
        what = "text" if match.lastgroup in ("single", "double") else match.lastgroup
        found.append(_Token(what, match[match.lastgroup]))
        at = match.end()
    return found


class _Reader:
    """A descent through one template; filters bind closer than * and /, these closer than + and -."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def expression(self) -> Template | float:
        left = self._product()
        while (sign := self._sign("+-")) is not None:
            right = self._product()
            if sign == "-":
                right = _times(right, -1.0)
            left = _plus(left, right)
        return left

    def end(self) -> None:
        if self._peek() is not _END:
            raise _OtherError

    def _product(self) -> Template | float:
        left = self._filtered()
        while (sign := self._sign("*/")) is not None:
            right = self._filtered()
            if sign == "*":
                left = _times(right, left) if isinstance(right, Template) else _times(left, right)
            elif isinstance(right, Template) or right == 0.0:
                raise _OtherError
            elif isinstance(left, Template):
                left = Template(left.path, left.scale / right, left.offset / right)
            else:
                left /= right
        return left

    def _filtered(self) -> Template | float:
        value = self._operand()
        while self._sign("|") is not None:
            name = self._take("name").text
            arguments = self._arguments() if self._peek().text == "(" else 0
            if name not in _CASTS and not (name in _DEFAULTS and arguments):
                raise _OtherError
        return value

    def _operand(self) -> Template | float:
        if self._sign("-") is not None:
            return _times(self._operand_within(), -1.0)
        return self._operand_within()

    def _operand_within(self) -> Template | float:
        token = self._peek()
        if token.text == "(" and token.what == "sign":
            self._at += 1
            self._depth += 1
            if self._depth > DEPTH_MAX:
                raise _OtherError
            value = self.expression()
            self._depth -= 1
            self._expect(")")
            return value
        if token.what == "number":
            self._at += 1
            return _number(token.text)
        name = self._take("name").text
        if name == "value":
            return Template(None)
        if name != "value_json":
            raise _OtherError
        return Template(self._path())

    def _path(self) -> tuple[Step, ...]:
        steps: list[Step] = []
        while (sign := self._sign(".[")) is not None:
            token = self._next()
            if sign == "[":
                steps.append(_step(token))
                self._expect("]")
            elif token.what == "name" and token.text == "get" and self._peek().text == "(":
                self._at += 1
                steps.append(_step(self._take("text")))
                if self._sign(",") is not None:
                    self._argument()
                self._expect(")")
            elif token.what in ("name", "number"):
                steps.append(_step(token) if token.what == "number" else token.text)
            else:
                raise _OtherError
            if len(steps) > PATH_MAX:
                raise _OtherError
        return tuple(steps)

    def _arguments(self) -> int:
        """Pass over a filter's arguments, constants all of them; return how many there are."""
        self._expect("(")
        count = 0
        while self._peek().text != ")":
            if count:
                self._expect(",")
            self._argument()
            count += 1
            if count > _ARGUMENTS_MAX:
                raise _OtherError
        self._expect(")")
        return count

    def _argument(self) -> None:
        self._sign("-")
        token = self._next()
        if token.what not in ("number", "text") and token.text not in _ARGUMENT_WORDS:
            raise _OtherError

    def _sign(self, signs: str) -> str | None:
        token = self._peek()
        if token.what != "sign" or token.text not in signs:
            return None
        self._at += 1
        return token.text

    def _expect(self, sign: str) -> None:
        if self._sign(sign) is None:
            raise _OtherError

    def _take(self, what: str) -> _Token:
        token = self._next()
        if token.what != what:
            raise _OtherError
        return token

    def _next(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _peek(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END


def _number(text: str) -> float:
    if len(text) > _NUMBER_MAX:
        raise _OtherError
    return float(text)


def _step(token: _Token) -> Step:
    match token.what:
        case "text":
            return token.text
        case "number" if token.text.isdecimal() and len(token.text) <= len("65535"):
            return int(token.text)
        case _:
            raise _OtherError


def _times(value: Template | float, factor: Template | float) -> Template | float:
    if isinstance(factor, Template):
        raise _OtherError
    if isinstance(value, Template):
        return Template(value.path, value.scale * factor, value.offset * factor)
    return value * factor


def _plus(left: Template | float, right: Template | float) -> Template | float:
    if isinstance(left, Template):
        if isinstance(right, Template):
            raise _OtherError
        return Template(left.path, left.scale, left.offset + right)
    if isinstance(right, Template):
        return Template(right.path, right.scale, right.offset + left)
    return left + right
