"""Merging after a crash: the owner's client does it, the node swaps it, readers notice nothing."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Running, publish


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A running server, ended after the test."""
    with Running(tmp_path) as running:
        yield running


def test_what_a_kill_left_in_pieces_is_merged_once_and_reads_the_same(server: Running) -> None:
    server.make_vault()
    meter = server.json("device", "add", "meter")
    for i in range(4):
        publish(meter, [("meter", b'{"energy":%d.5,"power":%d}' % (i, i))])
    server.restart(signal.SIGKILL)
    before = server.run("data", "export", "--format", "jsonl").stdout
    done = server.json("tidy")
    assert done["segments"] == 1
    assert (done["before"], done["after"]) == (8, 2)
    assert server.run("data", "export", "--format", "jsonl").stdout == before
    again = server.json("tidy")
    assert (again["segments"], again["days"], again["buckets"]) == (0, 0, 0)


def test_a_segment_that_is_being_written_is_left_alone(server: Running) -> None:
    server.make_vault()
    meter = server.json("device", "add", "meter")
    for i in range(3):
        publish(meter, [("meter", b'{"energy":%d.5}' % i)])
    assert server.json("tidy")["segments"] == 0
    publish(meter, [("meter", b'{"energy":9.5}')])
    shown = server.json("data", "show", "energy", "--since", "24h")
    assert sum(series["count"] for series in shown["series"]) == 4


def test_a_day_that_a_kill_cut_is_completed_by_the_real_door_and_node(server: Running) -> None:
    """Late readings of a day that is over: the kill takes their open buckets along."""
    server.make_vault()
    meter = server.json("device", "add", "meter")
    day = (int(time.time()) // 86_400 - 2) * 86_400
    pack = [{"n": "energy", "u": "Wh", "v": float(at), "t": day + 3600 * 3 + 60 * at} for at in range(60)]
    publish(meter, [("meter", json.dumps(pack).encode())])
    server.restart(signal.SIGKILL)
    before = server.run("data", "export", "--format", "jsonl").stdout
    done = server.json("tidy")
    assert (done["segments"], done["days"], done["buckets"], done["waiting"]) == (1, 1, 2, 0)
    assert server.run("data", "export", "--format", "jsonl").stdout == before
    again = server.json("tidy")
    assert (again["segments"], again["days"], again["buckets"]) == (0, 0, 0)
