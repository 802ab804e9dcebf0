"""ESPHome: entities that are a bare value on a topic of their own."""

from __future__ import annotations

import pytest

from gateway.dialects import DialectSettings, Notebook, Reading, read
from gateway.dialects.reading import Lesson
from gateway.dialects.rules import Field, Rule
from vault.observation import Observation

NOW = 1_790_000_000_000


def say(topic: str, payload: str, notebook: Notebook | None = None) -> Reading:
    return read(topic, payload.encode(), NOW, notebook or Notebook())


def one(channel: str, kind: str, value: float | bool | str) -> Reading:
    return Reading("esphome", (Observation(channel, kind, NOW, value),), False, 0)


KEPT = Reading("esphome", (), quarantine=True, dropped=0)


@pytest.mark.parametrize(
    "name",
    [
        "energy",
        "total_energy",
        "daily_energy",
        "gas",
        "water",
        "speed",
        "distance",
        "weight",
        "bathroom",
        "state",
    ],
)
def test_a_number_of_which_the_unit_is_open_is_kept_for_teaching(name: str) -> None:
    assert say(f"meter/sensor/{name}/state", "12.5") == KEPT


@pytest.mark.parametrize(
    ("name", "kind"),
    [("temperature", "temperature"), ("humidity", "humidity"), ("co2", "carbon_dioxide"), ("pm25", "pm25")],
)
def test_a_name_that_leaves_no_doubt_is_enough(name: str, kind: str) -> None:
    assert say(f"room/sensor/{name}/state", "12.5") == one(f"room/{name}", kind, 12.5)


def test_a_lesson_goes_before_the_name() -> None:
    """As Home Assistant's discovery teaches it."""
    topic = "kiln/sensor/temperature/state"
    rule = Rule(topic=topic, format="value", channel="kiln", fields=(Field(kind="temperature", unit="°F"),))
    notebook = Notebook(DialectSettings(), (Lesson("homeassistant/sensor/kiln/config", (rule,)),))
    assert [found.value for found in say(topic, "212", notebook).observations] == [100.0]
    assert [found.value for found in say(topic, "100").observations] == [100.0]


@pytest.mark.parametrize(
    ("topic", "payload", "expected"),
    [
        ("hall/binary_sensor/pir/state", "OFF", one("hall/pir", "motion", False)),
        ("hall/binary_sensor/front_door/state", "ON", KEPT),
        ("hall/switch/boiler/state", "ON", one("hall/boiler", "switch", True)),
        ("hall/fan/vent/state", "OFF", one("hall/vent", "switch", False)),
        ("hall/fan/vent/speed_level/state", "3", Reading("esphome", (), False, 0)),
        ("hall/lock/door/state", "JAMMED", KEPT),
        ("hall/cover/blind/state", "open", KEPT),
        ("hall/alarm_control_panel/house/state", "TRIGGERED", KEPT),
        ("hall/select/mode/state", "eco", Reading("esphome", (), False, 0)),
        (
            "hall/light/lamp/state",
            '{"state":"OFF","mood":1}',
            Reading("esphome", one("hall/lamp", "switch", False).observations, True, 0),
        ),
    ],
)
def test_entities(topic: str, payload: str, expected: Reading) -> None:
    assert say(topic, payload) == expected
