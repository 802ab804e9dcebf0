"""Fields of a request's detail, each of one form; whatever else one holds is refused with what to send.

Every function raises RequestError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from policies.errors import RequestError
from policies.strict import excerpt, unshowable

_T = TypeVar("_T")


def read_names(detail: Mapping[str, object], field: str, fewest: int, most: int) -> list[str]:
    """From ``fewest`` to ``most`` texts; left out is none."""
    value = detail.get(field, [])
    if not isinstance(value, list) or not fewest <= len(value) <= most:
        raise RequestError(
            f"{field} is not a list of {fewest} to {most} names", f"send {fewest} to {most} texts"
        )
    return [read_string(field, name) for name in value]


def read_text(detail: Mapping[str, object], field: str, most: int) -> str:
    """A text of up to so many characters; left out is an empty one."""
    text = read_string(field, detail.get(field, ""))
    check_text(field, text, most)
    return text


def read_flag(detail: Mapping[str, object], field: str) -> bool:
    """True or false; left out is false."""
    value = detail.get(field, False)
    if not isinstance(value, bool):
        raise RequestError(f"{field} is neither true nor false", "send true or false, or leave it out")
    return value


def read_optional(
    detail: Mapping[str, object], field: str, parse: Callable[[str], _T], hint: str
) -> _T | None:
    """What ``parse`` makes of a text, which raises ValueError for what it cannot read; None: left out."""
    if field not in detail:
        return None
    text = read_string(field, detail[field])
    try:
        return parse(text)
    except ValueError as error:
        raise RequestError(f"{field} '{excerpt(text)}' is {error}", hint) from None


def read_string(field: str, value: object) -> str:
    """A text, whatever it holds."""
    if not isinstance(value, str):
        raise RequestError(f"{field} is not a text", "send a text, or leave an optional field out")
    return value


def check_text(field: str, text: str, most: int) -> None:
    """Refuse a text of more than ``most`` characters, and one that a person could not be shown as it is."""
    if len(text) > most:
        raise RequestError(f"{field} has {len(text)} characters", f"send at most {most}")
    hidden = unshowable(text)
    if hidden:
        raise RequestError(
            f"{field} holds the character {hidden}", "send plain words, without line ends or controls"
        )
    if text != text.strip():
        raise RequestError(f"{field} begins or ends with a space", "send the words alone")


def check_once(names: list[str], field: str) -> None:
    """Refuse a list that names one thing twice."""
    if len(set(names)) != len(names):
        raise RequestError(f"{field} names one thing twice", "name each once")
