"""An approval gives exactly the lanes that were chosen, and what was signed is what was shown."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import msgspec
import pytest

from gateway import wire
from gateway.client.answered import read_statement
from gateway.client.approve import approve, make_statement, resume
from gateway.client.chosen import series_of
from gateway.client.errors import ConflictError, DeclinedError, ImpostorError
from gateway.client.history import history_keys, seal_history
from gateway.client.read import Archive, OpenSegment, is_reading
from gateway.client.recipients import Reader, Series
from gateway.client.rewrite import BOX_KEYS
from gateway.client.session import Session
from policies.grant import Active, Preparing
from policies.iso8601 import DAY
from policies.kinds import catalogue
from policies.purposes import purposes
from policies.request import Ask, parse_details
from policies.terms import Selector, Terms
from tests.client_world import Person, number, someone
from tests.owner_host import DAY_MS, START
from vault.ids import DeviceId, GrantId, SegmentId, VaultId
from vault.segment import QUARANTINE, Lane, LaneKey, SegmentHeader, lane_key, open_grant_box, resolution_key
from vault.statement import sign
from vault.store.records import GrantRow
from vault.suite import Recipient

__all__ = ["someone"]

VAULT = VaultId(b"v" * 16)
METER, HUB = DeviceId(b"m" * 16), DeviceId(b"h" * 16)
TODAY = START // DAY_MS
NOW_S = START // 1000 + DAY // 2  # noon of today


# --- which lanes of the history ---------------------------------------------------------------------


def segment(day: int, *lanes: Lane) -> OpenSegment:
    header = SegmentHeader(VAULT, SegmentId(hashlib.sha256(str(day).encode()).digest()[:16]), day)
    return OpenSegment(header, hashlib.sha256(b"key %d" % day).digest(), dict(enumerate(lanes)))


def terms(data_from: int, data_until: int, *selectors: Selector) -> Terms:
    return Terms(
        selectors=selectors or (Selector(METER.text, "energy", ("",)),),
        data_from=data_from,
        data_until=data_until,
        access_until=data_until,
        purpose="dpv:ServiceProvision",
    )


GRANT = GrantId(b"g" * 16)


def reader(data_from: int, data_until: int) -> Reader:
    return Reader(GRANT, b"", terms(data_from, data_until))


ENERGY, POWER = Lane(METER, "", "energy", 0), Lane(METER, "", "power", 0)
WEEK = [segment(TODAY - back, ENERGY, POWER) for back in range(7, -2, -1)]  # tomorrow's is there already

BOUNDS: dict[str, tuple[int, int, list[int]]] = {
    "no history: not even today's, which began before now": (NOW_S, NOW_S + 30 * DAY, [1]),
    "the last two whole days and today": (NOW_S - DAY // 2 - 2 * DAY, NOW_S + 30 * DAY, [-2, -1, 0, 1]),
    "a beginning within a day leaves that day out": (NOW_S - 2 * DAY, NOW_S + DAY, [-1, 0, 1]),
    "an end in the past, exact to the day": (NOW_S - DAY // 2 - 3 * DAY, NOW_S - DAY // 2 - DAY, [-3, -2]),
    "an end sooner than a device's clock may claim leaves today out": (
        NOW_S - DAY // 2 - DAY,
        NOW_S + 299,
        [-1],
    ),
    "an end at the latest claim takes today in": (NOW_S - DAY // 2 - DAY, NOW_S + 300, [-1, 0, 1]),
    "nothing before the first day": (NOW_S + DAY, NOW_S + 2 * DAY, []),
}


@pytest.mark.parametrize(("data_from", "data_until", "days"), BOUNDS.values(), ids=BOUNDS)
def test_history_holds_the_days_that_lie_whole_within_the_bounds(
    data_from: int, data_until: int, days: list[int]
) -> None:
    keys = history_keys(reader(data_from, data_until), WEEK, NOW_S)
    named = [one.header.day - TODAY for one in WEEK if one.header.segment in {key.segment for key in keys}]
    assert named == days


def test_only_the_lanes_that_were_chosen_are_given_and_each_key_opens_its_own() -> None:
    lanes = (
        ENERGY,
        POWER,
        Lane(METER, "", "energy", 1),
        Lane(METER, "second", "energy", 0),
        Lane(HUB, "", "energy", 0),
        Lane(METER, "", QUARANTINE, 0),
    )
    (one,) = [segment(TODAY - 1, *lanes)]
    keys = history_keys(reader(0, NOW_S + DAY), [one], NOW_S)
    assert [(key.number, Lane.decode(key.lane).part) for key in keys] == [(0, 0), (2, 1)]
    assert [key.key for key in keys] == [
        resolution_key(lane_key(one.key, lanes[number]), "raw") for number in (0, 2)
    ]


def test_any_channel_is_any_channel_but_never_what_was_kept_whole() -> None:
    one = segment(TODAY - 1, ENERGY, Lane(METER, "second", "energy", 0), Lane(METER, "", QUARANTINE, 0))
    given_all = terms(
        0, NOW_S + DAY, Selector(METER.text, "energy", None), Selector(METER.text, QUARANTINE, None)
    )
    assert [key.number for key in history_keys(Reader(GRANT, b"", given_all), [one], NOW_S)] == [0, 1]


def test_boxes_open_for_their_recipient_and_hold_every_key_once() -> None:
    brand, grant = Recipient(bytes(32)), GrantId(b"g" * 16)
    keys = [
        LaneKey(hashlib.sha256(b"%d" % number).digest()[:16], number, ENERGY.encode(), "raw", bytes(32))
        for number in range(BOX_KEYS + 1)
    ]
    boxes = seal_history(brand.public, b"owner" * 6 + b"xx", VAULT, grant, keys)
    opened = [
        open_grant_box(brand, b"owner" * 6 + b"xx", VAULT, grant, one.segments, one.box) for one in boxes
    ]
    assert [len(part) for part in opened] == [BOX_KEYS, 1]
    assert sorted(key.number for part in opened for key in part) == list(range(BOX_KEYS + 1))
    assert seal_history(brand.public, b"owner" * 6 + b"xx", VAULT, grant, []) == []


# --- with a host ------------------------------------------------------------------------------------

ENERGY_ASK: dict[str, Any] = {
    "type": "personal_data",
    "actions": ["read"],
    "datatypes": ["energy"],
    "purpose": "dpv:ServiceProvision",
    "purpose_text": "bill by what you use",
}


def asked(person: Person, **changes: Any) -> GrantId:
    brand = person.host.brand()
    touchpoint = person.host.touchpoint(person.vault, brand)
    return person.host.ask(person.vault, brand, touchpoint, ENERGY_ASK | changes)


def row_of(session: Session, grant: GrantId) -> tuple[GrantRow, tuple[Ask, ...]]:
    (row,) = [one for one in session.ask(wire.GetGrants(), wire.Grants).grants if one.grant == grant]
    return row, parse_details(row.ask, catalogue(), purposes(), row.asked // 1000)


def answer(device: DeviceId, since: int, until: int) -> Terms:
    return Terms(
        selectors=(Selector(device.text, "energy", ("",)),),
        data_from=since,
        data_until=until,
        access_until=until,
        purpose="dpv:ServiceProvision",
        purpose_text="bill by what you use",
    )


def fill(person: Person) -> DeviceId:
    """A week of one reading a day, today's at eleven, of energy and of power."""
    device = person.add_device()
    for back in range(7, -1, -1):
        time = START - back * DAY_MS + 11 * 3_600_000
        person.host.publish(
            person.vault, device, [number("energy", time, float(back)), number("power", time, float(back))]
        )
    return device


