"""The bridges of the server on this computer: their files, and how they fare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cli.errors import NotFoundError, UnreachableError
from cli.node import call
from cli.render import count
from cli.times import rfc3339
from gateway import wire
from gateway.bridge import config
from gateway.bridge.config import BridgeConfig
from gateway.errors import BridgeConfigError
from vault.store.paths import DataDir

HINT = "see: hypertouch bridge list"
NO_SERVER = "the server is not running"


def find(data: DataDir, name: str) -> BridgeConfig:
    """A bridge by its name; raises NotFoundError, BridgeConfigError."""
    if name not in (path.stem for path in config.files(data)):
        raise NotFoundError("there is no such bridge", HINT)
    return config.load(config.path_of(data, name))


def names(data: DataDir) -> list[str]:
    """Of the bridges that there are."""
    return [path.stem for path in config.files(data)]


def fares(data: DataDir) -> dict[str, list[wire.BridgeState]] | None:
    """How each bridge fares that runs now; None: no server answers here."""
    try:
        states = call(wire.GetBridges(), wire.BridgeStates, data).states
    except UnreachableError:
        return None
    found: dict[str, list[wire.BridgeState]] = {}
    for state in states:
        found.setdefault(state.bridge, []).append(state)
    return found


def summary(data: DataDir, name: str, fare: dict[str, list[wire.BridgeState]] | None) -> dict[str, Any]:
    """One bridge as ``bridge list`` tells it to programs; what it connects to where its file can be read."""
    states = (fare or {}).get(name, [])
    answer: dict[str, Any] = {"bridge": name, "broker": "", "devices": [], "workers": 0}
    try:
        found = config.load(config.path_of(data, name))
    except BridgeConfigError as error:
        problem = str(error)
    else:
        answer |= {
            "broker": found.broker.url,
            "devices": sorted(found.devices),
            "workers": found.workers,
        }
        problem = _problem(found, states, running=fare is not None)
    last = [state.last for state in states if state.last is not None]
    return answer | {
        "connected": not problem,
        "problem": problem,
        "last": rfc3339(max(last)) if last else None,
        **{
            count: sum(getattr(state, count) for state in states)
            for count in ("stored", "waiting", "retained", "refused", "dropped", "forgotten")
        },
    }


def sentence(row: dict[str, Any]) -> str:
    """One bridge in a line."""
    waiting = f", {count(row['waiting'], 'message')} waiting" if row["waiting"] else ""
    dropped = f", {row['dropped']:,} dropped" if row["dropped"] else ""
    return f"{row['bridge']}: {row['problem'] or 'connected'}{waiting}{dropped}"


def _problem(found: BridgeConfig, states: Iterable[wire.BridgeState], *, running: bool) -> str:
    """What keeps some of it from its work; empty: nothing."""
    states = list(states)
    if not running:
        return NO_SERVER
    for state in states:
        if state.problem or not state.connected:
            return state.problem or "connecting"
    return "" if len(states) == found.workers * len(found.devices) else "starting"
