"""How often a passphrase may be tried (ACCEPTANCE D12)."""

from __future__ import annotations

from gateway.node.login import BURST, INTERVAL_S, PAIRS, LoginGate

VAULT = bytes(16)


def test_ten_attempts_at_once_then_ten_a_minute() -> None:
    gate = LoginGate()
    assert [gate.wait(VAULT, "a", 0.0) for _ in range(BURST)] == [0] * BURST
    assert gate.wait(VAULT, "a", 0.0) == INTERVAL_S
    counted = sum(gate.wait(VAULT, "a", second / 10) == 0 for second in range(600))
    assert counted == 9  # within the minute that follows


def test_a_refused_attempt_does_not_put_the_next_one_off() -> None:
    gate = LoginGate()
    for _ in range(BURST):
        gate.wait(VAULT, "a", 0.0)
    waits = [gate.wait(VAULT, "a", 1.0) for _ in range(1000)]
    assert set(waits) == {5}
    assert gate.wait(VAULT, "a", 6.0) == 0


def test_one_source_does_not_keep_the_owner_out_from_another() -> None:
    gate = LoginGate()
    for _ in range(1000):
        gate.wait(VAULT, "attacker", 0.0)
    assert gate.wait(VAULT, "owner", 0.0) == 0
    assert gate.wait(b"\1" * 16, "attacker", 0.0) == 0


def test_what_is_remembered_is_bounded() -> None:
    gate = LoginGate()
    for number in range(PAIRS + 100):
        assert gate.wait(number.to_bytes(16, "big"), "a", 0.0) == 0
    assert len(gate._due) == PAIRS
