"""The usual way to keep what devices send: a paho-mqtt client that writes rows to SQLite, in plain text.

Generous to that side: one row a message, though it holds three readings; nothing is sealed, no redelivery is
recognised.  Like Hypertouch's, its commits are durable (WAL, synchronous FULL) and shared: one for everything
that waits, at most ``BATCH`` rows.  Only then is the broker told that a message was received: a consumer that
says so earlier loses what it was given when it crashes.

Started as a process with a ``Task`` as a line of JSON; says a line when it listens, and one when it is done.
"""

from __future__ import annotations

import queue
import sqlite3
import sys
import threading
import time
from typing import Any, Final

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

BATCH: Final = 5_000  # rows in one commit
_SCHEMA: Final = (
    "CREATE TABLE reading (id INTEGER PRIMARY KEY, arrived REAL, topic TEXT,"
    " temperature REAL, humidity REAL, battery INTEGER)"
)


class Task(msgspec.Struct, frozen=True):
    """Keep so many messages from a broker in a file."""

    port: int
    path: str
    messages: int


class Kept(msgspec.Struct, frozen=True):
    """``seconds`` are from the first message to the last commit."""

    rows: int
    seconds: float


class _Body(msgspec.Struct):
    temperature: float
    humidity: float
    battery: int


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
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", _SCHEMA):
        connection.execute(statement)
    read = msgspec.json.Decoder(_Body).decode
    rows, begun = 0, 0.0
    while rows < task.messages:
        batch = [waiting.get(timeout=30)]
        begun = begun or time.perf_counter()
        while len(batch) < BATCH and not waiting.empty():
            batch.append(waiting.get())
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO reading (arrived, topic, temperature, humidity, battery) VALUES (?, ?, ?, ?, ?)",
            (_row(message, read(message.payload)) for message in batch),
        )
        connection.execute("COMMIT")
        for message in batch:
            client.ack(message.mid, message.qos)
        rows += len(batch)
    seconds = time.perf_counter() - begun
    client.disconnect()
    client.loop_stop()
    connection.close()
    return Kept(rows, seconds)


def _row(message: mqtt.MQTTMessage, body: _Body) -> tuple[Any, ...]:
    return (message.timestamp, message.topic, body.temperature, body.humidity, body.battery)


if __name__ == "__main__":
    kept = consume(msgspec.json.decode(sys.stdin.buffer.readline(), type=Task))
    print(msgspec.json.encode(kept).decode(), flush=True)
