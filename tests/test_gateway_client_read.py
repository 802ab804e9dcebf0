"""Readings come out as they went in, in order, once, whatever the chunks they lay in."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.client.errors import AnswerError
from gateway.client.read import Archive, Reading, is_reading, open_readings, open_segment, ordered
from tests.client_world import Person, number, someone
from tests.owner_host import DAY_MS, START, Clock, OwnerHost, serve
from vault.ids import DeviceId, VaultId
from vault.observation import Observation
from vault.segment import Lane
from vault.store.records import ChunkRow

__all__ = ["someone"]
HOUR = 3_600_000
DEVICE = DeviceId(b"d" * 16)


def everything(
    person: Person, since: int = START - 400 * DAY_MS, until: int = START + 2 * DAY_MS
) -> list[Reading]:
    with person.session() as session:
        return list(Archive(session).readings(since, until, is_reading))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), unique_by=lambda pair: pair[1]))
def test_order_is_by_time_and_then_by_arrival(pairs: list[tuple[int, int]]) -> None:
    readings = [Reading(DEVICE, seq, number("energy", time, 0.0)) for time, seq in pairs]
    assert [(one.observation.time, one.seq) for one in ordered(readings)] == sorted(pairs)


def test_a_reading_that_is_met_twice_while_chunks_merge_counts_once() -> None:
    one, two = (Reading(DEVICE, seq, number("energy", 5, 1.0)) for seq in (1, 2))
    assert ordered([one, two, one]) == [one, two]


def test_two_readings_of_one_instant_are_two(someone: Person) -> None:
    device = someone.add_device()
    now = someone.host.clock()
    someone.host.publish(someone.vault, device, [number("energy", now, 1.0), number("energy", now, 1.0)])
    assert len(everything(someone)) == 2


def test_late_and_mixed_readings_come_out_by_their_own_time(someone: Person) -> None:
    device, other = someone.add_device(), someone.add_device("hub")
    host, vault, now = someone.host, someone.vault, someone.host.clock()
    host.publish(vault, device, [number("energy", now, 3.0)])
    host.publish(vault, other, [number("temperature", now - HOUR, 2.0, "kitchen")])
    host.publish(vault, device, [number("energy", now - 40 * DAY_MS, 1.0)])  # forty days late
    found = everything(someone)
    assert [one.observation.value for one in found] == [1.0, 2.0, 3.0]
    assert [one.device for one in found] == [device, other, device]
    assert found[1].observation.channel == "kitchen"


def test_many_pages_of_chunks_are_read_to_the_end(someone: Person) -> None:
    device = someone.add_device()
    times = [START + minute * 60_000 for minute in range(0, 600, 3)]
    for time in times:
        someone.host.publish(someone.vault, device, [number("energy", time, float(time))])
    assert [one.observation.time for one in everything(someone)] == times
    assert someone.host.calls.count("GetChunks") > 3


def test_bounds_are_half_open(someone: Person) -> None:
    device = someone.add_device()
    someone.host.publish(someone.vault, device, [number("energy", START + at, float(at)) for at in range(5)])
    assert [one.observation.value for one in everything(someone, START + 1, START + 3)] == [1.0, 2.0]
    assert everything(someone, START, START) == []


def test_only_wanted_lanes_are_fetched(someone: Person) -> None:
    device = someone.add_device()
    someone.host.publish(someone.vault, device, [number("energy", START, 1.0)])
    someone.host.calls.clear()
    with someone.session() as session:
        assert list(Archive(session).readings(START, START + DAY_MS, lambda _: False)) == []
    assert "GetChunks" not in someone.host.calls


def test_payloads_kept_whole_are_not_readings(someone: Person) -> None:
    device = someone.add_device()
    someone.host.quarantine(someone.vault, device, b"\x00gibberish")
    assert everything(someone) == []
    with someone.session() as session:
        kept = list(Archive(session).readings(START, START + DAY_MS, lambda lane: not is_reading(lane)))
    assert [one.observation.value for one in kept] == [b"\x00gibberish"]


def test_what_arrived_since_comes_in_order_of_arrival(someone: Person) -> None:
    device = someone.add_device()
    host, vault, now = someone.host, someone.vault, someone.host.clock()
    host.publish(vault, device, [number("energy", now, 1.0)])
    day = now // DAY_MS
    with someone.session() as session:
        archive = Archive(session)
        first = archive.arrived(0, day - 1, day, is_reading)
        host.publish(vault, device, [number("energy", now, 3.0)])
        host.publish(vault, device, [number("energy", now - DAY_MS, 2.0)])
        later = archive.arrived(first[-1].seq, day - 1, day, is_reading)
    assert [one.observation.value for one in first] == [1.0]
    assert [one.observation.value for one in later] == [3.0, 2.0]


def test_a_device_clock_that_cannot_be_believed_is_kept_with_the_reading(someone: Person) -> None:
    device = someone.add_device()
    someone.host.publish(someone.vault, device, [Observation("", "energy", START, 1.0, claimed=12)])
    (found,) = everything(someone)
    assert (found.observation.claimed, found.observation.clock_suspect) == (12, True)


def test_every_altered_byte_of_a_chunk_is_noticed(someone: Person) -> None:
    device = someone.add_device()
    someone.host.publish(someone.vault, device, [number("energy", START, 1.0)])
    with someone.session() as session:
        (row,) = session.ask(wire.GetSegments(START // DAY_MS, START // DAY_MS), wire.Segments).segments
        chunk = session.ask(wire.GetChunks([_id(row.header)]), wire.Chunks).chunks[0]
    segment = open_segment(someone.owner, someone.vault, row)
    assert len(list(open_readings(segment, chunk))) == 1  # the control
    altered: list[ChunkRow] = [
        msgspec.structs.replace(
            chunk, body=chunk.body[:at] + bytes((chunk.body[at] ^ 1,)) + chunk.body[at + 1 :]
        )
        for at in range(len(chunk.body))
    ]
    altered += [
        msgspec.structs.replace(chunk, first_seq=chunk.first_seq + 1),
        msgspec.structs.replace(chunk, count=2),
        msgspec.structs.replace(chunk, resolution="hour"),
        msgspec.structs.replace(chunk, number=7),
    ]
    for one in altered:
        with pytest.raises(AnswerError):
            list(open_readings(segment, one))


def test_a_segment_of_another_vault_or_with_exchanged_lanes_is_refused(someone: Person) -> None:
    device = someone.add_device()
    now = someone.host.clock()
    someone.host.publish(someone.vault, device, [number("energy", now, 1.0), number("power", now, 1.0)])
    with someone.session() as session:
        (row,) = session.ask(wire.GetSegments(now // DAY_MS, now // DAY_MS), wire.Segments).segments
    first, second = row.lanes
    exchanged = [
        msgspec.structs.replace(first, name=second.name),
        msgspec.structs.replace(second, name=first.name),
    ]
    for bad in (
        msgspec.structs.replace(row, lanes=exchanged),
        msgspec.structs.replace(row, header=row.header[:5] + bytes(16) + row.header[21:]),
        msgspec.structs.replace(row, header=row.header[:-1] + b"\0"),
        msgspec.structs.replace(row, owner_box=bytes(len(row.owner_box))),
    ):
        with pytest.raises(AnswerError):
            open_segment(someone.owner, someone.vault, bad)
    lanes = open_segment(someone.owner, someone.vault, row).lanes
    assert lanes == {0: Lane(device, "", "energy", 0), 1: Lane(device, "", "power", 0)}


def test_progress_is_told_up_to_the_end(someone: Person) -> None:
    told: list[float] = []
    with someone.session() as session:
        list(Archive(session).readings(START - 30 * DAY_MS, START, is_reading, told.append))
    assert told == sorted(told)
    assert told[-1] == 1.0


def _id(header: bytes) -> bytes:
    return header[21:37]


class Stuck(OwnerHost):
    """Would have us read its first page for ever."""

    def read(self, vault: VaultId, call: wire.OwnerRead) -> wire.AnyReply:
        answer = super().read(vault, call)
        return msgspec.structs.replace(answer, after=0) if isinstance(answer, wire.Chunks) else answer


def test_a_host_that_repeats_a_page_is_not_followed_for_ever(tmp_path: Path) -> None:
    with serve(Stuck(tmp_path / "data", Clock())) as host:
        person = Person(host)
        host.publish(person.vault, person.add_device(), [number("energy", START, 1.0)])
        with pytest.raises(AnswerError, match="repeats"):
            everything(person)
