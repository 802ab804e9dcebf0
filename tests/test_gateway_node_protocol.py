"""PROTOCOL.md says what is noted of a device within the limits that the code has."""

from __future__ import annotations

import re
from pathlib import Path

import gateway
from gateway.node import gaps
from vault.store import records, resent

TEXT = (Path(gateway.__path__[0]) / "PROTOCOL.md").read_text("utf-8")


def test_the_limits_of_what_is_noted_of_a_device() -> None:
    section = TEXT.split("\n### What is noted of a device\n")[1].split("\n### ")[0]
    written = {name: int(value) for name, value in re.findall(r"^\| `(\w+)` \| (\d+) \|", section, re.M)}
    assert written == {
        "SETTINGS_MAX": records.SETTINGS_MAX,
        "RESENT_MAX": resent.RESENT_MAX,
        "RESENT_DAYS": resent.RESENT_DAYS,
        "SESSIONS": gaps.SESSIONS,
        "LATE": gaps.LATE,
        "JUMP": gaps.JUMP,
    }


def test_the_format_says_the_same_of_digests() -> None:
    format_ = (Path(gateway.__path__[0]).parent / "vault" / "FORMAT.md").read_text("utf-8")
    assert (
        f"Digests of days more than {resent.RESENT_DAYS} days ago are dropped, "
        f"and of a device and day the oldest beyond {resent.RESENT_MAX}." in format_
    )
