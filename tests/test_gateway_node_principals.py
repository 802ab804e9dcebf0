"""An owner's writes against every wrong principal: whoever calls, another's vault stays as it is."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import wire
from gateway.client import person as persons
from gateway.client.http import Http
from gateway.node.owner import OwnerCalls
from gateway.wire.deciding import KINDS_MAX
from gateway.wire.owner import REASON_MAX
from policies.rules import Rules, encode_rules
from tests.client_world import Person, number
from tests.owner_host import START, Clock, OwnerHost, serve
from tests.test_gateway_client_approve import ENERGY_ASK
from vault.ids import BlackoutId, BrandId, ClientId, DeviceId, GrantId, TouchpointId, VaultId
from vault.ledger import Head
from vault.statement import Release, Replacement, Signed, StandingRules, sign
from vault.store.records import Rewritten, Taught
from vault.store.rewrite import RESERVE_MAX


class Home(NamedTuple):
    """Two people on one node; what the first has is what every call here names."""

    first: Person
    second: Person
    device: DeviceId
    brand: BrandId
    touchpoint: TouchpointId
    grant: GrantId
    blackout: BlackoutId
    lost: ClientId  # a client of the first that was ended
    lost_key: Ed25519PrivateKey

    def signed(self, statement: Release | Replacement | StandingRules) -> Signed:
        """The first's statement, as it lies in the first's vault for whoever could copy it."""
        return sign(self.first.owner.signing, self.first.vault, statement)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with serve(OwnerHost(tmp_path / "data", Clock())) as host:
        first, second = Person(host), Person(host)
        device, brand = first.add_device(), host.brand()
        host.publish(first.vault, device, [number("energy", START, 1.0)])
        touchpoint, blackout = host.touchpoint(first.vault, brand), BlackoutId.new(os.urandom)
        lost = persons.enrol(Http(host.url), first.opened, "lost", os.urandom)
        with first.session() as session:
            session.tell(wire.EndClient(lost.client), wire.Done)
            session.tell(wire.AddBlackout(blackout, START // 1000, START // 1000 + 86_400, []), wire.Done)
        grant = host.ask(first.vault, brand, touchpoint, ENERGY_ASK)
        yield Home(first, second, device, brand, touchpoint, grant, blackout, lost.client, lost.key)


EMPTY = Rewritten(b"", b"", (), (), (), (), ())
# Of each write there is: one that names what the first has, and what the second is told who sends it for the
# second's own vault ("done": it did something there).
WRITES: list[tuple[Callable[[Home], wire.OwnerWrite], str]] = [
    (lambda h: wire.AddDevice(h.device, b"", bytes(32)), "conflict"),
    (lambda h: wire.RotateDevice(h.device, bytes(32)), "not_found"),
    (lambda h: wire.SetDevice(h.device, b""), "not_found"),
    (lambda h: wire.RemoveDevice(h.device), "not_found"),
    (lambda h: wire.PauseDevice(h.device, True), "not_found"),
    (
        lambda h: wire.ReleaseDevice(h.device, h.signed(Release(h.device.text, START, "sale"))),
        "not_authorised",
    ),
    (lambda h: wire.NewTouchpoint(h.touchpoint, h.brand), "conflict"),
    (lambda h: wire.RevokeTouchpoint(h.touchpoint), "not_found"),
    (lambda h: wire.Prepare(h.grant, h.signed(StandingRules(1, b"", START))), "not_found"),
    (lambda h: wire.CommitGrant(h.grant, [], bytes(32)), "not_found"),
    (lambda h: wire.Deny(h.grant, ""), "not_found"),
    (lambda h: wire.Revoke(h.grant), "not_found"),
    (lambda h: wire.Rewrap(h.second.opened.wrapped, bytes(32), b""), "done"),
    (lambda h: wire.EndClient(h.first.identity.client), "not_found"),
    (lambda h: wire.Replace(h.signed(Replacement((), (), bytes(32))), []), "not_authorised"),
    (
        lambda h: wire.Teach(h.signed(Replacement((), (), bytes(32))), Taught(h.device, (), (), ())),
        "not_authorised",
    ),
    (lambda _: wire.Reserve(1), "done"),
    (lambda h: wire.Rewrite(h.signed(Replacement((), (), bytes(32))), EMPTY), "not_authorised"),
    (lambda h: wire.PauseGrant(h.grant, True), "not_found"),
    (
        lambda h: wire.SetRules(h.signed(StandingRules(1, encode_rules(Rules()), h.first.host.clock()))),
        "not_authorised",
    ),
    (lambda h: wire.AddBlackout(h.blackout, 0, 1, []), "done"),
    (lambda h: wire.EndBlackout(h.blackout), "not_found"),
]
NAMES = [get_args(wire.OwnerWrite)[at].__name__ for at in range(len(WRITES))]


def envelope(
    home: Home, vault: VaultId, client: ClientId, key: Ed25519PrivateKey, call: wire.OwnerWrite
) -> wire.Envelope:
    now = home.first.host.clock()
    return wire.Envelope(vault, client, now, os.urandom(16), Head(), wire.encode(call)).signed(key)


def told(home: Home, made: wire.Envelope) -> str:
    """What the node answers: "done", or the code of its refusal."""
    host = home.first.host
    reply = host.run(lambda: OwnerCalls(host.writer, lambda _: None).apply(made))
    return reply.code if isinstance(reply, wire.Refused) else "done"


def everything(home: Home) -> list[str]:
    """All that the first's file says."""
    host = home.first.host
    host.run(lambda: host.writer.move(home.first.vault))
    with closing(sqlite3.connect(host.data.vault_db(home.first.vault))) as connection:
        return list(connection.iterdump())


