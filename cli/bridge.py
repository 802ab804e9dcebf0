"""``bridge add|list|show|test|remove``: what an existing broker holds goes into the vault, too."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import rich_click as click

from cli import bridging, options
from cli.ask import confirm, require_terminal, say
from cli.bridge_add import add
from cli.bridging import HINT
from cli.render import ago, count, emit, escape, table
from cli.session import now_ms, suggest
from cli.text import quoted
from cli.times import rfc3339, span
from gateway import wire
from gateway.bridge import config
from gateway.bridge.config import BridgeConfig
from gateway.bridge.filters import disjoint
from gateway.errors import BridgeConfigError, BrokerError
from vault.store.paths import DataDir

GONE_S = 10.0  # for a server to end a bridge whose file is gone
SHOWN = 40  # topics


@click.group("bridge")
def bridge() -> None:
    """Store what a broker you already have receives.

    The server reads what you map and stores it. It forwards nothing: your other programs keep the broker.
    """


bridge.add_command(add)


@bridge.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """List the bridges of this server and how they fare."""
    data = DataDir.default()
    fare = bridging.fares(data)
    rows = [bridging.summary(data, name, fare) for name in bridging.names(data)]
    now = now_ms()
    text = table(
        ["NAME", "BROKER", "DEVICES", "LAST", "STORED", "STATE"],
        [
            (
                row["bridge"],
                row["broker"],
                ", ".join(row["devices"]),
                _ago(fare, row["bridge"], now),
                f"{row['stored']:,}",
                ", ".join((row["problem"] or "connected", *_counted(row))),
            )
            for row in rows
        ],
        right=("STORED",),
    )
    emit(rows, as_json, text if rows else "no bridges yet")
    if not rows:
        suggest(as_json, ("bridge add NAME --broker URL --map FILTER=DEVICE", "connect a broker"))


@bridge.command("show")
@click.argument("name")
@options.as_json
def show(name: str, as_json: bool) -> None:
    """Show what a bridge brings, and how each of its sessions fares."""
    data = DataDir.default()
    found = bridging.find(data, name)
    fare = bridging.fares(data)
    states = (fare or {}).get(name, [])
    row = bridging.summary(data, name, fare) | {
        "username": found.username,
        "own_authority": bool(found.ca_pem),
        "client_id": found.client_id,
        "map": [{"filter": one.filter, "device": one.device} for one in found.mappings],
        "subscribed": {device: disjoint(found.filters(device)) for device in found.devices},
        "sessions": [_session(found, state) for state in states],
        "file": str(config.path_of(data, name)),
    }
    lines = [
        f"{escape(name)}  {escape(found.broker.url)}",
        f"  state      {escape(row['problem'] or 'connected')}",
        f"  user       {escape(found.username) or 'none'}",
        f"  file       {escape(row['file'])}",
    ]
    lines += [f"  brings     {escape(one.filter)} to {escape(one.device)}" for one in found.mappings]
    for device, filters in row["subscribed"].items():
        wider = [one for one in filters if one not in found.filters(device)]
        lines += [f"             subscribes to {escape(one)}, for its filters overlap" for one in wider]
    for state in states:
        lines += _lines(state, found)
    emit(row, as_json, "\n".join(lines))
    if fare is None:
        suggest(as_json, ("up", "start the server"))


@bridge.command("test")
@click.argument("name")
@click.option("--for", "lasting", default="10s", show_default=True, metavar="TIME", help="How long to look.")
@options.as_json
def test(name: str, lasting: str, as_json: bool) -> None:
    """Connect to the broker for a while and show which topics arrive; nothing is stored."""
    found = bridging.find(DataDir.default(), name)
    seconds = span(lasting)
    if not as_json:
        say(f"looking at {escape(found.broker.url)} for {seconds} s; nothing is stored")
    from gateway.bridge.look import look

    seen = asyncio.run(look(found, seconds, os.urandom))
    answer = {
        "version": seen.version,
        "topics": [
            {"topic": one.topic, "device": one.device, "messages": one.messages, "retained": one.retained}
            for one in seen.topics
        ],
        "more": seen.more,
    }
    text = table(
        ["TOPIC", "DEVICE", "MESSAGES", "RETAINED"],
        [
            (one.topic, one.device, f"{one.messages:,}", "yes" if one.retained else "")
            for one in seen.topics[:SHOWN]
        ],
        right=("MESSAGES",),
    )
    if left := len(seen.topics) - SHOWN:
        text += f"\nand {count(left, 'topic')} more" if left > 0 else ""
    emit(answer, as_json, text if seen.topics else f"it lets us in (MQTT {seen.version}); nothing arrived")


@bridge.command("remove")
@click.argument("name")
@options.yes
@options.as_json
def remove(name: str, yes: bool, as_json: bool) -> None:
    """End a bridge, and what waits for it at the broker; its devices and all they sent stay."""
    if not yes:
        require_terminal("--yes")
    data = DataDir.default()
    if name not in bridging.names(data):
        bridging.find(data, name)
    try:
        found: BridgeConfig | None = config.load(config.path_of(data, name))
    except BridgeConfigError:
        found = None
    confirm(f"End the bridge {escape(name)}? What waits for it at the broker is dropped.", yes=yes)
    config.path_of(data, name).unlink()
    ended = _ended(data, name)
    forgot = found is not None and ended and _forgot(found)
    emit(
        {"bridge": name, "devices": sorted(found.devices) if found else [], "forgotten": forgot},
        as_json,
        f"{escape(name)} brings nothing more",
    )
    if not forgot and not as_json:
        say("the broker could not be told; it keeps the sessions until they expire")
    if found is not None:
        steps = [(f"device remove {quoted(one)}", "end the credential it had") for one in found.devices]
        suggest(as_json, *steps)


def _counted(row: dict[str, Any]) -> list[str]:
    """What is not stored, or not yet; `bridge show` says more."""
    return [f"{row[name]:,} {name}" for name in ("waiting", "refused", "dropped") if row[name]]


def _ended(data: DataDir, name: str) -> bool:
    """Wait until the server has ended it; False: it still runs."""
    deadline = time.monotonic() + GONE_S
    while (fare := bridging.fares(data)) is not None and name in fare:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _forgot(found: BridgeConfig) -> bool:
    from gateway.bridge.look import forget

    try:
        asyncio.run(forget(found))
    except BrokerError:
        return False
    return True


def _session(found: BridgeConfig, state: wire.BridgeState) -> dict[str, Any]:
    return {
        "device": state.device,
        "worker": state.worker,
        "client_id": found.session(state.device, state.worker) if state.device in found.devices else "",
        "connected": state.connected,
        "problem": state.problem,
        "version": state.version,
        "kept_seconds": state.expiry,
        "last": None if state.last is None else rfc3339(state.last),
        "stored": state.stored,
        "waiting": state.waiting,
        "retained": state.retained,
        "refused": state.refused,
        "dropped": state.dropped,
        "forgotten": state.forgotten,
    }


def _lines(state: wire.BridgeState, found: BridgeConfig) -> list[str]:
    worker = f", worker {state.worker}" if found.workers > 1 else ""
    how = f"connected, MQTT {state.version}" if state.connected else "not connected"
    lines = [
        f"  {escape(state.device)}{worker}: {how}",
        f"    stored   {count(state.stored, 'message')} since it started; {state.waiting:,} waiting",
    ]
    if state.problem:
        lines.append(f"    problem  {escape(state.problem)}")
    if state.retained:
        lines.append(f"    state    {count(state.retained, 'retained message')}, which are no new readings")
    if state.refused:
        lines.append(f"    refused  {count(state.refused, 'batch', 'batches')}, tried again")
    if state.dropped:
        lines.append(
            f"    dropped  {count(state.dropped, 'message')}: too large, or unconfirmed and too many"
        )
    if state.forgotten:
        times = count(state.forgotten, "time")
        lines.append(f"    lost     the broker had forgotten our session {times}, and what waited in it")
    return lines


def _ago(fare: dict[str, list[wire.BridgeState]] | None, name: str, now: int) -> str:
    last = [state.last for state in (fare or {}).get(name, []) if state.last is not None]
    return ago(max(last), now) if last else "never" if fare else ""


__all__ = ["HINT", "bridge"]
