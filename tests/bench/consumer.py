"""The usual way to keep what devices send: a paho-mqtt client that writes readings to SQLite, in plain text.

The table is the one that ``plain.py`` serves: a row a reading, three of a message.  Like Hypertouch's, its
commits are durable (WAL, synchronous FULL) and shared: one for everything that waits, at most ``BATCH``
messages.  Only then is the broker told that they were received, for a crash would lose them.  Nothing is
sealed, and no redelivery is recognised.

Started as a process with a ``Task`` as a line of JSON; says a line when it listens, and one when it is done.
"""

from __future__ import annotations

import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.bench.table import INSERT, SCHEMA, Row

BATCH: Final = 5_000  # messages in one commit


_READ: Final = msgspec.json.Decoder(dict[str, float]).decode


class Task(msgspec.Struct, frozen=True):
    """Keep so many messages from a broker in a file."""

    port: int
    path: str
    messages: int


class Kept(msgspec.Struct, frozen=True):
    """``seconds`` are from the first message to the last commit."""

    messages: int
    seconds: float


def consume(task: Task) -> Kept:
    """Take and keep them all."""
    waiting: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
    subscribed = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="consumer", manual_ack=True)
    client.on_message = lambda _c, _u, message: waiting.put(message)
    client.on_connect = lambda c, *_: c.subscribe("sensors/#", qos=1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", task.port)
    client.loop_start()
    subscribed.wait(10)
    print("{}", flush=True)
    connection = sqlite3.connect(task.path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *SCHEMA):
        connection.execute(statement)
    kept, begun = 0, 0.0
    while kept < task.messages:
        batch = [waiting.get(timeout=30)]
        begun = begun or time.perf_counter()
        while len(batch) < BATCH and not waiting.empty():
            batch.append(waiting.get())
        connection.execute("BEGIN")
        connection.executemany(INSERT, _rows(batch))
        connection.execute("COMMIT")
        for message in batch:
            client.ack(message.mid, message.qos)
        kept += len(batch)
    seconds = time.perf_counter() - begun
    client.disconnect()
    client.loop_stop()
    connection.close()
    return Kept(kept, seconds)


def _rows(batch: list[mqtt.MQTTMessage]) -> Iterator[Row]:
    now = time.time_ns() // 1_000_000
    for message in batch:
        device = message.topic.rpartition("/")[2].encode()
        for kind, value in _READ(message.payload).items():
            yield device, kind, now, value


if __name__ == "__main__":
    done = consume(msgspec.json.decode(sys.stdin.buffer.readline(), type=Task))
    print(msgspec.json.encode(done).decode(), flush=True)
