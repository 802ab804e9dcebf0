"""A blackout in the past: what it hides opens for no key of a grant any more, and for the owner as ever."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import wire
from gateway.client.blackout import BlackedOut, black_out
from gateway.client.day import read_day
from gateway.client.errors import TermsError
from gateway.client.read import Archive
from gateway.client.rebuild import cut_days, rebuild
from gateway.client.tidy import tidy
from tests.adversary import Disk, opened
from tests.client_world import Person, number, someone
from tests.owner_host import DAY_MS, START
from tests.test_gateway_client_rebuild import (
    HOUR,
    MIDNIGHT,
    YESTERDAY,
    cut_yesterday,
    grant_power,
    minutes,
    oracle,
    read_as,
    restart,
    stored,
)
from vault.chunk import ChunkHeader, open_chunk
from vault.ids import GrantId
from vault.ledger import Entry
from vault.observation import Observation, Place
from vault.person import owner_key_id
from vault.segment import Lane, SegmentHeader, lane_key, open_lane_name, open_owner_box, resolution_key
from vault.segment import _grant_info as grant_info
from vault.store.person import PersonFile

__all__ = ["someone"]

SINCE, UNTIL = (
    MIDNIGHT // 1000 + 8 * 3600 + 1800,
    MIDNIGHT // 1000 + 10 * 3600 + 1800,
)  # half past eight to ten


def hide(person: Person, since: int = SINCE, until: int = UNTIL, kinds: tuple[str, ...] = ()) -> BlackedOut:
    with person.session() as session:
        return black_out(session, Archive(session), since, until, kinds)


def times(person: Person, grant: GrantId) -> list[int]:
    """What a raw grant reads."""
    return sorted(one.observation.time for one in read_as(person, grant))


def inside(time: int) -> bool:
    return SINCE * 1000 <= time < UNTIL * 1000


def disk_of(person: Person) -> tuple[Disk, dict[Any, list[int]]]:
    """Every chunk and every box, as one sees them who knows all names; and the times in each chunk."""
    return person.host.run(lambda: _disk_of(person))


def _disk_of(person: Person) -> tuple[Disk, dict[Any, list[int]]]:
    file: PersonFile = person.host.writer.file(person.vault)
    person.host.writer.move(person.vault)
    disk, held, lanes = (
        Disk(),
        dict[Any, list[int]](),
        dict[tuple[bytes, int], tuple[SegmentHeader, Lane, bytes]](),
    )
    owner = person.owner
    for segment, encoded, box in file.rows("SELECT id, header, owner_box FROM segment WHERE ledger = 0"):
        header = SegmentHeader.decode(encoded)
        key = open_owner_box(owner.hpke, owner.key_id, header, box)
        for number_, name in file.rows("SELECT number, name FROM lane WHERE segment = ?", (segment,)):
            lanes[segment, number_] = header, open_lane_name(key, header, number_, name), key
    rows = file.rows("SELECT id, segment, number, resolution, first_seq, last_seq, count, body FROM chunk")
    for row, segment, number_, resolution, first, last, count, body in rows:
        header, lane, key = lanes[segment, number_]
        place = ChunkHeader(header, lane, first, last, count, resolution)
        disk.things.append((row, place.encode(), body))
        disk.lanes.append(lane.encode())
        found = open_chunk(resolution_key(lane_key(key, lane), resolution), place, body)
        held[row] = [one.time for one in found.observations] if resolution == "raw" else []
    key_id = owner_key_id(file.vault.hpke_public, file.vault.verify_key)
    for grant, public, segments, box in file.rows(
        "SELECT grant_.id, public, segments, box FROM grant_box JOIN grant_ ON grant_.id = grant_"
    ):
        disk.boxes.append((public, grant_info(key_id, person.vault, GrantId(grant), public, segments), box))
    return disk, held


def opens(person: Person, *grants: GrantId) -> set[int]:
    """The times of raw readings that open with all that these grants' tokens give, and the whole disk."""
    disk, held = disk_of(person)
    seeds = [person.host.seeds[grant] for grant in grants]
    return {time for row in opened(disk, seeds) for time in held[row]}


