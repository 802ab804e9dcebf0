"""Pins against what a host shows: every way of going back or aside is told, going on is not."""

from __future__ import annotations

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.client.errors import AnswerError, ClientError, ForkedError, RolledBackError
from gateway.client.verify import Pins, check_chain, follow_page, further
from vault.ids import SegmentId, VaultId
from vault.ledger import Head, SealedEntry, extend

VAULT = VaultId(bytes(16))
SEGMENT = SegmentId(b"s" * 16)


def chain(size: int, said: str = "a", start: Head | None = None) -> tuple[list[SealedEntry], list[Head]]:
    """``size`` entries and the head after each, the start included."""
    heads, entries = [start or Head()], []
    for _ in range(size):
        entry = SealedEntry(heads[-1].number + 1, SEGMENT, f"{said}{heads[-1].number}".encode())
        entries.append(entry)
        heads.append(extend(VAULT, heads[-1], entry))
    return entries, heads


def pinned(head: Head, generation: int = 3) -> Pins:
    return Pins(VAULT, b"hpke", b"sign", 1, head, generation)


def page(entries: list[SealedEntry], head: Head, generation: int = 3) -> wire.Ledger:
    return wire.Ledger(entries, [], head, generation)


ENTRIES, HEADS = chain(8)
OTHERS, OTHER_HEADS = chain(6, "b", HEADS[2])  # a history that left ours after entry 2: entries 3 to 8
PINNED = pinned(HEADS[5])

TRUE = {
    "nothing new": page([], HEADS[5]),
    "three more entries": page(ENTRIES[5:], HEADS[8]),
    "the first two of three, as a first page": page(ENTRIES[5:7], HEADS[8]),
    "an entry that came after its head was read": page(ENTRIES[5:7], HEADS[6]),
    "a higher generation": page([], HEADS[5], 4),
}
FALSE: dict[str, tuple[wire.Ledger, type[ClientError]]] = {
    "a shorter ledger": (page([], HEADS[4]), RolledBackError),
    "an empty ledger": (page([], Head()), RolledBackError),
    "a lower generation": (page([], HEADS[5], 2), RolledBackError),
    "a lower generation with more entries": (page(ENTRIES[5:], HEADS[8], 2), RolledBackError),
    "as many entries, but others": (page([], OTHER_HEADS[3]), ForkedError),
    "more entries of another history": (page(OTHERS[3:], OTHER_HEADS[6]), ForkedError),
    "our entries, but a head they do not lead to": (page(ENTRIES[5:], OTHER_HEADS[6]), ForkedError),
    "a gap": (page(ENTRIES[6:], HEADS[8]), ForkedError),
    "entries out of order": (page(ENTRIES[5:][::-1], HEADS[8]), ForkedError),
    "an entry twice": (page([ENTRIES[5], ENTRIES[5]], HEADS[6]), ForkedError),
    "an entry from before": (page(ENTRIES[4:6], HEADS[6]), ForkedError),
    "an altered entry": (
        page([SealedEntry(6, SEGMENT, b"x")], HEADS[6]),
        ForkedError,
    ),
    "an entry under another segment": (
        page([SealedEntry(6, b"t" * 16, ENTRIES[5].sealed)], HEADS[6]),
        ForkedError,
    ),
    "an entry whose segment is no id": (page([SealedEntry(6, b"", b"x")], HEADS[6]), ForkedError),
    "a head beyond, and nothing to follow": (page([], HEADS[8]), AnswerError),
}


@pytest.mark.parametrize("shown", TRUE.values(), ids=TRUE)
def test_a_host_that_goes_on_is_believed(shown: wire.Ledger) -> None:
    after = follow_page(PINNED, shown)
    assert after.head == HEADS[5 + len(shown.entries)]
    assert after.generation == shown.generation


@pytest.mark.parametrize(("shown", "error"), FALSE.values(), ids=FALSE)
def test_a_host_that_does_not_is_told_apart(shown: wire.Ledger, error: type[ClientError]) -> None:
    with pytest.raises(error):
        follow_page(PINNED, shown)


@given(st.integers(0, 8), st.integers(0, 8))
def test_of_our_own_history_only_what_reaches_the_pin_is_believed(at: int, shown: int) -> None:
    answer = page(ENTRIES[at:shown], HEADS[shown])
    if shown >= at:
        assert follow_page(pinned(HEADS[at]), answer).head == HEADS[shown]
    else:
        with pytest.raises(RolledBackError):
            follow_page(pinned(HEADS[at]), answer)


@given(st.integers(3, 8), st.integers(3, 8))
def test_a_fork_is_never_believed_however_long_it_grew(at: int, shown: int) -> None:
    """Control: pinned before the histories parted, either one may be the true one."""
    answer = page(OTHERS[at - 2 : shown - 2] if shown > at else [], OTHER_HEADS[shown - 2])
    with pytest.raises((ForkedError, RolledBackError)):
        follow_page(pinned(HEADS[at]), answer)
    assert follow_page(pinned(HEADS[2]), page(OTHERS, OTHER_HEADS[6])).head == OTHER_HEADS[6]


def test_a_whole_chain_must_pass_through_the_pinned_head() -> None:
    assert check_chain(PINNED, ENTRIES, HEADS[8], Head()) == HEADS[8]
    with pytest.raises(ForkedError):
        check_chain(PINNED, ENTRIES[:2] + OTHERS, OTHER_HEADS[6], Head())
    with pytest.raises(ForkedError):
        check_chain(PINNED, ENTRIES, OTHER_HEADS[6], Head())


def test_of_two_commands_that_ran_at_once_the_further_pin_is_kept() -> None:
    near, far = pinned(HEADS[2]), pinned(HEADS[6])
    assert further(near, far) == further(far, near) == far
    restored = pinned(HEADS[1], 9)
    assert further(far, restored) == restored
    ruled = msgspec.structs.replace(near, rules=2, rules_hash=b"two")
    both = msgspec.structs.replace(far, rules=2, rules_hash=b"two")
    assert further(ruled, far) == further(far, ruled) == both


def test_another_vaults_ledger_does_not_follow() -> None:
    foreign = Pins(VaultId.new(os.urandom), b"hpke", b"sign", 1, Head(), 1)
    with pytest.raises(ForkedError):
        follow_page(foreign, page(ENTRIES, HEADS[8]))
