"""No input makes a dialect raise, and what comes out is fit for the vault."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import DialectSettings, Notebook, read
from gateway.dialects.reading import NAMES
from policies.kinds import catalogue
from tests.test_gateway_dialects import DEVICES, TOPICS
from vault.observation import Place

FIELDS = """
    _type lat lon acc tst batt vel n bn bt bu bv bs bver u v vs vb vd s t time ts unit value event state
    contact temperature Temperature power battery voltage action ENERGY Power Time Epoch TempUnit Wifi
    Signal POWER availability location steps
"""
field_names = st.sampled_from(FIELDS.split()) | st.text(max_size=6)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["ON", "online", "open", "21.5", "2026-01-01T00:00:00", "°F", "", "location", "Cel", -1]
    )
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(field_names, inner, max_size=6),
    max_leaves=12,
)
topics = (
    st.sampled_from(
        sorted({*TOPICS.values(), "zigbee2mqtt/bridge/state", "tele/x/STATE", "stat/x/POWER", "t/lwt"})
    )
    | st.sampled_from(sorted({case["topic"] for case in DEVICES}))
    | st.text(max_size=20)
)
senml_packs = st.lists(st.dictionaries(field_names, json_values, max_size=5), max_size=4)
arrivals = st.integers(min_value=0, max_value=4_000_000_000_000)
any_settings = st.builds(
    DialectSettings,
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "America/St_Johns"]),
    dialect=st.just("") | st.sampled_from(NAMES),
)


def check(topic: str, payload: bytes, arrival: int, chosen: DialectSettings) -> None:
    """Read, and hold what comes out to what the vault and the brands rely on."""
    found = read(topic, payload, arrival, Notebook(chosen))
    assert found.dropped >= 0
    for observation in found.observations:
        kind = catalogue().kind(observation.kind)
        assert len(observation.channel.encode()) <= 255
        assert arrival - 400 * 86_400_000 <= observation.time <= arrival + 300_000
        assert observation.claimed is None or observation.time == arrival
        assert observation.claimed is None or abs(observation.claimed) < 2**53
        match observation.value:
            case bool():
                assert kind.type == "boolean"
            case float() as number:
                assert kind.type == "number"
                assert math.isfinite(number)
                assert kind.plausible(number)
            case str() as text:
                assert kind.type in ("event", "text")
                assert "\0" not in text
                assert 0 < len(text.encode()) <= 4096
            case Place() as place:
                assert kind.type == "place"
                assert abs(place.lat) <= 90
                assert abs(place.lon) <= 180
            case other:
                raise AssertionError(f"a value of {type(other)}")
    msgspec.json.encode(found)


@given(topics, st.binary(max_size=200), arrivals, any_settings)
def test_any_bytes_are_read_without_an_exception(
    topic: str, payload: bytes, arrival: int, chosen: DialectSettings
) -> None:
    check(topic, payload, arrival, chosen)


@settings(max_examples=400)
@given(topics, json_values | senml_packs, arrivals, any_settings)
def test_any_json_is_read_without_an_exception(
    topic: str, document: Any, arrival: int, chosen: DialectSettings
) -> None:
    check(topic, json.dumps(document).encode(), arrival, chosen)


OBJECTS = [case for case in DEVICES if case["payload"].startswith("{")]


@st.composite
def device_payloads(draw: st.DrawFn) -> tuple[str, bytes, int]:
    """What a device sends, with fields added, replaced or filled with something else."""
    case = draw(st.sampled_from(OBJECTS))
    document = json.loads(case["payload"])
    inner = [value for value in document.values() if isinstance(value, dict)]
    place = draw(st.sampled_from([document, *inner]))
    place.update(draw(st.dictionaries(field_names | st.sampled_from(sorted(place)), json_values, max_size=3)))
    arrival = draw(st.just(case["arrival"]) | arrivals)
    return case["topic"], json.dumps(document).encode(), arrival


@settings(max_examples=400)
@given(device_payloads(), any_settings)
def test_a_device_s_payload_with_other_fields_is_read_without_an_exception(
    sent: tuple[str, bytes, int], chosen: DialectSettings
) -> None:
    check(*sent, chosen)


@st.composite
def sound_packs(draw: st.DrawFn) -> bytes:
    """SenML whose records have the right types, and any values."""
    number = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
    record = st.fixed_dictionaries(
        {"n": st.sampled_from(["temperature", "x:power", "hall:contact", "d", "lat", ""])},
        optional={
            "bn": st.sampled_from(["urn:dev:1:", "", "home/"]),
            "u": st.sampled_from(["Cel", "W", "lat", "lon", "%EL", "kat", "degF"]),
            **dict.fromkeys(("bt", "t", "bv", "s", "bs"), number),
        },
    )
    value = st.fixed_dictionaries({"v": number}) | st.fixed_dictionaries({"vb": st.booleans()})
    records = draw(st.lists(st.tuples(record, value), min_size=1, max_size=4))
    return json.dumps([{**fields, **measured} for fields, measured in records]).encode()


@settings(max_examples=400)
@given(sound_packs(), arrivals)
def test_any_sound_senml_is_read_without_an_exception(pack: bytes, arrival: int) -> None:
    check("any/topic", pack, arrival, DialectSettings())


@settings(max_examples=400)
@given(st.sampled_from(DEVICES), st.data())
def test_a_device_s_payload_with_bytes_changed_is_read_without_an_exception(
    case: dict[str, Any], data: st.DataObject
) -> None:
    payload = bytearray(case["payload"].encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(payload)))
        end = data.draw(st.integers(at, min(len(payload), at + 3)))
        payload[at:end] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"-", b"9" * 20, b'"', b"{", b"null"])
        )
    check(case["topic"], bytes(payload), case["arrival"], DialectSettings(timezone=case["timezone"]))
