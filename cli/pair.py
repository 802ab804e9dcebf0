"""``device add|rotate|authority``: a credential, how its product is told, and the first that it sends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, NamedTuple

import rich_click as click

from cli import options, profiles, state
from cli import readings as rows_of
from cli.ask import confirm, interactive, say
from cli.errors import NotFoundError
from cli.known import find
from cli.output import new_file
from cli.passphrase import PassphraseSource
from cli.render import WIDTH, columns, count, emit, escape, wrap
from cli.session import suggest, unlocked, with_vault
from cli.settings import settings
from cli.text import quoted
from cli.times import span
from gateway.client import device as devices
from gateway.client.device import Credential
from gateway.client.read import Archive, Reading
from gateway.client.session import Session
from vault.bucket import DAY_MS
from vault.ids import DeviceId
from vault.segment import is_reserved

WAIT: Final = "2m"
POLL_S: Final = 1.0
SHOWN: Final = 8  # readings, then the device is known to work
SETTLE_S: Final = 5.0  # after the first of them
NEAR_DAYS: Final = 7  # a phone may send a week that it kept


_profile = click.option(
    "--profile",
    type=click.Choice(list(profiles.PROFILES)),
    default="generic",
    show_default=True,
    help="What it is: print exactly what that product needs.",
)


class First(NamedTuple):
    """What arrived while we waited."""

    readings: int
    others: int  # payloads that were kept whole


@click.command("add")
@click.argument("name")
@_profile
@click.option("--timezone", metavar="ZONE", help="Where its times without a zone are; else as this computer.")
@click.option("--own", multiple=True, metavar="ID", help="A sensor it hears is yours; may be repeated.")
@click.option("--wait", metavar="TIME", help=f"Wait so long for its first readings; {WAIT} at a terminal.")
@click.option("--no-wait", is_flag=True, help="Return at once.")
@click.option("--no-qr", is_flag=True, help="Do not draw the code for a phone's camera.")
@with_vault
def add(
    name: str,
    profile: str,
    timezone: str | None,
    own: tuple[str, ...],
    wait: str | None,
    no_wait: bool,
    no_qr: bool,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Make the credential that one device connects with."""
    patience = _patience(wait, no_wait, as_json)
    begun = settings(timezone, own)
    with unlocked(home, passphrase) as session:
        made = devices.add(session, name, begun)
        show(made, profile, home, as_json, qr=not no_qr)
        seen = _wait(session, made, patience) if patience else First(0, 0)
    steps = [("data tail", "watch its readings arrive"), ("device list", "see when it was last seen")]
    if seen.others and not seen.readings:
        steps.insert(0, (f"device teach {quoted(name)}", "say what it means"))
    suggest(as_json, *steps)


