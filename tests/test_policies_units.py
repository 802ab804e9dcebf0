"""Every unit of every kind, held against what pint says it is: the same fraction, to the last digit.

pint does not know the names of UCUM, nor how devices write theirs, so ``IN_PINT`` says what each name means;
a unit that is not in it fails.  Only with degrees and radians can nobody be exact: there it is the
nearest number that a float holds.
"""

from __future__ import annotations

import pathlib
import tomllib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pint
import pytest

KINDS = (pathlib.Path(__file__).parent.parent / "policies" / "kinds.toml").read_text("utf-8")

REGISTRY: Any = pint.UnitRegistry(non_int_type=Fraction)
REGISTRY.define("sound_level = [sound_level]")  # decibels over 20 micropascal, and no ratio of powers here
REGISTRY.define("radio_level = [radio_level]")  # decibels over a milliwatt
REGISTRY.define("acidity = [acidity]")
REGISTRY.define("jin = 500 * gram")  # of the scales sold in China

GLUCOSE = {"mw": REGISTRY.Quantity(Fraction("180.156"), "g/mol")}  # C6H12O6, IUPAC's atomic weights

# kinds whose units are of two dimensions -> pint's context, and what it must know
CONTEXTS: dict[str, tuple[str, dict[str, Any]]] = {"glucose": ("chemistry", GLUCOSE)}

# Names that mean the same to pint.
SAME = """
    A bar cm count d deg GHz GJ GWh h Hz hPa J K kg kHz kJ km kPa kV kVA kW kWh L m mA mbar MHz min MJ ml mL
    mm mmHg mph ms mT mV mW MW MWh oz Pa psi rad s S/cm S/m T V VA W Wh yd ft lb uS/cm mS/cm µS/cm μS/cm uT µT
    μT uV µV μV rad/s deg/s mg/dL mmol/L kcal cal inHg gal degC degF lux lx Bq/m3 m/s L/s L/min L/h mL/s ppm
    cbar km/h mm/s mm/h mm/d ft/s gal/min mmol/l mg/dl l l/s l/min l/h m³ m³/h ft³/min ft³ W/m² mg/m³ µg/m³
    μg/m³ Bq/m³ m/s² kg/m²
""".split()

IN_PINT: dict[str, str] = {
    **{name: name.replace("³", "**3").replace("²", "**2") for name in SAME},
    "": "dimensionless",
    "%": "percent",
    "%EL": "percent",
    "%RH": "percent",
    "/": "dimensionless",
    "/254": "dimensionless / 254",
    "/255": "dimensionless / 255",
    "1/min": "1/min",
    "beat/min": "1/min",
    "bpm": "1/min",
    "brpm": "1/min",
    "count/min": "1/min",
    "floors": "count",
    "steps": "count",
    "lqi": "dimensionless",
    "ppb": "1e-9",
    "[ppb]": "1e-9",
    "[ppm]": "ppm",
    "pH": "acidity",
    "Bspl": "10 * sound_level",
    "dB": "sound_level",
    "dB(A)": "sound_level",
    "dBA": "sound_level",
    "dBm": "radio_level",
    "C": "degC",
    "Cel": "degC",
    "celsius": "degC",
    "°C": "degC",
    "F": "degF",
    "[degF]": "degF",
    "fahrenheit": "degF",
    "°F": "degF",
    "°": "deg",
    "°/s": "deg/s",
    "Ohm": "ohm",
    "ohm": "ohm",
    "\N{GREEK CAPITAL LETTER OMEGA}": "ohm",
    "\N{OHM SIGN}": "ohm",
    "var": "volt * ampere",
    "kvar": "kilovolt * ampere",
    "klx": "kilolux",
    "W.h": "Wh",
    "W/m2": "W/m**2",
    "Bq/m3": "Bq/m**3",
    "pCi/L": "picocurie/L",
    "pCi/l": "picocurie/L",
    "m3": "m**3",
    "m3/h": "m**3/h",
    "m3/s": "m**3/s",
    "m/s2": "m/s**2",
    "kg/m2": "kg/m**2",
    "mg/m3": "mg/m**3",
    "ug/m3": "ug/m**3",
    "µg/m3": "ug/m**3",
    "hr": "h",
    "[ft_i]": "ft",
    "[in_i]": "inch",
    "in": "inch",
    "in/d": "inch/d",
    "in/h": "inch/h",
    "mi": "mile",
    "[mi_i]": "mile",
    "[mi_i]/h": "mile/h",
    "nmi": "nautical_mile",
    "kn": "knot",
    "[cft_i]": "ft**3",
    "CCF": "100 * ft**3",
    "[gal_us]": "gallon",
    "[in_i'Hg]": "inHg",
    "mm[Hg]": "mmHg",
    "[psi]": "psi",
    "[g]": "standard_gravity",
    "[lb_av]": "lb",
    "lbs": "lb",
    "[oz_av]": "oz",
    "st": "stone",
    "jin": "jin",
    "Cal": "kcal",
    "mL/(kg.min)": "mL/(kg*min)",
    "mL/(kg·min)": "mL/(kg*min)",
    "ml/(kg·min)": "mL/(kg*min)",
    "ml/(min.kg)": "mL/(kg*min)",
    "mL/min/kg": "mL/(kg*min)",
}

