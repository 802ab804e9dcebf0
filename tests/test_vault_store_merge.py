"""Segments that close: fewer chunks, the same readings under the same numbers, and few bytes."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace as but

from tests.world import DAY_MS, Asked, Device, Fault, Killed, Person, World, at
from vault.chunk import ChunkHeader, Sequenced, open_chunk, seal_chunk
from vault.person import Owner
from vault.segment import lane_key, resolution_key
from vault.statement import Enrolment, Replacement, Signed, sign
from vault.store.records import No, SealedChunk, SegmentRow
from vault.store.replace import apply_merge, digest


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def chunks(person: Person) -> int:
    """How many chunks there are."""
    person.world.flush(person)
    (count,) = person.world.writer.file(person.vault).row("SELECT count(*) FROM chunk")
    return int(count)


def still_open(person: Person) -> list[SegmentRow]:
    """Segments of readings that were not closed."""
    person.world.flush(person)
    return [row for row in person.world.reader.segments(person.vault, 0, 1 << 30) if row.open]


def test_a_closed_segment_holds_the_same_readings_in_one_chunk_a_lane(world: World) -> None:
    meter = world.person().device()
    for value in range(30):
        meter.send(value)
        meter.send(value + 0.5, kind="humidity")
    before = meter.person.readings()
    assert chunks(meter.person) == 60
    world.reopen()
    assert meter.person.readings() == before
    assert chunks(meter.person) == 2
    assert still_open(meter.person) == []


def test_a_segment_closes_ten_quiet_minutes_after_its_day(world: World) -> None:
    meter = world.person().device()
    meter.send(1)
    day_end = (world.clock() // DAY_MS + 1) * DAY_MS
    for moment, quiet in [
        (0, False),
        (day_end, False),
        (day_end + 600_000, False),
        (day_end + 600_001, True),
    ]:
        world.clock.now = max(moment, world.clock.now)
        world.writer.close_quiet()
        assert (still_open(meter.person) == []) is quiet
    meter.publish(at(world, -86_400, 2))  # late data: a segment of its own
    world.writer.close_quiet()
    assert len(still_open(meter.person)) == 1


def test_closing_stops_between_segments_when_time_is_up(world: World) -> None:
    meter = world.person().device()
    meter.publish(*(at(world, -86_400 * day, day) for day in range(5)))
    world.writer.move_all()
    turns = iter([False, False, True])
    world.writer.close_quiet(everything=True, until=lambda: next(turns))
    assert len(still_open(meter.person)) == 3
    assert len(meter.person.values()) == 5


def test_a_device_that_writes_in_many_days_keeps_few_segments_open(world: World) -> None:
    meter = world.person().device()
    meter.publish(*(at(world, -86_400 * day, day) for day in range(100)))
    world.writer.close_quiet()
    assert len(still_open(meter.person)) == 64
    assert len(meter.person.values()) == 100


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_of_a_merge_the_readings_are_there_once(memory_path: Path, after: bool) -> None:
    for step in range(1, 100):
        world = World(memory_path / f"{step}")
        meter = world.person().device()
        for value in range(4):
            meter.send(value, value + 0.5)
        before = meter.person.readings()
        world.files.fail(step, Fault.DEAD, after=after)
        try:
            world.close()
            break
        except Killed:
            world.crash()
        assert meter.person.readings() == before
    assert step > 5


def test_a_full_disk_at_the_end_of_the_day_loses_nothing(world: World) -> None:
    meter = world.person().device()
    meter.send(1)
    meter.send(2)
    world.pass_time(2 * DAY_MS)
    world.files.fail(1, Fault.FULL, persistent=True)
    world.writer.close_quiet()
    world.files.heal()
    world.writer.move_all()
    assert meter.send(3)
    assert meter.person.values() == [1.0, 2.0, 3.0]


def test_stopping_gives_everything_back_even_when_a_vault_cannot_be_merged(world: World) -> None:
    ana, ben = world.person("ana").device(), world.person("ben").device()
    for value in range(3):
        ana.send(value)
        ben.send(value)
    world.writer.move_all()
    file = world.data.vault_db(ana.person.vault).name
    world.files.fail(1, persistent=True, only=lambda _, name: name == file)
    world.close()
    world.files.heal()
    world.open()
    assert len(still_open(ana.person)) == 1
    assert still_open(ben.person) == []
    assert ana.person.values() == ben.person.values() == [0.0, 1.0, 2.0]


def test_a_brand_that_pages_while_chunks_merge_misses_nothing_and_sees_nothing_twice(world: World) -> None:
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    for value in range(12):
        meter.send(value)
    keys, after, found = asked.keys(), 0, list[object]()
    for turn in range(12):
        got = asked.page(keys, after, 1)
        after = got.last_seq
        found += [one.observation.value for one in got.readings]
        if turn == 4:
            world.writer.close_quiet(everything=True)
        if turn == 8:
            meter.send(12)
    found += [one.observation.value for one in asked.pages(keys, after=after)]
    assert found == [float(value) for value in range(13)]


def test_minutely_numbers_cost_at_most_ten_bytes_a_reading(world: World) -> None:
    """A thermometer and a meter with the noise of real ones, a commit a minute, segments closed day by day.

    Counted is the file without its free pages and without the digests of redeliveries, which do not grow
    with the readings.
    """
    meter, chance, days = world.person().device(), random.Random(5), 3
    path, start = world.data.vault_db(meter.person.vault), (world.clock() // DAY_MS + 1) * DAY_MS
    world.reopen()
    before = packed(path)
    degrees, total = 20.0, 1000.0
    for minute in range(days * 1440):
        world.clock.now = start + minute * 60_000 + chance.randrange(2000)
        degrees = round(degrees + chance.gauss(0, 0.08), 1)
        total = round(total + chance.random() * 0.02, 3)
        world.writer.commit(
            [meter.arrival(at(world, 0, degrees), at(world, 0, total, "energy"), packet=minute)]
        )
        if minute % 240 == 0:
            world.writer.move_all()
            world.writer.close_quiet()
    world.reopen()
    assert len(meter.person.readings()) == days * 1440 * 2
    world.close()
    assert (packed(path) - before) / (days * 1440 * 2) <= 8  # ten is promised


def packed(path: Path) -> int:
    """Bytes of a vault's file, as described."""
    with closing(sqlite3.connect(path)) as original, closing(sqlite3.connect(":memory:")) as copy:
        original.backup(copy)
        copy.execute("DELETE FROM recent")
        copy.commit()
        copy.execute("VACUUM")
        (pages,), (size,) = (
            copy.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "page_size")
        )
        return int(pages * size)


