"""A series as it was asked and as it would be given: the sentence says what the picture shows."""

from __future__ import annotations

from datetime import UTC

import pytest

from cli.picture import Pair, picture, sentence
from cli.plot import BLOCKS, LETTERS, MAP
from gateway.client.flow import flow_of
from gateway.senmlout import Reading
from vault.cell import cell_of
from vault.gathering import HOUR_MS
from vault.ids import DeviceId
from vault.observation import Observation, Place, Share, Stay, Tally, Value
from vault.store.release import Released

DEVICE = DeviceId(bytes(16))
DAY_MS = 24 * HOUR_MS
MONDAY = 20_409 * DAY_MS
CELL = cell_of(Place(52.52, 13.4), "h3-5")

Rows = list[tuple[int, Value]]


def pair(kind: str, asked: Rows, given: Rows, resolution: str = "raw", where: str = "it") -> Pair:
    """A day of a series, made as a preview makes it."""

    def flow(rows: Rows, detail: str) -> tuple[Reading, ...]:
        return flow_of(released(rows, detail)).sample

    def released(rows: Rows, detail: str) -> list[Released]:
        return [Released(n, DEVICE, Observation("", kind, *row), detail) for n, row in enumerate(rows)]

    told = [next(iter(flow_of(released(*one)).told), None) for one in ((asked, "raw"), (given, resolution))]
    return Pair(
        kind, where, flow(asked, "raw"), flow(given, resolution), MONDAY, MONDAY + DAY_MS, (told[0], told[1])
    )


HOURS: Rows = [(MONDAY + hour * HOUR_MS, float(hour)) for hour in range(24)]
PLACES: Rows = [(at, Place(52.52, 13.4)) for at, _ in HOURS]
DOOR: Rows = [(at, hour % 2 == 0) for hour, (at, _) in enumerate(HOURS)]
SAID: dict[str, tuple[Pair, str]] = {
    "numbers": (
        pair("energy", HOURS, HOURS[::2]),
        "energy of it: asked is 24 readings, min 0 mean 11.5 max 23 kWh; "
        "you would give 12 readings, min 0 mean 11 max 22 kWh",
    ),
    "nothing given": (
        pair("energy", HOURS, []),
        "energy of it: asked is 24 readings, min 0 mean 11.5 max 23 kWh; you would give nothing",
    ),
    "places": (
        pair("location", PLACES, [(MONDAY, Stay(CELL, 3600, 6))], "h3-5"),
        "location of it: asked is 24 readings, in 1 area, 100% of it in one of them; "
        "you would give 1 value to about 9 km, by the hour, in 1 area, 100% of it in one of them",
    ),
    "what is true": (
        pair("door", DOOR, [(MONDAY, Tally(24, 12, 43_200))], "day"),
        "door or window open of it: asked is 24 readings, 50% of them true; "
        "you would give 1 value by the day, 50% of them true",
    ),
}


@pytest.mark.parametrize(("shown", "said"), SAID.values(), ids=SAID)
def test_the_sentence_says_it_without_the_picture(shown: Pair, said: str) -> None:
    assert sentence(shown) == said
    lines = picture(shown, BLOCKS, UTC)
    assert " ".join(" ".join(lines).split()).startswith(said)
    assert all(len(line) <= 78 for line in lines)
    assert "".join(picture(shown, LETTERS, UTC)).replace("°", "").isascii()


def test_numbers_are_a_line_with_steps() -> None:
    drawn = "".join(picture(pair("energy", HOURS, HOURS), BLOCKS, UTC)[2:])
    assert {BLOCKS.low, BLOCKS.high} & set(drawn)
    assert "Mon 17 Nov" in drawn


def test_a_map_shows_the_place_on_both_sides_and_the_area_on_the_right_alone() -> None:
    shown = pair("location", PLACES, [(MONDAY, Stay(CELL, 3600, 6))], "h3-5")
    lines = picture(shown, BLOCKS, UTC)
    title = next(place for place, line in enumerate(lines) if line.endswith("| as you would give it"))
    rows = [line.ljust(80) for line in lines[title + 1 : title + 1 + MAP[1]]]
    left = "".join(row[: MAP[0] + 2] for row in rows)
    right = "".join(row[MAP[0] + 5 :] for row in rows)
    assert left.count("█") == 1
    assert right.count("█") > 10


def test_a_bar_is_an_hour_in_which_it_was_true() -> None:
    rows = picture(pair("door", DOOR, DOOR), BLOCKS, UTC)
    assert rows[-2] == "Mon 17 Nov " + "█·" * 12 + "   " + "█·" * 12


def test_texts_are_counted_and_cannot_act() -> None:
    texts: Rows = [(at, "auto\x1b[2J" if hour % 4 else "off\u202e") for hour, (at, _) in enumerate(HOURS)]
    shown = pair("activity", texts, [(MONDAY, Share("off", 6))], "day", where="a\x07")
    said = "\n".join(picture(shown, BLOCKS, UTC))
    assert not set("\x1b\u202e\x07") & set(said)
    assert "auto\\x1b[2J 75%" in said
