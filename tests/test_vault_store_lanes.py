"""Who may read decides which lane a reading goes to: by event time to the second, and anew at each change."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from policies.grant import Active
from policies.kinds import catalogue
from policies.terms import Terms
from tests.world import DAY_MS, Asked, Device, Person, RefusedError, World, at
from vault.chunk import ChunkHeader, open_chunk
from vault.observation import Observation
from vault.segment import BLOB_KIND, QUARANTINE, Lane, is_reserved, lane_key, resolution_key
from vault.store.recipients import LiveGrant


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def lanes(person: Person) -> dict[tuple[bytes, Lane], list[object]]:
    """The values of each lane of each segment."""
    person.world.flush(person)
    reader, found = person.world.reader, defaultdict[tuple[bytes, Lane], list[object]](list)
    for row in reader.segments(person.vault, 0, 1 << 30):
        header, key, names = person.open_segment(row)
        for lane in names.values():
            found[bytes(header.segment), lane] = []
        for chunk in reader.chunks(person.vault, [header.segment], 0, 0):
            lane = names[chunk.number]
            place = ChunkHeader(header, lane, chunk.first_seq, chunk.last_seq, chunk.count)
            opened = open_chunk(resolution_key(lane_key(key, lane), "raw"), place, chunk.body)
            found[bytes(header.segment), lane] += [one.value for one in opened.observations]
    return dict(found)


def given(asked: Asked) -> set[tuple[bytes, int, str]]:
    """The lanes that a grant's boxes open, and at which resolutions."""
    keys = asked.keys()
    asked.person.world.flush(asked.person)
    keys.refresh(asked.person.world.reader)
    return set(keys._keys)


def prepare(asked: Asked, terms: Terms) -> None:
    """An approval without history."""
    asked.person.commit(
        asked, terms, asked.person.prepare(asked, asked.person.statement(asked, terms)).segments
    )


def bounded(asked: Asked, device: Device, since_s: int, until_s: int) -> Terms:
    """Terms with exact bounds, seconds from now."""
    now = asked.person.world.clock() // 1000
    terms = asked.terms(device.selector())
    return msgspec.structs.replace(terms, data_from=now + since_s, data_until=now + until_s)


def test_readings_inside_and_outside_a_grants_bounds_are_in_different_lanes(world: World) -> None:
    """Half-open, to the second."""
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    prepare(asked, bounded(asked, meter, 10, 20))
    times = [9.0, 9.999, 10.0, 19.999, 20.0, 30.0]
    assert meter.publish(*(at(world, second, second) for second in times))
    assert sorted(lanes(meter.person).values()) == [[9.0, 9.999], [10.0, 19.999], [20.0, 30.0]]
    assert [one.observation.value for one in asked.read()] == [10.0, 19.999]


def test_two_grants_with_overlapping_bounds_make_a_lane_for_each_set_of_readers(world: World) -> None:
    meter = world.person().device()
    asked = [Asked(meter.person, world.brand(name)) for name in ("Acme", "Globex")]
    for one, (since, until) in zip(asked, [(0, 20), (10, 30)], strict=True):
        prepare(one, bounded(one, meter, since, until))
    meter.publish(*(at(world, second, second) for second in (25, 5, 15, 35, 6)))
    assert sorted(lanes(meter.person).values()) == [[5.0, 6.0], [15.0], [25.0], [35.0]]
    assert [[r.observation.value for r in one.read()] for one in asked] == [[5.0, 15.0, 6.0], [25.0, 15.0]]


def test_every_change_of_recipients_goes_on_under_an_unused_part(world: World) -> None:
    meter = world.person().device()
    meter.send(0)
    asked = [Asked(meter.person, world.brand(str(n))) for n in range(2)]
    for n, one in enumerate(asked):
        meter.person.approve(one, meter.selector())
        meter.send(10 * n + 1, 10 * n + 2)
    for n, one in enumerate(asked):
        meter.person.revoke(one)
        meter.send(100 + n)
    found = lanes(meter.person)
    assert sorted((lane.part, values) for (_, lane), values in found.items()) == [
        (0, [0.0]),
        (1, [1.0, 2.0]),
        (2, [11.0, 12.0]),
        (3, [100.0]),
        (4, [101.0]),
    ]
    assert len({segment for segment, _ in found}) == 1  # a rotation costs no owner's box


