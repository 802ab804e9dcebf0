"""Minimisation beyond resolutions: less of what a permit covers, decided by the person, done in code.

Keys cannot round a number or leave out every second reading; this does.  Pure: what comes out was in what
went in, or is coarser.  What a limit cannot be applied to is left out, never let through.

Whoever releases MUST do three things in this order: take what lies within the terms and outside their gaps,
minimise it, and only then apply the range and the page that the brand asked for.  Were the range applied
first, a brand could move it through a stretch of ``every`` second by second and be given all of its readings.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable, Iterable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from math import isfinite
from typing import Final, Protocol, TypeVar, cast
from zoneinfo import ZoneInfo

import msgspec

from policies.errors import TermsError
from policies.iso8601 import DAY, MAX_DAYS
from policies.kinds import SPANS, Kind

DROPPABLE: Final = ("accuracy", "low", "high", "squares", "seconds")
MINUTES: Final = 1440  # of a day
MAX_EVERY: Final = MAX_DAYS * DAY  # seconds
MAX_FEWEST: Final = 1_000_000

_RAW: Final = "raw"
_STEP: Final = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{0,8}[1-9])?")
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_EXACT: Final = Context(prec=50, rounding=ROUND_HALF_EVEN)
_Value = TypeVar("_Value")


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one kind is given less exactly than its resolution would allow; what is None limits nothing.

    ``round`` is a step in the kind's unit, a decimal such as "0.5"; ``every`` lets through one reading of a
    series in each such number of seconds, counted from each UTC midnight (more than a day: whole days since
    the epoch, of which only the first gives one); ``hours`` are local minutes of the day [from, until) in
    ``zone`` (IANA), and may run over midnight: what lies outside is left out; ``fewest`` is the least number
    of readings in each row of a bucket; ``drop`` names fields that are left out, such as ``accuracy``.
    """

    kind: str
    round: str | None = None
    every: int | None = None
    hours: tuple[int, int] | None = None
    zone: str = "UTC"
    fewest: int | None = None
    drop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises TermsError.  Whether a zone is known is not asked here: old terms must stay readable."""
        if self.round is not None and (not _STEP.fullmatch(self.round) or not float(self.round)):
            raise TermsError("a step is a decimal above 0, such as 0.5 or 10")
        if self.every is not None and not (
            1 <= self.every <= DAY or (DAY < self.every <= MAX_EVERY and self.every % DAY == 0)
        ):
            raise TermsError("a reading in every 1 to 86400 seconds, or in a number of whole days")
        if self.hours is not None:
            since, until = self.hours
            if not (0 <= since < MINUTES and 1 <= until <= MINUTES) or since == until:
                raise TermsError("hours are two different minutes of a day")
        if not _ZONE.fullmatch(self.zone):
            raise TermsError("a zone is named like Europe/Berlin")
        if self.fewest is not None and not 1 <= self.fewest <= MAX_FEWEST:
            raise TermsError(f"the fewest readings are 1 to {MAX_FEWEST}")
        if self.drop != tuple(sorted(set(self.drop))) or not set(self.drop) <= set(DROPPABLE):
            raise TermsError(f"what can be left out, each once and sorted, is {', '.join(DROPPABLE)}")


class Observed(Protocol):
    """What was measured; ``time`` is milliseconds, ``value`` a float, flag or text, or a struct of fields."""

    @property
    def channel(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def time(self) -> int: ...
    @property
    def value(self) -> object: ...


class Outgoing(Protocol):
    """A reading about to be released, a struct; of a bucket ``observation.time`` is its beginning."""

    @property
    def device(self) -> Hashable: ...
    @property
    def resolution(self) -> str: ...
    @property
    def observation(self) -> Observed: ...


_R = TypeVar("_R", bound=Outgoing)


def minimise(limits: Iterable[Limit], readings: Iterable[_R], earlier: Iterable[_R] = ()) -> list[_R]:
    """Apply the limits to readings in the order of their arrival; what no limit names passes as it is.

    ``every`` lets the reading through that *arrived* first in its stretch, among all that the terms give.  So
    which one it is depends on the vault alone, and never changes: not with the page, the range or the time
    of a read, nor when late readings come.  It needs nothing kept between pages but the vault itself:
    ``earlier`` are the readings that arrived before the first of ``readings``, of the same series and UTC
    days (no stretch runs over a midnight); others do no harm.  For any cut of a list into a and b,
    ``minimise(l, a + b) == minimise(l, a) + minimise(l, b, earlier=a)``.

    A bucket may come again, rebuilt, and so passes ``every`` by its own beginning: a stretch must begin with
    it.  It passes ``hours`` if it lies within them from beginning to end.  A field that is dropped is None.
    """
    by_kind = {limit.kind: limit for limit in limits}
    taken: set[tuple[Hashable, str, str, int]] = set()
    for reading in earlier:
        found = by_kind.get(reading.observation.kind)
        if found is not None and _in_hours(found, reading):
            _is_turn(found, reading, taken)
    kept: list[_R] = []
    for reading in readings:
        limit = by_kind.get(reading.observation.kind)
        if limit is None:
            kept.append(reading)
        elif _in_hours(limit, reading) and _is_turn(limit, reading, taken) and _is_enough(limit, reading):
            kept += _coarser(limit, reading)
    return kept


def misfit(limit: Limit, kind: Kind) -> str | None:
    """Why a limit makes no sense for its kind, in a sentence; None: it does."""
    if limit.round is not None and kind.type != "number":
        return f"Only numbers can be rounded; {kind.label} is none."
    if limit.hours is not None and zone_of(limit.zone) is None:
        return f"There is no time zone {limit.zone}."
    if "accuracy" in limit.drop and kind.type != "place":
        return f"Only places have an accuracy; {kind.label} is none."
    return None


def whole_every(seconds: int) -> int:
    """The shortest ``every`` of a limit that is not below this: from a day on, whole days."""
    return seconds if seconds <= DAY else -(-seconds // DAY) * DAY


@functools.lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of this IANA name, or None: unknown here, or no name of one."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def round_to(value: float, step: str) -> float:
    """The multiple of a decimal step that is nearest, the even one of two: 21.4 by "0.5" is 21.5, not 21.499.

    A number that is none (NaN, an infinity) stays what it is.  Zero has no sign: it would tell the side.
    """
    if not isfinite(value):
        return value
    return float(_to_step(Decimal(repr(value)), Decimal(step))) + 0.0


def _to_step(value: Decimal, step: Decimal) -> Decimal:
    return _EXACT.multiply(_EXACT.divide(value, step).to_integral_value(ROUND_HALF_EVEN), step)


def _in_hours(limit: Limit, reading: Outgoing) -> bool:
    if limit.hours is None:
        return True
    minutes = max(1, SPANS[reading.resolution] // 60)
    begin = reading.observation.time // 60_000
    return all(_allows(limit.hours, limit.zone, minute) for minute in range(begin, begin + minutes))


@functools.lru_cache(maxsize=4096)
def _allows(hours: tuple[int, int], zone: str, minute: int) -> bool:
    """Whether a minute since the epoch lies within local hours; an hour that comes twice is the same hour."""
    place = zone_of(zone)
    if place is None:
        return False
    local = datetime.fromtimestamp(minute * 60, place)
    since, until = hours
    now = local.hour * 60 + local.minute
    return since <= now < until if since < until else now >= since or now < until


def _is_turn(limit: Limit, reading: Outgoing, taken: set[tuple[Hashable, str, str, int]]) -> bool:
    """Whether the reading is the first of its stretch, which is then taken."""
    if limit.every is None:
        return True
    observation = reading.observation
    day, second = divmod(observation.time // 1000, DAY)
    if limit.every > DAY and day % (limit.every // DAY):
        return False
    if reading.resolution != _RAW:
        return second % limit.every == 0
    # Within one day, so that no two days have a stretch in common.
    stretch = day * DAY + second // min(limit.every, DAY)
    key = (reading.device, observation.channel, observation.kind, stretch)
    if key in taken:
        return False
    taken.add(key)
    return True


def _is_enough(limit: Limit, reading: Outgoing) -> bool:
    if limit.fewest is None or reading.resolution == _RAW:
        return True
    count = getattr(reading.observation.value, "count", None)
    return isinstance(count, int) and count >= limit.fewest


def _coarser(limit: Limit, reading: _R) -> list[_R]:
    """The reading with its value rounded and without what is dropped; [] if its value cannot be rounded."""
    value = reading.observation.value
    if limit.round is not None:
        rounded = _rounded(value, limit.round)
        if rounded is None:
            return []
        value = rounded
    if isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        value = _replaced(value, {name: None for name in limit.drop if name in fields})
    if value is reading.observation.value:
        return [reading]
    return [_replaced(reading, {"observation": _replaced(reading.observation, {"value": value})})]


def _rounded(value: object, step: str) -> object | None:
    if isinstance(value, float):
        return round_to(value, step)
    if isinstance(value, msgspec.Struct) and {"sum", "low", "high"} <= set(value.__struct_fields__):
        return _rounded_summary(value, step)
    return None


def _rounded_summary(value: msgspec.Struct, step: str) -> msgspec.Struct:
    """The mean, the lowest and the highest to the step; no squares, which tell more of the readings."""
    count, total = cast(int, getattr(value, "count", 0)), cast(float, getattr(value, "sum", 0.0))
    changes: dict[str, object] = {"squares": None}
    if count > 0 and isfinite(total):
        mean = _to_step(_EXACT.divide(Decimal(repr(total)), Decimal(count)), Decimal(step))
        changes["sum"] = float(_EXACT.multiply(mean, Decimal(count))) + 0.0
    for name in ("low", "high"):
        bound = getattr(value, name)
        changes[name] = round_to(bound, step) if isinstance(bound, float) else None
    return _replaced(value, changes)


def _replaced(value: _Value, changes: dict[str, object]) -> _Value:
    if not changes:
        return value
    return cast(_Value, msgspec.structs.replace(cast(msgspec.Struct, value), **changes))
