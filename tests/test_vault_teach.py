"""Payloads that are taught leave quarantine and come in as readings: once, and for no one else."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as but

from policies.terms import Selector
from tests.vfs import watching
from tests.world import DAY_MS, Asked, Device, Fault, Killed, Person, RefusedError, World, at, expect
from vault.chunk import ChunkHeader, Sequenced, open_chunk
from vault.ids import VaultId
from vault.observation import Observation, Place
from vault.person import Owner
from vault.segment import QUARANTINE, lane_key, resolution_key
from vault.statement import Enrolment, Signed, sign
from vault.store import people
from vault.store.errors import Unavailable
from vault.store.records import NewReading, No, SealedChunk, Stretch, Taught
from vault.store.sealing import seal_readings
from vault.store.taught import apply_taught, replacement
from vault.store.writer import Writer

Read = Callable[[bytes, int], list[Observation]]


@pytest.fixture
def world(memory_path: Path) -> World:
    return World(memory_path)


def payload(value: int) -> bytes:
    """What a device sent, and nobody understood."""
    return b"topic\0%d" % value


def understood(kept: bytes, time: int) -> list[Observation]:
    """What the person taught: the number is a temperature, as of its arrival."""
    return [Observation("", "temperature", time, float(kept.partition(b"\0")[2]))]


def mumble(device: Device, *values: int) -> None:
    """Send payloads that are kept whole."""
    for value in values:
        assert device.publish(raw=payload(value))


def lesson(device: Device, wanted: Iterable[int], read: Read = understood, *, whole: bool = True) -> Taught:
    """What the owner's client makes of quarantine: these leave, all others stay.

    A stretch is all of a lane, or, not ``whole``, each chunk of which something leaves.
    """
    person, world, leave = device.person, device.person.world, {payload(value) for value in wanted}
    world.flush(person)
    stretches: list[Stretch] = []
    chunks: list[SealedChunk] = []
    readings: list[Observation] = []
    for row in world.reader.segments(person.vault, -(1 << 31), 1 << 31):
        header, key, lanes = person.open_segment(row)
        rows = world.reader.chunks(person.vault, [header.segment], 0, 0, 1 << 40)
        for number, lane in lanes.items():
            if lane.device != device.id or lane.kind != QUARANTINE:
                continue
            opened = resolution_key(lane_key(key, lane), "raw")
            parts = [
                open_chunk(
                    opened, ChunkHeader(header, lane, one.first_seq, one.last_seq, one.count), one.body
                )
                for one in sorted(rows, key=lambda one: one.first_seq)
                if one.number == number
            ]
            if whole and parts:
                seqs = [seq for part in parts for seq in part.seqs]
                parts = [Sequenced(seqs, [one for part in parts for one in part.observations])]
            for part in parts:
                pairs = list(zip(part.seqs, part.observations, strict=True))
                stay = [(seq, one) for seq, one in pairs if one.value not in leave]
                if len(stay) == len(pairs):
                    continue
                segment = bytes(header.segment)
                stretches.append(Stretch(segment, number, part.seqs[0], part.seqs[-1], len(pairs)))
                if stay:
                    kept = Sequenced([seq for seq, _ in stay], [one for _, one in stay])
                    chunks.append(seal_readings(header, number, lane, opened, kept, world.entropy))
                for _, one in pairs:
                    if one.value in leave and isinstance(one.value, bytes):
                        readings += read(one.value, one.time)
    return Taught(bytes(device.id), tuple(stretches), tuple(chunks), new(readings))


def new(readings: Iterable[Observation]) -> tuple[NewReading, ...]:
    """As they travel; what cannot is made to, for it is to be refused."""
    return tuple(
        NewReading.of(one) or NewReading(one.channel, one.kind, one.time, str(one.value)) for one in readings
    )


def signed(person: Person, taught: Taught) -> Signed:
    """The owner's word for it."""
    return sign(person.owner.signing, person.vault, replacement(taught))


def teach(device: Device, taught: Taught) -> No | None:
    person = device.person
    return apply_taught(person.world.writer, person.vault, signed(person, taught), taught)


def kept(person: Person) -> list[int]:
    """What is in quarantine, in order of arrival."""
    return [int(v.partition(b"\0")[2]) for v in person.values() if isinstance(v, bytes)]


def read(person: Person) -> list[float]:
    """What is not."""
    return [value for value in person.values() if isinstance(value, float)]


