"""Runs a checkout of Eclipse's paho.mqtt.testing against a door, as a process of its own.

``python -m tests.interop`` with a ``Task`` as JSON on standard input; says one JSON object: what was run, and
an empty text or what went wrong.  The suite and its clients are used as they are; they are only given a user
name and a password, which they know nothing of.  Whole tests are the suite's own; ``halves`` are what a door
that delivers nothing can show of others: everything up to the message that would come back.
"""

from __future__ import annotations

import importlib
import logging
import socket
import sys
import time
import traceback
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

TOPIC = "TopicA"
BOTH: dict[str, Callable[[Any, Any], None]] = {}


class Task(msgspec.Struct, frozen=True):
    """``version``: 4 or 5; ``whole``: names of the suite's tests; ``halves``: names of those here."""

    checkout: str
    version: int
    port: int
    username: str
    password: str
    whole: list[str]
    halves: list[str]


def half(function: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """One of ``halves``: gets the module of the suite and the task."""
    BOTH[function.__name__] = function
    return function


def _client(suite: Any, task: Task, name: str, **options: Any) -> Any:
    client = suite.mqtt_client.Client(name if task.version == 5 else name.encode())
    client.registerCallback(suite.Callbacks())
    client.connect(host=suite.host, port=suite.port, **options)
    return client


def _fails(attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except Exception:  # the suite's clients raise whatever they stumble over
        return
    raise AssertionError("it should have been refused")


@half
def basic(suite: Any, task: Task) -> None:
    """Every quality of service is acknowledged; a second CONNECT and another protocol are refused."""
    client = _client(suite, task, "basic")
    for qos in (0, 1, 2):
        client.publish(TOPIC, b'{"energy":%d}' % (10 * task.version + qos), qos)
    deadline = time.monotonic() + 10
    while len(client.callback.publisheds) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    client.disconnect()  # asserts that nothing waits for an acknowledgement
    client = suite.mqtt_client.Client("basic" if task.version == 5 else b"basic")
    client.connect(host=suite.host, port=suite.port)
    _fails(lambda: client.connect(host=suite.host, port=suite.port, newsocket=False))
    _fails(lambda: client.connect(host=suite.host, port=suite.port, protocolName="hj"))


@half
def keepalive(suite: Any, task: Task) -> None:
    """Who says nothing is cut after one and a half times its keep alive; who need not speak is not."""
    silent = suite.mqtt_client.Client("silent" if task.version == 5 else b"silent")
    patient = suite.mqtt_client.Client("patient" if task.version == 5 else b"patient")
    patient.connect(host=suite.host, port=suite.port, keepalive=0)
    begun = time.monotonic()
    silent.connect(host=suite.host, port=suite.port, keepalive=2)
    silent.sock.settimeout(15)
    while silent.sock.recv(100):
        pass
    if not 2.9 <= time.monotonic() - begun <= 6:
        raise AssertionError("cut at the wrong time")
    patient.sock.settimeout(0.1)
    try:
        raise AssertionError(f"a client without keep alive heard {patient.sock.recv(1)!r}")
    except TimeoutError:
        patient.disconnect()


@half
def redelivery(suite: Any, task: Task) -> None:
    """Acknowledgements are lost with the connection; what is sent again is acknowledged."""
    clean = {"cleanstart" if task.version == 5 else "cleansession": False}
    client = suite.mqtt_client.Client(
        "again" if task.version == 5 else b"again"
    )  # without a thread that reads
    client.connect(host=suite.host, port=suite.port, **clean)
    receiver = client._Client__receiver
    for qos in (1, 2):
        client.publish(TOPIC, b'{"energy":%d}' % (100 * task.version + qos), qos)
    client.sock.recv(1, socket.MSG_PEEK)  # one acknowledgement has come, and is never read
    client.connect(host=suite.host, port=suite.port, **clean)
    receiver.socket = client.sock
    receiver.resend()
    deadline = time.monotonic() + 10
    while receiver.outMsgs and time.monotonic() < deadline:
        receiver.receive()
    if receiver.outMsgs:
        raise AssertionError("not everything was acknowledged")
    client.disconnect()


def main() -> None:
    """The process."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    logging.getLogger().setLevel(logging.CRITICAL)
    out, sys.stdout = sys.stdout, sys.stderr  # the suite prints
    sys.path.insert(0, str(Path(task.checkout) / "interoperability"))
    suite: Any = importlib.import_module("client_test5" if task.version == 5 else "client_test")
    _with_credentials(suite.mqtt_client.Client, task)
    suite.host, suite.port = "127.0.0.1", task.port
    suite.topics = ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")
    suite.wildtopics = ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")
    said: dict[str, str] = {}
    for name in task.whole:
        result = unittest.TestResult()
        unittest.TestSuite([suite.Test(name)]).run(result)
        found = [*result.errors, *result.failures]
        said[name] = found[0][1] if found else "" if result.testsRun else "it was not run"
    for name in task.halves:
        try:
            BOTH[name](suite, task)
            said[name] = ""
        except Exception:
            said[name] = traceback.format_exc()
    names = [name for name in vars(suite.Test) if "test" in name.lower()]
    said["*"] = " ".join(sorted(names))
    out.write(msgspec.json.encode(said).decode())


def _with_credentials(client: Any, task: Task) -> None:
    connect = client.connect

    def authenticated(self: Any, **options: Any) -> Any:
        return connect(self, username=task.username, password=task.password.encode(), **options)

    client.connect = authenticated


if __name__ == "__main__":
    main()
