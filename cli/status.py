"""``status`` and ``doctor``: how the vault is doing, and what on this computer needs mending."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import rich_click as click

from cli import agent, bridging, options, state
from cli.asked import fetch
from cli.checks import OK, Check, all_checks, failed
from cli.doubts import doubted
from cli.errors import CliError, ExitCode
from cli.node import call
from cli.passphrase import PassphraseSource
from cli.render import WIDTH, count, duration, emit, escape
from cli.session import http_of, suggest, unlocked, with_vault
from cli.state import Profile
from cli.times import midnight
from gateway import wire
from gateway.client.errors import ClientError
from gateway.client.read import Archive, is_reading
from gateway.client.session import Session
from policies.grant import Paused
from vault.ids import GrantId, VaultId
from vault.store.paths import DataDir

SIGNS = {"ok": "ok  ", "warn": "note", "fail": "BAD "}
LABEL = 19  # columns before what a check found


@click.command("status")
@with_vault
def status(passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Show how your vault is doing and what needs you."""
    profile = state.load(home)
    left = agent.seconds_left(home)
    answer: dict[str, Any] = {
        "vault": profile.vault,
        "name": profile.name,
        "server": profile.server,
        "reachable": is_reachable(profile),
        "unlocked": left is not None or passphrase.given,
        "locks_in_seconds": left,
    }
    lines = [
        f"vault      {escape(profile.name)}  {profile.vault}",
        f"server     {escape(profile.server)}, {'answers' if answer['reachable'] else 'does not answer'}",
        f"keys       {'locked' if left is None else f'open; locked when unused for {duration(left)}'}",
    ]
    if answer["unlocked"] and answer["reachable"]:
        with unlocked(home, passphrase) as session:
            more = _inside(session)
        answer |= more
        lines += [
            f"devices    {more['devices']:,}, which sent {count(more['readings_today'], 'reading')} today",
            f"brands     {_grants(more)}, {count(more['pending'], 'request')} waiting",
        ]
        if more["frozen"]:
            lines.append(f"grants     rest: the server's clock is {escape(more['frozen'])}")
    data = DataDir.default()
    names = bridging.names(data)
    fare = bridging.fares(data) if names else None
    answer["bridges"] = [bridging.summary(data, name, fare) for name in names]
    lines += [f"bridge     {escape(bridging.sentence(row))}" for row in answer["bridges"]]
    emit(answer, as_json, "\n".join(lines))
    if answer.get("pending"):
        suggest(as_json, ("inbox", "see what waits for your answer"))
    elif not answer["reachable"]:
        suggest(as_json, ("doctor", "find out what is wrong"))
    elif not answer["unlocked"]:
        suggest(as_json, ("unlock", "open your vault"))


@click.command("doctor")
@click.option(
    "--unfreeze", is_flag=True, help="This machine's clock is right: let the server serve grants again."
)
@options.passphrase
@options.home
@options.as_json
def doctor(unfreeze: bool, passphrase: PassphraseSource, home: Path, as_json: bool) -> int:
    """Check this computer, the server and your vault."""
    if unfreeze:
        call(wire.Unfreeze(), wire.Done)
    checks = all_checks(home, passphrase)
    rows = [{"check": one.name, "state": one.state, "what": one.what, "next": one.next} for one in checks]
    emit({"ok": not failed(checks), "checks": rows}, as_json, "\n".join(_line(one) for one in checks))
    if failed(checks):
        raise CliError(f"{count(failed(checks), 'thing')} to mend", "see the lines above")
    return ExitCode.OK


def is_reachable(profile: Profile) -> bool:
    """Whether a server of ours answers at the profile's address."""
    try:
        with http_of(profile) as http:
            http.exchange("/owner/salts", wire.Salts(VaultId.parse(profile.vault)))
    except ClientError:
        return False
    return True


def _inside(session: Session) -> dict[str, Any]:
    overview = session.ask(wire.GetOverview(), wire.Overview)
    now = session.clock()
    grants = fetch(session)
    doubts = doubted(session, grants)
    today = Archive(session).readings(midnight(now), now + 1, is_reading)
    return {
        "devices": overview.devices,
        "pending": overview.pending,
        "active": overview.active,
        "paused": sum(isinstance(row.state, Paused) for row in grants),
        "readings": overview.readings,
        "readings_today": sum(1 for _ in today),
        "frozen": overview.frozen,
        "unproven": sorted(GrantId(one).text for one in doubts),
    }


def _grants(inside: dict[str, Any]) -> str:
    """``2 grants, 1 paused``: those in force, and those that rest."""
    words = count(inside["active"], "grant")
    return f"{words}, {inside['paused']:,} paused" if inside["paused"] else words


def _line(one: Check) -> str:
    lines = _words(one.what) + ([] if one.state == OK else _words(one.next))
    return f"{SIGNS[one.state]}  {one.name:<12} " + ("\n" + " " * LABEL).join(lines)


def _words(text: str) -> list[str]:
    """Lines beside the label; a path or a word to be copied is never broken."""
    return textwrap.wrap(escape(text), WIDTH - LABEL, break_long_words=False, break_on_hyphens=False)
