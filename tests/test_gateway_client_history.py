"""Which keys a newcomer gets of what was written before: of lanes of which everything may be read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway import wire
from gateway.client.approve import in_force, make_statement, resume, revise
from gateway.client.errors import ConflictError
from gateway.client.history import history_keys
from gateway.client.read import Archive
from gateway.client.recipients import Blackout, Known, Reader
from policies.grant import Active, Preparing
from policies.iso8601 import DAY
from policies.terms import Selector, Terms
from tests.client_world import Person, number, someone
from tests.owner_host import START
from tests.test_gateway_client_approve import GRANT, METER, NOW_S, TODAY, row_of, segment
from tests.test_gateway_client_blackout import opens
from tests.test_gateway_client_rebuild import (
    HOUR,
    MIDNIGHT,
    cut_yesterday,
    grant_power,
    minutes,
    read_as,
    restart,
)
from vault.ids import GrantId
from vault.segment import Lane, lane_key, resolution_key
from vault.statement import sign

__all__ = ["someone"]

ENERGY = Lane(METER, "", "energy", 0)
WEEK = [segment(TODAY - back, ENERGY) for back in range(7, 0, -1)]


def reader(resolution: str, gaps: tuple[tuple[int, int], ...] = ()) -> Reader:
    terms = Terms(
        selectors=(Selector(METER.text, "energy", None, resolution),),
        resolution="day",
        data_from=0,
        data_until=NOW_S + DAY,
        access_until=NOW_S + DAY,
        purpose="dpv:ServiceProvision",
    )
    return Reader(GRANT, b"", terms, gaps)


@pytest.mark.parametrize("resolution", ["raw", "hour", "day"])
def test_keys_are_of_the_resolution_that_is_given_and_open_no_other(resolution: str) -> None:
    keys = history_keys(reader(resolution), WEEK, NOW_S)
    assert [key.resolution for key in keys] == [resolution] * 7
    assert [key.key for key in keys] == [
        resolution_key(lane_key(one.key, ENERGY), resolution) for one in WEEK
    ]


DARK: dict[str, tuple[tuple[tuple[int, int], ...], Known, int]] = {
    "nothing": ((), Known(), 7),
    "a pause of a moment": (((TODAY * DAY - 3 * DAY, TODAY * DAY - 3 * DAY + 1),), Known(), 6),
    "a pause over a midnight": (((TODAY * DAY - 3 * DAY - 1, TODAY * DAY - 3 * DAY + 1),), Known(), 5),
    "a blackout of another kind": (
        (),
        Known(blackouts=(Blackout(0, NOW_S, frozenset({"power"}), 0),)),
        7,
    ),
    "a blackout of two days": (
        (),
        Known(blackouts=(Blackout(TODAY * DAY - 2 * DAY, TODAY * DAY, frozenset(), 0),)),
        5,
    ),
}


@pytest.mark.parametrize(("gaps", "known", "count"), DARK.values(), ids=DARK)
def test_a_day_that_something_touches_is_not_given_unseen(
    gaps: tuple[tuple[int, int], ...], known: Known, count: int
) -> None:
    assert len(history_keys(reader("raw", gaps), WEEK, NOW_S, known)) == count


# --- with a host -----------------------------------------------------------------------------------------


def pause(person: Person, grant: GrantId, since: int, until: int) -> None:
    """From a moment to another (ms)."""
    for moment, paused in ((since, True), (until, False)):
        person.host.clock.now = moment
        with person.session() as session:
            session.tell(wire.PauseGrant(grant, paused), wire.Done)


def change(person: Person, grant: GrantId, resolution: str, **other: Any) -> Terms:
    with person.session() as session:
        row, asks = row_of(session, grant)
        assert isinstance(row.state, Active)
        terms = row.state.terms
        selectors = tuple(msgspec.structs.replace(one, resolution=resolution) for one in terms.selectors)
        changed = msgspec.structs.replace(terms, selectors=selectors, **other)
        return revise(session, Archive(session), row, asks, changed)


def test_a_change_gives_the_new_resolution_of_all_of_the_history_and_takes_the_old(someone: Person) -> None:
    readings = minutes(range(12))
    device = cut_yesterday(someone, readings)
    grant = grant_power(someone, device, "raw", MIDNIGHT // 1000)
    assert len(opens(someone, grant)) == len(readings) + 1
    change(someone, grant, "hour")
    assert {one.resolution for one in read_as(someone, grant)} == {"hour"}
    assert len(read_as(someone, grant)) == 12
    assert opens(someone, grant) == set()
    someone.host.publish(someone.vault, device, [number("power", START + HOUR, 1.0)])
    assert opens(someone, grant) == set()


def test_a_change_does_not_give_what_a_pause_kept_back(someone: Person) -> None:
    host, device = someone.host, someone.add_device()
    grant = grant_power(someone, device, "raw", START // 1000)
    noon = START + 12 * HOUR
    pause(someone, grant, noon + 60_000, noon + 120_000)
    host.clock.now = noon
    with someone.session() as session:
        row, _ = row_of(session, grant)
        assert isinstance(row.state, Active)
        assert row.state.gaps
    for minute in range(5):
        host.publish(someone.vault, device, [number("power", noon + minute * 60_000, float(minute))])
    host.clock.now = noon + 300_000
    assert opens(someone, grant) == {noon, *(noon + minute * 60_000 for minute in (2, 3, 4))}
    change(someone, grant, "raw", data_until=START // 1000 + 20 * DAY, access_until=START // 1000 + 20 * DAY)
    assert opens(someone, grant) == {noon, *(noon + minute * 60_000 for minute in (2, 3, 4))}


def test_a_change_keeps_the_first_day_that_began_in_the_middle(someone: Person) -> None:
    host, device = someone.host, someone.add_device()
    host.publish(someone.vault, device, minutes([10, 11], day=START))
    grant = grant_power(someone, device, "raw", host.clock() // 1000)
    host.clock.now += HOUR
    host.publish(someone.vault, device, minutes([12], day=START))
    restart(someone)
    assert len(opens(someone, grant)) == 60
    change(someone, grant, "raw", data_until=START // 1000 + 20 * DAY, access_until=START // 1000 + 20 * DAY)
    assert len(opens(someone, grant)) == 60
    assert min(opens(someone, grant)) == START + 12 * HOUR


def test_a_change_that_was_cut_off_is_resumed(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(12)))
    grant = grant_power(someone, device, "raw", MIDNIGHT // 1000)
    with someone.session() as session:
        row, asks = row_of(session, grant)
        assert isinstance(row.state, Active)
        assert row.statement is not None
        until = row.state.terms.data_until - DAY
        terms = msgspec.structs.replace(row.state.terms, data_until=until, access_until=until)
        made = make_statement(row, asks, terms, session.pins.generation)
        statement = msgspec.structs.replace(made, predecessor=in_force(session, row))
        signed = sign(someone.owner.signing, someone.vault, statement)
        session.tell(wire.Prepare(grant, signed), wire.Prepared)
    assert opens(someone, grant) == set()
    with someone.session() as session:
        row, _ = row_of(session, grant)
        assert isinstance(row.state, Preparing)
        assert resume(session, Archive(session), row) == terms
    assert len(opens(someone, grant)) == 12 * 60 + 1


def test_only_what_is_in_force_is_changed(someone: Person) -> None:
    device = cut_yesterday(someone, minutes(range(3)))
    grant = grant_power(someone, device, "raw", MIDNIGHT // 1000)
    with someone.session() as session:
        row, asks = row_of(session, grant)
        assert isinstance(row.state, Active)
        terms = row.state.terms
        session.tell(wire.PauseGrant(grant, True), wire.Done)
        paused, _ = row_of(session, grant)
        with pytest.raises(ConflictError):
            revise(session, Archive(session), paused, asks, terms)
        session.tell(wire.PauseGrant(grant, False), wire.Done)
        session.follow()
        revise(session, Archive(session), row_of(session, grant)[0], asks, terms)
        with pytest.raises(ConflictError):  # the row from before: another statement is in force now
            revise(session, Archive(session), row, asks, terms)
