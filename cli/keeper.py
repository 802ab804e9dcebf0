"""The agent's process: it holds one root key in memory, answers its owner at a unix socket, ends when idle.

Run by path with ``python -I -S``: it imports the standard library only, so nothing in the environment, the
working directory or site-packages can get between it and the key. The root arrives on standard input, never
in an argument. When the socket answers, the process forks, and the parent's exit tells the caller so.

A message is one line: ``get`` is answered ``root <hex>``, ``status`` is answered ``open <seconds left>``,
``lock`` is answered ``locked``; anything else closes the connection.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator
from typing import NoReturn

ROOT_SIZE = 32  # bytes
LONGEST = 16  # bytes of a request
LONGEST_ANSWER = 128  # bytes
TURN_S = 1.0  # how long one connection may take
NAP_S = 30.0  # how often the clock is looked at: a timeout does not count the time a computer sleeps
SOCKET = "agent.sock"
LOCK = "agent.lock"
PR_SET_DUMPABLE = 4  # linux/prctl.h
LOCAL_PEERCRED = 1  # sys/un.h of macOS, at level SOL_LOCAL = 0


class Keeper:
    """The root key and its idle time, without clock or sockets: seconds come in, answers go out."""

    def __init__(self, root: bytes, idle_s: float, now: float) -> None:
        self._root = root
        self._idle_s = idle_s
        self._until = now + idle_s
        self.locked = False

    def wait(self, now: float) -> float:
        """Seconds until the next ``tick`` is due, more than 0."""
        return min(max(self._until - now, 0.001), NAP_S)

    def tick(self, now: float) -> None:
        """Lock if nobody asked for too long."""
        if now >= self._until:
            self._lock()

    def answer(self, request: bytes, now: float) -> bytes:
        """The answer to one line; empty where there is none to give. Only ``get`` puts off the idle lock."""
        self.tick(now)
        if self.locked:
            return b""
        match request:
            case b"get\n":
                self._until = now + self._idle_s
                return b"root " + self._root.hex().encode() + b"\n"
            case b"status\n":
                return b"open %d\n" % (self._until - now)
            case b"lock\n":
                self._lock()
                return b"locked\n"
            case _:
                return b""

    def _lock(self) -> None:
        self._root = b""
        self.locked = True


def seconds() -> float:
    """A clock that also runs while the computer sleeps: a closed laptop grows idle."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def peer_uid(connection: socket.socket) -> int | None:
    """The user at the other end of a unix socket, as the kernel tells; None where it does not."""
    try:
        if hasattr(socket, "SO_PEERCRED"):  # Linux: struct ucred
            ucred = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", ucred)[1])
        # macOS: struct xucred, whose second field is the uid
        return int(struct.unpack_from("2I", connection.getsockopt(0, LOCAL_PEERCRED, 76))[1])
    except (OSError, struct.error):
        return None


def trusted(uid: int | None, own: int) -> bool:
    """Whether a peer may speak with us: the same user, and known to be."""
    return uid is not None and uid == own


def harden() -> None:
    """No core dumps, and on Linux no debugger or ``/proc`` reader of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError("the process cannot be made undumpable")


def send(path: str, request: bytes, timeout_s: float = 2.0) -> bytes | None:
    """Ask the agent at ``path``; None where none answers, or one that is not ours."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(path)
            if not trusted(peer_uid(connection), os.geteuid()):
                return None
            connection.sendall(request)
            answer = b""
            while not answer.endswith(b"\n") and len(answer) < LONGEST_ANSWER:
                more = connection.recv(LONGEST_ANSWER)
                if not more:
                    return None
                answer += more
        except OSError:
            return None
        return answer


def serve(listener: socket.socket, keeper: Keeper) -> None:
    """Answer one connection after another until the keeper is locked."""
    while not keeper.locked:
        listener.settimeout(keeper.wait(seconds()))
        with contextlib.suppress(TimeoutError, ConnectionError):
            connection, _ = listener.accept()
            with connection:
                _converse(connection, keeper)
        keeper.tick(seconds())


def _converse(connection: socket.socket, keeper: Keeper) -> None:
    """One request, one answer, within one turn however slowly the other end speaks."""
    if not trusted(peer_uid(connection), os.geteuid()):
        return
    end = time.monotonic() + TURN_S
    request = b""
    while not request.endswith(b"\n") and len(request) < LONGEST:
        left = end - time.monotonic()
        if left <= 0:
            return
        connection.settimeout(left)
        more = connection.recv(LONGEST - len(request))
        if not more:
            return
        request += more
    answer = keeper.answer(request, seconds())
    if answer:
        connection.sendall(answer)


def take_over(directory: str, listener: socket.socket) -> tuple[int, int]:
    """Put our socket in the agent's place: an agent before us is told to lock, a dead one's socket goes.

    The name changes hands under a lock, so of two unlocks at once the second replaces the first. Returns what
    tells our socket from a later one's.
    """
    path, new = os.path.join(directory, SOCKET), os.path.join(directory, f"{SOCKET}.{os.getpid()}")
    with _locked(directory):
        listener.bind(new)
        os.chmod(new, 0o600)
        listener.listen(8)
        send(path, b"lock\n")
        os.replace(new, path)
        return _identity(path)


def give_up(directory: str, mine: tuple[int, int]) -> None:
    """Remove our socket, unless its name is another agent's by now."""
    path = os.path.join(directory, SOCKET)
    with _locked(directory), contextlib.suppress(FileNotFoundError):
        if _identity(path) == mine:
            os.unlink(path)


def clear_stale(directory: str) -> None:
    """Remove a socket at which nobody listens, left by an agent that was killed."""
    path = os.path.join(directory, SOCKET)
    with contextlib.suppress(OSError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with _locked(directory):
            if send(path, b"status\n") is None:
                os.unlink(path)


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    handle = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(handle, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _identity(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def main(arguments: list[str]) -> int:
    """``keeper.py DIRECTORY IDLE_SECONDS`` with the root key on standard input."""
    directory, idle_s = arguments[0], float(arguments[1])
    harden()
    os.umask(0o077)
    root = sys.stdin.buffer.read(ROOT_SIZE + 1)
    if len(root) != ROOT_SIZE:
        return 2
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        mine = take_over(directory, listener)
        if os.fork() != 0:
            return 0
        _detach()
        try:
            serve(listener, Keeper(root, idle_s, seconds()))
        finally:
            give_up(directory, mine)
    return 0


def _detach() -> None:
    """Leave the terminal and the caller's pipes; a polite signal ends us as ``lock`` does."""
    os.setsid()
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)


def _stop(number: int, frame: object) -> NoReturn:
    del number, frame
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
