"""From deliveries to durable commits: one thread writes, everybody who waits shares its commits."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakSet, WeakValueDictionary

import msgspec

from gateway.node.arrivals import Arrivals
from gateway.node.config import Exit
from gateway.node.gaps import Gaps
from gateway.node.known import Known
from gateway.node.ports import Delivery, DeviceLink, Done
from vault.bucket import DAY_MS
from vault.device import client_key, dedupe_key, digest_with, message_hash, unwrap_notes, verifier
from vault.errors import VaultError
from vault.ids import DeviceId, VaultId
from vault.ledger import Entry
from vault.store.reader import Reader
from vault.store.writer import Note, Writer

T = TypeVar("T")
_log = logging.getLogger("hypertouch.node")
_NOBODY = DeviceId(bytes(16))


class Link:
    """An authenticated device; its dedupe key, and what is known of it, live as long as its connections."""

    __slots__ = (
        "__weakref__",
        "_clients",
        "_ingest",
        "_key",
        "_start",
        "device",
        "ended",
        "id",
        "known",
        "paused",
        "vault",
    )

    def __init__(self, ingest: DeviceIngest, known: Known, key: bytes) -> None:
        self.id = known.device.text
        self.vault, self.device, self.known = known.vault, known.device, known
        self._ingest, self._key, self._start = ingest, key, message_hash(key)
        self._clients: dict[str, bytes] = {}
        self.ended = False  # the credential is, or it is paused: nothing more is stored, whatever is queued
        self.paused = False  # was so when it authenticated

    def remembers(self, client_id: str) -> bool:
        """Whether something of this client id was acknowledged before."""
        return self._ingest.remembers(self.vault, self.device, self.client_key(client_id))

    def client_key(self, client_id: str) -> bytes:
        """How the client id is named on disk."""
        key = self._clients.get(client_id)
        if key is None:
            key = self._clients[client_id] = client_key(self._key, client_id)
        return key

    def digest(self, topic: bytes, payload: bytes) -> bytes:
        """What recognises a redelivery."""
        return digest_with(self._start, topic, payload)


class _Waiting(msgspec.Struct, gc=False):
    link: Link
    deliveries: list[Delivery]
    done: Done


class _Noting(msgspec.Struct):
    note: Note
    future: asyncio.Future[bool]


class _Job(msgspec.Struct):
    work: Callable[[], Any]
    future: asyncio.Future[Any]


class WriterThread:
    """Runs everything that touches the writer, in order, on one thread; commits are shared."""

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop) -> None:
        self._writer, self._loop = writer, loop
        self._queue: deque[_Waiting | _Noting | _Job] = deque()
        self._gaps = Gaps()
        self._wake = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[], T]) -> T:
        """Do something with the writer; raises what it raises."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._put(_Job(work, future))
        return await future

    async def note(self, vault: VaultId, entry: Entry) -> bool:
        """A ledger entry in the next commit; False: it could not be written."""
        future: asyncio.Future[bool] = self._loop.create_future()
        self._put(_Noting(Note(vault, entry), future))
        return await future

    def submit(self, link: Link, deliveries: list[Delivery], done: Done) -> None:
        """Store deliveries in the next commit."""
        self._put(_Waiting(link, deliveries, done))

    def learned(self, device: DeviceId) -> bytes | None:
        """What a device declared, where its file does not know it yet; ask before the file is read."""
        return self._writer.learned(device)

    def stop(self) -> None:
        """Let the thread end after what is queued; wait for it."""
        with self._wake:
            self._ended = True
            self._wake.notify()
        self._thread.join()

    def _put(self, item: _Waiting | _Noting | _Job) -> None:
        with self._wake:
            self._queue.append(item)
            self._wake.notify()

    def _run(self) -> None:
        """Write until stopped; a fault of ours ends the process: a node that cannot write must not go on."""
        try:
            self._write()
        except Exception as error:
            _log.critical("the writer failed: %s", type(error).__name__)  # never its text
            os._exit(Exit.FAULT)

    def _write(self) -> None:
        while True:
            with self._wake:
                while not self._queue:
                    if self._ended:
                        return
                    self._wake.wait()
            self._turn()  # whose frame is gone while we wait: what is known of a device goes with its links

    def _turn(self) -> None:
        shared: list[_Waiting | _Noting] = []
        while self._queue and not isinstance(self._queue[0], _Job):
            item = self._queue.popleft()
            if not isinstance(item, _Job):
                shared.append(item)
        if shared:
            self._commit(shared)
        elif isinstance(job := self._queue.popleft(), _Job):
            self._work(job)

    def _commit(self, shared: Sequence[_Waiting | _Noting]) -> None:
        now = self._writer.clock()
        arrivals = Arrivals(now, self._gaps)
        for item in shared:
            if isinstance(item, _Waiting) and not item.link.ended:
                arrivals.take(item.link, item.deliveries)
        notes = [item.note for item in shared if isinstance(item, _Noting)]
        refused: set[VaultId] | None = None
        try:
            refused = self._writer.commit(arrivals.found, notes, arrivals.learned(self._writer.entropy))
        except VaultError as error:
            _log.error("a commit failed: %s", type(error).__name__)
        arrivals.settle(refused)
        self._loop.call_soon_threadsafe(_tell, shared, refused)

    def _work(self, job: _Job) -> None:
        try:
            result = job.work()
        except Exception as error:  # handed to whoever asked, and raised there
            self._loop.call_soon_threadsafe(_fail, job.future, error)
        else:
            self._loop.call_soon_threadsafe(_succeed, job.future, result)


