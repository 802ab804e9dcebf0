"""What a device declares is durable with its message, known while it is connected, and sealed otherwise."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.node.ingest import DeviceIngest, Link, Quota
from tests.canary import found
from tests.ingest_world import Node, running, zone
from tests.world import Device, Fault, World, expect
from vault.device import Notes, unwrap_notes, verifier, wrap_notes
from vault.errors import SealError
from vault.ids import DeviceId
from vault.store import people

COLD, WARM = ("say/kitchen", b"4"), ("say/kitchen", b"21")
DECLARED = ("declare/kitchen", b"temperature")


@pytest.fixture
def node(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    with running(World(memory_path), monkeypatch) as made:
        yield made


def hub(node: Node) -> Device:
    return node.world.person().device("hub")


def test_a_lesson_holds_from_the_next_message_on(node: Node) -> None:
    device = hub(node)
    link = node.connect(device)
    assert node.send(link, COLD, DECLARED, WARM)  # in one commit
    assert node.send(link, COLD)
    assert node.values(device.person) == [b"say/kitchen\0" + b"4", 21.0, 4.0]
    assert node.row(device).quarantined == 1


def test_it_is_known_to_every_link_of_the_device_and_to_no_other_device(node: Node) -> None:
    device = hub(node)
    other = device.person.device("other")
    early, foreign = node.connect(device), node.connect(other)
    assert node.send(node.connect(device), DECLARED)
    for link in (early, node.connect(device), foreign):
        assert node.send(link, WARM)
    assert [node.row(one).readings for one in (device, other)] == [2, 0]


ENDS: dict[str, Callable[[Node, Device], object]] = {
    "in the journal only": lambda _node, _device: None,
    "in the file": lambda node, device: node.row(device),
    "after a start": lambda node, _: node.reopen(),
    "after a crash": lambda node, _: node.crash(),
}


@pytest.mark.parametrize("end", ENDS)
def test_it_is_known_when_the_device_comes_back(node: Node, end: str) -> None:
    device = hub(node)
    link = node.connect(device)
    assert node.send(link, ("declare/cellar", b"humidity"))
    node.row(device)
    assert node.send(link, DECLARED)
    known = weakref.ref(link.known)
    del link
    node.loop.run_until_complete(node.thread.run(gc.collect))
    assert known() is None  # it goes with the connection
    ENDS[end](node, device)
    again = node.connect(device)
    assert node.send(again, WARM, ("say/cellar", b"60"))
    assert node.values(device.person) == [21.0, 60.0]


def test_what_is_forgotten_is_forgotten_durably(node: Node) -> None:
    device = hub(node)
    assert node.send(node.connect(device), DECLARED, WARM)
    assert node.send(node.connect(device), ("declare/kitchen", b""))
    node.crash()
    assert node.send(node.connect(device), WARM)
    assert node.row(device).quarantined == 1


def test_a_lesson_that_was_not_stored_is_neither_acknowledged_nor_known(node: Node) -> None:
    device = hub(node)
    link = node.connect(device)
    assert node.send(link, ("declare/cellar", b"humidity"))
    node.world.files.fail(1, Fault.FULL, only=lambda word, file: (word, file) == ("INSERT", "intake.db"))
    assert not node.send(link, DECLARED)
    node.world.files.heal()
    assert node.send(link, WARM, ("say/cellar", b"60"))
    assert node.values(device.person) == [b"say/kitchen\0" + b"21", 60.0]
    assert node.send(link, DECLARED, WARM)
    node.crash()
    assert node.send(node.connect(device), WARM)
    assert node.values(device.person)[2:] == [21.0, 21.0]


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_what_was_acknowledged_is_known(
    memory_path: Path, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer's thread dies at a write; whatever was acknowledged before is understood after the start."""
    for step in itertools.count(1):
        world = World(memory_path / f"{step}{after}")
        with running(world, monkeypatch) as node:
            device = hub(node)
            names, told = ["attic", "kitchen", "cellar"], list[str]()
            world.files.fail(step, Fault.FULL, persistent=True, after=after)
            link = node.connect(device)
            for name in names:
                if node.send(link, (f"declare/{name}", b"temperature")):
                    told.append(name)
            ended = not world.files.fired
            node.crash()
            link = node.connect(device)
            for name in told:
                assert node.send(link, (f"say/{name}", b"1"))
            assert node.row(device).quarantined == 0
            assert node.row(device).readings == len(told)
        world.kill()
        shutil.rmtree(memory_path / f"{step}{after}")
        if ended:
            break
    assert told == names
    assert step > 2


