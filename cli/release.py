"""``device pause|resume|release|check-release``: what is yours rests, or is yours no longer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, get_args

import rich_click as click

from cli import options
from cli.ask import confirm, require_terminal, say
from cli.errors import CliError, ConflictError, NotFoundError
from cli.known import find, find_released
from cli.output import new_file
from cli.passphrase import PassphraseSource
from cli.render import count, emit, escape
from cli.session import suggest, unlocked, with_vault
from cli.text import quoted
from gateway import wire
from gateway.client import device as devices
from vault.ids import GrantId
from vault.statement import ReleaseReason

if TYPE_CHECKING:
    from gateway.client.device import Device
    from gateway.client.release import Checked, Tied
    from vault.store.records import GrantRow

FILE_MAX: Final = 64 << 10  # bytes of a statement's file


@click.command("pause")
@click.argument("name")
@with_vault
def pause(name: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Take nothing of a device until you resume it; it keeps its credential."""
    with unlocked(home, passphrase) as session:
        one = find(devices.fetch(session), name)
        session.tell(wire.PauseDevice(one.id, True), wire.Done)
    emit(_told(one, paused=True), as_json, f"nothing of {escape(one.name)} is taken any more")
    suggest(as_json, (f"device resume {quoted(one.name)}", "take what it sends again"))


@click.command("resume")
@click.argument("name")
@with_vault
def resume(name: str, passphrase: PassphraseSource, home: Path, as_json: bool) -> None:
    """Take what a device sends again."""
    with unlocked(home, passphrase) as session:
        one = find(devices.fetch(session), name)
        session.tell(wire.PauseDevice(one.id, False), wire.Done)
    emit(_told(one, paused=False), as_json, f"{escape(one.name)} may connect again")
    suggest(as_json, ("data tail", "watch its readings arrive"))


@click.command("release")
@click.argument("name")
@click.option(
    "--reason",
    type=click.Choice(get_args(ReleaseReason)),
    required=True,
    help="Why it leaves your hands.",
)
@click.option("--to", default="", metavar="TEXT", help="Who it goes to; stands in the statement.")
@click.option("--with-name", is_flag=True, help="Let the statement say what you call the device.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A new file for the statement; else release-ID.json.",
)
@options.yes
@with_vault
def release(
    name: str,
    reason: str,
    to: str,
    with_name: bool,
    output: Path | None,
    yes: bool,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """End a device's credential and the grants tied to it, and sign a statement that says so.

    Grants that name this device alone end; those that name others too go on. What the device sent stays
    yours. The statement is a file for whoever takes the device over. The server keeps a copy, and can read
    it. Given again, the command writes the file of a device that was released before.
    """
    from gateway.client import release as releases

    if not yes:
        require_terminal("--yes")
    with unlocked(home, passphrase) as session:
        found = devices.fetch(session)
        former = find_released(found, name)
        one = former or find(found, name)
        path = output or Path(f"release-{one.id.short.lower()}.json")
        if path.exists():
            raise ConflictError(f"{path} exists already", "name another file with --output")
        if former is not None:
            made = releases.statement_of(session, one) or b""
            tied = releases.Tied([], [])
        else:
            tied = releases.tied_to(session, one)
            say(_warning(one, tied))
            confirm(f"Release {escape(one.name)}?", yes=yes)
            made = releases.release(
                session, one, cast("ReleaseReason", reason), to=to, name=one.name if with_name else ""
            )
            tied = _came_of(session.ask(wire.GetGrants(), wire.Grants).grants, tied)
        with new_file(path) as file:
            file.write(made.decode())
        checked = releases.check(made)
    answer = _row(checked) | {
        "file": str(path),
        "ended": [_grant(row) for row in tied.ending],
        "going_on": [_grant(row) for row in tied.going_on],
    }
    text = f"{escape(one.name)} is yours no longer; the statement is in {path}"
    emit(answer, as_json, text)
    suggest(as_json, (f"device check-release {path}", "check it, as whoever gets it can"))


@click.command("check-release")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--fingerprint", "key", metavar="SHA256", help="The fingerprint that the person's key must have."
)
@options.as_json
def check_release(file: Path, key: str | None, as_json: bool) -> None:
    """Check the statement that a device was released; needs no vault and no server.

    It proves that whoever has the key signed it. Compare the fingerprint with the one that they show you.
    """
    from gateway.client.release import check
    from vault.errors import VaultError

    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_MAX + 1)
    except OSError as error:
        raise NotFoundError(f"{file} cannot be read: {error.strerror}", "check the path") from None
    try:
        checked = check(data)
    except VaultError as error:
        raise CliError(
            f"this statement does not hold: {error}", "ask for the file that was handed over"
        ) from None
    if key is not None and _plain(key) != checked.fingerprint:
        raise CliError("this statement was signed with another key", "compare the whole fingerprint")
    said = checked.statement
    lines = [
        f"The owner of this key released device {said.device}",
        f"  when    {_row(checked)['released']}",
        f"  why     {said.reason}",
    ]
    lines += [f"  to      {escape(said.to)}"] if said.to else []
    lines += [f"  called  {escape(said.name)}"] if said.name else []
    lines += [f"  vault   {checked.vault.text}", f"  key     {checked.fingerprint} (SHA-256)"]
    emit({"ok": True} | _row(checked), as_json, "\n".join(lines))


def _told(one: Device, *, paused: bool) -> dict[str, Any]:
    return {"device": one.id.text, "name": one.name, "paused": paused}


def _warning(one: Device, tied: Tied) -> str:
    """What will happen, before it is asked."""
    lines = [f"{one.name} will connect no more, and its password cannot be given again."]
    if tied.ending:
        named = ", ".join(row.brand_name for row in tied.ending)
        lines.append(f"{count(len(tied.ending), 'grant')} on it alone will end: {named}")
    if tied.going_on:
        named = ", ".join(row.brand_name for row in tied.going_on)
        lines.append(f"{count(len(tied.going_on), 'grant')} on other devices too will go on: {named}")
    return "\n".join(escape(line) for line in lines)


def _came_of(rows: list[GrantRow], before: Tied) -> Tied:
    """The same grants, as they are now."""
    from gateway.client.release import Tied

    now = {row.grant: row for row in rows}
    return Tied([now[row.grant] for row in before.ending], [now[row.grant] for row in before.going_on])


def _grant(row: GrantRow) -> dict[str, str]:
    return {"grant": GrantId(row.grant).text, "brand": row.brand_name}


def _row(checked: Checked) -> dict[str, Any]:
    from policies.iso8601 import format_time

    said = checked.statement
    return {
        "device": said.device,
        "vault": checked.vault.text,
        "released": format_time(said.released // 1000),
        "reason": said.reason,
        "to": said.to,
        "name": said.name,
        "fingerprint": checked.fingerprint,
    }


def _plain(fingerprint: str) -> str:
    return fingerprint.replace(":", "").replace(" ", "").lower()
