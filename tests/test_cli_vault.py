"""``init``, ``login``, ``unlock``, ``lock``, ``passphrase`` and ``recovery``: the keys of a person."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli import agent
from gateway.client.phrase import read_phrase
from tests.cli_world import PASSPHRASE, Desk, desk, open_desk
from tests.terminal import converse

__all__ = ["desk", "open_desk"]
NEW = "walnut bridge thunder copper meadow signal"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.usefixtures("open_umask")
def test_init_makes_a_vault_and_files_that_nobody_else_reads(desk: Desk) -> None:
    made = desk.init("--name", "mine", "--passphrase-file", desk.passphrase).json
    assert {"vault", "name", "server", "recovery_file"} == made.keys()
    assert (made["name"], made["server"]) == ("mine", desk.host.url)
    assert [mode(path) for path in (desk.recovery, desk.home, desk.home / "profile")] == [0o600, 0o700, 0o600]
    assert len(read_phrase(desk.recovery.read_text())) == 32
    kept = (desk.home / "profile").read_bytes()
    assert PASSPHRASE.encode() not in kept


def test_init_makes_a_passphrase_where_none_is_given_and_it_unlocks(desk: Desk) -> None:
    made = desk.init().json
    words = made["passphrase"]
    assert len(words.split()) == 6
    assert desk.run("unlock", "--passphrase-file", desk.write("made", words)).status == 0
    assert desk.run("device", "list").status == 0


def test_init_refuses_a_passphrase_that_can_be_guessed_and_makes_nothing(desk: Desk) -> None:
    done = desk.init("--passphrase-file", desk.write("weak", "password1\n"))
    assert (done.status, done.out) == (2, "")
    assert "common" in done.err
    assert "password1" not in done.err
    assert not desk.recovery.exists()
    assert not desk.home.exists()


@pytest.mark.parametrize("words", [(), ("--yes",), ("--recovery-file", "x")])
def test_init_without_a_terminal_needs_yes_and_a_recovery_file(desk: Desk, words: tuple[str, ...]) -> None:
    done = desk.run("init", "--server", desk.host.url, *words)
    assert done.status == 2
    assert "--yes and --recovery-file" in done.err


def test_init_never_overwrites_a_vault_or_a_recovery_file(desk: Desk) -> None:
    desk.recovery.write_text("mine")
    assert desk.init("--passphrase-file", desk.passphrase).status == 7
    assert desk.recovery.read_text() == "mine"
    desk.recovery.unlink()
    assert desk.init("--passphrase-file", desk.passphrase).status == 0
    profile = (desk.home / "profile").read_bytes()
    desk.recovery.unlink()
    assert desk.init("--passphrase-file", desk.passphrase).status == 7
    assert (desk.home / "profile").read_bytes() == profile
    assert not desk.recovery.exists()


def test_init_at_an_address_where_nobody_answers_leaves_nothing(desk: Desk) -> None:
    done = desk.run(
        "init", "--server", "http://127.0.0.1:1", "--yes", "--recovery-file", str(desk.recovery), "--json"
    )
    assert done.status == 69
    assert not desk.recovery.exists()
    assert not desk.home.exists()


def test_http_to_another_computer_is_refused(desk: Desk) -> None:
    done = desk.run("init", "--server", "http://192.0.2.1", "--yes", "--recovery-file", str(desk.recovery))
    assert done.status == 2
    assert "https" in done.err


def test_a_person_at_a_terminal_types_two_words_back(desk: Desk) -> None:
    """The whole conversation; a wrong word is asked again."""
    answered = 0

    def answer(said: str) -> str | None:
        nonlocal answered
        questions = re.findall(r"Word (\d+)\? ", said)
        if len(questions) == answered:
            return None
        answered += 1
        return "zzz" if answered == 1 else dict(re.findall(r"(\d+)\. ([a-z]+)", said))[questions[-1]]

    talk = converse(desk.home, ["init", "--server", desk.host.url], answer)
    assert talk.status == 0, talk.said
    assert answered == 3  # one of them wrong at first
    assert "that is another word" in talk.said
    assert "is yours" in talk.said
    assert (desk.home / "profile").exists()


def test_what_needs_keys_is_locked_until_it_is_unlocked(desk: Desk) -> None:
    desk.init("--passphrase-file", desk.passphrase)
    locked = desk.run("device", "list")
    assert locked.status == 4
    assert "unlock" in locked.err
    assert desk.run("device", "list", "--passphrase-file", desk.passphrase).status == 0
    assert desk.run("unlock", "--passphrase-file", desk.passphrase).status == 0
    assert desk.run("device", "list").status == 0
    assert desk.run("lock", "--json").json == {"locked": True, "was_unlocked": True}
    assert desk.run("lock", "--json").json == {"locked": True, "was_unlocked": False}
    assert desk.run("device", "list").status == 4


@pytest.mark.parametrize(
    "words", [("unlock",), ("device", "list"), ("status",), ("lock",), ("recovery", "test")]
)
def test_without_a_vault_the_status_is_10(desk: Desk, words: tuple[str, ...]) -> None:
    done = desk.run(*words)
    assert done.status == 10
    assert "hypertouch init" in done.err


def test_a_wrong_passphrase_is_12_whatever_it_is_for(open_desk: Desk) -> None:
    wrong = open_desk.write("wrong", NEW)
    for words in (("unlock",), ("device", "list"), ("passphrase", "change"), ("login",)):
        assert open_desk.run(*words, "--passphrase-file", wrong).status == 12, words


def test_a_second_computer_logs_in_and_sees_the_same_vault(open_desk: Desk, tmp_path: Path) -> None:
    open_desk.add_device("lamp")
    other = tmp_path / "second"
    words = ("login", "--server", open_desk.host.url, "--vault", open_desk.vault.text.upper())
    done = open_desk.run(*words, "--passphrase-file", open_desk.passphrase, "--json", home=other)
    assert done.json["vault"] == open_desk.vault.text
    listed = open_desk.run("device", "list", "--passphrase-file", open_desk.passphrase, "--json", home=other)
    assert [row["name"] for row in listed.json] == ["lamp"]
    assert mode(other / "profile") == 0o600


def test_a_computer_with_a_vault_does_not_take_another(open_desk: Desk) -> None:
    done = open_desk.run("login", "--vault", "a" * 26, "--passphrase-file", open_desk.passphrase)
    assert done.status == 7
    done = open_desk.run("login", "--vault", "not-an-id", "--passphrase-file", open_desk.passphrase)
    assert done.status == 2


def test_another_login_of_the_same_computer_keeps_what_was_pinned(open_desk: Desk, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    open_desk.host.copy(copy)
    open_desk.add_device()
    open_desk.host.turn_back(copy)
    done = open_desk.run("login", "--passphrase-file", open_desk.passphrase)
    assert done.status == 1
    assert "the host shows" in done.err


def test_after_a_change_only_the_new_passphrase_opens(open_desk: Desk) -> None:
    new = open_desk.write("new", NEW)
    words = ("passphrase", "change", "--passphrase-file", open_desk.passphrase)
    weak = open_desk.write("weak", "hunter2")
    assert open_desk.run(*words, "--new-passphrase-file", weak).status == 2
    assert open_desk.run(*words, "--new-passphrase-file", new, "--json").json == {"changed": True}
    assert open_desk.run("unlock", "--passphrase-file", open_desk.passphrase).status == 12
    assert open_desk.run("unlock", "--passphrase-file", new).status == 0
    assert open_desk.run("recovery", "test", "--recovery-file", str(open_desk.recovery)).status == 0


def test_a_recovery_phrase_is_tested_and_a_typing_error_is_told_from_a_wrong_phrase(open_desk: Desk) -> None:
    words = open_desk.recovery.read_text().split()
    cases = {
        "right": (" ".join(words), 0, "open your vault"),
        "a word that is none": (" ".join(["hypertouch", *words[1:]]), 2, "word 1"),
        "a word too few": (" ".join(words[1:]), 2, "23"),
        "two exchanged": (" ".join([words[1], words[0], *words[2:]]), 2, "do not fit"),
        "another phrase": (" ".join(["abandon"] * 23 + ["art"]), 12, "does not open"),
    }
    for name, (text, status, said) in cases.items():
        if name == "two exchanged" and words[0] == words[1]:
            continue
        done = open_desk.run("recovery", "test", "--recovery-file", "-", stdin=text)
        assert (done.status, said in done.out + done.err) == (status, True), (name, done)


def test_the_recovery_phrase_gets_back_in_on_another_computer(open_desk: Desk, tmp_path: Path) -> None:
    open_desk.add_device("lamp")
    other, new = tmp_path / "second", open_desk.write("new", NEW)
    place = ("--server", open_desk.host.url, "--vault", open_desk.vault.text)
    words = ("recovery", "use", "--recovery-file", str(open_desk.recovery), *place)
    done = open_desk.run(*words, "--passphrase-file", new, "--json", home=other)
    assert done.json["vault"] == open_desk.vault.text
    listed = open_desk.run("device", "list", "--passphrase-file", new, "--json", home=other)
    assert [row["name"] for row in listed.json] == ["lamp"]
    assert open_desk.run("unlock", "--passphrase-file", open_desk.passphrase).status == 12
    again = open_desk.run(*words, home=other, stdin="")
    assert again.status == 0  # without a passphrase one is made, and shown once
    assert len(re.findall(r"^    [a-z]+( [a-z]+){5}$", again.err, re.M)) == 1


def test_the_agent_gives_the_root_to_this_vault_only(open_desk: Desk, tmp_path: Path) -> None:
    """A root of another vault, put in place of ours, is noticed before anything is signed."""
    agent.start(open_desk.home, bytes(32))
    done = open_desk.run("device", "list")
    assert done.status == 1
    assert "keys" in done.err
    assert tmp_path.exists()
