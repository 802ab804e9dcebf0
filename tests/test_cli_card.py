"""A brand's request, as the person sees it before they decide."""

from __future__ import annotations

from datetime import UTC

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.card import QUESTION, RequestCard, Sample, request_card, revoked
from cli.render import columns

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
Approve exactly this? [y]es [n]o [c]hange"""


def lines(**changes: object) -> dict[str, str]:
    """The card's lines by label, with some fields of Acme's request changed."""
    shown = request_card(msgspec.structs.replace(ACME, **changes), UTC).splitlines()
    return {line[:12].strip(): line[12:] for line in shown[1:]}


def test_the_card_is_to_the_letter() -> None:
    assert f"{request_card(ACME, UTC)}\n{QUESTION}" == EXPECTED


@pytest.mark.parametrize(
    ("changes", "label", "words"),
    [
        ({"resolution": "hour"}, "detail", "one value an hour"),
        ({"minimum": "day"}, "detail", "every reading; one value a day would do"),
        ({"minimum": "raw"}, "detail", "every reading"),
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
        ACME, brand=brand, site=site, why=why, recipients=(recipient,), benefit=benefit, devices=(device,)
    )
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
