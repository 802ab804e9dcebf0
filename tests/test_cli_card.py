"""A brand's request, as the person sees it before they decide."""

from __future__ import annotations

from datetime import UTC

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.card import QUESTION, Detail, Less, RequestCard, Sample, Wishes, request_card, revoked
from cli.render import columns
from policies.minimise import Limit

ACME = RequestCard(
    request="7K3F",
    brand="Acme",
    site="acme.example",
    kinds=("energy",),
    why="bill by what you use",
    devices=("meter",),
    access_until=1801353600,  # 2027-01-31T00:00:00Z
    retention="P90D",
    benefit="10 % off the base fee",
    yesterday=Sample(readings=1440, time=7 * 3600 * 1000, value="0.412 kWh"),
)
EXPECTED = """\
Acme (acme.example) asks for energy                 request 7K3F
  why       bill by what you use
  detail    every reading
  from      meter; from now on, no history
  until     31 Jan 2027; you can end it any time
  they      keep it 90 days, share with nobody
  you get   10 % off the base fee
  yesterday this was 1,440 readings, e.g. 07:00 0.412 kWh
Approve exactly this? [y]es [n]o [c]hange [p]review"""
FULL = msgspec.structs.replace(
    ACME,
    kinds=("energy", "power", "temperature", "location"),
    details=(
        Detail("energy", "day", "raw"),
        Detail("power", "day", "raw"),
        Detail("temperature", "raw", "raw"),
        Detail("location", "h3-5", "h3-7"),
    ),
    limits=(
        Less("temperature", "°C", Limit(kind="temperature", round="0.5", every=900)),
        Less("location", "", Limit(kind="location", hours=(420, 1320), zone="Europe/Berlin")),
    ),
    mode="answer",
    budget=100,
    wishes=Wishes(history=30, access_until=1808352000, mode="read"),
    notes=("It asks for every reading of energy; for this purpose by the day is usual.",),
)
EXPECTED_FULL = """\
Acme (acme.example) asks for energy, power, temperature, location   request 7K3F
  why       bill by what you use
  detail    energy, power by the day (they would like every reading); every
            reading of temperature; location to about 9 km, by the hour (they
            would like it to about 1 km, by the hour)
  limits    temperature in steps of 0.5 °C; temperature once in 15 minutes;
            location only from 07:00 to 22:00 (Europe/Berlin)
  how       answers made of it, at most 100 a day; they see no reading (they
            would like to read it whenever they want)
  from      meter; from now on, no history (they would like 30 days)
  until     31 Jan 2027 (they would like it until 22 Apr 2027); you can end it
            any time
  they      keep it 90 days, share with nobody
  you get   10 % off the base fee
  yesterday this would have been made of 1,440 readings
  note      It asks for every reading of energy; for this purpose by the day is
            usual."""


def lines(**changes: object) -> dict[str, str]:
    """The card's lines by label, with some fields of Acme's request changed."""
    shown = request_card(msgspec.structs.replace(ACME, **changes), UTC).splitlines()
    return {line[:12].strip(): line[12:] for line in shown[1:]}


def test_the_card_is_to_the_letter() -> None:
    assert f"{request_card(ACME, UTC)}\n{QUESTION}" == EXPECTED
    assert request_card(FULL, UTC) == EXPECTED_FULL


