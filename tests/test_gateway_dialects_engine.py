"""What rules mean: each part of the notation on the smallest dialect that shows it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects import DialectSettings, Lesson, Notebook, Reading, read
from gateway.dialects.dispatch import run_rules
from gateway.dialects.library import Entry, parse
from gateway.dialects.message import Message
from gateway.dialects.rules import Field, Rule, Time
from gateway.dialects.specs import Spec
from vault.observation import Place

NOW = 1_790_000_000_000
HEAD = 'name = "made-up"\ntitle = "Made up"\nabout = "https://example.org/"\n'


def run(rules: str, payload: str, topic: str = "t", notebook: Notebook | None = None) -> Reading:
    entry = Entry(parse(HEAD + rules))
    return run_rules(entry, topic, Message(payload.encode()), NOW, notebook or Notebook())


def seen(reading: Reading) -> list[tuple[str, str, Any]]:
    return [(one.channel, one.kind, one.value) for one in reading.observations]


def rest(reading: Reading) -> tuple[bool, int, int]:
    return reading.quarantine, reading.dropped, reading.foreign


FINE = (False, 0, 0)
UNKNOWN = (True, 0, 0)
DROPPED = (False, 1, 0)
POWER = ("", "power", 3.0)

# name -> (rules, topic, payload, readings, (quarantine, dropped, foreign))
CASES: dict[str, tuple[str, str, str, list[tuple[str, str, Any]], tuple[bool, int, int]]] = {
    "a name of the vocabulary needs no field": (
        '[[rule]]\ntopic = "a/{x}"\nchannel = "{x}"',
        "a/b",
        '{"temperature":20,"contact":true}',
        [("b", "temperature", 20.0), ("b", "door", False)],
        FINE,
    ),
    "unless others are not wanted": (
        '[[rule]]\nothers = "quarantine"',
        "t",
        '{"temperature":20}',
        [],
        UNKNOWN,
    ),
    "or do not matter": ('[[rule]]\nothers = "ignore"', "t", '{"temperature":20,"x":[{}]}', [], FINE),
    "what nothing names is not understood": ("[[rule]]", "t", '{"mood":1}', [], UNKNOWN),
    "what is ignored is": (
        '[[rule]]\nignore = ["mood", "x.{n:int}"]',
        "t",
        '{"mood":{"a":1},"x":{"1":2}}',
        [],
        FINE,
    ),
    "all of it": ('[[rule]]\nignore = ["*"]', "t", '{"mood":1,"a":[1]}', [], FINE),
    "except what a field names": (
        '[[rule]]\nignore = ["*"]\nfield = [{ path = "a.b", kind = "power" }]',
        "t",
        '{"a":{"b":1,"c":2},"d":3}',
        [("", "power", 1.0)],
        FINE,
    ),
    "a name of this dialect": (
        'kinds = { P = "power" }\n[[rule]]',
        "t",
        '{"P":3}',
        [("", "power", 3.0)],
        FINE,
    ),
    "a name of this rule comes first": (
        'kinds = { P = "power" }\n[[rule]]\nkinds = { P = "pressure" }',
        "t",
        '{"P":1000}',
        [("", "pressure", 1000.0)],
        FINE,
    ),
    "a unit of a kind": (
        '[[rule]]\nunits = { power = "kW" }',
        "t",
        '{"power":3}',
        [("", "power", 3000.0)],
        FINE,
    ),
    "a unit that stands beside": (
        '[[rule]]\nfield = [{ path = "v", kind = "temperature", unit = "{=u}" }]',
        "t",
        '{"v":50,"u":"°F"}',
        [("", "temperature", 10.0)],
        FINE,
    ),
    "a unit that is none of the kind's": (
        '[[rule]]\nfield = [{ path = "v", kind = "temperature", unit = "{=u}" }]',
        "t",
        '{"v":50,"u":"W"}',
        [],
        UNKNOWN,
    ),
    "a scale and an offset": (
        '[[rule]]\nfield = [{ path = "v", kind = "temperature", scale = 0.1, offset = -40 }]',
        "t",
        '{"v":"615"}',
        [("", "temperature", 21.5)],
        FINE,
    ),
    "a sentinel": (
        '[[rule]]\nfield = [{ path = "v", kind = "power", drop_if = [-1, "n.a."] }]',
        "t",
        '{"v":-1}',
        [],
        DROPPED,
    ),
    "a sentinel as a text": (
        '[[rule]]\nfield = [{ path = "v", kind = "power", drop_if = [-1, "n.a."] }]',
        "t",
        '{"v":"n.a."}',
        [],
        DROPPED,
    ),
    "true is not the sentinel 1": (
        '[[rule]]\nfield = [{ path = "v", kind = "switch", drop_if = [1] }]',
        "t",
        '{"v":true}',
        [("", "switch", True)],
        FINE,
    ),
    "out of range": ("[[rule]]", "t", '{"humidity":130}', [], DROPPED),
    "nothing": ("[[rule]]", "t", '{"humidity":null}', [], DROPPED),
    "words that mean something": (
        '[[rule]]\nfield = [{ path = "s", kind = "door", enum = { gone = true, "2" = false } }]',
        "t",
        '{"s":2.0}',
        [("", "door", False)],
        FINE,
    ),
    "and one that does not": (
        '[[rule]]\nfield = [{ path = "s", kind = "door", enum = { gone = true } }]',
        "t",
        '{"s":"open"}',
        [],
        UNKNOWN,
    ),
    "true that is our false": (
        '[[rule]]\nfield = [{ path = "s", kind = "door", inverse = true }]',
        "t",
        '{"s":true}',
        [("", "door", False)],
        FINE,
    ),
    "a field that is named and passed over": (
        '[[rule]]\nfield = [{ path = "s" }]',
        "t",
        '{"s":[1]}',
        [],
        FINE,
    ),
    "a kind by name": (
        '[[rule]]\nfield = [{ path = "{name}_now", kind = "{name}", channel = "now" }]',
        "t",
        '{"temp_now":1,"mood_now":2}',
        [("now", "temperature", 1.0)],
        UNKNOWN,
    ),
    "an event and its details": (
        '[[rule]]\nfield = [{ path = "e", kind = "app_event", details = ["z", "a.b"] }]',
        "t",
        '{"e":"enter","z":"home","a":{"b":1}}',
        [("", "app_event", 'enter {"b":1,"z":"home"}')],
        FINE,
    ),
    "a text made of several": (
        '[[rule]]\nfield = [{ path = "a", kind = "app_event", value = "{=a}-{=b}" }]',
        "t",
        '{"a":"x","b":2}',
        [("", "app_event", "x-2")],
        FINE,
    ),
    "a place": (
        '[[rule]]\nfield = [{ kind = "location", lat = "p.lat", lon = "p.lon", accuracy = "p.r" }]',
        "t",
        '{"p":{"lat":1,"lon":2,"r":3}}',
        [("", "location", Place(1.0, 2.0, 3.0))],
        FINE,
    ),
    "half a place": (
        '[[rule]]\nfield = [{ kind = "location", lat = "lat", lon = "lon" }]',
        "t",
        '{"lat":1}',
        [],
        DROPPED,
    ),
    "no place": ('[[rule]]\nfield = [{ kind = "location", lat = "lat", lon = "lon" }]', "t", "{}", [], FINE),
    "a field with a condition": (
        '[[rule]]\nfield = [{ path = "v", kind = "voltage", unit = "mV", when = { v = { least = 1000 } } }]\n'
        'kinds = { v = "voltage" }',
        "t",
        '{"v":3000}',
        [("", "voltage", 3.0)],
        FINE,
    ),
    "which does not hold": (
        '[[rule]]\nfield = [{ path = "v", kind = "voltage", unit = "mV", when = { v = { least = 1000 } } }]\n'
        'kinds = { v = "voltage" }',
        "t",
        '{"v":230}',
        [("", "voltage", 230.0)],
        FINE,
    ),
    "the first rule that holds": (
        '[[rule]]\ntopic = "t"\nwhen = { k = 1 }\nchannel = "one"\n[[rule]]\nchannel = "two"\nignore = ["k"]',
        "t",
        '{"k":2,"power":1}',
        [("two", "power", 1.0)],
        FINE,
    ),
    "every rule of its topic that holds": (
        '[[rule]]\ntopic = "t"\nwhen = { k = [1, 2] }\nfield = [{ path = "a", kind = "power" }]\n'
        '[[rule]]\ntopic = "{x}"\nfield = [{ path = "b", kind = "current" }]\n'
        '[[rule]]\ntopic = "t"\nfield = [{ path = "c", kind = "voltage" }]',
        "t",
        '{"k":2,"a":1,"b":2,"c":3}',
        [("", "power", 1.0), ("", "voltage", 3.0)],
        UNKNOWN,
    ),
    "what a rule needs": ('[[rule]]\nneeds = ["a.b"]', "t", '{"power":1,"a":{}}', [], UNKNOWN),
    "no rule for this topic": ('[[rule]]\ntopic = "u"', "t", '{"power":1}', [], UNKNOWN),
    "every item of a list, and what is around it": (
        '[[rule]]\neach = "m[].d[]"\nchannel = "{=^name}/{=who}"\n'
        'field = [{ path = "q", kind = "{=^name}", unit = "{=^units}" }]',
        "t",
        '{"m":[{"name":"power","units":"kW","d":[{"q":1,"who":"a"},{"q":2}]},{"name":"humidity","d":[{"q":5}]}]}',
        [("power/a", "power", 1000.0), ("power", "power", 2000.0), ("humidity", "humidity", 5.0)],
        FINE,
    ),
    "items by what they are": (
        '[[rule]]\neach = "p[]"\nwhen = { n = "a" }\nfield = [{ path = "v", kind = "power" }]\n'
        '[[rule]]\neach = "p[]"\nwhen = { n = ["b", "c"] }\nignore = ["*"]',
        "t",
        '{"p":[{"n":"a","v":1},{"n":"b","v":2}]}',
        [("", "power", 1.0)],
        FINE,
    ),
    "an item that no rule is about": (
        '[[rule]]\neach = "p[]"\nwhen = { n = "a" }\nfield = [{ path = "v", kind = "power" }]',
        "t",
        '{"p":[{"n":"d","v":1}]}',
        [],
        UNKNOWN,
    ),
    "members by their names": (
        '[[rule]]\neach = "p.{sort:switch|cover}:{n:int}"\nwhen = { "$.m" = "Notify" }\n'
        'channel = "{sort}{n}"\n'
        'field = [{ path = "on", kind = "switch" }]',
        "t",
        '{"m":"Notify","p":{"switch:0":{"on":true},"cover:1":{"on":false}}}',
        [("switch0", "switch", True), ("cover1", "switch", False)],
        FINE,
    ),
    "members of other names": (
        '[[rule]]\neach = "p.{sort:switch|cover}:{n:int}"\nfield = [{ path = "on", kind = "switch" }]',
        "t",
        '{"p":{"light:0":{"on":true}}}',
        [],
        UNKNOWN,
    ),
    "one inner object": (
        '[[rule]]\neach = "a.b"\nchannel = "{=^id}"',
        "t",
        '{"id":"x","a":{"b":{"power":3}}}',
        [("x", "power", 3.0)],
        FINE,
    ),
    "a list of phases": (
        '[[rule]]\nfield = [{ path = "p[]", kind = "power", channel = "{#}", most = 3 }]',
        "t",
        '{"p":[1,null,3]}',
        [("1", "power", 1.0), ("3", "power", 3.0)],
        DROPPED,
    ),
    "more phases than there are": (
        '[[rule]]\nfield = [{ path = "p[]", kind = "power", channel = "{#}", most = 3 }]',
        "t",
        '{"p":[1,2,3,4]}',
        [],
        UNKNOWN,
    ),
    "the first and the last of a list": (
        '[[rule]]\nfield = [{ path = "p[0]", kind = "power" }, { path = "p[-1]", kind = "current" }]',
        "t",
        '{"p":[1,2]}',
        [("", "power", 1.0), ("", "current", 2.0)],
        FINE,
    ),
    "a list where an object is wanted": ('[[rule]]\neach = "a.b"', "t", '{"a":[{"b":{}}]}', [], UNKNOWN),
    "a word": (
        '[[rule]]\nformat = "value"\nfield = [{ kind = "switch" }]',
        "t",
        "ON",
        [("", "switch", True)],
        FINE,
    ),
    "a number": (
        '[[rule]]\nformat = "value"\nfield = [{ kind = "power", unit = "kW" }]',
        "t",
        "1.5e0",
        [("", "power", 1500.0)],
        FINE,
    ),
    "a text that looks like a number": (
        '[[rule]]\nformat = "text"\nfield = [{ kind = "app_event" }]',
        "t",
        "42",
        [("", "app_event", "42")],
        FINE,
    ),
    "an object where a value is wanted": (
        '[[rule]]\nformat = "value"\nfield = [{ kind = "switch" }]',
        "t",
        '{"power":1}',
        [],
        UNKNOWN,
    ),
    "a table by topic": (
        '[[rule]]\ntopic = "car/{n}/{name}"\nformat = "value"\nmember = "{name}"\nchannel = "{n}"\n'
        'field = [{ path = "volts", kind = "voltage" }]\nignore = ["colour"]',
        "car/1/volts",
        "230",
        [("1", "voltage", 230.0)],
        FINE,
    ),
    "which passes over": (
        '[[rule]]\ntopic = "car/{n}/{name}"\nformat = "value"\nmember = "{name}"\nignore = ["colour"]',
        "car/1/colour",
        "red",
        [],
        FINE,
    ),
    "anything": ('[[rule]]\nformat = "any"\nignore = ["*"]', "t", '{"broken":', [], FINE),
    "nothing at all": ('[[rule]]\nformat = "unknown"', "t", "{}", [], UNKNOWN),
    "broken JSON": ("[[rule]]", "t", '{"power":', [], UNKNOWN),
    "a channel that is too long": (
        '[[rule]]\nchannel = "{=c}"',
        "t",
        '{"c":"' + "é" * 128 + '","power":1,"current":2}',
        [],
        UNKNOWN,
    ),
}


@pytest.mark.parametrize(("rules", "topic", "payload", "readings", "more"), CASES.values(), ids=CASES.keys())
def test_a_rule_means(
    rules: str, topic: str, payload: str, readings: list[tuple[str, str, Any]], more: tuple[bool, int, int]
) -> None:
    found = run(rules, payload, topic)
    assert (seen(found), rest(found)) == (readings, more)


def test_a_picture_by_topic_is_a_blob() -> None:
    found = run('[[rule]]\nformat = "blob"', '{"not":"a picture"}')
    assert (found.blob, found.quarantine, found.observations) == (True, False, ())


def test_items_have_times_of_their_own() -> None:
    rules = '[[rule]]\neach = "p[]"\ntime = [{ path = "ns", form = "ns" }, { path = "$.s", form = "s" }]'
    found = run(rules, '{"s":1789999999,"p":[{"ns":1789999998000000000,"power":1},{"power":2}]}')
    assert [one.time for one in found.observations] == [NOW - 2000, NOW - 1000]
    assert not found.quarantine


def test_a_time_that_cannot_be_read_leaves_the_reading_under_its_arrival() -> None:
    found = run('[[rule]]\ntime = { path = "t", form = "s" }', '{"t":"soon","power":1}')
    assert [one.time for one in found.observations] == [NOW]
    assert found.quarantine


def test_a_message_is_numbered_within_its_run() -> None:
    rules = '[[rule]]\nsession = "s"\nnumber = "n"\n[[rule]]\neach = "p[]"'
    assert run(rules, '{"s":"a","n":7,"p":[]}').sequence == ("a", 7)
    assert run(rules, '{"s":"a","n":"7","p":[]}').sequence is None


def test_a_dialect_that_resends_says_so() -> None:
    assert run("resends = true\n[[rule]]", '{"power":1}').resends
    assert not run("[[rule]]", '{"power":1}').resends


# --- whose sensor it is --------------------------------------------------------------------------------

SENSOR = '[[rule]]\nsensor = "{=id}"\nignore = ["rssi"]'
HEARD = '{"id":"AA:BB:CC:00:11:22","temperature":20}'


def test_while_nobody_has_said_whose_a_sensor_is_its_payload_is_kept_unread() -> None:
    assert (seen(run(SENSOR, HEARD)), rest(run(SENSOR, HEARD))) == ([], UNKNOWN)


def test_a_sensor_of_one_s_own_is_read_and_a_neighbour_s_counted() -> None:
    own = Notebook(DialectSettings(own=("aabbcc001122",)))
    other = Notebook(DialectSettings(own=("aabbcc001123",)))
    assert seen(run(SENSOR, HEARD, notebook=own)) == [("", "temperature", 20.0)]
    assert (seen(run(SENSOR, HEARD, notebook=other)), rest(run(SENSOR, HEARD, notebook=other))) == (
        [],
        (False, 0, 1),
    )


def test_a_sensor_without_an_id_is_nobody_s() -> None:
    own = Notebook(DialectSettings(own=("aabbcc001122",)))
    assert rest(run(SENSOR, '{"temperature":20}', notebook=own)) == UNKNOWN


# --- facts ---------------------------------------------------------------------------------------------

FACTS = """
[[rule]]
topic = "{node}/$unit"
format = "text"
field = [{ fact = "{topic}" }]

