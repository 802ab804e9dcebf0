"""A session signs its calls and holds the host to what was seen before."""

from __future__ import annotations

import os
import random
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import wire
from gateway.client import device
from gateway.client.errors import DistrustError, ImpostorError, NotAuthorisedError, RolledBackError
from gateway.client.session import Identity, Session
from tests.client_world import Person, someone
from vault.ids import ClientId
from vault.ledger import Entry

__all__ = ["someone"]


def look(session: Session) -> wire.Overview:
    return session.ask(wire.GetOverview(), wire.Overview)


def test_the_ledger_is_followed_before_the_first_answer_and_only_then(someone: Person) -> None:
    someone.host.calls.clear()
    with someone.session() as session:
        look(session)
        look(session)
    assert someone.host.calls == ["GetLedger", "GetOverview", "GetOverview"]


def test_pins_move_forward_over_several_pages_and_are_kept(someone: Person) -> None:
    for _ in range(12):
        someone.host.record(someone.vault, Entry(someone.host.clock(), "read", readings=1))
    with someone.session() as session:
        overview = look(session)
    assert someone.pins.head == overview.head
    assert overview.head.number == 14  # created, enrolled, and twelve reads


def test_what_a_session_changed_is_pinned_at_its_end(someone: Person) -> None:
    before = someone.pins.head.number
    someone.add_device()
    assert someone.pins.head.number > before
    with someone.session() as session:
        assert look(session).head == someone.pins.head


def test_an_unknown_client_is_refused(someone: Person) -> None:
    stranger = Identity(ClientId.new(os.urandom), Ed25519PrivateKey.generate())
    with pytest.raises(NotAuthorisedError), someone.session(identity=stranger) as session:
        look(session)


def test_another_key_under_a_known_client_id_is_refused(someone: Person) -> None:
    forged = Identity(someone.identity.client, Ed25519PrivateKey.generate())
    with pytest.raises(NotAuthorisedError), someone.session(identity=forged) as session:
        look(session)


@pytest.mark.slow
def test_every_older_copy_and_every_fork_is_noticed(someone: Person, tmp_path: Path) -> None:
    """50 copies of a growing vault, each put back alone and grown in another direction (E12)."""
    host, rng = someone.host, random.Random(12)
    copies: list[Path] = []
    for number in range(25):
        copies.append(tmp_path / f"copy-{number}")
        host.copy(copies[-1])
        someone.add_device(f"device {number}")
    newest = tmp_path / "newest"
    host.copy(newest)
    noticed = 0
    for copy in copies:
        host.turn_back(copy)
        with pytest.raises(DistrustError), someone.session() as session:
            look(session)
        for _ in range(rng.randrange(1, 60)):
            host.record(someone.vault, Entry(host.clock(), "read", readings=1))
        with pytest.raises(DistrustError), someone.session() as session:
            look(session)
        noticed += 2
    assert noticed == 50
    host.turn_back(newest)  # the control: the true vault is believed again
    with someone.session() as session:
        assert look(session).devices == 25


def test_a_lower_generation_is_a_roll_back(someone: Person) -> None:
    with someone.session() as session:
        look(session)
    ahead = msgspec.structs.replace(someone.pins, generation=someone.pins.generation + 1)
    with pytest.raises(RolledBackError), someone.session(ahead) as session:
        look(session)


def test_other_keys_than_the_pinned_are_an_impostor(someone: Person) -> None:
    with someone.session() as session:
        look(session)
    changes: tuple[dict[str, object], ...] = (
        {"hpke_public": bytes(1216)},
        {"verify_key": bytes(32)},
        {"suite": 2},
    )
    for changed in changes:
        pins = msgspec.structs.replace(someone.pins, **changed)
        with pytest.raises(ImpostorError), someone.session(pins) as session:
            look(session)


def test_accepting_pins_what_the_host_shows(someone: Person, tmp_path: Path) -> None:
    host = someone.host
    host.copy(tmp_path / "copy")
    someone.add_device()
    host.turn_back(tmp_path / "copy")
    with someone.session() as session:
        head = session.accept()
        assert look(session).head == head == someone.pins.head


def test_the_whole_ledger_opens_in_order(someone: Person) -> None:
    someone.add_device()
    with someone.session() as session:
        entries = list(session.ledger())
    assert [number for number, _ in entries] == [1, 2, 3]
    assert [entry.what for _, entry in entries] == ["created", "enrolled", "device"]


def test_names_of_devices_are_the_owners_alone(someone: Person) -> None:
    made = someone.add_device("Bedroom lamp")
    with someone.session() as session:
        found = device.fetch(session)
    assert [(one.id, one.name) for one in found.live] == [(made, "Bedroom lamp")]
    files = b"".join(path.read_bytes() for path in someone.host.data.path.rglob("*") if path.is_file())
    assert b"Bedroom" not in files
    assert b"test" in files  # the control: the client's own name is in clear
