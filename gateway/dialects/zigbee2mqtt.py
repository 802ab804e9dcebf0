"""Zigbee2MQTT (https://www.zigbee2mqtt.io/guide/usage/mqtt_topics_and_messages.html).

A device publishes on zigbee2mqtt/<friendly name>, the name with spaces and slashes as its owner chose
it.  Field names are the vocabulary's aliases; what a device is set to, and what the bridge tells about
itself and its network, are not readings and are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.dialects.decode import decode, word
from gateway.dialects.draft import Draft, child, names
from gateway.dialects.reading import DialectSettings, Reading
from policies.kinds import Kind

BASE = "zigbee2mqtt/"

# The bridge's own topics that tell of the network and the software, not of a home.
HOUSEKEEPING = names("config converters definitions devices event extensions groups health info log logging")

# Names that mean this only here.
OWN: Mapping[str, str] = {"action": "button", "click": "button"}

# Settings, means of identification and internals in a device's own payload.
IGNORED = names(
    "battery_state child_lock color color_mode color_options color_temp color_temp_startup device"
    " device_temperature effect elapsed indicator_mode keep_time last_seen led_disabled_night"
    " led_indication level_config motion_sensitivity occupancy_timeout operation_mode"
    " power_on_behavior power_outage_count power_outage_memory sensitivity transition trigger_count"
    " update update_available update_progress"
)

_COMMAND = re.compile(r"(?:^|/)(?:set|get)(?:/|$)")
_ENDPOINT = re.compile(r"(.+)_(l\d|left|right|center|top|bottom)")  # state_l1 of a device with two relays
_MAINS_MAX = 1000  # volts; nothing on Zigbee is fed with more, and no battery gives less in millivolts
_BRIGHTEST = "/254"  # brightness is 0..254


def read(topic: str, payload: bytes, arrival: int, _settings: DialectSettings) -> Reading:
    """Read a device's state, its availability or one attribute; the channel is the friendly name."""
    draft = Draft("zigbee2mqtt", arrival)
    name = topic.removeprefix(BASE)
    document = decode(payload)
    said = word(payload) if document is None else document
    if name.startswith("bridge/") and name != "bridge/state":
        return draft.finish() if name.removeprefix("bridge/") in HOUSEKEEPING else draft.refuse()
    if said is None or _COMMAND.search(name):
        return draft.refuse()  # a command to the bridge is no news from a device
    device, _, last = name.rpartition("/")
    if name == "bridge/state" or (last == "availability" and device):
        state = said.get("state") if isinstance(said, dict) and len(said) == 1 else said
        draft.add(device, draft.kinds.kind("connectivity"), state)
    elif isinstance(said, dict):
        for field, value in said.items():
            if not (field == "illuminance" and "illuminance_lux" in said):  # then it is logarithmic
                _field(draft, name, field, value)
    elif device:
        _field(draft, device, last, said)  # "output: attribute" gives every field a topic of its own
    else:
        return draft.refuse()
    return draft.finish()


def _field(draft: Draft, channel: str, name: str, value: Any) -> None:
    if name in IGNORED:
        return
    kind = _kind(draft, name)
    if kind is None and (endpoint := _ENDPOINT.fullmatch(name)):
        kind, channel, name = _kind(draft, endpoint[1]), child(channel, endpoint[2]), endpoint[1]
    if kind is None:
        draft.quarantine = True
    else:
        draft.add(channel, kind, value, _unit(kind, value), inverse=kind.inverts(name))


def _kind(draft: Draft, name: str) -> Kind | None:
    return draft.kinds.kind(OWN[name]) if name in OWN else draft.kinds.find(name)


def _unit(kind: Kind, value: Any) -> str | None:
    """The unit a field is in, where that is not the vocabulary's."""
    match kind.name:
        case "voltage":  # of a battery in mV, of the mains in V
            large = isinstance(value, int | float) and abs(value) >= _MAINS_MAX
            return "mV" if large else "V"
        case "brightness":
            return _BRIGHTEST
        case _:
            return None