[[rule]]
topic = "{node}"
format = "value"
field = [{ kind = "temperature", unit = "{@{node}/$unit}" }]
"""


def test_a_fact_is_learned_and_used() -> None:
    notebook = Notebook()
    (lesson,) = run(FACTS, "°F", "n/$unit").lessons
    assert lesson == Lesson("n/$unit", (), {"n/$unit": "°F"}, "made-up")
    assert notebook.learn(lesson)
    assert seen(run(FACTS, "50", "n", notebook)) == [("", "temperature", 10.0)]
    assert seen(run(FACTS, "50", "n")) == [("", "temperature", 50.0)]


def test_an_empty_fact_is_forgotten() -> None:
    notebook = Notebook(lessons=[Lesson("n/$unit", (), {"n/$unit": "°F"})])
    (lesson,) = run(FACTS, '""', "n/$unit").lessons or (Lesson("n/$unit"),)
    notebook.learn(lesson)
    assert run('[[rule]]\nfield = [{ path = "u", fact = "k" }]', '{"u":""}').lessons[0].facts == {}


# --- several sources -----------------------------------------------------------------------------------


def taught(*fields: Field, topic: str = "any/topic", **more: Any) -> Notebook:
    return Notebook(DialectSettings(taught=(Rule(topic=topic, fields=fields, **more),)))


def test_what_was_taught_is_read_and_the_rest_as_before() -> None:
    notebook = taught(Field(path="x.y", kind="power"), channel="meter")
    found = read("any/topic", b'{"x":{"y":3},"room":{"temperature":20},"unit":"C"}', NOW, notebook)
    assert seen(found) == [("meter", "power", 3.0), ("any/topic/room", "temperature", 20.0)]
    assert found.dialect == "taught"
    assert found.quarantine  # a unit of no number beside it


def test_what_was_taught_of_a_dialect_s_topic_is_read_once() -> None:
    notebook = taught(Field(path="temperature", kind="body_temperature"), topic="zigbee2mqtt/me")
    found = read("zigbee2mqtt/me", b'{"temperature":37,"battery":90,"update":{}}', NOW, notebook)
    assert seen(found) == [("", "body_temperature", 37.0), ("me", "battery", 90.0)]
    assert rest(found) == FINE


def test_a_single_value_is_read_by_the_first_source_alone() -> None:
    notebook = taught(Field(kind="humidity"), topic="zigbee2mqtt/hall/temperature", format="value")
    found = read("zigbee2mqtt/hall/temperature", b"40", NOW, notebook)
    assert (seen(found), rest(found)) == ([("", "humidity", 40.0)], FINE)


def test_a_taught_rule_that_does_not_hold_changes_nothing() -> None:
    notebook = taught(Field(path="power", kind="current"), when={"mode": "x"})
    found = read("any/topic", b'{"power":1}', NOW, notebook)
    assert (found.dialect, seen(found)) == ("plain", [("any/topic", "power", 1.0)])


def test_what_was_taught_passes_over_what_the_dialect_would_read() -> None:
    notebook = taught(topic="zigbee2mqtt/me", ignore=("*",))
    found = read("zigbee2mqtt/me", b'{"temperature":37}', NOW, notebook)
    assert (seen(found), rest(found)) == ([], FINE)


def test_taught_and_learned_rules_look_into_the_same_items() -> None:
    each = Rule(topic="t", each="p[]", fields=(Field(path="a", kind="power"),))
    also = Rule(
        topic="t", each="p[]", fields=(Field(path="a", kind="current"), Field(path="b", kind="voltage"))
    )
    notebook = Notebook(DialectSettings(taught=(each,)), [Lesson("s", (also,))])
    found = read("t", b'{"p":[{"a":1,"b":2}]}', NOW, notebook)
    assert (seen(found), rest(found)) == ([("", "power", 1.0), ("", "voltage", 2.0)], FINE)


# --- what is no rule -----------------------------------------------------------------------------------

BAD: dict[str, Rule] = {
    "a kind that does not exist": Rule(fields=(Field(path="a", kind="mood"),)),
    "a kind in a table that does not exist": Rule(kinds={"a": "mood"}),
    "a unit of a kind that does not exist": Rule(units={"mood": "C"}),
    "a path that is none": Rule(fields=(Field(path="a..b", kind="power"),)),
    "a path out of the item": Rule(fields=(Field(path="^a", kind="power"),)),
    "everything as a value": Rule(fields=(Field(path="*", kind="power"),)),
    "many values for one": Rule(when={"a[]": 1}),
    "a time of no form": Rule(time=Time("a", "weeks")),
    "a pattern that is none": Rule(topic="{"),
    "half a place": Rule(fields=(Field(kind="location", lat="a"),)),
    "a place that is a number": Rule(fields=(Field(kind="power", lat="a", lon="b"),)),
    "a number without a run": Rule(number="n"),
    "a scale that is no number": Rule(fields=(Field(path="a", kind="power", scale=float("nan")),)),
    "items of the item around": Rule(each="^a[]"),
    "too many fields": Rule(fields=(Field(path="a"),) * 1025),
    "too many topics": Rule(topic=("a",) * 33),
    "too many conditions": Rule(when={f"a{n}": 1 for n in range(33)}),
}


@pytest.mark.parametrize("rule", BAD.values(), ids=BAD.keys())
def test_what_is_no_rule_is_refused_in_a_file_and_left_out_of_a_lesson(rule: Rule) -> None:
    with pytest.raises(ValueError, match=r"."):
        Spec(rule)
    notebook = Notebook(DialectSettings(taught=(rule,)), [Lesson("s", (rule,))])
    assert seen(read("t", b'{"power":1}', NOW, notebook)) == [("t", "power", 1.0)]


# --- large input: the work grows with it, and no faster --------------------------------------------------


def test_a_large_document_is_walked_once() -> None:
    items = ",".join('{"n":"a","v":1,"mood":2}' for _ in range(8000))
    found = run('[[rule]]\neach = "p[]"\nfield = [{ path = "v", kind = "power" }]', '{"p":[' + items + "]}")
    assert len(found.observations) == 8000


def test_many_names_that_nobody_knows_are_not_remembered_without_end() -> None:
    entry = Entry(parse(HEAD + '[[rule]]\nfield = [{ path = "{a}_{b}", kind = "{a}" }]'))
    for part in range(4):
        names = ",".join(f'"power_{part}x{n}":1' for n in range(2000))
        found = run_rules(entry, "t", Message(b"{" + names.encode() + b"}"), NOW)
        assert len(found.observations) == 2000
    for n in range(6000):
        run_rules(entry, f"t{n}", Message(b"{}"), NOW)
    (group,) = {bound.group for bound in entry.book.route("t")}
    (trie,) = group.scope.tries.values()
    assert len(trie.root.resolved) <= 1024


def test_a_hostile_topic_is_matched_without_trying_everything() -> None:
    pattern = "{a...?}/" + "/".join(f"{{x{n}...?}}/b" for n in range(8)) + "/{z}_{y}_{w}_c"
    entry = Entry(parse(HEAD + f'[[rule]]\ntopic = "{pattern}"'))
    for topic in ("b/" * 511, "a/" * 511, "_" * 1024, "b/" * 300 + "_" * 400):
        assert run_rules(entry, topic, Message(b"{}"), NOW).quarantine
