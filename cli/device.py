"""``device list|show|remove``, and the group that holds all that is done with devices."""

from __future__ import annotations

from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click

from cli import options, pair, release, settings, teach
from cli.ask import confirm
from cli.known import find
from cli.passphrase import PassphraseSource
from cli.render import WIDTH, ago, columns, count, emit, escape, moment, table
from cli.session import now_ms, suggest, unlocked, with_vault
from cli.text import quoted
from cli.times import rfc3339
from gateway.client import device as devices
from gateway.client.chosen import series_of
from gateway.client.device import Device
from gateway.client.read import Archive, Reading
from gateway.client.recipients import Series
from gateway.client.session import Session
from vault.bucket import DAY_MS
from vault.segment import QUARANTINE

if TYPE_CHECKING:
    from gateway.dialects import DialectSettings

LOOK_BACK_DAYS = 31  # how far channels and payloads are looked for
SAMPLES = 5  # payloads that were not understood
FIRST_BYTES = 60  # of each

# What a device's row counts besides readings, and what a person calls it.
COUNTS = {
    "dropped": ("value", "no such device can have measured"),
    "duplicates": ("reading", "sent again, and kept once"),
    "gaps": ("message", "it numbered, and we never had"),
    "foreign": ("reading", "of sensors that are not yours; not kept"),
    "blobs": ("file", "kept as sent: see `hypertouch data files`"),
}


class Sample(NamedTuple):
    """A payload that was not understood; ``time`` is in ms."""

    time: int
    topic: str
    payload: bytes


@click.group("device")
def device() -> None:
    """Connect the devices and apps that publish into your vault."""


for command in (pair.add, settings.set_, pair.rotate, pair.authority):
    device.add_command(command)
for command in (teach.teach, release.pause, release.resume, release.release, release.check_release):
    device.add_command(command)


