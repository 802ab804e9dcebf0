"""``device``: a credential is shown once, names are the person's own, nothing on a screen can act."""

from __future__ import annotations

import time

import pytest

from tests.cli_world import Desk, desk, open_desk
from vault.device import verifier
from vault.ids import DeviceId
from vault.observation import Observation

__all__ = ["desk", "open_desk"]

SENSOR = "AA:BB:CC:DD:EE:FF"


def now() -> int:
    return time.time_ns() // 1_000_000


def stored_verifier(desk: Desk, device: DeviceId) -> bytes:
    def look() -> bytes:
        file = desk.host.writer.file(desk.vault)
        return bytes(
            file.connection.execute("SELECT verifier FROM device WHERE id = ?", (device,)).fetchone()[0]
        )

    return desk.host.run(look)


def test_add_makes_a_credential_of_130_bits_that_the_host_cannot_show_again(open_desk: Desk) -> None:
    made = open_desk.json("device", "add", "Bedroom lamp")
    assert {"device", "name", "host", "port", "tls", "username", "password", "ca_fingerprint"} <= made.keys()
    device = DeviceId.parse(made["device"])
    assert (made["name"], made["username"]) == ("Bedroom lamp", device.text)
    assert len(made["password"]) == 26
    assert set(made["password"]) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert stored_verifier(open_desk, device) == verifier(device, made["password"].encode())


def test_twenty_devices_have_twenty_passwords(open_desk: Desk) -> None:
    passwords = {open_desk.json("device", "add", f"device {n}")["password"] for n in range(20)}
    assert len(passwords) == 20


