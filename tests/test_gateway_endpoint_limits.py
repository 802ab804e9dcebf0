"""The door under clients that are slow, greedy, many or mad: each is bounded, the others do not notice."""

from __future__ import annotations

import os
import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mqtt import PACKET_LIMIT
from gateway.node.limits import Limits
from tests import mqtt_client as client
from tests.mqtt_client import RawClient, ids
from tests.mqtt_door import Door, Opened, door

PUBACK = 0x40
QUICK = Limits(connect_seconds=0.2, sweep_seconds=0.05)


def test_sockets_that_never_say_connect_are_closed_and_others_do_not_notice(opened: Opened) -> None:
    with opened(QUICK) as running, ExitStack() as stack, running.dial() as device:
        device.connect()
        silent = [stack.enter_context(running.dial()) for _ in range(200)]
        for n in range(1, 51):
            device.send(client.publish("a", b"x", 1, n))
            assert ids([device.receive()], PUBACK) == [n]
        assert all(one.closed() for one in silent)
        assert device.barrier() == []


def test_a_connect_that_drips_is_closed_however_steadily_it_drips(opened: Opened) -> None:
    data = client.connect(4, "me", "meter", b"x" * 30_000)
    with opened(QUICK) as running, running.dial() as slow:
        stop = threading.Event()

        def drip() -> None:
            for at in range(len(data)):
                if stop.wait(0.01):
                    return
                try:
                    slow.send(data[at : at + 1])
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert slow.closed()
        finally:
            stop.set()
            thread.join()
        assert running.ingest.attempts == 0


def test_more_strangers_than_there_is_room_for_push_out_their_oldest(opened: Opened) -> None:
    with opened(Limits(strangers=5)) as running, ExitStack() as stack:
        strangers = [stack.enter_context(running.dial()) for _ in range(8)]
        assert all(one.closed() for one in strangers[:3])
        with running.dial() as device:
            assert device.connect() == b"\0\0"


FULL = {"3.1.1": (4, b"\0\3"), "5": (5, b"\0\x89\0")}


@pytest.mark.parametrize("name", FULL)
def test_a_full_door_says_so(name: str, opened: Opened) -> None:
    version, answer = FULL[name]
    with opened(Limits(connections=2)) as running, ExitStack() as stack:
        for label in ("a", "b"):
            stack.enter_context(running.dial()).connect(client_id=label)
        with running.dial() as late:
            assert late.connect(version=version, client_id="c") == answer
            assert late.closed()


def test_one_device_cannot_take_every_place(opened: Opened) -> None:
    with opened(Limits(device_connections=1)) as running, running.dial() as first:
        first.connect(client_id="a")
        with running.dial() as second:
            assert second.connect(client_id="b", version=5) == b"\0\x97\0"
            assert second.closed()
        with running.dial() as hub:
            assert hub.connect(client_id="b", username="hub", password=b"other") == b"\0\0"


OVERSIZE: dict[str, tuple[bytes, bytes, list[tuple[int, bytes]]]] = {
    "100 MB before CONNECT": (b"", b"\x10" + client.varint(100 << 20), []),
    "65 KB before CONNECT": (b"", b"\x10" + client.varint((64 << 10) + 1), []),
    "limit + 1 in 3.1.1": (client.connect(), b"\x32" + client.varint(PACKET_LIMIT + 1), []),
    "limit + 1 in 5": (client.connect(5), b"\x32" + client.varint(PACKET_LIMIT + 1), [(0xE0, b"\x95\0")]),
    "256 MB in 5": (client.connect(5), b"\x32\xff\xff\xff\x7f", [(0xE0, b"\x95\0")]),
}


@pytest.mark.parametrize("name", OVERSIZE)
def test_a_packet_too_long_ends_the_connection_without_being_kept(name: str, opened: Opened) -> None:
    first, header, farewell = OVERSIZE[name]
    with opened() as running, running.dial() as device:
        body = device.packed(bytes(1 << 20))
        if first:
            device.send(first)
            device.receive()
        tracemalloc.start()
        try:
            device.send(header)
            try:
                for _ in range(20):
                    device.raw(body)
            except OSError:
                pass  # closed while we were still sending, which is the point
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # A reset may overtake the farewell where the sender does not stop.
        assert device.rest() in (farewell, [])
        assert running.ingest.submitted == []
        assert peak < 2 << 20


