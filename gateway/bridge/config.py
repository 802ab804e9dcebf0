"""A bridge's configuration: one file in the data directory, with passwords, for nobody is there to type them.

Whoever copies that file can connect to the broker and publish as the bridge's devices.  It opens no reading
that is stored; FORMAT.md says what a device's credential opens together with a copy of the disk.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from gateway.address import is_loopback
from gateway.bridge.filters import Mapping, check_filter
from gateway.errors import BridgeConfigError
from vault.errors import FormatError
from vault.ids import DeviceId
from vault.store.paths import DataDir

NAME_MAX: Final = 32  # characters
CLIENT_ID_MAX: Final = 128  # bytes; what is appended to it comes on top
WORKERS_MAX: Final = 16
FILE_MAX: Final = 1 << 20  # bytes
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_SCHEMES: Final = {"mqtt": (1883, False, False), "mqtts": (8883, True, False)} | {
    "ws": (80, False, True),
    "wss": (443, True, True),
}


class Broker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an existing broker listens."""

    host: str
    port: int
    tls: bool
    websockets: bool
    path: str = ""  # of websockets

    @property
    def local(self) -> bool:
        """Whether it is on this computer."""
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """As ``parse`` takes it."""
        scheme = next(name for name, (_, *kind) in _SCHEMES.items() if kind == [self.tls, self.websockets])
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.path}"

    @classmethod
    def parse(cls, text: str) -> Broker:
        """From ``mqtt``, ``mqtts``, ``ws`` or ``wss`` and ``://host[:port]``, and a path for websockets.

        Raises:
            BridgeConfigError: it is no such address, or holds a user name, which does not belong there.
        """
        hint = "for example mqtts://broker.example:8883, mqtt://127.0.0.1 or wss://broker.example/mqtt"
        wrong = BridgeConfigError("this is not the address of a broker", hint)
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise wrong from None
        if parts.scheme not in _SCHEMES or not host or not text.isprintable() or " " in text:
            raise wrong
        if "@" in parts.netloc:
            hint = "give --username, and the password when it is asked for, or with --password-file"
            raise BridgeConfigError("a broker's address holds no user name and no password", hint)
        usual, tls, websockets = _SCHEMES[parts.scheme]
        path = parts.path or "/mqtt" if websockets else parts.path.removesuffix("/")
        if parts.query or parts.fragment or port == 0 or (path and not websockets):
            raise wrong
        return cls(host, usual if port is None else port, tls, websockets, path)


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a device authenticates with: ``device`` is ``DeviceId.text``."""

    device: str
    password: str


class BridgeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bridge.  ``devices`` is by the names that ``mappings`` have."""

    version: Literal[1] = 1
    name: str
    broker: Broker
    username: str = ""
    password: str = ""
    ca_pem: str = ""  # empty: the system's authorities
    client_id: str  # what the ids of its sessions begin with
    workers: int = 1
    mappings: list[Mapping]
    devices: dict[str, Credential]
    vault: str = ""  # VaultId.text, to show
    broker_config: str = ""  # a mosquitto.conf that `doctor` may read

    def filters(self, device: str) -> list[str]:
        """What is mapped to a device, as it was given."""
        return [one.filter for one in self.mappings if one.device == device]

    def session(self, device: str, worker: int) -> str:
        """The client id of one session: each device has its own, so that none holds up the others."""
        end = f"-{worker}" if self.workers > 1 else ""
        return f"{self.client_id}-{self.devices[device].device[:8]}{end}"


class BridgeTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bridge's process is told when it starts; the secrets are in the file."""

    file: str
    socket: str  # the node's
    worker: int = 0


def check(config: BridgeConfig) -> BridgeConfig:
    """The same, if it can be used; raises BridgeConfigError."""
    check_name(config.name)
    if not 0 < config.workers <= WORKERS_MAX:
        raise BridgeConfigError("so many workers cannot be", f"give 1 to {WORKERS_MAX}")
    size = len(config.client_id.encode("utf-8", "replace"))
    if not 0 < size <= CLIENT_ID_MAX or not config.client_id.isprintable() or "/" in config.client_id:
        raise BridgeConfigError(
            "this cannot be a client id", f"give at most {CLIENT_ID_MAX} plain characters"
        )
    if config.password and not config.username:
        raise BridgeConfigError("a password needs a user name", "give --username")
    if not config.mappings:
        raise BridgeConfigError("nothing is mapped", "give --map 'FILTER=DEVICE'")
    seen: set[str] = set()
    for one in config.mappings:
        check_filter(one.filter)
        if one.filter in seen:
            raise BridgeConfigError("a filter is mapped twice", "map each filter to one device")
        seen.add(one.filter)
    if {one.device for one in config.mappings} != config.devices.keys():
        raise BridgeConfigError("a mapped device has no credential", "add the bridge again")
    try:
        for credential in config.devices.values():
            DeviceId.parse(credential.device)
    except FormatError:
        raise BridgeConfigError("a device's id is none", "add the bridge again") from None
    return config


def check_name(name: str) -> None:
    """Return if a bridge can have this name; raises BridgeConfigError."""
    if not 0 < len(name) <= NAME_MAX or set(name) - _NAME or name.startswith("-"):
        hint = f"1 to {NAME_MAX} of a-z, 0-9 and -"
        raise BridgeConfigError("a bridge cannot have this name", f"choose {hint}")


def directory(data: DataDir) -> Path:
    """Where a server keeps the configurations of its bridges."""
    return data.path / "bridges"


def path_of(data: DataDir, name: str) -> Path:
    """The file of one bridge; raises BridgeConfigError for a name that is none."""
    check_name(name)
    return directory(data) / f"{name}.json"


def files(data: DataDir) -> list[Path]:
    """The configurations that there are, by name."""
    found: list[Path] = []
    for path in sorted(directory(data).glob("*.json")):
        with suppress(BridgeConfigError):
            check_name(path.stem)
            found.append(path)
    return found


def encode(config: BridgeConfig) -> bytes:
    """The file's content."""
    return msgspec.json.format(msgspec.json.encode(check(config)), indent=1) + b"\n"


def load(path: Path) -> BridgeConfig:
    """Read a configuration.

    Raises:
        BridgeConfigError: it is not there, not this user's, open to others, or not a configuration.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
                raise BridgeConfigError(
                    "a bridge's configuration is open to others, or another user's", f"run: chmod 600 {path}"
                )
            data = file.read(FILE_MAX)
    except OSError:
        raise BridgeConfigError("a bridge's configuration cannot be read", f"look at {path}") from None
    try:
        config = msgspec.json.decode(data, type=BridgeConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BridgeConfigError("a bridge's configuration is damaged", f"look at {path}") from None
    if config.name != path.stem:
        raise BridgeConfigError("a bridge's configuration was renamed", f"look at {path}")
    return check(config)
