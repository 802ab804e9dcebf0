"""What is not MQTT: a table of packets with one fault each, and the reason each is refused with."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ProtocolError
from gateway.mqtt import (
    CONNECT_LIMIT,
    PACKET_LIMIT,
    Connack,
    Connect,
    Connection,
    Publish,
    Reason,
    State,
    Version,
)
from gateway.mqtt.text import topic_filter, topic_name
from tests import mqtt_client as client
from tests.mqtt_client import field, frame
from tests.test_gateway_mqtt_codec import CONNECTS, PACKETS, connected

M, P = Reason.MALFORMED, Reason.PROTOCOL_ERROR
TOPIC, FILTER, QUOTA = Reason.TOPIC_NAME_INVALID, Reason.TOPIC_FILTER_INVALID, Reason.QUOTA_EXCEEDED


def head(version: int, flags: int) -> bytes:
    """The beginning of a CONNECT, up to the keep alive."""
    return field("MQTT") + bytes((version, flags)) + b"\0\0"


BEFORE_CONNECT: dict[str, tuple[bytes, Reason]] = {
    **{
        f"packet type {kind} comes first": (bytes((kind << 4 | (2 if kind in (6, 8, 10) else 0),)), P)
        for kind in range(2, 16)
    },
    "packet type 0": (b"\0", M),
    "flags on CONNECT": (b"\x11", M),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", P),
    "TLS": (b"\x16\x03\x01\x02\0", M),
    "an unknown protocol name": (
        frame(0x10, field("MQTS") + b"\4\2\0\0" + field("")),
        Reason.UNSUPPORTED_VERSION,
    ),
    "an unknown level": (frame(0x10, field("MQTT") + b"\6\2\0\0" + field("")), Reason.UNSUPPORTED_VERSION),
    "a bridge's level": (frame(0x10, field("MQTT") + b"\x84\2\0\0" + field("")), Reason.UNSUPPORTED_VERSION),
    "the name of 3.1 with the level of 3.1.1": (
        frame(0x10, field("MQIsdp") + b"\4\2\0\0" + field("")),
        Reason.UNSUPPORTED_VERSION,
    ),
    "an empty CONNECT": (frame(0x10, b""), M),
    "CONNECT cut off after its name": (frame(0x10, field("MQTT")), M),
    "CONNECT cut off in the client id": (frame(0x10, head(4, 2) + b"\0\5me"), M),
    "CONNECT with bytes behind it": (frame(0x10, head(4, 2) + field("me") + b"\0"), M),
    "the reserved flag": (frame(0x10, head(4, 3) + field("me")), M),
    "a Will of QoS 3": (frame(0x10, head(4, 0x1E) + field("") + field("a") + field("")), M),
    "a Will's QoS without a Will": (frame(0x10, head(4, 0x0A) + field("")), M),
    "a Will's RETAIN without a Will": (frame(0x10, head(4, 0x22) + field("")), M),
    "a Will to a wildcard": (client.connect(will=("a/#", b"", 0, False)), TOPIC),
    "a password without a user name in 3.1.1": (client.connect(4, "me", None, b"x"), M),
    "a user name that is not UTF-8": (frame(0x10, head(4, 0x82) + field("me") + field(b"\xff")), M),
    "a client id with U+0000": (client.connect(4, "m\0e"), M),
    "a client id with a surrogate": (frame(0x10, head(4, 2) + field(b"\xed\xa0\x80")), M),
    "an overlong form of /": (frame(0x10, head(4, 2) + field(b"\xc0\xaf")), M),
    "5 without a property length": (frame(0x10, head(5, 2)), M),
    "authentication data without a method": (client.connect(5, properties=b"\x16\0\1x"), P),
    "a receive maximum of 0": (client.connect(5, properties=b"\x21\0\0"), P),
    "a maximum packet size of 0": (client.connect(5, properties=b"\x27\0\0\0\0"), P),
    "a request for problem information of 2": (client.connect(5, properties=b"\x17\2"), P),
    "a property given twice": (client.connect(5, properties=b"\x21\0\1\x21\0\1"), P),
    "a property that is a server's": (client.connect(5, properties=b"\x24\1"), P),
    "a property of PUBLISH": (client.connect(5, properties=b"\x23\0\1"), P),
    "an unknown property": (client.connect(5, properties=b"\x7e\0"), M),
    "a property cut off": (client.connect(5, properties=b"\x11\0\0"), M),
    "a property length beyond the packet": (frame(0x10, head(5, 2) + b"\x7f"), M),
    "a property length of five bytes": (frame(0x10, head(5, 2) + b"\xff\xff\xff\xff\1"), M),
    "a property length in a longer form": (frame(0x10, head(5, 2) + b"\x80\0" + field("")), M),
    "257 user properties": (client.connect(5, properties=b"&\0\0\0\0" * 257), QUOTA),
    "a length of five bytes": (b"\x10\x80\x80\x80\x80", M),
    "a length in a longer form": (b"\x10\x80\0", M),
    "a length above the limit before CONNECT": (
        b"\x10" + client.varint(CONNECT_LIMIT + 1),
        Reason.PACKET_TOO_LARGE,
    ),
    "the largest length there is": (b"\x10\xff\xff\xff\x7f", Reason.PACKET_TOO_LARGE),
}

TOPICS: dict[str, bytes] = {
    "empty": b"",
    "+": b"+",
    "#": b"#",
    "a wildcard inside": b"a/b+/c",
}

NAMES: dict[str, bytes] = {
    "$SYS": b"$SYS/x",
    "$share": b"$share/g/x",
    "climbing": b"../../v2",
    "as long as MQTT can": b"x" * 65535,
    "200 levels": b"/".join([b"x"] * 200),
    "a control character": b"a\nb",
    "a full-width +": "a/\uff0b".encode(),
}

CONNECTED: dict[str, tuple[int, bytes, Reason]] = {
    "a second CONNECT": (4, client.connect(), P),
    "CONNACK from a client": (4, b"\x20\2\0\0", P),
    "PUBACK for nothing": (4, b"\x40\2\0\1", P),
    "PUBREC for nothing": (4, b"\x50\2\0\1", P),
    "PUBCOMP for nothing": (4, b"\x70\2\0\1", P),
    "SUBACK from a client": (4, b"\x90\3\0\1\0", P),
    "UNSUBACK from a client": (4, b"\xb0\2\0\1", P),
    "PINGRESP from a client": (4, b"\xd0\0", P),
    "AUTH without a method": (5, b"\xf0\0", P),
    "AUTH in 3.1.1": (4, b"\xf0\0", P),
    "packet type 0": (4, b"\0\0", M),
    "QoS 3": (4, b"\x36\5\0\1a\0\1", M),
    "DUP with QoS 0": (4, b"\x38\3\0\1a", M),
    "PUBREL without its flag": (4, b"\x60\2\0\1", M),
    "PUBREL with DUP in 3.1.1": (4, b"\x6a\2\0\1", M),
    "SUBSCRIBE without its flag": (4, b"\x80\6\0\1\0\1a\0", M),
    "PINGREQ with a flag": (4, b"\xc1\0", M),
    "DISCONNECT with a flag": (4, b"\xe8\0", M),
    "an empty PUBLISH": (4, b"\x30\0", M),
    "a PUBLISH of one byte": (4, b"\x30\1\0", M),
    "a topic beyond its packet": (4, b"\x30\3\0\2a", M),
    "a topic that reaches into the next packet": (4, b"\x30\3\0\x04a\xc0\0\xc0\0", M),
    "QoS 1 without a packet id": (4, b"\x32\3\0\1a", M),
    "QoS 1 with half a packet id": (4, b"\x32\4\0\1a\1", M),
    "packet id 0": (4, client.publish("a", b"x", 1, 0), M),
    "packet id 0 with QoS 2": (5, client.publish("a", b"x", 2, 0, version=5), M),
    "a topic that is not UTF-8": (4, client.publish(b"\xff", b"x"), M),
    "a topic with U+0000": (4, client.publish("a\0b", b"x"), M),
    "a topic with a surrogate": (4, client.publish(b"\xed\xa0\x80", b"x"), M),
    **{f"topic: {name}": (4, client.publish(raw, b"x"), TOPIC) for name, raw in TOPICS.items()},
    "5: PUBLISH without a property length": (5, b"\x32\5\0\1a\0\1", M),
    "5: properties beyond the packet": (5, b"\x32\x08\0\1a\0\1\5\1\1", M),
    "5: a property twice": (5, client.publish("a", b"", version=5, properties=b"\1\1\1\1"), P),
    "5: a payload format of 2": (5, client.publish("a", b"", version=5, properties=b"\1\2"), P),
    "5: a subscription identifier": (5, client.publish("a", b"", version=5, properties=b"\x0b\1"), P),
    "5: a topic alias": (
        5,
        client.publish("a", b"", version=5, properties=b"\x23\0\1"),
        Reason.TOPIC_ALIAS_INVALID,
    ),
    "5: an alias in place of a topic": (
        5,
        client.publish("", b"", version=5, properties=b"\x23\0\1"),
        Reason.TOPIC_ALIAS_INVALID,
    ),
    "5: a response topic with a wildcard": (
        5,
        client.publish("a", b"", version=5, properties=b"\x08\0\1#"),
        P,
    ),
    "5: a content type that is not UTF-8": (
        5,
        client.publish("a", b"", version=5, properties=b"\3\0\1\xff"),
        M,
    ),
    "PUBREL with packet id 0": (4, b"\x62\2\0\0", M),
    "PUBREL with a reason in 3.1.1": (4, b"\x62\3\0\1\0", M),
    "PUBREL with an unknown reason": (5, b"\x62\3\0\1\1", M),
    "SUBSCRIBE to nothing": (4, b"\x82\2\0\1", P),
    "SUBSCRIBE with packet id 0": (4, client.subscribe(0, [("a", 0)]), M),
    "SUBSCRIBE with QoS 3": (4, client.subscribe(1, [("a", 3)]), M),
    "SUBSCRIBE with options of 5 in 3.1.1": (4, client.subscribe(1, [("a", 4)]), M),
    "SUBSCRIBE with reserved options": (5, client.subscribe(1, [("a", 0x40)], 5), M),
    "SUBSCRIBE with retain handling 3": (5, client.subscribe(1, [("a", 0x30)], 5), M),
    "SUBSCRIBE with identifier 0": (5, client.subscribe(1, [("a", 0)], 5, b"\x0b\0"), P),
    "No Local on a shared subscription": (5, client.subscribe(1, [("$share/g/a", 4)], 5), P),
    "an empty filter": (4, client.subscribe(1, [("", 0)]), FILTER),
    "# in the middle of a filter": (4, client.subscribe(1, [("#/a", 0)]), FILTER),
    "# beside other characters": (4, client.subscribe(1, [("a#", 0)]), FILTER),
    "+ beside other characters": (4, client.subscribe(1, [("a+/b", 0)]), FILTER),
    "a filter of 200 levels": (4, client.subscribe(1, [("/" * 200, 0)]), FILTER),
    "1025 filters": (4, client.subscribe(1, [("a", 0)] * 1025), QUOTA),
    "UNSUBSCRIBE from nothing": (4, b"\xa2\2\0\1", P),
    "UNSUBSCRIBE from 1025 filters": (4, client.unsubscribe(1, ["a"] * 1025), QUOTA),
    "PINGREQ with a body": (4, b"\xc0\1\0", M),
    "DISCONNECT with a body in 3.1.1": (4, b"\xe0\1\0", M),
    "DISCONNECT with a server's reason": (5, b"\xe0\1\x8e", M),
    "DISCONNECT that gives a session an expiry it did not have": (5, b"\xe0\7\0\5\x11\0\0\0\1", P),
    "a length above the limit": (4, b"\x30" + client.varint(PACKET_LIMIT + 1), Reason.PACKET_TOO_LARGE),
    "a length of five bytes": (4, b"\x30\xff\xff\xff\xff\1", M),
    "a length in a longer form": (4, b"\xc0\x80\0", M),
}


@pytest.mark.parametrize("way", ["whole", "byte by byte"])
@pytest.mark.parametrize("name", BEFORE_CONNECT)
def test_what_is_no_connect_is_refused_before_anything_else(name: str, way: str) -> None:
    data, reason = BEFORE_CONNECT[name]
    refuse(Connection(), data, reason, way)


@pytest.mark.parametrize("way", ["whole", "byte by byte"])
@pytest.mark.parametrize("name", CONNECTED)
def test_a_packet_with_a_fault_is_refused_with_its_reason(name: str, way: str) -> None:
    version, data, reason = CONNECTED[name]
    refuse(connected(version), data, reason, way)


def refuse(connection: Connection, data: bytes, reason: Reason, way: str) -> None:
    came: list[object] = []

    def feed() -> None:
        for piece in [data] if way == "whole" else [data[at : at + 1] for at in range(len(data))]:
            came.extend(connection.receive(piece))

    with pytest.raises(ProtocolError) as caught:
        feed()
    assert came == []
    assert caught.value.reason == reason
    assert connection.buffered == 0


def test_the_table_of_faults_is_not_refused_for_want_of_a_good_neighbour() -> None:
    """The control: the packets the faults were made from are all accepted."""
    for version, data, expected in PACKETS.values():
        assert connected(version).receive(data) == [expected]
    for data, connect in CONNECTS.values():
        assert Connection().receive(data) == [connect]


GOOD_TOPICS = [
    "a",
    "/",
    "a//b",
    "zigbee2mqtt/Küche",
    "owntracks/jo/phone",
    "a.b/..c",
    "homie/x/$state",
    "室温/°C",
    "℃",
]


@pytest.mark.parametrize("name", GOOD_TOPICS)
def test_topics_of_real_devices_are_taken(name: str) -> None:
    assert topic_name(name.encode()) == name


@pytest.mark.parametrize("name", NAMES)
def test_a_topic_is_only_a_name_whatever_it_would_mean_elsewhere(name: str) -> None:
    """ACCEPTANCE B7: kept sealed, and never part of a path or a pattern."""
    assert topic_name(NAMES[name]) == NAMES[name].decode()


@pytest.mark.parametrize("name", ["#", "+", "a/#", "+/+/#", "/", "$SYS/#", "a/+/b"])
def test_topic_filters_of_real_devices_are_taken(name: str) -> None:
    assert topic_filter(name.encode()) == name


@pytest.mark.parametrize(
    ("connection", "first", "limit"),
    [(Connection(), 0x10, CONNECT_LIMIT), (connected(), 0x32, PACKET_LIMIT)],
)
def test_a_packet_over_the_limit_is_refused_from_its_header_alone(
    connection: Connection, first: int, limit: int
) -> None:
    for byte in bytes((first,)) + client.varint(limit + 1)[:-1]:
        assert connection.receive(bytes((byte,))) == []
    with pytest.raises(ProtocolError) as caught:
        connection.receive(client.varint(limit + 1)[-1:])
    assert caught.value.reason == Reason.PACKET_TOO_LARGE


def test_a_packet_at_the_limit_is_taken() -> None:
    body = field("a") + b"\0\1"
    payload = bytes(PACKET_LIMIT - len(body))
    assert connected().receive(frame(0x32, body + payload)) == [Publish("a", payload, 1, False, False, 1)]


def test_a_packet_that_comes_byte_by_byte_costs_memory_once() -> None:
    data = client.publish("a", bytes(PACKET_LIMIT - 5))
    connection = connected()
    tracemalloc.start()
    try:
        packets = [packet for at in range(len(data)) for packet in connection.receive(data[at : at + 1])]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(packets) == 1
    assert peak < 4 * PACKET_LIMIT


def test_long_topics_are_not_kept() -> None:
    """A connection of somebody who sends many of them holds no more than another."""
    sent = [client.publish(b"%d" % n + b"x" * 60_000, b"", 0) for n in range(100)]
    connection = connected()
    tracemalloc.start()
    try:
        assert all(len(connection.receive(data)) == 1 for data in sent)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 1 << 20


# --- random bytes -----------------------------------------------------------------------------

_good = st.sampled_from([data for data, _ in CONNECTS.values()] + [data for _, data, _ in PACKETS.values()])
_near = st.builds(
    lambda data, at, byte: data[: at % len(data)] + bytes((byte,)) + data[at % len(data) + 1 :],
    _good,
    st.integers(0, 200),
    st.integers(0, 255),
)
_stream = st.lists(st.one_of(_good, _near, st.binary(max_size=40)), max_size=8).map(b"".join)


@given(_stream, st.sampled_from([None, 3, 4, 5]), st.lists(st.integers(1, 30)), st.integers(1, 5))
def test_any_bytes_become_packets_or_a_protocol_error(
    data: bytes, version: int | None, cuts: list[int], limit: int
) -> None:
    """Never another exception, never more held than given, the same packets however the bytes are cut."""
    expected, fault = run(version, [data], 1 << 30)
    pieces, rest = [], data
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    assert run(version, [*pieces, rest], limit) == (expected, fault)


def run(version: int | None, pieces: list[bytes], limit: int) -> tuple[list[object], int | None]:
    connection = Connection() if version is None else connected(version)
    given = 0
    packets: list[object] = []
    try:
        for piece in pieces:
            given += len(piece)
            more = list(connection.receive(piece, limit))
            while True:
                packets += more
                if (
                    any(isinstance(packet, Connect) for packet in more)
                    and connection.state is State.ANSWERING
                ):
                    connection.send(Connack(Reason.SUCCESS))
                assert connection.buffered <= given
                if not connection.pending:
                    break
                more = list(connection.receive(b"", limit))
    except ProtocolError as error:
        return packets, error.reason
    return packets, None


@given(
    st.sampled_from(list(Version)),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.binary(max_size=300),
    st.integers(0, 2),
    st.integers(1, 65535),
    st.booleans(),
    st.booleans(),
)
def test_what_a_client_publishes_is_what_comes_out(
    version: Version, topic: str, payload: bytes, qos: int, packet_id: int, dup: bool, retain: bool
) -> None:
    dup = dup and qos > 0
    data = client.publish(topic, payload, qos, packet_id, version=version, dup=dup, retain=retain)
    try:
        topic_name(topic.encode())
    except ProtocolError:
        return
    expected = Publish(topic, payload, qos, dup, retain, packet_id if qos else 0)
    assert connected(version).receive(data) == [expected]
