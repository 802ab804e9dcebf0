"""``device teach``: what was not understood becomes readings, old and new, once."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.said import parse_choice, parse_time
from tests.cli_world import Desk, desk, open_desk
from tests.running import Acme, Running, publish
from tests.terminal import converse, in_turn
from vault.observation import Observation

__all__ = ["desk", "open_desk"]

ASK = {
    "type": "personal_data",
    "datatypes": ["temperature", "power"],
    "purpose": "dpv:ServiceProvision",
    "data_from": "2020-01-01T00:00:00Z",
}


def now() -> int:
    return time.time_ns() // 1_000_000


def kept(desk: Desk, name: str = "boiler") -> int:
    """How many payloads are in quarantine, as the person is shown."""
    return int(desk.json("device", "show", name)["quarantine"]["count"])


def readings(desk: Desk) -> Counter[tuple[str, str, float]]:
    """(channel, kind, value) of everything in the vault."""
    lines = desk.run("data", "export", "--format", "jsonl").out.splitlines()
    return Counter((row["channel"], row["kind"], row["value"]) for row in map(json.loads, lines))


def send(desk: Desk, *payloads: bytes, topic: bytes = b"house/boiler", name: str = "boiler") -> None:
    """What the device sends, and nobody understands."""
    device = next(one["device"] for one in desk.json("device", "list") if one["name"] == name)
    from vault.ids import DeviceId

    for payload in payloads:
        desk.host.quarantine(desk.vault, DeviceId.parse(device), topic + b"\0" + payload)


def test_fields_that_are_said_turn_what_was_kept_into_readings_once(open_desk: Desk) -> None:
    open_desk.add_device("boiler")
    send(open_desk, *(b'{"sup_t":%d,"pwr_kw":0.5,"fw":"1.2"}' % n for n in (210, 215)))
    send(open_desk, b'{"something":"else"}', topic=b"house/other")
    words = (
        "device", "teach", "boiler", "--topic", "house/boiler", "--field", "sup_t=temperature*0.1",
        "--field", "pwr_kw=power:kW", "--ignore", "fw",
    )  # fmt: skip
    asked = open_desk.run(*words)
    assert (asked.status, "--yes" in asked.err) == (2, True)
    assert kept(open_desk) == 3
    done = open_desk.json(*words, "--yes")
    assert {key: done[key] for key in ("payloads", "readings", "dropped", "kept")} == {
        "payloads": 2,
        "readings": 4,
        "dropped": 0,
        "kept": 1,
    }
    assert readings(open_desk) == Counter(
        {
            ("house/boiler", "temperature", 21.0): 1,
            ("house/boiler", "temperature", 21.5): 1,
            ("house/boiler", "power", 500.0): 2,
        }
    )
    again = open_desk.json(*words, "--yes")
    assert (again["payloads"], again["readings"], again["kept"], len(again["taught"])) == (0, 0, 1, 1)
    assert [one["note"] for one in open_desk.json("ledger", "log")].count("taught") == 1
    assert "a device was taught, which made 4 readings of power, temperature" in " ".join(
        open_desk.run("ledger", "log").out.split()
    )


def test_what_of_a_payload_was_understood_when_it_came_is_not_stored_again(open_desk: Desk) -> None:
    device = open_desk.add_device("boiler")
    from vault.store.state import Arrival

    def half() -> None:
        at = open_desk.host.clock()
        stored = [Observation("house/boiler", "temperature", at, 21.0)]
        payload = b'house/boiler\0{"temperature":21,"flow_c":40}'
        open_desk.host.writer.commit([Arrival(open_desk.vault, device, at, stored, payload)])

    for _ in range(3):
        open_desk.host.run(half)
    done = open_desk.json(
        "device", "teach", "boiler", "--topic", "house/boiler", "--field", "flow_c=temperature", "--yes"
    )
    assert (done["payloads"], done["readings"], done["kept"]) == (3, 3, 0)
    assert readings(open_desk) == Counter(
        {("house/boiler", "temperature", 21.0): 3, ("house/boiler/flow_c", "temperature", 40.0): 3}
    )


def test_a_payloads_own_time_and_channel_count(open_desk: Desk) -> None:
    open_desk.add_device("boiler")
    at = now() // 1000 - 7200
    send(open_desk, b'{"when":%d,"t":20.5}' % at, b'{"when":%d,"t":20.6}' % (at + 60))
    open_desk.json(
        "device", "teach", "boiler", "--topic", "house/boiler", "--field", "t=temperature",
        "--time", "when:s", "--channel", "kettle", "--yes",
    )  # fmt: skip
    rows = [
        json.loads(line) for line in open_desk.run("data", "export", "--format", "jsonl").out.splitlines()
    ]
    assert [(row["channel"], row["value"]) for row in rows] == [("kettle", 20.5), ("kettle", 20.6)]
    assert rows[0]["time"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)))


def test_what_it_was_taught_is_listed_and_forgotten(open_desk: Desk) -> None:
    open_desk.add_device("boiler")
    send(open_desk, b'{"t":20.5}')
    teach = ("device", "teach", "boiler")
    assert open_desk.json(*teach, "--list")["taught"] == []
    open_desk.json(*teach, "--topic", "house/boiler", "--field", "t=temperature:[degF]", "--yes")
    open_desk.json(*teach, "--topic", "house/{name}/x", "--field", "=power", "--yes")
    listed = open_desk.run(*teach, "--list").out
    assert "1  house/boiler: t = temperature ([degF])" in listed
    assert "2  house/{name}/x: the payload = power" in listed
    assert open_desk.json("device", "show", "boiler")["taught"] == 2
    assert len(open_desk.json(*teach, "--forget", "1")["taught"]) == 1
    assert open_desk.run(*teach, "--forget", "2").status == 5
    send(open_desk, b'{"t":20.6}')
    assert open_desk.json(*teach, "--topic", "house/b/x", "--field", "=power", "--yes")["payloads"] == 0


def test_of_one_topic_it_learns_field_by_field(open_desk: Desk) -> None:
    open_desk.add_device("boiler")
    send(open_desk, b'{"a_c":20,"b_c":30}')
    teach = ("device", "teach", "boiler", "--topic", "house/boiler")
    first = open_desk.json(*teach, "--field", "a_c=temperature@a", "--yes")
    assert (first["payloads"], first["kept"]) == (0, 1)  # b_c is unknown, so all of it stays
    second = open_desk.json(*teach, "--field", "b_c=temperature@b", "--yes")
    assert (second["payloads"], second["readings"], len(second["taught"])) == (1, 2, 1)
    assert set(readings(open_desk)) == {
        ("house/boiler/a", "temperature", 20.0),
        ("house/boiler/b", "temperature", 30.0),
    }


BAD: dict[str, tuple[str, ...]] = {
    "nothing to go by": (),
    "a field without a topic": ("--field", "a=temperature"),
    "a topic and nothing about it": ("--topic", "a"),
    "no kind": ("--topic", "a", "--field", "a=mood"),
    "no path": ("--topic", "a", "--field", "temperature"),
    "a unit of another kind": ("--topic", "a", "--field", "a=temperature:kWh"),
    "no scale": ("--topic", "a", "--field", "a=temperature*ten"),
    "a scale of nothing": ("--topic", "a", "--field", "a=temperature*0"),
    "no form of time": ("--topic", "a", "--field", "a=temperature", "--time", "b:fortnight"),
    "no topic": ("--topic", "a/{", "--field", "a=temperature"),
    "no path that can be": ("--topic", "a", "--field", "a..b=temperature"),
    "two things at once": ("--topic", "a", "--list"),
    "a place that is one number": ("--topic", "a", "--field", "a=location"),
}


@pytest.mark.parametrize("fault", BAD)
def test_what_cannot_be_meant_is_refused_and_never_waits(open_desk: Desk, fault: str) -> None:
    open_desk.add_device("boiler")
    send(open_desk, b'{"a":20}', topic=b"a")
    done = open_desk.run("device", "teach", "boiler", *BAD[fault], "--yes")
    assert (done.status, done.out) == (2, ""), done.err
    assert kept(open_desk) == 1


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("a=temperature", ("a", "temperature", "", 1.0, "")),
        ("a.b=temp:°F*0.1@room/1", ("a.b", "temperature", "°F", 0.1, "room/1")),
        ("=energy:Wh", ("", "energy", "Wh", 1.0, "")),
        ('"a=b".c=power@x', ('"a=b".c', "power", "", 1.0, "x")),
        ("lat,lon=location", ("lat,lon", "location", "", 1.0, "")),
        ("a=energy:kWh", ("a", "energy", "", 1.0, "")),
        ("a=", ("a", "", "", 1.0, "")),
    ],
)
def test_how_a_field_is_said(said: str, meant: tuple[str, str, str, float, str]) -> None:
    choice = parse_choice(said)
    assert (choice.path, choice.kind, choice.unit, choice.scale, choice.channel) == meant


@pytest.mark.parametrize(
    ("said", "path", "form"),
    [("ts", "ts", "auto"), ("a.b:ms", "a.b", "ms"), ('"a:b":%H:%M', '"a:b"', "%H:%M")],
)
def test_how_a_time_is_said(said: str, path: str, form: str) -> None:
    if "%H" in form:
        form, said = "%Y-%m-%d %H:%M", '"a:b":%Y-%m-%d %H:%M'
    made = parse_time(said)
    assert made is not None
    assert (made.path, made.form) == (path, form)


# --- at a terminal ---------------------------------------------------------------------------------------


def test_at_a_terminal_it_shows_what_is_there_proposes_asks_and_shows_what_comes_of_it(
    open_desk: Desk,
) -> None:
    open_desk.add_device("boiler")
    for room in (b"attic", b"cellar"):
        send(open_desk, b'{"tmp_c":20.5,"rh_pct":55,"fw":"1.\\u001b[31m2"}', topic=b"house/" + room + b"/x")
    send(open_desk, b"\xff\xfe", topic=b"noise")
    said = converse(
        open_desk.home,
        ["device", "teach", "boiler"],
        in_turn(
            [
                ("Which? [1 to 2]", "1"),
                ("tmp_c [temperature]", ""),
                ("rh_pct [humidity:%]", "mood"),
                ("rh_pct [humidity:%]", ""),
                ("fw [i]", ""),
                ("[c]hange", "c"),
                ("Which? [1 to 2]", ""),
                ("tmp_c [temperature]", "temperature@air"),
                ("rh_pct [humidity:%]", "humidity"),
                ("fw [i]", "i"),
                ("[c]hange", "y"),
            ]
        ),
    )
    assert said.status == 0, said.said
    assert "house/{name}/x" in said.said
    assert "there is no kind" in said.said
    assert "2 payloads would become 4 readings" in said.said
    assert "\x1b" not in said.said
    assert readings(open_desk) == Counter(
        {
            ("house/attic/x/air", "temperature", 20.5): 1,
            ("house/cellar/x/air", "temperature", 20.5): 1,
            ("house/attic/x", "humidity", 55.0): 1,
            ("house/cellar/x", "humidity", 55.0): 1,
        }
    )
    assert kept(open_desk) == 1


def test_at_a_terminal_no_means_that_nothing_happens(open_desk: Desk) -> None:
    open_desk.add_device("boiler")
    send(open_desk, b"\xff\xfe", topic=b"noise")
    said = converse(
        open_desk.home,
        ["device", "teach", "boiler"],
        in_turn([("Let go of such payloads, these and all to come? [y]es [n]o", "n")]),
    )
    assert said.status == 130
    assert kept(open_desk) == 1
    said = converse(
        open_desk.home,
        ["device", "teach", "boiler"],
        in_turn([("to come? [y]es [n]o", "y"), ("[c]hange", "y")]),
    )
    assert (said.status, kept(open_desk)) == (0, 0)


# --- a real server ---------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A running server, ended after the test."""
    with Running(tmp_path, "--poll-interval", "1") as running:
        yield running


