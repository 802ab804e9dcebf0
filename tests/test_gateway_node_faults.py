"""A real node is killed, filled and slowed down; what it acknowledged is stored, once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from tests.mqtt_client import publish
from tests.node_process import NodeProcess, Person, Publisher, accounted

KILLS = int(os.environ.get("HYPERTOUCH_KILLS", "30"))


def test_nothing_acknowledged_is_lost_or_doubled_by_kills_at_random_moments(person: Person) -> None:
    """ACCEPTANCE A1: the node dies while a device publishes, again and again."""
    publisher, chance = Publisher(person), random.Random(7)
    interrupted = 0
    for _ in range(KILLS):
        with NodeProcess(person.data) as node:
            killer = threading.Timer(chance.uniform(0.0, 0.06), node.process.kill)
            killer.start()
            interrupted += not publisher.publish(node.port, 400, batch=chance.choice((1, 7, 100)))
            killer.join()
    with NodeProcess(person.data) as node:
        assert publisher.publish(node.port, 1)
        node.end()
    assert interrupted > KILLS // 3  # the kills did hit the work
    assert publisher.acknowledged == set(publisher.sent)
    assert accounted(person, publisher) == (0, 0, 0)


@pytest.mark.parametrize("point", ["after-recv", "after-insert", "after-commit", "after-ack"])
def test_a_kill_at_each_point_of_a_commit_is_absorbed(person: Person, point: str) -> None:
    """ACCEPTANCE A2; between commit and PUBACK the redelivery is recognised."""
    publisher = Publisher(person)
    for number in (1, 2, 5):
        with NodeProcess(person.data, point, str(number)) as node:
            assert not publisher.publish(node.port, 100, batch=10)
    if point == "after-commit":
        stored = {int(value) for value in person.stored()}
        assert stored > publisher.acknowledged  # it fired: stored, and not acknowledged
    with NodeProcess(person.data) as node:
        assert publisher.publish(node.port, 1)
        node.end()
    assert accounted(person, publisher) == (0, 0, 0)


def test_a_kill_in_the_middle_of_an_hour_marks_what_comes_after_it_as_cut(person: Person) -> None:
    """Its open buckets are gone; none is made of the rest of the hour, and the segments say so."""
    publisher = Publisher(person)
    with NodeProcess(person.data) as node:
        assert publisher.publish(node.port, 100)
        node.process.kill()
    with NodeProcess(person.data) as node:
        assert publisher.publish(node.port, 100)
        node.end()
    with closing(sqlite3.connect(person.data.vault_db(person.vault))) as connection:
        rows = connection.execute("SELECT open, cut FROM segment WHERE ledger = 0 ORDER BY rowid").fetchall()
        (coarse,) = connection.execute("SELECT count(*) FROM chunk WHERE resolution <> 'raw'").fetchone()
    assert sorted(rows) == [(0, 1), (1, 1)]  # closed as it stopped, and left behind by the kill
    assert coarse == 0


def test_a_node_that_acknowledges_before_it_commits_is_found_out(person: Person) -> None:
    """The known-bad control of the tests above."""
    publisher = Publisher(person)
    with NodeProcess(person.data, "early", "3") as node:
        publisher.publish(node.port, 100, batch=10)
    loss, _, _ = accounted(person, publisher)
    assert loss > 0


def test_a_slow_commit_is_waited_for_and_nothing_is_acknowledged_meanwhile(person: Person) -> None:
    """ACCEPTANCE A6, with a second instead of eight."""
    publisher = Publisher(person)
    with NodeProcess(person.data, "slow", "10") as node, publisher.connect(node.port) as client:
        client.send(publish("meter", b'{"energy":1}', packet_id=1))
        assert client.barrier() == []
        assert client.receive() == (0x40, b"\x00\x01")


def test_a_full_disk_acknowledges_nothing_and_recovers_by_itself(person: Person) -> None:
    """ACCEPTANCE A7, with the disk's answer put in at the store's file layer."""
    publisher = Publisher(person)
    flag = person.data.path / "full"
    with NodeProcess(person.data, "full") as node:
        assert publisher.publish(node.port, 50)
        flag.touch()
        before = set(publisher.acknowledged)
        assert not publisher.publish(node.port, 50)
        assert publisher.acknowledged == before
        flag.unlink()
        assert publisher.publish(node.port, 50)
        status, _ = node.end()
        assert status == 0
    assert publisher.acknowledged == set(publisher.sent)
    assert accounted(person, publisher) == (0, 0, 0)


def test_a_fault_nobody_foresaw_ends_the_process_and_acknowledges_nothing(person: Person) -> None:
    publisher = Publisher(person)
    with NodeProcess(person.data, "bug", "3") as node:
        assert not publisher.publish(node.port, 100, batch=10)
        status, said = node.end()
    assert status == 70
    assert "ZeroDivisionError" in said
    with NodeProcess(person.data) as node:
        assert publisher.publish(node.port, 1)
        node.end()
    assert accounted(person, publisher) == (0, 0, 0)


def test_redeliveries_and_repeats_in_any_order_are_stored_once(person: Person) -> None:
    """ACCEPTANCE A11: on later connections, shuffled, with DUP=1."""
    publisher, chance = Publisher(person), random.Random(11)
    with NodeProcess(person.data) as node:
        assert publisher.publish(node.port, 500)
        again = chance.sample(sorted(publisher.sent), 100)
        with publisher.connect(node.port) as client:
            for value in again:
                client.send(
                    publish("meter", b'{"energy":%d}' % value, packet_id=publisher.sent[value], dup=True)
                )
                assert client.receive()[0] == 0x40
        node.end()
    assert accounted(person, publisher) == (0, 0, 0)


def test_a_repeat_without_dup_is_another_reading(person: Person) -> None:
    """The control: what a device sends anew counts anew."""
    publisher = Publisher(person)
    with NodeProcess(person.data) as node:
        for _ in range(2):
            with publisher.connect(node.port) as client:
                client.send(publish("meter", b'{"energy":5}', packet_id=9))
                assert client.receive() == (0x40, b"\x00\x09")
        node.end()
    assert person.stored() == {5.0: 2}


def test_poison_is_sealed_whole_and_the_next_message_flows(person: Person) -> None:
    """ACCEPTANCE A12: quarantined, acknowledged, counted, and not readable on disk."""
    publisher = Publisher(person)
    poison = [b"\xff\xfe poison \x00", b'{"temperature":NaN}', b'{"canary-9317":{}}', b"[" * 1000]
    with NodeProcess(person.data) as node, publisher.connect(node.port) as client:
        for number, payload in enumerate(poison * 10):
            client.send(
                publish("meter", payload, packet_id=2 * number + 1),
                publish("meter", b'{"energy":%d}' % number, packet_id=2 * number + 2),
            )
            assert [client.receive()[0] for _ in range(2)] == [0x40, 0x40]
        node.end()
    assert sum(person.stored().values()) == 40
    files = [path.read_bytes() for path in person.data.path.rglob("*") if path.is_file()]
    assert not any(b"canary-9317" in content for content in files)


def test_a_second_node_refuses_at_once_and_the_first_goes_on(person: Person) -> None:
    """ACCEPTANCE A15."""
    publisher = Publisher(person)
    with NodeProcess(person.data) as first:
        with NodeProcess(person.data) as second:
            assert second.end(signal.SIGTERM)[0] == 3
        assert publisher.publish(first.port, 10)


def test_a_termination_under_load_drains(person: Person) -> None:
    """ACCEPTANCE A16: exit status 0, and everything acknowledged is stored."""
    publisher = Publisher(person)
    for _ in range(3):
        with NodeProcess(person.data) as node:
            ender = threading.Timer(0.05, node.process.terminate)
            ender.start()
            publisher.publish(node.port, 2000, batch=50)
            ender.join()
            assert node.end()[0] == 0
    assert accounted(person, publisher)[0] == 0


def test_a_config_that_is_cut_short_starts_nothing() -> None:
    """ACCEPTANCE C7: no open port, and an exit status."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway.node.run"], input=b'{"data":', capture_output=True, check=False
    )
    assert done.returncode != 0
    assert done.stdout == b""