def quarantined(device: Device) -> tuple[int, int]:
    """(payloads kept, readings) as the device's row says."""
    device.person.world.flush(device.person)
    rows = device.person.world.reader.devices(device.person.vault)
    row = next(one for one in rows if one.device == device.id)
    return row.quarantined, row.readings


PLACES: dict[str, Callable[[World], None]] = {
    "being written": lambda world: world.pass_time(1),
    "left open by a crash": World.crash,
    "closed": World.reopen,
}


@pytest.mark.parametrize("whole", [True, False], ids=["a lane", "chunk by chunk"])
@pytest.mark.parametrize("place", PLACES)
def test_what_was_taught_moves_over_and_the_rest_stays_wherever_it_lies(
    world: World, place: str, whole: bool
) -> None:
    meter = world.person().device()
    other = meter.person.device("other")
    mumble(other, 90)
    mumble(meter, *range(6))
    meter.send(50)
    PLACES[place](world)
    expect(teach(meter, lesson(meter, (1, 2, 5), whole=whole)))
    assert kept(meter.person) == [90, 0, 3, 4]
    assert read(meter.person) == [50.0, 1.0, 2.0, 5.0]  # they arrived now, under the time of their arrival
    assert quarantined(meter) == (3, 4)
    mumble(meter, 6)
    meter.send(51)
    for _ in range(2):
        world.reopen()
        assert sorted(kept(meter.person)) == [0, 3, 4, 6, 90]
        assert sorted(read(meter.person)) == [1.0, 2.0, 5.0, 50.0, 51.0]
    expect(teach(meter, lesson(meter, (0, 3, 4, 6))))
    assert kept(meter.person) == [90]
    assert quarantined(meter) == (0, 9)
    entry = [one for one in meter.person.ledger() if one.note == "taught"][-1]
    assert (entry.what, entry.kinds, entry.readings) == ("device", ("temperature",), 4)


def test_a_segment_of_which_nothing_stays_is_closed_and_one_being_written_goes_on(world: World) -> None:
    meter = world.person().device()
    mumble(meter, 1, 2)
    world.crash()
    expect(teach(meter, lesson(meter, (1, 2), lambda _value, _time: [])))
    rows = world.reader.segments(meter.person.vault, 0, 1 << 30)
    assert [row.open for row in rows] == [False]
    mumble(meter, 3, 4)
    expect(teach(meter, lesson(meter, (3, 4))))
    mumble(meter, 5)
    assert kept(meter.person) == [5]
    world.reopen()
    assert kept(meter.person) == [5]


def test_payloads_of_several_days_go_in_one_call_or_in_several(world: World) -> None:
    meter = world.person().device()
    for day in range(3):
        mumble(meter, day, day + 10)
        world.pass_time(DAY_MS)
        world.writer.close_quiet()
    everything = lesson(meter, (0, 1, 2, 10, 11))
    assert len({stretch.segment for stretch in everything.stretches}) == 3
    first = but(everything, stretches=everything.stretches[:1], chunks=(), readings=everything.readings[:2])
    expect(teach(meter, first))
    assert (kept(meter.person), read(meter.person)) == ([1, 11, 2, 12], [0.0, 10.0])
    no = teach(meter, everything)
    assert isinstance(no, No)
    assert no.code == "conflict"
    expect(teach(meter, lesson(meter, (1, 2, 11))))
    assert (kept(meter.person), sorted(read(meter.person))) == ([12], [0.0, 1.0, 2.0, 10.0, 11.0])


def test_what_came_meanwhile_is_not_lost(world: World) -> None:
    """The lane grows, or is merged, between the client's look and its call."""
    meter = world.person().device()
    mumble(meter, 1, 2)
    taught = lesson(meter, (1,))
    mumble(meter, 3)
    expect(teach(meter, taught))  # the stretch it saw is still whole chunks
    assert kept(meter.person) == [2, 3]
    taught = lesson(meter, (2,), whole=False)
    world.reopen()  # merged with what came behind
    no = teach(meter, taught)
    assert isinstance(no, No)
    assert no.code == "conflict"
    assert kept(meter.person) == [2, 3]
    expect(teach(meter, lesson(meter, (2,))))
    assert kept(meter.person) == [3]