@pytest.mark.parametrize(
    ("changes", "label", "words"),
    [
        ({"details": (Detail("energy"),)}, "detail", "every reading"),
        ({"details": (Detail("energy", "hour", "hour"),)}, "detail", "energy by the hour"),
        (
            {"details": (Detail("energy", "day", "hour"),)},
            "detail",
            "energy by the day (they would like it by the hour)",
        ),
        (
            {"details": (Detail("energy"), Detail("location", "h3-7", "h3-7"))},
            "detail",
            "every reading of energy; location to about 1 km, by the hour",
        ),
        ({"uses": 1}, "how", "they read it once"),
        ({"mode": "once"}, "how", "they read it once"),
        ({"uses": 3}, "how", "they read it 3 times at most"),
        ({"mode": "answer"}, "how", "answers made of it; they see no reading"),
        (
            {"uses": 1, "wishes": Wishes(mode="read")},
            "how",
            "they read it once (they would like to read it whenever they want)",
        ),
        (
            {"limits": tuple(Less(kind, "", Limit(kind=kind, every=5400)) for kind in ("energy", "power"))},
            "limits",
            "once in 90 minutes",
        ),
        (
            {"limits": (Less("energy", "kWh", Limit(kind="energy", fewest=10)),)},
            "limits",
            "energy only where it is of 10 readings or more",
        ),
        (
            {"limits": (Less("location", "", Limit(kind="location", drop=("accuracy",))),)},
            "limits",
            "location without accuracy",
        ),
        ({"notes": ("Too much.",)}, "note", "Too much."),
        ({"history_from": 0}, "from", "meter; from now on, and all history"),
        ({"history_from": 1767225600}, "from", "meter; from now on, and history since 1 Jan 2026"),
        ({"data_until": 1798761600}, "from", "meter; from now until 1 Jan 2027, no history"),
        ({"data_until": 1801353600}, "from", "meter; from now on, no history"),
        ({"devices": ("meter", "car")}, "from", "meter, car; from now on, no history"),
        ({"devices": ()}, "from", "no device of yours yet; from now on, no history"),
        ({"access_until": 1801353601}, "until", "31 Jan 2027 00:00:01 UTC; you can end it any time"),
        ({"retention": None}, "they", "do not say how long they keep it, share with nobody"),
        ({"recipients": ("Beta", "Gamma")}, "they", "keep it 90 days, share with Beta, Gamma"),
        ({"benefit": ""}, "you get", "nothing in return"),
        ({"yesterday": Sample(readings=0)}, "yesterday", "there was nothing of this"),
        ({"yesterday": Sample(readings=1)}, "yesterday", "this was 1 reading"),
    ],
)
def test_every_term_that_differs_is_said(changes: dict[str, object], label: str, words: str) -> None:
    assert lines(**changes)[label] == words


def test_what_yesterday_was_is_left_out_where_it_is_not_known() -> None:
    assert "yesterday" not in lines(yesterday=None)


def test_what_is_usual_is_not_said() -> None:
    """A plain request keeps its eight lines: no limits, no way of reading, no notes."""
    assert not {"limits", "how", "note"} & set(lines())


def test_long_text_wraps_under_itself_and_cannot_pass_for_a_line_of_ours() -> None:
    shown = request_card(msgspec.structs.replace(ACME, why="pay less " * 20 + "\n  until     never"), UTC)
    why = shown.splitlines()[1:5]
    assert why[0].startswith("  why       pay less")
    assert all(line.startswith(" " * 12) for line in why[1:3])
    assert "\\n until never" in shown
    assert "\n  until     never" not in shown


def test_a_long_first_line_keeps_the_request_at_its_end() -> None:
    shown = request_card(msgspec.structs.replace(ACME, kinds=("temperature", "humidity", "power")), UTC)
    assert shown.splitlines()[0].endswith("  request 7K3F")
    shown = request_card(msgspec.structs.replace(ACME, brand="A" * 70), UTC)
    assert "request 7K3F" in shown.splitlines()[1]


TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=200)


@given(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT)
def test_no_text_of_a_brand_reaches_the_terminal_as_a_command(
    brand: str, site: str, why: str, recipient: str, benefit: str, device: str
) -> None:
    hostile = msgspec.structs.replace(
        FULL, brand=brand, site=site, why=why, recipients=(recipient,), benefit=benefit, devices=(device,),
        notes=(why,), details=(Detail(device, "day"),), limits=(Less(device, site, FULL.limits[0].limit),),
    )  # fmt: skip
    for line in request_card(hostile, UTC).split("\n"):
        assert line.isprintable()
        assert columns(line) <= 80


@pytest.mark.parametrize(
    ("readings", "retention", "said"),
    [
        (
            1440,
            "P90D",
            "Acme can read nothing more. It keeps what it read (1,440 readings);"
            " it promised to delete within 90 days.",
        ),
        (
            1,
            None,
            "Acme can read nothing more. It keeps what it read (1 reading); it made no promise to delete.",
        ),
        (0, "P90D", "Acme can read nothing more. It had read nothing."),
    ],
)
def test_after_a_revoke_it_says_what_is_out_of_our_hands(
    readings: int, retention: str | None, said: str
) -> None:
    assert revoked("Acme", readings, retention) == said
