"""A day that the owner sealed again: swapped in whole or not at all, and never with a reading lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace as but

from gateway.client.recipients import Series
from gateway.client.rewrite import Draft
from tests.world import DAY_MS, Asked, Device, Fault, Killed, Person, World, at, expect
from vault.ids import DeviceId, GrantId, SegmentId, VaultId
from vault.observation import Observation, Summary
from vault.segment import RAW, SegmentHeader
from vault.statement import Enrolment, Signed, sign
from vault.store.records import ChunkPlace, GrantBox, No, Rewritten
from vault.store.rewrite import RESERVE_MAX, apply_rewrite, replacement, reserve

HOUR = 3_600_000


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def yesterday(world: World) -> Device:
    """A device with thirty readings of temperature on a day that is over, closed and merged."""
    meter = world.person().device()
    for value in range(30):
        meter.publish(at(world, value, value))
    world.reopen()  # what was gathered is lost: the day is cut
    world.pass_time(DAY_MS)
    return meter


def places(person: Person) -> list[ChunkPlace]:
    """Where raw readings lie."""
    rows = person.world.writer.file(person.vault).rows(
        "SELECT DISTINCT segment, number, resolution FROM chunk WHERE resolution = 'raw'"
    )
    return [ChunkPlace(*row) for row in rows]


def day_of(person: Person) -> int:
    person.world.flush(person)
    (day,) = person.world.writer.file(person.vault).row("SELECT min(day) FROM segment WHERE ledger = 0")
    return int(day)


def moved(meter: Device, buckets: int = 0) -> tuple[Draft, list[ChunkPlace]]:
    """A draft in which every other reading is in a lane of its own; with as many new buckets."""
    person, world = meter.person, meter.person.world
    draft = Draft(person.owner, person.vault, day_of(person), world.entropy)
    series = Series(meter.id, "", "temperature")
    readings = [(one.seq, one.observation) for one in person.readings()]
    draft.put(series, RAW, (), readings[::2])
    draft.put(series, RAW, (), readings[1::2])
    if buckets:
        start = day_of(person) * DAY_MS
        made = [
            Observation("", "temperature", start + hour * HOUR, Summary(5, 10.0, 1.0, 3.0, 30.0))
            for hour in range(buckets)
        ]
        draft.put(series, "hour", (), [(None, one) for one in made])
    return draft, places(person)


def sealed(meter: Device, draft: Draft, gone: list[ChunkPlace], first: int = 0) -> Rewritten:
    """What the client sends."""
    file = meter.person.world.writer.file(meter.person.vault)
    whole = tuple({place.segment for place in gone})
    return Rewritten(
        draft.header.encode(),
        draft.owner_box(),
        tuple(draft.lanes()),
        tuple(draft.chunks(iter(range(first, first + draft.fresh)))),
        tuple(draft.boxes()),
        tuple(gone),
        whole,
        first,
        file.generation(),
    )


def submit(meter: Device, rewritten: Rewritten, signed: Signed | None = None) -> No | None:
    """Sign and apply."""
    person = meter.person
    signed = signed or sign(person.owner.signing, person.vault, replacement(rewritten))
    return apply_rewrite(person.world.writer, person.vault, signed, rewritten)


def reserved(meter: Device, count: int) -> int:
    """The first of so many numbers."""
    first = reserve(meter.person.world.writer, meter.person.vault, count)
    assert isinstance(first, int)
    return first


def raw(meter: Device) -> list[object]:
    """Every reading, in order of arrival."""
    return [one for one in meter.person.readings() if not isinstance(one.observation.value, Summary)]


# --- what is swapped ------------------------------------------------------------------------------------


def test_readings_that_move_are_all_there_under_their_numbers(world: World) -> None:
    meter = yesterday(world)
    before = raw(meter)
    draft, gone = moved(meter)
    assert len(before) == 30
    expect(submit(meter, sealed(meter, draft, gone)))
    assert raw(meter) == before
    assert {place.segment for place in places(meter.person)} == {bytes(draft.header.segment)}


def test_the_same_call_again_changes_nothing(world: World) -> None:
    meter = yesterday(world)
    draft, gone = moved(meter)
    rewritten = sealed(meter, draft, gone)
    expect(submit(meter, rewritten))
    again = submit(meter, but(rewritten, generation=rewritten.generation + 1))
    assert again is not None
    assert again.code == "conflict"
    assert len(raw(meter)) == 30


def test_buckets_that_are_added_leave_the_generation_and_clear_the_cut(world: World) -> None:
    meter = yesterday(world)
    person, file = meter.person, world.writer.file(meter.person.vault)
    assert file.row("SELECT cut FROM segment WHERE ledger = 0") == (1,)
    generation = file.generation()
    draft = Draft(person.owner, person.vault, day_of(person), world.entropy)
    bucket = Observation("", "temperature", day_of(person) * DAY_MS, Summary(30, 1.0, 0.0, 1.0, 1.0))
    draft.put(Series(meter.id, "", "temperature"), "hour", (), [(None, bucket)])
    segment = bytes(places(person)[0].segment)
    rewritten = but(sealed(meter, draft, [], reserved(meter, 1)), whole=(segment,))
    expect(submit(meter, rewritten))
    file = world.writer.file(person.vault)
    assert file.generation() == generation
    assert file.rows("SELECT DISTINCT cut FROM segment WHERE ledger = 0") == [(0,)]
    assert "blackout" not in person.told()


def test_readings_that_move_raise_the_generation_are_told_and_leave_no_byte_behind(world: World) -> None:
    meter = yesterday(world)
    file = world.writer.file(meter.person.vault)
    generation = file.generation()
    (body,) = file.row("SELECT body FROM chunk WHERE resolution = 'raw'")
    assert bytes(body) in world.bytes_on_disk()
    draft, gone = moved(meter)
    expect(submit(meter, sealed(meter, draft, gone)))
    world.writer.move_all()
    assert world.writer.file(meter.person.vault).generation() == generation + 1
    assert meter.person.ledger()[-1].what == "blackout"
    assert bytes(body) not in world.bytes_on_disk()


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_the_day_is_as_it_was_or_as_it_is_to_be(memory_path: Path, after: bool) -> None:
    outcomes: set[bool] = set()
    for step in range(1, 100):
        world = World(memory_path / f"{step}")
        meter = yesterday(world)
        before = raw(meter)
        draft, gone = moved(meter, buckets=3)
        rewritten = sealed(meter, draft, gone, reserved(meter, 3))
        world.files.fail(step, Fault.DEAD, after=after)
        try:
            expect(submit(meter, rewritten))
            break
        except Killed:
            world.crash()
        assert raw(meter) == before
        outcomes.add({place.segment for place in places(meter.person)} == {bytes(draft.header.segment)})
    assert outcomes == {False, True}
    assert step > 8


# --- numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [-1, 0, RESERVE_MAX + 1])
def test_numbers_are_reserved_in_bounds(world: World, count: int) -> None:
    meter = yesterday(world)
    no = reserve(world.writer, meter.person.vault, count)
    assert isinstance(no, No)
    assert no.code == "invalid"


@pytest.mark.parametrize("end", ["crash", "reopen", ""])
def test_a_number_that_was_reserved_is_never_given_again(world: World, end: str) -> None:
    meter = yesterday(world)
    first = reserved(meter, 10)
    if end:
        getattr(world, end)()
    meter.send(1)
    assert meter.person.readings()[-1].seq == first + 10
    assert reserved(meter, 1) == first + 11


def test_readings_that_came_since_the_numbers_were_reserved_send_the_client_back(world: World) -> None:
    """A brand may have paged beyond them, and would never see the buckets."""
    meter = yesterday(world)
    draft, gone = moved(meter, buckets=3)
    rewritten = sealed(meter, draft, gone, reserved(meter, 3))
    meter.send(1)
    no = submit(meter, rewritten)
    assert no is not None
    assert no.code == "conflict"
    again = sealed(meter, draft, gone, reserved(meter, 3))
    expect(submit(meter, again))


# --- days that are written -------------------------------------------------------------------------------


def test_a_lane_that_is_written_does_not_move_and_one_that_was_retired_does(world: World) -> None:
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    for value in range(6):
        meter.send(value)
    draft, gone = moved(meter)
    rewritten = but(sealed(meter, draft, gone), whole=())
    no = submit(meter, rewritten)
    assert no is not None
    assert no.code == "conflict"
    meter.person.approve(asked, meter.selector())  # its series go on in another lane
    meter.send(7)
    gone = [place for place in gone if place in places(meter.person)]
    draft = Draft(meter.person.owner, meter.person.vault, day_of(meter.person), world.entropy)
    readings = [(one.seq, one.observation) for one in meter.person.readings()][:6]
    draft.put(Series(meter.id, "", "temperature"), RAW, (), readings)
    expect(submit(meter, but(sealed(meter, draft, gone), whole=())))
    meter.send(8)
    world.pass_time(2 * DAY_MS)
    world.writer.close_quiet()
    assert meter.person.values() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 8.0]


def test_no_bucket_is_made_of_a_day_that_is_written(world: World) -> None:
    meter = yesterday(world)
    meter.publish(at(world, -86_400, 99))  # late: the day is written again
    draft, gone = moved(meter, buckets=1)
    no = submit(meter, sealed(meter, draft, gone[:1], reserved(meter, 1)))
    assert no is not None
    assert no.code == "conflict"


# --- what is refused -------------------------------------------------------------------------------------

Bad = Callable[[Device, Rewritten], Rewritten]


def _lost(_: Device, good: Rewritten) -> Rewritten:
    return but(good, chunks=good.chunks[1:])


def _told_wrong(_: Device, good: Rewritten) -> Rewritten:
    return but(good, chunks=(but(good.chunks[0], count=good.chunks[0].count - 1), *good.chunks[1:]))


def _invented(_: Device, good: Rewritten) -> Rewritten:
    chunk = good.chunks[0]
    return but(good, chunks=(but(chunk, last_seq=chunk.last_seq + 100), *good.chunks[1:]))


def _another_device(meter: Device, good: Rewritten) -> Rewritten:
    other = meter.person.device("other").id
    lanes = (but(good.lanes[0], device=other), *good.lanes[1:])
    return but(good, lanes=lanes, generation=good.generation)


def _no_device(_: Device, good: Rewritten) -> Rewritten:
    return but(good, lanes=tuple(but(lane, device=os.urandom(16)) for lane in good.lanes))


def _another_day(_: Device, good: Rewritten) -> Rewritten:
    header = SegmentHeader.decode(good.header)
    return but(good, header=but(header, day=header.day - 1).encode())


def _another_vault(_: Device, good: Rewritten) -> Rewritten:
    header = SegmentHeader.decode(good.header)
    return but(good, header=but(header, vault=VaultId.new(os.urandom)).encode())


def _stored_segment(_: Device, good: Rewritten) -> Rewritten:
    segment = SegmentId(good.gone[0].segment)
    header = but(SegmentHeader.decode(good.header), segment=segment)
    chunks = tuple(but(chunk, segment=bytes(segment)) for chunk in good.chunks)
    return but(good, header=header.encode(), chunks=chunks)


def _ledger(meter: Device, good: Rewritten) -> Rewritten:
    (segment,) = meter.person.world.writer.file(meter.person.vault).row(
        "SELECT id FROM segment WHERE ledger = 1"
    )
    return but(good, whole=(segment,))


def _unknown_place(_: Device, good: Rewritten) -> Rewritten:
    return but(good, gone=(*good.gone, ChunkPlace(good.gone[0].segment, 77, RAW)))


def _box_of_nobody(_: Device, good: Rewritten) -> Rewritten:
    segment = SegmentHeader.decode(good.header).segment
    return but(good, boxes=(GrantBox(bytes(GrantId.new(os.urandom)), bytes(segment), b"box"),))


def _box_elsewhere(_: Device, good: Rewritten) -> Rewritten:
    return but(good, boxes=(GrantBox(bytes(GrantId.new(os.urandom)), good.gone[0].segment, b"box"),))


REFUSED: dict[str, tuple[Bad, str]] = {
    "a chunk is lost": (_lost, "conflict"),
    "a reading is lost": (_told_wrong, "conflict"),
    "readings are made up": (_invented, "conflict"),
    "readings go to another device": (_another_device, "conflict"),
    "readings go to no device": (_no_device, "not_found"),
    "another day": (_another_day, "invalid"),
    "another vault": (_another_vault, "invalid"),
    "a segment that is there": (_stored_segment, "conflict"),
    "a segment of the ledger": (_ledger, "invalid"),
    "a place that is not there": (_unknown_place, "conflict"),
    "a place twice": (lambda _, good: but(good, gone=good.gone * 2), "invalid"),
    "a lane twice": (lambda _, good: but(good, lanes=good.lanes * 2), "invalid"),
    "a chunk in no lane": (lambda _, good: but(good, lanes=good.lanes[1:]), "invalid"),
    "a chunk twice": (lambda _, good: but(good, chunks=good.chunks * 2), "invalid"),
    "an unknown resolution": (
        lambda _, good: but(good, chunks=(but(good.chunks[0], resolution="minute"), *good.chunks[1:])),
        "invalid",
    ),
    "numbers that nobody reserved": (
        lambda _, good: but(
            good,
            chunks=tuple(
                but(chunk, first_seq=chunk.first_seq + 50, last_seq=chunk.last_seq + 50)
                if chunk.resolution != RAW
                else chunk
                for chunk in good.chunks
            ),
        ),
        "invalid",
    ),
    "a box of nobody": (_box_of_nobody, "conflict"),
    "a box of another segment": (_box_elsewhere, "invalid"),
    "an owner's box of another size": (lambda _, good: but(good, owner_box=b""), "invalid"),
    "before somebody was given less": (
        lambda _, good: but(good, generation=good.generation - 1),
        "conflict",
    ),
    "no segment for what is sealed": (lambda _, good: but(good, header=b""), "invalid"),
    "no header": (lambda _, good: but(good, header=b"HTS"), "invalid"),
    "nothing": (lambda _, good: Rewritten(b"", b"", (), (), (), (), (), 0, good.generation), "invalid"),
}


@pytest.mark.parametrize(("bad", "code"), REFUSED.values(), ids=REFUSED)
def test_refused_and_nothing_changes(world: World, bad: Bad, code: str) -> None:
    meter = yesterday(world)
    before = raw(meter)
    draft, gone = moved(meter, buckets=2)
    rewritten = bad(meter, sealed(meter, draft, gone, reserved(meter, 2)))
    try:
        signed = sign(meter.person.owner.signing, meter.person.vault, replacement(rewritten))
    except ValueError:  # no client of ours could sign it
        signed = sign(meter.person.owner.signing, meter.person.vault, Enrolment("", b"", ""))
    no = submit(meter, rewritten, signed)
    assert no is not None
    assert no.code == code
    assert raw(meter) == before
    assert places(meter.person) == gone


def test_what_is_not_refused_above_is_taken(world: World) -> None:
    """The control: the same call, unaltered."""
    meter = yesterday(world)
    draft, gone = moved(meter, buckets=2)
    expect(submit(meter, sealed(meter, draft, gone, reserved(meter, 2))))


def test_only_the_owner_says_so_and_says_exactly_this(world: World) -> None:
    meter = yesterday(world)
    draft, gone = moved(meter)
    rewritten = sealed(meter, draft, gone)
    stranger = world.person("stranger").owner.signing
    person = meter.person
    cases = {
        "another key": (sign(stranger, person.vault, replacement(rewritten)), "not_authorised"),
        "another vault": (
            sign(person.owner.signing, VaultId.new(os.urandom), replacement(rewritten)),
            "not_authorised",
        ),
        "of something else": (
            sign(person.owner.signing, person.vault, replacement(but(rewritten, whole=()))),
            "invalid",
        ),
        "not a replacement": (
            sign(person.owner.signing, person.vault, Enrolment("", b"", "")),
            "invalid",
        ),
    }
    for signed, code in cases.values():
        no = submit(meter, rewritten, signed)
        assert no is not None
        assert no.code == code
    expect(submit(meter, rewritten))


def test_a_digest_of_a_merge_is_never_one_of_a_rewrite() -> None:
    """Each begins with its own word, or is of a list."""
    empty = Rewritten(b"", b"", (), (), (), (), (b"s" * 16,))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(("rewritten", empty)))[0] == "rewritten"
    assert replacement(empty).segments == ()


def test_a_device_of_another_person_is_unknown(world: World) -> None:
    meter, other = yesterday(world), world.person("ben").device()
    draft, gone = moved(meter)
    rewritten = sealed(meter, draft, gone)
    lanes = tuple(but(lane, device=bytes(DeviceId(other.id))) for lane in rewritten.lanes)
    no = submit(meter, but(rewritten, lanes=lanes))
    assert no is not None
    assert no.code == "not_found"
