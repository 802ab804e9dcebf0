"""Cells of H3: the one form of writing them, one definition of the coarse one, and what is no cell."""

from __future__ import annotations

import math
import subprocess
import sys

import h3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vault.cell import LEVELS, cell_of, centre, is_cell, looks_like_cell, on_earth, parent
from vault.errors import FormatError
from vault.observation import Place

PLACES = st.builds(Place, st.floats(-90, 90), st.floats(-180, 180))
STUTTGART = Place(48.7758, 9.1829)


@given(PLACES)
@example(Place(90.0, 0.0))
@example(Place(-90.0, 180.0))
@example(Place(0.0, -180.0))
@example(Place(-0.0, 0.0))
def test_every_position_has_one_cell_a_level_and_they_fit_together(place: Place) -> None:
    fine, coarse = cell_of(place, "h3-7"), cell_of(place, "h3-5")
    assert is_cell(fine, "h3-7")
    assert is_cell(coarse, "h3-5")
    assert parent(fine) == coarse
    assert fine == h3.latlng_to_cell(place.lat, place.lon, 7)


@given(PLACES, st.sampled_from(sorted(LEVELS)))
def test_the_centre_of_a_cell_lies_in_it(place: Place, resolution: str) -> None:
    cell = cell_of(place, resolution)
    assert h3.latlng_to_cell(*centre(cell), LEVELS[resolution]) == cell


def test_a_coarse_cell_is_the_parent_and_not_what_h3_finds_for_the_coordinates() -> None:
    """Why one definition is needed: near borders they differ, for one position in sixteen."""
    places = [Place(40 + n / 97, 5 + n * 7 / 101) for n in range(1000)]
    others = [
        place for place in places if h3.latlng_to_cell(place.lat, place.lon, 5) != cell_of(place, "h3-5")
    ]
    assert 30 < len(others) < 120


def test_how_accurate_a_position_is_plays_no_part() -> None:
    vague = Place(STUTTGART.lat, STUTTGART.lon, 50_000.0)
    for resolution in LEVELS:
        assert cell_of(vague, resolution) == cell_of(STUTTGART, resolution)


@pytest.mark.parametrize("lat", [90.1, -90.1, math.nan, math.inf, 1e308])
def test_what_is_no_position_has_no_cell(lat: float) -> None:
    for place in (Place(lat, 9.0), Place(9.0, 2 * lat)):
        assert not on_earth(place)
        with pytest.raises(FormatError):
            cell_of(place, "h3-7")


CELL = cell_of(STUTTGART, "h3-7")
NOT_CELLS = {
    "nothing": "",
    "upper case": CELL.upper(),
    "cut": CELL[:-1],
    "longer": CELL + "f",
    "a leading zero": "0" + CELL,
    "a sign": "-" + CELL[1:],
    "a space": " " + CELL[1:],
    "a line's end": CELL + "\n",
    "another level": h3.cell_to_parent(CELL, 6),
    "the coarse level": parent(CELL),
    "a finer level": h3.cell_to_center_child(CELL, 9),
    "unused digits in use": CELL[:-1] + "e",
    "a word": "stuttgart",
    "other digits": CELL[:-7] + "\u0661" + CELL[-6:],
}


@pytest.mark.parametrize("name", NOT_CELLS)
def test_a_cell_has_one_form(name: str) -> None:
    assert is_cell(CELL, "h3-7")
    assert not looks_like_cell(NOT_CELLS[name], "h3-7")
    assert not is_cell(NOT_CELLS[name], "h3-7")


def test_what_looks_like_a_cell_may_be_none() -> None:
    """Base cells end at 121, no digit is 7, and twelve pentagons lack the children along one axis."""
    for text in ("87f400000ffffff", "87fffffffffffff", "870840000ffffff"):
        assert looks_like_cell(text, "h3-7")
        assert not is_cell(text, "h3-7")
        with pytest.raises(FormatError):
            centre(text)


@given(st.text(max_size=20), st.sampled_from(sorted(LEVELS)))
def test_whatever_text_is_a_cell_or_is_refused(text: str, resolution: str) -> None:
    assert not is_cell(text, resolution)
    with pytest.raises(FormatError):
        centre(text)


@given(st.integers(0, (1 << 60) - 1))
def test_what_is_a_cell_looks_like_one(number: int) -> None:
    text = f"87{number:013x}"[:15]
    assert not is_cell(text, "h3-7") or (h3.is_valid_cell(text) and h3.get_resolution(text) == 7)


def test_h3_is_imported_only_for_the_first_place() -> None:
    program = "import sys, vault.bucket, vault.cell, vault.chunk; sys.exit('h3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
