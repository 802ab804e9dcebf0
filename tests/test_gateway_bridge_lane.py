"""A lane: batches, their order, what is tried again and how it is marked; the node is simulated."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from gateway.bridge.lane import BATCH_MESSAGES, BEST_EFFORT, FIRST_WAIT_S, FLIGHTS, HELD_BYTES, Lane
from gateway.rpcclient import NodeError
from gateway.wire import AnyReply, Deliver, Done, Message, NodeCall, Refused
from vault.ids import DeviceId

DEVICE = DeviceId.new(os.urandom)


class Node:
    """A node that answers as a test says, and remembers what it was asked."""

    def __init__(self, *answers: AnyReply | None) -> None:
        self.answers = list(answers)  # None: the connection breaks; then everything is stored
        self.calls: list[Deliver] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def call(self, call: NodeCall) -> AnyReply:
        assert isinstance(call, Deliver)
        self.calls.append(call)
        await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else Done()
        if answer is None:
            raise NodeError("the connection to the node broke")
        return answer


class Broker:
    """The order of acknowledgements of one connection."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.gone = False

    def place(self, packet_id: int) -> Place:
        return Place(self, packet_id)


class Place:
    """A message of QoS 1 of that connection."""

    def __init__(self, broker: Broker, packet_id: int) -> None:
        self._broker, self._packet_id = broker, packet_id

    @property
    def gone(self) -> bool:
        return self._broker.gone

    def settle(self) -> None:
        self._broker.acknowledged.append(self._packet_id)