@pytest.mark.parametrize("name", OVERSIZE)
def test_a_client_that_listens_learns_why_its_packet_was_refused(name: str, opened: Opened) -> None:
    first, header, farewell = OVERSIZE[name]
    with opened() as running, running.dial() as device:
        if first:
            device.send(first)
            device.receive()
        device.send(header)
        assert device.rest() == farewell


def test_the_largest_packet_is_stored(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect()
        payload = os.urandom(PACKET_LIMIT - 5)
        device.send(client.publish("a", payload))
        assert ids([device.receive()], PUBACK) == [1]
        assert running.ingest.payloads() == [payload]


def test_a_device_that_is_silent_beyond_its_keep_alive_is_cut(opened: Opened) -> None:
    with opened(QUICK) as running, running.dial() as device, running.dial() as patient:
        patient.connect(client_id="patient")
        device.connect(version=5, keep_alive=1)
        assert device.rest() == [(0xE0, b"\x8d\0")]
        assert patient.barrier() == []


def test_a_slow_commit_is_not_held_against_the_device(opened: Opened) -> None:
    """While its window is full the door does not read, so it cannot know whether the device is silent."""
    limits = Limits(window_messages=1, sweep_seconds=0.05)
    with opened(limits) as running, running.dial() as device, running.dial() as other:
        device.connect(keep_alive=1)
        other.connect(client_id="other", version=5, keep_alive=1)
        running.ingest.held = True
        device.send(client.publish("a", b"1"))
        assert other.rest() == [(0xE0, b"\x8d\0")], "by now the device has been silent for as long"
        assert device.quiet()
        running.release()
        assert ids([device.receive()], PUBACK) == [1]
        assert device.barrier() == []


def test_a_packet_that_never_ends_is_given_up(opened: Opened) -> None:
    with opened(Limits(stall_seconds=0.2, sweep_seconds=0.05)) as running, running.dial() as device:
        device.connect(version=5)
        device.send(client.publish("a", b"x" * 100, version=5)[:-1])
        assert device.rest() == [(0xE0, b"\x8d\0")]


def test_a_device_that_does_not_read_its_answers_is_not_read_and_then_given_up(opened: Opened) -> None:
    requests = client.unsubscribe(1, ["a"] * 1000, 5) * 10_000  # 10 MB of answers fit into no buffer
    limits = Limits(stall_seconds=0.5, sweep_seconds=0.05)
    with opened(limits) as running, running.dial(receive_buffer=4096) as device:
        device.connect(version=5)
        with pytest.raises(OSError, match=r"reset|pipe"):
            device.send(requests)


def test_no_more_is_taken_than_the_window_until_it_is_stored(opened: Opened) -> None:
    limits = Limits(window_messages=10, turn_packets=4)
    count = 20_000
    with opened(limits) as running, running.dial() as device:
        device.connect()
        running.ingest.held = True
        burst = b"".join(client.publish("a", bytes(500), 1, n) for n in range(1, count + 1))
        sender = threading.Thread(target=device.send, args=(burst,))
        sender.start()
        running.ingest.wait(lambda: len(running.ingest.submitted) >= 10)
        for _ in range(20):
            running.call(lambda: None)
        assert len(running.ingest.submitted) < limits.window_messages + limits.turn_packets
        assert sender.is_alive(), "ten megabytes fit into no socket's buffer"
        running.release()
        assert ids([device.receive() for _ in range(count)], PUBACK) == list(range(1, count + 1))
        sender.join()


def test_bytes_in_flight_are_bounded_too(opened: Opened) -> None:
    limits = Limits(window_bytes=200_000, turn_packets=1)
    with opened(limits) as running, running.dial() as device:
        device.connect()
        running.ingest.held = True
        device.send(*(client.publish("a", bytes(100_000), 1, n) for n in range(1, 6)))
        running.ingest.wait(lambda: len(running.ingest.submitted) >= 2)
        for _ in range(20):
            running.call(lambda: None)
        assert len(running.ingest.submitted) == 2
        running.release()
        assert ids([device.receive() for _ in range(5)], PUBACK) == [1, 2, 3, 4, 5]


def test_all_connections_together_are_bounded_and_go_on_when_there_is_room(opened: Opened) -> None:
    limits = Limits(total_bytes=100_000, turn_packets=1)
    with opened(limits) as running, running.dial() as first, running.dial() as second:
        first.connect(client_id="a")
        second.connect(client_id="b")
        running.ingest.held = True
        first.send(client.publish("a", bytes(100_000)))
        running.ingest.wait(lambda: len(running.ingest.submitted) == 1)
        second.send(client.publish("a", b"1"), client.publish("a", b"2", 1, 2))
        for _ in range(20):
            running.call(lambda: None)
        assert len(running.ingest.submitted) <= 2  # it had already been reading when the budget was used up
        running.release()
        assert ids([first.receive()], PUBACK) == [1]
        assert ids([second.receive(), second.receive()], PUBACK) == [1, 2]


def test_memory_in_flight_is_given_back_when_its_device_has_gone(opened: Opened) -> None:
    limits = Limits(total_bytes=100_000)
    with opened(limits) as running, running.dial() as other:
        other.connect(client_id="b")
        with running.dial() as device:
            device.connect(client_id="a")
            running.ingest.held = True
            device.send(client.publish("a", bytes(100_000)))
            running.ingest.wait(lambda: len(running.ingest.submitted) == 1)
        running.release()
        other.send(client.publish("a", b"1"))
        assert ids([other.receive()], PUBACK) == [1]


def test_what_had_been_read_is_stored_although_the_connection_broke(opened: Opened) -> None:
    """The break is noticed at the first acknowledgement, with most of the messages still to be parsed."""
    limits = Limits(turn_seconds=0.0, turn_packets=1)
    with opened(limits) as running, running.dial() as device:
        device.connect()
        reset = struct.pack("ii", 1, 0)
        device.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        running.ingest.on_submit = device.socket.close
        device.send(
            client.publish("a", b"first", 1), *(client.publish("a", b"%d" % n, 0) for n in range(999))
        )
        running.ingest.wait(lambda: len(running.ingest.stored) == 1000)
        assert running.call(lambda: running.endpoint.disconnect("meter")) == 0, "its session has ended"


def test_a_flood_waits_for_the_turns_of_others(opened: Opened) -> None:
    limits = Limits(turn_seconds=0.0, turn_packets=16)
    with opened(limits) as running, running.dial() as flood, running.dial() as device:
        flood.connect(client_id="flood")
        device.connect(client_id="device")
        burst = b"".join(client.publish("flood", b"x", 0) for _ in range(5000))

        def at_once() -> None:  # on the door's loop, so that it finds both when it looks again
            flood.send(burst)
            device.send(client.publish("device", b"y"))

        running.call(at_once)
        running.ingest.wait(lambda: len(running.ingest.stored) == 5001)
        assert running.ingest.topics().index("device") < 200


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_any_bytes_on_a_socket_end_it_or_are_answered(data: bytes, authenticated: bool) -> None:
    running = SHARED[0]
    with RawClient(running.port) as mad, RawClient(running.port) as good:
        if authenticated:
            mad.connect(client_id="mad")
        mad.send(data)
        mad.socket.shutdown(socket.SHUT_WR)
        mad.rest()
        good.connect(client_id="good")
        good.send(client.publish("good", b"x"))
        assert ids([good.receive()], PUBACK) == [1]


SHARED: list[Door] = []


@pytest.fixture(autouse=True, scope="module")
def _shared_door() -> Iterator[None]:
    """One door for all the random bytes; at the end no connection is left behind."""
    with door(QUICK) as running:
        SHARED.append(running)
        yield
        while running.call(lambda: running.endpoint.counters.connections):
            pass
        SHARED.clear()


def test_a_login_is_not_delayed_by_wrong_ones_from_the_same_address(opened: Opened) -> None:
    """A neighbour's guesses slow down the neighbour."""
    with opened() as running, ExitStack() as stack:
        wrong = client.connect(4, "me", "meter", b"wrong")
        guesses = [stack.enter_context(running.dial()) for _ in range(300)]  # in less than three seconds
        for guess in guesses:
            guess.send(wrong)
        with running.dial() as device:
            assert device.connect() == b"\0\0"
        answers = [guess.rest() for guess in guesses]
        assert [(0x20, b"\0\4")] in answers
        assert [] in answers, "more than a hundred at once are not even answered"
