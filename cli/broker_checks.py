"""What ``doctor`` looks at for the bridges of this computer's server, and at the brokers behind them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from cli import bridging
from cli.checks import Check
from cli.render import count, duration
from gateway import wire
from gateway.bridge import config, mosquitto
from gateway.bridge.config import BridgeConfig
from gateway.errors import BridgeConfigError, BrokerError
from vault.store.paths import DataDir

NAME: Final = "bridge"
KEPT_S: Final = 7 * 86_400  # that a broker should keep a session; we ask for more


def bridges(data: DataDir) -> Iterator[Check]:
    """Every check of every bridge there is."""
    names = bridging.names(data)
    fare = bridging.fares(data) if names else None
    for name in names:
        try:
            found = config.load(config.path_of(data, name))
        except BridgeConfigError as error:
            yield Check(NAME, "fail", f"{name}: {error}", error.hint)
            continue
        states = (fare or {}).get(name, [])
        yield from working(bridging.summary(data, name, fare))
        yield from kept(name, states)
        yield from encrypted(found)
        yield from closed(found)
        yield from settings(found, mosquitto.USUAL)


def working(row: dict[str, Any]) -> Iterator[Check]:
    """Whether it brings what it should, from its line of ``bridge list``."""
    name = row["bridge"]
    if row["problem"]:
        yield Check(NAME, "fail", f"{name}: {row['problem']}", f"see: hypertouch bridge show {name}")
    else:
        waiting = f"; {count(row['waiting'], 'message')} waiting" if row["waiting"] else ""
        yield Check(NAME, "ok", f"{name}: connected{waiting}")
    if row["dropped"]:
        what = f"{name}: {count(row['dropped'], 'message')} dropped: too large, or unconfirmed and too many"
        yield Check(NAME, "warn", what, "have devices publish with quality of service 1, and less at a time")
    if row["forgotten"]:
        times = count(row["forgotten"], "time")
        what = f"{name}: the broker had forgotten our session {times}, and what waited in it"
        yield Check(NAME, "warn", what, "have the broker keep its sessions on disk")


def kept(name: str, states: Iterable[wire.BridgeState]) -> Iterator[Check]:
    """Whether the broker keeps for long what waits for us."""
    told = [state.expiry for state in states if state.expiry is not None]
    if told and min(told) < KEPT_S:
        how = f"for {duration(min(told))}" if min(told) else "no longer than we are connected"
        what = f"{name}: the broker keeps what waits for us {how}"
        yield Check(NAME, "warn", what, "let it keep sessions for a week or more")


def encrypted(found: BridgeConfig) -> Iterator[Check]:
    """Whether passwords and readings can be read on the way."""
    if not found.broker.tls and not found.broker.local:
        what = f"{found.name}: no TLS: the password and all readings cross the network readably"
        yield Check(NAME, "warn", what, "let the broker listen with TLS, and add the bridge with mqtts://")


def closed(found: BridgeConfig) -> Iterator[Check]:
    """Whether the broker lets in whoever asks."""
    from gateway.bridge.look import lets_anybody_in

    try:
        anybody = asyncio.run(lets_anybody_in(found.broker, found.ca_pem, os.urandom))
    except BrokerError as error:
        yield Check(NAME, "warn", f"{found.name}: {error}", "is it running?")
        return
    if anybody:
        what = f"{found.name}: the broker lets in anybody, without a password"
        yield Check(NAME, "warn", what, "in its configuration: allow_anonymous false, and password_file")
    else:
        yield Check(NAME, "ok", f"{found.name}: the broker lets in nobody without a password")


def settings(found: BridgeConfig, usual: Path) -> Iterator[Check]:
    """What its configuration says about messages that it acknowledges and then drops, where it is here."""
    path = Path(found.broker_config) if found.broker_config else usual
    if not found.broker_config and not (found.broker.local and path.is_file()):
        return
    try:
        told = mosquitto.findings(mosquitto.read(path))
    except OSError:
        if found.broker_config:
            yield Check(NAME, "warn", f"{found.name}: {path} cannot be read", "look at its mode and its path")
        return
    for finding in told:
        yield Check(NAME, "warn", f"{found.name}: {finding.what}", f"in {path}: {finding.line}")
    if not told:
        yield Check(NAME, "ok", f"{found.name}: the broker is set to keep what it acknowledged")
