"""``init``, ``login``, ``unlock``, ``lock`` and ``passphrase change``: the person's keys on this computer."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import rich_click as click

from cli import agent, options, state
from cli.ask import ask, interactive, say
from cli.enrolment import SERVER, enrol, find_vault, new_passphrase, read_ca, require_free, server, show_made
from cli.errors import UsageError
from cli.output import new_file
from cli.passphrase import PassphraseSource, normalised, read, read_bytes
from cli.render import duration, emit
from cli.session import (
    CLIENT_NAME,
    http_of,
    log_in,
    profile_of,
    require_own_keys,
    session_of,
    suggest,
)
from cli.state import Profile
from cli.times import span
from gateway import wire
from gateway.client import person
from gateway.client.http import Http
from gateway.client.phrase import write_phrase
from vault.ids import VaultId
from vault.labels import KEY_SIZE

CHECKED = 2  # words of the recovery phrase that are asked back


@click.command("init")
@click.option("--name", default="home", show_default=True, help="What you call your vault; stays here.")
@server
@click.option(
    "--invite-file", metavar="PATH", help="The invitation to a server of somebody else's; - is stdin."
)
@click.option(
    "--recovery-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Write the recovery phrase to this new file, for you alone.",
)
@click.option("--choose", is_flag=True, help="Choose the passphrase yourself, at a prompt.")
@options.passphrase
@options.home
@options.yes
@options.as_json
def init(
    name: str,
    server: str | None,
    ca: Path | None,
    invite_file: str | None,
    recovery_file: Path | None,
    choose: bool,
    passphrase: PassphraseSource,
    home: Path,
    yes: bool,
    as_json: bool,
) -> None:
    """Make your vault.

    A passphrase of six words is made for you, unless you bring one. The recovery phrase of 24 words is the
    only way back in if you lose it: write it down.
    """
    if (yes or not interactive()) and not (yes and recovery_file):
        raise UsageError(
            "a recovery phrase must be kept, and nobody is asked for its words",
            "give --yes and --recovery-file PATH",
        )
    require_free(home)
    ca_pem = read_ca(ca)
    with Http(server or SERVER, ca_pem or None) as http:
        http.exchange("/owner/salts", wire.Salts(VaultId.new(os.urandom)))  # better now than after 24 words
        words, made = new_passphrase(passphrase, choose=choose)
        recovery = os.urandom(KEY_SIZE)
        phrase = write_phrase(recovery)
        if recovery_file:
            with new_file(recovery_file) as file:
                file.write(phrase + "\n")
        try:
            if not yes:
                _show_and_ask_back(phrase)
            invite = read(PassphraseSource(file=invite_file)).strip() if invite_file else ""
            opened, identity = person.create(
                http, normalised(words), recovery, client_name=CLIENT_NAME, invite=invite, entropy=os.urandom
            )
        except BaseException:
            if recovery_file:
                recovery_file.unlink(missing_ok=True)  # it opens nothing
            raise
        profile = profile_of(name, http, ca_pem, opened, identity, person.first_pins(opened))
        state.save(home, profile)
    answer = _answer(profile) | ({"recovery_file": str(recovery_file)} if recovery_file else {})
    show_made(made, words, as_json)
    emit(answer | ({"passphrase": words} if made else {}), as_json, f"vault {profile.vault} is yours")
    suggest(as_json, ("unlock", "open it on this computer"), ("device add NAME", "connect a device"))


@click.command("login")
@server
@click.option("--vault", "vault_id", metavar="ID", help="Your vault's id: 26 characters.")
@click.option("--name", help="What you call your vault; stays here.")
@options.passphrase
@options.home
@options.as_json
def login(
    server: str | None,
    ca: Path | None,
    vault_id: str | None,
    name: str | None,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Use a vault you already have from this computer."""
    known, vault, http, ca_pem = find_vault(home, server, vault_id, ca)
    with http:
        opened = log_in(http, vault, read_bytes(passphrase))
        profile = enrol(home, http, ca_pem, opened, known, name)
    emit(
        _answer(profile) | {"client": profile.client}, as_json, f"vault {profile.vault} can be used from here"
    )
    suggest(as_json, ("unlock", "open it on this computer"), ("status", "see how it is doing"))


@click.command("unlock")
@click.option(
    "--for", "idle", default="15m", show_default=True, metavar="TIME", help="Lock when unused so long."
)
@options.passphrase
@options.home
@options.as_json
def unlock(idle: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Open your vault on this computer for a while."""
    seconds = span(idle)
    profile = state.load(home)
    with http_of(profile) as http:
        opened = log_in(http, VaultId.parse(profile.vault), read_bytes(passphrase))
    require_own_keys(opened.owner, profile.pins())
    agent.start(home, opened.root, seconds)
    emit(
        {"unlocked": True, "vault": profile.vault, "idle_seconds": seconds},
        as_json,
        f"unlocked; locks itself when unused for {duration(seconds)}",
    )
    suggest(as_json, ("inbox", "see what waits for your answer"), ("lock", "lock it now"))


@click.command("lock")
@options.home
@options.as_json
def lock(home: Path, as_json: bool) -> None:
    """Forget your vault's keys on this computer."""
    state.load(home)
    was_open = agent.stop(home)
    emit(
        {"locked": True, "was_unlocked": was_open}, as_json, "locked" if was_open else "it was locked already"
    )
    suggest(as_json, ("unlock", "open it again"))


@click.group("passphrase")
def passphrase() -> None:
    """Change your passphrase."""


@passphrase.command("change")
@click.option(
    "--new-passphrase-file", metavar="PATH", help="Read the new one from this file; - is standard input."
)
@click.option("--new-passphrase-command", metavar="CMD", help="Read the new one from this command's output.")
@click.option("--choose", is_flag=True, help="Choose the new one yourself, at a prompt.")
@options.passphrase
@options.home
@options.as_json
def change(
    new_passphrase_file: str | None,
    new_passphrase_command: str | None,
    choose: bool,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Change your passphrase; the recovery phrase stays as it is."""
    profile = state.load(home)
    source = PassphraseSource(file=new_passphrase_file, command=new_passphrase_command)
    old = read_bytes(passphrase, "Passphrase until now")
    with http_of(profile) as http:
        opened = log_in(http, VaultId.parse(profile.vault), old)
        words, made = new_passphrase(source, choose=choose)
        with session_of(home, profile, http, opened.root) as session:
            person.change_passphrase(session, opened, normalised(words))
    show_made(made, words, as_json)
    emit({"changed": True} | ({"passphrase": words} if made else {}), as_json, "the passphrase is changed")
    suggest(as_json, ("recovery test", "make sure that you still have your recovery phrase"))


def _show_and_ask_back(phrase: str) -> None:
    words = phrase.split()
    say("Your recovery phrase, shown once. Write down its 24 words; who has them has your vault:\n")
    for row in range(6):
        cells = [f"{place + 1:>2}. {words[place]:<10}" for place in range(row, 24, 6)]
        say("    " + "".join(cells).rstrip())
    say()
    for place in sorted(secrets.SystemRandom().sample(range(len(words)), CHECKED)):
        while ask(f"Word {place + 1}?", instead="--yes and --recovery-file").lower() != words[place]:
            say("that is another word; look again")


def _answer(profile: Profile) -> dict[str, Any]:
    return {"vault": profile.vault, "name": profile.name, "server": profile.server}


__all__ = ["change", "init", "lock", "login", "passphrase", "unlock"]
