"""What would be best for a brand, and what would still do: a text, or ``{"ideal": ..., "minimum": ...}``.

The person settles between the two.  A minimum that is more than its ideal is refused: whoever answers it
would have to guess which of the two was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias, get_args

import msgspec

from policies.errors import RequestError
from policies.iso8601 import DAY, MAX_DAYS, format_span, parse_days, parse_span
from policies.kinds import SPANS, Kind
from policies.strict import excerpt

Mode: TypeAlias = Literal["answer", "once", "read", "stream"]  # how a brand gets it, the most private first

RESOLUTIONS_SUPPORTED = tuple(SPANS)
MODES_SUPPORTED: tuple[Mode, ...] = ("answer", "once", "read")  # the most private first
MAX_EVERY = 366 * DAY  # seconds between two readings

_DAYS_HINT = f"write whole days or weeks, like P30D or P2W; at most P{MAX_DAYS}D"
_EVERY_HINT = "write it like PT15M, PT1H or P1D: up to a day, or whole days up to P366D"


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two numbers of one unit: the best, and what would still do."""

    ideal: int
    minimum: int


def read_resolution(value: object, kinds: Iterable[Kind]) -> tuple[str, str]:
    """Read ideal and minimum; every kind has both, and the minimum is no finer than the ideal.

    Raises:
        RequestError: it is otherwise; the hint names the kind and what it has.
    """
    hint = f"leave it out, or send one of: {', '.join(RESOLUTIONS_SUPPORTED)}"
    ideal, minimum = _pair("resolution", value, hint)
    for text in (ideal, minimum):
        if text not in RESOLUTIONS_SUPPORTED:
            raise RequestError(f"the resolution '{excerpt(text)}' is not supported", hint)
    for kind in kinds:
        for text in (ideal, minimum):
            if text not in kind.resolutions:
                raise RequestError(
                    f"{kind.name} has no resolution '{text}'",
                    f"{kind.name} has: {', '.join(kind.resolutions)}; ask for other kinds in another detail",
                )
        if kind.resolutions.index(minimum) < kind.resolutions.index(ideal):
            raise RequestError(
                "the minimum of resolution is finer than the ideal",
                f"send the same or a coarser one; from fine to coarse: {', '.join(kind.resolutions)}",
            )
    return ideal, minimum


def read_mode(value: object) -> tuple[Mode, Mode]:
    """Read ideal and minimum; the minimum is no less private than the ideal.

    Raises:
        RequestError: it is otherwise, or a mode that is not there yet.
    """
    hint = f"leave it out, or send one of: {', '.join(MODES_SUPPORTED)}"
    ideal, minimum = (_mode(text, hint) for text in _pair("mode", value, hint))
    if MODES_SUPPORTED.index(minimum) > MODES_SUPPORTED.index(ideal):
        raise RequestError(
            "the minimum of mode is less private than the ideal",
            f"send the same or one before it of: {', '.join(MODES_SUPPORTED)}",
        )
    return ideal, minimum


def read_days(field: str, value: object, least: int) -> Wish:
    """Read ``P30D`` or ``P2W``, both ideal and minimum at least ``least`` days and at most ten years.

    Raises:
        RequestError: it is otherwise, or the minimum is more than the ideal.
    """
    ideal, minimum = (_parse(field, text, parse_days, _DAYS_HINT) for text in _pair(field, value, _DAYS_HINT))
    for days in (ideal, minimum):
        if not least <= days <= MAX_DAYS:
            raise RequestError(f"{field} is not {least} to {MAX_DAYS} days", _DAYS_HINT)
    if minimum > ideal:
        raise RequestError(
            f"the minimum of {field} is more than the ideal", "the minimum is what would still do: send less"
        )
    return Wish(ideal, minimum)


def read_frequency(value: object) -> Wish:
    """Read ``PT15M``: seconds between two readings of a series, 1 to a day's, or whole days up to 366.

    Raises:
        RequestError: it is otherwise, or the minimum is more often than the ideal.
    """
    pair = _pair("frequency", value, _EVERY_HINT)
    ideal, minimum = (_parse("frequency", text, parse_span, _EVERY_HINT) for text in pair)
    for seconds in (ideal, minimum):
        if not 1 <= seconds <= MAX_EVERY or (seconds > DAY and seconds % DAY):
            raise RequestError("frequency is neither up to a day nor whole days", _EVERY_HINT)
    if minimum < ideal:
        raise RequestError(
            "the minimum of frequency is more often than the ideal",
            "the minimum is what would still do: send a longer time between two readings",
        )
    return Wish(ideal, minimum)


def write_pair(ideal: str, minimum: str) -> str | dict[str, str]:
    """Write the canonical form: a text where both are the same."""
    return ideal if ideal == minimum else {"ideal": ideal, "minimum": minimum}


def write_days(wish: Wish) -> str | dict[str, str]:
    """Write a wish of days in its canonical form."""
    return write_pair(f"P{wish.ideal}D", f"P{wish.minimum}D")


def write_frequency(wish: Wish) -> str | dict[str, str]:
    """Write a wish of seconds in its canonical form."""
    return write_pair(format_span(wish.ideal), format_span(wish.minimum))


def _pair(field: str, value: object, hint: str) -> tuple[str, str]:
    """Take the two texts; who sends one means both."""
    if isinstance(value, dict):
        if "ideal" not in value or value.keys() - {"ideal", "minimum"}:
            raise RequestError(f"{field} is not an object of ideal and minimum", hint)
        ideal, minimum = value["ideal"], value.get("minimum", value["ideal"])
    else:
        ideal = minimum = value
    if not isinstance(ideal, str) or not isinstance(minimum, str):
        raise RequestError(f"{field} is not a text", hint)
    return ideal, minimum


def _mode(text: str, hint: str) -> Mode:
    for mode in MODES_SUPPORTED:
        if text == mode:
            return mode
    if text in get_args(Mode):
        raise RequestError(f"the mode '{text}' is not supported yet", hint)
    raise RequestError(f"the mode '{excerpt(text)}' is unknown", hint)


def _parse(field: str, text: str, parse: Callable[[str], int], hint: str) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise RequestError(f"{field} '{excerpt(text)}' is {error}", hint) from None
