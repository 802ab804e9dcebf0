"""Shelly's frames, of which only what changed is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import Notebook, read
from vault.observation import Observation

NOW = 1_790_000_000_000
RPC = "shellypro-a0b1/events/rpc"

# Everything that a device of every sort could say at once.
WHOLE: dict[str, dict[str, Any]] = {
    "cover:0": {"state": "open", "apower": 12.5, "current_pos": 49, "target_pos": 50, "pos_control": True},
    "devicepower:0": {"battery": {"V": 5.9, "percent": 93}, "external": {"present": False}},
    "em:0": {
        "a_act_power": 101.0,
        "b_act_power": -3.5,
        "c_act_power": 7.5,
        "total_act_power": 105.0,
        "a_pf": 0.9,
    },
    "em1:1": {"act_power": 501.8, "aprt_power": 612.4, "voltage": 234.9, "pf": 0.84, "freq": 50.0},
    "em1data:1": {"total_act_energy": 1234.5, "total_act_ret_energy": 2.5},
    "emdata:0": {"a_total_act_energy": 1000.0, "total_act": 3000.0, "total_act_ret": 12.0},
    "flood:0": {"alarm": True, "mute": False},
    "humidity:0": {"rh": 57.6},
    "illuminance:0": {"lux": 321, "illumination": "bright"},
    "input:2": {"state": True},
    "light:0": {"output": False, "brightness": 75.0},
    "pm1:0": {"apower": 3.5, "aprtpower": 8.5, "voltage": 230.5, "current": 0.5, "aenergy": {"total": 77.0}},
    "smoke:0": {"alarm": False, "mute": False},
    "switch:0": {
        "id": 0,
        "source": "HTTP_in",
        "output": True,
        "apower": 3.8,
        "aenergy": {"total": 26064.25, "by_minute": [1.0, 2.0, 3.0], "minute_ts": 1},
        "ret_aenergy": {"total": 1.5, "by_minute": [0.0], "minute_ts": 1},
        "temperature": {"tC": 42.0, "tF": 107.6},
    },
    "temperature:100": {"tC": 19.5, "tF": 67.1},
    "thermostat:0": {"enable": True, "target_C": 21.0, "current_C": 20.1, "output": False},
    "voltmeter:100": {"voltage": 4.25},
    "wifi": {"sta_ip": "192.0.2.1", "status": "got ip", "ssid": "home", "rssi": -60},
    "sys": {"mac": "A0B1", "uptime": 5},
    "script:1": {"id": 1, "running": True},
}
LEAVES = [(component, field) for component, fields in WHOLE.items() for field in fields]


def frame(params: dict[str, Any], method: str = "NotifyStatus") -> bytes:
    document = {
        "src": "shellypro-a0b1",
        "dst": "x/events",
        "method": method,
        "params": {"ts": NOW / 1000, **params},
    }
    return json.dumps(document).encode()


def overlay(kept: set[tuple[str, str]]) -> dict[str, Any]:
    """The frame of which only these fields are left."""
    found: dict[str, Any] = {}
    for component, field in LEAVES:
        if (component, field) in kept:
            found.setdefault(component, {})[field] = WHOLE[component][field]
    return found


def readings(params: dict[str, Any]) -> set[Observation]:
    found = read(RPC, frame(params), NOW)
    assert not found.quarantine
    assert not found.dropped
    return set(found.observations)


def test_a_whole_status_is_understood() -> None:
    found = {(one.channel.removeprefix("shellypro-a0b1/"), one.kind): one.value for one in readings(WHOLE)}
    assert found == {
        ("cover:0", "power"): 12.5,
        ("cover:0", "cover_position"): 49.0,
        ("devicepower:0", "voltage"): 5.9,
        ("devicepower:0", "battery"): 93.0,
        ("devicepower:0", "plugged_in"): False,
        ("em:0/a", "power"): 101.0,
        ("em:0/a", "power_factor"): 0.9,
        ("em:0/b", "power"): -3.5,
        ("em:0/c", "power"): 7.5,
        ("em:0", "power"): 105.0,
        ("em1:1", "power"): 501.8,
        ("em1:1", "apparent_power"): 612.4,
        ("em1:1", "voltage"): 234.9,
        ("em1:1", "power_factor"): 0.84,
        ("em1:1", "frequency"): 50.0,
        ("em1data:1", "energy"): 1.2345,
        ("em1data:1", "energy_returned"): 0.0025,
        ("emdata:0/a", "energy"): 1.0,
        ("emdata:0", "energy"): 3.0,
        ("emdata:0", "energy_returned"): 0.012,
        ("flood:0", "water_leak"): True,
        ("humidity:0", "humidity"): 57.6,
        ("illuminance:0", "illuminance"): 321.0,
        ("input:2", "switch"): True,
        ("light:0", "switch"): False,
        ("light:0", "brightness"): 75.0,
        ("pm1:0", "power"): 3.5,
        ("pm1:0", "apparent_power"): 8.5,
        ("pm1:0", "voltage"): 230.5,
        ("pm1:0", "current"): 0.5,
        ("pm1:0", "energy"): 0.077,
        ("smoke:0", "smoke"): False,
        ("switch:0", "switch"): True,
        ("switch:0", "power"): 3.8,
        ("switch:0", "energy"): 26.06425,
        ("switch:0", "energy_returned"): 0.0015,
        ("temperature:100", "temperature"): 19.5,
        ("thermostat:0", "target_temperature"): 21.0,
        ("thermostat:0", "temperature"): 20.1,
        ("thermostat:0", "switch"): False,
        ("voltmeter:100", "voltage"): 4.25,
        ("wifi", "signal_strength"): -60.0,
    }


@given(st.sets(st.sampled_from(LEAVES)))
def test_a_partial_overlay_reads_what_is_there_and_nothing_else(kept: set[tuple[str, str]]) -> None:
    """What a field says does not depend on the others, and a field that is absent says nothing."""
    alone: set[Observation] = set()
    for leaf in kept:
        alone |= readings(overlay({leaf}))
    assert readings(overlay(kept)) == alone


@given(st.sampled_from([name for name in WHOLE if ":" in name and name != "script:1"]), st.data())
def test_a_status_on_a_topic_of_its_own_says_the_same(component: str, data: st.DataObject) -> None:
    fields = data.draw(st.sets(st.sampled_from([field for name, field in LEAVES if name == component])))
    payload = {field: WHOLE[component][field] for field in fields}
    found = read(f"shellypro-a0b1/status/{component}", json.dumps(payload).encode(), NOW)
    assert not found.quarantine
    assert set(found.observations) == readings({component: payload})


def test_a_component_that_nobody_knows_is_kept_for_teaching_beside_the_others() -> None:
    found = read(RPC, frame({"humidity:0": {"rh": 50}, "number:200": {"value": 3}}), NOW)
    assert [one.kind for one in found.observations] == ["humidity"]
    assert found.quarantine


def events(*found: dict[str, Any]) -> bytes:
    return frame({"events": list(found)}, "NotifyEvent")


def test_every_push_is_an_event_at_its_own_time() -> None:
    pushes = ("btn_down", "btn_up", "single_push", "double_push", "triple_push", "long_push")
    payload = events(*({"component": "input:1", "id": 1, "event": push, "ts": NOW / 1000} for push in pushes))
    found = read(RPC, payload, NOW + 5)
    assert [(one.channel, one.kind, one.value, one.time) for one in found.observations] == [
        ("shellypro-a0b1/input:1", "button", push, NOW) for push in pushes
    ]
    assert not found.quarantine


@pytest.mark.parametrize(
    ("event", "kept"), [("config_changed", False), ("ota_progress", False), ("opened", True)]
)
def test_news_of_the_device_itself_are_passed_over(event: str, kept: bool) -> None:
    found = read(RPC, events({"component": "sys", "event": event, "ts": 1.0, "msg": "x"}), NOW)
    assert (found.observations, found.quarantine) == ((), kept)


def _said(*messages: tuple[str, str]) -> Iterator[Observation]:
    notebook = Notebook()
    for topic, payload in messages:
        found = read("shellies/shellyht-1/" + topic, payload.encode(), NOW, notebook)
        for lesson in found.lessons:
            notebook.learn(lesson)
        yield from found.observations


def test_a_thermometer_set_to_fahrenheit_is_read_so() -> None:
    """The topic says 68; only /info tells of what."""
    info = '{"tmp":{"value":68.0,"units":"F","tC":20.0,"tF":68.0,"is_valid":true}}'
    assert [one.value for one in _said(("sensor/temperature", "20"))] == [20.0]
    assert [one.value for one in _said(("info", info), ("sensor/temperature", "68"))] == [20.0]
    back = info.replace('"F"', '"C"')
    assert [one.value for one in _said(("info", info), ("info", back), ("sensor/temperature", "20"))] == [
        20.0
    ]