@device.command("list")
@with_vault
def list_(passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """List devices: when each was last seen, how much it sent, and its channels."""
    with unlocked(home, passphrase) as session:
        found = devices.fetch(session).live
        seen = _series(session)
    rows = [_row(one, seen) for one in found]
    now = now_ms()
    text = table(
        ["NAME", "ID", "LAST SEEN", "READINGS", "CHANNELS"],
        [
            (
                one.name,
                one.id.short,
                _seen(one, now),
                f"{one.row.readings:,}",
                ", ".join(row["channels"]),
            )
            for one, row in zip(found, rows, strict=True)
        ],
        right=("READINGS",),
    )
    emit(rows, as_json, text if rows else "no devices yet")
    if not rows:
        suggest(as_json, ("device add NAME", "connect one"))


@device.command("show")
@click.argument("name")
@with_vault
def show(name: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Show one device, and what of it was not understood."""
    with unlocked(home, passphrase) as session:
        one = find(devices.fetch(session), name)
        seen = _series(session)
        kept = _quarantine(session, one)
        set_ = devices.settings_of(session, one)
        lessons = devices.lessons_of(session, one)
    kinds = Counter((series.channel, series.kind) for series in seen if series.device == one.id)
    counts = {name: getattr(one.row, name) for name in COUNTS}
    row = _row(one, seen) | {
        "kinds": sorted({kind for _, kind in kinds}),
        "quarantine": {
            "count": one.row.quarantined,
            "samples": [
                {"time": rfc3339(it.time), "topic": it.topic, "payload": _bytes(it.payload)} for it in kept
            ],
        },
        **counts,
        "declared": len(lessons),
        "timezone": set_.timezone,
        "dialect": set_.dialect,
        "own": list(set_.own),
        "taught": len(set_.taught),
    }
    now = now_ms()
    lines = [
        f"{escape(one.name)}  {one.id.text}",
        f"  added      {ago(one.row.created, now)}",
        f"  last seen  {_seen(one, now)}",
        f"  sent       {count(one.row.readings, 'reading')}",
    ]
    lines += [
        f"  reports    {escape(channel) or 'itself'}: {escape(kind)}" for channel, kind in sorted(kinds)
    ]
    if lessons:
        lines.append(f"  declared   {count(len(lessons), 'description')} of what it sends")
    if set_.own:
        lines.append(f"  own        {escape(', '.join(set_.own))}")
    lines += [
        f"  {name:<10} {count(n, noun)} {why}" for name, (noun, why) in COUNTS.items() if (n := counts[name])
    ]
    if one.row.quarantined:
        lines.append(f"  kept whole {count(one.row.quarantined, 'payload')} not understood, the latest:")
        lines += [line for sample in kept for line in _sample_lines(sample)]
    emit(row, as_json, "\n".join(lines))
    suggest(as_json, *_steps(one, set_, kept))


@device.command("remove")
@click.argument("name")
@options.yes
@with_vault
def remove(name: str, yes: bool, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """End a device's credential and cut its connection; what it sent stays yours."""
    with unlocked(home, passphrase) as session:
        one = find(devices.fetch(session), name)
        confirm(f"Cut {escape(one.name)} off?", yes=yes)
        devices.remove(session, one)
    emit({"device": one.id.text, "name": one.name}, as_json, f"{escape(one.name)} can send nothing more")
    suggest(as_json, ("device list", "see the others"))


def _seen(one: Device, now: int) -> str:
    """When it last sent something, and whether it may."""
    when = "never" if one.row.last_seen is None else ago(one.row.last_seen, now)
    return when if one.row.paused is None else f"{when}, paused"


def _row(one: Device, seen: set[Series]) -> dict[str, Any]:
    return {
        "device": one.id.text,
        "name": one.name,
        "created": rfc3339(one.row.created),
        "last_seen": None if one.row.last_seen is None else rfc3339(one.row.last_seen),
        "readings": one.row.readings,
        "quarantined": one.row.quarantined,
        "paused": one.row.paused is not None,
        "channels": sorted({series.channel for series in seen if series.device == one.id} - {""}),
    }


def _series(session: Session) -> set[Series]:
    today = session.clock() // DAY_MS
    return series_of(Archive(session).segments(today - LOOK_BACK_DAYS, today + 1))


def _quarantine(session: Session, one: Device) -> list[Sample]:
    """The latest payloads that were not understood."""
    if not one.row.quarantined:
        return []
    now = session.clock()
    kept = Archive(session).readings(
        now - LOOK_BACK_DAYS * DAY_MS,
        now + DAY_MS,
        lambda lane: lane.device == one.id and lane.kind == QUARANTINE,
    )
    return [_sample(reading) for reading in deque(kept, maxlen=SAMPLES)]


def _sample(reading: Reading) -> Sample:
    """A payload kept whole is its topic, a zero byte, and what came."""
    value = reading.observation.value
    topic, _, payload = (value if isinstance(value, bytes) else b"").partition(b"\0")
    return Sample(reading.observation.time, topic.decode("utf-8", "backslashreplace"), payload)


def _sample_lines(sample: Sample) -> list[str]:
    """When, where and what: in one line where it fits."""
    head, payload = f"    {moment(sample.time)}  {escape(sample.topic)}", _bytes(sample.payload)
    return [f"{head}  {payload}"] if columns(head + payload) + 2 <= WIDTH else [head, f"      {payload}"]


def _steps(one: Device, set_: DialectSettings, kept: list[Sample]) -> list[tuple[str, str]]:
    """What makes readings of them: a key, whose sensors they are, or a lesson."""
    from gateway.dialects import read

    name = quoted(one.name)
    dialects = {(read(it.topic, it.payload, it.time).dialect, b'"encrypted"' in it.payload) for it in kept}
    steps = []
    if ("owntracks", True) in dialects and not set_.secret:
        steps.append((f"device set {name} --secret-file FILE", "give the key that it encrypts with"))
    if ("theengs", False) in dialects and not set_.own:
        steps.append((f"device set {name} --own MAC", "say which sensors are yours"))
    return [*steps, (f"device teach {name}", "say what these mean")] if kept else []


def _bytes(payload: bytes) -> str:
    """The first bytes as text where they are text, all that could act on a terminal escaped."""
    text = payload[:FIRST_BYTES].decode("utf-8", "backslashreplace")
    return escape(text) + (" ..." if len(payload) > FIRST_BYTES else "")
