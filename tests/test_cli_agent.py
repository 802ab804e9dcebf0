"""The agent: a real process at a real socket, and its rules with an injected clock."""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import agent, keeper
from cli.errors import CliError

ROOT = bytes(range(32))
OTHER = bytes(range(32, 64))


@pytest.fixture
def open_home(tmp_path: Path) -> Iterator[Path]:
    """A home whose agent, if any, is stopped afterwards."""
    home = tmp_path / "h"
    yield home
    agent.stop(home)


def agents_of(home: Path) -> list[int]:
    """Processes that run the keeper for this home."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(keeper.__file__) in words and os.fsencode(agent.socket_directory(home)) in words:
                found.append(int(entry.name))
    return found


def wait_for_end(pid: int) -> None:
    """Return when the process has ended; the kernel tells, nothing is polled."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with open(descriptor, "rb") as process:
        assert select.select([process], [], [], 60)[0], "the agent did not end"


def test_an_unlocked_home_gives_its_root_until_it_is_locked(open_home: Path) -> None:
    assert agent.fetch_root(open_home) is None
    agent.start(open_home, ROOT)
    assert agent.fetch_root(open_home) == ROOT
    left = agent.seconds_left(open_home)
    assert left is not None
    assert 0 < left <= 15 * 60
    assert agent.stop(open_home) is True
    assert agent.fetch_root(open_home) is None
    assert agent.stop(open_home) is False


def test_the_process_ends_when_it_is_locked(open_home: Path) -> None:
    agent.start(open_home, ROOT)
    (pid,) = agents_of(open_home)
    agent.stop(open_home)
    wait_for_end(pid)
    assert agents_of(open_home) == []
    assert not (open_home / keeper.SOCKET).exists()


def test_an_idle_agent_locks_by_itself(open_home: Path) -> None:
    agent.start(open_home, ROOT, idle_s=0.05)
    for pid in agents_of(open_home):
        wait_for_end(pid)
    assert agent.fetch_root(open_home) is None


def test_a_second_unlock_replaces_the_first(open_home: Path) -> None:
    agent.start(open_home, ROOT)
    (first,) = agents_of(open_home)
    agent.start(open_home, OTHER)
    wait_for_end(first)
    assert agent.fetch_root(open_home) == OTHER
    assert len(agents_of(open_home)) == 1


def test_unlocks_at_the_same_time_leave_one_agent(open_home: Path) -> None:
    open_home.mkdir(mode=0o700)
    command = [sys.executable, "-I", "-S", keeper.__file__, str(open_home), "60"]
    starting = []
    for number in range(6):
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        starting.append((process, bytes([number]) * 32))
    for process, root in starting:
        assert process.stdin is not None
        process.stdin.write(root)
        process.stdin.close()
    for process, _ in starting:
        assert process.wait(60) == 0
    kept = agent.fetch_root(open_home)
    assert kept in [root for _, root in starting]
    agent.stop(open_home)
    for pid in agents_of(open_home):
        wait_for_end(pid)
    assert agents_of(open_home) == []
    assert sorted(path.name for path in open_home.iterdir()) == [keeper.LOCK]


def test_a_killed_agents_socket_is_cleaned_up(open_home: Path) -> None:
    agent.start(open_home, ROOT)
    (pid,) = agents_of(open_home)
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    assert (open_home / keeper.SOCKET).exists()
    assert agent.fetch_root(open_home) is None
    assert not (open_home / keeper.SOCKET).exists()
    agent.start(open_home, OTHER)
    assert agent.fetch_root(open_home) == OTHER


def test_a_terminated_agent_takes_its_socket_along(open_home: Path) -> None:
    agent.start(open_home, ROOT)
    (pid,) = agents_of(open_home)
    os.kill(pid, signal.SIGTERM)
    wait_for_end(pid)
    assert not (open_home / keeper.SOCKET).exists()


@pytest.mark.usefixtures("open_umask")
def test_socket_and_home_are_closed_to_others_whatever_the_umask(open_home: Path) -> None:
    agent.start(open_home, ROOT)
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in [open_home, *open_home.iterdir()]}
    assert modes == {"h": 0o700, keeper.SOCKET: 0o600, keeper.LOCK: 0o600}


def test_the_root_is_in_no_argument_and_no_environment(open_home: Path) -> None:
    agent.start(open_home, ROOT)
    (pid,) = agents_of(open_home)
    seen = Path("/proc", str(pid), "cmdline").read_bytes()
    assert os.fsencode(open_home) in seen  # the control: we did read this process
    try:
        seen += Path("/proc", str(pid), "environ").read_bytes()
    except PermissionError:  # not dumpable: its own user may not even look
        assert os.geteuid() != 0
    assert ROOT not in seen
    assert ROOT.hex().encode() not in seen


