"""A store that meets every misfortune in any order, beside an oracle of twenty lines (P5)."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.buckets_oracle import never_partial_never_twice
from tests.world import Device, Fault, FaultyFiles, Killed, World, at, scratch
from vault.errors import VaultError
from vault.ids import VaultId
from vault.observation import Observation
from vault.store.state import Arrival, Learned
from vault.store.writer import Note, Writer

Sent = tuple[int, int, Observation]  # whose device, packet id, reading
PEOPLE = st.integers(0, 2)


class Oracle:
    """What must be found: every acknowledged value once, one in doubt at most once, nothing else."""

    def __init__(self) -> None:
        self.acknowledged: set[float] = set()
        self.in_doubt: set[float] = set()

    def sent(self, value: float, acknowledged: bool) -> None:
        (self.acknowledged if acknowledged else self.in_doubt).add(value)
        if acknowledged:
            self.in_doubt.discard(value)

    def check(self, found: list[object]) -> dict[str, int]:
        counts = Counter(found)
        known = self.acknowledged | self.in_doubt
        return {
            "LOSS": len(self.acknowledged - counts.keys()),
            "DUP": sum(count - 1 for count in counts.values()),
            "PHANTOM": len(counts.keys() - known),
            "BAD": sum(not isinstance(value, float) for value in found),
        }


class Story(RuleBasedStateMachine):
    """Devices of three people send; the disk and the process fail; the node starts again."""

    writer_class: type[Writer] = Writer

    def __init__(self) -> None:
        super().__init__()
        self.path = scratch()
        self.world = World(self.path, FaultyFiles())
        self.devices: list[Device] = [self.world.person(str(n)).device() for n in range(3)]
        self.oracles = [Oracle() for _ in self.devices]
        self.unanswered: list[Sent] = []  # what a device would send again
        self.answered: list[Sent] = []
        self.count = 0
        self.sealed = False  # since buckets were last looked at
        self.world.writer_class = self.writer_class
        self.world.reopen()

    def teardown(self) -> None:
        self.world.kill()
        shutil.rmtree(self.path)

    def _send(self, sent: Sent, *, again: bool = False) -> None:
        who, packet, reading = sent
        device, world, value = self.devices[who], self.world, reading.value
        assert isinstance(value, float)
        try:
            stored = device.publish(reading, packet=packet, again=again)
        except Killed:
            stored = False
            world.crash()
        if stored or value not in self.oracles[who].acknowledged:
            self.oracles[who].sent(value, stored)
        if stored:
            self.answered.append(sent)
        else:
            self.unanswered.append(sent)

    @rule(who=PEOPLE, many=st.integers(5, 9), minutes=st.sampled_from([0, 0, 30, 70, 200]))
    def publish_many(self, who: int, many: int, minutes: int) -> None:
        """As many as a bucket needs, some of them late."""
        for _ in range(many):
            self.count += 1
            self._send((who, self.count, at(self.world, -60 * minutes, self.count)))

    @rule(who=st.lists(PEOPLE, min_size=1, max_size=6), days=st.sampled_from([0, 0, 0, 1, 40]))
    def publish(self, who: list[int], days: int) -> None:
        """New messages; some of another day."""
        for one in who:
            self.count += 1
            self._send((one, self.count, at(self.world, -86_400 * days - self.count, self.count)))

    @rule(
        who=st.lists(PEOPLE, min_size=2, max_size=6),
        step=st.integers(1, 8),
        fault=st.sampled_from(Fault),
        after=st.booleans(),
        moving=st.booleans(),
    )
    def publish_on_a_bad_disk(
        self, who: list[int], step: int, fault: Fault, after: bool, moving: bool
    ) -> None:
        """New messages, and somewhere among them something goes wrong, once."""
        self.world.files.fail(step, fault, after=after)
        self.publish(who, 0)
        if moving:
            self.move()
        self.world.files.heal()

    @precondition(lambda self: self.unanswered)
    @rule()
    def redeliver(self) -> None:
        """A message that was not acknowledged comes again, on a new connection."""
        self._send(self.unanswered.pop(0), again=True)

    @precondition(lambda self: self.answered)
    @rule()
    def redeliver_although_acknowledged(self) -> None:
        """The acknowledgement got lost on its way."""
        self._send(self.answered[-1], again=True)

    @rule(
        step=st.integers(1, 12),
        fault=st.sampled_from(Fault),
        after=st.booleans(),
        persistent=st.booleans(),
    )
    def fail(self, step: int, fault: Fault, after: bool, persistent: bool) -> None:
        """Something will go wrong soon."""
        self.world.files.fail(step, fault, after=after, persistent=persistent)

    @rule()
    def heal(self) -> None:
        """The disk has space again."""
        self.world.files.heal()

    @rule()
    def kill(self) -> None:
        """kill -9"""
        self.world.crash()

    @rule()
    def move(self) -> None:
        """What a node does every second."""
        self._housekeeping(self.world.writer.move_all)

    @rule(hours=st.integers(1, 30))
    def day_passes(self, hours: int) -> None:
        """Segments close behind their day."""
        self.world.pass_time(hours * 3_600_000)
        self._housekeeping(self._seal)
        self._housekeeping(self.world.writer.close_quiet)

    @rule(minutes=st.integers(1, 90))
    def hour_passes(self, minutes: int) -> None:
        """Buckets are finished behind their hour."""
        self.world.pass_time(minutes * 60_000)
        self._housekeeping(self._seal)

    @rule()
    def stop_and_start(self) -> None:
        """SIGTERM, and up again."""
        self.world.files.heal()
        self.world.reopen()

    @invariant()
    def everything_acknowledged_is_there_once(self) -> None:
        if self.world.files.armed:
            return
        for device, oracle in zip(self.devices, self.oracles, strict=True):
            try:
                self.world.flush(device.person)
            except VaultError:  # it failed before: a node asks again every second
                self.world.writer.move_all()
            assert not any(oracle.check(device.person.values()).values()), oracle.check(
                device.person.values()
            )
            device.person.told()  # its chain holds
            if self.sealed:
                never_partial_never_twice(device.person)
        self.sealed = False

    def _seal(self) -> None:
        self.sealed = True
        self.world.writer.seal_buckets()

    def _housekeeping(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Killed:
            self.world.crash()
        except VaultError:
            return


def run(machine: type[RuleBasedStateMachine], examples: int, *, shrink: bool = True) -> None:
    phases = tuple(
        phase for phase in Phase if phase is not Phase.explain and (shrink or phase is not Phase.shrink)
    )
    chosen = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        phases=phases,
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(machine, settings=chosen)


def test_nothing_is_lost_doubled_invented_or_altered_whatever_happens() -> None:
    """LOSS = DUP = PHANTOM = BAD = 0."""
    run(Story, settings().max_examples // 2)


class _Boastful(Writer):
    """Says that a commit is stored when it is not."""

    def commit(
        self, arrivals: Sequence[Arrival], notes: Sequence[Note] = (), learned: Sequence[Learned] = ()
    ) -> set[VaultId]:
        try:
            return super().commit(arrivals, notes, learned)
        except VaultError:
            return set()


class _Forgetful(Writer):
    """Remembers no digest of what it has moved."""

    def _digests(self, *_: object) -> dict[int, bytes]:
        return {}


class _Repeating(Writer):
    """Moves what it finds in the journal, whatever the file says."""

    def _replay(self) -> None:
        for vault in self.data.vault_ids():
            connection = self.files.connect(self.data.vault_db(vault))
            connection.execute("UPDATE vault SET moved = 0")
            connection.close()
        super()._replay()


@pytest.mark.parametrize("bad", [_Boastful, _Forgetful, _Repeating])
def test_a_writer_with_a_known_fault_is_found_out(bad: type[Writer]) -> None:
    """The controls: a suite that these pass would prove nothing."""
    machine = type("Bad" + bad.__name__, (Story,), {"writer_class": bad})
    with pytest.raises((AssertionError, VaultError)):
        run(machine, 500, shrink=False)
