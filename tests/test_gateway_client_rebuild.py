"""Buckets that were cut are made again: the same as an oracle's, given once, telling no more than before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway import wire
from gateway.client.approve import approve
from gateway.client.buckets import make_buckets
from gateway.client.day import Kept, read_day
from gateway.client.errors import AnswerError
from gateway.client.read import Archive
from gateway.client.rebuild import Rebuilt, cut_days, rebuild
from gateway.client.recipients import Known, Series
from policies.iso8601 import DAY
from policies.narrow import Bounds, make_terms
from policies.terms import Selector
from tests.client_world import Person, number, someone
from tests.owner_host import DAY_MS, START, Clock, OwnerHost, serve
from tests.test_gateway_client_approve import row_of
from vault.bucket import FEWEST
from vault.ids import DeviceId, GrantId, VaultId
from vault.observation import Observation, Summary, Tally
from vault.store.release import Released

__all__ = ["someone"]

HOUR = 3_600_000
YESTERDAY = START // DAY_MS - 1
MIDNIGHT = YESTERDAY * DAY_MS


def restart(person: Person) -> None:
    """The node stops as it should, and starts again: what it gathered is gone, what it stored is not."""
    host = person.host
    host.run(host._shut)
    host.run(host._open)


def minutes(hours: Iterable[int], kind: str = "power", day: int = MIDNIGHT) -> list[Observation]:
    return [
        number(kind, day + hour * HOUR + minute * 60_000, float(hour * 60 + minute) / 4)
        for hour in hours
        for minute in range(60)
    ]


def cut_yesterday(person: Person, readings: list[Observation], then: Iterable[Observation] = ()) -> DeviceId:
    """A device whose yesterday was written by two processes: none saw all of it."""
    host, now = person.host, person.host.clock.now
    device = person.add_device()
    host.clock.now = MIDNIGHT + 12 * HOUR
    host.publish(person.vault, device, readings)
    restart(person)
    host.publish(person.vault, device, then or [number("power", MIDNIGHT + 13 * HOUR, 1.0)])
    host.clock.now = now
    restart(person)
    return device


def oracle(readings: Iterable[Observation], span: int) -> dict[int, Summary]:
    """Counted by hand."""
    found: dict[int, list[float]] = {}
    for one in readings:
        assert isinstance(one.value, float)
        found.setdefault(one.time // span * span, []).append(one.value)
    return {
        start: Summary(len(some), sum(some), min(some), max(some), sum(value * value for value in some))
        for start, some in found.items()
        if len(some) >= 5
    }


def stored(person: Person, resolution: str, day: int = YESTERDAY, kind: str | None = None) -> dict[int, Any]:
    with person.session() as session:
        found = read_day(Archive(session), day)
    parts = [part for part in found.parts if part.place.resolution == resolution]
    kept = [one for part in parts if kind in (None, part.series.kind) for one in part.kept]
    assert len({one.observation.time for one in kept}) == len(kept)  # none twice
    return {one.observation.time: one.observation.value for one in kept}


def run(person: Person) -> Rebuilt:
    with person.session() as session:
        archive = Archive(session)
        return rebuild(session, archive, cut_days(archive, YESTERDAY - 1, YESTERDAY))


def test_a_day_that_two_processes_wrote_has_the_buckets_of_an_oracle(someone: Person) -> None:
    first, then = minutes(range(9)), minutes(range(9, 20))
    cut_yesterday(someone, first, then)
    assert run(someone).days == 1
    assert stored(someone, "hour") == oracle(first + then, HOUR)
    assert stored(someone, "day") == oracle(first + then, DAY_MS)
    assert run(someone) == Rebuilt()
    with someone.session() as session:
        assert {row.cut for row in Archive(session).rows(YESTERDAY, YESTERDAY)} == {False}


def test_every_reading_is_there_after_as_it_was_before(someone: Person) -> None:
    cut_yesterday(someone, minutes(range(3)))
    with someone.session() as session:
        before = list(Archive(session).readings(MIDNIGHT, START, lambda _: True))
    run(someone)
    with someone.session() as session:
        assert list(Archive(session).readings(MIDNIGHT, START, lambda _: True)) == before


def test_a_day_that_is_not_over_waits(someone: Person) -> None:
    device = someone.add_device()
    for hour in (1, 2):
        someone.host.publish(someone.vault, device, minutes([hour], day=START))
        restart(someone)
    today = START // DAY_MS
    with someone.session() as session:
        assert rebuild(session, Archive(session), [today]) == Rebuilt(waiting=(today,))


# --- what a bucket that comes again may tell ----------------------------------------------------------


def late(person: Person, device: DeviceId, readings: list[Observation]) -> None:
    """Readings that come after the day was made whole."""
    person.host.publish(person.vault, device, readings)
    restart(person)


@pytest.mark.parametrize("count", range(1, FEWEST))
def test_a_few_late_readings_are_in_no_bucket_for_the_difference_would_be_them(
    someone: Person, count: int
) -> None:
    device = cut_yesterday(someone, minutes(range(9)), minutes(range(9, 12)))
    run(someone)
    hours, day = stored(someone, "hour"), stored(someone, "day")
    late(someone, device, [number("power", MIDNIGHT + 3 * HOUR + 30_000 + at, 999.0) for at in range(count)])
    assert run(someone).days == 1
    assert stored(someone, "hour") == hours
    assert stored(someone, "day") == day


def test_late_readings_in_company_are_counted_and_only_their_buckets_come_again(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(9)), minutes(range(9, 12)))
    run(someone)
    numbers = seqs(someone, "hour")
    more = [number("power", MIDNIGHT + 3 * HOUR + 30_000 + at, 999.0) for at in range(FEWEST)]
    late(someone, device, more)
    assert run(someone).buckets == 2  # the hour's and the day's
    all_of_it = [*minutes(range(12)), *more]
    assert stored(someone, "hour") == oracle(all_of_it, HOUR)
    assert stored(someone, "day") == oracle(all_of_it, DAY_MS)
    again = seqs(someone, "hour")
    changed = {start for start, seq in again.items() if numbers[start] != seq}
    assert changed == {MIDNIGHT + 3 * HOUR}
    assert again[MIDNIGHT + 3 * HOUR] > max(numbers.values())


def test_known_bad_a_bucket_with_one_more_reading_tells_it() -> None:
    """What the rule is for: without it, the sums differ by the reading."""
    readings = minutes([3])
    before = oracle(readings, HOUR)[MIDNIGHT + 3 * HOUR]
    after = oracle([*readings, number("power", MIDNIGHT + 3 * HOUR + 1, 999.0)], HOUR)[MIDNIGHT + 3 * HOUR]
    assert after.sum - before.sum == 999.0
    series = Series(DeviceId(b"m" * 16), "", "power")
    kept = [Kept(seq, one) for seq, one in enumerate(readings, start=1)]
    one_more = [*kept, Kept(1000, number("power", MIDNIGHT + 3 * HOUR + 1, 999.0))]
    old = {("hour", MIDNIGHT + 3 * HOUR): [Kept(500, Observation("", "power", MIDNIGHT + 3 * HOUR, before))]}
    made = make_buckets(series, YESTERDAY, one_more, (), old, Known())
    assert [one.observations[0].value for one in made if one.resolution == "hour"] == [before]
    forgetful = make_buckets(series, YESTERDAY, one_more, (), {}, Known())
    assert [one.observations[0].value for one in forgetful if one.resolution == "hour"] == [after]


def seqs(person: Person, resolution: str) -> dict[int, int]:
    with person.session() as session:
        day = read_day(Archive(session), YESTERDAY)
    return {
        kept.observation.time: kept.seq
        for part in day.parts
        if part.place.resolution == resolution
        for kept in part.kept
    }


def test_a_state_goes_on_from_the_day_before(someone: Person) -> None:
    device = someone.add_device()
    door = [
        Observation("", "door", MIDNIGHT - 600_000, True),
        Observation("", "door", MIDNIGHT + 900_000, False),
    ]
    for one in door:
        someone.host.publish(someone.vault, device, [one])
        restart(someone)
    run(someone)
    assert stored(someone, "hour")[MIDNIGHT] == Tally(1, 0, 900)


# --- to whom ------------------------------------------------------------------------------------------

ASK: dict[str, Any] = {
    "type": "personal_data",
    "actions": ["read"],
    "datatypes": ["power"],
    "resolution": {"ideal": "raw", "minimum": "day"},
    "purpose": "dpv:ServiceProvision",
    "purpose_text": "bill by what you use",
}


def grant_power(person: Person, device: DeviceId, resolution: str, since: int, name: str = "Acme") -> GrantId:
    """A grant from a moment (s) on, for a month."""
    brand = person.host.brand(name, f"https://{name.lower()}.example")
    grant = person.host.ask(person.vault, brand, person.host.touchpoint(person.vault, brand), ASK)
    with person.session() as session:
        row, asks = row_of(session, grant)
        bounds = Bounds(since, START // 1000 + 30 * DAY, START // 1000 + 30 * DAY)
        terms = make_terms(asks, [Selector(device.text, "power", ("",), resolution)], bounds)
        approve(session, Archive(session), row, asks, terms)
    return grant


def read_as(person: Person, grant: GrantId, after: int = 0) -> list[Released]:
    """What the grant's own keys give, page after page."""
    return person.host.read_as(person.vault, grant, after)


