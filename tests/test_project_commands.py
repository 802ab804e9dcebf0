"""Rules that every command keeps, whoever wrote it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli.commands import COMMANDS, load
from cli.errors import ExitCode
from tests.commandline import leaves, options_of
from tests.docs import REPO

SHOWS_A_STORY = {"demo"}  # its transcript is for people; there is nothing to answer in JSON
SERVES = {"up", "demo"}  # these go on until they are told to stop


@pytest.mark.parametrize("name", COMMANDS)
def test_the_listing_says_what_the_commands_own_help_says(name: str) -> None:
    assert load(name).get_short_help_str(limit=200).removesuffix(".") == COMMANDS[name].short


def test_every_command_and_option_says_what_it_is_for() -> None:
    silent = [words for words, command in leaves() if not command.get_short_help_str()]
    silent += [
        f"{words} {option.opts[0]}"
        for words, command in leaves()
        for option in command.params
        if isinstance(option, click.Option) and not option.help and not option.hidden
    ]
    assert silent == []


def test_every_command_answers_in_json() -> None:
    without = [words for words, command in leaves() if "--json" not in options_of(command)]
    assert [words for words in without if words not in SHOWS_A_STORY] == []


def test_no_command_takes_a_secret_as_a_value() -> None:
    """A value in a command line is visible to every program of the person; so is the environment."""
    forbidden = {"--passphrase", "--password", "--secret", "--token", "--recovery", "--phrase", "--key"}
    assert [words for words, command in leaves() if options_of(command) & forbidden] == []
    from_environment = [
        f"{words} {parameter.name}"
        for words, command in leaves()
        for parameter in command.params
        if parameter.envvar is not None
    ]
    assert from_environment == []


def test_without_a_terminal_and_a_vault_every_command_ends_with_words_and_a_status(tmp_path: Path) -> None:
    """Nothing hangs and nothing is a fault: each command runs as in a script on a new computer."""
    environment = {
        "PATH": "",
        "HOME": str(tmp_path),
        "HYPERTOUCH_HOME": str(tmp_path / "none"),
        "HYPERTOUCH_DATA": str(tmp_path / "none"),
        "PYTHONPATH": str(REPO),
    }
    wrong = []
    for words, command in leaves():
        if words in SERVES:
            continue
        arguments = ["x" for p in command.params if isinstance(p, click.Argument) and p.required]
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words.split(), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=REPO,
            env=environment,
        )
        known = done.returncode in set(ExitCode)
        if not known or "unexpected" in done.stderr or (done.returncode and done.stderr.count("\n") != 1):
            wrong.append((words, done.returncode, done.stderr))
    assert wrong == []
