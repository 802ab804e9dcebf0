"""The vocabulary: names, units, ranges and categories."""

from __future__ import annotations

import math
import pathlib
import re

import pytest

from policies.kinds import RESOLUTIONS, catalogue, parse

VECTORS = pathlib.Path(__file__).parent / "vectors"
EVERY = [catalogue().kind(name) for name in catalogue().names()]
# Data concerning health, GDPR Art. 9.
SPECIAL = set(
    """
    active_energy basal_energy blood_pressure_diastolic blood_pressure_systolic body_fat body_height
    body_mass_index body_temperature distance_walked exercise_time floors_climbed glucose heart_rate
    heart_rate_variability impedance respiratory_rate resting_heart_rate sleep_duration sleep_stage spo2
    steps vo2_max weight workout
    """.split()
)


def test_a_kind_is_found_by_name_alias_and_any_spelling() -> None:
    cases = {
        "temperature": "temperature",
        "Temperature": "temperature",
        "temp": "temperature",
        "HUM": "humidity",
        "linkquality": "link_quality",
        "link quality": "link_quality",
        "Link-Quality": "link_quality",
        "ApparentPower": "apparent_power",
        "co2": "carbon_dioxide",
        "CarbonDioxide": "carbon_dioxide",
        "contact": "door",
        "batt": "battery",
        "rssi": "signal_strength",
        "CheckIn": "check_in",
        "window": "window",
        "opening": "door",
        "tire-pressure": "tyre_pressure",
        "SpO2": "spo2",
        "HRV": "heart_rate_variability",
    }
    for spelling, name in cases.items():
        found = catalogue().find(spelling)
        assert found is catalogue().kind(name), spelling


def test_what_is_neither_a_name_nor_an_alias_is_not_found() -> None:
    for name in ("", "sub_label", "__class__", "temperature ", "温度", "\ud800", "a" * 70_000):
        assert catalogue().find(name) is None


def test_kind_takes_names_only_and_raises_for_an_alias() -> None:
    assert catalogue().kind("humidity").unit == "%RH"
    with pytest.raises(KeyError):
        catalogue().kind("hum")


def test_names_are_snake_case_and_labels_are_short() -> None:
    assert len(EVERY) >= 100
    for kind in EVERY:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", kind.name)
        assert 0 < len(kind.label) <= 40, kind.name


def test_aliases_are_written_as_they_are_looked_up() -> None:
    for kind in EVERY:
        assert all(re.fullmatch(r"[a-z][a-z0-9._]*", alias) for alias in kind.aliases), kind.name


# Classes of Home Assistant's that we leave out: no reading of a person's, or no unit to convert to.
LEFT_OUT = set(
    """
    absolute_humidity area cold data_rate data_size date energy_distance enum heat light monetary moving
    nitrous_oxide plug problem reactive_energy running safety sound temperature_delta timestamp update volume
    """.split()
)
DEVICE_CLASSES = """
    absolute_humidity apparent_power aqi area atmospheric_pressure battery blood_glucose_concentration
    carbon_dioxide carbon_monoxide conductivity current data_rate data_size date distance duration energy
    energy_distance energy_storage enum frequency gas humidity illuminance irradiance moisture monetary
    nitrogen_dioxide nitrogen_monoxide nitrous_oxide ozone ph pm1 pm10 pm25 power power_factor precipitation
    precipitation_intensity pressure reactive_energy reactive_power signal_strength sound_pressure speed
    sulphur_dioxide temperature temperature_delta timestamp volatile_organic_compounds
    volatile_organic_compounds_parts voltage volume volume_flow_rate volume_storage water weight
    wind_direction wind_speed
    battery_charging cold connectivity door garage_door heat light lock motion moving occupancy opening plug
    presence problem running safety smoke sound tamper update vibration window
""".split()


def test_home_assistant_s_device_classes_are_kinds_but_for_those_we_leave_out() -> None:
    """Four binary classes share a name with a number: battery, carbon_monoxide, gas and moisture."""
    assert {name for name in DEVICE_CLASSES if catalogue().find(name) is None} == LEFT_OUT
    for name in ("battery_low", "carbon_monoxide_alarm", "gas_alarm", "water_leak", "plugged_in"):
        assert catalogue().kind(name).type == "boolean"


def test_a_field_s_name_that_may_mean_many_things_means_nothing() -> None:
    """What each of them is, only a device's dialect can tell: a setting, a loudness, a radar's reach."""
    names = """
        activity_level alarm angle calories charge color count data height id level mode mood name number plug
        position range rate rain sensitivity sleep status step temperature_unit test total type value volume
    """.split()
    assert [name for name in names if catalogue().find(name) is not None] == []


# Names of the SenML registries (IANA, "SenML Units" and "Secondary Units"), and of UCUM where they have none.
SENML = set(
    """
    % %EL %RH / 1/min A Cel Hz Ohm V VA W W/m2 beat/min count dB dBm deg hPa h kg kWh km lx m m/s m/s2 m3 min
    mm mm/h ms pH ppb ppm s ug/m3 var
    """.split()
)
UCUM = set("Bq/m3 L bar kcal kg/m2 m3/h mL/(kg.min) mg/m3 mm[Hg] mmol/L rad/s uS/cm uT".split())


def test_every_unit_we_store_is_a_name_of_senml_or_ucum() -> None:
    assert {kind.unit for kind in EVERY} - {""} == SENML | UCUM


def test_a_text_is_of_a_closed_list_and_nothing_else_has_one() -> None:
    for kind in EVERY:
        assert bool(kind.values) is (kind.type == "text"), kind.name
        assert len(set(kind.values)) == len(kind.values)


