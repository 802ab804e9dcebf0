"""A real node process over a store whose owner the test is, with faults put in where a test asks for one.

Run as a program it *is* the node, started with a fault: ``python -m tests.node_process FAULT N``.  Faults:

- ``after-recv``, ``after-insert``, ``after-commit``, ``after-ack``: the process kills itself at that point
  of its Nth commit;
- ``slow``: every commit takes N tenths of a second;
- ``full``: the journal's INSERT says that the disk is full while a file ``full`` lies beside it;
- ``bug``: the Nth commit fails in a way nobody foresaw;
- ``early``: known bad, acknowledges before it commits, and kills itself at the Nth commit.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.client.read import open_readings, open_segment
from gateway.node import ingest, run
from gateway.node.config import NodeConfig
from tests.mqtt_client import RawClient, connect, ids
from tests.told import ToldProcess
from vault.device import verifier, wrap_notes
from vault.ids import ClientId, DeviceId, VaultId
from vault.observation import Observation
from vault.person import FLOOR, Owner, Unlocking, WrappedRoot, login_verifier, wrap_root
from vault.statement import Enrolment, sign
from vault.store import people
from vault.store.files import Files
from vault.store.intake import Intake
from vault.store.paths import DataDir
from vault.store.reader import Reader
from vault.store.writer import Writer

PASSWORD = b"a password of a device"
UNLOCKING = Unlocking(b"l" * 32, b"w" * 32)


def now_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


class Person:
    """A vault whose root the test holds, with one device."""

    def __init__(self, data: DataDir) -> None:
        self.data = data
        self.vault, self.device = VaultId.new(os.urandom), DeviceId.new(os.urandom)
        root = os.urandom(32)
        self.owner = Owner(root)
        self.client, self.client_key = ClientId.new(os.urandom), Ed25519PrivateKey.generate()
        writer = Writer(data, Files(), now_ms, os.urandom)
        enrolment = Enrolment(self.client.text, self.client_key.public_key().public_bytes_raw(), "laptop")
        wrapped = WrappedRoot(bytes(16), FLOOR, wrap_root(UNLOCKING, self.vault, root, os.urandom(12)), b"")
        new = people.NewVault(
            self.vault,
            self.owner.hpke.public,
            self.owner.verify_key,
            wrapped,
            login_verifier(self.vault, UNLOCKING.login_key),
            b"",
            sign(self.owner.signing, self.vault, enrolment),
        )
        assert people.create_vault(writer, new) is None
        name = self.owner.seal_name(self.device, "meter", os.urandom(12))
        kept, key = verifier(self.device, PASSWORD), self.owner.notes_key(self.device)
        notes = wrap_notes(self.device, PASSWORD, key, os.urandom(12))
        assert people.add_device(writer, self.vault, self.device, name, kept, notes) is None
        writer.close()

    def stored(self) -> Counter[float]:
        """How often each number is in the vault; no process may be writing to it."""
        return Counter(one.value for one in self.readings() if isinstance(one.value, float))

    def readings(self) -> list[Observation]:
        """Everything in the vault; no process may be writing to it."""
        Writer(self.data, Files(), now_ms, os.urandom).close()  # moves what was acknowledged
        reader = Reader(self.data)
        found: list[Observation] = []
        for row in reader.segments(self.vault, -(1 << 30), 1 << 30):
            segment = open_segment(self.owner, self.vault, row)
            for chunk in reader.chunks(self.vault, [segment.header.segment], 0, 0, 1 << 40):
                found += [reading.observation for reading in open_readings(segment, chunk)]
        reader.close()
        return found


class NodeProcess(ToldProcess):
    """A node on loopback; ``fault`` as above, ``config`` beside ports that the system chooses."""

    def __init__(self, data: DataDir, *fault: str, **config: Any) -> None:
        words = ["tests.node_process", *fault] if fault else ["gateway.node.run"]
        told = {"data": str(data.path), "mqtt_port": 0, **config}
        super().__init__(words, msgspec.convert(told, NodeConfig))
        self.ready: dict[str, Any] = json.loads(self.said) if self.said else {}
        self.port: int = self.ready.get("mqtt_port", 0)


class Publisher:
    """Publishes numbered readings at QoS 1 and remembers which were acknowledged."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self.sent: dict[int, int] = {}  # value -> packet id
        self.acknowledged: set[int] = set()
        self._next = 1

    def connect(self, port: int) -> RawClient:
        """Connect with a session that is to go on."""
        client = RawClient(port)
        client.send(connect(4, "meter", self._person.device.text, PASSWORD, clean=False))
        first, body = client.receive()
        assert (first, body[1]) == (0x20, 0)
        return client

    def publish(self, port: int, count: int, batch: int = 20) -> bool:
        """Publish what was not acknowledged again, then ``count`` new readings; False: the node went away."""
        fresh = range(len(self.sent), len(self.sent) + count)
        again = sorted(set(self.sent) - self.acknowledged)
        for value in fresh:
            self.sent[value] = self._next
            self._next = self._next % 65_535 + 1
        try:
            with self.connect(port) as client:
                for values, dup in ((again, True), (list(fresh), False)):
                    for at in range(0, len(values), batch):
                        self._send(client, values[at : at + batch], dup=dup)
        except (EOFError, OSError):
            return False
        return True

    def _send(self, client: RawClient, values: Sequence[int], *, dup: bool) -> None:
        from tests.mqtt_client import publish

        client.send(
            *(
                publish("meter", b'{"energy":%d}' % value, packet_id=self.sent[value], dup=dup)
                for value in values
            )
        )
        by_id = {self.sent[value]: value for value in values}
        while by_id:
            packet = client.receive()
            for packet_id in ids([packet], 0x40):
                self.acknowledged.add(by_id.pop(packet_id))


