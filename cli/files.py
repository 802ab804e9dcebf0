"""``data files``: pictures and other files that devices sent. No grant ever holds one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import rich_click as click

from cli.errors import CliError, ConflictError
from cli.known import find_all
from cli.passphrase import PassphraseSource
from cli.period import period
from cli.progress import Bar
from cli.render import count, emit, moment, table
from cli.session import suggest, unlocked, with_vault
from cli.times import rfc3339
from gateway.client import device as devices
from gateway.client.read import Archive
from vault.segment import BLOB_KIND

_KINDS: Final[tuple[tuple[bytes, str], ...]] = (
    (rb"\xff\xd8\xff", "jpg"),
    (rb"\x89PNG", "png"),
    (rb"GIF8", "gif"),
    (rb"RIFF.{4}WEBP", "webp"),
    (rb".{4}ftyp(?:avif|avis)", "avif"),
    (rb".{4}ftyp(?:heic|heix|mif1)", "heic"),
    (rb".{4}ftyp", "mp4"),
    (rb"%PDF", "pdf"),
)


class Kept(NamedTuple):
    """A file as it came, and where it was saved."""

    seq: int
    time: int  # ms
    device: str
    topic: str
    type: str
    size: int
    path: Path | None

    @property
    def json(self) -> dict[str, Any]:
        """What a program gets."""
        saved = None if self.path is None else str(self.path)
        return {
            "time": rfc3339(self.time),
            "device": self.device,
            "topic": self.topic,
            "type": self.type,
            "bytes": self.size,
            "file": saved,
        }


@click.command("files")
@click.option(
    "--since", default="30d", show_default=True, metavar="WHEN", help="24h, 7d, a date, or RFC 3339."
)
@click.option("--until", metavar="WHEN", help="The same; now, if not given.")
@click.option("--device", "names", multiple=True, metavar="NAME", help="Only this device; may be repeated.")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write them into this directory, which is made.",
)
@with_vault
def files(
    since: str,
    until: str | None,
    names: tuple[str, ...],
    save: Path | None,
    passphrase: PassphraseSource,
    home: Path,
    as_json: bool,
) -> None:
    """List pictures and other files that devices sent, or save them."""
    with unlocked(home, passphrase) as session, Bar("reading") as bar:
        found = devices.fetch(session)
        chosen = {one.id for one in find_all(found, names)}
        called = found.names()
        readings = Archive(session).readings(
            *period(session, since, until),
            lambda lane: lane.device in chosen and lane.kind == BLOB_KIND,
            bar,
        )
        rows: list[Kept] = []
        for reading in readings:
            value = reading.observation.value
            topic, _, payload = (value if isinstance(value, bytes) else b"").partition(b"\0")
            seen, kind = reading.observation.time, type_of(payload)
            path = None if save is None else _write(save, seen, reading.seq, kind, payload)
            device = called.get(reading.device, reading.device.text)
            name = topic.decode(errors="replace")
            rows.append(Kept(reading.seq, seen, device, name, kind, len(payload), path))
    if save is None:
        text = table(
            ["TIME", "DEVICE", "TOPIC", "TYPE", "BYTES"],
            [(moment(one.time), one.device, one.topic, one.type, f"{one.size:,}") for one in rows],
            right=("BYTES",),
        )
    else:
        text = f"{count(len(rows), 'file')} in {save}"
    emit([row.json for row in rows], as_json, text if rows else "no files")
    if rows and save is None:
        suggest(as_json, ("data files --save DIR", "write them to your disk"))


def type_of(payload: bytes) -> str:
    """What the name of such a file ends in."""
    return next((end for begins, end in _KINDS if re.match(begins, payload, re.DOTALL)), "bin")


def _write(directory: Path, time_ms: int, seq: int, kind: str, payload: bytes) -> Path:
    """Write a file for the person alone, under a name of ours: nothing of a topic becomes part of a path.

    Raises:
        ConflictError, CliError: it is there already, or cannot be written.
    """
    path = directory / f"{rfc3339(time_ms).replace(':', '').replace('-', '')}-{seq}.{kind}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(payload)
    except FileExistsError:
        raise ConflictError(f"{path} exists already", "nothing is overwritten; name another one") from None
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", "name another directory") from None
    return path
