"""The life of a grant: every state meets every event, and nothing ever comes back to life."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import TermsError
from policies.grant import (
    TRANSITIONS,
    Active,
    Approve,
    Commit,
    Denied,
    Deny,
    Ended,
    Event,
    Expire,
    GrantState,
    Lapse,
    Lapsed,
    Pending,
    Preparing,
    Refusal,
    Restore,
    Return,
    Revoke,
    Selector,
    Terms,
    advance,
    ask_hash,
    terms_hash,
)
from policies.iso8601 import DAY
from tests.policies_samples import ASK, HUB, METER, NOW_MS, TERMS

ASKED = NOW_MS - 3_600_000
LAPSES = NOW_MS + 7 * DAY * 1000
OVER = TERMS.access_until * 1000
OTHER_TERMS = msgspec.structs.replace(TERMS, benefit="")

STATES: dict[type[GrantState], GrantState] = {
    Pending: Pending(ASKED, LAPSES),
    Preparing: Preparing(TERMS, NOW_MS),
    Active: Active(TERMS, NOW_MS, NOW_MS),
    Denied: Denied(NOW_MS, "no thanks"),
    Lapsed: Lapsed(LAPSES),
    Ended: Ended(NOW_MS, "revoked", TERMS),
}


def events(at: int) -> dict[type[Event], Event]:
    """One of each event, at the same moment."""
    return {
        Approve: Approve(at, TERMS),
        Commit: Commit(at),
        Deny: Deny(at, "no thanks"),
        Lapse: Lapse(at),
        Revoke: Revoke(at),
        Expire: Expire(at),
        Return: Return(at),
        Restore: Restore(at),
    }


# What happens when nothing is too early or too late.  What is not here is refused, with the code below.
HAPPENS: dict[tuple[type[GrantState], type[Event]], GrantState] = {
    (Pending, Approve): Preparing(TERMS, NOW_MS),
    (Pending, Deny): Denied(NOW_MS, "no thanks"),
    (Pending, Lapse): Lapsed(LAPSES),
    (Pending, Revoke): Denied(NOW_MS, "taken back before it was answered"),
    (Pending, Return): Denied(NOW_MS, "taken back before it was answered"),
    (Pending, Restore): Lapsed(NOW_MS),
    (Preparing, Commit): Active(TERMS, NOW_MS, NOW_MS),
    (Preparing, Revoke): Ended(NOW_MS, "revoked", TERMS),
    (Preparing, Expire): Ended(OVER, "expired", TERMS),
    (Preparing, Return): Ended(NOW_MS, "returned", TERMS),
    (Preparing, Restore): Ended(NOW_MS, "restored", TERMS),
    (Active, Revoke): Ended(NOW_MS, "revoked", TERMS),
    (Active, Expire): Ended(OVER, "expired", TERMS),
    (Active, Return): Ended(NOW_MS, "returned", TERMS),
    (Active, Restore): Ended(NOW_MS, "restored", TERMS),
}
CODES = {
    Pending: "not_approved",
    Preparing: "already_approved",
    Active: "already_approved",
    Denied: "denied",
    Lapsed: "lapsed",
    Ended: "ended",
}
TIMES: dict[type[Event], int] = {Lapse: LAPSES, Expire: OVER}


def test_every_state_and_event_of_the_types_is_in_the_tables() -> None:
    assert set(TRANSITIONS) == set(STATES) == set(get_args(GrantState))
    assert set(events(0)) == set(get_args(Event))
    led = {(state, event): target for state, row in TRANSITIONS.items() for event, target in row.items()}
    assert led == {pair: type(after) for pair, after in HAPPENS.items()}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", events(0))
def test_every_event_leads_where_the_table_says_or_is_refused(
    state: type[GrantState], event: type[Event]
) -> None:
    before = STATES[state]
    after = advance(before, events(TIMES.get(event, NOW_MS))[event])
    expected = HAPPENS.get((state, event))
    if expected is not None:
        assert after == expected
    else:
        code = "already_active" if (state, event) == (Active, Commit) else CODES[state]
        assert isinstance(after, Refusal)
        assert after.code == code
        assert after.reason.endswith(".")


@pytest.mark.parametrize(
    ("state", "event", "code"),
    [
        (STATES[Pending], Approve(LAPSES, TERMS), "lapsed"),
        (STATES[Pending], Approve(OVER, TERMS), "lapsed"),
        (Pending(ASKED, OVER + 1), Approve(OVER, TERMS), "over"),
        (STATES[Pending], Lapse(LAPSES - 1), "not_yet"),
        (STATES[Preparing], Commit(OVER), "over"),
        (STATES[Preparing], Expire(OVER - 1), "not_yet"),
        (STATES[Active], Expire(OVER - 1), "not_yet"),
    ],
)
def test_a_bound_is_over_from_its_own_millisecond_on(state: GrantState, event: Event, code: str) -> None:
    after = advance(state, event)
    assert isinstance(after, Refusal)
    assert after.code == code


def test_a_millisecond_before_its_bound_it_is_not() -> None:
    assert isinstance(advance(STATES[Pending], Approve(LAPSES - 1, TERMS)), Preparing)
    assert isinstance(advance(Pending(ASKED, OVER + 1), Approve(OVER - 1, TERMS)), Preparing)
    assert isinstance(advance(STATES[Preparing], Commit(OVER - 1)), Active)


def test_a_second_approval_changes_nothing_not_even_with_other_terms() -> None:
    for state in (STATES[Preparing], STATES[Active]):
        assert isinstance(advance(state, Approve(NOW_MS, OTHER_TERMS)), Refusal)


# Rank of a state in a life: it only grows, so no state comes back.
RANK: dict[type[GrantState], int] = {Pending: 0, Preparing: 1, Active: 2, Denied: 3, Lapsed: 3, Ended: 3}


def test_in_every_sequence_of_six_events_life_goes_one_way_and_a_no_is_for_ever() -> None:
    """All of them: 8 events at 3 moments each, from well in time to after the end of access."""
    alphabet = [event for at in (NOW_MS, LAPSES, OVER) for event in events(at).values()]
    seen = 0
    # Sequences that share a state share their future, so a walk over states covers all of them.
    front: dict[tuple[GrantState, bool, bool], int] = {(STATES[Pending], False, False): 1}
    for _ in range(6):
        grown: dict[tuple[GrantState, bool, bool], int] = {}
        for (state, approved, finished), count in front.items():
            for event in alphabet:
                result = advance(state, event)
                after = state if isinstance(result, Refusal) else result
                assert after == state or RANK[type(after)] > RANK[type(state)]
                assert not finished or after == state
                if isinstance(event, Revoke | Return | Restore):
                    assert RANK[type(after)] == 3
                if isinstance(after, Active):
                    assert approved
                    assert after.terms == TERMS
                key = (after, approved or isinstance(event, Approve), RANK[type(after)] == 3)
                grown[key] = grown.get(key, 0) + count
                seen += count
        front = grown
    assert sum(front.values()) == 24**6
    assert seen == sum(24**length for length in range(1, 7))


def test_the_walk_over_states_agrees_with_playing_the_sequences_one_by_one() -> None:
    """The same for every sequence of four, without the short cut."""
    alphabet = [events(TIMES.get(kind, NOW_MS))[kind] for kind in events(0)]
    for sequence in itertools.product(alphabet, repeat=4):
        state = STATES[Pending]
        closed: GrantState | None = None
        for event in sequence:
            result = advance(state, event)
            state = state if isinstance(result, Refusal) else result
            assert closed is None or state == closed
            if RANK[type(state)] == 3:
                closed = state


moments = st.integers(ASKED, OVER + DAY * 1000)
some_events = st.one_of(
    st.builds(Approve, moments, st.sampled_from([TERMS, OTHER_TERMS])),
    st.builds(Deny, moments, st.text(max_size=5)),
    *(st.builds(kind, moments) for kind in (Commit, Lapse, Revoke, Expire, Return, Restore)),
)


@given(st.lists(some_events, max_size=12))
def test_whatever_happens_whenever_terms_never_change_and_an_end_is_final(story: list[Event]) -> None:
    state: GrantState = STATES[Pending]
    for event in story:
        result = advance(state, event)
        if isinstance(result, Refusal):
            continue
        assert RANK[type(result)] > RANK[type(state)]
        if isinstance(state, Preparing | Active) and isinstance(result, Active | Ended):
            assert result.terms == state.terms
        state = result
    assert not isinstance(state, Active) or any(isinstance(event, Commit) for event in story)


@pytest.mark.parametrize("state", STATES.values(), ids=[kind.__name__ for kind in STATES])
def test_a_state_is_stored_and_read_back_and_a_field_too_many_is_refused(state: GrantState) -> None:
    stored = msgspec.msgpack.encode(state)
    assert msgspec.msgpack.decode(stored, type=GrantState) == state
    more = msgspec.json.encode({**msgspec.to_builtins(state), "more": 1})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(more, type=GrantState)


BAD_TERMS: dict[str, dict[str, object]] = {
    "nothing is given": {"selectors": ()},
    "a kind of a device twice": {"selectors": (Selector(METER, "energy"), Selector(METER, "energy", ("a",)))},
    "no time": {"data_until": TERMS.data_from},
    "time before 1970": {"data_from": -1},
    "milliseconds": {"data_until": TERMS.data_until * 1000},
    "access in milliseconds": {"access_until": OVER},
}


@pytest.mark.parametrize("changes", BAD_TERMS.values(), ids=BAD_TERMS)
def test_terms_that_cannot_mean_anything_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(TermsError):
        msgspec.structs.replace(TERMS, **changes)


def test_a_selector_of_no_channel_cannot_be_made() -> None:
    with pytest.raises(TermsError):
        Selector(METER, "energy", ())


def test_the_hash_of_the_terms_is_the_one_that_the_document_spells_out() -> None:
    """Written out by hand here, byte by byte."""
    request_hash = ask_hash((ASK,))
    text = (
        '{"access_until":1775044800,"benefit":"10 % off the base fee","data_from":1772366400,'
        '"data_until":1774958400,"purpose":"dpv:ServiceProvision","purpose_text":"Bill by what you use",'
        '"recipients":["Grid operator"],"resolution":"raw","retention":"P90D","selectors":['
        f'{{"channels":null,"device":"{METER}","kind":"energy"}},'
        f'{{"channels":["attic","kitchen"],"device":"{HUB}","kind":"temperature"}}]}}'
    )
    expected = hashlib.sha256(b"hypertouch 1 terms\x00" + request_hash + text.encode()).digest()
    assert terms_hash(request_hash, TERMS) == expected


def test_the_hash_of_a_request_is_the_one_that_the_document_spells_out() -> None:
    text = (
        '[{"access_until":"2027-01-31T00:00:00Z","actions":["read"],"benefit":"10 % off the base fee",'
        '"data_from":"2026-01-01T00:00:00Z","data_until":"2027-01-01T00:00:00Z","datatypes":["energy"],'
        '"purpose":"dpv:ServiceProvision","purpose_text":"Bill by what you use","recipients":[],'
        '"required":true,"resolution":"raw","retention":"P90D","type":"personal_data"}]'
    )
    assert ask_hash((ASK,)) == hashlib.sha256(b"hypertouch 1 asks\x00" + text.encode()).digest()
    assert json.loads(text)


def test_the_hash_does_not_depend_on_the_order_of_selectors_and_channels() -> None:
    turned = msgspec.structs.replace(
        TERMS, selectors=(Selector(HUB, "temperature", ("kitchen", "attic")), Selector(METER, "energy"))
    )
    assert terms_hash(b"r" * 32, turned) == terms_hash(b"r" * 32, TERMS)


CHANGES: dict[str, dict[str, object]] = {
    "selectors": {"selectors": TERMS.selectors[:1]},
    "channels": {"selectors": (Selector(METER, "energy", ("",)), TERMS.selectors[1])},
    "resolution": {"resolution": "day"},
    "data_from": {"data_from": TERMS.data_from - 1},
    "data_until": {"data_until": TERMS.data_until + 1},
    "access_until": {"access_until": TERMS.access_until + 1},
    "purpose": {"purpose": "dpv:Marketing"},
    "purpose_text": {"purpose_text": "Bill by what you use."},
    "retention": {"retention": None},
    "recipients": {"recipients": ()},
    "benefit": {"benefit": ""},
}


def test_the_hash_depends_on_every_field_and_on_the_request() -> None:
    assert {field for change in CHANGES.values() for field in change} == set(Terms.__struct_fields__)
    hashes = {terms_hash(b"r" * 32, msgspec.structs.replace(TERMS, **change)) for change in CHANGES.values()}
    hashes |= {terms_hash(b"r" * 32, TERMS), terms_hash(b"s" * 32, TERMS)}
    assert len(hashes) == len(CHANGES) + 2


def test_a_request_hash_of_another_size_is_refused() -> None:
    with pytest.raises(TermsError):
        terms_hash(b"r" * 31, TERMS)
