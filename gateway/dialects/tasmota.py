"""Tasmota (https://tasmota.github.io/docs/MQTT/): tele/<topic>/SENSOR and its siblings.

The channel is <topic>/<block>: tasmota/DS18B20, plug/ENERGY.  Where the device writes a unit
("TempUnit") it is used; its "Time" has no zone, and is read in the one of the settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.dialects import clock
from gateway.dialects.decode import decode, word
from gateway.dialects.draft import Draft, child, names
from gateway.dialects.reading import DialectSettings, Reading, zone

# block field -> kind.  Tasmota's names, not aliases: "Power" and "Total" mean this only here.
ENERGY: Mapping[str, str] = {
    "ApparentPower": "apparent_power",
    "Current": "current",
    "Factor": "power_factor",
    "Frequency": "frequency",
    "Power": "power",
    "ReactivePower": "reactive_power",
    "Total": "energy",
    "Voltage": "voltage",
}

# Derived from the other fields, or about the sensor itself.
IGNORED_IN_BLOCK = names("Address DewPoint HeatIndex Id Period SeaPressure Today TotalStartTime Yesterday")

# How the device is doing and what it is set to.
IGNORED_IN_STATE = names(
    "Berry BootCount CT Channel Color Epoch Fade HSBColor Heap Hostname IPAddress LedTable LoadAvg"
    " MqttCount Restarts Scheme Sleep SleepMode Speed Time Uptime UptimeSec Vcc White Width"
)
IGNORED_IN_WIFI = names("AP APMac BSSId Channel Downtime LinkCount Mode RSSI SSId")  # RSSI here is in %

PHASES_MAX = 4  # three and the neutral
TIMES = ("Epoch", "Time")  # the first needs no zone
_UNIT_FIELDS = {"TempUnit": "temperature", "PressureUnit": "pressure", "SpeedUnit": "speed"}
_POWER = re.compile(r"POWER\d*")
_SWITCH = re.compile(r"Switch\d+")


def read(topic: str, payload: bytes, arrival: int, settings: DialectSettings) -> Reading:
    """Read one telemetry or status message."""
    draft = Draft("tasmota", arrival)
    device, what = split(topic)
    document = decode(payload)
    if what == "LWT" or _POWER.fullmatch(what):
        said = word(payload)  # Online; ON
        if said is None:
            return draft.refuse()
        kind = "connectivity" if what == "LWT" else "switch"
        draft.add(device if what == "LWT" else child(device, what), draft.kinds.kind(kind), said)
        return draft.finish()
    if what.startswith("INFO") or topic.startswith("tasmota/discovery/"):
        return draft.finish() if isinstance(document, dict) else draft.refuse()  # tells of the software
    if not isinstance(document, dict):
        return draft.refuse()
    for name in TIMES:
        if name in document:
            draft.at(clock.from_json(document[name], zone(settings.timezone)))
            break
    match what:
        case "SENSOR":
            _sensor(draft, device, document)
        case "STATE":
            _state(draft, device, document, switched=True)
        case "RESULT":
            _state(draft, device, document, switched=False)
        case _:
            return draft.refuse()
    return draft.finish()


def split(topic: str) -> tuple[str, str]:
    """The device's own topic and the last level, wherever in the topic the prefix stands."""
    *levels, what = topic.split("/")
    for prefix in ("tele", "stat"):
        if prefix in levels:
            levels.remove(prefix)
            break
    return "/".join(levels), what


def _sensor(draft: Draft, device: str, document: Mapping[str, Any]) -> None:
    units = {
        kind: document[name] for name, kind in _UNIT_FIELDS.items() if isinstance(document.get(name), str)
    }
    for name, value in document.items():
        if _SWITCH.fullmatch(name):
            draft.add(child(device, name), draft.kinds.kind("switch"), value)
        elif isinstance(value, dict):
            _block(draft, child(device, name), value, name, units)
        elif name not in _UNIT_FIELDS and name not in TIMES:
            draft.quarantine = True


def _block(
    draft: Draft, channel: str, fields: Mapping[str, Any], block: str, units: Mapping[str, str]
) -> None:
    own = ENERGY if block == "ENERGY" else {}
    for name, value in fields.items():
        if name in IGNORED_IN_BLOCK:
            continue
        kind = draft.kinds.kind(own[name]) if name in own else draft.kinds.find(name)
        if isinstance(value, dict) and block:  # of a meter's chip: {"BL09XX": {"Temperature": 46.5}}
            _block(draft, child(channel, name), value, "", units)
        elif kind is None:
            draft.quarantine = True
        elif isinstance(value, list) and len(value) <= PHASES_MAX:  # one value a phase
            for phase, part in enumerate(value, 1):
                draft.add(child(channel, str(phase)), kind, part, units.get(kind.name))
        else:
            draft.add(channel, kind, value, units.get(kind.name))


def _state(draft: Draft, device: str, document: Mapping[str, Any], *, switched: bool) -> None:
    """STATE, and RESULT, whose POWER comes again on stat/<topic>/POWER and would count twice."""
    for name, value in document.items():
        if _POWER.fullmatch(name):
            if switched:
                draft.add(child(device, name), draft.kinds.kind("switch"), value)
        elif name == "Dimmer":
            draft.add(child(device, name), draft.kinds.kind("brightness"), value, "%")
        elif name == "Wifi" and isinstance(value, dict):
            if "Signal" in value:
                draft.add(child(device, name), draft.kinds.kind("signal_strength"), value["Signal"], "dBm")
            draft.quarantine = draft.quarantine or not value.keys() <= IGNORED_IN_WIFI | {"Signal"}
        elif name not in IGNORED_IN_STATE:
            draft.quarantine = True
