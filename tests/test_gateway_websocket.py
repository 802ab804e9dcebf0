"""MQTT in WebSockets: the upgrade, frames as they may and may not be, and both ends of a connection.

What a session promises whatever carries it is tested over both in ``test_gateway_endpoint*``.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import struct
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mqtt import PACKET_LIMIT
from gateway.node.limits import Limits
from gateway.node.tls import open_tls
from tests import mqtt_client as client
from tests.mqtt_client import ids
from tests.mqtt_door import Door
from tests.mqtt_door import door as any_door
from tests.websocket_client import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    WebSocketClient,
    accept_key,
    frame,
    request,
)

PUBACK = 0x40
QUICK = Limits(connect_seconds=0.2, stall_seconds=0.2, sweep_seconds=0.05)
door = partial(any_door, websocket=True)


# --- the upgrade ------------------------------------------------------------------------------


def test_an_upgrade_is_answered_as_the_rfc_says() -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    offered = request(
        sec_websocket_key=key,
        sec_websocket_protocol="chat, mqtt",
        sec_websocket_extensions="permessage-deflate; client_max_window_bits",
    )
    with door() as running, WebSocketClient(running.port, upgrade=offered) as device:
        assert device.status == 101
        assert device.headers["sec-websocket-accept"] == accept_key(key)
        assert device.headers["sec-websocket-protocol"] == "mqtt"
        assert "sec-websocket-extensions" not in device.headers, "compression is off"
        assert device.connect() == b"\0\0"


def test_the_example_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # section 1.3


ACCEPTED = {
    "MQTT 3.1's name": request(sec_websocket_protocol="mqttv3.1"),
    "a query": request("/mqtt?client=1"),
    "several connection options": request(connection="keep-alive, Upgrade"),
    "a foreign page": request(origin="https://attacker.example"),
    "a page without an origin": request(origin="null"),
    "another host": request(host="rebound.example"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_upgrade_may_look_like_this(name: str) -> None:
    with door() as running, WebSocketClient(running.port, upgrade=ACCEPTED[name]) as device:
        assert device.status == 101
        assert device.connect() == b"\0\0"


REFUSED: dict[str, tuple[bytes, int]] = {
    "another path": (request("/"), 404),
    "a path below": (request("/mqtt/x"), 404),
    "another subprotocol": (request(sec_websocket_protocol="chat"), 400),
    "no subprotocol": (request(without="sec-websocket-protocol"), 400),
    "no upgrade": (request(without="upgrade"), 426),
    "a browser that only looks": (b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n", 426),
    "another version": (request(sec_websocket_version="8"), 400),
    "no key": (request(without="sec-websocket-key"), 400),
    "a short key": (request(sec_websocket_key="AAAA"), 400),
    "another method": (request().replace(b"GET", b"POST", 1), 405),
    "HTTP/1.0": (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
    "a long header": (request(x="y" * 20_000), 431),
    "many headers": (request(**{f"x{n}": "y" for n in range(400)}), 431),
    "a long path": (request("/" + "x" * 9000), 414),
    "a body": (request(content_length="5") + b"hello", 0),
    "no HTTP": (b"\x16\x03\x01\x02\0" * 20 + b"\r\n\r\n", 0),
    "MQTT by itself": (client.connect() + b"\r\n\r\n", 0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_upgrade_that_is_none_is_refused_and_ends(name: str) -> None:
    upgrade, status = REFUSED[name]
    with door() as running:
        with WebSocketClient(running.port, upgrade=upgrade) as device:
            assert device.status == status
            assert device.finished()
        assert running.ingest.attempts == 0


def test_a_request_is_not_kept_beyond_its_limit() -> None:
    """Nobody may fill memory with headers, however small each of them is."""
    with door() as running, WebSocketClient(running.port) as other:
        tracemalloc.start()
        try:
            with WebSocketClient(running.port, upgrade=request()[:-2], early=b"a: b\r\n" * 100_000) as device:
                assert device.status in (431, 0)  # a reset may overtake the answer
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 4 << 20, "600 kB of them are the test's own, three times"
        assert other.connect() == b"\0\0"


def test_a_foreign_page_without_the_password_gets_nowhere_and_is_slowed_down() -> None:
    """Origin is not looked at: the control is that the password is, at the pace of any stranger."""
    foreign = request(origin="https://attacker.example", cookie="session=1", authorization="Basic bWV0ZXI6")
    with door() as running, ExitStack() as stack:
        pages = [stack.enter_context(WebSocketClient(running.port, upgrade=foreign)) for _ in range(150)]
        for page in pages:
            page.send(client.connect(4, "me", "meter", b"guess"))
        answers = [page.rest() for page in pages]
        assert [(0x20, b"\0\4")] in answers
        assert [] in answers, "more than a hundred at once are not even answered"
        assert running.ingest.stored == []
        assert running.endpoint.counters.accepted == 0


# --- frames -----------------------------------------------------------------------------------


def test_packets_and_frames_share_no_boundaries() -> None:
    packet = client.publish("a", b"x" * 300)
    with door() as running, WebSocketClient(running.port) as device:
        device.raw(frame(client.connect() + packet))  # coalesced
        assert device.receive() == (0x20, b"\0\0")
        assert device.receive() == (PUBACK, b"\0\1")
        for byte in packet:  # a frame for each byte
            device.raw(frame(bytes((byte,))))
        assert device.receive() == (PUBACK, b"\0\1")
        device.raw(
            frame(packet[:7], fin=False), frame(b"", CONT, fin=False), frame(packet[7:] + packet, CONT)
        )
        assert [device.receive(), device.receive()] == [(PUBACK, b"\0\1")] * 2
        assert len(running.ingest.stored) == 4


def test_a_ping_is_answered_also_within_a_message() -> None:
    packet = client.publish("a", b"x")
    with door() as running, WebSocketClient(running.port) as device:
        device.connect()
        device.raw(frame(packet[:3], fin=False), frame(b"still there?", PING), frame(packet[3:], CONT))
        assert device.frame() == (PONG, b"still there?")
        assert device.receive() == (PUBACK, b"\0\1")
        device.raw(frame(b"unasked", PONG))
        assert device.barrier() == []


def test_bytes_that_run_ahead_of_the_answer_are_read_after_it() -> None:
    early = frame(b"hi", PING) + frame(client.connect())
    with door() as running, WebSocketClient(running.port, early=early) as device:
        assert device.status == 101
        assert device.frame() == (PONG, b"hi")
        assert device.receive() == (0x20, b"\0\0")


FAULTS: dict[str, tuple[bytes, int]] = {
    "text": (frame(client.PINGREQ, TEXT), 1003),
    "text in pieces": (frame(b"a", TEXT, fin=False) + frame(b"b", CONT), 1003),
    "not masked": (frame(client.PINGREQ, mask=False), 1002),
    "a reserved bit": (frame(client.PINGREQ, rsv=4), 1002),
    "an unknown opcode": (frame(b"", 3), 1002),
    "a continuation of nothing": (frame(b"x", CONT), 1002),
    "a message within a message": (frame(b"\xc0", fin=False) + frame(b"\0"), 1002),
    "a ping in pieces": (frame(b"x", PING, fin=False), 1002),
    "a long ping": (frame(b"x" * 126, PING), 1002),
    "a closing code that does not exist": (frame(b"\0\1", CLOSE), 1002),
    "half a closing code": (frame(b"\3", CLOSE), 1002),
    "a closing reason that is no text": (frame(b"\3\xe8\xff", CLOSE), 1007),
    "a frame over the limit": (frame(b"", lie=PACKET_LIMIT + 6), 1009),
    "a frame of all there is": (frame(b"", lie=(1 << 63) - 1), 1009),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_a_frame_ends_the_connection_and_says_which(name: str) -> None:
    """What came before it is stored and acknowledged."""
    bad, code = FAULTS[name]
    with door() as running, WebSocketClient(running.port) as device:
        device.connect()
        device.send(client.publish("a", b"before"))
        assert device.receive() == (PUBACK, b"\0\1")
        device.raw(bad)
        assert device.rest() == []
        assert device.closing == code
        assert device.finished()
        while running.call(lambda: running.endpoint.counters.connections):
            pass
        assert running.ingest.payloads() == [b"before"]


def test_before_connect_a_frame_is_bounded_like_a_packet() -> None:
    limits = Limits()
    with door() as running:
        with WebSocketClient(running.port) as stranger:
            stranger.raw(frame(b"", lie=limits.connect_bytes + 6))
            assert stranger.rest() == []
            assert stranger.closing == 1009
        with WebSocketClient(running.port) as device:
            device.connect()
            largest = client.publish("a", os.urandom(PACKET_LIMIT - 5))
            device.raw(frame(largest))
            assert device.receive() == (PUBACK, b"\0\1")


def test_a_large_frame_is_refused_from_its_header_and_not_kept() -> None:
    sent = bytes(1 << 20)
    header = frame(b"", lie=100 << 20)
    with door() as running, WebSocketClient(running.port) as device:
        device.connect()
        tracemalloc.start()
        try:
            device.raw(header)
            try:
                for _ in range(20):
                    device.raw(sent)
            except OSError:
                pass  # closed while we were still sending, which is the point
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2 << 20


# --- the end ----------------------------------------------------------------------------------


def test_the_device_closes_and_is_answered_with_its_own_code() -> None:
    with door() as running, WebSocketClient(running.port) as device:
        device.connect()
        device.raw(frame(b"\x0f\xa0bye", CLOSE))  # 4000
        assert device.frame() == (CLOSE, b"\x0f\xa0bye")
        assert device.finished()


def test_what_came_before_the_closing_frame_is_stored() -> None:
    """Messages without acknowledgement have no second chance."""
    count = 3000
    with door() as running:
        with WebSocketClient(running.port) as device:
            device.connect()
            device.raw(*(frame(client.publish("a", b"%d" % n, 0)) for n in range(count)), frame(b"", CLOSE))
            assert device.rest() == []
            assert device.closing == 1005
        running.ingest.wait(lambda: len(running.ingest.stored) == count)
        assert running.ingest.payloads() == [b"%d" % n for n in range(count)]


def test_what_had_been_read_is_stored_although_the_connection_broke() -> None:
    """The break comes while most frames still wait for their turn."""
    limits = Limits(turn_seconds=0.0, turn_packets=1)
    with door(limits) as running, WebSocketClient(running.port) as device:
        device.connect()
        device.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        running.ingest.on_submit = device.socket.close
        device.raw(*(frame(client.publish("a", b"%d" % n, 0)) for n in range(1000)))
        running.ingest.wait(lambda: len(running.ingest.stored) == 1000)
        while running.call(lambda: running.endpoint.counters.connections):
            pass
        assert running.call(lambda: running.endpoint.disconnect("meter")) == 0, "its session has ended"


def test_the_door_closes_behind_its_last_packet_and_waits_for_the_answer() -> None:
    with door(Limits(linger_seconds=30)) as running, WebSocketClient(running.port) as device:
        device.connect(version=5)
        assert running.call(lambda: running.endpoint.disconnect("meter")) == 1
        assert device.receive() == (0xE0, b"\x98\0")
        assert device.frame() == (CLOSE, b"\x03\xe8")
        assert device.quiet(), "the connection itself is still there"
        device.raw(frame(b"late"), frame(b"\x03\xe8", CLOSE))
        assert device.finished()
        assert running.ingest.submitted == []


def test_a_device_that_never_answers_a_closing_frame_is_cut_off() -> None:
    with (
        door(Limits(linger_seconds=0.1, sweep_seconds=0.05)) as running,
        WebSocketClient(running.port) as mute,
    ):
        mute.connect(version=5)
        running.call(lambda: running.endpoint.disconnect("meter"))
        while running.call(lambda: running.endpoint.counters.connections):
            pass


def test_draining_closes_every_websocket_whatever_it_was_doing() -> None:
    with door() as running, ExitStack() as stack:
        idle, busy, half = (stack.enter_context(WebSocketClient(running.port)) for _ in range(3))
        raw = stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=10))
        raw.sendall(request()[:40])  # in the middle of its request
        idle.connect(version=5, client_id="idle")
        busy.connect(client_id="busy")
        half.connect(client_id="half")
        half.raw(frame(client.publish("a", b"x"))[:9])
        running.ingest.held = True
        busy.send(client.publish("a", b"x"))
        running.ingest.wait(lambda: len(running.ingest.submitted) == 1)
        draining = running.call(lambda: running.loop.create_task(running.endpoint.drain(20)))
        assert idle.rest() == [(0xE0, b"\x8b\0")]
        assert half.rest() == []
        assert raw.recv(1) == b""
        running.release()
        assert busy.rest() == [(PUBACK, b"\0\1")]
        assert {idle.closing, half.closing, busy.closing} == {1000}

        async def finished() -> bool:
            return await draining

        assert running.run(finished())


# --- clients that are slow, greedy or mad -------------------------------------------------------


def test_a_request_that_drips_is_closed_however_steadily_it_drips() -> None:
    with door(QUICK) as running, socket.create_connection(("127.0.0.1", running.port), timeout=10) as slow:
        stop = threading.Event()

        def drip() -> None:
            for byte in request(x="y" * 8000):
                if stop.wait(0.01):
                    return
                try:
                    slow.sendall(bytes((byte,)))
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert slow.recv(1) == b""
        except ConnectionResetError:
            pass  # it was still sending
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize(
    "sent",
    [b"", frame(b"hi", PING), frame(client.connect())[:9], frame(b"", fin=False)],
    ids=["nothing", "a ping", "half a CONNECT", "the beginning of a message"],  # masks are drawn
)
def test_an_upgrade_without_connect_is_closed_in_time(sent: bytes) -> None:
    with door(QUICK) as running, WebSocketClient(running.port) as silent:
        silent.raw(sent)
        assert silent.rest() == []
        assert silent.closing == 1000
        assert running.ingest.attempts == 0


@pytest.mark.parametrize("cut", [1, 2, 5, 8, -1])
def test_a_frame_that_never_ends_is_given_up(cut: int) -> None:
    with door(QUICK) as running, WebSocketClient(running.port) as device:
        device.connect(version=5)
        device.raw(frame(client.publish("a", b"x" * 100, version=5))[:cut])
        assert device.rest() == [(0xE0, b"\x8d\0")]


def test_a_device_that_is_idle_between_frames_is_left_alone() -> None:
    """The control of the test before: twice the time in which a frame must end."""
    with door(QUICK) as running, WebSocketClient(running.port) as idle:
        idle.connect(client_id="idle")
        for _ in range(2):
            with WebSocketClient(running.port) as other:
                other.connect(version=5, client_id="other")
                other.raw(frame(b"x")[:3])
                assert other.rest() == [(0xE0, b"\x8d\0")]
        assert idle.barrier() == []


@pytest.mark.parametrize("kind", [PING, BINARY])
def test_a_flood_of_empty_frames_waits_for_the_turns_of_others(kind: int) -> None:
    """A hundred thousand frames hold nobody up: what another sends meanwhile is stored first."""
    burst = frame(b"", kind) * 100_000
    with door() as running, WebSocketClient(running.port) as mad, WebSocketClient(running.port) as device:
        mad.connect(client_id="mad")
        device.connect(client_id="device")
        sender = threading.Thread(target=_send_all, args=(mad.socket, burst))
        reader = threading.Thread(target=_read_all, args=(mad.socket,))
        sender.start()
        reader.start()
        for n in range(1, 51):
            device.send(client.publish("a", b"x", 1, n))
            assert ids([device.receive()], PUBACK) == [n]
        with contextlib.suppress(OSError):  # it may be off already
            mad.socket.shutdown(socket.SHUT_RDWR)
        sender.join()
        reader.join()


def _send_all(to: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # ended by the test
        to.sendall(data)


def _read_all(of: socket.socket) -> None:
    try:
        while of.recv(1 << 16):
            pass
    except OSError:
        pass


# --- TLS --------------------------------------------------------------------------------------


def test_websockets_over_tls(tmp_path: Path) -> None:
    ours = open_tls(tmp_path, [], time.time())
    trusting = ssl.create_default_context(cafile=str(ours.ca_path))
    with door(tls=ours.context) as running:
        with WebSocketClient(running.port, trusting) as device:
            assert device.connect(version=5)[:2] == b"\0\0"
            device.send(client.publish("a", bytes(200_000), version=5))
            assert device.receive() == (PUBACK, b"\0\1")
            running.call(lambda: running.endpoint.disconnect("meter"))
            assert device.rest() == [(0xE0, b"\x98\0")]
            assert device.closing == 1000
        with pytest.raises(ssl.SSLCertVerificationError):
            WebSocketClient(running.port, ssl.create_default_context())
        with WebSocketClient(running.port) as plain:
            assert plain.status == 0


def test_a_session_goes_on_over_a_websocket_after_tcp() -> None:
    """One device, one session, whatever it connects with."""
    with any_door() as running:
        port = running.run(running.endpoint.start("127.0.0.1", 0, websocket=True))
        with running.dial() as first, WebSocketClient(port) as second:
            first.connect(client_id="same", version=5)
            second.connect(client_id="same", version=5)
            assert first.rest() == [(0xE0, b"\x8e\0")]
            assert running.call(lambda: running.endpoint.disconnect("meter")) == 1


# --- any bytes --------------------------------------------------------------------------------

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


def still_serves(running: Door) -> None:
    """Another device is stored and acknowledged."""
    with WebSocketClient(running.port) as good:
        good.connect(client_id="good")
        good.send(client.publish("good", b"x"))
        assert ids([good.receive()], PUBACK) == [1]


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_instead_of_a_request_end_or_wait(data: bytes) -> None:
    running = SHARED[0]
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as mad:
        mad.sendall(data)
        mad.shutdown(socket.SHUT_WR)
        _read_all(mad)
    still_serves(running)


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=300), st.booleans())
def test_any_bytes_instead_of_frames_end_it_or_are_answered(data: bytes, authenticated: bool) -> None:
    running = SHARED[0]
    with WebSocketClient(running.port) as mad:
        if authenticated:
            mad.connect(client_id="mad")
        mad.raw(data)
        mad.socket.shutdown(socket.SHUT_WR)
        _read_all(mad.socket)
    still_serves(running)


frames = st.builds(
    frame,
    st.binary(max_size=150),
    st.sampled_from([CONT, TEXT, BINARY, 3, CLOSE, PING, PONG, 11]),
    fin=st.booleans(),
    mask=st.sampled_from([True, True, True, False]),
    rsv=st.sampled_from([0, 0, 0, 0, 1, 7]),
    lie=st.sampled_from([0, 0, 0, 0, 1, 1000, 1 << 20, 1 << 62]),
)


@settings(max_examples=60)
@given(st.lists(frames, min_size=1, max_size=8), st.booleans())
def test_any_frames_end_it_or_are_answered(sent: list[bytes], authenticated: bool) -> None:
    running = SHARED[0]
    with WebSocketClient(running.port) as mad:
        if authenticated:
            mad.connect(client_id="mad")
        mad.raw(*sent)
        mad.socket.shutdown(socket.SHUT_WR)
        _read_all(mad.socket)
    still_serves(running)


@settings(max_examples=60)
@given(st.data())
def test_however_packets_are_cut_into_frames_the_same_is_stored(data: st.DataObject) -> None:
    """Frames, messages of several frames, pings between them, and TCP segments: none of them matters."""
    running = SHARED[0]
    running.ingest.stored.clear()
    payloads = data.draw(st.lists(st.binary(max_size=40), min_size=1, max_size=12))
    stream = client.connect() + b"".join(
        client.publish("a", payload, 1, n) for n, payload in enumerate(payloads, 1)
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    wire, within = b"", False
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        if data.draw(st.booleans()):
            wire += frame(b"?", PING)
        last = end == len(stream) or data.draw(st.booleans())
        wire += frame(stream[begin:end], CONT if within else BINARY, fin=last)
        within = not last
    with WebSocketClient(running.port) as device:
        sizes = data.draw(st.lists(st.integers(1, 60), max_size=8))
        for size in sizes:
            device.raw(wire[:size])
            wire = wire[size:]
        device.raw(wire)
        assert device.receive() == (0x20, b"\0\0")
        assert ids([device.receive() for _ in payloads], PUBACK) == list(range(1, len(payloads) + 1))
    assert running.ingest.payloads() == payloads
