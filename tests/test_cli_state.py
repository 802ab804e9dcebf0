"""The client's profile: whole or not at all, and readable by its owner alone."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from cli import home as homes
from cli import state
from cli.errors import CliError, ExitCode, NoVaultError
from cli.state import Pin, Profile
from vault.ledger import Head

PROFILE = Profile(
    name="home",
    vault="a" * 26,
    server="https://127.0.0.1:8443",
    ca_pem="-----BEGIN CERTIFICATE-----\n",
    client="b" * 26,
    client_key=b"\x00sealed\xff",
    hpke_public=bytes(1216),
    verify_key=bytes(32),
    suite=1,
    pin=Pin(Head(7, b"h" * 32), 3),
)


def test_what_is_saved_is_loaded(home: Path) -> None:
    state.save(home, PROFILE)
    assert state.load(home) == PROFILE


def test_a_profile_of_before_there_were_rules_is_loaded(home: Path) -> None:
    plain = msgspec.to_builtins(PROFILE)
    del plain["pin"]["rules"], plain["pin"]["rules_hash"]
    home.mkdir(mode=0o700)
    homes.write_private(home / "profile", msgspec.json.encode(plain))
    assert state.load(home) == PROFILE
    assert (state.load(home).pins().rules, state.load(home).pins().rules_hash) == (0, b"")


def test_without_a_profile_there_is_no_vault(home: Path) -> None:
    with pytest.raises(NoVaultError) as raised:
        state.load(home)
    assert raised.value.exit is ExitCode.NO_VAULT
    assert "hypertouch init" in raised.value.hint
    with pytest.raises(NoVaultError):
        state.update(home, lambda profile: profile)


@pytest.mark.usefixtures("open_umask")
def test_directory_and_files_are_the_owners_alone_whatever_the_umask(home: Path) -> None:
    state.save(home, PROFILE)
    state.update(home, lambda profile: msgspec.structs.replace(profile, name="other"))
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in [home, *home.iterdir()]}
    assert modes == {"home": 0o700, "profile": 0o600, "lock": 0o600}


def test_a_directory_that_was_open_is_closed(home: Path) -> None:
    home.mkdir()
    home.chmod(0o777)
    state.save(home, PROFILE)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_profile_that_others_may_open_is_refused(home: Path, mode: int) -> None:
    state.save(home, PROFILE)
    (home / "profile").chmod(mode)
    with pytest.raises(CliError, match="open to other users") as raised:
        state.load(home)
    assert "chmod 600" in raised.value.hint


def test_a_profile_that_is_a_link_is_refused(home: Path, tmp_path: Path) -> None:
    state.save(home, PROFILE)
    (home / "profile").rename(tmp_path / "elsewhere")
    (home / "profile").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CliError, match="cannot be read"):
        state.load(home)


def test_a_link_in_its_place_is_replaced_and_not_followed(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("kept")
    home.mkdir(mode=0o700)
    (home / "profile").symlink_to(target)
    state.save(home, PROFILE)
    assert target.read_text() == "kept"
    assert state.load(home) == PROFILE


@pytest.mark.parametrize("special", ["directory", "fifo"])
def test_a_profile_that_is_no_plain_file_is_refused_and_never_waited_for(home: Path, special: str) -> None:
    home.mkdir(mode=0o700)
    if special == "fifo":
        os.mkfifo(home / "profile", 0o600)
    else:
        (home / "profile").mkdir(mode=0o700)
    with pytest.raises(CliError):
        state.load(home)


def test_another_users_file_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.save(home, PROFILE)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(CliError, match="belongs to another user"):
        state.load(home)
    with pytest.raises(CliError, match="belongs to another user"):
        state.save(home, PROFILE)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b"\xff", msgspec.json.encode(PROFILE)[:-1], msgspec.json.encode(PROFILE) + b"x"]
    + [
        msgspec.json.encode(msgspec.to_builtins(PROFILE) | change)
        for change in ({"version": 2}, {"extra": 1}, {"suite": "1"}, {"client_key": "not base64!"})
    ],
)
def test_a_damaged_profile_is_refused_and_kept(home: Path, data: bytes) -> None:
    home.mkdir(mode=0o700)
    homes.write_private(home / "profile", data)
    with pytest.raises(CliError, match="damaged"):
        state.load(home)
    assert (home / "profile").read_bytes() == data


def test_a_home_that_is_a_file_is_refused(home: Path) -> None:
    home.write_text("")
    with pytest.raises(CliError, match="cannot be used"):
        state.save(home, PROFILE)
    with pytest.raises(NoVaultError):
        state.load(home)


def test_a_write_that_fails_leaves_the_old_profile_and_no_other_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.save(home, PROFILE)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CliError, match="No space"):
        state.save(home, msgspec.structs.replace(PROFILE, name="other"))
    assert state.load(home) == PROFILE
    assert [path.name for path in home.iterdir()] == ["profile"]


def test_pins_only_move_forward(home: Path) -> None:
    state.save(home, PROFILE)
    pins = PROFILE.pins()
    ahead = msgspec.structs.replace(
        pins, head=Head(9, b"i" * 32), generation=4, rules=2, rules_hash=b"r" * 32
    )
    for seen, expected in ((pins, pins), (ahead, ahead), (pins, ahead)):
        state.keep(home, seen)
        assert state.load(home).pins() == expected


def test_changes_at_the_same_time_are_all_kept(home: Path) -> None:
    """Eight processes count the generation up, ten times each; without the lock some would be lost."""
    state.save(home, PROFILE)
    code = (
        "import sys, msgspec; from pathlib import Path; from cli import state\n"
        "def up(p): return msgspec.structs.replace(p, pin=state.Pin(p.pin.head, p.pin.generation + 1))\n"
        "for _ in range(10): state.update(Path(sys.argv[1]), up)"
    )
    command = [sys.executable, "-c", code, str(home)]
    running = [subprocess.Popen(command, cwd=Path(__file__).parent.parent) for _ in range(8)]
    assert [process.wait(120) for process in running] == [0] * 8
    assert state.load(home).pin == Pin(PROFILE.pin.head, PROFILE.pin.generation + 80)