def message(packet_id: int, payload: bytes = b"x", qos: int = 1, *, again: bool = False) -> Message:
    return Message("t", payload, qos, packet_id, again)


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Play a scene; a lane that does not come to rest fails it."""
    asyncio.run(asyncio.wait_for(scene(), 30))


class Running:
    """A lane that runs in a ``with``."""

    def __init__(self, node: Node, relieved: Callable[[], None] = lambda: None) -> None:
        self.lane = Lane(DEVICE, b"password", "session", node, relieved)

    async def __aenter__(self) -> Lane:
        self._task = asyncio.create_task(self.lane.run())
        return self.lane

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


def test_messages_are_handed_over_in_order_and_acknowledged_when_stored() -> None:
    async def scene() -> None:
        node, broker = Node(), Broker()
        node.gate.clear()
        async with Running(node) as lane:
            for number in range(1, 2001):
                lane.take(message(number), broker.place(number))
            await asyncio.sleep(0)
            while len(node.calls) < FLIGHTS:
                await asyncio.sleep(0)
            assert broker.acknowledged == []
            assert lane.waiting == 2000
            node.gate.set()
            await lane.settled()
        handed = [one.packet_id for call in node.calls for one in call.messages]
        assert handed == broker.acknowledged == list(range(1, 2001))
        assert max(len(call.messages) for call in node.calls) == BATCH_MESSAGES
        assert (lane.counts.stored, lane.counts.refused, lane.waiting) == (2000, 0, 0)
        assert {(call.device, call.password, call.client_id) for call in node.calls} == {
            (DEVICE, b"password", "session")
        }

    run(scene)


def test_after_no_answer_a_message_is_marked_as_perhaps_stored_and_after_a_no_it_is_not() -> None:
    """A mark that is not needed would have the node take a new message for an old one."""

    async def scene() -> None:
        for answer, marked in ((None, True), (Refused("unavailable", "full"), False)):
            node, broker = Node(answer), Broker()
            async with Running(node) as lane:
                lane.take(message(7), broker.place(7))
                await lane.settled()
            assert [one.again for call in node.calls for one in call.messages] == [False, marked]
            assert broker.acknowledged == [7]
            assert (lane.counts.stored, lane.counts.refused, lane.problem) == (1, 1, "")

    run(scene)


def test_what_the_broker_sends_again_stays_marked() -> None:
    async def scene() -> None:
        node, broker = Node(Refused("unavailable", "full")), Broker()
        async with Running(node) as lane:
            lane.take(message(7, again=True), broker.place(7))
            await lane.settled()
        assert [one.again for call in node.calls for one in call.messages] == [True, True]

    run(scene)


def test_messages_of_an_ended_connection_are_dropped_and_never_acknowledged() -> None:
    async def scene() -> None:
        node, first, second = Node(None), Broker(), Broker()
        node.gate.clear()
        async with Running(node) as lane:
            lane.take(message(1), first.place(1))
            while not node.calls:
                await asyncio.sleep(0)
            lane.take(message(2), first.place(2))
            first.gone = True
            lane.cut()  # the second message is forgotten; the first is under way
            lane.take(message(1, again=True), second.place(1))
            lane.take(message(2, again=True), second.place(2))
            node.gate.set()
            await lane.settled()
        assert first.acknowledged == []
        assert second.acknowledged == [1, 2]
        assert lane.waiting == 0

    run(scene)


def test_what_is_refused_is_tried_ever_more_slowly_and_the_reason_is_told() -> None:
    async def scene() -> None:
        times: list[float] = []
        loop = asyncio.get_running_loop()

        class Slow(Node):
            async def call(self, call: NodeCall) -> AnyReply:
                times.append(loop.time())
                return await super().call(call)

        no = Refused("not_authorised", "no")
        node, broker = Slow(no, no, no), Broker()
        async with Running(node) as lane:
            lane.take(message(1), broker.place(1))
            while len(times) < 2:
                await asyncio.sleep(0.01)
            assert lane.problem == "the device was paused or removed, or has another password"
            await lane.settled()
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert all(pause >= 0.99 * FIRST_WAIT_S * 2**place for place, pause in enumerate(pauses))
        assert broker.acknowledged == [1]

    run(scene)


def test_messages_of_qos_0_are_numbered_tried_again_and_bounded() -> None:
    async def scene() -> None:
        node = Node(None)
        node.gate.clear()
        async with Running(node) as lane:
            for _ in range(BEST_EFFORT + 5):
                lane.take(message(0, qos=0), None)
            assert lane.counts.dropped == 5
            lane.cut()  # they do not come again: nothing of them is dropped
            node.gate.set()
            await lane.settled()
            lane.take(message(0, qos=0), None)
            await lane.settled()
        assert lane.counts.stored == BEST_EFFORT + 1
        numbers = [one.packet_id for call in node.calls[1:] for one in call.messages]
        assert sorted(numbers) == list(range(1, BEST_EFFORT + 2))
        again = [one.packet_id for call in node.calls for one in call.messages if one.again]
        assert len(again) == len(node.calls[0].messages)

    run(scene)


def test_a_lane_says_when_it_is_full_and_when_there_is_room_again() -> None:
    async def scene() -> None:
        eased: list[bool] = []
        node, broker = Node(), Broker()
        node.gate.clear()
        running = Running(node, lambda: eased.append(True))
        async with running as lane:
            size = 1 << 20
            for number in range(1, HELD_BYTES // size + 1):
                lane.take(message(number, bytes(size)), broker.place(number))
            assert lane.full
            lane.take(message(0, bytes(size), qos=0), None)
            assert lane.counts.dropped == 1  # of QoS 0 nothing is kept then
            node.gate.set()
            await lane.settled()
            assert eased
            assert not lane.full

    run(scene)


def test_a_fault_nobody_foresaw_ends_the_lane() -> None:
    """So that the process ends, is started again, and has the broker send again what was in hand."""

    class Broken(Node):
        async def call(self, call: NodeCall) -> AnyReply:
            del call
            raise ZeroDivisionError

    async def scene() -> None:
        lane = Lane(DEVICE, b"password", "session", Broken())
        lane.take(message(1), Broker().place(1))
        with pytest.raises(ExceptionGroup) as caught:
            await lane.run()
        assert caught.group_contains(ZeroDivisionError)

    run(scene)


def test_state_is_counted_apart_from_readings() -> None:
    async def scene() -> None:
        node, broker = Node(), Broker()
        async with Running(node) as lane:
            lane.take(Message("t", b"x", 1, 1, retained=True), broker.place(1))
            await lane.settled()
        assert (lane.counts.stored, lane.counts.retained) == (0, 1)
        assert node.calls[0].messages[0].retained

    run(scene)


@pytest.mark.parametrize(
    "reply", [Refused("invalid", "x"), Refused("unavailable", "x"), Refused("frozen", "x")]
)
def test_every_no_has_words(reply: Refused) -> None:
    async def scene() -> None:
        node, broker = Node(reply), Broker()
        async with Running(node) as lane:
            lane.take(message(1), broker.place(1))
            while not lane.problem:
                await asyncio.sleep(0)
            assert "node" in lane.problem

    run(scene)
