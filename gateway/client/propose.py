"""What a field of an unknown payload may be: by its name, the unit in its name, and its values.

Pure, and only advice: a person chooses.  Proposals come best first.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.dialects.clock import MAX_AGE, MAX_AHEAD
from gateway.dialects.times import reader
from gateway.dialects.values import No, is_number, take
from policies.kinds import Kind, catalogue

MOST: Final = 4  # proposals for one field
SCALES: Final = (1.0, 0.1, 0.01, 0.001, 1000.0)

# A unit of the vocabulary, and how it stands at the end of a name.
_SUFFIXES: Final = """
    Cel        c celsius degc
    [degF]     f fahrenheit degf
    K          k
    %          pct percent perc
    hPa        hpa
    mbar       mbar
    kPa        kpa
    Pa         pa
    bar        bar
    psi        psi
    lx         lux lx
    ppm        ppm
    ppb        ppb
    ug/m3      ugm3
    dB         db
    dBA        dba
    dBm        dbm
    V          v
    mV         mv
    A          a
    mA         ma
    W          w
    kW         kw
    mW         mw
    VA         va
    var        var
    Wh         wh
    kWh        kwh
    MWh        mwh
    Hz         hz
    m3         m3
    L          l liter litre
    L/h        lph
    L/min      lpm
    m          m
    km         km
    cm         cm
    mm         mm
    mi         mi
    km/h       kmh kph
    mph        mph
    m/s        mps
    kg         kg
    g          g
    lb         lb
    lbs        lbs
    beat/min   bpm
    1/min      bpm
    kcal       kcal
    mg/dL      mgdl
    mmol/L     mmol
    mmHg       mmhg
    s          s sec secs
    min        min
    ms         ms
    h          h
    uS/cm      uscm
    deg        deg
"""
# A unit, and what it is usually of where the name says nothing else.
_USUAL: Final = """
    Cel        temperature
    [degF]     temperature
    K          temperature
    %          humidity battery moisture
    hPa        pressure
    mbar       pressure
    kPa        pressure tyre_pressure
    Pa         pressure
    bar        tyre_pressure
    psi        tyre_pressure
    lx         illuminance
    ppm        carbon_dioxide carbon_monoxide
    ppb        volatile_organic_compounds_parts
    ug/m3      pm25 pm10
    dB         sound_pressure
    dBA        sound_pressure
    dBm        signal_strength
    V          voltage
    mV         voltage
    A          current
    mA         current
    W          power
    kW         power
    mW         power
    VA         apparent_power
    var        reactive_power
    Wh         energy
    kWh        energy
    MWh        energy
    Hz         frequency
    m3         water gas
    L          water
    L/h        volume_flow_rate
    L/min      volume_flow_rate
    m          distance
    km         distance odometer
    mi         odometer
    km/h       speed
    mph        speed
    m/s        speed wind_speed
    kg         weight
    lb         weight
    lbs        weight
    beat/min   heart_rate
    kcal       active_energy
    mg/dL      glucose
    mmol/L     glucose
    mmHg       blood_pressure_systolic
    s          duration
    min        duration
    uS/cm      conductivity
"""
# A kind, and the beginnings of words that people and firmware write for it.
_WORDS: Final = """
    temperature          temp tmp thermo
    humidity             hum feucht
    moisture             moist soil
    pressure             press baro
    illuminance          lum lux illum
    brightness           bright
    carbon_dioxide       co2
    pm25                 pm2
    sound_pressure       noise
    voltage              volt spannung
    battery              batt bat akku
    state_of_charge      soc
    current              curr amp strom
    power                pow watt leistung
    energy               energ kwh consum zaehler
    frequency            freq
    water                water wasser
    volume_flow_rate     flow
    gas                  gas
    distance             dist
    odometer             odo
    speed                speed
    altitude             alt
    steps                step schritt
    heart_rate           heart puls
    weight               weight gewicht
    spo2                 spo
    glucose              gluc
    signal_strength      rssi signal
    motion               motion move pir
    occupancy            occup
    presence             presen home
    door                 door contact open
    window               window fenster
    water_leak           leak
    smoke                smoke rauch
    vibration            vibr
    lock                 lock
    switch               relay switch
    button               button click action
    precipitation        rain regen
    wind_speed           wind
