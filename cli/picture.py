"""One series twice, as it was asked and as it would be given: a sentence, and a picture under it.

Pure.  Which picture it is follows from the kind: numbers are a line against steps, places a coarse map, what
is true or happens a bar an hour, and texts are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

import msgspec

from cli.plot import LABEL, MAP, Ink, Step, Window, axis, bars, beside, chart, heat, window
from cli.render import count, escape, number, wrap
from cli.values import label_of, spoken_unit
from cli.wording import how_words
from gateway.client.flow import Told
from gateway.senmlout import Reading
from policies.kinds import catalogue
from vault.bucket import SPANS
from vault.cell import cell_of, centre
from vault.gathering import HOLD_MS, HOUR_MS
from vault.observation import Place, Share, Stay, Summary, Tally
from vault.segment import RAW

ROOM: Final = 78  # columns of a sentence that stands two in
SIZES: Final = {"h3-7": 2.5, "h3-5": 18.0}  # kilometres across a cell, about


class Pair(msgspec.Struct, frozen=True):
    """A series in [``since``, ``until``), milliseconds; ``where`` is its device and channel, not escaped.

    The readings are samples; ``told`` are the figures of all, as asked and as given.
    """

    kind: str
    where: str
    asked: tuple[Reading, ...]
    given: tuple[Reading, ...]
    since: int
    until: int
    told: tuple[Told | None, Told | None] = (None, None)


def picture(pair: Pair, ink: Ink, zone: tzinfo | None = None) -> list[str]:
    """A sentence, and a picture where there is one."""
    found = catalogue().find(pair.kind)
    match found.type if found is not None else "":
        case "number":
            drawn = _line(pair, ink, zone)
        case "place":
            drawn = _map(pair, ink)
        case "boolean" | "event":
            drawn = _hours(pair, ink, zone)
        case _:
            drawn = []
    return [*wrap(sentence(pair), ROOM), *drawn]


def sentence(pair: Pair) -> str:
    """``energy of meter: asked is ...; you would give ...``, in figures and without a picture."""
    asked, given = pair.told
    same = asked is not None and asked == given
    given_words = "all of it" if same else _said(given, pair.given)
    return (
        f"{escape(label_of(pair.kind))} of {escape(pair.where)}: "
        f"asked is {_said(asked, pair.asked)}; you would give {given_words}"
    )


def _said(told: Told | None, readings: Sequence[Reading]) -> str:
    if told is None:
        return "nothing"
    what = (
        count(told.readings, "reading")
        if told.resolution == RAW
        else f"{count(told.readings, 'value')} {how_words(told.resolution)}"
    )
    if told.low is not None and told.mean is not None and told.high is not None:
        figures = f"min {number(told.low)} mean {number(told.mean)} max {number(told.high)}"
        return f"{what}, {figures} {spoken_unit(told.kind)}".rstrip()
    if told.hours:
        true = sum(many for _, many in told.hours) / told.readings
        return f"{what}, {true:.0%} of them true"
    counted = _counted(readings)
    return f"{what}, {counted}" if counted else what


def _counted(readings: Sequence[Reading]) -> str:
    """How much was true, how often each text came, in how many areas: as shares, for it is a sample."""
    places, texts, truths = Counter[str](), Counter[str](), Counter[bool]()
    for reading in readings:
        match reading.value:
            case Place():
                places[cell_of(reading.value, "h3-7")] += 1
            case Stay(cell=cell, seconds=seconds):
                places[cell] += seconds or 0
            case Share(value=text, count=many):
                texts[text] += many or 0
            case Tally(count=many, true=true):
                truths[True] += true or 0
                truths[False] += (many or 0) - (true or 0)
            case bool():
                truths[reading.value] += 1
            case str():
                texts[reading.value] += 1
    if places:
        most = max(places.values()) / max(places.total(), 1)
        return f"in {count(len(places), 'area')}, {most:.0%} of it in one of them"
    if texts:
        all_of_it = max(texts.total(), 1)
        return ", ".join(f"{escape(text)} {many / all_of_it:.0%}" for text, many in texts.most_common(5))
    return f"{truths[True] / truths.total():.0%} of them true" if truths.total() else ""


def _number(reading: Reading) -> float | None:
    """A reading's number, or the mean of its bucket, or what is left of it."""
    match reading.value:
        case bool():
            return None
        case float() | int():
            return float(reading.value)
        case Summary(count=many, sum=total):
            return total / many if many and total is not None else None
        case _:
            return None


