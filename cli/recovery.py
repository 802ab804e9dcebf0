"""``recovery test|use``: the 24 words that open the vault when the passphrase is lost."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cli import options, state
from cli.ask import ask, say
from cli.enrolment import enrol, find_vault, new_passphrase, server, show_made
from cli.errors import UsageError
from cli.passphrase import PassphraseSource, normalised
from cli.passphrase import read as read_secret
from cli.render import emit
from cli.session import http_of, session_of, suggest
from gateway.client import person
from gateway.client.phrase import read_phrase
from vault.ids import VaultId

words_option = click.option(
    "--recovery-file", metavar="PATH", help="Read the 24 words from this file; - is standard input."
)


@click.group("recovery")
def recovery() -> None:
    """Test your recovery phrase, or use it to get back in."""


@recovery.command("test")
@words_option
@options.home
@options.as_json
def test(recovery_file: str | None, home: Path, as_json: bool) -> None:
    """Make sure that the words you have are the ones that open your vault."""
    profile = state.load(home)
    words = _read(recovery_file)
    with http_of(profile) as http:
        person.open_by_recovery(http, VaultId.parse(profile.vault), words)
    emit({"ok": True, "vault": profile.vault}, as_json, "these words open your vault")


@recovery.command("use")
@words_option
@server
@click.option("--vault", "vault_id", metavar="ID", help="Your vault's id: 26 characters.")
@click.option("--name", help="What you call your vault; stays here.")
@click.option("--choose", is_flag=True, help="Choose the new passphrase yourself, at a prompt.")
@options.passphrase
@options.home
@options.as_json
def use(
    recovery_file: str | None,
    server: str | None,
    ca: Path | None,
    vault_id: str | None,
    name: str | None,
    choose: bool,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Get back in by your recovery phrase, and set a new passphrase.

    --passphrase-file and --passphrase-command name the new passphrase; without them one is made for you.
    """
    known, vault, http, ca_pem = find_vault(home, server, vault_id, ca)
    with http:
        opened = person.open_by_recovery(http, vault, _read(recovery_file))
        words, made = new_passphrase(passphrase, choose=choose)
        profile = enrol(home, http, ca_pem, opened, known, name)
        with session_of(home, profile, http, opened.root) as session:
            person.change_passphrase(session, opened, normalised(words))
    show_made(made, words, as_json)
    answer = {"vault": profile.vault, "name": profile.name, "server": profile.server}
    emit(answer | ({"passphrase": words} if made else {}), as_json, "you are back in, with a new passphrase")
    suggest(
        as_json, ("unlock", "open your vault on this computer"), ("ledger log", "see what happened meanwhile")
    )


def _read(path: str | None) -> bytes:
    """The 32 bytes behind the phrase, from a file or as it is typed; raises UsageError, PhraseError."""
    if path is not None:
        try:
            return read_phrase(read_secret(PassphraseSource(file=path)))
        except UsageError as error:
            raise UsageError(error.what.replace("passphrase", "recovery phrase"), "") from None
    say("Type the 24 words of your recovery phrase, separated by spaces:")
    return read_phrase(ask(">", instead="--recovery-file PATH"))
