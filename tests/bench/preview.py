"""What a brand would have received: a week of ten kinds, in the person's client, by the way a brand reads."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway import wire
from gateway.client.preview import Preview
from gateway.client.preview import preview as replay
from gateway.client.read import Archive
from policies.kinds import catalogue
from policies.narrow import Bounds, make_terms
from policies.purposes import purposes
from policies.request import parse_details
from policies.terms import Selector
from tests.bench.report import Section, at_most, row
from tests.bench.rig import DAY_S, Acme, Household, fresh_data, running
from tests.bench.sizes import Size
from vault.bucket import DAY_MS
from vault.grantkey import grant_of_pickup
from vault.ids import DeviceId, GrantId, VaultId
from vault.observation import Observation
from vault.store.files import Files
from vault.store.paths import DataDir
from vault.store.state import Arrival
from vault.store.writer import Writer

LIMIT_S: Final = 1.0
WEEK: Final = 7  # days that the targets are about
KINDS: Final = (
    "battery", "carbon_dioxide", "energy", "humidity", "illuminance",
    "power", "pressure", "temperature", "voltage", "water",
)  # fmt: skip
_MINUTE_MS: Final = 60_000
_STEP: Final = 60  # messages a commit


def measure(size: Size, directory: Path) -> Section:
    """Preview raw as asked beside hours as settled, with the week's buckets stored, and without."""
    data = fresh_data(directory / "preview")
    with running(data) as server:
        household = Household(server)
        device = household.device("hub").device
        grant = grant_of_pickup(Acme(server, household).ask(list(KINDS)).auth_req_id)
    written = _write(data, household.vault, device, size.previewed)
    stored = _times(size, data, household, device, grant)
    with closing(sqlite3.connect(data.vault_db(household.vault))) as connection, connection:
        connection.execute("UPDATE segment SET cut = 1 WHERE ledger = 0")
    made = _times(size, data, household, device, grant)
    rows = [row("buckets stored", "s", stored), row("buckets made in memory", "s", made)]
    stored_s, made_s = (one.median() if size.previewed == WEEK else None for one in rows)
    return Section(
        name="preview",
        title=f"{written:,} readings of {size.previewed} day(s), raw as asked and by the hour as settled",
        rows=rows,
        targets=[
            at_most("a preview of a week of 10 kinds <= 1 s", stored_s, LIMIT_S),
            at_most("the same without stored buckets <= 1 s", made_s, LIMIT_S),
        ],
        notes=["From the segments' list to both flows: everything is fetched and opened anew."],
    )


def _times(size: Size, data: DataDir, household: Household, device: DeviceId, grant: GrantId) -> list[float]:
    with running(data) as server:
        household.server = server
        return [_time(household, device, grant, size.previewed) for _ in range(size.repeats + 2)]


def _time(household: Household, device: DeviceId, grant: GrantId, days: int) -> float:
    found = household.find(grant)
    with household.session() as session:
        session.ask(wire.GetOverview(), wire.Overview)
        now = session.clock() // 1000
        asks = parse_details(found.ask, catalogue(), purposes(), now)
        selectors = [Selector(device.text, kind, None, "hour") for kind in KINDS]
        terms = make_terms(asks, selectors, Bounds(now, now + 30 * DAY_S, now + 30 * DAY_S))
        begun = time.perf_counter()
        shown = replay(session, Archive(session), found, asks, terms, days=days)
        seconds = time.perf_counter() - begun
    _check(shown)
    return seconds


def _check(shown: Preview) -> None:
    found = round(shown.asked.readings), round(shown.settled.readings)
    if found != (1440 * len(KINDS), 24 * len(KINDS)):
        raise RuntimeError(f"a preview of another week: {found}")


def _write(data: DataDir, vault: VaultId, device: DeviceId, days: int) -> int:
    """Ten kinds a minute, of the days up to yesterday; how many readings."""
    draw = random.Random(1).random
    first = int(time.time()) // DAY_S - days
    now = [first * DAY_MS]
    writer = Writer(data, Files(), lambda: now[0], os.urandom)
    values = dict.fromkeys(KINDS, 50.0)
    for day in range(first, first + days):
        for begin in range(day * DAY_MS, (day + 1) * DAY_MS, _STEP * _MINUTE_MS):
            arrivals: list[Arrival] = []
            for at in range(begin, begin + _STEP * _MINUTE_MS, _MINUTE_MS):
                values = {kind: round(value + draw() - 0.5, 1) for kind, value in values.items()}
                readings = [Observation("", kind, at, value) for kind, value in values.items()]
                arrivals.append(Arrival(vault, device, at, readings))
            now[0] = begin + _STEP * _MINUTE_MS
            writer.commit(arrivals)
            writer.seal_buckets()
        now[0] = (day + 1) * DAY_MS + 11 * _MINUTE_MS
        writer.seal_buckets()
        writer.close_quiet()
    writer.close()
    return days * 1440 * len(KINDS)