def test_every_category_is_a_term_of_the_data_privacy_vocabulary() -> None:
    lines = (VECTORS / "dpv_pd_terms.txt").read_text("utf-8").splitlines()
    terms = {line for line in lines if line and not line.startswith("#")}
    assert {kind.category for kind in EVERY} == terms, "the list holds exactly the terms we use"


def test_health_is_special_and_nothing_else_is() -> None:
    assert {kind.name for kind in EVERY if kind.tier == "special"} == SPECIAL
    assert catalogue().kind("location").tier == "personal"
    assert catalogue().kind("temperature").tier == "ordinary"


def test_only_numbers_have_units_and_ranges_and_all_of_them_do() -> None:
    for kind in EVERY:
        if kind.type == "number":
            assert kind.low is not None, kind.name
            assert kind.high is not None, kind.name
            assert kind.low < kind.high, kind.name
            assert kind.units[kind.unit] == (1.0, 0.0), kind.name
        else:
            assert (kind.unit, kind.units, kind.low, kind.high) == ("", {}, None, None), kind.name


def test_resolutions_follow_from_the_type_and_begin_with_raw() -> None:
    for kind in EVERY:
        assert kind.resolutions == RESOLUTIONS[kind.type]
        assert kind.resolutions[0] == "raw"


def test_an_inverse_alias_is_an_alias_of_a_boolean() -> None:
    for kind in EVERY:
        assert set(kind.inverse) <= set(kind.aliases)
        assert not kind.inverse or kind.type == "boolean"


# Worked out by hand from the definitions (SI brochure, ISO 80000, NIST SP 811 appendix B).
CONVERSIONS = [
    ("temperature", 68.0, "[degF]", 20.0),
    ("temperature", -40.0, "°F", -40.0),
    ("temperature", 32.0, "F", 0.0),
    ("temperature", 293.15, "K", 20.0),
    ("temperature", 21.5, "Cel", 21.5),
    ("pressure", 101325.0, "Pa", 1013.25),
    ("pressure", 101.325, "kPa", 1013.25),
    ("pressure", 760.0, "mmHg", 1013.250144354),
    ("humidity", 0.442, "/", 44.2),
    ("voltage", 3025.0, "mV", 3.025),
    ("energy", 412.0, "Wh", 0.412),
    ("energy", 3.6, "MJ", 1.0),
    ("energy", 1.0, "J", 1 / 3_600_000),
    ("water", 1250.0, "L", 1.25),
    ("speed", 36.0, "km/h", 10.0),
    ("speed", 1.0, "kn", 1852 / 3600),
    ("altitude", 1000.0, "ft", 304.8),
    ("course", math.pi, "rad", 180.0),
    ("heart_rate", 1.2, "Hz", 72.0),
    ("weight", 100.0, "lb", 45.359237),
    ("brightness", 254.0, "/254", 100.0),
    ("power_factor", 97.0, "%", 0.97),
    ("tyre_pressure", 100.0, "psi", 6.894757293168361),
    ("glucose", 100.0, "mg/dL", 100 / 18.0156),
    ("blood_pressure_systolic", 16.0, "kPa", 16_000 / 133.322387415),
    ("active_energy", 1000.0, "kJ", 1000 / 4.184),
    ("radon", 4.0, "pCi/L", 148.0),
    ("precipitation_intensity", 1.0, "in/h", 25.4),
    ("conductivity", 1.5, "mS/cm", 1500.0),
]


@pytest.mark.parametrize(("name", "value", "unit", "expected"), CONVERSIONS)
def test_a_value_is_converted_to_the_unit_we_store(
    name: str, value: float, unit: str, expected: float
) -> None:
    found = catalogue().kind(name).canonical(value, unit)
    assert found == pytest.approx(expected, rel=1e-13, abs=1e-12)


def test_decimals_stay_decimals() -> None:
    pressure = catalogue().kind("pressure")
    wrong = [pascal for pascal in range(95_000, 105_000) if pressure.canonical(pascal, "Pa") != pascal / 100]
    assert wrong == []


def test_a_unit_of_something_else_is_refused() -> None:
    for name, unit in (("temperature", "V"), ("humidity", ""), ("energy", "W"), ("location", "m")):
        assert catalogue().kind(name).canonical(1.0, unit) is None


def test_what_is_out_of_range_or_no_number_is_not_plausible() -> None:
    battery = catalogue().kind("battery")
    assert battery.plausible(0.0)
    assert battery.plausible(100.0)
    for value in (-1.0, 100.1, math.nan, math.inf, -math.inf):
        assert not battery.plausible(value)


GOOD = '[a]\nlabel="a"\ntype="event"\ntier="ordinary"\ncategory="X"\naliases=["B"]\n'

# what is wrong -> (file, what the error says)
BAD_FILES = {
    "an alias claimed twice": (GOOD + GOOD.replace("[a]", "[b]"), "claimed by two kinds"),
    "a field we do not know": (GOOD + 'colour="red"', "unknown field `colour`"),
    "a type we do not know": (GOOD.replace("event", "blob"), "Invalid enum value 'blob'"),
    "no label": (GOOD.replace('label="a"', ""), "missing required field `label`"),
    "a factor that is no number": (GOOD + 'units={x="one"}', "Invalid literal for Fraction"),
    "not TOML": ("[a", "Expected"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_faulty_vocabulary_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_the_faulty_files_are_good_but_for_their_one_fault() -> None:
    assert parse(GOOD).names() == ("a",)
