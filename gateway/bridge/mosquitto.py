"""What a ``mosquitto.conf`` says about messages that the broker acknowledges and then drops.

The names and defaults are those of mosquitto.conf(5), version 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

USUAL: Final = Path("/etc/mosquitto/mosquitto.conf")
FILES_MAX: Final = 64
FILE_MAX: Final = 1 << 20  # bytes
MANY: Final = 100_000  # messages that a queue should hold, or as many as there are
MANY_BYTES: Final = 64 << 20
OFTEN_S: Final = 60


class Finding(msgspec.Struct, frozen=True):
    """Something that loses messages: in words, and the line that mends it."""

    what: str
    line: str


def read(path: Path) -> dict[str, str]:
    """Each setting's last value, included files among it; raises OSError where one cannot be read."""
    return dict(_lines(path, [FILES_MAX]))


def findings(settings: dict[str, str]) -> list[Finding]:
    """What of these settings loses messages that were acknowledged."""
    found: list[Finding] = []
    queue = _number(settings, "max_queued_messages", 1000)
    if 0 < queue < MANY:
        found.append(
            Finding(
                f"it drops what it acknowledged once {queue:,} messages wait for the bridge",
                "max_queued_messages 0",
            )
        )
    queued = _number(settings, "max_queued_bytes", 0)
    if 0 < queued < MANY_BYTES:
        found.append(
            Finding(
                f"it drops what it acknowledged once {queued:,} bytes wait for the bridge",
                "max_queued_bytes 0",
            )
        )
    if settings.get("persistence", "false") != "true":
        found.append(Finding("it forgets what waits for the bridge when it is restarted", "persistence true"))
    else:
        saved = _number(settings, "autosave_interval", 1800)
        on_changes = settings.get("autosave_on_changes", "false") == "true"
        if saved == 0 or (saved > OFTEN_S and not on_changes):
            often = f"every {saved:,} seconds" if saved else "only when it is stopped"
            found.append(
                Finding(f"it saves what waits {often}: a power cut loses the rest", "autosave_interval 30")
            )
    if "persistent_client_expiration" in settings:
        value = settings["persistent_client_expiration"]
        found.append(
            Finding(f"it forgets the bridge's session after {value} away", "persistent_client_expiration 1y")
        )
    return found


def _number(settings: dict[str, str], name: str, usual: int) -> int:
    try:
        return int(settings.get(name, ""))
    except ValueError:
        return usual


def _lines(path: Path, budget: list[int]) -> Iterator[tuple[str, str]]:
    if not budget[0]:
        return
    budget[0] -= 1
    with path.open("rb") as file:
        text = file.read(FILE_MAX).decode("utf-8", "replace")
    for line in text.splitlines():
        name, _, value = line.strip().partition(" ")
        if not name or name.startswith("#"):
            continue
        if name == "include_dir":
            for more in sorted(Path(value.strip()).glob("*.conf")):
                yield from _lines(more, budget)
        else:
            yield name, value.strip()
