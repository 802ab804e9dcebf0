"""Readings as a brand gets them: a SenML pack in JSON (RFC 8428), written by the door, read by the SDK.

A name is ``<device>/<channel>/<kind>``, or ``<device>/<kind>`` for readings of the device itself.  The
device is an opaque id of 26 characters; the base name carries it.  A channel's bytes outside
``A-Z a-z 0-9 - . : /`` are written ``_XX``, so that every name holds only the characters that RFC 8428
(section 4.5.1) allows.  What takes several records is written one after the other, at one time: a place as
``<kind>:latitude``, ``<kind>:longitude`` and, where known, ``<kind>:accuracy`` in metres; a bucket as
``<kind>:<resolution>:<part>``, its parts in the order of ``bucketparts.PARTS``, at its beginning.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from gateway.bucketparts import FIRST, MOST, put_together, take_apart
from policies.kinds import catalogue
from vault.bucket import SPANS
from vault.errors import FormatError
from vault.ids import TEXT_SIZE, DeviceId
from vault.observation import Aggregate, Observation, Place
from vault.segment import RAW

MEDIA_TYPE: Final = "application/senml+json"
LATITUDE, LONGITUDE, ACCURACY = "latitude", "longitude", "accuracy"

_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.:/")
_ESCAPE: Final = re.compile(r"_([0-9A-F]{2})?")
_ENCODER: Final = msgspec.json.Encoder()


class Outgoing(Protocol):
    """What a page of the store holds."""

    @property
    def device(self) -> DeviceId: ...

    @property
    def observation(self) -> Observation: ...

    @property
    def resolution(self) -> str: ...


class Reading(msgspec.Struct, frozen=True):
    """A reading as a brand has it; ``device`` is opaque, ``time`` milliseconds since the Unix epoch.

    At another resolution than ``raw`` it is a bucket, and ``time`` its beginning.  A bucket of the same
    series and time as one that came before takes its place.  What the person left out of it is None.
    """

    device: str
    channel: str
    kind: str
    time: int
    value: float | bool | str | Place | Aggregate
    unit: str = ""
    resolution: str = RAW


class _Record(msgspec.Struct, omit_defaults=True, gc=False):
    n: str
    bn: str = ""
    u: str = ""
    v: float | msgspec.UnsetType = msgspec.UNSET
    vs: str | msgspec.UnsetType = msgspec.UNSET
    vb: bool | msgspec.UnsetType = msgspec.UNSET
    t: float = 0


_DECODER: Final = msgspec.json.Decoder(list[_Record])


def encode(readings: Iterable[Outgoing]) -> bytes:
    """Write a pack, in the order given; times are seconds with up to three decimals.

    A number that JSON has no word for (NaN, an infinity) goes out as text.

    Raises:
        FormatError: a payload of the quarantine, which no grant can hold; a bucket that says it is none.
    """
    records: list[_Record] = []
    names: dict[tuple[str, str], tuple[str, str]] = {}
    current: bytes = b""
    for reading in readings:
        observation = reading.observation
        key = (observation.channel, observation.kind)
        found = names.get(key)
        if found is None:
            found = names[key] = (_name(*key), _units().get(observation.kind, ""))
        first = len(records)
        value = observation.value
        if isinstance(value, Aggregate):
            _append_bucket(records, f"{found[0]}:{reading.resolution}", found[1], observation.time, value)
        elif reading.resolution == RAW:
            _append(records, found[0], found[1], observation)
        else:
            raise FormatError("a reading is no bucket")
        if reading.device != current:
            current = reading.device
            records[first].bn = f"{reading.device.text}/"
    return _ENCODER.encode(records)


def decode(data: bytes) -> list[Reading]:
    """Inverse of ``encode``.

    Raises:
        FormatError: not a pack as ``encode`` writes it.
    """
    try:
        records = _DECODER.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        raise FormatError("not a SenML pack") from None
    readings: list[Reading] = []
    base, place = "", 0
    while place < len(records):
        record = records[place]
        base = record.bn or base
        device, channel, kind, resolution, part = _split(base + record.n)
        time = round(record.t * 1000)
        if resolution != RAW:
            taken = _bucket(records[place : place + MOST], record.n.removesuffix(part))
            bucket, size = put_together([(name, _value(one)) for name, one in taken])
            unit = next((one.u for name, one in taken if name == "sum"), "")
            readings.append(Reading(device, channel, kind, time, bucket, unit, resolution))
            place += size
        elif part:
            value, size = _place(records[place : place + 3], record.n.removesuffix(part))
            readings.append(Reading(device, channel, kind, time, value))
            place += size
        else:
            readings.append(Reading(device, channel, kind, time, _value(record), record.u))
            place += 1
    return readings


def escape(channel: str) -> str:
    """Write a channel in the characters of a SenML name."""
    data = channel.encode()
    if all(byte in _SAFE for byte in data):
        return channel
    return "".join(chr(byte) if byte in _SAFE else f"_{byte:02X}" for byte in data)


def unescape(text: str) -> str:
    """Inverse of ``escape``; raises FormatError."""
    try:
        plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1").decode()
    except (TypeError, UnicodeError):
        raise FormatError("not a channel's name") from None
    if escape(plain) != text:
        raise FormatError("a channel's name is not in its canonical form")
    return plain


def _append(records: list[_Record], name: str, unit: str, observation: Observation) -> None:
    value, t = observation.value, _seconds(observation.time)
    match value:
        case bool():
            records.append(_Record(name, vb=value, t=t))
        case float() if math.isfinite(value):
            records.append(_Record(name, u=unit, v=value, t=t))
        case float():
            records.append(_Record(name, vs=str(value), t=t))
        case str():
            records.append(_Record(name, vs=value, t=t))
        case Place():
            records.append(_Record(f"{name}:{LATITUDE}", u="lat", v=value.lat, t=t))
            records.append(_Record(f"{name}:{LONGITUDE}", u="lon", v=value.lon, t=t))
            if value.accuracy is not None:
                records.append(_Record(f"{name}:{ACCURACY}", u="m", v=value.accuracy, t=t))
        case _:
            raise FormatError("a payload kept whole is not for brands")


def _append_bucket(records: list[_Record], stem: str, unit: str, time: int, bucket: Aggregate) -> None:
    if stem.endswith(f":{RAW}"):
        raise FormatError("a bucket is no reading")
    t = _seconds(time)
    for part, value, own in take_apart(bucket, unit):
        record = _Record(f"{stem}:{part}", u=own, t=t)
        if isinstance(value, str) or not math.isfinite(value):
            record.vs = str(value)
        else:
            record.v = value
        records.append(record)


def _seconds(time: int) -> float:
    return time / 1000 if time % 1000 else time // 1000


def _name(channel: str, kind: str) -> str:
    return f"{escape(channel)}/{kind}" if channel else kind


def _split(name: str) -> tuple[str, str, str, str, str]:
    """Device, channel, kind, resolution and part; the first and the last slash divide, a kind holds none."""
    device, slash, rest = name.partition("/")
    channel, _, last = rest.rpartition("/")
    kind, *more = last.split(":")
    if not slash or len(device) != TEXT_SIZE or not kind:
        raise FormatError("not a name of ours")
    match more:
        case []:
            return device, unescape(channel), kind, RAW, ""
        case [part] if part == LATITUDE:
            return device, unescape(channel), kind, RAW, part
        case [resolution, part] if resolution in SPANS and part in FIRST:
            return device, unescape(channel), kind, resolution, part
        case _:
            raise FormatError("not a name of ours")


def _bucket(records: list[_Record], stem: str) -> list[tuple[str, _Record]]:
    """The records at the front that are of one series and moment, with their parts."""
    found: list[tuple[str, _Record]] = []
    for record in records:
        part = record.n.removeprefix(stem)
        if record.n == part or record.t != records[0].t or (record.bn and found):
            break
        found.append((part, record))
    return found


def _place(records: list[_Record], stem: str) -> tuple[Place, int]:
    """The place at the front of ``records`` and how many of them it took."""
    found: dict[str, float] = {}
    for part, record in zip((LATITUDE, LONGITUDE, ACCURACY), records, strict=False):
        if record.n != stem + part or record.t != records[0].t or (record.bn and found):
            break
        if record.v is msgspec.UNSET:
            raise FormatError("a place without numbers")
        found[part] = record.v
    if LONGITUDE not in found:
        raise FormatError("a place without its longitude")
    return Place(found[LATITUDE], found[LONGITUDE], found.get(ACCURACY)), len(found)


def _value(record: _Record) -> float | bool | str:
    values = [value for value in (record.v, record.vs, record.vb) if value is not msgspec.UNSET]
    if len(values) != 1:
        raise FormatError("a record holds one value")
    return values[0]


@functools.cache
def _units() -> dict[str, str]:
    return {name: catalogue().kind(name).unit for name in catalogue().names()}