def test_a_part_is_not_used_again_after_a_commit_that_failed(world: World) -> None:
    """Its box may lie in a log all the same, and must not open what comes after a revocation."""
    meter = world.person().device()
    meter.send(0)
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    world.files.fail(1, only=lambda _, file: file == "intake.db")
    assert not meter.send(1)
    meter.person.revoke(asked)
    assert meter.send(2)
    assert sorted((lane.part, values) for (_, lane), values in lanes(meter.person).items()) == [
        (0, [0.0]),
        (2, [2.0]),
    ]


def test_other_series_are_not_touched_by_a_rotation(world: World) -> None:
    meter = world.person().device()
    meter.send(1)
    meter.send(50, kind="humidity")
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    meter.send(2)
    meter.send(51, kind="humidity")
    parts = {(lane.kind, lane.part): values for (_, lane), values in lanes(meter.person).items()}
    assert parts == {("temperature", 0): [1.0], ("temperature", 1): [2.0], ("humidity", 0): [50.0, 51.0]}


def test_a_revoked_grant_gets_no_further_box(world: World) -> None:
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    meter.send(1)
    assert len(given(asked)) == 1
    meter.person.revoke(asked)
    meter.send(2)
    world.pass_time(DAY_MS)
    meter.send(3)
    world.flush(meter.person)
    assert world.reader.boxes(meter.person.vault, asked.grant, 0) == []
    world.crash()
    meter.send(4)
    world.flush(meter.person)
    assert world.reader.boxes(meter.person.vault, asked.grant, 0) == []


def test_one_box_a_commit_lists_the_lanes_of_many_days(world: World) -> None:
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    assert meter.publish(*(at(world, 86_400 * day, day) for day in range(5)))
    world.flush(meter.person)
    ((_, segments, _),) = world.reader.boxes(meter.person.vault, asked.grant, 0)
    assert len(segments) == 5 * 16
    assert len(given(asked)) == 5


def test_late_data_of_another_day_opens_a_segment_of_its_own_day(world: World) -> None:
    meter = world.person().device()
    meter.publish(at(world, 0, 1), at(world, -3 * 86_400, 2), at(world, -3 * 86_400, 3))
    world.flush(meter.person)
    today = world.clock() // DAY_MS
    segments = world.reader.segments(meter.person.vault, 0, today + 1)
    assert [meter.person.open_segment(row)[0].day for row in segments] == [today - 3, today]
    meter.publish(at(world, -3 * 86_400, 4))
    world.flush(meter.person)
    assert len(world.reader.segments(meter.person.vault, 0, today + 1)) == 2
    assert meter.person.values() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(("channels", "opened"), [(None, {"a", "new"}), (("a",), {"a"})])
def test_new_channels_come_in_only_where_the_person_said_and_future_ones(
    world: World, channels: tuple[str, ...] | None, opened: set[str]
) -> None:
    hub = world.person().device()
    hub.send(1, channel="a")
    asked = Asked(hub.person, world.brand())
    hub.person.approve(asked, hub.selector(channels=channels))
    hub.send(2, channel="a")
    hub.send(3, channel="new")
    assert {one.observation.channel for one in asked.read()} == opened


def test_another_device_and_another_kind_are_never_sealed_to_a_grant(world: World) -> None:
    person = world.person()
    meter, other = person.device(), person.device("other")
    asked = Asked(person, world.brand())
    person.approve(asked, meter.selector())
    other.send(1)
    meter.send(2, kind="humidity")
    meter.publish(raw=b"not understood")
    world.flush(person)
    assert world.reader.boxes(person.vault, asked.grant, 0) == []


def test_a_crash_opens_new_segments_and_loses_no_recipient(world: World) -> None:
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    for value in range(4):
        meter.send(value)
        world.crash()
    assert [one.observation.value for one in asked.read()] == [0.0, 1.0, 2.0, 3.0]
    assert len({segment for segment, _ in lanes(meter.person)}) == 4


def hostile(asked: Asked, device: Device) -> Terms:
    """Terms that name the vault's own kinds beside one that may be given."""
    terms = asked.terms(device.selector())
    own = tuple(device.selector(kind) for kind in (QUARANTINE, BLOB_KIND, "_anything"))
    return msgspec.structs.replace(terms, selectors=(*terms.selectors, *own))