def test_what_to_enter_is_shown_with_a_code_to_scan_unless_it_is_not_wanted(open_desk: Desk) -> None:
    shown = open_desk.run("device", "add", "one")
    assert "password" in shown.out
    assert "█" in shown.out
    assert "next" in shown.err
    assert "█" not in open_desk.run("device", "add", "two", "--no-qr").out


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\x1b[31m", "a\nb", " a", "a\u202eb"])
def test_a_name_that_cannot_be_shown_is_refused(open_desk: Desk, name: str) -> None:
    done = open_desk.run("device", "add", name)
    assert done.status == 2
    assert "\x1b" not in done.err


def test_a_name_is_given_once(open_desk: Desk) -> None:
    open_desk.add_device("Meter")
    assert open_desk.run("device", "add", "meter").status == 7
    open_desk.run("device", "remove", "meter", "--yes")
    assert open_desk.run("device", "add", "meter").status == 0  # it is free again


def test_list_and_show_tell_what_reports_and_what_was_not_understood(open_desk: Desk) -> None:
    device = open_desk.add_device()
    open_desk.publish(
        device,
        Observation("", "energy", now(), 1.0),
        Observation("kit\x1b[31mchen", "temperature", now(), 21.0),
    )
    open_desk.host.quarantine(open_desk.vault, device, b"weird/\x1b]topic\0\x1b[31mgibberish\xff" + b"x" * 90)
    (row,) = open_desk.json("device", "list")
    assert (row["name"], row["readings"], row["channels"]) == ("meter", 2, ["kit\x1b[31mchen"])
    shown = open_desk.json("device", "show", "METER")
    assert shown["kinds"] == ["energy", "temperature"]
    (sample,) = shown["quarantine"]["samples"]
    assert (shown["quarantine"]["count"], sample["topic"]) == (1, "weird/\x1b]topic")
    assert sample["payload"].startswith("\\x1b[31mgibberish\\xff")
    for words in (("list",), ("show", device.short)):
        text = open_desk.run("device", *words)
        assert text.status == 0
        assert "\x1b" not in text.out + text.err
        assert "kit\\x1b[31mchen" in text.out


@pytest.mark.parametrize(
    ("topic", "payload", "step"),
    [
        (b"owntracks/a/b", b'{"_type":"encrypted","data":"AAAA"}', "device set meter --secret-file FILE"),
        (b"home/gw/BTtoMQTT/AABBCCDDEEFF", b'{"id":"AA:BB:CC:DD:EE:FF","bpm":70}', "device set meter --own"),
        (b"weird/thing", b'{"type":"encrypted"}', "device teach meter "),
    ],
)
def test_what_was_not_understood_comes_with_what_helps(
    open_desk: Desk, topic: bytes, payload: bytes, step: str
) -> None:
    device = open_desk.add_device()
    open_desk.host.quarantine(open_desk.vault, device, topic + b"\0" + payload)
    assert f"next  hypertouch {step}" in open_desk.run("device", "show", "meter").err


def test_payloads_that_are_shown_fit_a_terminal(open_desk: Desk) -> None:
    device = open_desk.add_device("a boiler")
    open_desk.host.quarantine(open_desk.vault, device, b"house/boiler\0" + b"x" * 90)
    done = open_desk.run("device", "show", "a boiler")
    assert max(map(len, done.out.splitlines())) <= 80
    assert f"      {'x' * 60} ...\n" in done.out
    assert "device teach 'a boiler' " in done.err


def test_a_device_is_found_by_name_or_by_the_beginning_of_its_id(open_desk: Desk) -> None:
    device = open_desk.add_device()
    for text in ("meter", "METER", device.text, device.short, device.text[:6].upper()):
        assert open_desk.json("device", "show", text)["device"] == device.text
    for text in ("metre", device.text + "a", "zzzz" if device.text[0] != "z" else "aaaa"):
        assert open_desk.run("device", "show", text).status == 5


def test_rotate_makes_another_password_and_remove_ends_it(open_desk: Desk) -> None:
    device = open_desk.add_device()
    before = stored_verifier(open_desk, device)
    assert open_desk.run("device", "rotate", "meter").status == 2  # nobody to ask
    made = open_desk.json("device", "rotate", "meter", "--yes")
    assert stored_verifier(open_desk, device) == verifier(device, made["password"].encode()) != before
    assert open_desk.run("device", "remove", "meter").status == 2
    assert open_desk.json("device", "remove", "meter", "--yes")["device"] == device.text
    assert open_desk.json("device", "list") == []
    assert open_desk.run("device", "rotate", "meter", "--yes").status == 5


def test_what_a_device_cannot_say_is_set_and_shown(open_desk: Desk) -> None:
    open_desk.json("device", "add", "meter", "--timezone", "Europe/Berlin", "--own", SENSOR)
    told = open_desk.json("device", "set", "meter")
    assert (told["timezone"], told["own"], told["dialect"]) == (
        "Europe/Berlin",
        ["AA:BB:CC:DD:EE:FF"],
        "detect",
    )
    changed = open_desk.json(
        "device", "set", "meter", "--dialect", "tasmota", "--timezone", "UTC", "--own", "11-22",
        "--not-own", "aabbccddeeff",
    )  # fmt: skip
    assert (changed["timezone"], changed["own"], changed["dialect"]) == ("UTC", ["11-22"], "tasmota")
    assert open_desk.json("device", "set", "meter") == changed
    shown = open_desk.json("device", "show", "meter")
    assert (shown["timezone"], shown["own"], shown["dialect"]) == ("UTC", ["11-22"], "tasmota")
    assert open_desk.json("device", "set", "meter", "--dialect", "detect")["dialect"] == "detect"


def test_a_key_is_read_from_a_file_and_never_shown(open_desk: Desk) -> None:
    open_desk.json("device", "add", "phone")
    key = open_desk.write("key", "correct horse\n")
    assert open_desk.json("device", "set", "phone", "--secret-file", key)["secret"] is True
    assert "horse" not in open_desk.run("device", "set", "phone").out
    assert open_desk.json("device", "set", "phone", "--no-secret")["secret"] is False
    assert open_desk.run("device", "set", "phone", "--no-secret", "--secret-file", key).status == 2
    for file in (open_desk.write("long", "x" * 33), open_desk.write("none", "\n"), "/nowhere"):
        refused = open_desk.run("device", "set", "phone", "--secret-file", file)
        assert (refused.status, "key" in refused.err, "passphrase" in refused.err) == (2, True, False)


@pytest.mark.parametrize(
    "words",
    [
        ("--timezone", "Mars/Olympus"),
        ("--timezone", "Europe"),
        ("--timezone", "../etc"),
        ("--dialect", "klingon"),
    ],
)
def test_what_there_is_not_cannot_be_set(open_desk: Desk, words: tuple[str, str]) -> None:
    open_desk.add_device()
    before = open_desk.json("device", "set", "meter")
    assert open_desk.run("device", "set", "meter", *words).status == 2
    assert open_desk.json("device", "set", "meter") == before


def test_a_new_device_is_where_this_computer_is(open_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    open_desk.add_device()
    assert open_desk.json("device", "set", "meter")["timezone"] == "Asia/Kathmandu"
    monkeypatch.setenv("TZ", "CET-1CEST")  # a rule, and not a name
    open_desk.add_device("other")
    assert open_desk.json("device", "set", "other")["timezone"] == "UTC"
