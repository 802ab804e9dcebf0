"""Sensor Logger beyond single messages: gaps, and what is passed over for its volume."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.dialects import Reading, read
from gateway.dialects.decode import MAX_PAYLOAD
from vault.observation import Observation

NOW = 1_790_000_000_000


def batch(*readings: dict[str, Any], topic: str = "sensor-logger", **members: Any) -> Reading:
    document = {"messageId": 0, "sessionId": "s", "deviceId": "d", "payload": readings, **members}
    return read(topic, json.dumps(document).encode(), NOW)


def sensor(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "time": NOW * 1_000_000, "values": values}


@pytest.mark.parametrize("topic", ["sensor-logger", "my/own/topic"])
def test_a_message_says_which_it_is_so_that_missing_ones_are_noticed(topic: str) -> None:
    assert batch(topic=topic, messageId=41, sessionId="abc").sequence == ("abc", 41)


@pytest.mark.parametrize("number", ["1", 1.5, True, None, [], 2**60])
def test_a_number_that_is_none_counts_nothing(number: Any) -> None:
    assert batch(messageId=number).sequence is None


@pytest.mark.parametrize("session", [1, None, {}])
def test_a_session_that_is_no_text_counts_nothing(session: Any) -> None:
    assert batch(sessionId=session).sequence is None


FAST = [
    "accelerometer", "accelerometeruncalibrated", "totalacceleration", "gravity", "gyroscope",
    "gyroscopeuncalibrated", "magnetometer", "magnetometeruncalibrated", "orientation", "headphone",
    "wrist motion",
]  # fmt: skip


@pytest.mark.parametrize("name", FAST)
def test_what_moves_the_phone_is_neither_read_nor_kept(name: str) -> None:
    reading = batch(sensor(name, x=0.1, y=0.2, z=9.8))
    assert (reading.observations, reading.quarantine, reading.dropped) == ((), False, 0)


def test_a_full_second_of_it_hides_no_reading() -> None:
    """A hundred samples of each sensor, and one position."""
    samples = [sensor(name, x=0.123456789, y=-0.5, z=9.81) for name in FAST for _ in range(100)]
    here = sensor("location", latitude=48.85833, longitude=2.29513, horizontalAccuracy=5)
    reading = batch(*samples, here, *samples)
    assert [one.kind for one in reading.observations] == ["location"]
    assert not reading.quarantine


def test_a_message_beyond_the_limit_is_kept_and_not_read() -> None:
    reading = batch(sensor("annotation", text="x" * MAX_PAYLOAD))
    assert (reading.observations, reading.quarantine, reading.sequence) == ((), True, None)


@pytest.mark.parametrize("name", ["bluetooth", "bluetoothmetadata", "wifi", "network"])
def test_other_people_s_devices_are_not_kept(name: str) -> None:
    assert not batch(sensor(name, id="AA:BB:CC:DD:EE:FF", rssi=-60, ssid="the neighbours")).quarantine


@pytest.mark.parametrize("name", ["camera", "tricorder", "", 5, None])
def test_what_is_not_known_is_kept_whole(name: Any) -> None:
    reading = batch({"name": name, "time": NOW * 1_000_000, "values": {"a": 1}})
    assert (reading.observations, reading.quarantine) == ((), True)


def test_nanoseconds_are_divided_as_integers() -> None:
    """A float of them would be off by more than a hundred."""
    at = {**sensor("pedometer", steps=1), "time": 1_789_999_999_999_999_999}
    assert batch(at).observations == (Observation("sensor-logger", "steps", 1_789_999_999_999, 1.0),)


@pytest.mark.parametrize("payload", [{}, 5, "x", None, [5], [[]], [None]])
def test_a_batch_of_another_shape_is_no_reading(payload: Any) -> None:
    document = {"messageId": 0, "sessionId": "s", "payload": payload}
    assert read("sensor-logger", json.dumps(document).encode(), NOW).observations == ()