def test_a_node_that_acknowledges_before_it_stores_a_lesson_is_found_out(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known-bad control of the tests above."""
    monkeypatch.setattr("gateway.node.arrivals.Arrivals.learned", lambda *_: [])
    device = hub(node)
    assert node.send(node.connect(device), DECLARED, WARM)
    node.crash()
    assert node.send(node.connect(device), WARM)
    assert node.row(device).quarantined == 1


def test_new_settings_hold_for_live_links_and_for_later_ones(node: Node) -> None:
    device = hub(node)
    link = node.connect(device)
    assert node.send(link, DECLARED, ("where", b""))
    node.configure(device, zone(device, "Asia/Tokyo"))
    assert node.send(link, ("where", b""), WARM)
    del link
    node.loop.run_until_complete(node.thread.run(gc.collect))
    node.configure(device, zone(device, "Europe/Bucharest"))
    assert node.send(node.connect(device), ("where", b""), WARM)
    node.configure(device, b"")
    assert node.send(node.connect(device), ("where", b""))
    node.reopen()
    assert node.values(device.person) == ["UTC", "Asia/Tokyo", 21.0, "Europe/Bucharest", 21.0, "UTC"]


def test_a_device_of_before_there_were_notes_has_some_once_its_password_is_another(node: Node) -> None:
    device = hub(node)
    file = node.world.data.vault_db(device.person.vault)
    sql = "UPDATE device SET wrapped_notes = NULL"
    node.loop.run_until_complete(
        node.thread.run(
            lambda: node.world.writer.transact(device.person.vault, None, lambda c: c.execute(sql))
        )
    )
    assert file.exists()
    node.configure(device, zone(device, "Asia/Tokyo"))
    link = node.connect(device)
    assert node.send(link, DECLARED, WARM, ("where", b""))  # known for as long as it is connected
    assert node.values(device.person) == [21.0, "UTC"]

    def rotate() -> None:
        key = device.person.owner.notes_key(device.id)
        wrapped = wrap_notes(device.id, b"another", key, bytes(12))
        kept = verifier(device.id, b"another")
        expect(people.rotate_device(node.world.writer, device.person.vault, device.id, kept, wrapped))
        node.ingest.end(device.id)

    node.loop.run_until_complete(node.thread.run(rotate))
    again = node.connect(device, b"another")  # while the old link is still there
    assert node.send(again, WARM, ("where", b""), DECLARED, WARM)
    assert node.values(device.person)[2:] == [b"say/kitchen\0" + b"21", "Asia/Tokyo", 21.0]
    assert not node.send(link, WARM)


DAMAGE = {
    "the key, of another password": "UPDATE device SET wrapped_notes = zeroblob(60)",
    "the key, cut short": "UPDATE device SET wrapped_notes = x'00'",
    "the settings": "UPDATE device SET settings = zeroblob(100)",
    "the lessons": "UPDATE device SET learned = zeroblob(100)",
    "all": "UPDATE device SET wrapped_notes = x'00', settings = x'00', learned = x'00'",
}


@pytest.mark.parametrize("damaged", DAMAGE)
def test_notes_that_do_not_open_keep_no_device_from_sending(node: Node, damaged: str) -> None:
    device = hub(node)
    node.configure(device, zone(device, "Asia/Tokyo"))
    assert node.send(node.connect(device), DECLARED)
    node.row(device)
    node.loop.run_until_complete(node.thread.run(gc.collect))
    vault = device.person.vault
    node.loop.run_until_complete(
        node.thread.run(lambda: node.world.writer.transact(vault, None, lambda c: c.execute(DAMAGE[damaged])))
    )
    assert node.send(node.connect(device), DECLARED, WARM, ("where", b""))
    zones = {"the settings": "UTC", "the lessons": "Asia/Tokyo"}
    assert node.values(device.person) == [21.0, zones.get(damaged, "UTC")]
    node.crash()
    assert node.send(node.connect(device), WARM)
    again = {"the settings": True, "the lessons": True}  # overwritten, where there is a key for it
    assert (node.row(device).quarantined == 0) == again.get(damaged, False)


def test_of_retained_messages_only_what_they_teach_is_kept(node: Node) -> None:
    """They are a broker's state from before the subscription, and no reading of now."""
    device = hub(node)
    link = node.connect(device)
    assert node.send(
        link, DECLARED, WARM, ("nobody knows", b"?"), ("street", b""), ("image", b"i"), ("number/s/1", b""),
        ("again", b"[[0, 1]]"), retained=True,
    )  # fmt: skip
    row = node.row(device)
    assert (row.readings, row.quarantined, row.foreign, row.blobs, row.last_seen) == (0, 0, 0, 0, None)
    node.crash()
    assert node.send(node.connect(device), WARM)
    assert node.values(device.person) == [21.0]


def test_what_is_stored_of_declarations_counts_as_sent(node: Node) -> None:
    """Each change has all of them stored again: few bytes from a device must not fill the disk."""
    device, day = hub(node), 100_000
    node.ingest = DeviceIngest(node.thread, node.world.reader, Quota(day), node.world.clock)
    link = node.connect(device)
    long = os.urandom(10_000).hex().encode()  # which does not get smaller
    stored = sent = len(long)
    assert node.send(link, ("declare/attic", long))
    while sent < day and node.send(link, DECLARED if sent % 2 else ("declare/kitchen", b"power")):
        sent += 1
        stored += len(long) // 2
    assert stored <= day


def test_one_damaged_vault_refuses_its_lessons_and_the_others_keep_theirs(node: Node) -> None:
    ana, ben = node.world.person("ana").device(), node.world.person("ben").device()
    links = [node.connect(ana), node.connect(ben)]
    node.stop()
    file = node.world.data.vault_db(ana.person.vault)
    node.world.reopen()
    kept = file.read_bytes()
    for log in file.parent.glob(file.name + "-*"):
        log.unlink()
    file.write_bytes(b"damaged" * 100)
    node.start()
    with pytest.raises(Exception, match="damaged"):
        node.connect(ana)
    assert node.send(node.connect(ben), DECLARED, WARM)
    assert node.values(ben.person) == [21.0]
    del links
    file.write_bytes(kept)


def test_names_that_a_device_declared_are_nowhere_on_the_disk(node: Node) -> None:
    """In clear or packed: while it is connected, when it has gone, and after a start."""
    device, secrets = hub(node), [b"canary-cellar-4711", b"canary_kind_4712", b"Antarctica/Troll"]
    node.configure(device, zone(device, "Antarctica/Troll"))
    link = node.connect(device)
    name = f"declare/{secrets[0].decode()}"
    assert node.send(link, (name, secrets[1]), ("where", b""))
    places = [node.world.data.path]
    assert found(places, secrets) == set()
    node.row(device)
    assert found(places, secrets) == set()
    link.ended = True
    del link
    node.loop.run_until_complete(node.thread.run(gc.collect))
    node.reopen()
    assert found(places, secrets) == set()
    assert device.notes.open_lessons(node.world.reader.learned(device.person.vault, device.id) or b"")
    (places[0] / "control").write_bytes(b"x" + secrets[0])
    assert found(places, secrets) == {(str(places[0] / "control"), secrets[0])}


def test_who_has_the_disk_and_not_the_password_opens_nothing(node: Node) -> None:
    device = hub(node)
    node.configure(device, zone(device, "Asia/Tokyo"))
    assert node.send(node.connect(device), DECLARED)
    node.row(device)
    vault = device.person.vault
    wrapped, settings, learned = node.world.reader.device_notes(vault, device.id)
    assert wrapped is not None
    assert settings is not None
    assert learned is not None
    on_disk = node.world.reader.device_verifier(vault, device.id)
    assert on_disk is not None
    for guess in (b"", on_disk, device.id, wrapped, device.password[:-1]):
        with pytest.raises(SealError):
            unwrap_notes(device.id, guess, wrapped)
    for key in (on_disk, on_disk[::-1], wrapped[12:44], device.person.owner.verify_key):
        notes = Notes(device.id, key)
        for opening, sealed in ((notes.open_settings, settings), (notes.open_lessons, learned)):
            with pytest.raises(SealError):
                opening(sealed)
    assert Notes(device.id, unwrap_notes(device.id, device.password, wrapped)).open_settings(settings)


def test_a_wrong_password_learns_nothing_of_what_is_noted(node: Node) -> None:
    device = hub(node)
    assert node.ingest.authenticate(device.id.text, b"wrong") is None
    assert node.ingest.authenticate(DeviceId(b"?" * 16).text, device.password) is None
    assert len(node.ingest._known) == 0


def test_a_removed_device_is_known_no_more(node: Node) -> None:
    device = hub(node)
    link: Link = node.connect(device)
    assert node.send(link, DECLARED)

    def remove() -> None:
        expect(people.remove_device(node.world.writer, device.person.vault, device.id))
        node.ingest.end(device.id)

    node.loop.run_until_complete(node.thread.run(remove))
    assert not node.send(link, ("declare/cellar", b"humidity"))
    assert node.world.reader.device_notes(device.person.vault, device.id)[0] is None
    assert node.ingest.authenticate(device.id.text, device.password) is None


TELLS, VAGUE = ("porch/sensor/temperature/state", b"21.5"), ("porch/status", b"online")


def test_a_dialect_that_was_spoken_once_helps_with_topics_that_do_not_tell(memory_path: Path) -> None:
    """``NODE/status`` is ESPHome's and could be anybody's."""
    with closing(Node(World(memory_path))) as node:
        device = hub(node)
        other = device.person.device("other")
        assert node.send(node.connect(other), VAGUE)
        assert node.row(other).quarantined == 1  # the control: nothing says what it is
        assert node.send(node.connect(device), TELLS, VAGUE)
        assert (node.row(device).readings, node.row(device).quarantined) == (2, 0)
        node.crash()
        assert node.send(node.connect(device), VAGUE)
        assert (node.row(device).readings, node.row(device).quarantined) == (3, 0)
