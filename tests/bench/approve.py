"""An approval with history: what the person's own computer does while the brand waits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import msgspec

from gateway import wire
from gateway.client.http import Http
from gateway.wire import AnyReply, Call, Envelope, OwnerCall
from tests.bench import command
from tests.bench.history import KINDS
from tests.bench.report import Section, at_most, row
from tests.bench.sizes import Size
from tests.bench.year import Home

LIMIT_S: Final = 1.0
_BODY: Final = msgspec.msgpack.Decoder(OwnerCall)


class WatchedHttp(Http):
    """Remembers when the answer to Prepare came and when CommitGrant went out."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.prepared = self.committing = self.committed = 0.0

    def exchange(self, path: str, call: Call | Envelope) -> AnyReply:
        """As ever."""
        what = _BODY.decode(call.body) if isinstance(call, Envelope) else call
        if isinstance(what, wire.CommitGrant):
            self.committing = time.perf_counter()
        answer = super().exchange(path, call)
        match what:
            case wire.Prepare():
                self.prepared = time.perf_counter()
            case wire.CommitGrant():
                self.committed = time.perf_counter()
        return answer


def measure(size: Size, home: Home, directory: Path) -> Section:
    """Approve all three kinds with all of the history, again and again."""
    written = home.written
    sealing: list[float] = []
    calls: list[float] = []
    for _ in range(size.repeats + 2):
        http = WatchedHttp(home.server.url)
        begun = time.perf_counter()
        home.acme.granted(written.household, written.device, list(KINDS), written.since, http)
        sealing.append(http.committing - http.prepared)
        calls.append(http.committed - begun)
    whole = command.approve(size.repeats, home, directory)
    rows = [
        row("sealing, in the client", "s", sealing),
        row("ask to active, no CLI", "s", calls),
        row("the whole command", "s", whole),
    ]
    return Section(
        name="approve",
        title=f"a grant of {written.days} days of history, {len(KINDS)} kinds of one device",
        rows=rows,
        targets=[at_most("sealing the history <= 1 s", rows[0].median(), LIMIT_S)],
        notes=[
            "sealing: from Prepare's answer to CommitGrant on its way; every owner's box is opened anew.",
            "the whole command: hypertouch request approve ID --history all --yes, from its start to its end,"
            " with the passphrase from a file (Argon2id).",
        ],
    )
