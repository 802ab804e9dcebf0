"""``bridge add``: a broker's address, what is mapped to which device, and the file that a bridge reads."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click

from cli import bridging
from cli.ask import require_terminal, say
from cli.errors import CancelledError, CliError, ConflictError, UsageError
from cli.home import prepare, write_private
from cli.known import find
from cli.node import call
from cli.passphrase import PassphraseSource
from cli.render import count, emit, escape
from cli.session import suggest, unlocked, with_vault
from gateway import wire
from gateway.bridge import config
from gateway.bridge.config import BridgeConfig, Broker, Credential
from gateway.bridge.filters import Mapping
from gateway.client import device as devices
from gateway.client.session import Session
from vault.ids import DeviceId
from vault.store.paths import DataDir

PASSWORD_MAX = 4096  # bytes
STARTED_S = 5.0  # for a running server to start it and connect
POLL_S = 0.2


@click.command("add")
@click.argument("name")
@click.option("--broker", required=True, metavar="URL", help="mqtts://HOST:PORT; or mqtt://, ws://, wss://.")
@click.option(
    "--map", "maps", multiple=True, metavar="FILTER=DEVICE", help="What arrives there is this device's."
)
@click.option("--username", default="", help="Who we are at the broker; the password is asked for.")
@click.option("--password-file", metavar="PATH", help="Read the broker's password from this file.")
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The broker's own certificate authority, in PEM.",
)
@click.option("--workers", default=1, show_default=True, help="Processes that share what comes.")
@click.option("--client-id", default="", help="What its client ids at the broker begin with.")
@click.option("--rotate", is_flag=True, help="Give devices that exist already a new password.")
@click.option(
    "--broker-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The broker's mosquitto.conf, for `doctor` to look at.",
)
@with_vault
def add(
    name: str,
    broker: str,
    maps: tuple[str, ...],
    username: str,
    password_file: str | None,
    ca: Path | None,
    workers: int,
    client_id: str,
    rotate: bool,
    broker_config: Path | None,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """Connect a broker on the server's own computer; each mapped device is made where there is none.

    The broker's password and those of the devices go into a file of the server's, readable by its user
    alone. Whoever copies the server's disk can connect to the broker, publish as these devices, and see
    what is set for them; readings stay sealed.
    """
    data = DataDir.default()
    mappings = [_mapping(one) for one in maps]
    wanted = BridgeConfig(
        name=name,
        broker=Broker.parse(broker),
        username=username,
        ca_pem=ca.read_text(encoding="ascii", errors="replace") if ca else "",
        client_id=client_id or f"hypertouch-{name}",
        workers=workers,
        mappings=mappings,
        devices={one.device: Credential("a" * 26, "") for one in mappings},
        broker_config=str(broker_config.absolute()) if broker_config else "",
    )
    config.check(wanted)  # before anything is asked or made
    if name in bridging.names(data):
        raise ConflictError("there is a bridge of this name", "choose another, or remove that one first")
    password = _password(password_file) if username else ""
    if password_file and not username:
        raise UsageError("a password needs a user name", "give --username")
    with unlocked(home, passphrase) as session:
        vault = session.pins.vault
        call(wire.Flush(vault), wire.Done, data)  # the vault is on this very server
        prepare(config.directory(data))
        made, credentials = _credentials(session, wanted.devices, rotate=rotate)
        wanted = msgspec.structs.replace(
            wanted,
            password=password,
            devices=credentials,
            vault=vault.text,
            client_id=client_id or f"hypertouch-{name}-{session.entropy(3).hex()}",
        )
    path = config.path_of(data, name)
    write_private(path, config.encode(wanted))
    row = _started(data, name)
    answer = row | {"made": made, "file": str(path)}
    lines = [
        f"{escape(name)} brings {count(len(mappings), 'filter')} of {escape(wanted.broker.url)}",
        f"  state    {escape(row['problem'] or 'connected')}",
        f"  devices  {escape(', '.join(wanted.devices))}"
        + (f"; new: {escape(', '.join(made))}" if made else ""),
        f"  file     {escape(str(path))}",
    ]
    emit(answer, as_json, "\n".join(lines))
    if not as_json:
        _explain(wanted)
    suggest(as_json, (f"bridge test {name}", "see which topics arrive"), ("doctor", "look at the broker"))


def _explain(wanted: BridgeConfig) -> None:
    say("What it acknowledges to the broker is stored here; what the broker acknowledges")
    say("to others, the broker answers for. Hypertouch stores and does not forward: your")
    say("other programs keep the broker.")
    say("The file has passwords: whoever copies it can connect to the broker and publish")
    say("as these devices; with a copy of the server's disk they also see what is set for")
    say("them. Readings stay sealed.")
    if not wanted.broker.tls and not wanted.broker.local:
        say("The connection has no TLS: passwords and readings cross the network readably.")


def _mapping(text: str) -> Mapping:
    pattern, equals, device = text.rpartition("=")
    if not equals or not pattern or not device:
        raise UsageError("--map takes FILTER=DEVICE", "for example --map 'zigbee2mqtt/#=hub'")
    return Mapping(pattern, device)


def _credentials(
    session: Session, names: Iterable[str], *, rotate: bool
) -> tuple[list[str], dict[str, Credential]]:
    """Passwords for the devices, and which of them are new; nothing is changed where one cannot be had."""
    known = devices.fetch(session)
    there = {one.name.casefold() for one in known.live}
    names = list(names)
    taken = [one for one in names if one.casefold() in there]
    if taken and not rotate:
        raise ConflictError(
            f"there is a device {escape(taken[0])}, whose password cannot be shown again",
            "--rotate gives it a new one and cuts off whatever uses the old one; or map to another name",
        )
    if len({one.casefold() for one in names}) < len(names):
        raise UsageError("two mapped devices have the same name but for capitals", "name them alike")
    for one in names:
        devices.check_name(one, [])
    found: dict[str, Credential] = {}
    for one in names:
        if one in taken:
            made = devices.rotate(session, find(known, one), known.listens)
        else:
            made = devices.add(session, one)
        found[one] = Credential(DeviceId(made.device).text, made.password)
    return [one for one in names if one not in taken], found


def _started(data: DataDir, name: str) -> dict[str, Any]:
    """How it fares, once a running server has started it and it is connected, or some seconds later."""
    deadline = time.monotonic() + STARTED_S
    while True:
        row = bridging.summary(data, name, bridging.fares(data))
        if row["connected"] or row["problem"] not in ("starting", "connecting"):
            return row
        if time.monotonic() > deadline:
            return row
        time.sleep(POLL_S)


def _password(path: str | None) -> str:
    """The broker's password: one line of a file, or typed; raises UsageError, CancelledError."""
    if path is None:
        import getpass

        require_terminal("--password-file PATH")
        try:
            return getpass.getpass("Password at the broker: ", stream=sys.stderr)
        except (EOFError, KeyboardInterrupt):
            raise CancelledError("cancelled") from None
    try:
        data = sys.stdin.buffer.read(PASSWORD_MAX + 1) if path == "-" else _first_bytes(Path(path))
        text = data.decode()
    except (OSError, UnicodeDecodeError):
        raise UsageError("the password file cannot be read", "check its path") from None
    if len(data) > PASSWORD_MAX:
        raise CliError("the password file is too long", "is it the right file?")
    return text.removesuffix("\n").removesuffix("\r")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(PASSWORD_MAX + 1)
