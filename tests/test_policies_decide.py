"""The decision on a read: only within the grant, only while it lasts, only here."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decide import Permit, Read, decide
from policies.errors import PermitError, TermsError
from policies.grant import Active, Denied, Ended, GrantState, Lapsed, Pending, Preparing, Refusal
from policies.iso8601 import DAY
from tests.policies_samples import NOW_MS, NOW_S, TERMS

ACTIVE = Active(TERMS, NOW_MS, NOW_MS)
OVER = TERMS.access_until * 1000


def permit(read: Read, now_ms: int = NOW_MS) -> Permit:
    decision = decide(read, ACTIVE, now_ms)
    assert isinstance(decision, Permit)
    return decision


def refuse(read: Read, state: GrantState = ACTIVE, now_ms: int = NOW_MS) -> str:
    decision = decide(read, state, now_ms)
    assert isinstance(decision, Refusal)
    assert decision.reason.endswith(".")
    return decision.code


def test_a_read_of_everything_gets_exactly_what_was_given() -> None:
    made = permit(Read())
    assert made.selectors == TERMS.selectors
    assert (made.data_from, made.data_until) == (TERMS.data_from, TERMS.data_until)
    assert made.access_until == TERMS.access_until
    assert not made.empty


def test_a_read_of_one_kind_gets_the_selectors_of_that_kind() -> None:
    assert permit(Read(kinds=("temperature",))).selectors == TERMS.selectors[1:]
    assert permit(Read(kinds=("energy", "temperature"))).selectors == TERMS.selectors


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (Pending(NOW_MS, NOW_MS + 1), "not_approved"),
        (Preparing(TERMS, NOW_MS), "not_active"),
        (Denied(NOW_MS, ""), "denied"),
        (Lapsed(NOW_MS), "lapsed"),
        (Ended(NOW_MS, "revoked", TERMS), "ended"),
        (Ended(NOW_MS, "restored", TERMS), "ended"),
    ],
)
def test_only_an_active_grant_is_read(state: GrantState, code: str) -> None:
    assert refuse(Read(), state) == code


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (Read(kinds=("humidity",)), "insufficient_scope"),
        (Read(kinds=("energy", "humidity")), "insufficient_scope"),
        (Read(kinds=("ENERGY",)), "insufficient_scope"),
        (Read(kinds=("",)), "insufficient_scope"),
        (Read(kinds=()), "invalid_request"),
        (Read(since=NOW_S + 1, until=NOW_S), "invalid_request"),
    ],
)
def test_a_read_outside_the_grant_or_of_nothing_is_refused(read: Read, code: str) -> None:
    assert refuse(read) == code


def test_access_ends_at_its_own_millisecond() -> None:
    assert isinstance(decide(Read(), ACTIVE, OVER - 1), Permit)
    assert refuse(Read(), now_ms=OVER) == "expired"
    assert refuse(Read(), now_ms=OVER + 1) == "expired"


def test_an_ended_grant_says_so_before_anything_else() -> None:
    """Whoever may see the code learns the state, not which of its parts the read missed."""
    assert refuse(Read(kinds=()), Ended(NOW_MS, "revoked", TERMS), OVER) == "ended"
    assert refuse(Read(kinds=("humidity",)), now_ms=OVER) == "expired"


START, END = TERMS.data_from, TERMS.data_until


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, (START, END)),
        (START + 5, None, (START + 5, END)),
        (None, END - 5, (START, END - 5)),
        (START - DAY, END + DAY, (START, END)),
        (START + 5, START + 6, (START + 5, START + 6)),
        # No meeting: an empty range at the nearer edge, and no refusal.
        (START + 5, START + 5, (START + 5, START + 5)),
        (START - DAY, START, (START, START)),
        (END, END + DAY, (END, END)),
        (END + DAY, None, (END, END)),
        (None, START - DAY, (START, START)),
        (-DAY, -5, (START, START)),
    ],
)
def test_a_read_is_clipped_to_the_grant(
    since: int | None, until: int | None, expected: tuple[int, int]
) -> None:
    made = permit(Read(since=since, until=until))
    assert (made.data_from, made.data_until) == expected
    assert made.empty is (expected[0] == expected[1])


maybe = st.none() | st.integers(START - 100 * DAY, END + 100 * DAY)
kinds = st.none() | st.lists(st.sampled_from(["energy", "temperature", "humidity"]), max_size=3).map(tuple)


@given(kinds, maybe, maybe, st.integers(0, 2 * OVER))
def test_no_permit_reaches_beyond_its_grant_or_its_read(
    names: tuple[str, ...] | None, since: int | None, until: int | None, now_ms: int
) -> None:
    decision = decide(Read(names, since, until), ACTIVE, now_ms)
    if isinstance(decision, Refusal):
        return
    assert now_ms < OVER
    assert set(decision.selectors) <= set(TERMS.selectors)
    assert names is None or {selector.kind for selector in decision.selectors} == set(names)
    assert START <= decision.data_from <= decision.data_until <= END
    if not decision.empty:
        assert since is None or decision.data_from >= since
        assert until is None or decision.data_until <= until


def test_milliseconds_are_not_taken_for_seconds() -> None:
    with pytest.raises(TermsError):
        Read(since=NOW_MS)
    with pytest.raises(TermsError):
        Read(until=NOW_MS)


def test_nobody_else_makes_a_permit() -> None:
    for stamp in (None, object(), True, "decide"):
        with pytest.raises(PermitError):
            Permit(TERMS.selectors, "raw", START, END, END, stamp)


def test_a_permit_cannot_be_widened_copied_or_sent_elsewhere() -> None:
    made = permit(Read(kinds=("energy",), until=START + 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, "data_" + "until", END)
    with pytest.raises(PermitError):
        dataclasses.replace(made, data_until=END, made_by=None)
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(PermitError):
            copying(made)
    with pytest.raises(TypeError):
        msgspec.json.decode(b"{}", type=Permit)


def test_a_permit_has_no_subclass_that_would_pass_for_one() -> None:
    with pytest.raises(PermitError):
        type("Forged", (Permit,), {"__post_init__": lambda *_: None})
