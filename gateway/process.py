"""What every long-lived process of Hypertouch does first: leave no core, and not outlive its parent."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4


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
