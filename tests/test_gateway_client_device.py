"""What an owner sets for a device and what it declared: sealed in the client, opened in the client."""

from __future__ import annotations

from functools import partial

import msgspec
import pytest

from gateway.client import device as devices
from gateway.client.errors import AnswerError, NotFoundError, TermsError
from gateway.dialects.notebook import Notebook
from gateway.dialects.reading import DialectSettings, Lesson
from tests.client_world import Person, someone
from vault.device import Notes, unwrap_notes
from vault.errors import SealError
from vault.store import people
from vault.store.state import Learned

__all__ = ["someone"]
SETTINGS = DialectSettings("Europe/Bucharest", own=("a4c13812cafe",), secret="a pass phrase")
LESSON = Lesson("homeassistant/sensor/kitchen/config", facts={"unit": "°C"}, dialect="home-assistant")


def one(person: Person) -> devices.Device:
    """The only device there is."""
    with person.session() as session:
        return devices.fetch(session).devices[0]


def wrapped(person: Person) -> bytes:
    file = person.host.run(lambda: person.host.writer.file(person.vault))
    found: bytes = person.host.run(lambda: file.row("SELECT wrapped_notes FROM device"))[0]
    return found


def test_a_new_device_has_a_notes_key_that_its_password_unwraps(someone: Person) -> None:
    with someone.session() as session:
        made = devices.add(session, "phone")
    key = someone.owner.notes_key(made.device)
    assert unwrap_notes(made.device, made.password.encode(), wrapped(someone)) == key
    assert one(someone).row.notes
    with someone.session() as session:
        again = devices.rotate(session, one(someone), devices.fetch(session).listens)
    assert unwrap_notes(made.device, again.password.encode(), wrapped(someone)) == key
    with pytest.raises(SealError):
        unwrap_notes(made.device, made.password.encode(), wrapped(someone))


def test_settings_are_what_was_set_last_and_sealed(someone: Person) -> None:
    with someone.session() as session:
        devices.add(session, "phone", SETTINGS)
        assert devices.settings_of(session, one(someone)) == SETTINGS
        other = msgspec.structs.replace(SETTINGS, timezone="Asia/Tokyo", dialect="tasmota")
        devices.configure(session, one(someone), other)
        assert devices.settings_of(session, one(someone)) == other
        devices.rotate(session, one(someone), devices.fetch(session).listens)
        assert devices.settings_of(session, one(someone)) == other
    sealed = one(someone).row.settings
    assert sealed is not None
    assert b"Tokyo" not in sealed
    with someone.session() as session:
        assert [entry.note for _, entry in session.ledger() if entry.what == "device"] == [
            "added", "changed", "rotated",
        ]  # fmt: skip


def test_without_settings_a_device_has_the_defaults(someone: Person) -> None:
    someone.add_device()
    with someone.session() as session:
        assert devices.settings_of(session, one(someone)) == DialectSettings()
        assert devices.lessons_of(session, one(someone)) == ()


def test_what_a_device_declared_is_opened_by_its_owner(someone: Person) -> None:
    device = someone.add_device()
    notes = Notes(device, someone.owner.notes_key(device))
    sealed = notes.seal_lessons(Notebook(lessons=[LESSON]).lessons_bytes(), bytes(12))
    someone.host.run(lambda: someone.host.writer.commit([], [], [Learned(someone.vault, device, sealed)]))
    with someone.session() as session:
        assert devices.lessons_of(session, one(someone)) == (LESSON,)


@pytest.mark.parametrize("sealed", [b"x", bytes(60), b"another's"])
def test_what_does_not_open_is_said_so(someone: Person, sealed: bytes) -> None:
    """A host that offers another's settings, or none of ours."""
    device, other = someone.add_device(), someone.add_device("other")
    if sealed == b"another's":
        sealed = Notes(other, someone.owner.notes_key(other)).seal_settings(b"\x80", bytes(12))
    host = someone.host
    host.run(lambda: people.set_device(host.writer, someone.vault, device, sealed))
    host.run(lambda: host.writer.commit([], [], [Learned(someone.vault, device, sealed)]))
    with someone.session() as session:
        mine = next(found for found in devices.fetch(session).devices if found.id == device)
        with pytest.raises(AnswerError):
            devices.settings_of(session, mine)
        with pytest.raises(AnswerError):
            devices.lessons_of(session, mine)


def test_settings_that_this_version_does_not_know_are_not_guessed_at(someone: Person) -> None:
    device = someone.add_device()
    notes = Notes(device, someone.owner.notes_key(device))
    host = someone.host
    for plain in ({"timezone": "Mars/Olympus"}, {"dialect": "of a later version"}, {"own": 5}, ["a list"]):
        sealed = notes.seal_settings(msgspec.msgpack.encode(plain), bytes(12))
        host.run(partial(people.set_device, host.writer, someone.vault, device, sealed))
        with someone.session() as session, pytest.raises(AnswerError):
            devices.settings_of(session, one(someone))


def test_more_settings_than_a_device_can_have_are_refused_here_and_by_the_host(someone: Person) -> None:
    device = someone.add_device()
    many = DialectSettings(own=tuple(f"{n:012x}" for n in range(30_000)))
    with someone.session() as session, pytest.raises(TermsError):
        devices.configure(session, one(someone), many)
    host = someone.host
    refused = host.run(lambda: people.set_device(host.writer, someone.vault, device, bytes(1 << 20)))
    assert refused is not None
    assert refused.code == "invalid"


def test_a_device_that_is_gone_has_no_settings_to_change(someone: Person) -> None:
    someone.add_device()
    gone = one(someone)
    with someone.session() as session:
        devices.remove(session, gone)
        with pytest.raises(NotFoundError):
            devices.configure(session, gone, SETTINGS)
    assert not one(someone).row.notes  # its password opens nothing any more