def _line(pair: Pair, ink: Ink, zone: tzinfo | None) -> list[str]:
    asked = [
        (reading.time + SPANS.get(reading.resolution, 0) // 2, value)
        for reading in pair.asked
        if (value := _number(reading)) is not None
    ]
    given = [
        Step(reading.time, reading.time + SPANS.get(reading.resolution, 1), value)
        for reading in pair.given
        if (value := _number(reading)) is not None
    ]
    drawn = chart(asked, given, pair.since, pair.until, ink)
    if not drawn:
        return []
    legend = f"{'':{LABEL}}{ink.line}{ink.rise} asked   {ink.low}{ink.high} as you would give it"
    return [*drawn, axis(pair.since, pair.until, zone), legend]


def _hours(pair: Pair, ink: Ink, zone: tzinfo | None) -> list[str]:
    asked: dict[int, float] = {}
    for step in _steps(pair.told[0], pair.asked):
        hours = max(1, (step.end - step.start) // HOUR_MS)
        for at in range(step.start, step.start + hours * HOUR_MS, HOUR_MS):
            asked[at] = asked.get(at, 0.0) + step.value / hours
    given = _steps(pair.told[1], pair.given)
    if not any(asked.values()) and not any(step.value for step in given):
        return []
    return [*bars(asked, given, zone, ink), f"{'':11}{'asked, a bar an hour':<27}as you would give it"]


def _steps(told: Told | None, sample: Sequence[Reading]) -> list[Step]:
    """How often it was so: by the hour of all readings, or by bucket."""
    if told is not None and told.resolution == RAW:
        return [Step(at, at + HOUR_MS, float(many)) for at, many in told.hours]
    return [Step(one.time, one.time + SPANS.get(one.resolution, HOUR_MS), _times(one)) for one in sample]


def _times(reading: Reading) -> float:
    """How often it was so, or happened."""
    match reading.value:
        case Tally(true=true):
            return float(true or 0)
        case bool():
            return float(reading.value)
        case _:
            return 1.0


def _map(pair: Pair, ink: Ink) -> list[str]:
    sizes = [SIZES[one.resolution] for one in (*pair.asked, *pair.given) if one.resolution in SIZES]
    spots = [spot for one in (*pair.asked, *pair.given) if (spot := _spot(one)) is not None]
    shown = window(spots, 1.5 * max(sizes, default=0.4))
    if shown is None:
        return []
    left, right = _shaded(pair.asked, shown), _shaded(pair.given, shown)
    columns, _ = MAP
    titles = f"  {'asked':<{columns}} | as you would give it"
    legend = f"  a character is {_km(shown.km)} wide and {_km(2 * shown.km)} high; darker is longer" + (
        f"; an area is about {_km(max(sizes))} across" if sizes else ""
    )
    return [titles, *beside(heat(left, ink), heat(right, ink)), *wrap(legend, ROOM)]


def _spot(reading: Reading) -> tuple[float, float] | None:
    match reading.value:
        case Place(lat=lat, lon=lon):
            return lat, lon
        case Stay(cell=cell) if cell is not None:
            return centre(cell)
        case _:
            return None


def _shaded(readings: Sequence[Reading], shown: Window) -> dict[tuple[int, int], float]:
    """How long each character's piece of the earth was stayed in; a cell darkens all of its characters."""
    weights: dict[tuple[int, int], float] = {}
    cells: Counter[str] = Counter()
    resolution = ""
    for place, reading in enumerate(readings):
        match reading.value:
            case Stay(cell=cell, seconds=seconds) if cell is not None:
                cells[cell] += seconds or 1
                resolution = reading.resolution
            case Place(lat=lat, lon=lon):
                after = readings[place + 1].time if place + 1 < len(readings) else reading.time + 1000
                spot = shown.spot(lat, lon)
                held = min(max(after - reading.time, 1000), HOLD_MS) / 1000
                weights[spot] = weights.get(spot, 0.0) + held
    if resolution:
        columns, rows = MAP
        for row in range(rows):
            for column in range(columns):
                seconds = cells[cell_of(Place(*shown.centre(row, column)), resolution)]
                if seconds:
                    weights[row, column] = float(seconds)
        for cell, seconds in cells.items():  # one that is smaller than a character shows, too
            weights.setdefault(shown.spot(*centre(cell)), float(seconds))
    return weights


def _km(length: float) -> str:
    """``250 m``, ``2.5 km``: two digits of it."""
    return (
        f"{number(float(f'{length * 1000:.2g}'))} m" if length < 1 else f"{number(float(f'{length:.2g}'))} km"
    )
