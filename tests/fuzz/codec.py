"""One connection of MQTT, made of bytes."""

from __future__ import annotations

from gateway.errors import ProtocolError
from gateway.mqtt import PACKET_LIMIT, Connack, Connect, Connection, Reason, State
from tests import mqtt_client as client

_ENOUGH = PACKET_LIMIT + 5


def one(data: bytes) -> None:
    """Feed a connection; the first byte says how the rest is cut, and whether it has said CONNECT before.

    Packets, or the protocol error that ends it; nothing else, no more held than given, and the same however
    the bytes arrive.
    """
    how, rest = (data[0], data[1:]) if data else (0, b"")
    version = (None, 3, 4, 5)[how & 3]
    step = 1 + (how >> 2)
    assert _run(version, [rest]) == _run(version, [rest[at : at + step] for at in range(0, len(rest), step)])


def _run(version: int | None, pieces: list[bytes]) -> tuple[list[object], Reason | int | None]:
    connection = Connection()
    packets: list[object] = []
    given = 0
    first = [] if version is None else [client.connect(version)]
    try:
        for piece in (*first, *pieces):
            given += len(piece)
            more = connection.receive(piece)
            while True:
                packets += more
                if connection.state is State.ANSWERING and any(isinstance(one, Connect) for one in more):
                    connection.send(Connack(Reason.SUCCESS))
                assert connection.buffered <= min(given, _ENOUGH + len(piece))
                if not connection.pending:
                    break
                more = connection.receive(b"")
    except ProtocolError as error:
        connection.fail(error.reason)
        assert connection.state is State.CLOSED
        return packets, error.reason
    return packets, None


def seeds() -> list[bytes]:
    """Connections that are in order."""
    return [
        bytes((0,))
        + client.connect(version)
        + client.publish("home/temperature", b"21.5", 1, 7, version=version)
        for version in (3, 4, 5)
    ]