# --- once, over faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.EIO, Fault.FULL])
def test_cut_off_at_any_write_it_happened_whole_or_not_and_again_completes_it(
    memory_path: Path, fault: Fault, after: bool, place: str
) -> None:
    for step in range(1, 60):
        world = World(memory_path / f"{step}")
        meter = world.person().device()
        mumble(meter, *range(4))
        PLACES[place](world)
        taught = lesson(meter, (1, 3))
        world.files.fail(step, fault, after=after)
        with suppress(Killed, Unavailable):
            expect(teach(meter, taught))
        fired = world.files.fired
        world.files.heal()
        if fault is Fault.DEAD:
            world.crash()
        done = read(meter.person) == [1.0, 3.0]
        assert (kept(meter.person), read(meter.person)) in (
            ([0, 2], [1.0, 3.0]),
            ([0, 1, 2, 3], []),
        )
        again = teach(meter, taught)
        assert (isinstance(again, No) and again.code == "conflict") if done else again is None
        meter.send(9)
        world.crash()
        assert (kept(meter.person), read(meter.person)) == ([0, 2], [1.0, 3.0, 9.0])
        assert quarantined(meter) == (2, 3)
        assert [one.note for one in meter.person.ledger()].count("taught") == 1
        world.close()
        shutil.rmtree(memory_path / f"{step}")
        if not fired:
            break
    assert 5 < step < 59


class TwoTransactions(Writer):
    """Known bad: the payloads leave in one transaction, and their readings come in with the next."""

    def transact(self, vault: VaultId, entry: Any, *steps: Any, arrivals: Any = (), **how: Any) -> None:
        super().transact(vault, None, *steps, **how)
        super().transact(vault, entry, arrivals=arrivals)


def test_the_control_with_two_transactions_loses_payloads(memory_path: Path) -> None:
    lost = 0
    for step in range(1, 20):
        world = World(memory_path / f"{step}")
        meter = world.person().device()
        mumble(meter, *range(4))
        world.writer_class = TwoTransactions
        world.reopen()
        taught = lesson(meter, (1, 3))
        world.files.fail(step, Fault.DEAD)
        with suppress(Killed):
            expect(teach(meter, taught))
        world.files.heal()
        world.crash()
        lost += (kept(meter.person), read(meter.person)) == ([0, 2], [])
        world.close()
    assert lost


def test_a_power_cut_leaves_it_whole_or_undone(memory_path: Path) -> None:
    for seed in range(12):
        path = memory_path / f"{seed}"
        with watching(path / "node") as disk:
            world = World(path)
            meter = world.person().device()
            mumble(meter, *range(4))
            expect(teach(meter, lesson(meter, (1, 3))))
            disk.cut(path / "cut" / "node", random.Random(seed))
            world.close()
        meter.person.world = after = World(path / "cut")
        assert (kept(meter.person), read(meter.person)) == ([0, 2], [1.0, 3.0])
        after.close()


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_sending_teaching_merging_and_crashing_keeps_each_payload_once(
    memory_path: Path, seed: int
) -> None:
    """An oracle: a payload is in quarantine until it was taught, and its reading is there from then on."""
    chance, world = random.Random(seed), World(memory_path)
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    meter.person.approve(asked, meter.selector())
    token = asked.token()
    waiting: set[int] = set()
    taught: set[int] = set()
    stale: list[Taught] = []
    for turn in range(60):
        match chance.randrange(8):
            case 0 | 1 | 2:
                mumble(meter, turn)
                waiting.add(turn)
            case 3 | 4 if waiting:
                some = set(chance.sample(sorted(waiting), chance.randint(1, len(waiting))))
                made = lesson(meter, some, whole=chance.random() < 0.5)
                if chance.random() < 0.3:
                    stale.append(made)
                    continue
                expect(teach(meter, made))
                waiting -= some
                taught |= some
            case 5 if stale:
                made = stale.pop()
                before = waiting, taught
                if (no := teach(meter, made)) is None:
                    some = {int(one.value) for one in made.readings if isinstance(one.value, float)}
                    assert some <= waiting
                    waiting, taught = waiting - some, taught | some
                else:
                    assert (no.code, (waiting, taught)) == ("conflict", before)
            case 6:
                world.pass_time(chance.choice((1, DAY_MS)))
                world.writer.close_quiet()
            case _:
                chance.choice((world.crash, world.reopen))()
        assert Counter(kept(meter.person)) == Counter(waiting)
        assert Counter(read(meter.person)) == Counter(float(one) for one in taught)
    found = [one.observation.value for one in asked.pages(asked.keys(token))]
    assert Counter(found) == Counter(float(one) for one in taught)


