"""One device's way from a broker to the node: what has come and is not stored, in batches, several at once.

Nothing of a broker is in here but the place of a message in the order of acknowledgements.  What the node
does not take is tried again, ever more slowly; other devices have lanes of their own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.rpcclient import NodeError, NodePort
from gateway.wire import AnyReply, Deliver, Done, Message, Refused
from vault.ids import DeviceId

FLIGHTS: Final = 4  # batches that wait for the node's disk at the same time
BATCH_MESSAGES: Final = 512
BATCH_BYTES: Final = 1 << 20
BEST_EFFORT: Final = 10_000  # messages of QoS 0 that are kept while the node does not take them
HELD_BYTES: Final = 8 << 20  # of a lane, with MESSAGE_COST for each; then the broker is not read
MESSAGE_COST: Final = 512
FIRST_WAIT_S: Final = 0.2  # after a batch that was not taken
NODE_WAIT_S: Final = 2.0  # at most, while the node is away
REFUSED_WAIT_S: Final = 60.0  # at most, while it says no


class Place(Protocol):
    """Where a message of QoS 1 came from."""

    @property
    def gone(self) -> bool:
        """Its connection ended: the broker sends it again, and this copy need not go on."""

    def settle(self) -> None:
        """It is stored: acknowledge it in its turn."""


class Held:
    """A message on its way; ``place`` is None for QoS 0."""

    __slots__ = ("message", "place", "size")

    def __init__(self, message: Message, place: Place | None) -> None:
        self.message, self.place = message, place
        self.size = len(message.payload) + MESSAGE_COST


@dataclass(slots=True)
class Counts:
    """Since the process started."""

    stored: int = 0
    retained: int = 0
    refused: int = 0
    dropped: int = 0


class Lane:
    """See the module; ``relieved`` is called when something left and there is room."""

    def __init__(
        self,
        device: DeviceId,
        password: bytes,
        session: str,
        node: NodePort,
        relieved: Callable[[], None] = lambda: None,
    ) -> None:
        self.counts = Counts()
        self.problem = ""
        self._device, self._password, self._session, self._node = device, password, session, node
        self._relieved = relieved
        self._queue: deque[Held] = deque()
        self._bytes = self._best_effort = self._flying = 0
        self._number = 0  # of the last message of QoS 0
        self._news = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._slots = asyncio.Semaphore(FLIGHTS)
        self._wait, self._until = 0.0, 0.0

    @property
    def full(self) -> bool:
        """Whether the broker should keep what it has."""
        return self._bytes >= HELD_BYTES

    @property
    def waiting(self) -> int:
        """Messages that have come and are not stored."""
        return len(self._queue) + self._flying

    def take(self, message: Message, place: Place | None) -> None:
        """A message came; without a place it is of QoS 0, and numbered here."""
        if place is None:
            if self._best_effort >= BEST_EFFORT or self.full:
                self.counts.dropped += 1
                return
            self._best_effort += 1
            self._number = self._number % 0xFFFF + 1
            message = Message(message.topic, message.payload, 0, self._number, False, message.retained)
        held = Held(message, place)
        self._bytes += held.size
        self._queue.append(held)
        self._quiet.clear()
        self._news.set()

    def cut(self) -> None:
        """The connection ended: what it brought with QoS 1 comes again."""
        kept = [held for held in self._queue if not _gone(held)]
        for held in self._queue:
            if _gone(held):
                self._bytes -= held.size
        self._queue = deque(kept)
        self._ease()

    async def run(self) -> None:
        """Hand over until cancelled; a fault in it ends it, for what it had in hand would never be stored."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._slots.acquire()
                while not self._queue:
                    self._news.clear()
                    await self._news.wait()
                pause = self._until - asyncio.get_running_loop().time()
                if pause > 0:
                    await asyncio.sleep(pause)
                task = tasks.create_task(self._hand_over(self._batch()))
                task.add_done_callback(lambda _: self._slots.release())

    async def settled(self) -> None:
        """Wait until nothing is on its way."""
        await self._quiet.wait()

    # --- inside -----------------------------------------------------------------------------------------

    def _batch(self) -> list[Held]:
        batch: list[Held] = []
        size = 0
        while self._queue and len(batch) < BATCH_MESSAGES and size < BATCH_BYTES:
            held = self._queue.popleft()
            batch.append(held)
            size += held.size
        self._flying += len(batch)
        return batch

    async def _hand_over(self, batch: list[Held]) -> None:
        if not batch:  # the connection ended meanwhile
            return
        call = Deliver(self._device, self._password, self._session, [held.message for held in batch])
        reply: AnyReply | None
        try:
            reply = await self._node.call(call)
        except NodeError:
            reply = None
        self._flying -= len(batch)
        if isinstance(reply, Done):
            self._stored(batch)
        else:
            self._not_stored(batch, reply)
        self._ease()

    def _stored(self, batch: list[Held]) -> None:
        self.problem, self._wait = "", 0.0
        for held in batch:
            self._bytes -= held.size
            if held.message.retained:
                self.counts.retained += 1
            else:
                self.counts.stored += 1
            if held.place is None:
                self._best_effort -= 1
            elif not held.place.gone:
                held.place.settle()

    def _not_stored(self, batch: list[Held], reply: AnyReply | None) -> None:
        """Try again later; after no answer it may be stored already, and says so."""
        self.counts.refused += 1
        now = asyncio.get_running_loop().time()
        longest = NODE_WAIT_S if reply is None else REFUSED_WAIT_S
        if now >= self._until:
            self._wait = min(max(2 * self._wait, FIRST_WAIT_S), longest)
            self._until = now + self._wait
        self.problem = _problem(reply)
        for held in reversed(batch):
            if _gone(held):
                self._bytes -= held.size
                continue
            if reply is None and not held.message.again:
                message = held.message
                held.message = Message(
                    message.topic, message.payload, message.qos, message.packet_id, True, message.retained
                )
            self._queue.appendleft(held)
        self._news.set()

    def _ease(self) -> None:
        """Something left: say so to whoever waits for that."""
        if not self.waiting:
            self._quiet.set()
        if not self.full:
            self._relieved()


def _gone(held: Held) -> bool:
    return held.place is not None and held.place.gone


def _problem(reply: AnyReply | None) -> str:
    match reply:
        case None:
            return "the node does not answer"
        case Refused(code="not_authorised"):
            return "the device was paused or removed, or has another password"
        case Refused(code="invalid"):
            return "the node does not understand what the broker sends"
        case _:
            return "the node does not store this now: a full disk, or more than a device may send in a day"
