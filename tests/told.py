"""A process of our own that is told a line, says one when it is ready, and is killed when a test is done."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import TracebackType
from typing import Self

import msgspec


class ToldProcess:
    """``python -m`` with these words; ``told`` is its first line, ``said`` the line that it answers with."""

    def __init__(self, words: list[str], told: msgspec.Struct) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(msgspec.json.encode(told) + b"\n")
        self.process.stdin.flush()
        self.said = self.process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(signal.SIGKILL)

    def end(self, sign: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it; its status and what it said on stderr."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said.decode()
