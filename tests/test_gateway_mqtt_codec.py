"""The codec: every packet read whole, byte by byte and with trailing data; every answer in its bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.errors import MisuseError, ProtocolError
from gateway.mqtt import (
    Connack,
    Connect,
    Connection,
    Disconnect,
    Pingreq,
    Pingresp,
    Property,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Reason,
    Received,
    Sent,
    State,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Version,
    Will,
    join_acks,
)
from gateway.mqtt.encode import PUBACK_WORD, PUBREC_WORD
from gateway.mqtt.packets import Kind
from gateway.mqtt.state import FIRST_BYTES, RECEIVING, SENDING
from tests import mqtt_client as client


def connected(version: int = 4, **limits: int) -> Connection:
    """A connection that has accepted a client."""
    made = Connection(**limits)
    made.receive(client.connect(version))
    made.send(Connack(Reason.SUCCESS))
    return made


CONNECTS: dict[str, tuple[bytes, Connect]] = {
    "3.1": (
        client.connect(3, "me", keep_alive=60),
        Connect(Version.V31, True, 60, "me", "meter", b"right", None),
    ),
    "3.1.1 with a persistent session": (
        client.connect(4, "me", clean=False),
        Connect(Version.V311, False, 0, "me", "meter", b"right", None),
    ),
    "3.1.1 with a Will": (
        client.connect(4, "", will=("a/lwt", b"offline", 1, True)),
        Connect(Version.V311, True, 0, "", "meter", b"right", Will("a/lwt", b"offline", 1, True)),
    ),
    "3.1.1 without credentials": (
        client.connect(4, "me", None, None),
        Connect(Version.V311, True, 0, "me", None, None, None),
    ),
    "5 with every property and a Will": (
        client.connect(
            5,
            "me",
            keep_alive=0xFFFF,
            properties=b"\x11\0\0\0\x3c\x21\0\x14\x27\0\1\0\0\x22\0\x0a\x19\1\x17\0&\0\1a\0\1b&\0\1a\0\1c",
            will=("a/lwt", b"", 2, False),
            will_properties=b"\x18\0\0\0\5\1\1",
        ),
        Connect(
            Version.V5,
            True,
            0xFFFF,
            "me",
            "meter",
            b"right",
            Will(
                "a/lwt",
                b"",
                2,
                False,
                {Property.WILL_DELAY_INTERVAL: 5, Property.PAYLOAD_FORMAT_INDICATOR: 1},
            ),
            {
                Property.SESSION_EXPIRY_INTERVAL: 60,
                Property.RECEIVE_MAXIMUM: 20,
                Property.MAXIMUM_PACKET_SIZE: 65536,
                Property.TOPIC_ALIAS_MAXIMUM: 10,
                Property.REQUEST_RESPONSE_INFORMATION: 1,
                Property.REQUEST_PROBLEM_INFORMATION: 0,
                Property.USER_PROPERTY: (("a", "b"), ("a", "c")),
            },
        ),
    ),
    "5 with a password and no user name": (
        client.connect(5, "me", None, b"token"),
        Connect(Version.V5, True, 0, "me", None, b"token", None),
    ),
}

PACKETS: dict[str, tuple[int, bytes, Received]] = {
    "QoS 0": (4, client.publish("a/b", b"21.5", 0), Publish("a/b", b"21.5", 0, False, False, 0)),
    "QoS 1": (4, client.publish("a/b", b"21.5", 1, 7), Publish("a/b", b"21.5", 1, False, False, 7)),
    "QoS 2, DUP, RETAIN": (
        3,
        client.publish("a", b"x", 2, 65535, dup=True, retain=True),
        Publish("a", b"x", 2, True, True, 65535),
    ),
    "an empty payload": (4, client.publish("a", b"", 1, 1), Publish("a", b"", 1, False, False, 1)),
    "a payload of three length bytes": (
        4,
        client.publish("a", bytes(20000), 1, 1),
        Publish("a", bytes(20000), 1, False, False, 1),
    ),
    "a topic beyond ASCII": (
        4,
        client.publish("Küche/温度", b"1", 0),
        Publish("Küche/温度", b"1", 0, False, False, 0),
    ),
    "5 without properties": (
        5,
        client.publish("a", b"x", 1, 9, version=5),
        Publish("a", b"x", 1, False, False, 9),
    ),
    "5 with properties": (
        5,
        client.publish("a", b"x", 1, 9, version=5, properties=b"\1\1\2\0\0\0\x0a\3\0\1t\x08\0\1r\x09\0\1c"),
        Publish(
            "a",
            b"x",
            1,
            False,
            False,
            9,
            {
                Property.PAYLOAD_FORMAT_INDICATOR: 1,
                Property.MESSAGE_EXPIRY_INTERVAL: 10,
                Property.CONTENT_TYPE: "t",
                Property.RESPONSE_TOPIC: "r",
                Property.CORRELATION_DATA: b"c",
            },
        ),
    ),
    "PUBREL": (4, client.pubrel(8), Pubrel(8)),
    "PUBREL with DUP in 3.1": (3, b"\x6a\2\0\x08", Pubrel(8)),
    "PUBREL with a reason in 5": (5, b"\x62\4\0\x08\x92\0", Pubrel(8, 0x92)),
    "SUBSCRIBE": (4, client.subscribe(3, [("#", 0), ("a/+/c", 2)]), Subscribe(3, (("#", 0), ("a/+/c", 2)))),
    "SUBSCRIBE with options and an identifier": (
        5,
        client.subscribe(3, [("$share/g/a", 0x29)], 5, b"\x0b\x80\1"),
        Subscribe(3, (("$share/g/a", 1),), {Property.SUBSCRIPTION_IDENTIFIER: 128}),
    ),
    "UNSUBSCRIBE": (4, client.unsubscribe(4, ["a", "#"]), Unsubscribe(4, ("a", "#"))),
    "UNSUBSCRIBE in 5": (5, client.unsubscribe(4, ["a"], 5), Unsubscribe(4, ("a",))),
    "PINGREQ": (4, client.PINGREQ, Pingreq()),
    "DISCONNECT": (4, client.DISCONNECT, Disconnect()),
    "DISCONNECT with a reason in 5": (5, b"\xe0\1\4", Disconnect(4)),
    "DISCONNECT with properties in 5": (
        5,
        b"\xe0\7\0\5\x1f\0\2by",
        Disconnect(0, {Property.REASON_STRING: "by"}),
    ),
}


def whole(connection: Connection, data: bytes) -> list[Received]:
    return connection.receive(data)


def byte_by_byte(connection: Connection, data: bytes) -> list[Received]:
    return [packet for at in range(len(data)) for packet in connection.receive(data[at : at + 1])]


def in_turns(connection: Connection, data: bytes) -> list[Received]:
    packets = connection.receive(data, 0)
    while connection.pending:
        packets += connection.receive(b"", 1)
    return packets


WAYS = [whole, byte_by_byte, in_turns]
Way = Callable[[Connection, bytes], list[Received]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CONNECTS)
def test_every_connect_is_read_however_it_arrives(name: str, way: Way) -> None:
    data, expected = CONNECTS[name]
    connection = Connection()
    assert way(connection, data) == [expected]
    assert connection.state is State.ANSWERING
    assert connection.version is expected.version


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PACKETS)
def test_every_packet_is_read_however_it_arrives(name: str, way: Way) -> None:
    version, data, expected = PACKETS[name]
    connection = connected(version)
    assert way(connection, data) == [expected]
    assert connection.buffered == 0
    assert not connection.pending


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name in PACKETS if "DISCONNECT" not in name])
def test_every_packet_leaves_what_follows_it_alone(name: str, way: Way) -> None:
    version, data, expected = PACKETS[name]
    after = client.publish("next", b"!", 1, 5, version=version)
    following = Publish("next", b"!", 1, False, False, 5)
    connection = connected(version)
    assert way(connection, data + after + after[:5]) == [expected, following]
    assert connection.receive(after[5:]) == [following]


def test_packets_sent_without_waiting_for_connack_come_after_it() -> None:
    connection = Connection()
    first = connection.receive(client.connect() + client.publish("a", b"1") + client.PINGREQ)
    assert [type(packet) for packet in first] == [Connect]
    assert connection.receive(client.PINGREQ) == []
    connection.send(Connack(Reason.SUCCESS))
    assert [type(packet) for packet in connection.receive()] == [Publish, Pingreq, Pingreq]


def test_nothing_is_read_after_disconnect() -> None:
    connection = connected()
    assert connection.receive(client.DISCONNECT + client.publish("a", b"late")) == [Disconnect()]
    assert connection.receive(client.publish("a", b"later")) == []
    assert (connection.state, connection.buffered) == (State.CLOSED, 0)


def test_packets_before_a_fault_are_given_before_it_is_raised() -> None:
    connection = connected()
    assert connection.receive(client.publish("a", b"1") + b"\xff\0") == [
        Publish("a", b"1", 1, False, False, 1)
    ]
    assert connection.pending
    for _ in range(2):
        with pytest.raises(ProtocolError):
            connection.receive()


def test_a_limit_is_kept_and_the_rest_follows() -> None:
    connection = connected()
    data = b"".join(client.publish("a", b"%d" % n, 1, n) for n in range(1, 11))
    assert len(connection.receive(data, 4)) == 4
    assert len(connection.receive(client.publish("a", b"11", 1, 11), 4)) == 4
    assert [packet.payload for packet in connection.receive() if isinstance(packet, Publish)] == [
        b"9",
        b"10",
        b"11",
    ]


def test_packets_of_many_fields_count_as_several() -> None:
    connection = connected()
    data = client.subscribe(1, [("a", 0)] * 1000)
    assert len(connection.receive(data * 64, 64)) == 2
    connection = connected(5)
    data = client.publish("a", b"", version=5, properties=b"&\0\0\0\0" * 256)
    assert len(connection.receive(data * 64, 64)) == 4


ANSWERS: dict[str, tuple[Sent, int, str]] = {
    "CONNACK 3.1": (Connack(Reason.SUCCESS, True), 3, "20 02 00 00"),
    "CONNACK 3.1.1": (Connack(Reason.SUCCESS, False), 4, "20 02 00 00"),
    "CONNACK 3.1.1, session present": (Connack(Reason.SUCCESS, True), 4, "20 02 01 00"),
    "CONNACK 3.1.1, refused": (Connack(Reason.BAD_CREDENTIALS, True), 4, "20 02 00 04"),
    "CONNACK 5": (Connack(Reason.SUCCESS, True), 5, "20 03 01 00 00"),
    "CONNACK 5, refused": (Connack(Reason.BAD_CREDENTIALS), 5, "20 03 00 86 00"),
    "CONNACK 5 with properties": (
        Connack(
            Reason.SUCCESS,
            False,
            {
                Property.MAXIMUM_PACKET_SIZE: 262144,
                Property.RECEIVE_MAXIMUM: 4096,
                Property.ASSIGNED_CLIENT_IDENTIFIER: "me",
                Property.MAXIMUM_QOS: 1,
                Property.AUTHENTICATION_DATA: b"x",
                Property.USER_PROPERTY: (("a", "b"),),
            },
        ),
        5,
        "20 1d 00 00 1a 12 0002 6d65 16 0001 78 21 1000 24 01 26 0001 61 0001 62 27 00040000",
    ),
    "PUBACK": (Puback(7), 4, "40 02 0007"),
    "PUBACK 5": (Puback(7), 5, "40 02 0007"),
    "PUBREC": (Pubrec(0x1234), 4, "50 02 1234"),
    "PUBCOMP": (Pubcomp(7), 4, "70 02 0007"),
    "PUBCOMP 3.1.1 has no reason": (Pubcomp(7, Reason.PACKET_ID_NOT_FOUND), 4, "70 02 0007"),
    "PUBCOMP 5 with a reason": (Pubcomp(7, Reason.PACKET_ID_NOT_FOUND), 5, "70 03 0007 92"),
    "SUBACK": (Suback(7, (0, 2)), 4, "90 04 0007 00 02"),
    "SUBACK 5": (Suback(7, (0, 2)), 5, "90 05 0007 00 00 02"),
    "UNSUBACK": (Unsuback(7, (0, 0)), 4, "b0 02 0007"),
    "UNSUBACK 5": (Unsuback(7, (0, 0)), 5, "b0 05 0007 00 00 00"),
    "PINGRESP": (Pingresp(), 4, "d0 00"),
    "DISCONNECT 5": (Disconnect(Reason.TAKEN_OVER), 5, "e0 02 8e 00"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_has_these_bytes(name: str) -> None:
    packet, version, expected = ANSWERS[name]
    connection = connected(version)
    if isinstance(packet, Connack):
        connection = Connection()
        connection.receive(client.connect(version))
    assert connection.send(packet) == bytes.fromhex(expected)


def test_many_acknowledgements_are_their_packets_joined() -> None:
    connection = connected()
    singles = connection.send(Puback(1)) + connection.send(Pubrec(65535)) + connection.send(Puback(300))
    assert join_acks([PUBACK_WORD | 1, PUBREC_WORD | 65535, PUBACK_WORD | 300]) == singles


def test_an_answer_larger_than_the_client_takes_becomes_no_bytes() -> None:
    connection = Connection()
    connection.receive(client.connect(5, properties=b"\x27\0\0\0\5"))
    assert connection.send(Connack(Reason.SUCCESS)) == bytes.fromhex("2003000000")
    assert connection.send(Suback(1, (0,))) == b""
    assert connection.state is State.CONNECTED


MISUSES: dict[str, tuple[int | None, Sent]] = {
    "an answer before CONNECT": (None, Connack(Reason.SUCCESS)),
    "a second CONNACK": (4, Connack(Reason.SUCCESS)),
    "DISCONNECT in 3.1.1": (4, Disconnect(Reason.TAKEN_OVER)),
}


@pytest.mark.parametrize("name", MISUSES)
def test_our_own_mistakes_are_told_apart_from_the_clients(name: str) -> None:
    version, packet = MISUSES[name]
    connection = Connection() if version is None else connected(version)
    with pytest.raises(MisuseError):
        connection.send(packet)


FAREWELLS: dict[str, tuple[bytes, bool, Reason, str]] = {
    "nothing was said": (b"", False, Reason.MALFORMED, ""),
    "half a CONNECT": (client.connect()[:9], False, Reason.PROTOCOL_ERROR, ""),
    "3.1.1 before its answer, a code exists": (client.connect(), False, Reason.SERVER_BUSY, "20020003"),
    "3.1.1 before its answer, none exists": (client.connect(), False, Reason.PROTOCOL_ERROR, ""),
    "5 before its answer": (client.connect(5), False, Reason.QUOTA_EXCEEDED, "2003009700"),
    "3.1.1 connected": (client.connect(), True, Reason.SHUTTING_DOWN, ""),
    "5 connected": (client.connect(5), True, Reason.SHUTTING_DOWN, "e0028b00"),
}


@pytest.mark.parametrize("name", FAREWELLS)
def test_a_connection_ends_with_the_word_its_version_has(name: str) -> None:
    data, accepted, reason, expected = FAREWELLS[name]
    connection = Connection()
    connection.receive(data)
    if accepted:
        connection.send(Connack(Reason.SUCCESS))
    assert connection.fail(reason) == bytes.fromhex(expected)
    assert connection.state is State.CLOSED
    assert connection.fail(reason) == b""


def test_the_tables_of_states_cover_every_state_and_only_the_server_s_side() -> None:
    assert set(RECEIVING) == set(SENDING) == set(State)
    received = {kind for kinds in RECEIVING.values() for kind in kinds}
    sent = {kind for kinds in SENDING.values() for kind in kinds}
    assert received & sent == {Kind.DISCONNECT}
    assert received | sent == set(Kind) - {Kind.AUTH}
    assert FIRST_BYTES[State.FRESH, Version.V5] == {0x10}


def test_a_password_is_not_in_the_text_of_a_packet() -> None:
    [packet] = Connection().receive(client.connect(4, "me", "meter", b"hunter2"))
    assert "hunter2" not in repr(packet)
    assert "meter" not in str(packet)