@click.command("rotate")
@click.argument("name")
@_profile
@click.option("--no-qr", is_flag=True, help="Do not draw the code for a phone's camera.")
@options.yes
@with_vault
def rotate(
    name: str,
    profile: str,
    no_qr: bool,
    yes: bool,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Give a device a new password; the old one ends at once."""
    with unlocked(home, passphrase) as session:
        found = devices.fetch(session)
        one = find(found, name)
        confirm(f"End the password of {escape(one.name)} and make another?", yes=yes)
        made = devices.rotate(session, one, found.listens)
    show(made, profile, home, as_json, qr=not no_qr)
    suggest(as_json, ("data tail", "watch its readings arrive"), ("device list", "see when it was last seen"))


@click.command("authority")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A new file; else it is printed.",
)
@options.home
@options.as_json
def authority(output: Path | None, home: Path, as_json: bool) -> None:
    """Save the certificate by which devices know your server."""
    pem = state.load(home).ca_pem
    if not pem:
        raise NotFoundError(
            "your server has no authority of its own", "devices need nothing more than their credential"
        )
    if output is not None:
        with new_file(output) as file:
            file.write(pem)
    text = pem.strip() if output is None else f"the authority is in {output}"
    emit({"ca_pem": pem, "file": str(output) if output else None}, as_json, text)


def show(made: Credential, profile: str, home: Path, as_json: bool, *, qr: bool) -> None:
    """What to enter where: the only time that the password is seen."""
    pem = state.load(home).ca_pem if made.tls and made.ca_fingerprint else ""
    guide = profiles.guide(profile, made, pem)
    answer = {
        "device": made.device.text,
        "name": made.name,
        "host": made.host,
        "port": made.port,
        "tls": made.tls,
        "username": made.username,
        "password": made.password,
        "ca_fingerprint": made.ca_fingerprint,
        "profile": profile,
        "link": guide.link,
        "steps": [step._asdict() for step in guide.steps],
        "notes": list(guide.notes),
    }
    lines = [f"{escape(made.name)} can connect now; its password is shown this once.", ""]
    for number, step in enumerate(guide.steps, start=1):
        if step.say:
            lines += wrap(escape(f"{number}. {step.say}" if len(guide.steps) > 1 else step.say), WIDTH)
        lines += ["", step.text, ""] if step.text else []  # from the edge on: it is copied, and spaces count
    lines += [line for note in guide.notes for line in wrap(escape(note), WIDTH)]
    if qr and guide.link:
        lines += _code(guide.link)
    emit(answer, as_json, "\n".join(lines).rstrip("\n"))


def _patience(wait: str | None, no_wait: bool, as_json: bool) -> float:
    """Seconds to wait: as asked for, or a while where a person looks on."""
    if no_wait or as_json:
        return 0.0
    if wait is not None:
        return float(span(wait))
    return float(span(WAIT)) if interactive() else 0.0


def _wait(session: Session, made: Credential, patience: float) -> First:
    """Show what it sends until it is clear that it works, time is up, or the person has seen enough."""
    say("waiting for its first readings; Ctrl-C when you have seen enough")
    try:
        seen = _arriving(session, made, patience)
    except KeyboardInterrupt:
        say()
        return First(0, 0)
    if seen.readings:
        say(f"{made.name} works: {count(seen.readings, 'reading')}")
    elif seen.others:
        say(f"{made.name} is connected, but nothing it sent is understood yet; it is kept")
    else:
        say("nothing has arrived yet; the credential stays good")
    return seen


def _arriving(session: Session, made: Credential, patience: float) -> First:
    archive, names = Archive(session), {made.device: made.name}
    deadline = time.monotonic() + patience
    seq, readings, others = 0, 0, 0
    while readings < SHOWN and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(POLL_S, left))
        for reading in _new(archive, session, made.device, seq):
            seq = reading.seq
            if is_reserved(reading.observation.kind):
                others += 1
                continue
            if not readings:
                deadline = min(deadline, time.monotonic() + SETTLE_S)
            readings += 1
            print(rows_of.line(rows_of.row_of(names, reading), reading), flush=True)
    return First(readings, others)


def _new(archive: Archive, session: Session, device: DeviceId, after: int) -> list[Reading]:
    """What this device sent since a sequence number, payloads that were kept whole among it."""
    today = session.clock() // DAY_MS
    return archive.arrived(after, today - NEAR_DAYS, today + 1, lambda lane: lane.device == device)


def _code(link: str) -> list[str]:
    """A code for a phone's camera: a window that is too narrow for it breaks it, so that is said."""
    from io import StringIO

    import segno

    out = StringIO()
    code = segno.make(link, error="l")
    border = next((border for border in (4, 2, 1) if code.symbol_size(border=border)[0] <= WIDTH), 1)
    code.terminal(out=out, border=border, compact=True)
    drawn = out.getvalue().rstrip("\n").splitlines()
    wide = max(map(columns, drawn))
    return drawn if wide <= WIDTH else [f"The code needs a window of {wide} columns.", *drawn]
