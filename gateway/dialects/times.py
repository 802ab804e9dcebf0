"""Forms of time: what a device writes -> milliseconds since the epoch."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable
from typing import Any, Final

from gateway.dialects import clock
from gateway.dialects.values import is_number

Reader = Callable[[Any, datetime.tzinfo], int | None]

FORM_MAX: Final = 64  # characters
_TEXT_MAX: Final = 64  # characters of a time
_PER_MS: Final = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1_000), "ns": (1, 1_000_000)}  # times, divided by
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,9})?")

# What a directive of strptime may be; every count is bounded, so that matching is, too.
_DIRECTIVES: Final = {
    "Y": "(?P<Y>[0-9]{4})",
    "m": "(?P<m>[0-9]{1,2})",
    "d": "(?P<d>[0-9]{1,2})",
    "H": "(?P<H>[0-9]{1,2})",
    "I": "(?P<I>[0-9]{1,2})",
    "p": "(?P<p>[AaPp][Mm])",
    "M": "(?P<M>[0-9]{1,2})",
    "S": "(?P<S>[0-9]{1,2})",
    "f": "(?P<f>[0-9]{1,9})",
    "z": "(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})",
    "%": "%",
}
_USUAL: Final = "%Y-%m-%d %H:%M:%S"
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)


@functools.lru_cache(maxsize=256)
def reader(form: str) -> Reader:
    """The function that reads times of one form; it gives None for what is no such time.

    Raises:
        ValueError: there is no such form.
    """
    if form == "auto":
        return _automatic
    if form == "rfc3339":
        return _rfc3339
    if form in _PER_MS:
        return _count(*_PER_MS[form])
    if "%" in form and len(form) <= FORM_MAX:
        return _strptime(form)
    raise ValueError("an unknown form of time")


def _automatic(value: Any, zone: datetime.tzinfo) -> int | None:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return clock.from_number(int(value))
    return clock.from_json(value, zone)


def _rfc3339(value: Any, zone: datetime.tzinfo) -> int | None:
    return clock.from_text(value, zone) if isinstance(value, str) else None


def _count(times: int, divisor: int) -> Reader:
    def read(value: Any, _zone: datetime.tzinfo) -> int | None:
        if isinstance(value, str):
            if not _NUMBER.fullmatch(value):
                return None
            value = float(value) if "." in value else int(value)
        if value.__class__ is int:  # integers are divided as integers: a float has no room for nanoseconds
            return min(max(value * times // divisor, clock.EARLIEST), clock.LATEST)
        return clock.from_seconds(value * times / divisor / 1000) if is_number(value) else None

    return read


def _strptime(form: str) -> Reader:
    pattern = ""
    at = 0
    while at < len(form):
        if form[at] == "%":
            directive = _DIRECTIVES.get(form[at + 1 : at + 2])
            if directive is None:
                raise ValueError("an unknown directive in a form of time")
            pattern += directive
            at += 2
        else:
            # Phones write a narrow no-break space before AM; \s is that as well.
            pattern += r"\s" if form[at].isspace() else re.escape(form[at])
            at += 1
    try:
        compiled = re.compile(pattern)
    except re.error:
        raise ValueError("a directive twice in a form of time") from None

    usual = form.startswith(_USUAL) and form[len(_USUAL) :] in ("", "%z", " %z")

    def read(value: Any, zone: datetime.tzinfo) -> int | None:
        if not isinstance(value, str) or len(value) > _TEXT_MAX:
            return None
        found = compiled.fullmatch(value)
        if usual and found is not None and found.end("S") == 19:  # two digits each: RFC 3339 but for a space
            return clock.from_text(value[:19] + value[19:].lstrip(), zone)  # the same, sooner
        return None if found is None else _moment(found.groupdict(), zone)

    return read


def _moment(parts: dict[str, str | None], zone: datetime.tzinfo) -> int | None:
    def number(name: str, default: int) -> int:
        text = parts.get(name)
        return default if text is None else int(text)

    hour = number("H", number("I", 0))
    half = parts.get("p")
    if half is not None and "I" in parts:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in ("PM", "pm", "Pm", "pM") else 0)
    fraction = parts.get("f")
    try:
        moment = datetime.datetime(
            number("Y", 1970),
            number("m", 1),
            number("d", 1),
            hour,
            number("M", 0),
            number("S", 0),
            int(fraction.ljust(6, "0")[:6]) if fraction else 0,
            tzinfo=_zone(parts.get("z"), zone),
        )
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):  # OverflowError: an offset at either end of the calendar
        return None


def _zone(text: str | None, zone: datetime.tzinfo) -> datetime.tzinfo:
    if text is None:
        return zone
    if text == "Z":
        return datetime.UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return datetime.timezone(datetime.timedelta(minutes=minutes if text[0] == "+" else -minutes))
