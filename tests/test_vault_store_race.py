"""Approvals, changes, pauses and revocations at once: every history is that of one after the other (D6, P3).

A scheduler draws which of two to eight actors goes on, from a seed.  An actor may be interrupted between its
calls, and within a call at the worst place there is: when it has decided and not yet written.  What each call
was answered is recorded with when it began and ended, and searched for an order that explains it all.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from msgspec.structs import replace

from policies.decide import Permit
from policies.grant import Active, GrantState, Paused, Pending, Preparing
from tests.world import Asked, Device, World, scratch
from vault.errors import SealError
from vault.grantkey import unwrap
from vault.ids import BrandId, GrantId, VaultId
from vault.ledger import Entry
from vault.segment import Lane, open_grant_box
from vault.statement import Signed
from vault.store import grants, transition
from vault.store.records import No
from vault.store.transition import CHANGED
from vault.store.writer import Writer

SCHEDULES = min(10_000, 5 * settings().max_examples)  # 10,000 in the release run, a tenth in CI
EACH = 100  # schedules of one store
KINDS = ("humidity", "temperature")
Actor = Generator[None, None, None]


class Call(NamedTuple):
    """A call as it was seen from outside: ``began`` and ``ended`` are counts of what happened."""

    began: int
    ended: int
    what: str
    of: bytes  # the statement, where it is about one
    before: tuple[int, bytes]  # generation and predecessor that the statement names
    said: str  # "ok", "no", "changed", or what a read saw


class Model(NamedTuple):
    """The life of one grant in six words, told apart from ``policies.grant``."""

    phase: str = "pending"
    statement: bytes = b""
    generation: int = 0

    def after(self, call: Call) -> tuple[str, Model]:
        """What a call is answered, and what is then."""
        phase, statement, generation = self
        match call.what, phase:
            case "read", _:
                return statement.hex() if phase == "active" else "nothing", self
            case "prepare", "preparing" if statement == call.of:
                return "ok", self
            case "prepare", "pending" if call.before == (generation, b""):
                return "ok", Model("preparing", call.of, generation)
            case "prepare", "active" if call.before == (generation, statement) and statement:
                return "ok", Model("preparing", call.of, generation + 1)
            case "commit", "preparing" if statement == call.of:
                return "ok", Model("active", statement, generation)
            case "pause", "active":
                return "ok", Model("paused", statement, generation + 1)
            case "resume", "paused":
                return "ok", Model("active", statement, generation)
            case "deny", "pending":
                return "ok", Model("over", b"", generation + 1)
            case (("revoke" | "return"), ("pending" | "preparing" | "active" | "paused")):
                return "ok", Model("over", b"", generation + 1)
            case _:
                return "no", self


def explained(history: Sequence[Call], start: Model) -> Model | None:
    """An end state of some order of these calls that keeps to when they ran and what they were answered.

    None: there is none (Wing and Gong, 1993; what was tried is remembered, Lowe 2017).
    """
    tried: set[tuple[frozenset[int], Model]] = set()

    def search(left: frozenset[int], model: Model) -> Model | None:
        if not left:
            return model
        if (left, model) in tried:
            return None
        tried.add((left, model))
        first_end = min(history[one].ended for one in left)
        for one in left:
            call = history[one]
            if call.began > first_end:
                continue
            said, after = ("changed", model) if call.said == "changed" else model.after(call)
            if said == call.said and (found := search(left - {one}, after)) is not None:
                return found
        return None

    return search(frozenset(range(len(history))), start)


class Interrupted(Writer):
    """Lets somebody else go first when a change was decided and is not yet written."""

    interrupt: Callable[[], None] = staticmethod(lambda: None)

    def transact(self, vault: VaultId, entry: Entry | None, *steps: Any, **more: Any) -> None:
        self.interrupt()
        super().transact(vault, entry, *steps, **more)


class Race:
    """Actors at one grant, in the order that a seed draws."""

    def __init__(self, meter: Device, brand: BrandId, seed: int) -> None:
        self.random, self.meter, self.world = random.Random(seed), meter, meter.person.world
        self.writer, self.vault = self.world.writer, meter.person.vault
        self.asked = Asked(meter.person, brand, *KINDS)
        slot, wrapped = self.asked.drawn.slot, self.asked.drawn.wrapped_seed
        self.recipient = unwrap(self.asked.token(), slot, wrapped, self.vault)
        self.start = Model(generation=self.generation)
        self.history: list[Call] = []
        self.now = 0
        roles = [self.approver, self.approver, self.reviser, self.reviser, self.pauser, self.reader]
        ends = [self.revoker, self.denier, self.returner]
        chosen = self.random.sample(roles + ends, self.random.randint(2, 8))
        self.actors: list[Actor] = [role() for role in chosen]
        self.running: list[Actor] = []

    @property
    def generation(self) -> int:
        return self.writer.file(self.vault).generation()

    def run(self) -> None:
        """Every actor to its end."""
        assert isinstance(self.writer, Interrupted)
        self.writer.interrupt = self.interrupt
        try:
            while self.actors:
                self.step(self.random.choice(self.actors))
        finally:
            del self.writer.interrupt

    def interrupt(self) -> None:
        """Within a call: perhaps somebody else goes on, perhaps two."""
        while self.random.random() < 0.5:
            idle = [actor for actor in self.actors if actor not in self.running]
            if not idle:
                return
            self.step(self.random.choice(idle))

    def step(self, actor: Actor) -> None:
        self.running.append(actor)
        try:
            next(actor)
        except StopIteration:
            self.actors.remove(actor)
        finally:
            self.running.remove(actor)

    def call(
        self,
        what: str,
        make: Callable[[], object],
        of: bytes = b"",
        before: tuple[int, bytes] = (0, b""),
    ) -> str:
        """Make a call and write down what came of it."""
        self.now += 1
        began, outcome = self.now, make()
        said = outcome if isinstance(outcome, str) else "no" if isinstance(outcome, No) else "ok"
        said = "changed" if outcome == CHANGED else said
        self.now += 1
        self.history.append(Call(began, self.now, what, of, before, said))
        return said

    # --- who takes part ---------------------------------------------------------------------------------

    def approver(self) -> Actor:
        yield from self.sign(revising=False)

    def reviser(self) -> Actor:
        yield
        for _ in range(2):
            yield from self.sign(revising=True)

    def sign(self, *, revising: bool) -> Actor:
        """Look, sign, prepare, commit, as a client does; others may come between any two."""
        person, asked = self.meter.person, self.asked
        seen = (self.generation, person.in_force(asked) if revising else b"")
        kinds = self.random.choice([KINDS, KINDS[:1], KINDS[1:]])
        days = self.random.randint(5, 400_000)  # so that no two statements are the same
        terms = asked.terms(*map(self.meter.selector, kinds))
        terms = replace(terms, access_until=terms.data_until + days)
        signed = person.statement(asked, terms, generation=seen[0], predecessor=seen[1])
        of = _hash(signed)
        yield
        args = self.writer, self.vault, asked.grant
        if self.call("prepare", lambda: grants.prepare(*args, signed), of, seen) != "ok":
            return
        yield
        world = self.world
        world.writer.move(self.vault)
        rows = world.reader.segments(self.vault, 0, 1 << 30)
        boxes = person.boxes(asked, replace(terms, data_from=0), rows)
        self.call("commit", lambda: grants.commit(*args, boxes, of), of)

    def pauser(self) -> Actor:
        args = self.writer, self.vault, self.asked.grant
        for paused in (True, False, True, False):
            yield
            what = "pause" if paused else "resume"
            self.call(what, lambda paused=paused: grants.pause(*args, paused=paused))  # type: ignore[misc]  # bound now

    def reader(self) -> Actor:
        """What a door would give now, and by which statement."""
        for _ in range(4):
            yield
            self.call("read", self.look)

    def look(self) -> str:
        row = self.world.reader.grant(self.vault, self.asked.grant)
        slot = self.world.reader.slot(self.vault, self.asked.grant)
        if row is None or slot is None or not isinstance(self.asked.permit(), Permit):
            return "nothing"
        assert row.statement is not None
        return _hash(row.statement).hex()

    def revoker(self) -> Actor:
        yield from self.insist("revoke", grants.revoke)

    def returner(self) -> Actor:
        yield from self.insist("return", grants.give_back)

    def insist(self, what: str, end: Callable[[Writer, VaultId, GrantId], No | None]) -> Actor:
        """Again while somebody else was faster."""
        said = "changed"
        while said == "changed":
            yield
            said = self.call(what, lambda: end(self.writer, self.vault, self.asked.grant))

    def denier(self) -> Actor:
        yield
        self.call("deny", lambda: grants.deny(self.writer, self.vault, self.asked.grant, ""))

    # --- what must hold ---------------------------------------------------------------------------------

    def faults(self) -> Iterator[str]:
        """What is wrong with how it ended."""
        end = explained(self.history, self.start)
        state = self.writer.file(self.vault).state(self.asked.grant)
        if end is None:
            yield "no order explains it"
        elif (_phase(state), self.generation) != (end.phase, end.generation):
            yield "it ended otherwise"
        if any(c.said == "ok" and c.what in ("revoke", "return", "deny") for c in self.history):
            if _phase(state) != "over" or self.look() != "nothing":
                yield "it came back"
            if self.world.reader.slot(self.vault, self.asked.grant) is not None:
                yield "its secret is still there"
        if self.writer.live.generation(self.vault) != self.generation:
            yield "the live file is of another generation"
        yield from self.sealed(state)

    def sealed(self, state: GrantState | None) -> Iterator[str]:
        """Whom a reading of now, and all that is kept, is sealed to."""
        for kind in KINDS:
            self.meter.send(1, kind=kind)
        self.world.flush(self.meter.person)
        given = state.terms.kinds if isinstance(state, Preparing | Active | Paused) else ()
        boxes = self.world.reader.boxes(self.vault, self.asked.grant, 0)
        key_id, found = self.meter.person.owner.key_id, set[str]()
        for _, segments, box in boxes:
            try:
                keys = open_grant_box(self.recipient, key_id, self.vault, self.asked.grant, segments, box)
            except SealError:
                yield "a box does not open"
                continue
            found |= {Lane.decode(key.lane).kind for key in keys}
        if not found <= set(given):
            yield "keys of what is not given"
        if isinstance(state, Active) and found != set(given):
            yield "keys are missing"
        if isinstance(self.asked.permit(), Permit) is not isinstance(state, Active):
            yield "what is not in force is read"


def _hash(signed: Signed) -> bytes:
    return hashlib.sha256(signed.body).digest()


def _phase(state: GrantState | None) -> str:
    match state:
        case Pending():
            return "pending"
        case Preparing():
            return "preparing"
        case Active():
            return "active"
        case Paused():
            return "paused"
        case _:
            return "over"


def run(seeds: Collection[int], stop: bool = False) -> tuple[Counter[str], Counter[str]]:
    """The faults of so many schedules, and what their calls were answered; a store serves a hundred."""
    faults, said = Counter[str](), Counter[str]()
    for first in range(0, len(seeds), EACH):
        path = scratch()
        world = World(path)
        world.close()
        world.writer_class = Interrupted
        world.open()
        meter, brand = world.person().device(), world.brand()
        for kind in KINDS:
            meter.send(1, kind=kind)
        for seed in list(seeds)[first : first + EACH]:
            race = Race(meter, brand, seed)
            race.run()
            faults.update(race.faults())
            said.update(f"{call.what} {call.said}" for call in race.history if call.what != "read")
            world.pass_time(1000)
            if stop and faults:
                break
        world.kill()
        shutil.rmtree(path)
        if stop and faults:
            break
    return faults, said


def test_every_history_is_that_of_one_call_after_the_other_and_an_end_is_for_ever() -> None:
    """ACCEPTANCE D6."""
    faults, said = run(range(SCHEDULES))
    assert faults == {}
    every = {"prepare", "commit", "pause", "resume", "revoke", "return", "deny"}
    assert {what for what in every if said[f"{what} ok"] and said[f"{what} no"]} == every
    assert sum(many for what, many in said.items() if what.endswith("changed")) > SCHEDULES / 20


def test_the_control_that_looks_before_the_transaction_and_not_in_it_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transition, "still", lambda *_: True)
    faults, _ = run(range(SCHEDULES), stop=True)
    assert faults["no order explains it"] or faults["it came back"] or faults["it ended otherwise"]


IMPOSSIBLE: dict[str, list[tuple[int, int, str, str]]] = {
    "read after it was revoked": [(1, 2, "revoke", "ok"), (3, 4, "read", "00")],
    "revoked twice": [(1, 4, "revoke", "ok"), (2, 3, "revoke", "ok")],
    "a yes after the end": [(1, 2, "deny", "ok"), (3, 4, "prepare", "ok")],
    "refused without a reason": [(1, 2, "deny", "no")],
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_the_search_finds_no_order_where_there_is_none(case: str) -> None:
    history = [Call(b, e, what, b"\0", (0, b""), said) for b, e, what, said in IMPOSSIBLE[case]]
    assert explained(history, Model()) is None


def test_the_search_finds_the_one_order_there_is() -> None:
    history = [
        Call(1, 8, "revoke", b"", (0, b""), "ok"),
        Call(2, 3, "prepare", b"\1", (0, b""), "ok"),
        Call(4, 7, "commit", b"\1", (0, b""), "ok"),
        Call(5, 6, "read", b"", (0, b""), "01"),
        Call(9, 10, "read", b"", (0, b""), "nothing"),
    ]
    assert explained(history, Model()) == Model("over", b"", 1)
