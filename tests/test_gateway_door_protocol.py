"""PROTOCOL.md says what the code does: its tables about HTTP, row by row."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from gateway.client.errors import REFUSALS
from gateway.door import errors
from gateway.door.app import HANDLERS, STATUS_WORDS
from gateway.door.config import DoorConfig, Rates
from gateway.door.errors import PROBLEM
from gateway.door.forms import MAX_LIMIT, Query
from gateway.door.http import FORWARDED, OAUTH_BODY, OAUTH_PATHS
from gateway.door.impatience import LEAST_BYTES
from gateway.door.limits import Rate
from gateway.door.metadata import GRANT_TYPE
from gateway.door.oauth import DEFAULT_EXPIRY_S, LONGEST_EXPIRY_S, MAX_MESSAGE, PICKUP_MS
from gateway.door.run import HEAD_MAX
from gateway.senmlout import ACCURACY, LATITUDE, LONGITUDE, MEDIA_TYPE
from gateway.wire import MAX_BODY, NONCE_WINDOW_MS
from tests.docs import REPO
from vault.ids import TEXT_SIZE
from vault.store.records import No

TEXT = (REPO / "gateway" / "PROTOCOL.md").read_text().split("\n## HTTP\n")[1].split("\n## ")[0]
WORDS = " ".join(TEXT.split())
SOURCES = "".join(path.read_text() for path in sorted((REPO / "gateway" / "door").glob("*.py")))

SIMPLE = (
    errors.no_token,
    errors.invalid_token,
    errors.insufficient_scope,
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
    made = [errors.slow(1), errors.bad_query(""), *(make() for make in SIMPLE)]
    known = {problem.slug: problem.status for problem in made}
    known |= {words[0]: status for status, words in STATUS_WORDS.items()}
    assert {row[0]: int(row[1]) for row in table if row[0] in known} == known
    assert f"`{PROBLEM}`" in TEXT


def test_every_parameter_of_a_read_is_listed() -> None:
    parameters, labels = tables("Readings")
    renamed = {"kind": "kinds", "from": "since"}
    assert {renamed.get(row[0], row[0]) for row in parameters} == set(Query.__struct_fields__)
    assert [row[0] for row in labels] == ["bn", "n", "u", "v", "vb", "vs", "t"]


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
        f"at most {OAUTH_BODY >> 10} KiB, of `/owner/call` {MAX_BODY >> 20} MiB",
        f"first line and headers {HEAD_MAX >> 10} KiB",
    ],
)
def test_what_stands_outside_the_tables_is_so_too(words: str) -> None:
    assert words in WORDS


def test_every_sign_of_a_proxy_is_named() -> None:
    (named,) = re.findall(r"a web page \(([^)]+)\)", WORDS)
    assert {name.lower().encode() for name in named.split(", ")} == {*FORWARDED, b"origin"}