def accounted(person: Person, publisher: Publisher) -> tuple[int, int, int]:
    """(LOSS, DUP, PHANTOM): acknowledged and not stored, stored twice, stored and never sent."""
    stored = person.stored()
    loss = sum(1 for value in publisher.acknowledged if float(value) not in stored)
    return (
        loss,
        sum(stored.values()) - len(stored),
        sum(1 for value in stored if int(value) not in publisher.sent),
    )


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _put_in(fault: str, number: int) -> None:
    """Replace one step of the node by one that fails."""
    commits = 0
    append, tell, commit = Intake.append, ingest._tell, ingest.WriterThread._commit

    def faulty_append(self: Intake, deltas: Any) -> int:
        nonlocal commits
        commits += 1
        if fault == "bug" and commits == number:
            raise ZeroDivisionError
        if fault == "slow":
            time.sleep(number / 10)
        if fault == "after-insert" and commits == number:
            self._connection.execute("BEGIN")
            self._connection.execute("INSERT INTO intake (deltas) VALUES (x'90')")
            _die()
        row = append(self, deltas)
        if fault == "after-commit" and commits == number:
            _die()
        return row

    def faulty_commit(self: ingest.WriterThread, shared: Any) -> None:
        if fault == "after-recv" and commits + 1 == number:
            _die()
        if fault == "early":
            self._loop.call_soon_threadsafe(tell, shared, set())
            time.sleep(0.05)
            if commits + 1 == number:
                _die()
        commit(self, shared)

    def faulty_tell(shared: Any, refused: Any) -> None:
        if fault != "early":
            tell(shared, refused)
        if fault == "after-ack" and commits >= number:
            _die()

    Intake.append = faulty_append  # type: ignore[method-assign]  # a fault is put in
    ingest.WriterThread._commit = faulty_commit  # type: ignore[method-assign]  # a fault is put in
    ingest._tell = faulty_tell
    if fault == "full":
        Files.open_sqlite = _open_full  # type: ignore[method-assign]  # a fault is put in


class _FullConnection(sqlite3.Connection):
    """Says that the disk is full as long as a file says so."""

    directory: Path

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql.startswith("INSERT INTO intake") and (self.directory / "full").exists():
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *parameters)


def _open_full(self: Files, name: str, *, uri: bool) -> sqlite3.Connection:
    del self
    connection = sqlite3.connect(
        name, uri=uri, isolation_level=None, check_same_thread=False, factory=_FullConnection
    )
    connection.directory = Path(name).parent
    return connection


if __name__ == "__main__":
    _put_in(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    sys.exit(run.main())