def boxed(person: Person, grant: GrantId) -> int:
    return person.host.run(lambda: len(person.host.reader.boxes(person.vault, grant, 0)))


def test_an_approval_with_history_becomes_active_and_seals_one_box(someone: Person) -> None:
    device, grant = fill(someone), asked(someone)
    with someone.session() as session:
        row, asks = row_of(session, grant)
        given_terms = answer(device, START // 1000 - 3 * DAY, NOW_S + 30 * DAY)
        assert approve(session, Archive(session), row, asks, given_terms) == given_terms
        assert isinstance(row_of(session, grant)[0].state, Active)
    assert boxed(someone, grant) == 1


def test_an_approval_without_history_hands_over_no_key(someone: Person) -> None:
    device, grant = fill(someone), asked(someone)
    with someone.session() as session:
        row, asks = row_of(session, grant)
        approve(session, Archive(session), row, asks, answer(device, NOW_S, NOW_S + 30 * DAY))
    assert boxed(someone, grant) == 0


def test_a_second_approval_comes_too_late(someone: Person) -> None:
    device, grant = fill(someone), asked(someone)
    with someone.session() as session:
        row, asks = row_of(session, grant)
        given_terms = answer(device, NOW_S, NOW_S + 30 * DAY)
        approve(session, Archive(session), row, asks, given_terms)
        with pytest.raises(ConflictError):
            approve(session, Archive(session), row, asks, given_terms)
        with pytest.raises(ConflictError):
            resume(session, Archive(session), row_of(session, grant)[0])


def test_an_approval_of_words_that_were_not_shown_is_refused(someone: Person) -> None:
    """The hash binds the request as it was shown; a brand that changed it gets nothing (D7)."""
    device, grant = fill(someone), asked(someone)
    with someone.session() as session:
        row, asks = row_of(session, grant)
        shown = tuple(msgspec.structs.replace(ask, retention="P1D") for ask in asks)
        with pytest.raises(DeclinedError):
            approve(session, Archive(session), row, shown, answer(device, NOW_S, NOW_S + DAY))


def test_an_approval_that_was_cut_off_is_resumed_with_the_same_terms(someone: Person) -> None:
    device, grant = fill(someone), asked(someone)
    given_terms = answer(device, START // 1000 - 3 * DAY, NOW_S + 30 * DAY)
    with someone.session() as session:
        row, asks = row_of(session, grant)
        statement = make_statement(row, asks, given_terms, session.pins.generation)
        signed = sign(someone.owner.signing, someone.vault, statement)
        session.tell(wire.Prepare(grant, signed), wire.Prepared)  # and here the power went
    with someone.session() as session:
        row, _ = row_of(session, grant)
        assert isinstance(row.state, Preparing)
        assert resume(session, Archive(session), row) == given_terms
    assert boxed(someone, grant) == 1


def test_a_statement_that_is_not_ours_is_never_resumed(someone: Person) -> None:
    device, grant = fill(someone), asked(someone)
    given_terms = answer(device, NOW_S, NOW_S + DAY)
    with someone.session() as session:
        row, asks = row_of(session, grant)
        statement = make_statement(row, asks, given_terms, session.pins.generation)
        ours = sign(someone.owner.signing, someone.vault, statement)
        assert read_statement(session, msgspec.structs.replace(row, statement=ours)) == statement
        other = GrantId.new(os.urandom).text
        bad = {
            "no statement": None,
            "another vault's": sign(someone.owner.signing, VAULT, statement),
            "another request's": sign(
                someone.owner.signing, someone.vault, msgspec.structs.replace(statement, grant=other)
            ),
            "to another key": sign(
                someone.owner.signing, someone.vault, msgspec.structs.replace(statement, key_hash=bytes(32))
            ),
            "altered": msgspec.structs.replace(ours, body=ours.body[:-1] + b"\x07"),
        }
        for signed in bad.values():
            with pytest.raises(ImpostorError):
                read_statement(session, msgspec.structs.replace(row, statement=signed))


def test_series_are_read_from_the_names_of_lanes(someone: Person) -> None:
    device = fill(someone)
    someone.host.quarantine(someone.vault, device, b"?")
    with someone.session() as session:
        seen = series_of(Archive(session).segments(TODAY - 7, TODAY))
    assert seen == {Series(device, "", "energy"), Series(device, "", "power")}
    assert is_reading(ENERGY)