# --- the owner's client merges what a crash left ----------------------------------------------------------


def crashed(world: World) -> Device:
    """A meter whose node died with two series in many chunks."""
    meter = world.person().device()
    for value in range(5):
        meter.send(value)
        meter.send(value + 100, kind="humidity")
    world.crash()
    return meter


def merge(person: Person, row: SegmentRow) -> list[SealedChunk]:
    """What the owner's client makes of a segment: one chunk a lane."""
    header, key, lanes = person.open_segment(row)
    merged = []
    for number, lane in lanes.items():
        parts = [
            open_chunk(
                resolution_key(lane_key(key, lane), "raw"),
                ChunkHeader(header, lane, chunk.first_seq, chunk.last_seq, chunk.count),
                chunk.body,
            )
            for chunk in person.world.reader.chunks(person.vault, [header.segment], 0, 0)
            if chunk.number == number
        ]
        seqs = [seq for part in parts for seq in part.seqs]
        whole = Sequenced(seqs, [one for part in parts for one in part.observations])
        place = ChunkHeader(header, lane, seqs[0], seqs[-1], len(seqs))
        body = seal_chunk(resolution_key(lane_key(key, lane), "raw"), place, whole, person.world.entropy(12))
        merged.append(SealedChunk(bytes(header.segment), number, "raw", seqs[0], seqs[-1], len(seqs), body))
    return merged


def signed(person: Person, made: list[SealedChunk], **other: object) -> Signed:
    """The owner's word for a replacement."""
    segments = tuple(sorted({chunk.segment for chunk in made}))
    statement = Replacement(segments, segments, digest(made))
    return sign(person.owner.signing, person.vault, but(statement, **other))


def test_the_owners_replacement_closes_a_segment_that_a_crash_left_in_pieces(world: World) -> None:
    meter = crashed(world)
    person = meter.person
    before = person.readings()
    (row,) = still_open(person)
    made = merge(person, row)
    assert apply_merge(world.writer, person.vault, signed(person, made), made) is None
    assert person.readings() == before
    assert chunks(person) == 2
    assert still_open(person) == []
    again = apply_merge(world.writer, person.vault, signed(person, made), made)
    assert isinstance(again, No)
    assert again.code == "conflict"


