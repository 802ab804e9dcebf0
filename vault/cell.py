"""Cells of H3, in which places are given in less detail than they were reported.

A cell is written as H3 writes it: 15 hexadecimal digits, in lower case.  The cell at ``h3-7`` is the one
that H3 finds for the coordinates.  The cell at ``h3-5`` is that cell's parent, and not the one that H3
would find for the coordinates at 5: hexagons do not tile a larger hexagon, so near its border one position
in sixteen has another.  Whoever has ``h3-7`` can so derive ``h3-5``, and the two never contradict.

How accurate a position is plays no part: one whose radius is larger than a cell counts for the cell of its
centre, because its device knew no better.
"""

from __future__ import annotations

import functools
import importlib
import re
from types import ModuleType
from typing import Final

from vault.errors import FormatError
from vault.observation import Place

LEVELS: Final = {"h3-7": 7, "h3-5": 5}  # resolution -> H3's own number of it

# Mode 1, the level, the base cell and a digit a level, then nothing but ones.
_SHAPES: Final = {
    "h3-7": re.compile("87[0-9a-f]{7}f{6}"),
    "h3-5": re.compile("85[0-9a-f]{5}[37bf]f{7}"),
}


def cell_of(place: Place, resolution: str) -> str:
    """The cell that a position lies in; raises FormatError for what is no position on Earth."""
    if not on_earth(place):
        raise FormatError("not a position on Earth")
    cell: str = _h3().latlng_to_cell(place.lat, place.lon, LEVELS["h3-7"])
    return cell if resolution == "h3-7" else parent(cell)


def on_earth(place: Place) -> bool:
    """Whether coordinates are a position; what is not a number is none."""
    return -90.0 <= place.lat <= 90.0 and -180.0 <= place.lon <= 180.0


def parent(cell: str) -> str:
    """The cell at ``h3-5`` of one at ``h3-7``."""
    found: str = _h3().cell_to_parent(cell, LEVELS["h3-5"])
    return found


def centre(cell: str) -> tuple[float, float]:
    """Latitude and longitude of a cell's centre, in degrees; raises FormatError for what is no cell."""
    if not any(is_cell(cell, resolution) for resolution in LEVELS):
        raise FormatError("not a cell")
    lat, lon = _h3().cell_to_latlng(cell)
    return lat, lon


def is_cell(text: str, resolution: str) -> bool:
    """Whether a text is a cell at this resolution, in the one form in which we write it."""
    return looks_like_cell(text, resolution) and bool(_h3().is_valid_cell(text))


def looks_like_cell(text: str, resolution: str) -> bool:
    """The same but for cells that H3 leaves out; H3 is not asked, so this costs no import of it."""
    return _SHAPES[resolution].fullmatch(text) is not None


@functools.cache
def _h3() -> ModuleType:
    """H3, imported when the first place is looked at: most vaults and commands never need it."""
    return importlib.import_module("h3")
