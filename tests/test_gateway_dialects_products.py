"""OwnTracks, Zigbee2MQTT and Tasmota beyond what their own documents show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.dialects import DialectSettings, Notebook, Reading, read
from vault.observation import Observation, Place

NOW = 1_790_000_000_000


def observed(
    dialect: str, *series: tuple[str, str, Any], quarantine: bool = False, dropped: int = 0
) -> Reading:
    found = tuple(Observation(channel, kind, NOW, value) for channel, kind, value in series)
    return Reading(dialect, found, quarantine, dropped)


def owntracks(topic: str = "owntracks/user/phone", **fields: Any) -> Reading:
    document = {"_type": "location", "lat": 48, "lon": 2, "tst": NOW // 1000, **fields}
    return read(topic, json.dumps({k: v for k, v in document.items() if v is not ...}).encode(), NOW)


HERE = ("user/phone", "location", Place(48.0, 2.0))

PHONES: dict[str, tuple[dict[str, Any], Reading]] = {
    "a bare position": ({}, observed("owntracks", HERE)),
    "km/h become m/s": ({"vel": 36}, observed("owntracks", HERE, ("user/phone", "speed", 10.0))),
    "kPa become hPa": ({"p": 100.138}, observed("owntracks", HERE, ("user/phone", "pressure", 1001.38))),
    "below the sea": ({"alt": -1}, observed("owntracks", HERE, ("user/phone", "altitude", -1.0))),
    "-1 is unknown": ({"vel": -1, "cog": -1, "batt": -1}, observed("owntracks", HERE, dropped=3)),
    "an invalid position": ({"acc": -1}, observed("owntracks", dropped=1)),
    "something new": ({"mood": "good"}, observed("owntracks", HERE, quarantine=True)),
    "no time": ({"tst": ...}, observed("owntracks", quarantine=True)),
    "no latitude": ({"lat": ...}, observed("owntracks", quarantine=True)),
    "encrypted": ({"_type": "encrypted", "data": "x"}, observed("owntracks", quarantine=True)),
    "a waypoint": ({"_type": "waypoint"}, observed("owntracks")),
}


@pytest.mark.parametrize(("fields", "expected"), PHONES.values(), ids=PHONES.keys())
def test_owntracks(fields: dict[str, Any], expected: Reading) -> None:
    assert owntracks(**fields) == expected


@pytest.mark.parametrize(
    ("topic", "channel"),
    [("owntracks/user/phone", "user/phone"), ("a/b/user/phone", "user/phone"), ("phone", "phone")],
)
def test_owntracks_channel_is_user_and_device(topic: str, channel: str) -> None:
    assert owntracks(topic).observations[0].channel == channel


Z: str = "zigbee2mqtt"
ZIGBEE: dict[str, tuple[str, str, Reading]] = {
    "everything a sensor sends": (
        "zigbee2mqtt/hall",
        '{"temperature":21.5,"battery":97,"voltage":3025,"linkquality":120,"last_seen":"2026-09-21T14:13:20Z",'
        '"update":{"state":"idle","installed_version":1},"update_available":false}',
        observed(
            Z,
            ("hall", "temperature", 21.5),
            ("hall", "battery", 97.0),
            ("hall", "voltage", 3.025),
            ("hall", "link_quality", 120.0),
        ),
    ),
    "a door, whose contact is made when closed": (
        "zigbee2mqtt/front door",
        '{"contact":false,"tamper":false,"battery_low":false}',
        observed(
            Z,
            ("front door", "door", True),
            ("front door", "tamper", False),
            ("front door", "battery_low", False),
        ),
    ),
    "a plug on the mains": (
        "zigbee2mqtt/plug",
        '{"state":"OFF","voltage":231,"power":0,"energy":12.5}',
        observed(
            Z,
            ("plug", "switch", False),
            ("plug", "voltage", 231.0),
            ("plug", "power", 0.0),
            ("plug", "energy", 12.5),
        ),
    ),
    "two relays": (
        "zigbee2mqtt/wall",
        '{"state_left":"ON","state_l2":"OFF"}',
        observed(Z, ("wall/left", "switch", True), ("wall/l2", "switch", False)),
    ),
    "fields that are not known yet": (
        "zigbee2mqtt/hall",
        '{"battery":null,"action":""}',
        observed(Z, dropped=2),
    ),
    "lux beside the logarithm": (
        "zigbee2mqtt/hall",
        '{"illuminance":20000,"illuminance_lux":100}',
        observed(Z, ("hall", "illuminance", 100.0)),
    ),
    "a gas alarm, which is no volume": ("zigbee2mqtt/kitchen", '{"gas":true}', observed(Z, quarantine=True)),
    "a cover": ("zigbee2mqtt/blind", '{"state":"OPEN","position":50}', observed(Z, quarantine=True)),
    "available": (
        "zigbee2mqtt/house/hall/availability",
        '{"state":"online"}',
        observed(Z, ("house/hall", "connectivity", True)),
    ),
    "not available, as older releases say it": (
        "zigbee2mqtt/hall/availability",
        "offline",
        observed(Z, ("hall", "connectivity", False)),
    ),
    "neither": ("zigbee2mqtt/hall/availability", '{"state":"tired"}', observed(Z, quarantine=True)),
    "an attribute on a topic of its own": (
        "zigbee2mqtt/house/hall/temperature",
        "21.5",
        observed(Z, ("house/hall", "temperature", 21.5)),
    ),
    "an attribute we do not know": ("zigbee2mqtt/hall/mood", "21.5", observed(Z, quarantine=True)),
    "a bare word for a device": ("zigbee2mqtt/hall", "21.5", observed(Z, quarantine=True)),
    "the bridge's groups": ("zigbee2mqtt/bridge/groups", '[{"friendly_name":"hall"}]', observed(Z)),
    "something new of the bridge": ("zigbee2mqtt/bridge/mood", "{}", observed(Z, quarantine=True)),
    "a question to a device": ("zigbee2mqtt/hall/get", '{"state":""}', observed(Z, quarantine=True)),
}


@pytest.mark.parametrize(("topic", "payload", "expected"), ZIGBEE.values(), ids=ZIGBEE.keys())
def test_zigbee2mqtt(topic: str, payload: str, expected: Reading) -> None:
    assert read(topic, payload.encode(), NOW) == expected


TASMOTA: dict[str, tuple[str, str, Reading]] = {
    "several probes, in °F": (
        "tele/cellar/SENSOR",
        '{"Time":"2026-09-21T14:13:20","DS18B20-1":{"Id":"01","Temperature":68},'
        '"DS18B20-2":{"Id":"02","Temperature":50},"TempUnit":"F"}',
        observed(
            "tasmota",
            ("cellar/DS18B20-1", "temperature", 20.0),
            ("cellar/DS18B20-2", "temperature", 10.0),
        ),
    ),
    "climate, with what is derived from it": (
        "tele/bath/SENSOR",
        '{"BME280":{"Temperature":21.5,"Humidity":50,"DewPoint":10.6,"Pressure":1001.3,"SeaPressure":1013.2},'
        '"PressureUnit":"hPa","TempUnit":"C"}',
        observed(
            "tasmota",
            ("bath/BME280", "temperature", 21.5),
            ("bath/BME280", "humidity", 50.0),
            ("bath/BME280", "pressure", 1001.3),
        ),
    ),
    "pressure in mmHg": (
        "tele/bath/SENSOR",
        '{"BMP280":{"Pressure":760},"PressureUnit":"mmHg"}',
        observed("tasmota", ("bath/BMP280", "pressure", 1013.250144354)),
    ),
    "a unit we do not know": (
        "tele/bath/SENSOR",
        '{"BMP280":{"Temperature":20,"Pressure":1000},"TempUnit":"R"}',
        observed("tasmota", ("bath/BMP280", "pressure", 1000.0), quarantine=True),
    ),
    "a probe that is not there": (
        "tele/bath/SENSOR",
        '{"DS18B20":{"Temperature":null}}',
        observed("tasmota", dropped=1),
    ),
    "a probe's power-on value is plausible": (
        "tele/bath/SENSOR",
        '{"DS18B20":{"Temperature":85}}',
        observed("tasmota", ("bath/DS18B20", "temperature", 85.0)),
    ),
    "a time that cannot be read": (
        "tele/bath/SENSOR",
        '{"Time":"soon","DS18B20":{"Temperature":20}}',
        observed("tasmota", ("bath/DS18B20", "temperature", 20.0), quarantine=True),
    ),
    "a time with the epoch beside it": (
        "tele/bath/SENSOR",
        '{"Time":"2026-09-21T16:13:20","Epoch":1790000000,"DS18B20":{"Temperature":20}}',
        observed("tasmota", ("bath/DS18B20", "temperature", 20.0)),
    ),
    "a sensor we do not know": (
        "tele/bath/SENSOR",
        '{"ZMOD":{"Mood":3}}',
        observed("tasmota", quarantine=True),
    ),
    "blocks three deep": (
        "tele/bath/SENSOR",
        '{"A":{"B":{"C":{"Temperature":3}}}}',
        observed("tasmota", quarantine=True),
    ),
    "a lamp": (
        "tele/lamp/STATE",
        '{"Vcc":3.1,"UptimeSec":5,"POWER1":"ON","Dimmer":40,"CT":300,"Speed":1}',
        observed("tasmota", ("lamp/POWER1", "switch", True), ("lamp/Dimmer", "brightness", 40.0)),
    ),
    "a state with something new": ("tele/lamp/STATE", '{"Mood":1}', observed("tasmota", quarantine=True)),
    "a switched relay": ("stat/lamp/POWER2", "OFF", observed("tasmota", ("lamp/POWER2", "switch", False))),
    "a dimmed lamp": (
        "stat/lamp/RESULT",
        '{"POWER":"ON","Dimmer":40}',
        observed("tasmota", ("lamp/Dimmer", "brightness", 40.0)),
    ),
    "gone": ("tele/house/lamp/LWT", "Offline", observed("tasmota", ("house/lamp", "connectivity", False))),
    "what it is made of": ("tele/lamp/INFO1", '{"Info1":{"Module":"Generic"}}', observed("tasmota")),
    "what it announces": ("tasmota/discovery/AABBCC/config", '{"ip":"192.0.2.1"}', observed("tasmota")),
    "an answer to a question": (
        "stat/lamp/STATUS8",
        '{"StatusSNS":{}}',
        observed("tasmota", quarantine=True),
    ),
    "more phases than there are": (
        "tele/meter/SENSOR",
        '{"ENERGY":{"Power":[1,2,3,4,5]}}',
        observed("tasmota", quarantine=True),
    ),
    "not an object": ("tele/lamp/SENSOR", "21.5", observed("tasmota", quarantine=True)),
}


@pytest.mark.parametrize(("topic", "payload", "expected"), TASMOTA.values(), ids=TASMOTA.keys())
def test_tasmota(topic: str, payload: str, expected: Reading) -> None:
    assert read(topic, payload.encode(), NOW) == expected


def test_tasmota_time_is_in_the_home_s_zone() -> None:
    payload = b'{"Time":"2026-09-21T16:13:20","DS18B20":{"Temperature":20}}'
    found = read("tele/bath/SENSOR", payload, NOW, Notebook(DialectSettings(timezone="Europe/Berlin")))
    assert found == observed("tasmota", ("bath/DS18B20", "temperature", 20.0))
