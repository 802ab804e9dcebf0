"""What a brand would have received, told in figures and by a sample; pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway import senmlout
from policies.kinds import catalogue
from vault.bucket import DAY_MS
from vault.gathering import HOUR_MS
from vault.observation import Summary
from vault.segment import RAW
from vault.store.release import Released

SAMPLED: Final = 200  # readings of a series that are shown


class Told(msgspec.Struct, frozen=True):
    """A series in figures: how many readings or buckets, and of numbers the least, the mean, the greatest.

    Of buckets the mean is that of their means, and the least and the greatest are theirs.  Of booleans and
    events ``hours`` says how often each was true, or happened, by the beginning of the hour (ms).
    """

    device: str
    channel: str
    kind: str
    resolution: str
    readings: int
    low: float | None = None
    mean: float | None = None
    high: float | None = None
    hours: tuple[tuple[int, int], ...] = ()


class Flow(msgspec.Struct, frozen=True):
    """Readings and bytes on a day that had any, how many series, and some of each as the brand has them."""

    readings: float
    bytes: float
    series: int
    sample: tuple[senmlout.Reading, ...]
    told: tuple[Told, ...] = ()


NOTHING: Final = Flow(0.0, 0.0, 0, ())


def flow_of(found: Sequence[Released]) -> Flow:
    """The flow that these readings are, in whatever order they come."""
    if not found:
        return NOTHING
    sent = len(senmlout.encode(found))
    groups: dict[tuple[bytes, str, str], list[Released]] = {}
    for one in found:
        groups.setdefault((one.device, one.observation.channel, one.observation.kind), []).append(one)
    sample: list[Released] = []
    for some in groups.values():
        some.sort(key=lambda one: one.observation.time)
        sample += _some(some)
    days = len({one.observation.time // DAY_MS for one in found})
    shown = tuple(senmlout.decode(senmlout.encode(sample)))
    told = tuple(_told(some) for _, some in sorted(groups.items()))
    return Flow(len(found) / days, sent / days, len(groups), shown, told)


def _some(series: list[Released]) -> list[Released]:
    """A sample in order of time; of numbers the least and the greatest of each stretch."""
    if len(series) <= SAMPLED:
        return series
    if _number(series[0]) is None:
        return series[:: -(-len(series) // SAMPLED)]
    step = -(-2 * len(series) // SAMPLED)
    kept = []
    for at in range(0, len(series), step):
        stretch = series[at : at + step]
        ends = {id(end(stretch, key=_order)) for end in (min, max)}
        kept += [one for one in stretch if id(one) in ends]
    return kept


def _told(series: list[Released]) -> Told:
    first = series[0]
    channel, kind = first.observation.channel, first.observation.kind
    numbers = [value for one in series if (value := _number(one)) is not None and math.isfinite(value)]
    hours: tuple[tuple[int, int], ...] = ()
    found = catalogue().find(kind)
    if first.resolution == RAW and found is not None and found.type in ("boolean", "event"):
        hours = tuple(sorted(Counter(_hour(one) for one in series if _is_so(one)).items()))
    return Told(
        device=first.device.text,
        channel=channel,
        kind=kind,
        resolution=first.resolution,
        readings=len(series),
        low=min(numbers, default=None),
        mean=math.fsum(numbers) / len(numbers) if numbers else None,
        high=max(numbers, default=None),
        hours=hours,
    )


def _hour(one: Released) -> int:
    return one.observation.time // HOUR_MS * HOUR_MS


def _is_so(one: Released) -> bool:
    return one.observation.value is not False


def _order(one: Released) -> float:
    value = _number(one)
    return 0.0 if value is None or math.isnan(value) else value


def _number(one: Released) -> float | None:
    """A reading's number, or the mean of its bucket."""
    match one.observation.value:
        case bool():
            return None
        case float() as value:
            return value
        case Summary(count=many, sum=total) if many and total is not None:
            return total / many
        case _:
            return None