def _swap(made: list[SealedChunk], at: int, **other: object) -> list[SealedChunk]:
    return [but(chunk, **other) if n == at else chunk for n, chunk in enumerate(made)]


Bad = Callable[[Person, list[SealedChunk]], tuple[Signed, list[SealedChunk]]]
ONE_FAULT: dict[str, tuple[str, Bad]] = {
    "signed by somebody else": (
        "not_authorised",
        lambda p, made: (sign(Owner(b"x" * 32).signing, p.vault, _statement(made)), made),
    ),
    "an altered signature": (
        "not_authorised",
        lambda p, made: (but(signed(p, made), signature=bytes(64)), made),
    ),
    "another statement": (
        "invalid",
        lambda p, made: (sign(p.owner.signing, p.vault, Enrolment(p.client.text, bytes(32), "")), made),
    ),
    "another body than signed": (
        "invalid",
        lambda p, made: (signed(p, made), _swap(made, 0, body=made[0].body[:-1] + b"\0")),
    ),
    "a chunk more than signed": ("invalid", lambda p, made: (signed(p, made), [*made, made[0]])),
    "a chunk less than signed": ("invalid", lambda p, made: (signed(p, made), made[:1])),
    "other segments than it supersedes": (
        "invalid",
        lambda p, made: (signed(p, made, supersedes=(bytes(16),)), made),
    ),
    "a segment of which there is no chunk": (
        "invalid",
        lambda p, made: (signed(p, made, segments=(bytes(16),), supersedes=(bytes(16),)), made),
    ),
    "a segment that is not there": (
        "conflict",
        lambda p, made: _resigned(p, _swap(made, 0, segment=bytes(16))),
    ),
    "a lane that is not there": ("conflict", lambda p, made: _resigned(p, _swap(made, 0, number=99))),
    "another resolution": ("conflict", lambda p, made: _resigned(p, _swap(made, 0, resolution="hour"))),
    "fewer readings": ("conflict", lambda p, made: _resigned(p, _swap(made, 0, count=made[0].count - 1))),
    "more readings": ("conflict", lambda p, made: _resigned(p, _swap(made, 0, count=made[0].count + 1))),
    "another beginning": ("conflict", lambda p, made: _resigned(p, _swap(made, 0, first_seq=0))),
    "another end": ("conflict", lambda p, made: _resigned(p, _swap(made, 1, last_seq=99))),
    "a lane twice": ("conflict", lambda p, made: _resigned(p, [*made, made[0]])),
}


def _statement(made: list[SealedChunk]) -> Replacement:
    segments = tuple(sorted({chunk.segment for chunk in made}))
    return Replacement(segments, segments, digest(made))


def _resigned(person: Person, made: list[SealedChunk]) -> tuple[Signed, list[SealedChunk]]:
    return signed(person, made), made


@pytest.mark.parametrize("fault", ONE_FAULT)
def test_a_replacement_with_one_fault_is_refused_and_changes_nothing(world: World, fault: str) -> None:
    meter = crashed(world)
    person = meter.person
    (row,) = still_open(person)
    made = merge(person, row)
    before = world.writer.file(person.vault).rows("SELECT * FROM chunk ORDER BY id")
    code, alter = ONE_FAULT[fault]
    outcome = apply_merge(world.writer, person.vault, *alter(person, made))
    assert isinstance(outcome, No)
    assert outcome.code == code
    assert world.writer.file(person.vault).rows("SELECT * FROM chunk ORDER BY id") == before
    assert apply_merge(world.writer, person.vault, signed(person, made), made) is None


def test_a_segment_that_is_being_written_and_a_ledgers_are_not_replaced(world: World) -> None:
    meter = world.person().device()
    person = meter.person
    meter.send(1)
    meter.send(2)
    (row,) = still_open(person)
    made = merge(person, row)
    outcome = apply_merge(world.writer, person.vault, signed(person, made), made)
    assert isinstance(outcome, No)
    _, (ledger, *_) = world.reader.ledger(person.vault, 0, 10)
    made = [SealedChunk(bytes(person.open_segment(ledger)[0].segment), 0, "raw", 1, 1, 1, b"")]
    outcome = apply_merge(world.writer, person.vault, signed(person, made), made)
    assert isinstance(outcome, No)
    assert outcome.code == "conflict"
    assert meter.send(3)
    assert person.values() == [1.0, 2.0, 3.0]