def test_the_process_leaves_no_core_and_no_terminal(open_home: Path) -> None:
    agent.start(open_home, ROOT)
    (pid,) = agents_of(open_home)
    limits = Path("/proc", str(pid), "limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    assert os.getsid(pid) == pid
    assert Path("/proc", str(pid), "environ").stat().st_uid == 0  # not dumpable: the kernel gives it to root
    assert Path("/proc/self/environ").stat().st_uid == os.geteuid()  # the control


def test_a_home_too_deep_for_a_socket_gets_a_short_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    runtime = Path("/tmp") / f"ht-test-{os.getpid()}"  # noqa: S108 -- short on purpose, made with 0700
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    try:
        agent.start(deep, ROOT)
        assert agent.fetch_root(deep) == ROOT
        (directory,) = runtime.iterdir()
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        (pid,) = agents_of(deep)
        assert agent.stop(deep)
        wait_for_end(pid)
        assert [path.name for path in directory.iterdir()] == [keeper.LOCK]
    finally:
        for path in sorted(runtime.rglob("*"), reverse=True):
            path.unlink() if not path.is_dir() else path.rmdir()
        runtime.rmdir()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_a_short_directory_open_to_others_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setattr(agent, "socket_directory", lambda _: tmp_path / "short")
    (tmp_path / "short").mkdir()
    (tmp_path / "short").chmod(mode)
    with pytest.raises(CliError, match="not this user's alone"):
        agent.start(tmp_path / "home", ROOT)


def test_a_short_directory_that_is_a_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "short").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(agent, "socket_directory", lambda _: tmp_path / "short")
    with pytest.raises(CliError, match="not this user's alone"):
        agent.start(tmp_path / "home", ROOT)


def test_the_kernel_names_the_user_at_the_other_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert keeper.peer_uid(ours) == os.geteuid()
    assert keeper.peer_uid(ours) is None  # closed: nobody is named


@pytest.mark.parametrize(
    ("peer", "expected"), [(1000, True), (1001, False), (0, False), (None, False)], ids=str
)
def test_only_the_same_user_is_trusted(peer: int | None, expected: bool) -> None:
    assert keeper.trusted(peer, own=1000) is expected


def test_a_peer_that_is_not_trusted_gets_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is what keeps the answer back: with it the stranger gets nothing, without it the root."""
    answers = {}
    for stranger in (True, False):
        monkeypatch.setattr(keeper, "peer_uid", lambda _, s=stranger: os.geteuid() + s)
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with theirs:
            theirs.sendall(b"get\n")
            with ours:
                keeper._converse(ours, keeper.Keeper(ROOT, 60.0, keeper.seconds()))
            try:
                answers[stranger] = theirs.recv(200)
            except ConnectionResetError:
                answers[stranger] = b""
    assert answers == {True: b"", False: b"root " + ROOT.hex().encode() + b"\n"}


def test_a_server_of_another_user_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / keeper.SOCKET)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        monkeypatch.setattr(keeper, "peer_uid", lambda _: os.geteuid() + 1)
        assert keeper.send(path, b"get\n") is None


class TestKeeper:
    """Its rules, with seconds given by the test."""

    def test_it_answers_and_counts_down(self) -> None:
        kept = keeper.Keeper(ROOT, 900.0, now=100.0)
        assert kept.answer(b"status\n", now=110.0) == b"open 890\n"
        assert kept.answer(b"get\n", now=110.0) == b"root " + ROOT.hex().encode() + b"\n"
        assert kept.answer(b"status\n", now=110.0) == b"open 900\n"

    def test_asking_for_the_status_does_not_keep_it_open(self) -> None:
        kept = keeper.Keeper(ROOT, 10.0, now=0.0)
        assert kept.answer(b"status\n", now=9.0) == b"open 1\n"
        assert kept.answer(b"get\n", now=10.0) == b""
        assert kept.locked

    def test_a_clock_that_jumped_over_the_end_finds_it_locked(self) -> None:
        kept = keeper.Keeper(ROOT, 10.0, now=0.0)
        assert kept.answer(b"get\n", now=1e9) == b""

    def test_a_locked_one_forgets(self) -> None:
        kept = keeper.Keeper(ROOT, 10.0, now=0.0)
        assert kept.answer(b"lock\n", now=1.0) == b"locked\n"
        assert kept.answer(b"get\n", now=1.0) == b""
        assert ROOT not in kept.__dict__.values()

    @pytest.mark.parametrize("line", [b"", b"get", b"GET\n", b"get\r\n", b"get \n", b"get\nget\n", b"\n"])
    def test_anything_else_has_no_answer(self, line: bytes) -> None:
        kept = keeper.Keeper(ROOT, 10.0, now=0.0)
        assert kept.answer(line, now=1.0) == b""
        assert not kept.locked

    def test_it_waits_no_longer_than_the_end_and_never_zero(self) -> None:
        kept = keeper.Keeper(ROOT, 100.0, now=0.0)
        assert kept.wait(0.0) == keeper.NAP_S
        assert kept.wait(95.0) == pytest.approx(5.0)
        assert kept.wait(200.0) > 0


def test_a_root_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="did not start"):
        agent.start(tmp_path / "home", ROOT + b"x")
    assert agents_of(tmp_path / "home") == []
