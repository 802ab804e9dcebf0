"""A home with a long history and a brand that asks for it: what reading, approving and storing share."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tests.bench.history import write_history
from tests.bench.rig import DAY_S, Acme, Household, Server, fresh_data, running
from vault.ids import DeviceId
from vault.store.paths import DataDir

TIMEOUT_S: Final = 30.0


class Written(msgspec.Struct, frozen=True):
    """A data directory whose node is stopped; ``first_day`` is days since the epoch."""

    data: DataDir
    household: Household
    device: DeviceId
    first_day: int
    days: int
    readings: int

    @property
    def since(self) -> int:
        """The midnight at which the history begins, in seconds."""
        return self.first_day * DAY_S


class Home(msgspec.Struct, frozen=True):
    """The same with its server running, and Acme."""

    written: Written
    server: Server
    acme: Acme


class Page(msgspec.Struct, frozen=True):
    """One answer; ``next`` is where reading goes on, "" at the end."""

    status: int
    body: bytes
    next: str


class Reader:
    """A program that pages through ``/observations``: one connection, nothing decoded, little of its own."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        self._headers = {"Authorization": f"Bearer {token}"}

    def page(self, address: str) -> Page:
        """One page."""
        self._connection.request("GET", address, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        link = ""
        if answer.headers.get("Hypertouch-More") == "true":
            parts = urlsplit(answer.headers["Link"].partition(">")[0].removeprefix("<"))
            link = f"{parts.path}?{parts.query}"
        return Page(answer.status, body, link)

    def everything(self, kind: str) -> int:
        """Read to the end; the number of readings."""
        address, found = f"/observations?kind={kind}", 0
        while address:
            page = self.page(address)
            if page.status != http.client.OK:
                raise RuntimeError(f"a read was answered with {page.status}")
            found += page.body.count(b'"n":')
            address = page.next
        return found

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()


def write_year(directory: Path, days: int) -> Written:
    """Make a vault over HTTP, stop the server, and write ``days`` days up to yesterday."""
    data = fresh_data(directory / "home")
    with running(data) as server:
        household = Household(server)
        device = household.device("meter").device
    first_day = int(time.time()) // DAY_S - days
    readings = write_history(data, household.vault, device, first_day, days)
    return Written(data, household, device, first_day, days, readings)


@contextmanager
def opened(written: Written) -> Iterator[Home]:
    """Run its server until the block ends."""
    with running(written.data) as server:
        written.household.server = server
        yield Home(written, server, Acme(server, written.household))
