"""``data``: everything a device sent comes out as it went in, for people and for programs."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from pathlib import Path

import pytest

from tests.cli_world import DAY_MS, Desk, desk, open_desk
from vault.ids import DeviceId
from vault.observation import Observation, Place

__all__ = ["desk", "open_desk"]
HOUR_MS = 3_600_000


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def full(open_desk: Desk) -> Desk:
    """A meter and a hub with a few readings of several kinds."""
    at = now()
    meter, hub = open_desk.add_device("meter"), open_desk.add_device("hub")
    open_desk.publish(
        meter, *(Observation("", "energy", at - hour * HOUR_MS, 1.5 + hour) for hour in range(3))
    )
    open_desk.publish(
        hub,
        Observation("kitchen", "temperature", at - HOUR_MS, 21.5),
        Observation("kitchen", "temperature", at - HOUR_MS, 21.5),  # the same instant: two readings
        Observation("phone", "location", at - HOUR_MS, Place(52.52, 13.405, 12.0)),
        Observation("", "energy", at - 3 * DAY_MS, 9.0, claimed=12_000),
    )
    return open_desk


def test_show_tells_each_series_in_figures_and_reading_by_reading(full: Desk) -> None:
    shown = full.json("data", "show", "energy", "--since", "24h")
    assert (shown["kind"], shown["unit"]) == ("energy", "kWh")
    (series,) = shown["series"]
    figures = {name: series[name] for name in ("device", "channel", "count", "min", "mean", "max", "last")}
    assert figures == {
        "device": "meter",
        "channel": "",
        "count": 3,
        "min": 1.5,
        "mean": 2.5,
        "max": 3.5,
        "last": 1.5,
    }
    assert [one["value"] for one in series["readings"]] == [3.5, 2.5, 1.5]
    assert [one["time"] for one in series["readings"]] == sorted(one["time"] for one in series["readings"])
    assert series["readings"][0]["time"].endswith("Z")


def test_show_draws_and_counts(full: Desk) -> None:
    text = full.run("data", "show", "temp").out  # an alias
    assert "temperature of hub kitchen: 2 readings" in text
    assert "min 21.5  mean 21.5  max 21.5 °C" in text
    everything = full.run("data", "show", "--since", "7d").out
    for said in (
        "energy of meter: 3 readings",
        "energy of hub: 1 reading",
        "52.52000, 13.40500 (within 12 m)",
    ):
        assert said in everything


def test_show_may_be_narrowed(full: Desk) -> None:
    devices = full.json("data", "show", "energy", "--since", "7d", "--device", "hub")["series"]
    assert [one["device"] for one in devices] == ["hub"]
    early = full.json("data", "show", "energy", "--since", "7d", "--until", "2d")["series"]
    assert [one["count"] for one in early] == [1]
    assert full.json("data", "show", "energy", "--since", "1m")["series"][0]["count"] == 1
    assert full.json("data", "show", "humidity")["series"] == []


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("gravity",), 5),
        (("energy", "--since", "soon"), 2),
        (("energy", "--device", "fridge"), 5),
    ],
)
def test_show_tells_what_it_does_not_know(full: Desk, words: tuple[str, ...], status: int) -> None:
    assert full.run("data", "show", *words).status == status


def test_export_writes_a_line_a_reading_in_the_order_of_time(full: Desk) -> None:
    rows = [json.loads(line) for line in full.run("data", "export").out.splitlines()]
    assert len(rows) == 7
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    assert all({"time", "device", "channel", "kind", "value", "unit"} <= row.keys() for row in rows)
    assert rows[0]["claimed_time"] == "1970-01-01T00:00:12.000Z"  # its clock could not be believed
    assert [row for row in rows if row["kind"] == "temperature"] == [
        {
            "time": rows[3]["time"],
            "device": "hub",
            "channel": "kitchen",
            "kind": "temperature",
            "value": 21.5,
            "unit": "Cel",
        }
    ] * 2
    (place,) = [row["value"] for row in rows if row["kind"] == "location"]
    assert place == {"lat": 52.52, "lon": 13.405, "accuracy": 12.0}


def test_export_in_csv_holds_the_same(full: Desk) -> None:
    rows = list(csv.DictReader(io.StringIO(full.run("data", "export", "--format", "csv").out)))
    assert len(rows) == 7
    (place,) = [row for row in rows if row["kind"] == "location"]
    assert (place["value"], place["lat"], place["lon"], place["accuracy"]) == ("", "52.52", "13.405", "12.0")
    assert [row["value"] for row in rows if row["kind"] == "energy"] == ["9.0", "3.5", "2.5", "1.5"]


@pytest.mark.usefixtures("open_umask")
def test_export_to_a_file_is_for_the_person_alone_and_overwrites_nothing(full: Desk, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    done = full.json("data", "export", "--output", str(file), "--kind", "energy", "--device", "meter")
    assert done == {"file": str(file), "readings": 3}
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text().splitlines()) == 3
    file.write_text("mine")
    assert full.run("data", "export", "--output", str(file)).status == 7
    assert file.read_text() == "mine"
    assert [path for path in tmp_path.iterdir() if ".part" in path.name] == []


def test_an_empty_vault_has_nothing_to_show_and_that_is_no_failure(open_desk: Desk) -> None:
    assert open_desk.json("data", "show", "energy")["series"] == []
    assert open_desk.run("data", "export").out == ""
    assert open_desk.run("data", "tail", "--for", "1s", "--json").out == ""


def test_payloads_kept_whole_are_never_in_the_data(open_desk: Desk) -> None:
    device = open_desk.add_device()
    open_desk.host.quarantine(open_desk.vault, device, b"topic\0gibberish")
    assert open_desk.run("data", "export").out == ""
    assert open_desk.json("data", "show")["series"] == []


def test_tail_prints_what_arrives_from_then_on_once(full: Desk) -> None:
    def later() -> None:
        """Send when the tail has begun to look, and again when it has looked once more."""
        for value in (77.0, 78.0):
            looked = full.host.calls.count("GetChunks")
            while full.host.calls.count("GetChunks") < looked + 2:
                time.sleep(0.01)
            full.publish(full_device, Observation("", "energy", now(), value))

    full_device = DeviceId.parse(full.json("device", "list")[0]["device"])
    full.host.calls.clear()
    sender = threading.Thread(target=later)
    sender.start()
    done = full.run("data", "tail", "energy", "--every", "1s", "--for", "8s", "--json")
    sender.join()
    assert [json.loads(line)["value"] for line in done.out.splitlines()] == [77.0, 78.0]


def test_no_text_of_a_device_can_act_on_a_terminal(open_desk: Desk) -> None:
    device = open_desk.add_device()
    open_desk.publish(device, Observation("\x1b]0;x\x07", "energy", now(), 1.0))
    for words in (("show",), ("show", "energy"), ("export",), ("show", "--json")):
        done = open_desk.run("data", *words)
        assert done.status == 0
        assert not {"\x1b", "\x07"} & set(done.out + done.err)
