"""Options that many commands share, as decorators: ``--json``, ``--yes``, ``--home``, ``--passphrase-file``.

A command so decorated takes ``as_json: bool``, ``yes: bool``, ``home: Path``,
``passphrase: PassphraseSource``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli.home import locate
from cli.passphrase import PassphraseSource

Function = Callable[..., Any]

as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
yes = click.option("--yes", "-y", is_flag=True, help="Answer yes to what would be asked.")


def home(function: Function) -> Function:
    """Give the command ``home: Path``, where this computer keeps what belongs to the vault."""
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        callback=_home,
        help="Where this computer keeps its part of your vault; else HYPERTOUCH_HOME.",
    )(function)


def _home(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path:
    del ctx, param  # click's signature
    return locate(value)


def passphrase(function: Function) -> Function:
    """Give the command ``passphrase: PassphraseSource``; no option takes the passphrase itself."""

    @click.option(
        "--passphrase-file", metavar="PATH", help="Read the passphrase from this file; - is standard input."
    )
    @click.option("--passphrase-command", metavar="CMD", help="Read the passphrase from what CMD prints.")
    @functools.wraps(function)
    def with_source(
        *args: Any, passphrase_file: str | None, passphrase_command: str | None, **options: Any
    ) -> Any:
        source = PassphraseSource(file=passphrase_file, command=passphrase_command)
        return function(*args, passphrase=source, **options)

    return with_source
