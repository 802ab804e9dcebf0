"""Health Auto Export beyond single messages."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from gateway.dialects import DialectSettings, Notebook, Reading, read
from vault.observation import Observation

NOW = 1_783_400_000_000  # 2026-07-07
DATE = "2026-07-06 14:30:00 -0300"
TIME = 1_783_359_000_000


def export(*metrics: tuple[str, str, dict[str, Any]], notebook: Notebook | None = None) -> Reading:
    listed = [{"name": name, "units": units, "data": [data]} for name, units, data in metrics]
    document = {"data": {"metrics": listed}}
    return read("phone", json.dumps(document).encode(), NOW, notebook or Notebook())


def test_what_is_sent_again_is_said_to_be_sent_again() -> None:
    """Batches overlap; the one who stores them needs to know, and to find the same readings."""
    steps = ("step_count", "count", {"date": DATE, "qty": 850, "source": "iPhone"})
    energy = ("active_energy", "kcal", {"date": DATE, "qty": 3, "source": "Watch"})
    first, second = export(steps), export(energy, steps)
    assert first.resends
    assert second.resends
    assert set(first.observations) < set(second.observations)


def test_no_other_dialect_claims_that() -> None:
    assert not read("phone", b'{"temperature":20}', NOW).resends
    assert not read("owntracks/a/b", b'{"_type":"lwt","tst":1}', NOW).resends


@pytest.mark.parametrize(
    "written",
    [
        DATE,
        "2026-07-06 17:30:00 +0000",
        "2026-07-06 23:00:00 +0530",
        "2026-07-06 2:30:00 PM -0300",
        "2026-07-06 2:30:00\u202fPM -0300",
        "2026-07-06 02:30:00 pm -0300",
    ],
)
def test_a_time_is_read_however_a_phone_writes_it(written: str) -> None:
    reading = export(("step_count", "count", {"date": written, "qty": 1}))
    assert reading.observations == (Observation("", "steps", TIME, 1.0),)
    assert not reading.quarantine


def test_a_night_that_says_only_its_date_is_of_the_device_s_zone() -> None:
    night = ("sleep_analysis", "hr", {"date": "2026-07-06", "totalSleep": 7.5})
    berlin = export(night, notebook=Notebook(DialectSettings(timezone="Europe/Berlin")))
    midnight = datetime.datetime(2026, 7, 5, 22, tzinfo=datetime.UTC)
    assert [one.time for one in berlin.observations] == [int(midnight.timestamp() * 1000)]


def test_a_time_that_cannot_be_read_keeps_the_payload() -> None:
    reading = export(("step_count", "count", {"date": "yesterday", "qty": 1}))
    assert reading.observations == (Observation("", "steps", NOW, 1.0),)
    assert reading.quarantine


# What Apple Health counts in several units, and what becomes of each.
UNITS: list[tuple[str, str, float, str, float]] = [
    ("weight_body_mass", "kg", 70, "weight", 70.0),
    ("weight_body_mass", "lb", 100, "weight", 45.359237),
    ("weight_body_mass", "st", 10, "weight", 63.5029318),
    ("height", "cm", 172, "body_height", 1.72),
    ("height", "ft", 6, "body_height", 1.8288),
    ("walking_running_distance", "km", 1.5, "distance_walked", 1500.0),
    ("walking_running_distance", "mi", 1, "distance_walked", 1609.344),
    ("active_energy", "kcal", 12.5, "active_energy", 12.5),
    ("active_energy", "kJ", 4.184, "active_energy", 1.0),
    ("body_temperature", "degC", 36.6, "body_temperature", 36.6),
    ("body_temperature", "degF", 98.6, "body_temperature", 37.0),
    ("blood_glucose", "mmol/L", 5.5, "glucose", 5.5),
    ("resting_heart_rate", "bpm", 54, "resting_heart_rate", 54.0),
    ("apple_exercise_time", "min", 30, "exercise_time", 30.0),
    ("blood_oxygen_saturation", "%", 97, "spo2", 97.0),
]


@pytest.mark.parametrize(("name", "unit", "quantity", "kind", "value"), UNITS)
def test_a_metric_is_converted(name: str, unit: str, quantity: float, kind: str, value: float) -> None:
    reading = export((name, unit, {"date": DATE, "qty": quantity, "source": "S"}))
    assert reading.observations == (Observation("S", kind, TIME, value),)
    assert not reading.quarantine


@pytest.mark.parametrize(
    "name", ["caffeine", "dietary_water", "handwashing", "sexual_activity", "x" * 500, ""]
)
def test_a_metric_that_is_no_kind_is_kept_and_not_read(name: str) -> None:
    reading = export((name, "count", {"date": DATE, "qty": 1, "source": "S"}))
    assert (reading.observations, reading.quarantine) == ((), True)


def test_one_bad_metric_leaves_the_others_alone() -> None:
    good = ("step_count", "count", {"date": DATE, "qty": 5})
    bad = ("heart_rate", "count/min", {"date": DATE, "Avg": "fast"})
    reading = export(good, bad)
    assert reading.observations == (Observation("", "steps", TIME, 5.0),)
    assert reading.quarantine


SHAPES = ["{}", "[]", '{"data":[]}', '{"data":{"metrics":{}}}', '{"data":{"metrics":[5,null,[]]}}',
          '{"data":{"metrics":[{"name":5,"units":[],"data":{"qty":1}}]}}', '{"data":{"workouts":"x"}}',
          '{"data":{"metrics":[{"data":[{"qty":1}]}]}}', '{"data":null,"metrics":1}']  # fmt: skip


@pytest.mark.parametrize("payload", SHAPES)
def test_a_shape_that_is_another_is_no_reading(payload: str) -> None:
    notebook = Notebook(DialectSettings(dialect="health-auto-export"))
    assert read("phone", payload.encode(), NOW, notebook).observations == ()


def test_a_day_of_seconds_is_read_at_once() -> None:
    """Heart rates of hours, near the limit of a payload."""
    data = [{"date": DATE, "qty": 60 + n % 40, "source": "Watch"} for n in range(3500)]
    document = {"data": {"metrics": [{"name": "heart_rate", "units": "count/min", "data": data}]}}
    reading = read("phone", json.dumps(document).encode(), NOW)
    assert len(reading.observations) == 3500
    assert not reading.quarantine
