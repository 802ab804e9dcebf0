"""The pure parts behind the door: what is in flight, who is connected, what is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ProtocolError
from gateway.mqtt import PUBACK_WORD, PUBREC_WORD, Publish, Reason
from gateway.node.limits import Budget, Limits, Throttle
from gateway.node.registry import Registry
from gateway.node.window import Window


def message(packet_id: int, payload: bytes = b"x", qos: int = 1, *, dup: bool = False) -> Publish:
    return Publish("a", payload, qos, dup, False, packet_id)


def test_acknowledgements_leave_in_the_order_of_receipt_whatever_is_stored_first() -> None:
    window = Window("me", 10)
    batches = [window.take([message(n), message(n + 1)]) for n in (1, 3, 5)]
    assert window.stored(batches[2]) == []
    assert window.stored(batches[1]) == []
    assert window.stored(batches[0]) == [PUBACK_WORD | n for n in range(1, 7)]
    assert (window.messages, window.bytes) == (0, 0)


def test_what_has_no_quality_of_service_is_delivered_and_not_acknowledged() -> None:
    window = Window("me", 10)
    batch = window.take([message(0, qos=0), message(1), message(0, qos=0)])
    assert len(batch.deliveries) == 3
    assert window.stored(batch) == [PUBACK_WORD | 1]


RETRIES: dict[str, tuple[Publish, bool, bool]] = {
    "the same with DUP": (message(1, dup=True), False, False),
    "the same id and DUP with other content": (message(1, b"y", dup=True), True, False),
    "the same id without DUP": (message(1), True, True),
    "another id with DUP": (message(2, dup=True), True, True),
    "DUP of an id that another one has displaced": (message(1 + 4096, dup=True), True, True),
}


@pytest.mark.parametrize("stored_before", [True, False])
@pytest.mark.parametrize("name", RETRIES)
def test_a_retry_within_a_connection_is_acknowledged_again_and_counted_once(
    name: str, stored_before: bool
) -> None:
    again, delivered, fresh = RETRIES[name]
    window = Window("me", 10)
    first = window.take([message(1)])
    words = window.stored(first) if stored_before else []
    second = window.take([again])
    assert [one.fresh for one in second.deliveries] == ([fresh] if delivered else [])
    words += window.stored(second)
    words += [] if stored_before else window.stored(first)
    assert words == [PUBACK_WORD | 1, PUBACK_WORD | again.packet_id]


def test_a_qos_2_id_is_a_duplicate_until_it_is_released() -> None:
    window = Window("me", 10)
    first = window.take([message(1, qos=2)])
    again = window.take([message(1, b"whatever", qos=2, dup=True)])
    assert (len(first.deliveries), len(again.deliveries)) == (1, 0)
    assert window.stored(first) + window.stored(again) == [PUBREC_WORD | 1] * 2
    assert window.release(1)
    assert not window.release(1)
    assert len(window.take([message(1, qos=2)]).deliveries) == 1


def test_a_release_before_the_message_is_stored_is_refused() -> None:
    window = Window("me", 10)
    window.take([message(1, qos=2)])
    with pytest.raises(ProtocolError):
        window.release(1)


def test_unreleased_ids_are_bounded_by_the_receive_maximum() -> None:
    window = Window("me", 3)
    for n in (1, 2, 3):
        window.stored(window.take([message(n, qos=2)]))
    with pytest.raises(ProtocolError) as caught:
        window.take([message(4, qos=2)])
    assert caught.value.reason == Reason.RECEIVE_MAXIMUM_EXCEEDED


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 6), st.sampled_from([0, 1, 2]), st.booleans()), max_size=5)),
    st.randoms(use_true_random=False),
)
def test_every_message_is_acknowledged_once_in_order(
    batches: list[list[tuple[int, int, bool]]], random: st.DataObject
) -> None:
    window = Window("me", 100)
    taken = [
        window.take([message(pid if qos else 0, qos=qos, dup=dup and qos > 0) for pid, qos, dup in batch])
        for batch in batches
    ]
    expected = [
        (PUBACK_WORD if qos == 1 else PUBREC_WORD) | pid for batch in batches for pid, qos, _ in batch if qos
    ]
    random.shuffle(taken)  # type: ignore[attr-defined]  # a random.Random by strategy
    assert [word for batch in taken for word in window.stored(batch)] == expected
    assert (window.messages, window.bytes) == (0, 0)


def test_budget_wakes_who_waits_once_there_is_room() -> None:
    budget, woken = Budget(100), list[str]()
    budget.take(150)
    assert budget.full
    budget.wait(lambda: woken.append("a"))
    budget.wait(lambda: woken.append("b"))
    budget.give(10)
    assert woken == []
    budget.give(100)
    budget.give(40)
    assert woken == ["a", "b"]


def test_wrong_credentials_are_answered_at_once_then_slowly_then_not_at_all() -> None:
    throttle = Throttle(burst=3, interval=0.5, longest=1.0)
    waits = [throttle.failed("192.0.2.1", 100.0) for _ in range(7)]
    assert waits == [0.0, 0.0, 0.0, 0.5, 1.0, None, None]
    assert throttle.failed("192.0.2.2", 100.0) == 0.0
    assert throttle.failed("192.0.2.1", 200.0) == 0.0


def test_a_source_is_a_customer_and_the_table_is_bounded() -> None:
    throttle = Throttle(burst=1, interval=1.0, longest=0.0, sources=2)
    assert throttle.failed("2001:db8::1", 5.0) == 0.0
    assert throttle.failed("2001:db8::ffff:2%eth0", 5.0) is None
    assert throttle.failed("::ffff:192.0.2.1", 5.0) == 0.0
    assert throttle.failed("192.0.2.1", 5.0) is None
    assert throttle.failed("not an address", 5.0) == 0.0
    assert throttle.failed("2001:db8::3", 5.0) == 0.0, "the oldest was forgotten"


class Guest:
    """A member of the registry that remembers how it ended."""

    def __init__(self) -> None:
        self.reasons: list[Reason | None] = []
        self.ended = False

    def cut(self, reason: Reason | None) -> None:
        self.reasons.append(reason)

    def drain(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True

    def check(self, now: float) -> None:
        self.ended = self.ended or now < 0


def guests(registry: Registry, count: int) -> list[Guest]:
    made = [Guest() for _ in range(count)]
    for one in made:
        registry.enter(one)
    return made


def test_a_flood_of_strangers_pushes_out_its_own_oldest_and_no_device() -> None:
    registry = Registry(connections=100, strangers=3, device_connections=9)
    [device] = guests(registry, 1)
    assert registry.admit(device, "meter", "me")
    strangers = guests(registry, 5)
    assert [one.reasons for one in strangers] == [[None], [None], [], [], []]
    assert device.reasons == []


def test_a_full_door_makes_room_among_strangers_and_then_says_no() -> None:
    registry = Registry(connections=3, strangers=9, device_connections=9)
    first, second = guests(registry, 2)
    registry.admit(first, "meter", "a")
    registry.admit(second, "meter", "b")
    [stranger] = guests(registry, 1)
    newcomer = Guest()
    assert registry.enter(newcomer)
    assert stranger.reasons == [None]
    registry.leave(stranger)
    registry.admit(newcomer, "meter", "c")
    assert not registry.enter(Guest())
    registry.leave(first)
    assert registry.enter(Guest())


def test_a_client_id_is_taken_over_within_its_device_only() -> None:
    registry = Registry(99, 99, 99)
    mine, other, nameless, again = guests(registry, 4)
    registry.admit(mine, "meter", "me")
    registry.admit(other, "hub", "me")
    registry.admit(nameless, "meter", "")
    assert registry.admit(again, "meter", "me")
    assert [one.reasons for one in (mine, other, nameless, again)] == [[Reason.TAKEN_OVER], [], [], []]
    assert registry.of("meter") == [nameless, again]
    registry.leave(mine)
    assert registry.of("meter") == [nameless, again]


def test_connections_of_one_device_are_bounded_but_a_takeover_needs_no_room() -> None:
    registry = Registry(99, 99, 2)
    first, second, third, again = guests(registry, 4)
    assert registry.admit(first, "meter", "a")
    assert registry.admit(second, "meter", "b")
    assert not registry.admit(third, "meter", "c")
    assert registry.admit(again, "meter", "a")
    for one in (first, second, third, again):
        registry.leave(one)
    assert len(registry) == 0
    assert registry.of("meter") == []


def test_limits_hold_what_pipelining_clients_need() -> None:
    """A window of 2000 never waits for anything but the disk."""
    limits = Limits()
    assert limits.window_messages > 2000
    assert limits.window_bytes >= 2000 * 1024
    assert limits.total_bytes >= 4 * limits.window_bytes
