"""The decision on a read: only within the grant, only while it lasts, only here."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decide import Permit, Read, decide
from policies.errors import PermitError, TermsError
from policies.grant import Active, Denied, Ended, Gap, GrantState, Lapsed, Paused, Pending, Preparing, Refusal
from policies.iso8601 import DAY, LAST_SECOND
from policies.minimise import Limit
from policies.terms import Selector, Terms
from policies.wishes import Mode
from tests.policies_samples import HUB, METER, NOW_MS, NOW_S, TERMS

ACTIVE = Active(TERMS, NOW_MS, NOW_MS)
OVER = TERMS.access_until * 1000
RAW = tuple(msgspec.structs.replace(selector, resolution="raw") for selector in TERMS.selectors)


def active(*gaps: Gap, **changes: object) -> Active:
    return Active(msgspec.structs.replace(TERMS, **changes), NOW_MS, NOW_MS, gaps)


def permit(read: Read, now_ms: int = NOW_MS, state: GrantState = ACTIVE) -> Permit:
    decision = decide(read, state, now_ms)
    assert isinstance(decision, Permit)
    return decision


def refuse(read: Read, state: GrantState = ACTIVE, now_ms: int = NOW_MS, used: int = 0) -> str:
    """The code of a refusal; its reason is a sentence."""
    decision = decide(read, state, now_ms, used=used)
    assert isinstance(decision, Refusal)
    assert re.fullmatch(r"(The|This) [a-z, ]+\.", decision.reason)
    return decision.code


def test_a_read_of_everything_gets_exactly_what_was_given() -> None:
    made = permit(Read())
    assert made.selectors == RAW
    assert (made.data_from, made.data_until) == (TERMS.data_from, TERMS.data_until)
    assert (made.access_until, made.mode, made.gaps, made.limits) == (TERMS.access_until, "read", (), ())
    assert not made.empty


def test_a_read_of_one_kind_gets_the_selectors_of_that_kind() -> None:
    assert permit(Read(kinds=("temperature",))).selectors == RAW[1:]
    assert permit(Read(kinds=("energy", "temperature"))).selectors == RAW


def test_every_selector_of_a_permit_says_its_resolution() -> None:
    """That of the terms where it has none of its own."""
    own = (Selector(METER, "energy", None, "hour"), TERMS.selectors[1])
    made = permit(Read(), state=active(selectors=own, resolution="day"))
    assert [selector.resolution for selector in made.selectors] == ["hour", "day"]
    assert [selector.channels for selector in made.selectors] == [None, ("attic", "kitchen")]


def test_a_permit_has_the_limits_of_its_kinds_only() -> None:
    limits = (Limit(kind="energy", round="0.5"), Limit(kind="temperature", every=900))
    state = active(limits=limits)
    assert permit(Read(), state=state).limits == limits
    assert permit(Read(kinds=("temperature",)), state=state).limits == limits[1:]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, [0, 1, 2]),
        (250, None, [1, 2]),
        (200, 300, []),  # half-open on both sides
        (199, 301, [0, 1]),
        (199, 300, [0]),
        (350, 360, [1]),
        (500, 500, []),
    ],
)
def test_a_permit_has_the_gaps_that_meet_its_range_whole(
    since: int | None, until: int | None, expected: list[int]
) -> None:
    """Whole: a bucket that reaches out of the range and into a gap is recognised as touching it."""
    gaps: list[Gap] = [
        (START + since, START + until) for since, until in ((100, 200), (300, 400), (600, 700))
    ]
    read = Read(
        since=None if since is None else START + since, until=None if until is None else START + until
    )
    assert permit(read, state=active(*gaps)).gaps == tuple(gaps[index] for index in expected)


def test_a_grant_of_answers_gives_no_data() -> None:
    state = active(mode="answer")
    assert refuse(Read(), state) == "answers_only"
    assert refuse(Read(kinds=("energy",), since=START), state) == "answers_only"
    made = permit(Read(answers=True), state=state)
    assert made.mode == "answer"


@pytest.mark.parametrize(("mode", "uses"), [("once", 1), ("read", None), ("read", 3)])
def test_a_grant_of_data_gives_answers_too(mode: Mode, uses: int | None) -> None:
    assert permit(Read(answers=True), state=active(mode=mode, uses=uses)).mode == mode


@pytest.mark.parametrize("answers", [False, True])
def test_a_grant_of_three_uses_is_used_three_times(answers: bool) -> None:
    read, state = Read(answers=answers), active(uses=3)
    for used in range(3):
        assert isinstance(decide(read, state, NOW_MS, used=used), Permit)
    for used in (3, 4, 10**9):
        assert refuse(read, state, used=used) == "used_up"
    assert isinstance(decide(read, active(), NOW_MS, used=10**9), Permit)


def test_once_is_one_use_and_its_pages() -> None:
    state = active(mode="once", uses=1)
    assert isinstance(decide(Read(), state, NOW_MS, used=0), Permit)
    assert isinstance(decide(Read(), state, NOW_MS, used=1), Refusal)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (Pending(NOW_MS, NOW_MS + 1), "not_approved"),
        (Preparing(TERMS, NOW_MS), "not_active"),
        (Preparing(TERMS, NOW_MS, ((NOW_S, NOW_S + 1),)), "not_active"),
        (Paused(TERMS, NOW_MS, NOW_MS, NOW_MS), "paused"),
        (Denied(NOW_MS, ""), "denied"),
        (Lapsed(NOW_MS), "lapsed"),
        (Ended(NOW_MS, "revoked", TERMS), "ended"),
        (Ended(NOW_MS, "restored", TERMS), "ended"),
        (Ended(NOW_MS, "used up", TERMS), "ended"),
        (Ended(NOW_MS, "unused", TERMS), "ended"),
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


STATES_OF_TERMS = {
    "read": active(),
    "once": active(mode="once", uses=1),
    "answer": active(mode="answer"),
    "with a gap over its end": active((TERMS.access_until - 5, TERMS.access_until + 5)),
}


def reads_after_the_end(terms: Terms, over: int) -> int:
    """How many of 10,000 moments around the end are refused in time, or not too early."""
    state = Active(terms, NOW_MS, NOW_MS)
    moments = range(over - 5000, over + 5000)
    given = {now for now in moments if isinstance(decide(Read(answers=True), state, now), Permit)}
    return len(given ^ {now for now in moments if now < over})


@pytest.mark.parametrize("state", STATES_OF_TERMS.values(), ids=STATES_OF_TERMS)
def test_of_ten_thousand_moments_around_the_end_exactly_those_before_it_are_given(state: Active) -> None:
    assert reads_after_the_end(state.terms, OVER) == 0


def test_the_control_an_end_that_is_off_by_a_second_or_a_millisecond_is_noticed() -> None:
    assert (
        reads_after_the_end(msgspec.structs.replace(TERMS, access_until=TERMS.access_until + 1), OVER) == 1000
    )
    assert reads_after_the_end(TERMS, OVER - 1) == 1


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


second = st.integers(START - 10 * DAY, END + 10 * DAY)
spans = st.lists(st.tuples(second, second).filter(lambda gap: gap[0] < gap[1]), max_size=4)
details = st.sampled_from([None, "raw", "hour", "day"])


@given(
    kinds,
    maybe,
    maybe,
    st.integers(0, 2 * OVER),
    spans,
    st.tuples(details, details),
    st.sampled_from([("read", None), ("read", 3), ("once", 1), ("answer", None), ("answer", 2)]),
    st.integers(0, 4),
    st.booleans(),
)
def test_no_permit_reaches_beyond_its_grant_or_its_read(
    names: tuple[str, ...] | None,
    since: int | None,
    until: int | None,
    now_ms: int,
    gaps: list[Gap],
    resolutions: tuple[str | None, str | None],
    way: tuple[Mode, int | None],
    used: int,
    answers: bool,
) -> None:
    own = [
        msgspec.structs.replace(selector, resolution=resolution)
        for selector, resolution in zip(TERMS.selectors, resolutions, strict=True)
    ]
    mode, uses = way
    state = active(*gaps, selectors=tuple(own), resolution="day", mode=mode, uses=uses)
    decision = decide(Read(names, since, until, answers), state, now_ms, used=used)
    if isinstance(decision, Refusal):
        return
    assert now_ms < OVER
    assert answers or mode != "answer"
    assert uses is None or used < uses
    given = {selector.kind: selector.resolution for selector in decision.selectors}
    allowed = {selector.kind: selector.resolution or "day" for selector in own}
    assert given.items() <= allowed.items()
    assert names is None or set(given) == set(names)
    assert {(one.device, one.channels) for one in decision.selectors} <= {
        (one.device, one.channels) for one in own
    }
    assert START <= decision.data_from <= decision.data_until <= END
    if not decision.empty:
        assert since is None or decision.data_from >= since
        assert until is None or decision.data_until <= until
        met = [gap for gap in gaps if max(gap[0], decision.data_from) < min(gap[1], decision.data_until)]
        assert list(decision.gaps) == met


def test_a_kind_that_two_devices_give_in_different_detail_stays_so() -> None:
    own = (Selector(METER, "energy", None, "raw"), Selector(HUB, "energy", None, "day"))
    made = permit(Read(kinds=("energy",)), state=active(selectors=own, resolution="day"))
    assert made.selectors == own


def test_milliseconds_are_not_taken_for_seconds() -> None:
    for since, until in ((NOW_MS, None), (None, NOW_MS), (-NOW_MS, None), (None, LAST_SECOND + 1)):
        with pytest.raises(TermsError, match=r"^a read is bounded in seconds, not milliseconds$"):
            Read(None, since, until)
    assert Read(since=-LAST_SECOND, until=LAST_SECOND).until == LAST_SECOND


def test_nobody_else_makes_a_permit() -> None:
    for stamp in (None, object(), True, "decide"):
        with pytest.raises(PermitError, match=r"^only decide makes a permit$"):
            Permit(RAW, START, END, END, (), (), "read", stamp)


def test_a_permit_cannot_be_widened_copied_or_sent_elsewhere() -> None:
    made = permit(Read(kinds=("energy",), until=START + 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, "data_" + "until", END)
    with pytest.raises(PermitError):
        dataclasses.replace(made, data_until=END, made_by=None)
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(
            PermitError, match=r"^a permit is not copied or sent elsewhere: decide again there$"
        ):
            copying(made)
    with pytest.raises(TypeError):
        msgspec.json.decode(b"{}", type=Permit)


def test_a_permit_has_no_subclass_that_would_pass_for_one() -> None:
    with pytest.raises(PermitError, match=r"^a permit has no subclasses$"):
        type("Forged", (Permit,), {"__post_init__": lambda *_: None})
