"""How long it takes to settle a request against many standing rules: it is done while a brand waits."""

from __future__ import annotations

import random
import time
from typing import Any, Final

from policies import purposes as known_purposes
from policies.groups import GROUPS
from policies.kinds import catalogue
from policies.request import Ask
from policies.rules import Rule, Rules, Verb, decode_rules, encode_rules
from policies.settle import settle
from tests.bench.report import Section, at_most, row
from tests.bench.sizes import Size

RULES: Final = 100
LIMIT: Final = 2.0  # milliseconds
CALLS: Final = 200
NOW: Final = 1_772_366_400
BRAND: Final = "a" * 26
KINDS: Final = ("energy", "temperature", "location", "heart_rate", "motion", "water", "speed", "steps")


def measure(size: Size) -> Section:
    """A request of eight kinds against a hundred rules; then against none, and read from their bytes too."""
    hundred = Rules(rules=tuple(_rule(number) for number in range(RULES)))
    encoded = encode_rules(hundred)
    calls = CALLS * size.repeats
    found = row(f"{RULES} rules", "ms", _times(calls, hundred), none=_times(calls, Rules()))
    read = row(f"{RULES} rules, from bytes", "ms", _times(calls, hundred, encoded))
    return Section(
        name="settle",
        title=f"milliseconds to settle a request of {len(KINDS)} kinds against standing rules",
        rows=[found, read],
        targets=[at_most(f"a request against {RULES} rules <= {LIMIT:g} ms", found.median(), LIMIT)],
        notes=[
            "The rules are of every sort, a third about the brand that asks; all that matter are weighed."
        ],
    )


def _times(calls: int, rules: Rules, encoded: bytes | None = None) -> list[float]:
    tables, purposes = catalogue(), known_purposes()
    samples = []
    for _ in range(calls):
        begun = time.perf_counter()
        settle(_ASKS, rules if encoded is None else decode_rules(encoded), tables, purposes, NOW, brand=BRAND)
        samples.append((time.perf_counter() - begun) * 1000)
    return samples


def _rule(number: int) -> Rule:
    """One of a hundred, the same each time; none refuses everything."""
    draw = random.Random(number)
    verbs: list[Verb] = ["never", "ask", "allow", "limit"]
    fields: dict[str, Any] = {"do": verbs[number % 4]}
    if number % 3:
        fields["kind"] = draw.choice(catalogue().names() if fields["do"] == "never" else KINDS)
    else:
        fields["group"] = draw.choice(list(GROUPS) if fields["do"] != "never" else ["lifestyle", "vehicle"])
    if draw.random() < 0.3:
        fields["brand"] = BRAND
    if draw.random() < 0.3:
        fields["purpose"] = draw.choice(["dpv:ServiceProvision", "dpv:Marketing", "dpv:ServiceManagement"])
    if fields["do"] == "limit":
        fields |= draw.choice([{"days": 30 + number}, {"history": 7}, {"every": 60}, {"detail": "raw"}])
    return Rule(**fields)


def _ask(kinds: tuple[str, ...], ideal: str, minimum: str) -> Ask:
    return Ask(
        actions=("read",),
        kinds=kinds,
        ideal=ideal,
        minimum=minimum,
        data_from=None,
        data_until=None,
        access_until=NOW + 90 * 86_400,
        purpose="dpv:RequestedServiceProvision",
        purpose_text="Advice on what uses power",
        retention="P90D",
        recipients=(),
        benefit="",
        required=False,
    )


_ASKS: Final = (
    _ask(tuple(kind for kind in KINDS if kind != "location"), "raw", "hour"),
    _ask(("location",), "raw", "h3-7"),
)
