"""Values the tests of the policies share: a moment, a request as DESIGN.md shows it, and terms for it."""

from __future__ import annotations

from policies.iso8601 import DAY, parse_time
from policies.request import Ask
from policies.terms import Selector, Terms

NOW_S = parse_time("2026-03-01T12:00:00Z")
NOW_MS = NOW_S * 1000
MIDNIGHT_S = parse_time("2026-03-01T00:00:00Z")

DETAIL: dict[str, object] = {
    "type": "personal_data",
    "actions": ["read"],
    "datatypes": ["energy"],
    "resolution": "raw",
    "data_from": "2026-01-01T00:00:00Z",
    "data_until": "2027-01-01T00:00:00Z",
    "access_until": "2027-01-31T00:00:00Z",
    "purpose": "dpv:ServiceProvision",
    "purpose_text": "Bill by what you use",
    "retention": "P90D",
    "recipients": [],
    "benefit": "10 % off the base fee",
    "required": True,
}

ASK = Ask(
    actions=("read",),
    kinds=("energy",),
    ideal="raw",
    minimum="raw",
    data_from=parse_time("2026-01-01T00:00:00Z"),
    data_until=parse_time("2027-01-01T00:00:00Z"),
    access_until=parse_time("2027-01-31T00:00:00Z"),
    purpose="dpv:ServiceProvision",
    purpose_text="Bill by what you use",
    retention="P90D",
    recipients=(),
    benefit="10 % off the base fee",
    required=True,
)

METER = "a" * 26
HUB = "b" * 26

TERMS = Terms(
    selectors=(Selector(METER, "energy"), Selector(HUB, "temperature", ("attic", "kitchen"))),
    data_from=NOW_S,
    data_until=NOW_S + 30 * DAY,
    access_until=NOW_S + 31 * DAY,
    purpose="dpv:ServiceProvision",
    purpose_text="Bill by what you use",
    retention="P90D",
    recipients=("Grid operator",),
    benefit="10 % off the base fee",
)