# One name, two things: what it means for these kinds.
OF_KIND = {("weight", "g"): "gram", ("acceleration", "g"): "standard_gravity"}

Factors = tuple[Fraction, Fraction]  # scale and offset


def written(text: str) -> Iterator[tuple[str, str, str, Factors]]:
    """Yield (kind, its unit, an accepted unit, factors) as a file has them, before any float."""
    for name, entry in tomllib.loads(text).items():
        if entry["type"] == "number":
            for unit, factors in entry.get("units", {}).items():
                scale, offset = (factors, "0") if isinstance(factors, str) else factors
                yield name, entry["unit"], unit, (Fraction(scale), Fraction(offset))


def meant(kind: str, unit: str) -> Any:
    """The unit as pint has it."""
    return REGISTRY.parse_expression(OF_KIND.get((kind, unit)) or IN_PINT[unit])


def measured(kind: str, canonical: str, unit: str) -> Factors:
    """The factors that pint converts with."""
    context, known = CONTEXTS.get(kind, (None, {}))

    def convert(value: int) -> Fraction:
        one = meant(kind, unit)
        number, units = getattr(one, "magnitude", one), getattr(one, "units", REGISTRY.dimensionless)
        target = meant(kind, canonical)
        quantity = REGISTRY.Quantity(value * Fraction(number), units)
        found = quantity.to(target.units, *((context,) if context else ()), **known)
        return Fraction(found.magnitude) / Fraction(target.magnitude)

    return convert(1) - convert(0), convert(0)


def agree(ours: Factors, theirs: Factors) -> bool:
    """Whether two conversions are the same, or, where pint has only digits of pi, the nearest float's."""
    exact = theirs[0].denominator < 10**30 and theirs[0].numerator < 10**30
    return ours == theirs if exact else (float(ours[0]), ours[1]) == (float(theirs[0]), theirs[1])


def wrong(text: str) -> list[tuple[str, str]]:
    """The units of a file that pint converts differently."""
    return [
        (kind, unit)
        for kind, canonical, unit, ours in written(text)
        if not agree(ours, measured(kind, canonical, unit))
    ]


def test_every_unit_converts_as_pint_converts_it() -> None:
    assert wrong(KINDS) == []


def test_there_are_units_to_check_and_each_has_a_meaning() -> None:
    found = {unit for _, canonical, accepted, _ in written(KINDS) for unit in (canonical, accepted)}
    assert len(found) >= 100
    unknown = found - IN_PINT.keys() - {unit for _, unit in OF_KIND}
    assert unknown == set()


FAULTS = {
    "a factor upside down": ('"km/h" = "5/18"', '"km/h" = "18/5"', ("speed", "km/h")),
    "a factor that was rounded": ('"kn" = "1852/3600"', '"kn" = "0.514444"', ("speed", "kn")),
    "the last digit": ('"lb" = "0.45359237"', '"lb" = "0.45359238"', ("weight", "lb")),
    "an offset forgotten": ('"K" = ["1", "-273.15"]', '"K" = "1"', ("temperature", "K")),
    "an offset of the wrong sign": (
        '"F" = ["5/9", "-160/9"]',
        '"F" = ["5/9", "160/9"]',
        ("temperature", "F"),
    ),
    "a prefix forgotten": ('"mg/m3" = "1000"', '"mg/m3" = "1"', ("pm1", "mg/m3")),
    "the other calorie": ('"cal" = "1/1000"', '"cal" = "100067/100000000"', ("active_energy", "cal")),
    "digits of pi": ('"rad" = "57.29577951308232"', '"rad" = "57.2957795"', ("course", "rad")),
    "a molar mass that was rounded": ('"mg/dL" = "2500/45039"', '"mg/dL" = "1/18"', ("glucose", "mg/dL")),
}


@pytest.mark.parametrize(("right", "fault", "found"), FAULTS.values(), ids=FAULTS.keys())
def test_a_faulty_factor_is_found(right: str, fault: str, found: tuple[str, str]) -> None:
    """The control: each fault is put into the real file, and the check above names it."""
    assert right in KINDS
    assert found in wrong(KINDS.replace(right, fault))


def test_a_unit_of_another_dimension_is_found() -> None:
    with pytest.raises(pint.DimensionalityError):
        wrong('[energy]\ntype = "number"\nunit = "kWh"\nunits = { "kW" = "1" }')
