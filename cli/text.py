"""Text that is safe to print: nothing that came from outside reaches a terminal as a command to it."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Callable
from typing import Any

# What may steer a terminal or mislead a reader: C0 and C1 controls, format characters (bidirectional and
# zero-width ones among them), lone surrogates, private use, and the separators of lines and paragraphs.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and marks that show as nothing; the variation selectors but U+FE0F, which many emoji carry.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0))
}
_PLAIN = re.compile(r"[\x20-\x7e]*")


def escape(text: str) -> str:
    """Replace every character that could act or hide by a visible escape such as ``\\x1b`` or ``\\u202e``."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_visible(char) if _is_unsafe(char) else char for char in text)


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in _UNSAFE or char in _INVISIBLE


def _visible(char: str) -> str:
    match ord(char):
        case 0x0A:
            return "\\n"
        case 0x0D:
            return "\\r"
        case 0x09:
            return "\\t"
        case code if code < 0x100:
            return f"\\x{code:02x}"
        case code if code < 0x10000:
            return f"\\u{code:04x}"
        case code:
            return f"\\U{code:08x}"


def quoted(name: str) -> str:
    """A name as one word of a command line that a person copies."""
    return shlex.quote(escape(name))


def json_text(value: object, *, default: Callable[[Any], Any] | None = None) -> str:
    """One line of strict JSON in ASCII, so that a terminal shows it as harmlessly as a program reads it.

    Raises:
        ValueError: a number that JSON cannot say (NaN, infinity).
    """
    return json.dumps(value, allow_nan=False, default=default).replace("\x7f", "\\u007f")
