"""What the node knows of a connected device: opened with its key, undone with its commit, never a crash."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec
import pytest

from gateway.dialects.notebook import EMPTY, Notebook
from gateway.dialects.reading import DialectSettings, Lesson
from gateway.node.known import Known
from vault.device import Notes
from vault.ids import DeviceId, VaultId
from vault.observation import Observation

VAULT, DEVICE = VaultId(b"v" * 16), DeviceId(b"d" * 16)
KEY = b"k" * 32
NOTES = Notes(DEVICE, KEY)
NONCES = itertools.count()
ONE, TWO = Lesson("one", facts={"a": "1"}), Lesson("two", facts={"b": "2"})
SETTINGS = DialectSettings("Asia/Tokyo")


@pytest.fixture(autouse=True)
def _nobody_writes_into_the_notebook_that_all_share() -> Iterator[None]:
    yield
    assert EMPTY.lessons == ()


def entropy(size: int) -> bytes:
    return next(NONCES).to_bytes(size, "big")


def sealed_settings(settings: object) -> bytes:
    return NOTES.seal_settings(msgspec.msgpack.encode(settings), entropy(12))


def sealed_lessons(*lessons: Lesson) -> bytes:
    return NOTES.seal_lessons(Notebook(lessons=lessons).lessons_bytes(), entropy(12))


def opened(sealed: bytes | None) -> tuple[Lesson, ...]:
    assert sealed is not None
    return Notebook.decode_lessons(NOTES.open_lessons(sealed))


def test_a_device_of_which_nothing_is_noted_shares_one_empty_notebook() -> None:
    assert Known(VAULT, DEVICE, KEY, None, None).notebook is EMPTY
    assert Known(VAULT, DEVICE, None, sealed_settings(SETTINGS), sealed_lessons(ONE)).notebook is EMPTY


def test_what_was_set_and_learned_is_there_when_it_connects() -> None:
    known = Known(VAULT, DEVICE, KEY, sealed_settings(SETTINGS), sealed_lessons(ONE, TWO))
    assert known.notebook.settings == SETTINGS
    assert known.notebook.lessons == (ONE, TWO)


def test_lessons_are_sealed_all_together() -> None:
    known = Known(VAULT, DEVICE, KEY, None, sealed_lessons(ONE))
    assert known.learn([TWO])
    assert opened(known.seal(entropy)) == (ONE, TWO)
    known.settle(stored=True)
    assert not known.learn([ONE, TWO])  # known already: nothing to store
    assert EMPTY.lessons == ()


def test_every_lesson_of_a_message_is_taken() -> None:
    known = Known(VAULT, DEVICE, KEY, None, None)
    assert known.learn([ONE, TWO])
    assert known.notebook.lessons == (ONE, TWO)


@pytest.mark.parametrize("before", [(), (ONE,)])
def test_what_was_not_stored_was_not_learned(before: tuple[Lesson, ...]) -> None:
    known = Known(VAULT, DEVICE, KEY, sealed_settings(SETTINGS), sealed_lessons(*before) if before else None)
    assert known.learn([TWO])
    known.seal(entropy)
    known.settle(stored=False)
    assert known.notebook.lessons == before
    assert known.learn([TWO])
    known.seal(entropy)
    known.settle(stored=True)
    assert known.learn([Lesson("three", facts={"c": "3"})])
    known.seal(entropy)
    known.settle(stored=False)
    assert known.notebook.lessons == (*before, TWO)
    assert known.notebook.settings == SETTINGS


def test_new_settings_hold_at_once_and_lessons_stay() -> None:
    known = Known(VAULT, DEVICE, KEY, None, sealed_lessons(ONE))
    assert known.notebook.settings == DialectSettings()
    known.configure(sealed_settings(SETTINGS))
    assert (known.notebook.settings, known.notebook.lessons) == (SETTINGS, (ONE,))
    known.configure(b"")
    assert (known.notebook.settings, known.notebook.lessons) == (DialectSettings(), (ONE,))


BAD_SETTINGS = {
    "not sealed": b"plain",
    "under another key": Notes(DEVICE, b"x" * 32).seal_settings(msgspec.msgpack.encode(SETTINGS), bytes(12)),
    "lessons": sealed_lessons(ONE),
    "an unknown zone": sealed_settings({"timezone": "Mars/Olympus"}),
    "an unknown dialect": sealed_settings({"dialect": "of a later version"}),
    "a list": sealed_settings([1]),
    "not MessagePack": NOTES.seal_settings(b"\xc1", bytes(12)),
    "deep": NOTES.seal_settings(b"\x81\xa3own" + b"\x91" * 100_000, bytes(12)),
    "nothing": NOTES.seal_settings(b"", bytes(12)),
}


@pytest.mark.parametrize("fault", BAD_SETTINGS)
def test_settings_that_do_not_open_are_none_and_lessons_hold(fault: str) -> None:
    known = Known(VAULT, DEVICE, KEY, BAD_SETTINGS[fault], sealed_lessons(ONE))
    assert (known.notebook.settings, known.notebook.lessons) == (DialectSettings(), (ONE,))


BAD_LESSONS = {
    "not sealed": b"plain",
    "under another key": Notes(DEVICE, b"x" * 32).seal_lessons(Notebook().lessons_bytes(), bytes(12)),
    "settings": sealed_settings(SETTINGS),
    "not zstd": NOTES.seal_lessons(b"plain", bytes(12)),
    "nothing": NOTES.seal_lessons(b"", bytes(12)),
}


@pytest.mark.parametrize("fault", BAD_LESSONS)
def test_lessons_that_do_not_open_are_none_and_are_overwritten(fault: str) -> None:
    known = Known(VAULT, DEVICE, KEY, sealed_settings(SETTINGS), BAD_LESSONS[fault])
    assert (known.notebook.settings, known.notebook.lessons) == (SETTINGS, ())
    assert known.learn([TWO])
    assert opened(known.seal(entropy)) == (TWO,)


def test_without_a_key_a_device_learns_for_as_long_as_it_is_connected() -> None:
    known = Known(VAULT, DEVICE, None, None, None)
    assert known.learn([ONE])
    assert known.seal(entropy) is None
    known.settle(stored=True)
    known.configure(sealed_settings(SETTINGS))
    assert (known.notebook.settings, known.notebook.lessons) == (DialectSettings(), (ONE,))
    assert known.digests([Observation("", "energy", 0, 1.0)]) == ()


def test_readings_are_digested_with_the_devices_key() -> None:
    reading = Observation("", "energy", 0, 1.0)
    assert Known(VAULT, DEVICE, KEY, None, None).digests([reading]) == (NOTES.reading_digest(reading),)


def test_a_notebook_that_cannot_be_made_is_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours with what is stored: the device sends on, by the defaults."""

    class Faulty(Notebook):
        def __init__(self, *known: object) -> None:
            if known:
                raise ZeroDivisionError
            super().__init__()

    monkeypatch.setattr("gateway.node.known.Notebook", Faulty)
    known = Known(VAULT, DEVICE, KEY, sealed_settings(SETTINGS), sealed_lessons(ONE))
    assert (known.notebook.settings, known.notebook.lessons) == (DialectSettings(), ())
