"""PROTOCOL.md says what the code does: its tables about HTTP, row by row."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from gateway.answers import Answer as Figure
from gateway.bucketparts import PARTS
from gateway.client.errors import REFUSALS
from gateway.door import errors
from gateway.door.answers import _plain
from gateway.door.app import HANDLERS, STATUS_WORDS
from gateway.door.config import DoorConfig, Rates
from gateway.door.data import MOST_SPANS
from gateway.door.errors import PROBLEM
from gateway.door.forms import ANSWERS_BODY, MAX_LIMIT, Asked, Query
from gateway.door.http import FORWARDED, OAUTH_BODY, OAUTH_PATHS
from gateway.door.impatience import LEAST_BYTES
from gateway.door.limits import Rate
from gateway.door.metadata import GRANT_TYPE
from gateway.door.oauth import DEFAULT_EXPIRY_S, LONGEST_EXPIRY_S, MAX_MESSAGE, PICKUP_MS
from gateway.door.run import HEAD_MAX
from gateway.questions import FITTING, FUNCTIONS, MOST_CELLS, MOST_PERIODS, PERIODS
from gateway.senmlout import ACCURACY, LATITUDE, LONGITUDE, MEDIA_TYPE
from gateway.wire import MAX_BODY, NONCE_WINDOW_MS
from policies.grant import DEFAULT_BUDGET, USE_MS, Ended
from tests.docs import REPO
from vault.bucket import FEWEST, QUIET_MS, SPANS
from vault.ids import TEXT_SIZE
from vault.observation import Share, Stay, Summary, Tally
from vault.store.records import No

TEXT = (REPO / "gateway" / "PROTOCOL.md").read_text().split("\n## HTTP\n")[1].split("\n## ")[0]
WORDS = " ".join(TEXT.split())
SOURCES = "".join(path.read_text() for path in sorted((REPO / "gateway" / "door").glob("*.py")))

SIMPLE = (
    errors.no_token,
    errors.invalid_token,
    errors.insufficient_scope,
    errors.answers_only,
    errors.used_up,
    errors.paused,
    errors.changing,
    errors.not_json,
    errors.unavailable,
    errors.frozen,
    errors.unknown_grant,
)


def tables(heading: str) -> list[list[list[str]]]:
    """The cells of every table under a heading, code marks taken off, heads left out."""
    under = TEXT.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    found = re.findall(r"(?:^\|.*\n)+", under + "\n", re.M)
    return [
        [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
        for table in found
    ]


def test_every_endpoint_is_listed() -> None:
    (table,) = tables("Endpoints")
    served = {
        f"{method} {path.replace(':str', '')}"
        for handler in HANDLERS
        for path in handler.paths
        for method in handler.http_methods
    }
    assert {row[0] for row in table} == served
    assert {f"POST {path}" for path in OAUTH_PATHS} <= served


def test_every_error_of_oauth_is_listed_with_its_status() -> None:
    (table,) = tables("Errors of OAuth")
    raised = set(re.findall(r'OAuthError\(\s*"(\w+)"', SOURCES))
    assert {row[0] for row in table} == raised
    statuses = {error: {"400"} for error in raised} | {
        "invalid_client": {"401"},
        "temporarily_unavailable": {"429", "503"},
        "server_error": {"500"},
    }
    assert {row[0]: set(row[1].split(", ")) for row in table} == statuses


def test_every_problem_is_listed_with_its_status() -> None:
    (table,) = tables("Problems")
    raised = set(re.findall(r'ProblemError\(\s*"([\w-]+)"', SOURCES))
    assert {row[0] for row in table} == raised | {words[0] for words in STATUS_WORDS.values()}
    made = [errors.slow(1), errors.budget_exhausted(1), errors.bad_query(""), *(make() for make in SIMPLE)]
    known = {problem.slug: problem.status for problem in made}
    known |= {words[0]: status for status, words in STATUS_WORDS.items()}
    assert {row[0]: int(row[1]) for row in table if row[0] in known} == known
    assert f"`{PROBLEM}`" in TEXT


def test_every_parameter_of_a_read_is_listed() -> None:
    parameters, labels = tables("Readings")
    renamed = {"kind": "kinds", "from": "since"}
    assert {renamed.get(row[0], row[0]) for row in parameters} == set(Query.__struct_fields__)
    assert [row[0] for row in labels] == ["bn", "n", "u", "v", "vb", "vs", "t"]


def test_every_figure_of_a_bucket_is_listed_in_its_order() -> None:
    (table,) = tables("Buckets")
    listed: dict[str, list[str]] = {}
    for of, part, _ in table:
        listed.setdefault(of, []).append(part)
    assert listed == {
        "numbers": list(PARTS[Summary]),
        "booleans, events": list(PARTS[Tally]),
        "texts": list(PARTS[Share]),
        "places": list(PARTS[Stay]),
    }
    assert all(f"(`{name}`" in WORDS or f"`{name}`)" in WORDS for name in SPANS)
    always = {part for parts in PARTS.values() for part, (_, _, there) in parts.items() if there}
    (named,) = re.findall(r"is not there; ([^;]+) always are", WORDS)
    assert set(re.findall(r"`(\w+)`", named)) == always


def test_every_member_of_a_question_and_every_function_is_listed() -> None:
    members, functions = tables("Answers")
    assert {row[0] for row in members} == set(msgspec.json.schema(Asked)["$defs"]["Asked"]["properties"])
    of_type = {
        "numbers": ["number"],
        "booleans": ["boolean"],
        "places": ["place"],
        "every kind with buckets": FITTING,
    }
    listed = {(kind, name) for name, of, _ in functions for kind in of_type[of]}
    assert listed == {(kind, name) for kind, names in FITTING.items() for name in names}
    assert [*dict.fromkeys(row[0] for row in functions)] == list(FUNCTIONS)
    shown = msgspec.json.decode(msgspec.json.encode(_plain(Figure(0, 1, None, "", None, True))))
    assert all(f"`{name}`" in WORDS for name in (*shown, *PERIODS))


def test_every_member_that_tells_of_a_grant_is_named() -> None:
    told = set(re.findall(r'"(\w+)": ', (REPO / "gateway" / "door" / "grants.py").read_text()))
    assert {"grant_id", "status", "why", "exp"} <= told
    assert [name for name in sorted(told) if f"`{name}`" not in WORDS] == []
    reasons = get_args(get_type_hints(Ended)["why"])
    assert [why for why in reasons if f"`{why}`" not in WORDS] == []


def test_every_code_of_a_refusal_is_listed() -> None:
    (table,) = tables("The owner's calls")
    codes = {row[0] for row in table}
    assert codes == set(REFUSALS)
    assert codes >= set(get_args(get_type_hints(No)["code"]))


def test_every_rate_and_limit_is_listed_with_its_value() -> None:
    rates, limits = tables("Rates and sizes")
    assert {row[0]: Rate(int(row[1]), float(row[2])) for row in rates} == msgspec.structs.asdict(Rates())
    defaults: dict[str, Any] = msgspec.structs.asdict(DoorConfig(data=""))
    assert {row[0]: float(row[1]) for row in limits} == {row[0]: float(defaults[row[0]]) for row in limits}
    numbers = {name for name, value in defaults.items() if type(value) in (int, float)}
    assert numbers - {"port", "fd", "mqtt_port"} == {row[0] for row in limits}


@pytest.mark.parametrize(
    "words",
    [
        f"`{GRANT_TYPE}`",
        f"at most {MAX_MESSAGE} characters",
        f"seconds, 1 to {LONGEST_EXPIRY_S}; {DEFAULT_EXPIRY_S} where it is left out",
        f"for at most {PICKUP_MS // 60_000} minutes after",
        f"readings a page, 1 to {MAX_LIMIT}; {MAX_LIMIT} where it is left out",
        f"(`{MEDIA_TYPE}`, RFC 8428)",
        f"an opaque id of {TEXT_SIZE} characters",
        f"`<kind>:{LATITUDE}` in `lat`, `<kind>:{LONGITUDE}` in `lon`",
        f"where known, `<kind>:{ACCURACY}` in `m`",
        f"more than {NONCE_WINDOW_MS // 1000} seconds off",
        f"for {LEAST_BYTES >> 10} KiB of a larger body",
        f"at most {OAUTH_BODY >> 10} KiB, of `/answers` {ANSWERS_BODY >> 10} KiB, of `/owner/call`"
        f" {MAX_BODY >> 20} MiB",
        f"(`application/json`, at most {ANSWERS_BODY >> 10} KiB)",
        f"at most {MOST_PERIODS} at once",
        f"`time_in` (up to {MOST_CELLS}) and `dwell` (one)",
        f"fewer than {FEWEST} readings is answered with null",
        f"A bucket of fewer than {FEWEST} numbers does not exist",
        f"not over for {['', 'ten'][QUIET_MS // 600_000]} minutes",
        f"without the person's word it is {DEFAULT_BUDGET} under a grant of mode `answer`",
        f"all pages that follow it within {['', 'an'][USE_MS // 3_600_000]} hour",
        f"first line and headers {HEAD_MAX >> 10} KiB",
        f"at most {MOST_SPANS} stretches",
    ],
)
def test_what_stands_outside_the_tables_is_so_too(words: str) -> None:
    assert words in WORDS


def test_every_sign_of_a_proxy_is_named() -> None:
    (named,) = re.findall(r"a web page \(([^)]+)\)", WORDS)
    assert {name.lower().encode() for name in named.split(", ")} == {*FORWARDED, b"origin"}
