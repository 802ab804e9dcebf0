"""PROTOCOL.md says within which limits a bridge works."""

from __future__ import annotations

from gateway.bridge import connection, lane, session
from tests.docs import REPO

TEXT = (REPO / "gateway" / "PROTOCOL.md").read_text().split("\n## Bridge\n")[1].split("\n## ")[0]
CODE = vars(session) | vars(connection) | vars(lane)


def test_every_limit_is_listed_with_its_value() -> None:
    rows = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| `")]
    assert len(rows) == 11
    assert {name.strip("`"): float(value) for name, value, _ in rows} == {
        name.strip("`"): CODE[name.strip("`")] for name, _, _ in rows
    }


def test_what_a_message_costs_is_as_written() -> None:
    assert f"with {lane.MESSAGE_COST} for each message" in TEXT
