"""What unknown payloads may mean, the rules that a person makes of them, and how they leave quarantine."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.client import device as devices
from gateway.client.errors import ConflictError, TermsError
from gateway.client.propose import SUFFIXES, USUAL, WORDS, Proposal, propose, propose_time, words
from gateway.client.quarantine import CALL_READINGS, Quarantine
from gateway.client.read import Archive
from gateway.client.shapes import Kept, Shape, members, path_of, shapes
from gateway.client.teach import (
    Choice,
    Stored,
    complete,
    make_rule,
    place,
    preview,
    settings_with,
    time_of,
    understand,
    with_rule,
)
from gateway.dialects import EMPTY, DialectSettings, Notebook, Reading
from gateway.dialects.paths import parse
from gateway.dialects.rules import Field, Rule, Time
from policies.kinds import catalogue
from tests.client_world import Person, someone
from vault.ids import DeviceId
from vault.observation import Observation
from vault.segment import QUARANTINE
from vault.store.state import Arrival

__all__ = ["someone"]

ARRIVAL = 1_795_262_400_000  # 2026-11-21T12:00:00Z


def kept(seq: int, topic: str, payload: bytes) -> Kept:
    """A payload that came so many seconds after noon."""
    return Kept(seq, ARRIVAL + seq * 1000, topic, payload)


# --- proposals -------------------------------------------------------------------------------------------

PROPOSED: list[tuple[str, list[Any], str]] = [
    ("tmp_c", [20.5, 21], "temperature"),
    ("supplyTempC", [55.1], "temperature"),
    ("supply_temp_f", [131.0], "temperature:[degF]"),
    ("temp", [2150, 2180], "temperature*0.01"),
    ("temperature_outside", [-4.5], "temperature"),
    ("rh_pct", [55], "humidity:%"),
    ("bat_pct", [87], "battery:%"),
    ("batt_mv", [2950], "voltage:mV"),
    ("pwr_kw", [1.5], "power:kW"),
    ("total_wh", [12345], "energy:Wh"),
    ("import-kWh", [123.4], "energy"),
    ("flow_lpm", [8.5], "volume_flow_rate:L/min"),
    ("press_hpa", [1013.2], "pressure"),
    ("CO2", [612], "carbon_dioxide"),
    ("pm2_5", [4.1], "pm25"),
    ("wind_kmh", [12], "wind_speed:km/h"),
    ("HeartRateBpm", [61], "heart_rate"),
    ("steps_today", [8123], "steps"),
    ("door_open", [True, False], "door"),
    ("relay1", ["ON", "OFF"], "switch"),
    ("pir", [0, 1], "motion"),
    ("button", ["single", "double"], "button"),
    ("temp", ["21.5"], "temperature"),
    ("fw", ["1.2.3"], ""),
    ("uptime", [123456], ""),
    ("mystery", [1.5], ""),
    ("hum", [-40], ""),
    ("temp", [True], ""),
    ("temp", [None], ""),
    ("temp", [21.5, "open"], ""),
    ("", [1], ""),
]


def spoken(proposal: Proposal) -> str:
    scale = f"*{proposal.scale:g}" if proposal.scale != 1 else ""
    return proposal.kind + (f":{proposal.unit}" if proposal.unit else "") + scale


@pytest.mark.parametrize(("name", "values", "expected"), PROPOSED)
def test_the_first_proposal_is_what_a_person_says(name: str, values: list[Any], expected: str) -> None:
    found = propose(name, values)
    assert (spoken(found[0]) if found else "") == expected


def test_what_the_tables_name_is_in_the_vocabulary() -> None:
    known = catalogue()
    assert set(WORDS.values()) <= set(known.names())
    for unit, kinds in USUAL.items():
        assert all(unit in known.kind(kind).units for kind in kinds), unit
    units = {unit for units in SUFFIXES.values() for unit in units}
    assert units <= {unit for name in known.names() for unit in known.kind(name).units}


@pytest.mark.parametrize(
    ("name", "value", "is_time"),
    [
        ("ts", ARRIVAL // 1000, True),
        ("ts", ARRIVAL - 5000, True),
        ("zeit", "2026-11-21 11:59:00", True),
        ("last_seen", "2026-11-21T11:59:00Z", True),
        ("count", ARRIVAL // 1000, False),
        ("ts", 17, False),
        ("ts", ARRIVAL // 1000 + 86_400, False),
        ("ts", None, False),
        ("when", True, False),
        ("serial", "2026112100", False),
    ],
)
def test_a_time_is_known_by_its_name_or_its_form_and_lies_near_the_arrival(
    name: str, value: object, is_time: bool
) -> None:
    assert propose_time(name, [value], ARRIVAL) is is_time


def test_names_come_apart_at_cases_marks_and_numbers() -> None:
    assert words("supplyTempC") == words("supply_temp-c") == ["supply", "temp", "c"]
    assert words("PM2.5") == ["pm", "2", "5"]


@given(st.text(), st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_no_field_makes_it_raise_and_what_is_proposed_could_be_stored(name: str, values: list[Any]) -> None:
    for proposal in propose(name, values):
        kind = catalogue().kind(proposal.kind)
        assert not proposal.unit or proposal.unit in kind.units
    propose_time(name, values, ARRIVAL)


# --- shapes and members ----------------------------------------------------------------------------------


def shaped(*payloads: Kept) -> list[tuple[str, str, int]]:
    return [(one.topic, one.form, len(one.payloads)) for one in shapes(payloads)]


def test_topics_that_differ_in_one_level_are_one_shape_if_their_documents_look_alike() -> None:
    rooms = [kept(n, f"house/{room}/x", b'{"a":1}') for n, room in enumerate(("attic", "cellar", "attic"))]
    assert shaped(*rooms) == [("house/{name}/x", "json", 3)]
    assert shaped(rooms[0]) == [("house/attic/x", "json", 1)]
    more = kept(9, "house/hall/x", b'{"a":1,"b":2}')
    assert shaped(*rooms, more) == [("house/{name}/x", "json", 4)]
    other = kept(10, "house/hall/y", b'{"a":1}')
    assert sorted(shaped(*rooms, other)) == [
        ("house/attic/x", "json", 2),
        ("house/cellar/x", "json", 1),
        ("house/hall/y", "json", 1),
    ]


def test_single_values_are_told_apart_by_the_end_of_their_topic() -> None:
    assert shaped(
        kept(1, "a/flow", b"1"), kept(2, "b/flow", b"2"), kept(3, "a/level", b"3"), kept(4, "x", b"\xff")
    ) == [("{name}/flow", "value", 2), ("a/level", "value", 1), ("x", "any", 1)]


def test_a_topic_with_braces_is_a_pattern_of_itself() -> None:
    (shape,) = shapes([kept(1, "a/{b}/c", b'{"x_c":20}')])
    rule = make_rule(shape.topic, "json", [Choice("x_c", "temperature")])
    notebook = Notebook(DialectSettings(taught=(rule,)))
    assert understand(shape.payloads[0], notebook) is not None
    assert understand(kept(1, "a/b/c", b'{"x_c":20}'), notebook) is None


PAYLOAD = (
    b'{"ts":1795262300,"temperature":21.5,"tmp_c":20.5,"contact":false,"in":{"humidity":40,"pwr_kw":0.5},'
    b'"pos":{"lat":52.1,"lon":13.2,"sats":7},"list":[{"id":"a","t_c":1},{"id":"b","t_c":2}],"fw":"1.2"}'
)


def test_members_are_told_with_what_they_mean_already() -> None:
    (shape,) = shapes([kept(1, "house/x", PAYLOAD)])
    found = {member.path: member for member in members(shape, EMPTY)}
    assert {path: member.meaning for path, member in found.items()} == {
        "ts": "-",
        "temperature": "temperature",
        "tmp_c": "",
        "contact": "door",
        "in.humidity": "humidity",
        "in.pwr_kw": "",
        "pos.lat": "location",
        "pos.sats": "",
        "list[].id": "",
        "list[].t_c": "",
        "fw": "",
    }
    assert found["pos.lat"].place == ("pos.lat", "pos.lon", "")
    assert found["list[].t_c"].channel == "list/{#}"
    assert found["list[].t_c"].values == (2, 1)
    assert time_of(found.values()) == Time("ts")


def test_a_rule_keeps_what_was_understood_beside_it() -> None:
    """Its channels, its time, and its sense: a contact that is true is a door that is closed."""
    (shape,) = shapes([kept(1, "house/x", PAYLOAD)])
    found = members(shape, EMPTY)
    choices = [
        Choice("tmp_c", "temperature"),
        Choice("in.pwr_kw", "power", "kW"),
        Choice("list[].t_c", "temperature"),
        *map(Choice, ("pos.sats", "list[].id", "fw")),
    ]
    whole = complete(found, place(found, choices), timed=True)
    rule = make_rule(shape.topic, shape.form, whole, time=time_of(found))
    reading = understand(shape.payloads[0], Notebook(DialectSettings(taught=(rule,))))
    assert reading is not None
    assert {(one.channel, one.kind, one.time) for one in reading.observations} == {
        (channel, kind, 1_795_262_300_000)
        for channel, kind in (
            ("house/x", "temperature"),
            ("house/x/tmp_c", "temperature"),
            ("house/x", "door"),
            ("house/x/in", "humidity"),
            ("house/x/in", "power"),
            ("house/x/pos", "location"),
            ("house/x/list/1", "temperature"),
            ("house/x/list/2", "temperature"),
        )
    }
    assert {one.value for one in reading.observations if one.kind == "door"} == {True}
    taught = Notebook(DialectSettings(taught=(rule,)))
    assert all(member.meaning for member in members(shape, taught))


@given(st.lists(st.text(min_size=1, max_size=8) | st.none(), min_size=1, max_size=5))
def test_every_path_that_is_found_can_be_read_again(steps: list[str | None]) -> None:
    parsed = parse(path_of(tuple(steps)))
    assert [step if isinstance(step, str) else None for step in parsed.steps] == steps


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=6),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=6), one, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.text("ab/{}", min_size=1, max_size=5), JSON | st.binary()), max_size=4))
def test_whatever_was_kept_can_be_looked_at_and_passed_over(found: list[tuple[str, Any]]) -> None:
    payloads = [
        kept(n, topic, value if isinstance(value, bytes) else msgspec.json.encode(value))
        for n, (topic, value) in enumerate(found)
    ]
    made = shapes(payloads)
    assert sorted(one.seq for shape in made for one in shape.payloads) == list(range(len(payloads)))
    for shape in made:
        _teach_everything(shape)


def _teach_everything(shape: Shape) -> None:
    """Ignore all that is there: then all of it is understood, but for what JSON cannot say twice."""
    found = members(shape, EMPTY)
    choices = [Choice(member.path) for member in found if not member.place] or [Choice("")]
    try:
        rule = make_rule(shape.topic, shape.form, choices)
    except TermsError:
        return  # a path deeper or longer than there may be
    preview(shape.payloads, Notebook(DialectSettings(taught=(rule,))))


# --- rules -----------------------------------------------------------------------------------------------


def test_a_second_rule_for_a_topic_adds_to_the_first_and_changes_what_it_names() -> None:
    first = make_rule("t", "json", [Choice("a", "temperature"), Choice("b", "power"), Choice("c")])
    second = make_rule(
        "t", "json", [Choice("b", "energy"), Choice("c", "humidity"), Choice("d")], time=Time("z")
    )
    (joined,) = with_rule((first,), second)
    assert [(field.path, field.kind) for field in joined.fields] == [
        ("a", "temperature"),
        ("b", "energy"),
        ("c", "humidity"),
    ]
    assert (joined.ignore, joined.time) == (("d",), Time("z"))
    elsewhere = make_rule("u", "json", [Choice("a", "power")])
    assert with_rule((first,), elsewhere) == (first, elsewhere)


@pytest.mark.parametrize(
    "choice",
    [
        Choice("a..b", "power"),
        Choice("x" * 600, "power"),
        Choice("a", "location"),
        Choice("a,b,c,d", "location"),
        Choice("a", "power", channel="{"),
    ],
)
def test_what_the_notation_does_not_know_is_refused(choice: Choice) -> None:
    with pytest.raises(TermsError):
        make_rule("t", "json", [choice])


# --- once ------------------------------------------------------------------------------------------------


def test_a_reading_that_came_with_its_payload_is_not_new_and_counts_for_one() -> None:
    at = ARRIVAL + 1000
    one = Observation("", "temperature", at, 21.0)
    stored = Stored([(1, one), (2, one), (9, one), (3, Observation("x", "temperature", at, 21.0))])
    reading = Reading("plain", (one,), False, 0)
    assert stored.take(kept(5, "t", b""), reading) == []  # the one with number 2
    assert stored.take(kept(6, "t", b""), reading) == []  # with number 1
    assert stored.take(kept(7, "t", b""), reading) == [one]  # number 9 came later
    assert stored.take(kept(10, "t", b""), reading) == []
    again = msgspec.structs.replace(reading, resends=True)
    assert Stored([(9, one)]).take(kept(5, "t", b""), again) == []  # it says the same again


def test_a_preview_counts_what_leaves_what_stays_and_what_is_no_reading() -> None:
    rule = Rule(topic="t", channel="{topic}", fields=(Field(path="a", kind="humidity"),))
    payloads = [
        kept(1, "t", b'{"a":40}'),
        kept(2, "t", b'{"a":41}'),
        kept(3, "t", b'{"a":4100}'),
        kept(4, "t", b'{"a":42,"b":1}'),
        kept(5, "u", b'{"a":42}'),
    ]
    shown = preview(payloads, Notebook(DialectSettings(taught=(rule,))))
    assert (shown.payloads, shown.leave, shown.stay, shown.readings, shown.dropped) == (5, 3, 2, 2, 1)
    (line,) = shown.series
    assert (line.channel, line.count, line.first.value, line.last.value) == ("t", 2, 40.0, 41.0)


# --- out of quarantine -----------------------------------------------------------------------------------

EACH = Rule(topic="t", channel="{topic}", fields=(Field(path="v[]", kind="temperature", channel="{#}"),))
NOTEBOOK = Notebook(settings_with(DialectSettings(), (EACH,)))


def look(person: Person, device: DeviceId) -> tuple[int, int]:
    """How many (payloads, readings) of the device are there."""
    with person.session() as session:
        archive = Archive(session)
        found = [
            one.observation.kind == QUARANTINE
            for one in archive.arrived(0, 0, 1 << 20, lambda lane: lane.device == device)
        ]
        return sum(found), len(found) - sum(found)


def hundred(n: int) -> bytes:
    return b't\0{"v":[' + b",".join(b"%d" % (n % 50) for _ in range(100)) + b"]}"


def test_more_than_a_call_holds_goes_in_several_and_other_payloads_stay(someone: Person) -> None:
    device = someone.add_device()
    arrivals = [
        Arrival(someone.vault, device, someone.host.clock(), (), hundred(n) if n % 3 else b't\0{"w":1}')
        for n in range(300)
    ]
    someone.host.run(lambda: someone.host.writer.commit(arrivals))
    with someone.session() as session:
        one = devices.fetch(session).devices[0]
        done = Quarantine(session, one).apply(NOTEBOOK)
    assert (done.payloads, done.readings, done.dropped) == (200, 20_000, 0)
    assert someone.host.calls.count("Teach") == -(-20_000 // CALL_READINGS)
    assert look(someone, device) == (100, 20_000)
    with someone.session() as session:
        assert Quarantine(session, one).apply(NOTEBOOK).payloads == 0
        assert devices.fetch(session).devices[0].row.quarantined == 100


def test_what_changes_meanwhile_is_looked_at_again(someone: Person) -> None:
    """The segment closes between the client's look and its call; nothing is lost or doubled."""
    device = someone.add_device()
    host = someone.host
    for n in range(1, 5):
        host.quarantine(someone.vault, device, hundred(n))
    interfered: list[int] = []
    answer = host._write

    def interfere(vault: Any, call: wire.OwnerWrite) -> wire.AnyReply:
        if isinstance(call, wire.Teach) and len(interfered) < 2:
            interfered.append(1)
            host.writer.close_quiet(everything=True)
            host.writer.commit([Arrival(someone.vault, device, host.clock(), (), hundred(7))])
        return answer(vault, call)

    host._write = interfere  # type: ignore[method-assign]  # a fault is put in
    with someone.session() as session:
        one = devices.fetch(session).devices[0]
        done = Quarantine(session, one).apply(NOTEBOOK)
    left, readings = look(someone, device)
    assert readings == done.readings == done.payloads * 100
    assert left + done.payloads == 6
    assert left <= 2  # those in a segment that opened later