def test_old_and_new_readings_reach_a_brand_that_has_future_channels_once(server: Running) -> None:
    """What came before, what a crash left in pieces, what comes after; merged and restarted."""
    server.make_vault()
    boiler = server.json("device", "add", "boiler")

    def send(*values: int) -> None:
        publish(boiler, [("house/boiler", b'{"sup":%d,"p":{"kw":1.5}}' % value) for value in values])

    publish(boiler, [("house/boiler", b'{"temperature":1}')])
    brand = server.json("brand", "add", "Acme", "--site", "https://acme.example")
    touchpoint = server.json("touchpoint", "new", "Acme")["touchpoint"]
    acme = Acme(server.http, brand["client_id"], brand["client_secret"])
    asked = acme.ask(touchpoint, ASK)
    request = server.json("request", "list")[0]["request"]
    server.json("request", "approve", request, "--history", "7d", "--future", "--yes")
    token = acme.token(asked)["access_token"]
    send(20, 21)
    server.restart(signal.SIGKILL)
    send(22)
    assert [record["v"] for record in acme.read(token)[0]] == [1.0]
    assert server.json("device", "show", "boiler")["quarantine"]["count"] == 3
    done = server.json(
        "device", "teach", "boiler", "--topic", "house/boiler", "--field", "sup=temperature@supply",
        "--field", "p.kw=power:kW", "--yes",
    )  # fmt: skip
    assert (done["payloads"], done["readings"], done["kept"]) == (3, 6, 0)
    send(23)
    shown = server.json("device", "show", "boiler")
    assert (shown["quarantine"], shown["readings"]) == ({"count": 0, "samples": []}, 9)

    def told() -> Counter[Any]:
        found: Counter[Any] = Counter()
        for record in acme.read(token)[0]:
            found[record["n"].rpartition("/")[2], record["v"]] += 1
        return found

    expected: Counter[Any] = Counter(
        {("temperature", float(n)): 1 for n in (1, 20, 21, 22, 23)} | {("power", 1500.0): 4}
    )
    assert told() == expected
    assert server.json("tidy")["segments"] >= 0
    server.restart(signal.SIGTERM)
    assert told() == expected
    assert (
        Counter(
            (row["kind"], row["value"])
            for row in map(json.loads, server.run("data", "export", "--format", "jsonl").stdout.splitlines())
        )
        == expected
    )
