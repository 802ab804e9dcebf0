"""The device door over real sockets: acknowledged means stored, and nobody gets in another's way."""

from __future__ import annotations

import pytest

from gateway.errors import ListenError
from gateway.node.limits import Limits
from tests import mqtt_client as client
from tests.mqtt_client import RawClient, ids
from tests.mqtt_door import Opened, door

PUBACK, PUBREC, PUBCOMP = 0x40, 0x50, 0x70


# --- acknowledged means stored ----------------------------------------------------------------


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize(("qos", "ack"), [(1, PUBACK), (2, PUBREC)])
def test_nothing_is_acknowledged_before_it_is_stored(
    version: int, qos: int, ack: int, opened: Opened
) -> None:
    with opened() as running, running.dial() as device:
        device.connect(version=version)
        running.ingest.held = True
        device.send(*(client.publish("a", b"%d" % n, qos, n, version=version) for n in range(1, 51)))
        running.ingest.wait(lambda: len(running.ingest.submitted) == 50)
        assert device.barrier() == [], "an answer came while nothing was durable"
        assert running.ingest.stored == []
        running.release()
        assert ids([device.receive() for _ in range(50)], ack) == list(range(1, 51))
        assert len(running.ingest.stored) == 50


def test_an_ingest_that_answers_early_would_be_seen(opened: Opened) -> None:
    """The control for the test above: without the hold, the same barrier does find the acknowledgement."""
    with opened() as running, running.dial() as device:
        device.connect()
        device.send(client.publish("a", b"1"))
        running.ingest.wait(lambda: len(running.ingest.stored) == 1)
        assert ids([device.receive()], PUBACK) == [1]


def test_acknowledgements_keep_the_order_of_receipt_when_commits_do_not(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect()
        running.ingest.held = True
        for n in range(1, 6):
            device.send(client.publish("a", b"x", 1, n))
            running.ingest.wait(lambda expected=n: len(running.ingest.submitted) == expected)  # type: ignore[misc]  # bound now
        assert len(running.ingest.waiting) == 5
        running.release(lambda waiting: waiting[::-1])
        assert ids([device.receive() for _ in range(5)], PUBACK) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("version", "farewell"), [(4, []), (5, [(0xE0, b"\x83\0")])])
def test_what_cannot_be_stored_is_not_acknowledged_and_ends_the_connection(
    version: int, farewell: list[tuple[int, bytes]], opened: Opened
) -> None:
    with opened() as running, running.dial() as device:
        device.connect(version=version)
        running.ingest.failing = True
        device.send(client.publish("a", b"x", version=version))
        assert device.rest() == farewell