# --- for whom -----------------------------------------------------------------------------------------------


def test_grants_get_of_it_exactly_what_they_would_get_of_the_same_readings_today(world: World) -> None:
    """Recipients, channels and event-time bounds are the writer's, whoever brings a reading."""

    def spread(kept: bytes, time: int) -> list[Observation]:
        value = float(kept.partition(b"\0")[2])
        return [
            Observation(channel, kind, time + shift, value)
            for channel in ("", "kitchen")
            for kind in ("temperature", "humidity")
            for shift in (-2 * DAY_MS, 0)
        ]

    def story(name: str, tell: Callable[[Device], None]) -> dict[str, list[tuple[object, ...]]]:
        person = world.person(name)
        meter = person.device()
        selectors: dict[str, tuple[Selector, ...]] = {
            "every channel": (meter.selector(channels=None),),
            "one channel": (meter.selector(channels=("kitchen",)),),
            "another kind": (meter.selector("humidity"),),
            "another device": (person.device("other").selector(),),
        }
        asked = {}
        mumble(meter, 1, 2)
        for who, chosen in selectors.items():
            asked[who] = Asked(person, world.brand(f"{name} {who}"), "temperature", "humidity")
            person.approve(asked[who], *chosen, history=who != "one channel")
        ended = Asked(person, world.brand(f"{name} ended"))
        person.approve(ended, meter.selector())
        person.revoke(ended)
        tell(meter)
        return {
            who: sorted(
                (one.observation.channel, one.observation.kind, one.observation.time, one.observation.value)
                for one in brand.read()
            )
            for who, brand in asked.items()
        }

    taught = story("ana", lambda meter: expect(teach(meter, lesson(meter, (1, 2), spread))))
    now = world.clock()

    def send(meter: Device) -> None:
        for value in (1, 2):
            meter.publish(*spread(payload(value), now))

    sent = story("ben", send)
    assert taught == sent
    assert [len(taught[who]) for who in taught] == [8, 2, 8, 0]


def test_no_box_opens_more_by_it(world: World) -> None:
    """What stays in quarantine stays the owner's, and lanes that a grant had opened hold what they held."""
    meter = world.person().device()
    asked = Asked(meter.person, world.brand())
    mumble(meter, 1, 2)
    meter.send(20)
    meter.person.approve(asked, meter.selector(), history=True)
    before = asked.read()
    expect(teach(meter, lesson(meter, (1,))))
    keys = asked.keys()
    found = list(asked.pages(keys))
    assert found[: len(before)] == before
    assert [one.observation.value for one in found] == [20.0, 1.0]
    lanes = {lane.kind for lane, _ in keys._keys.values()}
    assert lanes == {"temperature"}


# --- one fault at a time ----------------------------------------------------------------------------------


def _swap(taught: Taught, **other: object) -> Taught:
    return but(taught, stretches=(but(taught.stretches[0], **other), *taught.stretches[1:]))


def _chunk(taught: Taught, **other: object) -> Taught:
    return but(taught, chunks=(but(taught.chunks[0], **other), *taught.chunks[1:]))


def _with(taught: Taught, *readings: Observation) -> Taught:
    return but(taught, readings=(*taught.readings, *new(readings)))


