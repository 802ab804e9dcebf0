"""Walks the commands as they are declared, for tests that hold them against documents and rules."""

from __future__ import annotations

from collections.abc import Iterator

import click

from cli.commands import COMMANDS, load


def find(words: list[str]) -> click.Command:
    """The command that these words reach, read from the left as far as they name sub-commands.

    Raises:
        KeyError: a group is followed by a word that is no command of it.
    """
    command = load(words[0])
    for word in words[1:]:
        if not isinstance(command, click.Group):
            break
        if word.startswith("-"):
            continue
        command = command.commands[word]
    return command


def leaves() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with the words that reach it; aliases once, under their own name."""
    for name in COMMANDS:
        yield from _leaves(name, load(name))


def _leaves(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, member in command.commands.items():
            yield from _leaves(f"{words} {name}", member)
    else:
        yield words, command


def options_of(command: click.Command) -> set[str]:
    """Every option of a command, long and short, as it is typed."""
    return {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
