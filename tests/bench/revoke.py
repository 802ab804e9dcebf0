"""A brand reads without a pause; the person revokes: when does the last byte leave?"""

from __future__ import annotations

import http.client
import threading
import time
from typing import Final

import msgspec

from gateway.client.http import Http
from tests.bench.history import KINDS
from tests.bench.report import Section, at_most, row
from tests.bench.sizes import Size
from tests.bench.year import Home, Reader
from vault.ids import GrantId

LIMIT_S: Final = 1.0
READERS: Final = 4  # at once, so that a read is always under way
WARM_PAGES: Final = 8  # read by each before the person revokes
GIVE_UP_S: Final = 20.0


class _Request(msgspec.Struct, frozen=True):
    begun: float
    ended: float
    status: int


class _Greedy(threading.Thread):
    """Reads page after page until it is refused."""

    def __init__(self, port: int, token: str) -> None:
        super().__init__(daemon=True)
        self._reader = Reader(port, token)
        self.requests: list[_Request] = []
        self.warm = threading.Event()
        self.start()

    def run(self) -> None:
        """Page round and round."""
        address = start = f"/observations?kind={KINDS[0]}"
        status: int = http.client.OK
        until = time.perf_counter() + GIVE_UP_S
        while status == http.client.OK and time.perf_counter() < until:
            begun = time.perf_counter()
            page = self._reader.page(address)
            status = page.status
            self.requests.append(_Request(begun, time.perf_counter(), status))
            address = page.next or start
            if len(self.requests) >= WARM_PAGES:
                self.warm.set()
        self.warm.set()
        self._reader.close()


def measure(size: Size, home: Home) -> Section:
    """Give, read, revoke, as often as ``size`` says."""
    after: list[float] = []
    refused: list[float] = []
    takes: list[float] = []
    late = 0
    for _ in range(size.repeats + 2):
        begun, returned, requests = _once(home)
        takes.append(returned - begun)
        served = [one for one in requests if one.status == http.client.OK]
        late += sum(one.begun > returned for one in served)
        after.append(max(0.0, max(one.ended for one in served) - returned))
        no = (one.ended for one in requests if one.status != http.client.OK)
        refused.append(max(0.0, min(no, default=returned + GIVE_UP_S) - returned))
    return Section(
        name="revoke",
        title=f"to refusal, while {READERS} connections read without a pause",
        rows=[
            row("the call itself", "ms", [one * 1000 for one in takes]),
            row("then the last page ends", "ms", [one * 1000 for one in after]),
            row("then the first refusal", "ms", [one * 1000 for one in refused]),
            row("served, begun later", "", [float(late)]),
        ],
        targets=[
            at_most("no request is served that began later", float(late), 0),
            at_most("a read under way ends within 1 s", max(after), LIMIT_S),
        ],
        notes=["Times count from the moment the revoke returns; 0 is before it. Targets use the worst."],
    )


def _once(home: Home) -> tuple[float, float, list[_Request]]:
    written = home.written
    granted = home.acme.granted(
        written.household, written.device, list(KINDS), written.since, Http(home.server.url)
    )
    readers = [_Greedy(home.server.http_port, granted.access_token) for _ in range(READERS)]
    for reader in readers:
        reader.warm.wait(GIVE_UP_S)
    with written.household.session() as session:
        session.follow()
        begun = time.perf_counter()
        written.household.revoke(session, GrantId.parse(granted.grant_id))
        returned = time.perf_counter()
    for reader in readers:
        reader.join(GIVE_UP_S)
    return begun, returned, [one for reader in readers for one in reader.requests]