"""


def _rows(text: str) -> Iterator[tuple[str, list[str]]]:
    for line in text.split("\n"):
        if line.strip():
            first, *rest = line.split()
            yield first, rest


def _inverted(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for first, rest in _rows(text):
        for word in rest:
            found[word] = (*found.get(word, ()), first)
    return found


SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = _inverted(_SUFFIXES)
USUAL: Final[Mapping[str, tuple[str, ...]]] = {unit: tuple(kinds) for unit, kinds in _rows(_USUAL)}
WORDS: Final[Mapping[str, str]] = {word: kinds[0] for word, kinds in _inverted(_WORDS).items()}
TIME_WORDS: Final = frozenset(
    ("time", "timestamp", "ts", "tst", "date", "datetime", "when", "zeit", "at", "epoch")
)
_NAME: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


class Proposal(msgspec.Struct, frozen=True):
    """A kind, the unit its number is in ("" for the kind's own), and what it is multiplied with first."""

    kind: str
    unit: str = ""
    scale: float = 1.0


def propose(name: str, values: Sequence[Any]) -> list[Proposal]:
    """What a field of this name with these values may be; nothing where nothing fits."""
    found: list[Proposal] = []
    for kind, unit in _by_name(name):
        scale = _fitting(kind, unit, values)
        if scale is not None:
            made = Proposal(kind.name, unit if unit != kind.unit else "", scale)
            if made.kind not in {one.kind for one in found}:
                found.append(made)
    return found[:MOST]


def propose_time(name: str, values: Sequence[Any], arrival: int) -> bool:
    """Whether a field says when: by its name, or an unmistakable text, near the arrival (ms)."""
    read = reader("auto")
    moments = [read(value, datetime.UTC) for value in values if value is not None]
    if not moments or any(
        moment is None or not arrival - MAX_AGE <= moment <= arrival + MAX_AHEAD for moment in moments
    ):
        return False
    named = bool(TIME_WORDS & set(words(name)))
    return named or all(isinstance(value, str) and "-" in value for value in values)


def words(name: str) -> list[str]:
    """``supplyTempC`` and ``supply_temp-c`` as supply, temp, c."""
    return [word.lower() for word in _NAME.findall(name)]


def _by_name(name: str) -> Iterator[tuple[Kind, str]]:
    """Kinds and units that a name may stand for, the likeliest first."""
    known = catalogue()
    parts = words(name)
    units: tuple[str, ...] = ()
    stem = parts
    for size in (2, 1):  # kWh comes apart into k and wh
        end = "".join(parts[-size:])
        if len(parts) > size and end in SUFFIXES and name.lower().endswith(end):
            units, stem = SUFFIXES[end], parts[:-size]
            break
    else:
        if len(parts) == 1 and len(name) > 1:
            units = SUFFIXES.get(parts[0], ())
            stem = [] if units else parts
    hinted = [known.find(name), known.find("_".join(stem))]
    hinted += [known.find("_".join(stem[at:])) for at in range(1, len(stem))]
    hinted += [known.find("_".join(stem[:at])) for at in range(len(stem) - 1, 0, -1)]
    hinted += [
        known.kind(kind) for word in reversed(stem) for begin, kind in WORDS.items() if word.startswith(begin)
    ]
    kinds = [kind for kind in hinted if kind is not None and kind.type != "place"]
    for kind in kinds:
        fitting = [unit for unit in units if unit in kind.units]
        yield from ((kind, unit) for unit in fitting)
        if not units:
            yield kind, kind.unit
    for unit in units:
        yield from ((known.kind(kind), unit) for kind in USUAL.get(unit, ()))
    yield from ((kind, kind.unit) for kind in kinds)


def _fitting(kind: Kind, unit: str, values: Sequence[Any]) -> float | None:
    """The scale at which all values are plausible readings of a kind; None: there is none."""
    said = [value for value in values if value is not None]
    if not said:
        return None
    if kind.type != "number":
        return None if any(isinstance(take(kind, value), No) for value in said) else 1.0
    if any(isinstance(value, bool) for value in said):
        return None
    for scale in SCALES:
        scaled = [value * scale if is_number(value) and scale != 1.0 else value for value in said]
        if not any(isinstance(take(kind, value, unit or None), No) for value in scaled):
            return scale
        if not all(map(is_number, said)):
            return None
    return None