def test_a_host_that_always_says_that_it_changed_is_not_asked_for_ever(someone: Person) -> None:
    device = someone.add_device()
    host = someone.host
    host.quarantine(someone.vault, device, hundred(1))
    answer = host._write

    def refuse(vault: Any, call: wire.OwnerWrite) -> wire.AnyReply:
        if isinstance(call, wire.Teach):
            return wire.Refused("conflict", "again")
        return answer(vault, call)

    host._write = refuse  # type: ignore[method-assign]  # a fault is put in
    with someone.session() as session, pytest.raises(ConflictError):
        Quarantine(session, devices.fetch(session).devices[0]).apply(NOTEBOOK)
    assert host.calls.count("Teach") == 5
    assert look(someone, device) == (1, 0)


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_an_answer_that_is_lost_loses_and_doubles_nothing(someone: Person, lost: int) -> None:
    """The call was applied, and its client never heard: it is run again, and does the rest."""
    device = someone.add_device()
    host = someone.host
    arrivals = [Arrival(someone.vault, device, host.clock(), (), hundred(n)) for n in range(200)]
    host.run(lambda: host.writer.commit(arrivals))
    answer, heard = host._write, list[int]()

    def lose(vault: Any, call: wire.OwnerWrite) -> wire.AnyReply:
        said = answer(vault, call)
        if isinstance(call, wire.Teach):
            heard.append(1)
            if len(heard) == lost:
                return wire.Refused("unavailable", "gone")
        return said

    host._write = lose  # type: ignore[method-assign]  # a fault is put in
    with someone.session() as session:
        one = devices.fetch(session).devices[0]
        with pytest.raises(Exception, match="gone"):
            Quarantine(session, one).apply(NOTEBOOK)
        Quarantine(session, one).apply(NOTEBOOK)
    assert look(someone, device) == (0, 20_000)
