"""A preview shows what a brand would have received: what it does receive once it is given just that."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import senmlout, wire
from gateway.client.approve import approve
from gateway.client.preview import Preview, preview
from gateway.client.read import Archive
from policies.iso8601 import DAY
from policies.minimise import Limit
from policies.narrow import Bounds, make_terms
from policies.terms import Selector, Terms
from tests.client_world import Person, number, someone
from tests.owner_host import START
from tests.test_gateway_client_approve import row_of
from tests.test_gateway_client_rebuild import ASK, HOUR, MIDNIGHT, cut_yesterday, minutes, read_as
from vault.bucket import FEWEST
from vault.ids import DeviceId, GrantId
from vault.observation import Observation, Place, Summary

__all__ = ["someone"]

WEEK_AGO = START // 1000 - 7 * DAY


def asked(person: Person, **other: Any) -> GrantId:
    brand = person.host.brand()
    return person.host.ask(person.vault, brand, person.host.touchpoint(person.vault, brand), ASK | other)


def show(
    person: Person, grant: GrantId, device: DeviceId, resolution: str, kind: str = "power", **other: Any
) -> tuple[Preview, Terms]:
    with person.session() as session:
        row, asks = row_of(session, grant)
        bounds = Bounds(WEEK_AGO, START // 1000 + 30 * DAY, START // 1000 + 30 * DAY)
        terms = make_terms(asks, [Selector(device.text, kind, None, resolution)], bounds, **other)
        calls = len(person.host.calls)
        shown = preview(session, Archive(session), row, asks, terms)
        assert all(call.startswith("Get") for call in person.host.calls[calls:])  # nothing is told
        return shown, terms


def chunks(person: Person) -> list[Any]:
    """All that is stored."""
    host = person.host
    return host.run(lambda: host.writer.file(person.vault).rows("SELECT id, body FROM chunk"))


@pytest.mark.parametrize("resolution", ["raw", "hour", "day"])
def test_what_is_shown_is_what_the_brand_then_receives(someone: Person, resolution: str) -> None:
    device = cut_yesterday(someone, minutes(range(9)), minutes(range(9, 20)))
    grant = asked(someone)
    shown, terms = show(someone, grant, device, resolution)
    with someone.session() as session:
        row, asks = row_of(session, grant)
        approve(session, Archive(session), row, asks, terms)
    found = read_as(someone, grant)
    assert shown.settled.readings == len(found)
    assert shown.settled.series == 1
    received = senmlout.decode(senmlout.encode(sorted(found, key=lambda one: one.observation.time)))
    assert set(shown.settled.sample) <= set(received)
    assert shown.settled.sample[0] == received[0]


def test_both_flows_are_told_and_the_brand_asked_for_more(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(9)), minutes(range(9, 20)))
    shown, _ = show(someone, asked(someone), device, "hour")
    assert shown.asked.readings == 20 * 60
    assert shown.settled.readings == 20
    assert shown.asked.bytes > 5 * shown.settled.bytes
    assert {one.resolution for one in shown.asked.sample} == {"raw"}
    assert {one.resolution for one in shown.settled.sample} == {"hour"}
    assert len(shown.asked.sample) <= 200


def test_buckets_that_are_not_there_are_made_in_memory_and_nothing_is_stored(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(9)))
    before = chunks(someone)
    shown, _ = show(someone, asked(someone), device, "hour")
    assert shown.settled.readings == 9
    first = shown.settled.sample[0]
    assert isinstance(first.value, Summary)
    assert (first.time, first.value.count) == (MIDNIGHT, 60)
    assert chunks(someone) == before


def test_of_today_the_hours_that_are_over_are_shown(someone: Person) -> None:
    device = someone.add_device()
    someone.host.clock.now = START + 11 * HOUR + 1_800_000
    someone.host.publish(someone.vault, device, minutes([9, 10], day=START))
    someone.host.publish(someone.vault, device, minutes([11], day=START)[:25])
    shown, _ = show(someone, asked(someone), device, "hour")
    assert [one.time for one in shown.settled.sample] == [START + 9 * HOUR, START + 10 * HOUR]


def test_limits_are_applied_as_the_door_does(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(9)))
    limits = (Limit(kind="power", every=3600, round="10"),)
    shown, _ = show(someone, asked(someone), device, "raw", limits=limits)
    assert shown.settled.readings == 10  # nine hours, and the reading of the second process
    assert all(isinstance(one.value, float) and one.value % 10 == 0 for one in shown.settled.sample)


def test_who_is_given_answers_alone_receives_no_readings(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(9)))
    shown, _ = show(someone, asked(someone, mode="answer"), device, "hour", mode="answer")
    assert (shown.settled.readings, shown.settled.sample) == (0, ())


def test_a_vault_without_such_readings_shows_nothing(someone: Person) -> None:
    device = someone.add_device()
    shown, _ = show(someone, asked(someone), device, "hour")
    assert (shown.asked, shown.settled, shown.rare) == (shown.settled, shown.settled, ())
    assert shown.settled.readings == 0


RARE: dict[str, tuple[int, str, float | None]] = {
    "one an hour": (1, "hour", 1.0),
    "one fewer than enough": (FEWEST - 1, "hour", FEWEST - 1.0),
    "just enough": (FEWEST, "hour", None),
    "one an hour is enough for a day": (1, "day", None),
    "raw hides nothing and says so itself": (1, "raw", None),
}


@pytest.mark.parametrize(("an_hour", "resolution", "usual"), RARE.values(), ids=RARE)
def test_what_reports_too_rarely_is_named(
    someone: Person, an_hour: int, resolution: str, usual: float | None
) -> None:
    readings = [
        number("power", MIDNIGHT + hour * HOUR + at * 60_000, float(at))
        for hour in range(20)
        for at in range(an_hour)
    ]
    device = cut_yesterday(someone, readings)
    shown, _ = show(someone, asked(someone), device, resolution)
    expected = [] if usual is None else [(device.text, "power", resolution, usual)]
    assert [(one.device, one.kind, one.resolution, one.readings) for one in shown.rare] == expected


def test_places_are_shown_by_their_cells(someone: Person) -> None:
    walk = [
        Observation("", "location", MIDNIGHT + minute * 60_000, Place(48.0 + minute / 1000, 11.0))
        for minute in range(12 * 60)
    ]
    device = cut_yesterday(someone, walk)
    grant = asked(someone, datatypes=["location"], resolution={"ideal": "raw", "minimum": "h3-5"})
    shown, _ = show(someone, grant, device, "h3-7", "location")
    assert shown.asked.readings == 12 * 60
    assert 12 <= shown.settled.readings < 60
    assert {one.resolution for one in shown.settled.sample} == {"h3-7"}


def test_a_blackout_hides_in_a_preview_as_well(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(9)))
    with someone.session() as session:
        since = MIDNIGHT // 1000 + 4 * 3600
        session.tell(wire.AddBlackout(b"b" * 16, since, since + 3600, []), wire.Done)
    shown, _ = show(someone, asked(someone), device, "hour")
    assert MIDNIGHT + 4 * HOUR not in {one.time for one in shown.settled.sample}
    assert shown.settled.readings == 8
