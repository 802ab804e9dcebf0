"""The life of a grant: every state meets every event, and nothing ever comes back to life."""

from __future__ import annotations

import itertools
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.grant import (
    GAPS_MAX,
    TRANSITIONS,
    UNUSED_MS,
    Active,
    Approve,
    Commit,
    Denied,
    Deny,
    Disuse,
    Ended,
    Event,
    Exhaust,
    Expire,
    Gap,
    GrantState,
    Lapse,
    Lapsed,
    Pause,
    Paused,
    Pending,
    Preparing,
    Refusal,
    Restore,
    Resume,
    Return,
    Revise,
    Revoke,
    advance,
)
from policies.iso8601 import DAY
from policies.terms import Terms
from tests.policies_samples import NOW_MS, TERMS

ASKED = NOW_MS - 3_600_000
LAPSES = NOW_MS + 7 * DAY * 1000
OVER = TERMS.access_until * 1000
OTHER_TERMS = msgspec.structs.replace(TERMS, benefit="")
LONG_TERMS = msgspec.structs.replace(TERMS, access_until=TERMS.access_until + 365 * DAY)
GAPS: tuple[Gap, ...] = ((NOW_MS // 1000 - 60, NOW_MS // 1000 - 30),)
RESUMED: tuple[Gap, ...] = (*GAPS, (NOW_MS // 1000 - 20, NOW_MS // 1000))

STATES: dict[type[GrantState], GrantState] = {
    Pending: Pending(ASKED, LAPSES),
    Preparing: Preparing(TERMS, NOW_MS, GAPS),
    Active: Active(TERMS, NOW_MS, NOW_MS, GAPS),
    Paused: Paused(TERMS, NOW_MS, NOW_MS, NOW_MS - 20_000, GAPS),
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
        Revise: Revise(at, OTHER_TERMS),
        Pause: Pause(at),
        Resume: Resume(at),
        Exhaust: Exhaust(at),
        Disuse: Disuse(at, 0),
    }


# What happens when nothing is too early or too late.  What is not here is refused, with the code below.
HAPPENS: dict[tuple[type[GrantState], type[Event]], GrantState] = {
    (Pending, Approve): Preparing(TERMS, NOW_MS),
    (Pending, Deny): Denied(NOW_MS, "no thanks"),
    (Pending, Lapse): Lapsed(LAPSES),
    (Pending, Revoke): Denied(NOW_MS, "taken back before it was answered"),
    (Pending, Return): Denied(NOW_MS, "taken back before it was answered"),
    (Pending, Restore): Lapsed(NOW_MS),
    (Preparing, Commit): Active(TERMS, NOW_MS, NOW_MS, GAPS),
    (Preparing, Revoke): Ended(NOW_MS, "revoked", TERMS),
    (Preparing, Expire): Ended(OVER, "expired", TERMS),
    (Preparing, Return): Ended(NOW_MS, "returned", TERMS),
    (Preparing, Restore): Ended(NOW_MS, "restored", TERMS),
    (Active, Revoke): Ended(NOW_MS, "revoked", TERMS),
    (Active, Expire): Ended(OVER, "expired", TERMS),
    (Active, Return): Ended(NOW_MS, "returned", TERMS),
    (Active, Restore): Ended(NOW_MS, "restored", TERMS),
    (Active, Revise): Preparing(OTHER_TERMS, NOW_MS, GAPS),
    (Active, Pause): Paused(TERMS, NOW_MS, NOW_MS, NOW_MS, GAPS),
    (Active, Exhaust): Ended(NOW_MS, "used up", TERMS),
    (Active, Disuse): Ended(NOW_MS + UNUSED_MS, "unused", TERMS),
    (Paused, Revoke): Ended(NOW_MS, "revoked", TERMS),
    (Paused, Expire): Ended(OVER, "expired", TERMS),
    (Paused, Return): Ended(NOW_MS, "returned", TERMS),
    (Paused, Restore): Ended(NOW_MS, "restored", TERMS),
    (Paused, Resume): Active(TERMS, NOW_MS, NOW_MS, RESUMED),
}
CODES = {
    Pending: "not_approved",
    Preparing: "already_approved",
    Active: "already_approved",
    Paused: "paused",
    Denied: "denied",
    Lapsed: "lapsed",
    Ended: "ended",
}
TIMES: dict[type[Event], int] = {Lapse: LAPSES, Expire: OVER, Disuse: NOW_MS + UNUSED_MS}


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
        code = "already_active" if state is Active and event in (Commit, Resume) else CODES[state]
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
        (STATES[Paused], Expire(OVER - 1), "not_yet"),
        (STATES[Active], Revise(OVER, TERMS), "over"),
        (STATES[Active], Revise(OVER, LONG_TERMS), "over"),  # what is over cannot be extended
        (Active(LONG_TERMS, NOW_MS, NOW_MS), Revise(OVER, TERMS), "over"),
        (STATES[Active], Pause(OVER), "over"),
        (STATES[Paused], Resume(OVER), "over"),
        (STATES[Active], Disuse(NOW_MS + UNUSED_MS - 1, 0), "not_yet"),
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
    assert isinstance(advance(STATES[Active], Revise(OVER - 1, LONG_TERMS)), Preparing)
    assert isinstance(advance(Active(LONG_TERMS, NOW_MS, NOW_MS), Revise(OVER - 1, TERMS)), Preparing)
    assert isinstance(advance(STATES[Active], Pause(OVER - 1)), Paused)
    assert isinstance(advance(STATES[Paused], Resume(OVER - 1)), Active)


def test_a_second_approval_changes_nothing_not_even_with_other_terms() -> None:
    for state in (STATES[Preparing], STATES[Active], STATES[Paused]):
        assert isinstance(advance(state, Approve(NOW_MS, OTHER_TERMS)), Refusal)


PAUSES: dict[str, tuple[tuple[Gap, ...], int, int, tuple[Gap, ...]]] = {
    "a gap is whole seconds, outward": ((), 10_900, 12_001, ((10, 13),)),
    "to the millisecond of a second, that second is not in it": ((), 10_000, 12_000, ((10, 12),)),
    "within one second, it is that second": ((), 10_100, 10_200, ((10, 11),)),
    "at one moment, too": ((), 10_000, 10_000, ((10, 11),)),
    "a clock that was put back": ((), 10_500, 3_000, ((10, 11),)),
    "a second gap": (((1, 2),), 10_000, 12_000, ((1, 2), (10, 12))),
    "one that touches the last": (((1, 2), (5, 10)), 10_400, 12_000, ((1, 2), (5, 12))),
    "one that overlaps the last": (((1, 2), (5, 11)), 10_400, 12_000, ((1, 2), (5, 12))),
    "one before others, after a clock that was put back": (
        ((5, 11), (20, 30)),
        1_000,
        2_000,
        ((1, 2), (5, 11), (20, 30)),
    ),
    "one that joins others": (((5, 11), (20, 30)), 10_000, 25_000, ((5, 30),)),
}


@pytest.mark.parametrize(("before", "since", "at", "after"), PAUSES.values(), ids=PAUSES)
def test_of_a_pause_a_gap_remains(
    before: tuple[Gap, ...], since: int, at: int, after: tuple[Gap, ...]
) -> None:
    paused = advance(Active(TERMS, 1, 2, before), Pause(since))
    assert paused == Paused(TERMS, 1, 2, since, before)
    assert advance(paused, Resume(at)) == Active(TERMS, 1, 2, after)


def test_a_grant_is_paused_sixty_four_times_and_not_more() -> None:
    state: GrantState = Active(TERMS, NOW_MS, NOW_MS)
    for number in range(GAPS_MAX):
        for event in (Pause(NOW_MS + 2000 * number), Resume(NOW_MS + 2000 * number + 500)):
            result = advance(state, event)
            assert not isinstance(result, Refusal)
            state = result
    assert isinstance(state, Active)
    assert len(state.gaps) == GAPS_MAX
    refusal = advance(state, Pause(NOW_MS + DAY * 1000))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "too_often"
    assert isinstance(advance(state, Revoke(NOW_MS + DAY * 1000)), Ended)


IDLE: dict[str, tuple[Active, int, int]] = {
    "never used": (Active(LONG_TERMS, 1, NOW_MS + 5), 0, NOW_MS + 5),
    "used": (Active(LONG_TERMS, 1, NOW_MS), NOW_MS + 7, NOW_MS + 7),
    "used before these terms": (Active(LONG_TERMS, 1, NOW_MS), NOW_MS - 7, NOW_MS),
    "resumed since": (Active(LONG_TERMS, 1, 2, RESUMED), 9, NOW_MS),
    "its data begins later": (
        Active(msgspec.structs.replace(LONG_TERMS, data_from=NOW_MS // 1000 + DAY), 1, 2),
        9,
        NOW_MS + DAY * 1000,
    ),
}


@pytest.mark.parametrize(("state", "last_used", "since"), IDLE.values(), ids=IDLE)
def test_a_grant_ends_when_nobody_used_it_for_ninety_days(state: Active, last_used: int, since: int) -> None:
    ends = since + 90 * DAY * 1000
    early = advance(state, Disuse(ends - 1, last_used))
    assert isinstance(early, Refusal)
    assert early.code == "not_yet"
    assert advance(state, Disuse(ends, last_used)) == Ended(ends, "unused", state.terms)


def test_no_revision_loses_a_gap_and_none_reaches_a_grant_that_rests() -> None:
    revised = advance(STATES[Active], Revise(NOW_MS + 5, LONG_TERMS))
    assert revised == Preparing(LONG_TERMS, NOW_MS + 5, GAPS)
    assert advance(revised, Commit(NOW_MS + 6)) == Active(LONG_TERMS, NOW_MS + 5, NOW_MS + 6, GAPS)
    refusal = advance(STATES[Paused], Revise(NOW_MS, OTHER_TERMS))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "paused"


# Rank of a state in a life: it only grows, so no state comes back; among those in force it goes to and fro.
RANK: dict[type[GrantState], int] = {
    Pending: 0,
    Preparing: 1,
    Active: 1,
    Paused: 1,
    Denied: 3,
    Lapsed: 3,
    Ended: 3,
}


def goes_on(before: GrantState, after: GrantState) -> bool:
    """Whether a grant may go from one to the other: not back, and with its gaps."""
    if isinstance(before, Preparing | Active | Paused) and isinstance(after, Preparing | Active | Paused):
        gaps = {second for gap in before.gaps for second in range(*gap)}
        return gaps <= {second for gap in after.gaps for second in range(*gap)}
    return RANK[type(after)] > RANK[type(before)]


def test_the_control_a_life_that_goes_back_or_forgets_a_gap_is_noticed() -> None:
    for before, after in (
        (STATES[Ended], STATES[Active]),
        (STATES[Preparing], STATES[Pending]),
        (STATES[Denied], STATES[Lapsed]),
        (STATES[Active], Paused(TERMS, NOW_MS, NOW_MS, NOW_MS, ())),
        (STATES[Active], Preparing(TERMS, NOW_MS, ((GAPS[0][0] + 1, GAPS[0][1]),))),
    ):
        assert not goes_on(before, after)


def test_in_every_sequence_of_six_events_life_goes_one_way_and_a_no_is_for_ever() -> None:
    """All of them: 13 events at 3 moments each, from well in time to after the end of access."""
    alphabet = [event for at in (NOW_MS, LAPSES, OVER) for event in events(at).values()]
    seen = 0
    # Sequences that share a state share their future, so a walk over states covers all of them.
    front: dict[tuple[GrantState, Terms | None, bool], int] = {(STATES[Pending], None, False): 1}
    for _ in range(6):
        grown: dict[tuple[GrantState, Terms | None, bool], int] = {}
        for (state, said, finished), count in front.items():
            for event in alphabet:
                result = advance(state, event)
                after = state if isinstance(result, Refusal) else result
                assert after == state or goes_on(state, after)
                assert not finished or after == state
                if isinstance(event, Revoke | Return | Restore):
                    assert RANK[type(after)] == 3
                told = event.terms if isinstance(event, Approve | Revise) and after != state else said
                if isinstance(after, Active | Paused):
                    assert after.terms == told
                key = (after, told, RANK[type(after)] == 3)
                grown[key] = grown.get(key, 0) + count
                seen += count
        front = grown
    assert sum(front.values()) == 39**6
    assert seen == sum(39**length for length in range(1, 7))


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
    st.builds(Revise, moments, st.sampled_from([TERMS, OTHER_TERMS, LONG_TERMS])),
    st.builds(Deny, moments, st.text(max_size=5)),
    st.builds(Disuse, moments, moments),
    *(
        st.builds(kind, moments)
        for kind in (Commit, Lapse, Revoke, Expire, Return, Restore, Pause, Resume, Exhaust)
    ),
)


@given(st.sampled_from([*STATES.values()]), st.lists(some_events, max_size=12))
def test_whatever_happens_whenever_terms_change_by_the_person_alone_and_an_end_is_final(
    state: GrantState, story: list[Event]
) -> None:
    for event in story:
        result = advance(state, event)
        if isinstance(result, Refusal):
            continue
        assert RANK[type(result)] > RANK[type(state)] or goes_on(state, result)
        if isinstance(state, Preparing | Active | Paused) and not isinstance(
            result, Pending | Denied | Lapsed
        ):
            assert result.terms == (event.terms if isinstance(event, Revise) else state.terms)
        if isinstance(result, Active | Paused | Preparing):
            assert list(result.gaps) == sorted(result.gaps)
            assert all(one[1] < two[0] for one, two in itertools.pairwise(result.gaps))
            assert all(since < until for since, until in result.gaps)
        state = result


@pytest.mark.parametrize("state", STATES.values(), ids=[kind.__name__ for kind in STATES])
def test_a_state_is_stored_and_read_back_and_a_field_too_many_is_refused(state: GrantState) -> None:
    stored = msgspec.msgpack.encode(state)
    assert msgspec.msgpack.decode(stored, type=GrantState) == state
    more = msgspec.json.encode({**msgspec.to_builtins(state), "more": 1})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(more, type=GrantState)
