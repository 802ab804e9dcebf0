"""What a bridge may hand over at the node's socket, and what counts once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from gateway.mqtt import PACKET_LIMIT
from gateway.node.bridged import BYTES_MAX, SESSION_MAX
from gateway.rpcclient import NodeError, NodeLink
from gateway.wire import (
    DELIVER_MAX,
    AnyReply,
    BridgeState,
    BridgeStates,
    Deliver,
    Done,
    GetBridges,
    Message,
    Refused,
    ReportBridge,
)
from tests.node_process import PASSWORD, NodeProcess, Person
from vault.ids import DeviceId

Scene = Callable[[NodeLink], Awaitable[None]]


def play(person: Person, scene: Scene) -> None:
    """Run a scene against a node, which is ended in order, so that what it stored can be read."""

    async def connected() -> None:
        link = NodeLink(person.data.socket)
        try:
            await scene(link)
        finally:
            await link.close()

    with NodeProcess(person.data) as node:
        asyncio.run(connected())
        node.end()


def reading(value: int, packet_id: int = 1, qos: int = 1, *, again: bool = False) -> Message:
    """A message of a broker."""
    return Message("home/meter", b'{"energy":%d}' % value, qos, packet_id, again)


def deliver(person: Person, *messages: Message, session: str = "home") -> Deliver:
    """As the person's device."""
    return Deliver(person.device, PASSWORD, session, list(messages))


def test_what_is_answered_with_done_is_stored(person: Person) -> None:
    async def scene(link: NodeLink) -> None:
        assert await link.call(deliver(person)) == Done()
        answers = [link.call(deliver(person, reading(value, value + 1))) for value in range(20)]
        assert await asyncio.gather(*answers) == [Done()] * 20

    play(person, scene)
    assert person.stored() == {float(value): 1 for value in range(20)}


@pytest.mark.parametrize("qos", [0, 1])
def test_what_comes_again_counts_once_also_over_another_connection(person: Person, qos: int) -> None:
    async def scene(link: NodeLink) -> None:
        await link.call(deliver(person, reading(1, 5, qos), reading(2, 6, qos)))
        assert await link.call(deliver(person, reading(1, 5, qos, again=True))) == Done()
        other = NodeLink(person.data.socket)
        assert await other.call(deliver(person, reading(2, 6, qos, again=True))) == Done()
        await other.close()

    play(person, scene)

    async def after_a_restart(link: NodeLink) -> None:
        await link.call(deliver(person, reading(1, 5, qos, again=True), reading(2, 6, qos, again=True)))

    play(person, after_a_restart)
    assert person.stored() == {1.0: 1, 2.0: 1}


def test_what_is_new_counts_anew(person: Person) -> None:
    """The control: unmarked, or of another session, packet id or quality of service."""

    async def scene(link: NodeLink) -> None:
        await link.call(deliver(person, reading(1, 5)))
        await link.call(deliver(person, reading(1, 5)))
        await link.call(deliver(person, reading(1, 6, again=True)))
        await link.call(deliver(person, reading(1, 5, 0, again=True)))
        await link.call(deliver(person, reading(1, 5, again=True), session="other"))
        await link.call(deliver(person, reading(1, 0, 0), reading(1, 0, 0)))

    play(person, scene)
    assert person.stored() == {1.0: 7}


def test_who_is_not_the_device_is_refused_and_nothing_is_stored(person: Person) -> None:
    async def scene(link: NodeLink) -> None:
        for device, password in (
            (person.device, b"wrong"),
            (person.device, b""),
            (DeviceId.new(os.urandom), PASSWORD),
            (b"no id", PASSWORD),
        ):
            answer = await link.call(Deliver(device, password, "home", [reading(1)]))
            assert isinstance(answer, Refused)
            assert answer.code == "not_authorised"

    play(person, scene)
    assert person.stored() == {}


@pytest.mark.parametrize(
    "wrong",
    [
        Message("", b"1", 1, 1),
        Message("a\0b", b"1", 1, 1),
        Message("x" * 65_536, b"1", 1, 1),
        Message("t", bytes(PACKET_LIMIT + 1), 1, 1),
        Message("t", b"1", 1, 65_536),
        Message("t", b"1", 1, -1),
        Message("t", b"1", 3, 1),
    ],
    ids=["no topic", "a zero byte", "a long topic", "too large", "no packet id", "less than none", "qos 3"],
)
def test_what_no_broker_delivers_is_refused_with_all_beside_it(person: Person, wrong: Message) -> None:
    async def scene(link: NodeLink) -> None:
        answer: AnyReply = await link.call(deliver(person, reading(1), wrong))
        assert isinstance(answer, Refused)
        assert answer.code == "invalid"
        nameless = await link.call(deliver(person, reading(1), session=""))
        assert isinstance(nameless, Refused)

    play(person, scene)
    assert person.stored() == {}


def test_a_call_holds_no_more_than_a_device_may_have_in_flight(person: Person) -> None:
    """Everybody's commits wait for one call's messages."""

    async def scene(link: NodeLink) -> None:
        for many in (
            deliver(person, *[Message("t", bytes(PACKET_LIMIT), 1, 1)] * (BYTES_MAX // PACKET_LIMIT + 1)),
            deliver(person, reading(1), session="x" * (SESSION_MAX + 1)),
        ):
            answer = await link.call(many)
            assert isinstance(answer, Refused)
            assert answer.code == "invalid"
        assert await link.call(deliver(person, reading(1), session="x" * SESSION_MAX)) == Done()
        most = [reading(2, n) for n in range(DELIVER_MAX)]
        assert await link.call(deliver(person, *most)) == Done()
        with pytest.raises(NodeError):  # it is not even decoded
            await link.call(deliver(person, reading(3), *most))

    play(person, scene)
    assert person.stored() == {1.0: 1, 2.0: DELIVER_MAX}


def test_state_from_before_a_subscription_is_no_reading(person: Person) -> None:
    async def scene(link: NodeLink) -> None:
        state = Message("home/meter", b'{"energy":7}', 1, 1, False, True)
        assert await link.call(deliver(person, state)) == Done()

    play(person, scene)
    assert person.stored() == {}


def test_how_a_bridge_fares_is_known_while_it_is_connected(person: Person) -> None:
    async def scene(link: NodeLink) -> None:
        bridge = NodeLink(person.data.socket)
        state = BridgeState("home", 0, "meter", True, stored=3)
        assert await bridge.call(ReportBridge([state])) == Done()
        assert await link.call(GetBridges()) == BridgeStates([state])
        await bridge.close()
        while await link.call(GetBridges()) != BridgeStates([]):
            await asyncio.sleep(0.01)

    play(person, scene)