def test_an_approval_by_the_hour_makes_the_buckets_first_and_gives_each_once(someone: Person) -> None:
    first, then = minutes(range(9)), minutes(range(9, 20))
    device = cut_yesterday(someone, first, then)
    grant = grant_power(someone, device, "hour", MIDNIGHT // 1000)
    found = read_as(someone, grant)
    assert {one.resolution for one in found} == {"hour"}
    given = [(one.observation.time, one.observation.value) for one in found]
    assert sorted(given) == sorted(oracle(first + then, HOUR).items())


def test_a_rebuilt_bucket_reaches_a_brand_that_had_paged_to_the_end(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(9)), minutes(range(9, 12)))
    grant = grant_power(someone, device, "hour", MIDNIGHT // 1000)
    last = max(one.seq for one in read_as(someone, grant))
    late(someone, device, [number("power", MIDNIGHT + 3 * HOUR + 30_000 + at, 999.0) for at in range(9)])
    assert read_as(someone, grant, last) == []
    run(someone)
    (again,) = read_as(someone, grant, last)
    assert again.observation.time == MIDNIGHT + 3 * HOUR
    assert isinstance(again.observation.value, Summary)
    assert again.observation.value.count == 69


def test_a_grant_by_the_day_and_one_by_the_hour_get_their_own(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(9)), minutes(range(9, 20)))
    by_hour = grant_power(someone, device, "hour", MIDNIGHT // 1000)
    by_day = grant_power(someone, device, "day", MIDNIGHT // 1000, "Bell")
    late(someone, device, [number("power", MIDNIGHT + 3 * HOUR + 30_000 + at, 999.0) for at in range(9)])
    run(someone)
    assert {one.resolution for one in read_as(someone, by_hour)} == {"hour"}
    assert {one.resolution for one in read_as(someone, by_day)} == {"day"}
    assert len(read_as(someone, by_hour)) == 20
    assert len(read_as(someone, by_day)) == 1


def test_a_grant_that_begins_at_noon_gets_the_hours_from_noon_and_no_day(someone: Person) -> None:
    host, device = someone.host, someone.add_device()
    host.clock.now = MIDNIGHT + 12 * HOUR
    host.publish(someone.vault, device, minutes(range(12)))
    grant = grant_power(someone, device, "hour", host.clock() // 1000)
    restart(someone)
    host.publish(someone.vault, device, minutes(range(12, 20)))
    host.clock.now = START + 12 * HOUR
    restart(someone)
    run(someone)
    given = sorted(one.observation.time for one in read_as(someone, grant))
    assert given == [MIDNIGHT + hour * HOUR for hour in range(12, 20)]


# --- hosts that lie -------------------------------------------------------------------------------------


class Dropping(OwnerHost):
    """Takes a rewrite, and lets one of its chunks fall."""

    def _write(self, vault: VaultId, call: wire.OwnerWrite) -> wire.AnyReply:
        done = super()._write(vault, call)
        if isinstance(call, wire.Rewrite) and isinstance(done, wire.Done):
            chunk = call.rewritten.chunks[-1]
            self.writer.file(vault).transact(
                lambda c: c.execute("DELETE FROM chunk WHERE first_seq = ?", (chunk.first_seq,))
            )
        return done


def test_a_host_that_drops_a_chunk_of_a_rewrite_is_noticed(tmp_path: Path) -> None:
    with serve(Dropping(tmp_path / "data", Clock())) as host:
        person = Person(host)
        cut_yesterday(person, minutes(range(9)))
        with pytest.raises(AnswerError):
            run(person)
