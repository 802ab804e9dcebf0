"""Commands that go wrong, each in its own way; ``install`` puts them behind ``hypertouch status``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from cli import ask, errors, options
from cli.commands import COMMANDS
from cli.passphrase import PassphraseSource

CANARY = "canary-7f3a"  # stands for what must not be shown


@click.group()
def status() -> None:
    """Go wrong."""


def install() -> None:
    """Make ``hypertouch status`` this group."""
    COMMANDS["status"] = COMMANDS["status"]._replace(target="tests.commands:status")


@status.command()
@options.as_json
@click.argument("name")
def fail(as_json: bool, name: str) -> None:
    """Raise the error of that name."""
    del as_json
    error: type[errors.CliError] = getattr(errors, name)
    raise error("it went wrong", "do that")


@status.command()
@options.as_json
def fault(as_json: bool) -> None:
    """Raise what nobody expects, with text that must not be shown."""
    del as_json
    raise ZeroDivisionError(CANARY)


@status.command()
def interrupted() -> None:
    """Be interrupted."""
    signal.raise_signal(signal.SIGINT)


@status.command()
def much() -> None:
    """Print more than a pipe holds."""
    for _ in range(100_000):
        print("x" * 70)


@status.command()
@click.argument("code", type=int)
def leave(code: int) -> None:
    """Leave with a status."""
    sys.exit(code)


@status.command()
@click.argument("code", type=int)
@click.pass_context
def leave_click(ctx: click.Context, code: int) -> None:
    """Leave with a status in click's way."""
    ctx.exit(code)


@status.command()
@options.yes
def confirmed(yes: bool) -> None:
    """Ask first."""
    ask.confirm("Really?", yes=yes)
    print("done")


@status.command()
@options.home
@options.passphrase
def given(home: Path, passphrase: PassphraseSource) -> None:
    """Print what the shared options gave."""
    print(home)
    print(passphrase.file, passphrase.command)