NOON = 20_000 * DAY_MS + DAY_MS // 2
FAULTS: dict[str, tuple[str, Callable[[Taught], Taught]]] = {
    "no stretch": ("invalid", lambda t: but(t, stretches=(), chunks=())),
    "a stretch twice": ("invalid", lambda t: but(t, stretches=t.stretches * 2)),
    "another segment": ("invalid", lambda t: _swap(t, segment=bytes(16))),
    "a lane that is not there": ("invalid", lambda t: _swap(t, number=99)),
    "nothing there": ("not_found", lambda t: but(_swap(t, number=99), chunks=())),
    "another device's": ("not_found", lambda t: but(t, device=b"d" * 16)),
    "readings, not payloads": (
        "invalid",
        lambda t: but(t, stretches=(Stretch(t.stretches[0].segment, 1, 4, 4, 1),), chunks=()),
    ),
    "more than there are": ("conflict", lambda t: _swap(t, count=4)),
    "fewer than there are": ("conflict", lambda t: but(_swap(t, count=2), chunks=())),
    "a later end": ("conflict", lambda t: _swap(t, last_seq=99)),
    "a later end, of readings": ("conflict", lambda t: _swap(t, last_seq=4)),
    "all of it stays": ("invalid", lambda t: _chunk(t, count=3, first_seq=1, last_seq=3)),
    "a chunk that begins before": ("invalid", lambda t: _chunk(t, first_seq=0)),
    "a chunk that ends behind": ("invalid", lambda t: _chunk(t, last_seq=9)),
    "a chunk with more than fits": ("invalid", lambda t: _chunk(t, count=9)),
    "a chunk of nothing": ("invalid", lambda t: _chunk(t, count=0)),
    "a chunk of another lane": ("invalid", lambda t: _chunk(t, number=7)),
    "a chunk of another resolution": ("invalid", lambda t: _chunk(t, resolution="hour")),
    "a chunk twice": ("invalid", lambda t: but(t, chunks=t.chunks * 2)),
    "fewer dropped than none": ("invalid", lambda t: but(t, dropped=-1)),
    "a kind there is not": ("invalid", lambda t: _with(t, Observation("", "mood", NOON, 1.0))),
    "a kind of the vault's own": ("invalid", lambda t: _with(t, Observation("", QUARANTINE, NOON, b"x"))),
    "a value of another type": ("invalid", lambda t: _with(t, Observation("", "temperature", NOON, "x"))),
    "a value out of range": ("invalid", lambda t: _with(t, Observation("", "humidity", NOON, 900.0))),
    "no number": ("invalid", lambda t: _with(t, Observation("", "temperature", NOON, float("nan")))),
    "no place": ("invalid", lambda t: _with(t, Observation("", "location", NOON, Place(91.0, 0.0)))),
    "a channel too long": ("invalid", lambda t: _with(t, Observation("x" * 256, "humidity", NOON, 1.0))),
    "401 days ago": (
        "invalid",
        lambda t: _with(t, Observation("", "humidity", NOON - 401 * DAY_MS, 1.0)),
    ),
    "in six minutes": ("invalid", lambda t: _with(t, Observation("", "humidity", NOON + 360_000, 1.0))),
    "a time no chunk holds": ("invalid", lambda t: _with(t, Observation("", "humidity", 1 << 70, 1.0))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lesson_with_one_fault_is_refused_and_changes_nothing(world: World, fault: str) -> None:
    meter = world.person().device()
    person = meter.person
    mumble(meter, 1, 2, 3)
    meter.send(9)
    right = lesson(meter, (2,))
    assert (right.stretches[0].number, right.chunks[0].count) == (0, 2)
    code, alter = FAULTS[fault]
    wrong = alter(right)
    before = world.writer.file(person.vault).rows("SELECT * FROM chunk ORDER BY id")
    try:
        outcome = teach(meter, wrong)
    except OverflowError:  # no MessagePack holds it, so that no client can send it
        outcome = No("invalid", "")
    assert isinstance(outcome, No)
    assert outcome.code == code
    assert world.writer.file(person.vault).rows("SELECT * FROM chunk ORDER BY id") == before
    expect(teach(meter, right))  # the control


def test_only_the_owner_teaches_and_only_what_was_signed(world: World) -> None:
    meter = world.person().device()
    person = meter.person
    mumble(meter, 1, 2)
    right = lesson(meter, (2,))
    other = _with(right, at(world, 0, 5))
    enrolment = sign(person.owner.signing, person.vault, Enrolment(person.client.text, bytes(32), ""))
    for word, taught, code in (
        (sign(Owner(b"x" * 32).signing, person.vault, replacement(right)), right, "not_authorised"),
        (but(signed(person, right), signature=bytes(64)), right, "not_authorised"),
        (sign(person.owner.signing, world.person("ben").vault, replacement(right)), right, "not_authorised"),
        (enrolment, right, "invalid"),
        (signed(person, right), other, "invalid"),
        (sign(person.owner.signing, person.vault, but(replacement(right), segments=())), right, "invalid"),
    ):
        no = apply_taught(world.writer, person.vault, word, taught)
        assert isinstance(no, No)
        assert no.code == code
    assert kept(person) == [1, 2]
    expect(teach(meter, right))


def test_what_a_removed_device_left_can_be_taught(world: World) -> None:
    meter = world.person().device()
    mumble(meter, 1)
    expect(people.remove_device(world.writer, meter.person.vault, meter.id))
    expect(teach(meter, lesson(meter, (1,))))
    assert read(meter.person) == [1.0]
    with pytest.raises(RefusedError):
        expect(people.remove_device(world.writer, meter.person.vault, meter.id))
