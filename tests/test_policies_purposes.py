"""Purposes: the trimmed table says what the whole vocabulary says."""

from __future__ import annotations

import pathlib
import tomllib

import pytest

from policies.purposes import PREFIX, ROOT, Purpose, Purposes, purposes, read_purposes

VECTORS = pathlib.Path(__file__).parent / "vectors"


def whole_vocabulary() -> dict[str, set[str]]:
    """Every term of the vocabulary, and all that is broader, by a walk of its own."""
    lines = (VECTORS / "dpv_purposes.csv").read_text("utf-8").splitlines()
    rows = dict(line.split(",") for line in lines if not line.startswith("#"))
    broader = {PREFIX + term: [PREFIX + above for above in row.split()] for term, row in rows.items()}

    def reach(term: str) -> set[str]:
        found, todo = {term}, [term]
        while todo:
            todo += [above for above in broader.get(todo.pop(), []) if above not in found]
            found.update(todo)
        return found

    return {term: reach(term) for term in broader}


def test_every_pair_of_terms_is_related_as_in_the_whole_vocabulary() -> None:
    whole = whole_vocabulary()
    ours = [purpose.term for purpose in purposes()]
    assert len(ours) > 50
    for narrow in ours:
        for broad in ours:
            assert purposes().subsumes(broad, narrow) == (broad in whole[narrow]), (broad, narrow)


def test_everything_falls_under_the_root() -> None:
    assert all(purposes().subsumes(ROOT, purpose.term) for purpose in purposes())


@pytest.mark.parametrize(
    ("broad", "narrow", "expected"),
    [
        ("dpv:Marketing", "dpv:Marketing", True),
        ("dpv:Marketing", "dpv:Advertising", True),
        ("dpv:Marketing", "dpv:TargetedAdvertising", True),  # three steps
        ("dpv:Personalisation", "dpv:TargetedAdvertising", True),  # by the other parent
        ("dpv:TargetedAdvertising", "dpv:Marketing", False),
        ("dpv:Marketing", "dpv:ServiceProvision", False),
    ],
)
def test_subsumption_is_transitive_and_has_a_direction(broad: str, narrow: str, expected: bool) -> None:
    assert purposes().subsumes(broad, narrow) is expected


@pytest.mark.parametrize("pair", [("dpv:Nothing", "dpv:Marketing"), ("dpv:Marketing", "dpv:Nothing")])
def test_an_unknown_term_is_an_error_not_a_no(pair: tuple[str, str]) -> None:
    """A no would let what a rule misspells pass."""
    with pytest.raises(KeyError):
        purposes().subsumes(*pair)


@pytest.mark.parametrize(
    "term", ["Marketing", "dpv:marketing", "dpv:Nothing", "https://w3id.org/dpv#Marketing", ""]
)
def test_only_the_one_spelling_of_a_term_is_found(term: str) -> None:
    assert purposes().find(term) is None
    assert purposes().find("dpv:Marketing") == Purpose("dpv:Marketing", "Marketing", ("dpv:Purpose",))


def test_each_purpose_has_words_for_a_person() -> None:
    assert purposes().label("dpv:TargetedAdvertising") == "Targeted Advertising"
    assert all(purpose.label.strip() for purpose in purposes())


@pytest.mark.parametrize(
    "table",
    {
        "a broader term that is missing": '[A]\nlabel = "a"\nbroader = ["B"]\n',
        "a circle": '[A]\nlabel = "a"\nbroader = ["B"]\n[B]\nlabel = "b"\nbroader = ["A"]\n',
        "a field too many": '[A]\nlabel = "a"\nbroader = []\nnote = "x"\n',
        "a term without a label": "[A]\nbroader = []\n",
        "no table": "[A",
    }.values(),
)
def test_a_table_that_is_not_closed_or_not_ours_is_refused(table: str) -> None:
    with pytest.raises((ValueError, tomllib.TOMLDecodeError)):
        read_purposes(table)


def test_an_empty_table_knows_nothing() -> None:
    assert Purposes([]).find(ROOT) is None
