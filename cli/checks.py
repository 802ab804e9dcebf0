"""What ``doctor`` looks at: each check says ok, warn or fail, and what to do next."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec

from cli import agent, state
from cli.asked import fetch
from cli.doubts import doubt, end
from cli.errors import CliError
from cli.passphrase import PassphraseSource
from cli.render import count, duration
from cli.session import http_of, unlocked
from cli.state import Profile
from gateway import wire
from gateway.client.answered import doubtful
from gateway.client.errors import ClientError, DistrustError, UnreachableError
from vault.ids import VaultId
from vault.store.paths import DataDir
from vault.store.records import GrantRow

State = Literal["ok", "warn", "fail"]
OK: Final = "ok"
WAL_SAFE: Final = (
    3,
    51,
    3,
)  # before it, two writing connections could corrupt a write-ahead log; we have one
STRICT: Final = (3, 37, 0)  # what the schema needs
RENEW: Final = timedelta(days=30)


class Check(msgspec.Struct, frozen=True):
    """One line of the doctor's."""

    name: str
    state: State
    what: str
    next: str = ""


def all_checks(home: Path, passphrase: PassphraseSource) -> list[Check]:
    """Every check that can be made here; one that cannot is left out."""
    checks = [*sqlite_version(sqlite3.sqlite_version_info), *swap(Path("/proc/swaps"))]
    checks += private_files("home", [home, *_files(home)])
    try:
        profile = state.load(home)
    except CliError as error:
        checks.append(Check("vault", "warn", error.what, error.hint))
    else:
        checks += server(profile)
        checks += keys(agent.seconds_left(home))
        checks += history(home, passphrase, given=passphrase.given or agent.seconds_left(home) is not None)
    data = DataDir.default()
    if data.path.is_dir():
        checks += private_files("data", [data.path, *_files(data.path)])
        checks += certificate(data.tls / "server.pem", datetime.now(UTC))
        checks += _bridges(data)
    return checks


def failed(checks: Iterable[Check]) -> int:
    """How many must be mended."""
    return sum(check.state == "fail" for check in checks)


def private_files(name: str, paths: Iterable[Path]) -> Iterator[Check]:
    """Files are 0600 and directories 0700, so that other users of this computer see nothing."""
    open_to_others = []
    for path in paths:
        try:
            found = path.lstat()
        except OSError:
            continue
        if not stat.S_ISLNK(found.st_mode) and found.st_mode & 0o077:
            open_to_others.append(path)
    if open_to_others:
        first = open_to_others[0]
        mode = "700" if first.is_dir() else "600"
        more = f" and {len(open_to_others) - 1} more" if len(open_to_others) > 1 else ""
        yield Check(name, "fail", f"{first}{more} can be read by other users", f"run: chmod {mode} {first}")
    else:
        yield Check(name, "ok", "only you can read its files")


def sqlite_version(version: tuple[int, ...]) -> Iterator[Check]:
    """The library that holds the data."""
    text = ".".join(map(str, version))
    if version < STRICT:
        yield Check(
            "sqlite", "fail", f"SQLite {text} is too old", "install a Python with SQLite 3.37 or later"
        )
    elif version < WAL_SAFE:
        yield Check("sqlite", "ok", f"SQLite {text}; never open the data directory with a second program")
    else:
        yield Check("sqlite", "ok", f"SQLite {text}")


def swap(path: Path) -> Iterator[Check]:
    """Memory that is written to disk may hold keys; compressed memory and encrypted devices do not."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return
    devices = [line.split()[0] for line in lines if line.strip()]
    plain = [one for one in devices if not one.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper/"))]
    if plain:
        yield Check("swap", "warn", f"{plain[0]} may come to hold keys", "encrypt the swap, or turn it off")
    else:
        yield Check("swap", "ok", "no key can reach a disk by swapping")


def certificate(path: Path, now: datetime) -> Iterator[Check]:
    """The server's own certificate on this computer, if it has one."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        yield Check("certificate", "fail", f"{path} cannot be read", "move it away; `up --lan` makes another")
        return
    left = found.not_valid_after_utc - now
    if left <= timedelta(0):
        yield Check(
            "certificate", "fail", "the server's certificate is over", "restart the server to renew it"
        )
    elif left < RENEW:
        words = duration(left.total_seconds())
        yield Check(
            "certificate", "warn", f"the server's certificate is over in {words}", "restart the server"
        )
    else:
        yield Check("certificate", "ok", f"good for {duration(left.total_seconds())}")


def server(profile: Profile) -> Iterator[Check]:
    """Whether the profile's server answers, and is one of ours."""
    try:
        with http_of(profile) as http:
            http.exchange("/owner/salts", wire.Salts(VaultId.parse(profile.vault)))
    except UnreachableError as error:
        yield Check("server", "fail", str(error), "is it running? start it with: hypertouch up")
    except ClientError as error:
        yield Check("server", "fail", str(error), "check the address: hypertouch status")
    else:
        yield Check("server", "ok", f"{profile.server} answers")


def keys(seconds_left: int | None) -> Iterator[Check]:
    """Whether the agent holds the keys."""
    if seconds_left is None:
        yield Check("keys", "ok", "locked; no key is in memory")
    else:
        yield Check("keys", "ok", f"open; lock themselves when unused for {duration(seconds_left)}")


def history(home: Path, passphrase: PassphraseSource, *, given: bool) -> Iterator[Check]:
    """Whether the server shows the vault that this computer has seen, and serves its grants: the person's."""
    if not given:
        yield Check(
            "history", "warn", "not checked: the vault is locked", "unlock it with: hypertouch unlock"
        )
        return
    try:
        with unlocked(home, passphrase) as session:
            overview = session.ask(wire.GetOverview(), wire.Overview)
            session.ask(wire.GetRules(), wire.StandingRulesReply)  # held against what was seen of them
            seen = session.pins.head.number
            doubts = doubtful(session, fetch(session))
    except DistrustError as error:
        yield Check(
            "history",
            "fail",
            str(error),
            "if a backup was restored there: hypertouch ledger verify --accept; else do not use it",
        )
    except (ClientError, CliError) as error:
        yield Check("history", "fail", str(error), "mend what is above first")
    else:
        yield Check("history", "ok", f"{count(seen, 'entry', 'entries')} follow from what was seen before")
        yield from _given(doubts)
        if overview.frozen:
            yield Check(
                "clock",
                "fail",
                f"grants rest: the server's clock was found {overview.frozen}",
                "set it right, then on that machine: hypertouch doctor --unfreeze",
            )


def _given(doubts: Sequence[GrantRow]) -> Iterator[Check]:
    """Whether every grant in force is one that the person gave."""
    if not doubts:
        yield Check("grants", "ok", "you gave every one that is in force")
        return
    more = f"; and {count(len(doubts) - 1, 'more grant')} like that" if len(doubts) > 1 else ""
    yield Check("grants", "fail", doubt(doubts[0]) + more, f"end it: hypertouch {end(doubts[0])}")


def _bridges(data: DataDir) -> Iterator[Check]:
    from cli.broker_checks import bridges  # it needs this module

    return bridges(data)


def _files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*")) if directory.is_dir() else []
