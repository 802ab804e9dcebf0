"""GRANTS.md says what the code does, table by table; and the public names are the ones listed."""

from __future__ import annotations

import pathlib
import re
import types
from typing import get_args

import msgspec

import policies
from policies import grant, request, terms, wishes
from policies.granted import granted_details
from policies.groups import GROUPS
from policies.iso8601 import DAY, MAX_DAYS
from policies.minimise import Limit
from policies.narrow import LEEWAY
from policies.rules import DIMENSIONS, RULES_LABEL, Rule, Rules, Verb
from policies.sentences import parse_sentence
from policies.strict import MAX_BYTES, MAX_DEPTH
from tests.policies_samples import TERMS

TEXT = (pathlib.Path(policies.__file__).parent / "GRANTS.md").read_text("utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table of a section, without its header; cells without their backquotes."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[:1] + rows[2:]]


def names(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", cell))


def documented(heading: str) -> dict[str, tuple[str, ...]]:
    """Name and fields of each struct a table describes."""
    return {row[0]: names(row[1]) for row in table(heading)[1:]}


def fields(structs: tuple[type[msgspec.Struct], ...]) -> dict[str, tuple[str, ...]]:
    return {struct.__name__: struct.__struct_fields__ for struct in structs}


def test_the_states_and_what_they_hold() -> None:
    assert documented("States") == fields(get_args(grant.GrantState))
    assert all(f"`{why}`" in TEXT for why in get_args(grant.Why))


def test_the_events_and_what_they_hold() -> None:
    assert documented("Events") == fields(get_args(grant.Event))


def test_the_transitions() -> None:
    [_, *columns], *rows = table("Transitions")
    written = {
        state: {event: target for event, target in zip(columns, targets, strict=True) if target != "-"}
        for state, *targets in rows
    }
    assert [name.strip("`") for name in columns] == [event.__name__ for event in get_args(grant.Event)]
    assert written == {
        state.__name__: {event.__name__: target.__name__ for event, target in row.items()}
        for state, row in grant.TRANSITIONS.items()
    }


def test_the_codes_of_refusals() -> None:
    assert [row[0] for row in table("Refusals")[1:]] == list(get_args(grant.RefusalCode))


def test_the_fields_of_a_request() -> None:
    assert [row[0] for row in table("Requests")[1:]] == list(request.FIELDS)


def test_the_limits() -> None:
    section = TEXT.split("\n## Requests\n")[1].split("\n## ")[0]
    for said in (
        f"{MAX_BYTES // 1024} KiB",
        f"{MAX_DEPTH} deep",
        f"1 to {request.MAX_DATATYPES} names",
        f"up to {request.MAX_RECIPIENTS} names of up to {request.MAX_NAME} characters",
        f"at most {request.MAX_TEXT} characters",
        f"{request.MAX_SPAN // DAY} days",
    ):
        assert said in section
    assert f"whole days up to {wishes.MAX_EVERY // DAY}" in section
    assert f"up to {MAX_DAYS} days" in section
    events = TEXT.split("\n## Transitions\n")[1].split("\n## ")[0]
    assert f"that has {grant.GAPS_MAX} gaps" in events
    assert f"less than {grant.UNUSED_MS // (DAY * 1000)} days after" in events
    assert f"1 to {terms.MAX_COUNT:,}" in TEXT
    assert f"{grant.DEFAULT_BUDGET} where `mode` is `answer`" in TEXT
    assert grant.USE_MS == 3_600_000
    assert "its pages, which are given for an hour" in TEXT
    assert LEEWAY == 3600
    assert "an hour's leeway" in TEXT
    assert request.MAX_DETAILS == 8
    assert "one to eight *details*" in TEXT


def test_the_labels_and_members_of_the_hashes() -> None:
    section = TEXT.split("\n## Hashes\n")[1].split("\n## ")[0]
    for label in (terms.ASKS_LABEL, terms.TERMS_LABEL, RULES_LABEL):
        assert f'"{label.decode()}"' in section
    for struct in (terms.Terms, terms.Selector, Limit, Rule, Rules):
        assert ", ".join(f"`{field}`" for field in sorted(struct.__struct_fields__)) in section
    assert set(msgspec.to_builtins(TERMS)) == set(terms.Terms.__struct_fields__)


def test_the_members_of_terms() -> None:
    written = [name for row in table("Terms")[1:] for name in names(row[0])]
    assert sorted(written) == sorted(terms.Terms.__struct_fields__)
    section = TEXT.split("\n## Terms\n")[1].split("\n## ")[0]
    assert all(f"`{field}`" in section for field in Limit.__struct_fields__)


def test_the_ways_and_resolutions_that_can_be_asked_for() -> None:
    forms = {row[0]: row[1] for row in table("Requests")[1:]}
    resolutions = ", ".join(f"`{name}`" for name in wishes.RESOLUTIONS_SUPPORTED)
    assert f"{forms['resolution']}`" == f"wish of {resolutions}"
    assert names(forms["mode"])[2:] == wishes.MODES_SUPPORTED


def test_what_a_brand_is_told_beyond_its_own_request() -> None:
    limit = Limit(
        kind="energy", round="0.5", every=900, hours=(0, 5), zone="Europe/Berlin", fewest=5, drop=("high",)
    )
    given = msgspec.structs.replace(TERMS, mode="once", uses=1, budget=5, limits=(limit,))
    told = granted_details(given)[0]
    forms = {row[0]: row[1] for row in table("What the brand is told")[1:]}
    assert told.keys() - granted_details(TERMS)[0].keys() == set(forms)
    less = told["minimised"]
    assert isinstance(less, dict)
    assert all(f"`{name}`" in forms["minimised"] for name in less)
    assert set(less) == set(Limit.__struct_fields__) - {"kind", "zone"}


def tables(heading: str) -> list[list[str]]:
    """The first cells of each table of a section."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\|[^\n]*\n\|---[^\n]*\n((?:\|[^\n]*\n)+)", section, re.MULTILINE)
    return [re.findall(r"^\| `(\w+)`", rows, re.MULTILINE) for rows in found]


def test_the_verbs_limits_and_groups_of_rules() -> None:
    assert tables("Standing rules") == [list(get_args(Verb)), list(DIMENSIONS), list(GROUPS)]
    section = TEXT.split("\n## Standing rules\n")[1]
    for name, group in GROUPS.items():
        [row] = re.findall(rf"^\| `{name}` \| (.*) \|$", section, re.MULTILINE)
        assert set(re.findall(r"\w+", row)) - {"tier", "category"} == group.tiers | group.categories
    brands = {"Acme": "a" * 26, "Acme Energy": "b" * 26}
    cells = re.findall(r"^\| `\w+` \|.*\| (`.*) \|$", section, re.MULTILINE)
    sentences = re.findall(r"`([^`]+)`", "\n".join(cells))
    assert len(sentences) > len(DIMENSIONS)
    for sentence in sentences:
        parse_sentence(sentence, policies.catalogue(), policies.purposes(), brands=brands)


def test_the_limits_of_minimisation() -> None:
    assert tables("Minimisation") == [
        [name for name in Limit.__struct_fields__ if name not in ("kind", "zone")]
    ]


def test_the_control_a_table_that_lacks_a_row_is_noticed() -> None:
    assert documented("States") != fields(get_args(grant.GrantState)[1:])
    assert len(table("Transitions")) == 1 + len(get_args(grant.GrantState))


def test_the_public_face_is_what_it_lists() -> None:
    public = {
        name
        for name, value in vars(policies).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "annotations"
    }
    assert public == set(policies.__all__)
    assert policies.__all__ == sorted(
        policies.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