def test_messages_come_with_all_that_the_ingest_needs(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect(client_id="kitchen")
        device.send(client.publish("a/b", b"\0\xff", 1, 7, dup=True, retain=True))
        device.barrier()
        running.ingest.wait(lambda: len(running.ingest.stored) == 1)
        [(owner, delivery)] = running.ingest.stored
        assert owner == "meter"
        assert (delivery.topic, delivery.payload, delivery.qos) == ("a/b", b"\0\xff", 1)
        assert (delivery.dup, delivery.packet_id) == (True, 7)
        assert (delivery.client_id, delivery.fresh) == ("kitchen", True)


def test_a_retry_on_the_same_connection_is_acknowledged_again_and_stored_once(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect()
        device.send(client.publish("a", b"1", 1, 7), client.publish("a", b"1", 1, 7, dup=True))
        assert ids([device.receive(), device.receive()], PUBACK) == [7, 7]
        device.send(client.publish("a", b"1", 1, 7, dup=True))
        assert ids([device.receive()], PUBACK) == [7]
        assert running.ingest.payloads() == [b"1"]


def test_qos_2_is_stored_once_until_its_id_is_released(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect()
        device.send(client.publish("a", b"1", 2, 7))
        assert device.receive() == (PUBREC, b"\0\7")
        device.send(client.publish("a", b"1", 2, 7, dup=True))
        assert device.receive() == (PUBREC, b"\0\7")
        device.send(client.pubrel(7))
        assert device.receive() == (PUBCOMP, b"\0\7")
        device.send(client.publish("a", b"2", 2, 7))
        assert device.receive() == (PUBREC, b"\0\7")
        assert running.ingest.payloads() == [b"1", b"2"]


@pytest.mark.parametrize(("version", "answer"), [(4, b"\0\7"), (5, b"\0\7\x92")])
def test_a_release_of_an_unknown_id_is_answered(version: int, answer: bytes, opened: Opened) -> None:
    """After a reconnect the client may only have PUBREL left to send."""
    with opened() as running, running.dial() as device:
        device.connect(version=version)
        device.send(client.pubrel(7))
        assert device.receive() == (PUBCOMP, answer)


def test_messages_without_acknowledgement_are_stored_although_the_device_hung_up_at_once(
    opened: Opened,
) -> None:
    count = 3000
    with opened() as running:
        with running.dial() as device:
            device.connect()
            burst = b"".join(client.publish("a", b"%d" % n, 0) for n in range(count))
            device.send(burst, client.DISCONNECT)
        running.ingest.wait(lambda: len(running.ingest.stored) == count)
        assert running.ingest.payloads() == [b"%d" % n for n in range(count)]


# --- the session ------------------------------------------------------------------------------


CONNACKS: dict[str, tuple[bytes, bytes]] = {
    "3.1": (client.connect(3), b"\0\0"),
    "3.1.1": (client.connect(4), b"\0\0"),
    "a persistent session nobody remembers": (client.connect(4, "new", clean=False), b"\0\0"),
    "a persistent session that is remembered": (client.connect(4, "known", clean=False), b"\1\0"),
    "a clean session under a remembered name": (client.connect(4, "known"), b"\0\0"),
    "5, remembered": (client.connect(5, "known", clean=False), b"\1\0\x08\x21\x10\0\x27\0\4\0\0"),
    "no name, clean": (client.connect(4, ""), b"\0\0"),
    "no name, not clean": (client.connect(4, "", clean=False), b"\0\2"),
    "no name in 3.1": (client.connect(3, ""), b"\0\2"),
    "a name too long": (client.connect(4, "x" * 257), b"\0\2"),
    "wrong password": (client.connect(4, "me", "meter", b"wrong"), b"\0\4"),
    "wrong password in 5": (client.connect(5, "me", "meter", b"wrong"), b"\0\x86\0"),
    "an unknown user": (client.connect(4, "me", "#", b"right"), b"\0\4"),
    "no password": (client.connect(4, "me", "meter", None), b"\0\4"),
    "no credentials": (client.connect(4, "me", None, None), b"\0\4"),
    "no credentials and no name: the password matters first": (
        client.connect(4, "", None, None, clean=False),
        b"\0\4",
    ),
    "an authentication method": (client.connect(5, properties=b"\x15\0\5SCRAM"), b"\0\x8c\0"),
    "a level that does not exist": (client.frame(0x10, client.field("MQTT") + b"\7\2\0\0\0\0"), b"\0\1"),
    "5, malformed": (client.connect(5, properties=b"\x21\0\0"), b"\0\x82\0"),
}


@pytest.mark.parametrize("name", CONNACKS)
def test_connect_is_answered(name: str, opened: Opened) -> None:
    data, answer = CONNACKS[name]
    with opened() as running, running.dial() as device:
        running.ingest.links["meter"].known.add("known")
        device.send(data)
        assert device.receive() == (0x20, answer)
        accepted = answer[1] == 0
        assert device.barrier() == [] if accepted else device.closed()
        counters = running.endpoint.counters
        assert (counters.accepted, counters.refused) in ((1, 0), (0, 1), (0, 0))


def test_a_client_of_mqtt_5_without_a_name_is_given_one(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        answer = device.connect(version=5, client_id="", properties=b"\x11\0\0\0\x3c")
        name = answer[answer.index(b"auto-") :][:37].decode()
        device.send(client.publish("a", b"1", version=5))
        device.receive()
        [(_, delivery)] = running.ingest.stored
        assert delivery.client_id == name


def test_subscriptions_are_granted_and_deliver_nothing(opened: Opened) -> None:
    with opened() as running, running.dial() as device, running.dial() as other:
        device.connect()
        other.connect(client_id="other")
        device.send(client.subscribe(3, [("#", 0), ("$SYS/#", 1), ("cmnd/meter", 2)]))
        assert device.receive() == (0x90, b"\0\3\0\1\2")
        other.send(client.publish("cmnd/meter", b"ON", retain=True))
        assert ids([other.receive()], PUBACK) == [1]
        device.send(client.publish("cmnd/meter", b"ON"))
        assert ids([device.receive()], PUBACK) == [1]
        device.send(client.unsubscribe(4, ["#"]))
        assert device.barrier() == [(0xB0, b"\0\4")]


def test_subscriptions_of_mqtt_5_are_answered_with_reasons(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect(version=5)
        device.send(client.subscribe(3, [("#", 1)], 5), client.unsubscribe(4, ["a", "b"], 5))
        assert device.barrier() == [(0x90, b"\0\3\0\1"), (0xB0, b"\0\4\0\0\0")]


FILTERS = ["#", "+/#", "hub/secret", "meter/own", "$SYS/#", "$share/g/#", "receipts/meter"]


def test_a_device_that_subscribes_to_everything_gets_no_byte_of_another(opened: Opened) -> None:
    """C4: granted, and nothing is delivered, be it retained, live, another's or its own."""
    with opened() as running, running.dial() as device, running.dial() as hub:
        hub.connect(client_id="hub", username="hub", password=b"other")
        hub.send(client.publish("hub/secret", b"before", retain=True))
        assert ids([hub.receive()], PUBACK) == [1]
        device.connect()
        for number, name in enumerate(FILTERS, 1):
            device.send(client.subscribe(number, [(name, 2)]))
            assert device.receive() == (0x90, number.to_bytes(2, "big") + b"\2")
        hub.send(client.publish("hub/secret", b"after", packet_id=2), client.publish("meter/own", b"x", 2, 3))
        assert [packet[0] for packet in (hub.receive(), hub.receive())] == [PUBACK, PUBREC]
        device.send(client.publish("meter/own", b"mine", 0))
        assert device.barrier() == []
        assert hub.barrier() == []


@pytest.mark.parametrize("version", [3, 4, 5])
def test_a_will_and_a_retained_message_reach_nobody_and_are_kept_for_nobody(
    version: int, opened: Opened
) -> None:
    """C5: RETAIN means nothing, and the will of a device that vanishes is not published."""
    with opened() as running, running.dial() as other:
        other.connect(client_id="other", username="hub", password=b"other")
        other.send(client.subscribe(1, [("#", 2)]))
        other.receive()
        with running.dial() as device:
            will = ("hub/secret", b"gone", 2, True)
            assert device.connect(version=version, will=will)[:2] == b"\0\0"
            device.send(client.publish("hub/secret", b"kept?", version=version, retain=True))
            assert ids([device.receive()], PUBACK) == [1]
            assert running.call(lambda: running.endpoint.disconnect("meter")) == 1
        assert running.ingest.payloads("meter") == [b"kept?"]
        with running.dial() as late:
            late.connect(client_id="late", username="hub", password=b"other")
            late.send(client.subscribe(1, [("hub/secret", 2)]))
            assert late.barrier() == [(0x90, b"\0\1\2")]
        assert other.barrier() == []
        assert running.ingest.stored == [("meter", running.ingest.stored[0][1])]


REFUSED_TOPICS = [b"+", b"#", b"a/+/b", b"a/#", b"", b"a\0b", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"]
NAMES_ONLY = [b"$SYS/x", b"$share/g/x", b"../../v2", b"x" * 65_535, b"/".join([b"l"] * 200), "кухня".encode()]


@pytest.mark.parametrize("topic", REFUSED_TOPICS)
def test_a_topic_that_is_none_ends_the_connection_with_nothing_stored(topic: bytes, opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect()
        device.send(client.publish(topic, b"x"))
        assert device.closed()
        assert running.ingest.submitted == []


def test_any_other_topic_is_only_a_name(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect()
        device.send(*(client.publish(topic, b"x", 1, n) for n, topic in enumerate(NAMES_ONLY, 1)))
        assert ids([device.receive() for _ in NAMES_ONLY], PUBACK) == list(range(1, len(NAMES_ONLY) + 1))
        assert [topic.encode() for topic in running.ingest.topics()] == NAMES_ONLY


def test_packets_sent_together_with_connect_are_all_taken(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.send(client.connect(), client.publish("a", b"1"), client.PINGREQ, client.DISCONNECT)
        assert device.receive() == (0x20, b"\0\0")
        assert device.closed()
        running.ingest.wait(lambda: running.ingest.payloads() == [b"1"])


# --- one device and the others ----------------------------------------------------------------


@pytest.mark.parametrize(("version", "farewell"), [(4, []), (5, [(0xE0, b"\x8e\0")])])
def test_a_second_connection_takes_over_the_first(
    version: int, farewell: list[tuple[int, bytes]], opened: Opened
) -> None:
    with opened() as running, running.dial() as first, running.dial() as second:
        first.connect(version=version)
        second.connect(version=version)
        assert first.rest() == farewell
        assert second.barrier() == []


@pytest.mark.parametrize("clean", [True, False])
def test_wrong_passwords_with_a_victims_client_id_change_nothing_for_the_victim(
    clean: bool, opened: Opened
) -> None:
    """Nor does another device that chooses the same client id."""
    with opened() as running, running.dial() as victim:
        victim.connect()
        for n in range(1, 101):
            with running.dial() as thief:
                thief.send(client.connect(4, "me", "meter", b"guess %d" % n, clean=clean))
                assert thief.receive() == (0x20, b"\0\4")
                assert thief.closed()
            victim.send(client.publish("a", b"%d" % n, 1, n))
            assert victim.receive() == (PUBACK, n.to_bytes(2, "big"))
        with running.dial() as other:
            other.connect(client_id="me", username="hub", password=b"other")
            assert victim.barrier() == []
        assert running.ingest.payloads() == [b"%d" % n for n in range(1, 101)]
        assert running.ingest.payloads("hub") == []


def test_a_device_that_publishes_anothers_topic_writes_only_its_own(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect(client_id="hub", username="hub", password=b"other")
        device.send(client.publish("meter/power", b"1"))
        device.receive()
        assert running.ingest.topics("hub") == ["meter/power"]
        assert running.ingest.topics("meter") == []


@pytest.mark.parametrize(("version", "farewell"), [(4, []), (5, [(0xE0, b"\x98\0")])])
def test_a_credential_that_ends_cuts_its_connections_and_no_others(
    version: int, farewell: list[tuple[int, bytes]], opened: Opened
) -> None:
    with opened() as running:
        with (
            running.dial() as device,
            running.dial() as twin,
            running.dial() as hub,
        ):
            device.connect(version=version)
            twin.connect(client_id="twin")
            hub.connect(username="hub", password=b"other")
            assert running.call(lambda: running.endpoint.disconnect("meter")) == 2
            assert device.rest() == farewell
            assert twin.closed()
            assert hub.barrier() == []
        assert running.call(lambda: running.endpoint.disconnect("meter")) == 0


def test_nothing_is_accepted_after_the_credential_ended(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect()

        def burst_and_end() -> None:
            device.send(client.publish("a", b"late"))
            running.endpoint.disconnect("meter")

        running.call(burst_and_end)
        assert device.closed()
        assert running.ingest.submitted == []


# --- the end ----------------------------------------------------------------------------------


def test_draining_acknowledges_what_is_in_flight_and_takes_no_more(opened: Opened) -> None:
    with opened() as running, running.dial() as device, running.dial() as idle:
        device.connect()
        idle.connect(version=5, client_id="idle")
        running.ingest.held = True
        device.send(*(client.publish("a", b"x", 1, n) for n in range(1, 11)))
        running.ingest.wait(lambda: len(running.ingest.submitted) == 10)
        port = running.port
        draining = running.call(lambda: running.loop.create_task(running.endpoint.drain(20)))
        assert idle.receive() == (0xE0, b"\x8b\0")
        assert idle.closed()
        device.send(client.publish("a", b"late", 1, 99))
        with pytest.raises(ConnectionRefusedError):
            RawClient(port)
        assert device.quiet()
        running.release()
        assert ids([device.receive() for _ in range(10)], PUBACK) == list(range(1, 11))
        assert device.closed()

        async def finished() -> bool:
            return await draining

        assert running.run(finished())
        assert b"late" not in running.ingest.payloads()


def test_draining_does_not_wait_for_ever(opened: Opened) -> None:
    with opened() as running, running.dial() as device:
        device.connect()
        running.ingest.held = True
        device.send(client.publish("a", b"x"))
        running.ingest.wait(lambda: len(running.ingest.submitted) == 1)
        assert running.run(running.endpoint.drain(0.1)) is False
        assert device.closed()
        running.release()
        assert running.endpoint.counters.acknowledged == 0


def test_a_door_that_was_never_opened_drains() -> None:
    with door(Limits()) as running:
        assert running.run(running.endpoint.drain())
        assert running.run(running.endpoint.drain())


# --- listening --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104
def test_a_network_address_without_tls_must_be_asked_for(host: str) -> None:
    with door() as running, pytest.raises(ListenError, match="loopback"):
        running.run(running.endpoint.start(host, 0))


def test_a_network_address_without_tls_can_be_asked_for() -> None:
    with door() as running:
        port = running.run(running.endpoint.start("0.0.0.0", 0, cleartext=True))  # noqa: S104
        assert running.endpoint.ports == [running.port, port]
        with RawClient(port) as device:
            assert device.connect() == b"\0\0"


def test_an_address_in_use_is_said_to_be_so() -> None:
    with door() as running, pytest.raises(ListenError, match="listen"):
        running.run(running.endpoint.start("127.0.0.1", running.port))


def test_counters_count(opened: Opened) -> None:
    with opened() as running, running.dial() as device, running.dial() as stranger:
        device.connect()
        stranger.send(client.connect(4, "me", "meter", b"wrong"))
        assert stranger.rest() == [(0x20, b"\0\4")]
        device.send(client.publish("a", b"1", 0), client.publish("a", b"2"), client.publish("a", b"3", 2, 2))
        assert ids([device.receive(), device.receive()], PUBACK) == [1]
        counters = running.endpoint.counters
        assert (counters.accepted, counters.refused) == (1, 1)
        assert (counters.published, counters.acknowledged) == (3, 2)
