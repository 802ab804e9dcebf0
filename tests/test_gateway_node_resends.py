"""Readings that come again, numbers that never came, sensors of the neighbours, and images: counted each."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest_world import Node, running
from tests.world import Device, Fault, World


@pytest.fixture
def node(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    with running(World(memory_path), monkeypatch) as made:
        yield made


def phone(node: Node) -> Device:
    return node.world.person().device("phone")


def window(node: Node, first: int, last: int) -> tuple[str, bytes]:
    """Readings of some of the last hundred minutes, valued by their minute."""
    now = node.world.clock()
    return "again", json.dumps([[now - (100 - n) * 60_000, n] for n in range(first, last)]).encode()


def test_a_window_that_comes_again_adds_what_is_new(node: Node) -> None:
    device = phone(node)
    link = node.connect(device)
    assert node.send(link, window(node, 0, 50), window(node, 0, 50))
    assert node.send(link, window(node, 10, 60))
    node.reopen()
    assert node.send(node.connect(device), window(node, 0, 70))
    node.crash()
    assert node.send(node.connect(device), window(node, 60, 80))
    assert node.values(device.person) == [float(n) for n in range(80)]
    row = node.row(device)
    assert (row.readings, row.duplicates) == (80, 50 + 40 + 60 + 10)


def test_it_comes_again_under_a_new_password_too(node: Node) -> None:
    """The key of the digests is the device's, and not its password's."""
    from tests.world import expect
    from vault.device import verifier, wrap_notes
    from vault.store import people

    device = phone(node)
    assert node.send(node.connect(device), window(node, 0, 5))

    def rotate() -> None:
        wrapped = wrap_notes(device.id, b"new", device.person.owner.notes_key(device.id), bytes(12))
        kept = verifier(device.id, b"new")
        expect(people.rotate_device(node.world.writer, device.person.vault, device.id, kept, wrapped))
        node.ingest.end(device.id)

    node.loop.run_until_complete(node.thread.run(rotate))
    assert node.send(node.connect(device, b"new"), window(node, 0, 6))
    assert node.row(device).readings == 6


@pytest.mark.parametrize("dup", [False, True])
def test_stored_and_not_acknowledged_it_counts_once(node: Node, dup: bool) -> None:
    device = phone(node)
    assert node.send(node.connect(device), window(node, 0, 5))
    node.crash()  # the device never heard of it
    assert node.send(node.connect(device), window(node, 0, 5), dup=dup)
    assert (node.row(device).readings, node.row(device).duplicates) == (5, 0 if dup else 5)


def test_what_was_not_stored_comes_again_as_new(node: Node) -> None:
    device = phone(node)
    link = node.connect(device)
    node.world.files.fail(1, Fault.FULL, only=lambda word, file: (word, file) == ("INSERT", "intake.db"))
    assert not node.send(link, window(node, 0, 5))
    node.world.files.heal()
    assert node.send(link, window(node, 0, 5))
    assert (node.row(device).readings, node.row(device).duplicates) == (5, 0)


def test_without_notes_nothing_is_lost_and_nothing_recognised(node: Node) -> None:
    device = phone(node)
    sql = "UPDATE device SET wrapped_notes = NULL"
    vault = device.person.vault
    node.loop.run_until_complete(
        node.thread.run(lambda: node.world.writer.transact(vault, None, lambda c: c.execute(sql)))
    )
    link = node.connect(device)
    assert node.send(link, window(node, 0, 5), window(node, 0, 5))
    assert (node.row(device).readings, node.row(device).duplicates) == (10, 0)


def test_numbers_that_never_came_are_counted(node: Node) -> None:
    device = phone(node)
    link = node.connect(device)
    assert node.send(link, *((f"number/s/{n}", b"") for n in (7, 8, 12, 10, 10, 20)))
    assert node.row(device).gaps == 2 + 7
    del link
    gc.collect()
    assert node.send(node.connect(device), ("number/s/23", b""), ("number/t/900", b""), ("number/s/9", b""))
    assert node.row(device).gaps == 2 + 7 + 2 - 1  # also over a break of the connection
    node.reopen()
    assert node.send(node.connect(device), ("number/s/99", b""), ("number/s/101", b""))
    assert node.row(device).gaps == 11  # the first number after a start is where counting begins


def test_of_a_commit_that_failed_no_gap_is_counted(node: Node) -> None:
    device = phone(node)
    link = node.connect(device)
    assert node.send(link, ("number/s/1", b""))
    node.world.files.fail(1, Fault.FULL, only=lambda word, file: (word, file) == ("INSERT", "intake.db"))
    assert not node.send(link, ("number/s/5", b""))
    node.world.files.heal()
    assert node.send(link, ("number/s/2", b""), ("number/s/3", b""), ("number/s/4", b""), ("number/s/5", b""))
    assert node.row(device).gaps == 0


def test_what_the_neighbours_sensors_said_is_counted_and_not_stored(node: Node) -> None:
    device = phone(node)
    assert node.send(node.connect(device), ("street", b""), ("street", b"x"))
    row = node.row(device)
    assert (row.foreign, row.readings, row.quarantined) == (6, 0, 0)


def test_an_image_is_sealed_whole_with_its_topic(node: Node) -> None:
    device, image = phone(node), b"\xff\xd8\xff canary-image-4713"
    assert node.send(node.connect(device), ("image", image), ("image", image), dup=False)
    assert node.send(node.connect(device), ("image", image), dup=True)  # a redelivery
    assert node.values(device.person) == [b"image\0" + image] * 2
    row = node.row(device)
    assert (row.blobs, row.quarantined, row.readings) == (2, 0, 0)
    assert image not in node.world.bytes_on_disk()


def test_a_dialect_that_fails_ends_nothing_and_loses_nothing(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    """The payload is kept whole, and what comes with it is read; the log says which fault, and no payload."""
    device = phone(node)
    assert node.send(node.connect(device), ("bug", b"canary-4714"), ("street", b""), window(node, 0, 1))
    assert node.values(device.person) == [b"bug\0canary-4714", 0.0]
    assert (node.row(device).quarantined, node.row(device).foreign) == (1, 3)
    assert [record.getMessage() for record in caplog.records] == ["a dialect failed: ZeroDivisionError"]
    assert "canary" not in caplog.text
