"""What every long-lived process of Hypertouch does: leave no core, not outlive its parent, run one loop."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
T = TypeVar("T")


def begin(dies_with_parent: signal.Signals) -> None:
    """Be a child of ``hypertouch up``, which alone decides about Ctrl-C, and leave with it.

    ``dies_with_parent`` is what this process gets when its parent dies.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    harden()
    leave_with_parent(dies_with_parent)


def run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run``, on uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def harden() -> None:
    """No core files, and on Linux no attaching and no dump by others: memory holds keys.

    As many open files as this user may have: each connection is one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def leave_with_parent(sign: signal.Signals) -> None:
    """Have this process get a signal when its parent dies (Linux)."""
    parent = os.getppid()
    _prctl(_PR_SET_PDEATHSIG, sign)
    if os.getppid() != parent:  # it died before
        os.kill(os.getpid(), sign)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
