"""Tables, sparklines, and numbers, times and lengths as people say them."""

from __future__ import annotations

import json
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import render
from vault.ids import DeviceId

DAY = 86400
CELLS = st.text(alphabet=st.characters(codec="utf-8"), max_size=120)


class TestTable:
    def test_it_lines_up(self) -> None:
        shown = render.table(
            ["device", "readings"], [["thermostat", "1,440"], ["car", 7]], right=("readings",)
        )
        assert shown.splitlines() == [
            "device      readings",
            "thermostat     1,440",
            "car                7",
        ]

    def test_an_empty_one_is_its_head(self) -> None:
        assert render.table(["device"], []) == "device"

    def test_markup_of_others_is_text(self) -> None:
        assert "[bold red]x[/]" in render.table(["name"], [["[bold red]x[/]"]])

    @given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5))
    def test_it_fits_eighty_columns_and_holds_no_escape(self, rows: list[tuple[str, str, str]]) -> None:
        shown = render.table(["one", "two", "three"], rows)
        for line in shown.split("\n"):
            assert "\x1b" not in line
            assert render.columns(line) <= 80


class TestSparkline:
    @pytest.mark.parametrize(
        ("values", "bars"),
        [
            ([], ""),
            ([5.0], "▅"),
            ([5.0, 5.0, 5.0], "▅▅▅"),
            ([0.0, 1.0], "▁█"),
            ([1.0, 0.0, 0.5, -1.0], "█▅▆▁"),
            ([float(n) for n in range(8)], "▁▂▃▄▅▆▇█"),
        ],
    )
    def test_it_draws_from_least_to_greatest(self, values: list[float], bars: str) -> None:
        assert render.sparkline(values) == bars

    def test_many_values_are_averaged_into_the_width(self) -> None:
        assert render.sparkline([0.0, 0.0, 4.0, 4.0, 8.0, 8.0], width=3) == "▁▅█"

    @given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300), st.integers(1, 80))
    def test_it_is_as_long_as_its_values_or_the_width(self, values: list[float], width: int) -> None:
        assert len(render.sparkline(values, width)) == min(len(values), width)

    def test_the_spread_stands_beside_it(self) -> None:
        assert render.spread([19.2, 21.0, 23.4], "Cel") == "min 19.2  mean 21.2  max 23.4 Cel"


SAID = [
    (render.count(1440, "reading"), "1,440 readings"),
    (render.count(1, "reading"), "1 reading"),
    (render.count(0, "reading"), "no readings"),
    (render.count(2, "entry", "entries"), "2 entries"),
    (render.number(0.412), "0.412"),
    (render.number(1440), "1,440"),
    (render.number(-40.0), "-40"),
    (render.number(1e-9), "1e-09"),
    (render.size(812), "812 B"),
    (render.size(1_400_000), "1.4 MB"),
    (render.duration(0.4), "0 seconds"),
    (render.duration(59), "59 seconds"),
    (render.duration(60), "1 minute"),
    (render.duration(90 * DAY), "90 days"),
    (render.duration(800 * DAY), "2 years"),
    (render.ago(1000, 1400), "just now"),
    (render.ago(0, 300_000), "5 minutes ago"),
    (render.ago(3 * DAY * 1000, 0), "in 3 days"),
    (render.iso_duration("P90D"), "90 days"),
    (render.iso_duration("P1Y6M"), "1 year 6 months"),
    (render.iso_duration("PT12H"), "12 hours"),
    (render.iso_duration("P0D"), "0 days"),
    (render.iso_duration("P"), "P"),
    (render.iso_duration("PT"), "PT"),
    (render.iso_duration("P1\x1b"), "P1\\x1b"),
    (render.date(1801353600), "31 Jan 2027"),
    (render.date(1801353600 + 9 * 3600 + 300), "31 Jan 2027 09:05 UTC"),
    (render.date(1801353600 + 1), "31 Jan 2027 00:00:01 UTC"),
    (render.clock(7 * 3600 * 1000, UTC), "07:00"),
    (render.clock(7 * 3600 * 1000, timezone(timedelta(hours=-8))), "23:00"),
    (render.moment(1801353600_999, UTC), "2027-01-31 00:00:00"),
]


@pytest.mark.parametrize(("said", "expected"), SAID, ids=[expected for _, expected in SAID])
def test_amounts_and_times_are_said_as_people_say_them(said: str, expected: str) -> None:
    assert said == expected


@given(CELLS, st.integers(2, 80))
def test_wrapped_text_keeps_its_words_and_the_width(text: str, width: int) -> None:
    lines = render.wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(render.columns(line) <= width for line in lines)


def test_next_steps_line_up() -> None:
    steps = render.next_steps(("hypertouch device add NAME", "connect a device"), ("hypertouch lock", "rest"))
    assert steps == (
        "next  hypertouch device add NAME   connect a device\n      hypertouch lock              rest"
    )


def test_a_step_too_long_for_a_line_moves_no_other() -> None:
    long = "hypertouch init --ca /" + "x" * 60
    steps = render.next_steps((long, "make your vault"), ("hypertouch lock", "rest"))
    assert steps == f"next  {long}   make your vault\n      hypertouch lock   rest"


class TestEmit:
    def test_text_is_for_people(self, capsys: pytest.CaptureFixture[str]) -> None:
        render.emit({"a": 1}, False, "one line")
        assert capsys.readouterr() == ("one line\n", "")

    def test_nothing_to_say_prints_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        render.emit({"a": 1}, False)
        assert capsys.readouterr() == ("", "")

    def test_json_is_one_line_and_knows_ids(self, capsys: pytest.CaptureFixture[str]) -> None:
        device = DeviceId(bytes(16))
        render.emit({"device": device, "key": b"\x00", "name": "a\x1b\n\x9b"}, True, "not shown")
        out, err = capsys.readouterr()
        assert err == ""
        assert out.count("\n") == 1
        assert "\x1b" not in out
        assert "\x9b" not in out
        assert json.loads(out) == {"device": device.text, "key": "AA==", "name": "a\x1b\n\x9b"}
