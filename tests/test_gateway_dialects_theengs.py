"""Bluetooth sensors behind a gateway, which hears the whole street."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import DialectSettings, Lesson, Notebook, Reading, read
from gateway.dialects.rules import Field, Rule
from vault.observation import Observation

NOW = 1_790_000_000_000
MINE = "AA:BB:CC:DD:EE:FF"
STRAP = {"brand": "Polar", "model": "Heart Rate Sensor", "model_id": "H10", "type": "BODY", "bpm": 70}

OWNER = Notebook(DialectSettings(own=(MINE,)))
NOBODY = Notebook()

bases = st.sampled_from(("home/OpenMQTTGateway", "home/TheengsGateway", "OMG", "attic/house/gateway"))
addresses = st.binary(min_size=6, max_size=6).map(bytes.hex).filter(lambda text: text != "aabbccddeeff")
names = st.sampled_from(
    ("bpm", "weight", "tempc", "hum", "batt", "open", "servicedata", "rssi", "presence", "mood")
)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-200, 200), st.floats(-200, 200), st.text(max_size=8)
)
documents = st.dictionaries(names, values).map(json.dumps).map(str.encode)
payloads = st.one_of(documents, st.binary(max_size=64), st.text(max_size=32).map(str.encode))


def hear(address: str, document: dict[str, Any], notebook: Notebook = OWNER) -> Reading:
    topic = "home/OpenMQTTGateway/BTtoMQTT/" + address
    return read(topic, json.dumps(document).encode(), NOW, notebook)


@given(bases, addresses, payloads)
def test_a_neighbour_s_sensor_is_counted_and_nothing_of_it_kept(
    base: str, address: str, payload: bytes
) -> None:
    found = read(f"{base}/BTtoMQTT/{address.upper()}", payload, NOW, OWNER)
    assert found == Reading("theengs", (), quarantine=False, dropped=0, foreign=1)


@given(bases, addresses, payloads)
def test_while_nobody_has_said_whose_a_sensor_is_it_is_kept_unread(
    base: str, address: str, payload: bytes
) -> None:
    found = read(f"{base}/BTtoMQTT/{address.upper()}", payload, NOW, NOBODY)
    assert found == Reading("theengs", (), quarantine=True, dropped=0)


@pytest.mark.parametrize("own", [MINE, MINE.lower(), "aabbccddeeff", "AA-BB-CC-DD-EE-FF", " AABBCCDDEEFF "])
def test_an_address_may_be_written_in_any_usual_form(own: str) -> None:
    notebook = Notebook(DialectSettings(own=("001122334455", own)))
    expected = (Observation("AABBCCDDEEFF", "heart_rate", NOW, 70.0),)
    assert hear("AABBCCDDEEFF", STRAP, notebook) == Reading("theengs", expected, False, 0)


@pytest.mark.parametrize("known", ["id", "mac", "uuid"])
def test_a_sensor_is_known_by_any_of_its_ids(known: str) -> None:
    found = hear("0A0B0C0D0E0F", {**STRAP, known: MINE})
    assert [reading.kind for reading in found.observations] == ["heart_rate"]
    assert found.foreign == 0


def test_what_a_gateway_declares_of_a_neighbour_s_sensor_changes_nothing() -> None:
    """Gateways declare to Home Assistant whatever they hear."""
    topic = "home/OpenMQTTGateway/BTtoMQTT/001122334455"
    rule = Rule(topic=topic, fields=(Field(path="bpm", kind="heart_rate"),))
    notebook = Notebook(DialectSettings(own=(MINE,)), (Lesson("homeassistant/sensor/1/config", (rule,)),))
    found = read(topic, json.dumps(STRAP).encode(), NOW, notebook)
    assert (found.observations, found.quarantine, found.foreign) == ((), False, 1)
    notebook = Notebook(DialectSettings(), notebook.lessons)
    found = read(topic, json.dumps(STRAP).encode(), NOW, notebook)
    assert (found.observations, found.quarantine, found.foreign) == ((), True, 0)


def test_what_an_own_sensor_says_and_nobody_understands_is_kept() -> None:
    assert hear("AABBCCDDEEFF", {"servicedata": "fe00"}).quarantine
    assert read("home/OpenMQTTGateway/BTtoMQTT/AABBCCDDEEFF", b"\x00\xff", NOW, OWNER).quarantine
    assert read("home/OpenMQTTGateway/BTtoMQTT/AABBCCDDEEFF", b"hello", NOW, OWNER).quarantine


WEIGHED: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "a person, in kg": ({"weighing_mode": "person", "unit": "kg", "weight": 72.45}, (72.45,)),
    "a person, in pounds": ({"weighing_mode": "person", "unit": "lb", "weight": 131.7}, (59.738115129,)),
    "a suitcase": ({"weighing_mode": "object", "unit": "kg", "weight": 9.55}, ()),
    "coffee": ({"weight": 123.9}, ()),
}


@pytest.mark.parametrize(("fields", "weights"), WEIGHED.values(), ids=WEIGHED.keys())
def test_only_a_person_s_weight_is_one(fields: dict[str, Any], weights: tuple[float, ...]) -> None:
    found = hear("AABBCCDDEEFF", {"type": "SCALE", "model_id": "XMTZC05HM", **fields})
    assert tuple(reading.value for reading in found.observations) == weights
    assert not found.quarantine


def test_a_scale_in_a_unit_nobody_knows_is_kept_for_teaching() -> None:
    found = hear(
        "AABBCCDDEEFF", {"type": "SCALE", "weighing_mode": "person", "unit": "stones?", "weight": 11}
    )
    assert found == Reading("theengs", (), quarantine=True, dropped=0)


def test_probes_of_one_thermometer_are_apart() -> None:
    found = hear("AABBCCDDEEFF", {"type": "BBQ", "tempc1": 23, "tempf1": 73.4, "tempc2": 115, "tempf2": 239})
    assert [(one.channel, one.value) for one in found.observations] == [
        ("AABBCCDDEEFF/probe 1", 23.0),
        ("AABBCCDDEEFF/probe 2", 115.0),
    ]
    assert not found.quarantine


def test_a_gateway_that_knows_the_time_says_when() -> None:
    found = hear("AABBCCDDEEFF", {"model_id": "H10", "bpm": 70, "unixtime": NOW // 1000 - 60})
    assert [one.time for one in found.observations] == [NOW - 60_000]
    assert not found.quarantine


def test_a_tyre_s_pressure_is_not_the_weather_s() -> None:
    found = hear("AABBCCDDEEFF", {"type": "TIRE", "pres": 2.4})
    assert [(one.kind, one.value) for one in found.observations] == [("tyre_pressure", 2.4)]
    found = hear("AABBCCDDEEFF", {"type": "ACEL", "pres": 1013.5})
    assert [(one.kind, one.value) for one in found.observations] == [("pressure", 1013.5)]
