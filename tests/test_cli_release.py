"""``device pause``, ``resume``, ``release``, ``check-release``: what rests, and what is yours no longer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.client.release import check, write
from tests.cli_world import Desk, desk, open_desk
from vault.errors import VaultError
from vault.ids import DeviceId, VaultId
from vault.observation import Observation
from vault.statement import Enrolment, Release, sign

__all__ = ["desk", "open_desk"]

ASK = {"type": "personal_data", "datatypes": ["energy"], "purpose": "dpv:ServiceProvision"}


def given(desk: Desk, brand: str, *names: str) -> str:
    """A grant on the energy of these devices; its id."""
    made = desk.host.brand(brand)
    grant = desk.host.ask(desk.vault, made, desk.host.touchpoint(desk.vault, made), ASK)
    chosen = [word for name in names for word in ("--device", name)]
    desk.json("request", "approve", grant.text, *chosen, "--yes")
    return grant.text


def released(desk: Desk, name: str = "car", *more: str) -> dict[str, Any]:
    """The answer of a release into a file beside the home."""
    path = str(desk.directory / f"{name}.json")
    answer: dict[str, Any] = desk.json(
        "device", "release", name, "--reason", "sale", "--output", path, "--yes", *more
    )
    return answer


def status(desk: Desk, grant: str) -> str:
    return str(desk.json("grant", "show", grant)["status"])


def test_a_pause_is_shown_in_the_list_until_the_device_is_resumed(open_desk: Desk) -> None:
    device = open_desk.add_device("car")
    assert open_desk.json("device", "pause", "car") == {"device": device.text, "name": "car", "paused": True}
    assert "paused" in open_desk.run("device", "list").out
    again = open_desk.run("device", "pause", "car")
    assert (again.status, "already" in again.err) == (7, True)
    assert open_desk.json("device", "resume", "car")["paused"] is False
    assert "paused" not in open_desk.run("device", "list").out
    assert open_desk.run("device", "resume", "car").status == 7
    assert open_desk.run("device", "pause", "bike").status == 5
    notes = [one["note"] for one in open_desk.json("ledger", "log") if one["what"] == "device"]
    assert sorted(notes) == ["added", "paused", "resumed"]


def test_a_release_ends_what_is_tied_to_the_device_and_hands_over_a_file_that_anybody_can_check(
    open_desk: Desk, tmp_path: Path
) -> None:
    device = open_desk.add_device("car")
    meter = open_desk.add_device("meter")
    now = time.time_ns() // 1_000_000
    for one in (device, meter):
        open_desk.publish(one, Observation("", "energy", now, 1.0))
    alone, both = given(open_desk, "Alone", "car"), given(open_desk, "Both", "car", "meter")
    made = released(open_desk, "car", "--to", "the buyer")
    assert [one["grant"] for one in made["ended"]] == [alone]
    assert [one["brand"] for one in made["going_on"]] == ["Both"]
    assert (status(open_desk, alone), status(open_desk, both)) == ("revoked", "active")
    assert [one["name"] for one in open_desk.json("device", "list")] == ["meter"]
    file = Path(made["file"])
    said = json.loads(file.read_text())
    assert {key: said[key] for key in ("device", "vault", "reason", "to", "name")} == {
        "device": device.text,
        "vault": open_desk.vault.text,
        "reason": "sale",
        "to": "the buyer",
        "name": "",
    }
    assert b"car" not in file.read_bytes().replace(str(file).encode(), b"")
    stranger = tmp_path / "stranger"
    done = open_desk.run("device", "check-release", str(file), home=stranger)
    assert (done.status, stranger.exists()) == (0, False)
    assert "the buyer" in done.out
    assert open_desk.json("device", "check-release", str(file), "--fingerprint", made["fingerprint"].upper())[
        "ok"
    ]


def test_given_again_it_writes_the_same_statement_to_a_new_file_and_never_over_one(open_desk: Desk) -> None:
    device = open_desk.add_device("car")
    first = released(open_desk, "car", "--with-name")
    assert first["name"] == "car"
    assert (
        open_desk.run(
            "device", "release", "car", "--reason", "sale", "--output", first["file"], "--yes"
        ).status
        == 7
    )
    other = str(open_desk.directory / "again.json")
    again = open_desk.json("device", "release", "car", "--reason", "other", "--output", other, "--yes")
    assert Path(other).read_bytes() == Path(first["file"]).read_bytes()
    assert (again["reason"], again["ended"]) == ("sale", [])
    assert open_desk.add_device("car") != device  # the name is free, and means the new one now
    third = str(open_desk.directory / "third.json")
    newer = open_desk.json("device", "release", "car", "--reason", "rental", "--output", third, "--yes")
    assert newer["device"] != device.text
    by_id = str(open_desk.directory / "fourth.json")
    same = open_desk.json("device", "release", device.text, "--reason", "sale", "--output", by_id, "--yes")
    assert same["released"] == first["released"]


def test_without_a_terminal_it_asks_for_yes_and_does_nothing(open_desk: Desk) -> None:
    open_desk.add_device("car")
    done = open_desk.run("device", "release", "car", "--reason", "sale")
    assert (done.status, "--yes" in done.err) == (2, True)
    assert open_desk.run("device", "release", "car", "--yes").status == 2  # why is to be said
    bad = open_desk.run("device", "release", "car", "--reason", "sale", "--to", "\x1b[2J", "--yes")
    assert (bad.status, "\x1b" in bad.err) == (2, False)
    assert [one["name"] for one in open_desk.json("device", "list")] == ["car"]


# --- the file, one fault at a time ------------------------------------------------------------------------

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes((n,)) * 32) for n in (1, 2))
VAULT, DEVICE = VaultId(b"v" * 16), DeviceId(b"d" * 16)
SAID = Release(DEVICE.text, 1_795_262_400_000, "sale", "the buyer", "car")


def made(statement: Release = SAID) -> dict[str, Any]:
    """The members of a file."""
    signed = sign(KEY, VAULT, statement)
    members: dict[str, Any] = json.loads(write(VAULT, KEY.public_key().public_bytes_raw(), signed))
    return members


def resigned(key: Ed25519PrivateKey, vault: VaultId, statement: Release | Enrolment) -> dict[str, str]:
    """Statement and signature of another, as the file has them."""
    signed = msgspec.to_builtins(sign(key, vault, statement))
    return {"statement": signed[0], "signature": signed[1]}


LATER = msgspec.structs.replace(SAID, released=SAID.released + 86_400_000)
FAULTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another date beside the statement": lambda m: m | {"released": "2026-11-22T12:00:00Z"},
    "another date in the statement": lambda m: (
        m | {"statement": made(LATER)["statement"], "released": made(LATER)["released"]}
    ),
    "another key": lambda m: m | {"verify_key": msgspec.to_builtins(OTHER.public_key().public_bytes_raw())},
    "signed with another key": lambda m: m | resigned(OTHER, VAULT, SAID),
    "another device": lambda m: m | {"device": DeviceId(b"e" * 16).text},
    "another vault": lambda m: m | {"vault": VaultId(b"w" * 16).text},
    "signed for another vault": lambda m: m | resigned(KEY, VaultId(b"w" * 16), SAID),
    "another reason": lambda m: m | {"reason": "return"},
    "another recipient": lambda m: m | {"to": "me"},
    "another name": lambda m: m | {"name": ""},
    "another type": lambda m: m | {"type": "hypertouch"},
    "another version": lambda m: m | {"version": 2},
    "a version that only looks so": lambda m: m | {"version": True},
    "a member more": lambda m: m | {"note": "valid"},
    "a member less": lambda m: {key: value for key, value in m.items() if key != "to"},
    "no statement": lambda m: {key: value for key, value in m.items() if key != "statement"},
    "a statement of something else": lambda m: (
        m | resigned(KEY, VAULT, Enrolment(DEVICE.text, bytes(32), "laptop"))
    ),
    "a signature with something behind it": lambda m: m | {"signature": m["signature"][:-2] + "AA=="},
    "not base64": lambda m: m | {"signature": "-" + m["signature"][1:]},
    "a number for a text": lambda m: m | {"statement": 5},
    "half a character": lambda m: m | {"to": "\ud800"},
    "a date that no calendar has": lambda m: (
        m | resigned(KEY, VAULT, msgspec.structs.replace(SAID, released=10**18))
    ),
    "a date before any device": lambda m: (
        m | resigned(KEY, VAULT, msgspec.structs.replace(SAID, released=-1000))
    ),
    "no members": lambda _: {},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_with_one_fault_does_not_hold(desk: Desk, fault: str) -> None:
    right = made()
    assert check(json.dumps(right).encode()).statement == SAID  # the control
    wrong = FAULTS[fault](right)
    with pytest.raises(VaultError):
        check(json.dumps(wrong).encode())
    done = desk.run("device", "check-release", desk.write("wrong.json", json.dumps(wrong)))
    assert (done.status, done.out) == (1, "")


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "nonsense", '{"vault": {}}', json.dumps(made())[:-1] + ',"to":"me"}']
)
def test_what_is_no_such_file_is_said_to_be_none(desk: Desk, text: str) -> None:
    """Among it: a member named twice, of which readers disagree which one counts."""
    with pytest.raises(VaultError):
        check(text.encode())
    assert desk.run("device", "check-release", desk.write("wrong.json", text), "--json").status == 1


def test_a_key_that_is_not_the_expected_one_is_found_out(desk: Desk) -> None:
    """A forger who signs everything anew has another key, and the file says so to who asks."""
    right = desk.write("right.json", json.dumps(made()))
    print_ = desk.json("device", "check-release", right)["fingerprint"]
    forged = json.loads(write(VAULT, OTHER.public_key().public_bytes_raw(), sign(OTHER, VAULT, LATER)))
    wrong = desk.write("forged.json", json.dumps(forged))
    assert desk.run("device", "check-release", wrong).status == 0
    assert desk.run("device", "check-release", wrong, "--fingerprint", print_).status == 1
    assert desk.run("device", "check-release", right, "--fingerprint", print_).status == 0
    assert desk.run("device", "check-release", str(desk.directory / "none.json")).status == 5