def everything(person: Person) -> list[Any]:
    with person.session() as session:
        return list(Archive(session).readings(MIDNIGHT, START + DAY_MS, lambda _: True))


def test_what_is_hidden_opens_for_no_grant_and_for_the_owner_as_ever(someone: Person) -> None:
    readings = minutes(range(12))
    device = cut_yesterday(someone, readings)
    raw = grant_power(someone, device, "raw", MIDNIGHT // 1000)
    hour = grant_power(someone, device, "hour", MIDNIGHT // 1000, "Bell")
    before = everything(someone)
    assert any(inside(time) for time in times(someone, raw))
    assert any(inside(time) for time in opens(someone, raw, hour))  # the control: it opened a moment ago
    done = hide(someone)
    assert (done.days, done.waiting) == (1, ())
    found = times(someone, raw)
    assert not any(inside(time) for time in found)
    assert found == sorted(one.observation.time for one in before if not inside(one.observation.time))
    assert not any(inside(time) for time in opens(someone, raw, hour))
    assert everything(someone) == before


def test_buckets_that_it_touches_are_gone_and_the_others_are_as_they_were(someone: Person) -> None:
    readings = minutes(range(12))
    device = cut_yesterday(someone, readings)
    hour = grant_power(someone, device, "hour", MIDNIGHT // 1000)
    day = grant_power(someone, device, "day", MIDNIGHT // 1000, "Bell")
    before = stored(someone, "hour")
    hide(someone)
    left = {start: value for start, value in before.items() if start // HOUR % 24 not in (8, 9, 10)}
    assert stored(someone, "hour") == left
    assert stored(someone, "day") == {}
    assert {one.observation.time for one in read_as(someone, hour)} == set(left)
    assert read_as(someone, day) == []


def test_known_bad_a_day_made_again_would_tell_the_hidden_hours() -> None:
    """Why such a bucket never comes again: the difference of two days is what was hidden, by the hour."""
    readings = minutes(range(12))
    hidden = [one for one in readings if inside(one.time)]
    whole = oracle(readings, DAY_MS)[MIDNIGHT]
    again = oracle([one for one in readings if not inside(one.time)], DAY_MS)[MIDNIGHT]
    assert whole.sum - again.sum == sum(one.value for one in hidden if isinstance(one.value, float))


def test_late_readings_of_the_hidden_time_bring_no_bucket_back(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(12)))
    raw = grant_power(someone, device, "raw", MIDNIGHT // 1000)
    hide(someone)
    before = stored(someone, "hour")
    someone.host.publish(
        someone.vault, device, [number("power", (SINCE - 60) * 1000 + at * 9_000, 7.0) for at in range(60)]
    )
    restart(someone)
    with someone.session() as session:
        archive = Archive(session)
        rebuild(session, archive, cut_days(archive, YESTERDAY, YESTERDAY))
    assert stored(someone, "hour") == before
    assert not any(inside(time) for time in opens(someone, raw))


def test_only_the_kinds_that_were_named_are_hidden(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(12)) + minutes(range(12), "temperature"))
    raw = grant_power(someone, device, "raw", MIDNIGHT // 1000)
    hide(someone, kinds=("temperature",))
    assert any(inside(time) for time in times(someone, raw))
    assert stored(someone, "hour", kind="power") == oracle(minutes(range(12)), HOUR)
    assert len(stored(someone, "hour", kind="temperature")) == 12 - 3


def test_today_is_hidden_at_once_and_has_its_buckets_when_it_is_over(someone: Person) -> None:
    host, device = someone.host, someone.add_device()
    grant = grant_power(someone, device, "raw", START // 1000)
    for hour in range(8, 12):
        host.clock.now = START + (hour + 1) * HOUR + 700_000
        host.publish(someone.vault, device, minutes([hour], day=START))
        host.run(host.writer.seal_buckets)
    since, until = START // 1000 + 9 * 3600, START // 1000 + 10 * 3600
    assert any(since <= time // 1000 < until for time in opens(someone, grant))
    done = hide(someone, since, until)
    assert (done.days, done.waiting) == (1, ())
    assert not any(since <= time // 1000 < until for time in opens(someone, grant))
    assert len(times(someone, grant)) == 180
    assert sorted(stored(someone, "hour", START // DAY_MS)) == [START + 8 * HOUR, START + 10 * HOUR]
    host.publish(someone.vault, device, [number("power", START + 12 * HOUR + 60_000, 1.0)])
    assert len(times(someone, grant)) == 181
    host.clock.now = START + DAY_MS + 2 * HOUR
    restart(someone)
    with someone.session() as session:
        tidied = tidy(session, host.clock())
    assert (tidied.days, tidied.waiting) == (1, 0)
    kept = sorted(stored(someone, "hour", START // DAY_MS))
    assert kept == [START + 8 * HOUR, START + 10 * HOUR, START + 11 * HOUR]
    assert len(times(someone, grant)) == 181


def test_a_blackout_that_was_cut_off_is_finished_by_tidy(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(12)))
    raw = grant_power(someone, device, "raw", MIDNIGHT // 1000)
    with someone.session() as session:  # the statement is there, and here the power went
        session.tell(wire.AddBlackout(b"b" * 16, SINCE, UNTIL, []), wire.Done)
    assert any(inside(time) for time in opens(someone, raw))
    with someone.session() as session:
        tidy(session, someone.host.clock())
    assert not any(inside(time) for time in opens(someone, raw))


def test_a_grant_that_comes_later_gets_nothing_of_it(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(12)))
    hide(someone)
    raw = grant_power(someone, device, "raw", MIDNIGHT // 1000)
    hour = grant_power(someone, device, "hour", MIDNIGHT // 1000, "Bell")
    assert len(times(someone, raw)) == 12 * 60 + 1 - 120
    assert not any(inside(time) for time in opens(someone, raw, hour))
    assert 8 * HOUR + MIDNIGHT not in times(someone, hour)
    assert 7 * HOUR + MIDNIGHT in times(someone, hour)


def test_what_was_read_stays_read_and_it_is_told_by_whom(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(12)))
    grant = grant_power(someone, device, "raw", MIDNIGHT // 1000)
    now = someone.host.clock()
    for kinds, since, until in [
        (("power",), SINCE - 60, UNTIL),
        (("power",), UNTIL, UNTIL + 60),
        (("energy",), SINCE, UNTIL),
    ]:
        entry = Entry(now, "read", grant=grant.text, kinds=kinds, since=since, until=until, readings=100)
        someone.host.record(someone.vault, entry)
    (read,) = hide(someone, kinds=("power",)).read
    assert (read.grant, read.times, read.readings, read.last) == (grant.text, 1, 100, now)


def test_a_blackout_of_the_time_to_come_seals_nothing_anew(someone: Person) -> None:
    device = someone.add_device()
    someone.host.publish(someone.vault, device, [number("power", START, 1.0)])
    now = someone.host.clock() // 1000
    done = hide(someone, now, now + 3 * 3600)
    assert (done.days, done.waiting, done.read) == (0, (), ())


def test_a_blackout_that_ends_before_it_begins_is_none(someone: Person) -> None:
    with pytest.raises(TermsError):
        hide(someone, UNTIL, SINCE)


def test_places_are_hidden_alike(someone: Person) -> None:
    walk = [
        Observation("", "location", MIDNIGHT + minute * 60_000, Place(48.0 + minute / 1000, 11.0))
        for minute in range(12 * 60)
    ]
    cut_yesterday(someone, walk)
    with someone.session() as session:
        archive = Archive(session)
        rebuild(session, archive, cut_days(archive, YESTERDAY, YESTERDAY))
    hide(someone)
    with someone.session() as session:
        day = read_day(Archive(session), YESTERDAY)
    hours = {
        kept.observation.time // HOUR % 24
        for part in day.parts
        if part.place.resolution == "h3-7"
        for kept in part.kept
    }
    assert hours == {0, 1, 2, 3, 4, 5, 6, 7, 11}