class Quota:
    """Bytes that a device may store in a UTC day: one that runs wild must not fill the disk for all.

    ``today`` is days since the epoch, of arrival.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._today = 0
        self._used: dict[DeviceId, int] = {}

    def take(self, device: DeviceId, size: int, today: int) -> bool:
        """Count bytes; False: that would be too many, and they are not counted."""
        if today != self._today:
            self._today = today
            self._used.clear()
        used = self._used.get(device, 0) + size
        if used > self._limit:
            return False
        self._used[device] = used
        return True


class DeviceIngest:
    """What the endpoint talks to: authenticates devices and takes their deliveries."""

    def __init__(self, thread: WriterThread, reader: Reader, quota: Quota, clock: Callable[[], int]) -> None:
        self._thread, self._reader = thread, reader
        self._quota, self._clock = quota, clock
        self._seen: set[tuple[DeviceId, bytes]] = set()
        self._links: WeakSet[Link] = WeakSet()
        self._known: WeakValueDictionary[DeviceId, Known] = WeakValueDictionary()  # of devices with links
        self._adding = threading.Lock()

    def authenticate(self, username: str, password: bytes) -> Link | None:
        """The device whose credential this is; the same work is done for an unknown one."""
        try:
            device = DeviceId.parse(username)
        except VaultError:
            device = _NOBODY
        vault = self._reader.locate(device)
        shown = verifier(device, password)
        key = dedupe_key(device, password)
        with self._adding:  # who looked before a credential ended is found when it does
            kept = self._reader.device_verifier(vault, device) if vault is not None else None
            if not hmac.compare_digest(shown, kept or bytes(len(shown))) or kept is None or vault is None:
                return None
            link = Link(self, self._know(vault, device, password), key)
            link.paused = link.ended = self._reader.is_paused(vault, device)
            self._links.add(link)
        return link

    def _know(self, vault: VaultId, device: DeviceId, password: bytes) -> Known:
        known = self._known.get(device)
        if known is None:
            newest = self._thread.learned(device)  # the journal may know more than the file
            wrapped, settings, learned = self._reader.device_notes(vault, device)
            key = None
            if wrapped is not None:
                with suppress(VaultError):  # wrapped under another password, by a host or a client in error
                    key = unwrap_notes(device, password, wrapped)
            known = self._known[device] = Known(vault, device, key, settings, newest or learned)
        return known

    def submit(self, link: DeviceLink, deliveries: list[Delivery], done: Done) -> None:
        """Queue for the next commit; beyond the device's daily bytes nothing is stored or acknowledged.

        All that it declared is stored again with each part of it that is new: this counts as sent, too.
        """
        if not isinstance(link, Link):
            raise TypeError("a link of another ingest")
        size = sum(len(delivery.payload) for delivery in deliveries)
        written = link.known.written
        if not self._quota.take(link.device, size + written - link.known.charged, self._clock() // DAY_MS):
            done(False)
            return
        link.known.charged = written
        if deliveries[-1].qos:
            self._seen.add((link.device, link.client_key(deliveries[-1].client_id)))
        self._thread.submit(link, deliveries, done)

    def remembers(self, vault: VaultId, device: DeviceId, client: bytes) -> bool:
        """Whether digests of this client id exist, here or from a former run."""
        return (device, client) in self._seen or self._reader.has_recent(vault, device, client)

    def end(self, device: DeviceId) -> None:
        """The credential ended, or was paused: what the device sent and is not stored yet never will be."""
        with self._adding:  # called on the writer's thread
            self._known.pop(device, None)  # another password may open more
            for link in self._links:
                if link.device == device:
                    link.ended = True

    def configure(self, device: DeviceId, settings: bytes) -> None:
        """Its owner set a device anew, durably: from the next commit on its messages are read so."""
        with self._adding:  # called on the writer's thread
            known = self._known.get(device)
        if known is not None:
            known.configure(settings)

    def forget(self, device: DeviceId) -> None:
        """Its sessions are gone, too."""
        self._seen = {pair for pair in self._seen if pair[0] != device}


def _tell(shared: Sequence[_Waiting | _Noting], refused: set[VaultId] | None) -> None:
    for item in shared:
        if isinstance(item, _Waiting):
            item.done(refused is not None and item.link.vault not in refused and not item.link.ended)
        elif not item.future.done():
            item.future.set_result(refused is not None and item.note.vault not in refused)


def _succeed(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
