"""The vectors of our own format: each does what it expects, and making them again changes nothing."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.vault_vectors import EXPECT, OPERATIONS, Vector, run
from tests.vectors.make_vault import PATH, make

VECTORS: list[Vector] = json.loads(PATH.read_text())["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_a_vector_does_what_it_expects(vector: Vector) -> None:
    assert run(vector) == (vector["expect"], vector.get("gives", ""))


def test_making_them_again_changes_nothing() -> None:
    assert make(PATH.read_text()) == PATH.read_text()


def test_there_are_many_and_most_say_no() -> None:
    said = Counter(vector["expect"] for vector in VECTORS)
    assert set(said) == set(EXPECT)
    assert len(VECTORS) >= 60
    assert said["ok"] < len(VECTORS) / 3
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS)


def test_every_operation_has_a_vector_that_is_right() -> None:
    """So that each no is told apart from an input that could never have been right."""
    assert {vector["of"] for vector in VECTORS if vector["expect"] == "ok"} == set(OPERATIONS)


@pytest.mark.parametrize(
    "change",
    [{"also": 1}, {"expect": "maybe"}, {"of": "anything"}, {"gives": "00"}],
    ids=lambda c: next(iter(c)),
)
def test_a_vector_that_says_something_unknown_is_a_failure(change: dict[str, object]) -> None:
    """The control."""
    right = next(vector for vector in VECTORS if vector["expect"] == "ok")
    with pytest.raises((AssertionError, KeyError)):
        test_a_vector_does_what_it_expects(right | change)