def test_every_write_there_is_has_a_case(home: Home) -> None:
    assert [type(make(home)) for make, _ in WRITES] == list(get_args(wire.OwnerWrite))


STRANGERS: dict[str, Callable[[Home, wire.OwnerWrite], wire.Envelope]] = {
    "a client that was ended": lambda h, call: envelope(h, h.first.vault, h.lost, h.lost_key, call),
    "the other's client": lambda h, call: envelope(
        h, h.first.vault, h.second.identity.client, h.second.identity.key, call
    ),
    "the other's key under the client's id": lambda h, call: envelope(
        h, h.first.vault, h.first.identity.client, h.second.identity.key, call
    ),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_no_write_is_taken_from_a_stranger(home: Home, stranger: str) -> None:
    before = everything(home)
    codes = {told(home, STRANGERS[stranger](home, make(home))) for make, _ in WRITES}
    assert codes == {"not_authorised"}
    assert everything(home) == before


@pytest.mark.parametrize(("make", "code"), WRITES, ids=NAMES)
def test_a_write_for_ones_own_vault_reaches_nothing_of_anothers(
    home: Home, make: Callable[[Home], wire.OwnerWrite], code: str
) -> None:
    before = everything(home)
    mine = home.second.identity
    assert told(home, envelope(home, home.second.vault, mine.client, mine.key, make(home))) == code
    assert everything(home) == before
    assert (
        home.first.host.run(lambda: home.first.host.writer.registry.locate(home.device)) == home.first.vault
    )


def test_the_control_is_taken_from_the_owner(home: Home) -> None:
    before, mine = everything(home), home.first.identity
    for call in (wire.EndBlackout(home.blackout), wire.Deny(home.grant, ""), wire.RemoveDevice(home.device)):
        assert told(home, envelope(home, home.first.vault, mine.client, mine.key, call)) == "done"
        assert everything(home) != before
        before = everything(home)


BOUNDED: dict[str, tuple[int, Callable[[Home, int], wire.OwnerWrite]]] = {
    "the kinds of a blackout": (
        KINDS_MAX,
        lambda _, count: wire.AddBlackout(BlackoutId.new(os.urandom), 0, 1, ["energy"] * count),
    ),
    "the reason of a no": (REASON_MAX, lambda h, count: wire.Deny(h.grant, "a" * count)),
    "reserved numbers": (RESERVE_MAX, lambda _, count: wire.Reserve(count)),
}


@pytest.mark.parametrize(("most", "make"), BOUNDED.values(), ids=BOUNDED)
def test_a_call_holds_so_much_and_no_more(
    home: Home, most: int, make: Callable[[Home, int], wire.OwnerWrite]
) -> None:
    mine = home.first.identity
    for count, code in ((most + 1, "invalid"), (most, "done")):
        made = envelope(home, home.first.vault, mine.client, mine.key, make(home, count))
        assert told(home, made) == code
