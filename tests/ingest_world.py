"""A world's store behind the ingest of a node, and devices whose dialect is as small as can be.

The dialect is a fake that stands in for ``read``, so that each thing a dialect may say is one topic:

- ``declare/NAME`` with a kind: from now on NAME is of that kind; with nothing: NAME is forgotten;
- ``say/NAME`` with a number: a reading of NAME, not understood while NAME was not declared;
- ``where``: a reading of the time zone that was set;
- ``again`` with a JSON list of [time, value]: readings that the device may send again;
- ``number/SESSION/N``: a message with a number, and nothing else;
- ``street``: what three sensors of the neighbours said;
- ``bug``: what no dialect should do, and one does: it raises;
- ``image``: a payload that is not to be read.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.dialects.notebook import Notebook
from gateway.dialects.reading import DialectSettings, Lesson, Reading
from gateway.node.ingest import DeviceIngest, Link, Quota, WriterThread
from gateway.node.ports import Delivery
from tests.world import Device, Person, World, expect
from vault.observation import Observation
from vault.store import people
from vault.store.records import DeviceRow


def read(topic: str, payload: bytes, arrival: int, notebook: Notebook) -> Reading:
    """The fake; see the module."""
    what, _, name = topic.partition("/")
    match what:
        case "declare":
            facts = {name: payload.decode()} if payload else {}
            return Reading("fake", (), False, 0, lessons=(Lesson(topic, facts=facts, dialect="fake"),))
        case "say" if name in notebook.facts:
            return Reading(
                "fake", (Observation("", notebook.facts[name], arrival, float(payload)),), False, 0
            )
        case "where":
            place = Observation("", "app_event", arrival, notebook.settings.timezone)
            return Reading("fake", (place,), False, 0)
        case "again":
            readings = [Observation("", "steps", time, float(value)) for time, value in json.loads(payload)]
            return Reading("fake", tuple(readings), False, 0, resends=True)
        case "number":
            session, _, number = name.partition("/")
            return Reading("fake", (), False, 0, sequence=(session, int(number)))
        case "street":
            return Reading("fake", (), False, 0, foreign=3)
        case "bug":
            raise ZeroDivisionError(payload)
        case "image":
            return Reading("fake", (), False, 0, blob=True)
    return Reading("fake", (), True, 0)


class Node:
    """The ingest of a node over a world's store; ``packet`` counts the messages of all devices."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.loop = asyncio.new_event_loop()
        self.packet = 0
        self.start()

    def start(self) -> None:
        """With whatever writer the world has now."""
        self.thread = WriterThread(self.world.writer, self.loop)
        self.ingest = DeviceIngest(self.thread, self.world.reader, Quota(1 << 30), self.world.clock)

    def stop(self) -> None:
        """No more commits."""
        self.thread.stop()

    def reopen(self) -> None:
        """Stop and start, as at SIGTERM."""
        self.stop()
        self.world.reopen()
        self.start()

    def crash(self) -> None:
        """As after kill -9: what was acknowledged is in the journal at least."""
        self.stop()
        self.world.crash()
        self.start()

    def connect(self, device: Device, password: bytes | None = None) -> Link:
        """A connection of a device."""
        link = self.ingest.authenticate(device.id.text, password or device.password)
        assert link is not None
        return link

    def send(
        self, link: Link, *messages: tuple[str, bytes], retained: bool = False, dup: bool = False
    ) -> bool:
        """Send messages in one list, of QoS 1; whether they were acknowledged.  ``dup``: the last again."""
        told: asyncio.Future[bool] = self.loop.create_future()
        first = self.packet - len(messages) if dup else self.packet
        self.packet = first + len(messages)
        deliveries = [
            Delivery(topic, payload, 1, dup, first + at, "c", True, retained)
            for at, (topic, payload) in enumerate(messages, start=1)
        ]
        self.ingest.submit(link, deliveries, told.set_result)
        return self.loop.run_until_complete(told)

    def configure(self, device: Device, settings: bytes) -> None:
        """What the node does for an owner's ``SetDevice``."""

        def change() -> None:
            expect(people.set_device(self.world.writer, device.person.vault, device.id, settings))
            self.ingest.configure(device.id, settings)

        self.loop.run_until_complete(self.thread.run(change))

    def row(self, device: Device) -> DeviceRow:
        """The device as its owner sees it."""
        person = device.person
        self.loop.run_until_complete(self.thread.run(lambda: self.world.flush(person)))
        return next(row for row in self.world.reader.devices(person.vault) if row.device == device.id)

    def values(self, person: Person) -> list[object]:
        """All readings, in order of arrival."""
        return self.loop.run_until_complete(self.thread.run(person.values))

    def close(self) -> None:
        """The test is over."""
        self.stop()
        self.loop.close()


@contextmanager
def running(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node whose devices speak the fake dialect."""
    monkeypatch.setattr("gateway.node.arrivals.read", read)
    node = Node(world)
    try:
        yield node
    finally:
        node.close()


def zone(device: Device, name: str) -> bytes:
    """Sealed settings of a device that is there."""
    import msgspec

    settings = msgspec.msgpack.encode(DialectSettings(name))
    return device.notes.seal_settings(settings, device.person.world.entropy(12))


__all__ = ["Node", "read", "running", "zone"]
