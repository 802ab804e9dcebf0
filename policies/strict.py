"""Strict reading of what strangers write, and the one canonical way to write JSON that is hashed.

Parsers disagree about duplicate members, NaN and deep nesting; a person must not be shown one thing while
another part of the system reads a second.  So all of these are refused before anybody looks at the content.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from typing import NoReturn

from policies.errors import MalformedError

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1  # RFC 8259, section 6: beyond it parsers disagree
EXCERPT_SIZE = 40  # characters, after escaping

# A string, closed or not, or a bracket.  Possessive, and the end optional: linear on any input.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")  # Persian and emoji need them, and they move nothing


def load(text: str | bytes) -> object:
    """Read JSON (RFC 8259, UTF-8 without byte order mark) of dicts, lists, texts, integers, flags and null.

    Raises:
        MalformedError: not JSON; over 64 KiB; nested deeper than 32; a member named twice; a number that is
            no integer, or beyond 2^53-1.
    """
    plain = _decode(text)
    depth = 0
    for token in _TOKEN.finditer(plain):
        match plain[token.start()]:
            case "[" | "{":
                depth += 1
                if depth > MAX_DEPTH:
                    raise MalformedError(f"nested deeper than {MAX_DEPTH}")
            case "]" | "}":
                depth -= 1
    try:
        return json.loads(
            plain,
            object_pairs_hook=_members,
            parse_int=_integer,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except json.JSONDecodeError as error:
        raise MalformedError(f"not JSON at character {error.pos}") from None


def canonical(value: object) -> bytes:
    """Write JSON as RFC 8785 does, for texts, integers, flags, null, lists and objects with ASCII names."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def excerpt(text: str) -> str:
    """Return the beginning of ``text`` with nothing in it that can act.

    Printable ASCII but quotes, backslash and angle brackets stays; all else appears as ``<U+202E>``.  At most
    40 characters, and three dots if more followed.
    """
    shown = ""
    for character in text:
        plain = " " <= character <= "~" and character not in "\"'\\`<>"
        piece = character if plain else f"<U+{ord(character):04X}>"
        if len(shown) + len(piece) > EXCERPT_SIZE:
            return shown + "..."
        shown += piece
    return shown


def unshowable(text: str) -> str | None:
    """Return the first character no terminal should be handed, as ``U+001B``; None if there is none.

    Those are control characters (ESC, NUL, line ends), everything that reorders or hides text (bidirectional
    overrides and isolates, zero-width spaces, tags), private use, surrogates.  The two joiners are allowed.
    """
    for character in text:
        if unicodedata.category(character) in _INVISIBLE and character not in _JOINERS:
            return f"U+{ord(character):04X}"
    return None


def _decode(text: str | bytes) -> str:
    if len(text) > MAX_BYTES:
        raise MalformedError(f"longer than {MAX_BYTES // 1024} KiB")
    try:
        raw = text.encode() if isinstance(text, str) else text
        plain = raw.decode()
    except UnicodeError:
        raise MalformedError("not UTF-8") from None
    if len(raw) > MAX_BYTES:
        raise MalformedError(f"longer than {MAX_BYTES // 1024} KiB")
    if plain.startswith("\ufeff"):
        raise MalformedError("begins with a byte order mark")
    return plain


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise MalformedError(f"the member '{excerpt(twice)}' appears twice")
    return members


def _integer(digits: str) -> int:
    if len(digits) > len(str(-MAX_INTEGER)) or abs(int(digits)) > MAX_INTEGER:
        raise MalformedError("a number is too large")
    return int(digits)


def _no_number(_text: str) -> NoReturn:
    raise MalformedError("a number is not an integer")
