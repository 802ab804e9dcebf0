"""``device set``: what a device's own payloads cannot say: its time zone, its sensors, its key."""

from __future__ import annotations

import os
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import rich_click as click

from cli.errors import UsageError
from cli.known import find
from cli.passphrase import PassphraseSource, from_file
from cli.render import count, emit, escape
from cli.session import suggest, unlocked, with_vault
from cli.text import quoted
from gateway.client import device as devices

if TYPE_CHECKING:
    from gateway.dialects import DialectSettings

DETECT: Final = "detect"
SECRET_MAX: Final = 32  # bytes: OwnTracks', and nobody else's yet
_LOCALTIME: Final = Path("/etc/localtime")


@click.command("set")
@click.argument("name")
@click.option("--timezone", metavar="ZONE", help="Where its times without a zone are, such as Europe/Berlin.")
@click.option("--dialect", metavar="NAME", help=f"Read all it sends in this dialect; or {DETECT} it.")
@click.option("--own", multiple=True, metavar="ID", help="A sensor it hears is yours; may be repeated.")
@click.option("--not-own", multiple=True, metavar="ID", help="It is not; may be repeated.")
@click.option(
    "--secret-file", metavar="PATH", help="Read the key it encrypts its payloads with; - is standard input."
)
@click.option("--no-secret", is_flag=True, help="Forget that key.")
@with_vault
def set_(
    name: str,
    timezone: str | None,
    dialect: str | None,
    own: tuple[str, ...],
    not_own: tuple[str, ...],
    secret_file: str | None,
    no_secret: bool,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Say what a device cannot say itself; without options, show what was said."""
    if secret_file is not None and no_secret:
        raise UsageError("a key is given or forgotten, not both", "leave one of them out")
    with unlocked(home, passphrase) as session:
        one = find(devices.fetch(session), name)
        before = devices.settings_of(session, one)
        after = _changed(before, timezone, dialect, (own, not_own))
        if secret_file is not None or no_secret:
            after = msgspec.structs.replace(after, secret=_secret(secret_file))
        if after != before:
            devices.configure(session, one, after)
    answer = {
        "device": one.id.text,
        "name": one.name,
        "timezone": after.timezone,
        "dialect": after.dialect or DETECT,
        "own": list(after.own),
        "secret": bool(after.secret),
        "taught": len(after.taught),
    }
    lines = [
        escape(one.name),
        f"  time zone  {after.timezone}",
        f"  dialect    {after.dialect or 'found by what it sends'}",
        f"  own        {escape(', '.join(after.own)) or 'no sensors named'}",
        f"  key        {'known' if after.secret else 'none'}",
        f"  taught     {count(len(after.taught), 'rule')}",
    ]
    emit(answer, as_json, "\n".join(lines))
    if not one.row.notes:
        suggest(
            as_json, (f"device rotate {quoted(one.name)}", "so that this holds: it is older than settings")
        )
        return
    suggest(as_json, (f"device show {quoted(one.name)}", "see what is understood"))


def _secret(path: str | None) -> str:
    """The key in a file, none where none is named; raises UsageError."""
    if path is None:
        return ""
    secret = from_file(path, "key").strip()
    if not secret:
        raise UsageError("the key is empty", "--no-secret forgets the one there is")
    if len(secret.encode()) > SECRET_MAX:
        raise UsageError(f"a key has at most {SECRET_MAX} bytes", "take the one that the app was given")
    return secret


def settings(timezone: str | None, own: tuple[str, ...]) -> DialectSettings:
    """What a new device begins with: where this computer is, if nothing is said; raises UsageError."""
    from gateway.dialects import DialectSettings

    return _changed(DialectSettings(), timezone or local_zone(), None, (own, ()))


def local_zone() -> str:
    """The time zone of this computer, UTC where it does not say."""
    try:
        named = os.environ.get("TZ", "").lstrip(":") or str(_LOCALTIME.readlink()).partition("zoneinfo/")[2]
        return zoneinfo.ZoneInfo(named).key
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        return "UTC"


def _changed(
    before: DialectSettings,
    timezone: str | None,
    dialect: str | None,
    sensors: tuple[tuple[str, ...], tuple[str, ...]],
) -> DialectSettings:
    """The settings with what was asked for; raises UsageError."""
    from gateway.dialects.reading import NAMES

    if dialect not in (None, DETECT, *NAMES):
        raise UsageError("there is no such dialect", f"choose one of {', '.join((DETECT, *NAMES))}")
    own, not_own = ({_plain(one): one for one in some} for some in sensors)
    kept = {_plain(one): one for one in before.own} | own
    try:
        return msgspec.structs.replace(
            before,
            timezone=before.timezone if timezone is None else timezone,
            dialect=before.dialect if dialect is None else "" if dialect == DETECT else dialect,
            own=tuple(name for plain, name in kept.items() if plain not in not_own),
        )
    except ValueError:
        raise UsageError("there is no such time zone", "write it like Europe/Berlin") from None


def _plain(sensor: str) -> str:
    """An address without its case and separators."""
    return sensor.casefold().replace(":", "").replace("-", "")