def seal_some_of_each(device: Device) -> None:
    """A reading, a payload that was not understood, one that is not to be read, and one of a kind to come."""
    device.send(1)
    device.publish(raw=b"kept whole")
    device.publish(blob=b"an image")
    device.publish(Observation("", "_anything", device.person.world.clock(), b"?"))


def opened_by(asked: Asked) -> set[str]:
    """The kinds of the lanes that a grant's boxes open."""
    keys = asked.keys()
    asked.person.world.flush(asked.person)
    keys.refresh(asked.person.world.reader)
    return {lane.kind for lane, _ in keys._keys.values()}


def test_a_statement_that_gives_the_vaults_own_kinds_is_refused(world: World) -> None:
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    with pytest.raises(RefusedError):
        prepare(asked, hostile(asked, meter))


@pytest.mark.parametrize("guarded", [True, False])
def test_no_lane_of_the_vaults_own_kinds_is_ever_sealed_to_a_grant(
    world: World, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the owner signed it, and whoever runs the node put it in place of what was approved."""
    if not guarded:  # the known-bad control: without the writer's own check it would be
        monkeypatch.setattr("vault.store.recipients.is_reserved", lambda _: False)
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    seal_some_of_each(meter)
    terms = hostile(asked, meter)
    signed = msgspec.msgpack.encode(meter.person.statement(asked, terms))
    state = msgspec.msgpack.encode(Active(terms, world.clock(), world.clock()))
    world.close()
    with closing(sqlite3.connect(world.data.vault_db(meter.person.vault))) as connection:
        connection.execute("UPDATE grant_ SET statement = ?, state = ?", (signed, state))
        connection.commit()
    world.open()
    seal_some_of_each(meter)
    world.writer.state(meter.person.vault).open.admit(LiveGrant.of(asked.grant, asked.drawn.public, terms))
    seal_some_of_each(meter)
    assert (opened_by(asked) == {"temperature"}) == guarded
    if guarded:
        assert [one.observation.value for one in asked.read()] == [1.0] * 3


@pytest.mark.parametrize("guarded", [True, False])
def test_no_reading_of_the_vaults_own_kinds_leaves_although_a_box_opens_its_lane(
    world: World, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that was fooled sealed the history of every kind: the door lets none of it out."""
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    seal_some_of_each(meter)
    with monkeypatch.context() as fooled:
        fooled.setattr("tests.world.is_reserved", lambda _: False)
        terms = hostile(asked, meter)
        terms = msgspec.structs.replace(terms, data_from=0)
        world.flush(meter.person)
        rows = world.reader.segments(meter.person.vault, 0, 1 << 30)
        meter.person.approve(asked, meter.selector(), history=True)
        boxes = meter.person.boxes(asked, terms, rows)
    state = msgspec.msgpack.encode(Active(terms, world.clock(), world.clock()))
    world.close()
    with closing(sqlite3.connect(world.data.vault_db(meter.person.vault))) as connection:
        connection.execute("UPDATE grant_ SET state = ?", (state,))
        sql = "INSERT INTO grant_box (grant_, segments, box) VALUES (?, ?, ?)"
        connection.executemany(sql, [(asked.grant, segments, box) for segments, box in boxes])
        connection.commit()
    world.open()
    assert opened_by(asked) == {"temperature", QUARANTINE, BLOB_KIND, "_anything"}
    if not guarded:
        monkeypatch.setattr("vault.store.release.is_reserved", lambda _: False)
    assert ([one.observation.value for one in asked.read()] == [1.0]) == guarded


def test_a_blob_is_sealed_whole_under_a_kind_of_its_own_and_counted(world: World) -> None:
    meter = world.person().device()
    meter.publish(blob=b"front/snapshot\0\xff\xd8image")
    assert [(lane.kind, lane.channel, values) for (_, lane), values in lanes(meter.person).items()] == [
        (BLOB_KIND, "", [b"front/snapshot\0\xff\xd8image"])
    ]
    (row,) = world.reader.devices(meter.person.vault)
    assert (row.blobs, row.quarantined, row.readings) == (1, 0, 0)


def test_no_kind_of_the_catalogue_is_the_vaults_own() -> None:
    assert not [name for name in catalogue().names() if is_reserved(name)]
