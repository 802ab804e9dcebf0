"""OwnTracks' encrypted payloads, made here with the library that the app's own is a port of."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from gateway.dialects import DialectSettings, Notebook, Reading, read
from gateway.dialects.owntracks import unseal
from vault.observation import Observation, Place

NOW = 1_790_000_000_000
TOPIC = "owntracks/jane/phone"
HERE = {"_type": "location", "lat": 48.85833, "lon": 2.29513, "acc": 5, "tst": NOW // 1000}
FOUND = (Observation("jane/phone", "location", NOW, Place(48.85833, 2.29513, 5.0)),)
NONCE = bytes(range(24))


def seal(document: Any, secret: str) -> str:
    key = secret.encode().ljust(32, b"\0")
    return base64.b64encode(SecretBox(key).encrypt(json.dumps(document).encode(), NONCE)).decode()


def say(data: Any, secret: str, **members: Any) -> Reading:
    notebook = Notebook(DialectSettings(secret=secret))
    return read(TOPIC, json.dumps({"_type": "encrypted", "data": data, **members}).encode(), NOW, notebook)


@pytest.mark.parametrize("secret", ["s3cretkey", "x", "x" * 32, "schlüssel 🔑", " spaces are kept "])
def test_a_position_is_read_as_if_it_had_not_been_encrypted(secret: str) -> None:
    assert say(seal(HERE, secret), secret) == Reading("owntracks", FOUND, False, 0)


SEALED = seal(HERE, "s3cretkey")

CLOSED: dict[str, tuple[Any, str]] = {
    "no pass phrase": (SEALED, ""),
    "another pass phrase": (SEALED, "s3cretkez"),
    "a pass phrase longer than a key": (SEALED, "s3cretkey" + "x" * 24),
    "a byte changed": (SEALED[:-5] + ("A" if SEALED[-5] != "A" else "B") + SEALED[-4:], "s3cretkey"),
    "shorter than a nonce": (base64.b64encode(bytes(23)).decode(), "s3cretkey"),
    "a nonce and nothing": (base64.b64encode(bytes(24)).decode(), "s3cretkey"),
    "not base64": ("***", "s3cretkey"),
    "base64 with something in it": (SEALED[:8] + "\n" + SEALED[8:], "s3cretkey"),
    "not ASCII": ("é" * 80, "s3cretkey"),
    "no data": (None, "s3cretkey"),
    "data of another type": ([SEALED], "s3cretkey"),
    "nothing in it": (seal("", "s3cretkey"), "s3cretkey"),
    "encrypted twice": (seal({"_type": "encrypted", "data": SEALED}, "s3cretkey"), "s3cretkey"),
    "something new in it": (seal({"_type": "mood"}, "s3cretkey"), "s3cretkey"),
}


@pytest.mark.parametrize(("data", "secret"), CLOSED.values(), ids=CLOSED)
def test_what_cannot_be_opened_or_understood_is_kept_as_it_came(data: Any, secret: str) -> None:
    reading = say(data, secret)
    assert (reading.dialect, reading.observations, reading.quarantine) == ("owntracks", (), True)


def test_what_was_opened_and_not_understood_in_part_is_kept_as_well() -> None:
    """What is sealed then is the payload as it came: never what was in it."""
    reading = say(seal({**HERE, "mood": "good"}, "k"), "k")
    assert (reading.observations, reading.quarantine) == (FOUND, True)


def test_a_position_that_was_not_encrypted_is_read_where_there_is_a_pass_phrase() -> None:
    """A phone that shares its account may have none; the connection is encrypted in any case."""
    notebook = Notebook(DialectSettings(secret="s3cretkey"))
    assert read(TOPIC, json.dumps(HERE).encode(), NOW, notebook).observations == FOUND


def test_the_word_elsewhere_in_a_payload_means_nothing() -> None:
    assert read(TOPIC, json.dumps({**HERE, "poi": "encrypted"}).encode(), NOW).observations == FOUND


@given(st.text(), st.text())
def test_nothing_makes_it_raise(data: str, secret: str) -> None:
    unseal(data, secret)


@given(st.binary(max_size=200), st.text(min_size=1, max_size=8))
def test_no_bytes_make_it_raise(data: bytes, secret: str) -> None:
    assert unseal(base64.b64encode(data).decode(), secret) is None


WITHOUT = """
import sys
sys.modules["nacl"] = sys.modules["nacl.secret"] = None
from gateway.dialects import DialectSettings, Notebook, read
payload = sys.stdin.buffer.read()
notebook = Notebook(DialectSettings(secret="s3cretkey"))
reading = read("owntracks/jane/phone", payload, 1_790_000_000_000, notebook)
print(reading.dialect, len(reading.observations), reading.quarantine)
"""


def test_without_the_library_it_is_kept_as_it_came() -> None:
    payload = json.dumps({"_type": "encrypted", "data": SEALED}).encode()
    done = subprocess.run([sys.executable, "-c", WITHOUT], input=payload, capture_output=True, check=True)
    assert (done.stdout.decode().split(), done.stderr) == (["owntracks", "0", "True"], b"")
