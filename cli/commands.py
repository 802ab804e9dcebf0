"""The table of commands: what each is for, and the module that is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click
import rich_click

from cli import __version__


class Entry(NamedTuple):
    """One row of the help listing."""

    target: str  # "module:attribute", then the names of sub-commands where it is an alias
    short: str  # the first sentence of the command's own help; a test compares them
    panel: str


START = "Start here"
DATA = "Your devices and data"
BRANDS = "What brands may read"
KEYS = "Your keys"
HOST = "Run a server"

COMMANDS: dict[str, Entry] = {
    "demo": Entry("cli.demo:demo", "Play the whole story on this computer and leave nothing behind", START),
    "up": Entry("cli.up:up", "Start the server: devices publish to it, brands ask it", START),
    "init": Entry("cli.vault:init", "Make your vault", START),
    "login": Entry("cli.vault:login", "Use a vault you already have from this computer", START),
    "status": Entry("cli.status:status", "Show how your vault is doing and what needs you", START),
    "doctor": Entry("cli.status:doctor", "Check this computer, the server and your vault", START),
    "device": Entry("cli.device:device", "Connect the devices and apps that publish into your vault", DATA),
    "data": Entry("cli.data:data", "See, follow and export your readings", DATA),
    "request": Entry("cli.request:request", "See what brands ask for; approve, narrow or deny it", BRANDS),
    "inbox": Entry("cli.request:request list", "List what waits for your answer", BRANDS),
    "tidy": Entry(
        "cli.tidy:tidy",
        "Mend what a crash of the server left in pieces",
        DATA,
    ),
    "grant": Entry("cli.grant:grant", "See what brands may read; narrow, extend, pause or end it", BRANDS),
    "rule": Entry("cli.rule:rule", "Say once what you would answer every time", BRANDS),
    "blackout": Entry("cli.blackout:blackout", "Keep times to yourself, to come or past", BRANDS),
    "touchpoint": Entry("cli.touchpoint:touchpoint", "Make and end addresses where brands may ask", BRANDS),
    "ledger": Entry("cli.ledger:ledger", "See and verify who asked, who read and what was refused", BRANDS),
    "unlock": Entry("cli.vault:unlock", "Open your vault on this computer for a while", KEYS),
    "lock": Entry("cli.vault:lock", "Forget your vault's keys on this computer", KEYS),
    "passphrase": Entry("cli.vault:passphrase", "Change your passphrase", KEYS),
    "client": Entry("cli.client:client", "See which computers may use your vault, and end a lost one", KEYS),
    "recovery": Entry("cli.recovery:recovery", "Test your recovery phrase, or use it to get back in", KEYS),
    "backup": Entry("cli.backup:backup", "Copy your vault, sealed as it is, and restore such a copy", KEYS),
    "invite": Entry("cli.invite:invite", "Let another person make a vault on this server", HOST),
    "brand": Entry("cli.brand:brand", "Register the brands that may ask on this server", HOST),
    "bridge": Entry("cli.bridge:bridge", "Store what a broker you already have receives", HOST),
}


def load(name: str) -> click.Command:
    """Import the command called ``name``; a word after the attribute walks into its sub-commands."""
    target, *words = COMMANDS[name].target.split()
    module, attribute = target.split(":")
    command = getattr(importlib.import_module(module), attribute)
    for word in words:
        command = command.commands[word]
    if not isinstance(command, click.Command):
        raise TypeError(f"{target} is not a command")
    return command


class LazyGroup(rich_click.RichGroup):
    """A group whose members are short stand-ins until one of them is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The table's own order: it follows the story, not the alphabet."""
        return sorted(super().list_commands(ctx), key=list(self.commands).index)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command named by the first argument, and only then import it."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else stand_in, rest


def _stand_ins() -> dict[str, click.Command]:
    return {
        name: rich_click.RichCommand(name=name, help=entry.short, panel=entry.panel)
        for name, entry in COMMANDS.items()
    }


@click.group(
    cls=LazyGroup,
    commands=_stand_ins(),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(__version__, prog_name="hypertouch", message="%(prog)s %(version)s")
@click.pass_context
def hypertouch(ctx: click.Context) -> None:
    """Keep what your devices know in a vault of your own, and decide who may read it."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
