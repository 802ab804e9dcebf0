"""PROTOCOL.md says what the code does: its tables about MQTT, row by row."""

from __future__ import annotations

import dataclasses
import re

from gateway.mqtt import Reason, State
from gateway.mqtt.packets import FILTER_LIMIT, VERSIONS, Kind
from gateway.mqtt.properties import USER_LIMIT
from gateway.mqtt.reasons import RETURN_CODES
from gateway.mqtt.state import RECEIVING, SENDING
from gateway.mqtt.text import LEVEL_LIMIT
from gateway.node.config import NodeConfig
from gateway.node.limits import KEEP_ALIVE_FACTOR, MESSAGE_COST, Limits, Throttle
from gateway.node.tls import CA_LIFE, RENEW_BEFORE, SERVER_LIFE
from gateway.node.window import REMEMBERED
from tests.docs import REPO

TEXT = (REPO / "gateway" / "PROTOCOL.md").read_text().split("\n## MQTT\n")[1].split("\n## ")[0]
WORDS = " ".join(TEXT.split())


def table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, code marks taken off."""
    under = TEXT.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    rows = [line for line in under.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_versions() -> None:
    assert {(name.encode(), int(level)) for _, name, level in table("Versions and transport")} == set(
        VERSIONS
    )


def test_every_limit_is_listed_with_its_value() -> None:
    written = {name: float(value) for name, value, _ in table("Limits")}
    assert written == {field: float(value) for field, value in dataclasses.asdict(Limits()).items()}


def test_limits_outside_the_table() -> None:
    for words in (
        f"{FILTER_LIMIT} topic filters",
        f"{USER_LIMIT} user properties",
        f"at most {LEVEL_LIMIT} levels",
        f"with {MESSAGE_COST} for each message",
        f"{NodeConfig(data='').device_day_bytes >> 20} MiB of payloads",
        f"{Limits().window_messages} unreleased QoS 2 ids",
        f"among the last {REMEMBERED} packet ids",
        f"silent for {KEEP_ALIVE_FACTOR} times its keep alive",
        f"lives {CA_LIFE.days // 365} years",
        f"lives {SERVER_LIFE.days} days",
        f"fewer than {RENEW_BEFORE.days} are left",
    ):
        assert words in WORDS, words


def test_answers_to_wrong_credentials() -> None:
    throttle = Throttle()
    waits = [throttle.failed("192.0.2.1", 0.0) for _ in range(200)]
    assert waits.count(0.0) == 64
    assert sum(wait is not None and wait > 0 for wait in waits) == 64, "one second's worth"
    assert "at once 64 times, then 64 times a second" in WORDS


def test_every_reason_is_listed_with_its_codes() -> None:
    written = {(name, int(code, 16), int(old) if old else None) for name, code, old, _ in table("Reasons")}
    listed = [reason for reason in Reason if reason not in (Reason.SUCCESS, Reason.PACKET_ID_NOT_FOUND)]
    assert written == {(reason.name, int(reason), RETURN_CODES.get(reason)) for reason in listed}


def test_the_table_of_states_is_the_one_of_the_code() -> None:
    received: dict[State, dict[Kind, State]] = {state: {} for state in State}
    sent: dict[State, dict[Kind, State]] = {state: {} for state in State}
    for state, theirs, ours, then in table("The life of a connection"):
        for cell, where in ((theirs, received), (ours, sent)):
            for word in re.findall(r"[A-Z]{4,}", cell):
                where[State[state]].setdefault(Kind[word], State[then])
    assert received == {state: dict(kinds) for state, kinds in RECEIVING.items()}
    assert sent == {state: dict(kinds) for state, kinds in SENDING.items()}
