"""A command at a real terminal, and somebody who answers its questions."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.docs import REPO

LONGEST_S = 60.0


class Talk(NamedTuple):
    """How a conversation ended, and all that was said in it."""

    status: int
    said: str


def converse(home: Path, words: list[str], answer: Callable[[str], str | None]) -> Talk:
    """Run a command line; ``answer`` hears all that was said so far and types a line, or None to listen."""
    environment = {**os.environ, "HYPERTOUCH_HOME": str(home), "PYTHONPATH": str(REPO), "TERM": "dumb"}
    terminal, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    said, deadline = "", time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            said += os.read(terminal, 4096).decode()
        except OSError:  # the terminal closes with the last who has it
            break
        line = answer(said)
        if line is not None:
            os.write(terminal, f"{line}\n".encode())
    os.close(terminal)
    try:
        return Talk(child.wait(timeout=10), said)
    except subprocess.TimeoutExpired:
        child.kill()
        raise


def in_turn(questions: list[tuple[str, str]]) -> Callable[[str], str | None]:
    """Answers to questions that come one after the other; each is recognised by its end."""
    heard = 0

    def answer(said: str) -> str | None:
        nonlocal heard
        if not questions:
            return None
        end, line = questions[0]
        if not said[heard:].rstrip().endswith(end):
            return None
        heard = len(said)
        del questions[0]
        return line

    return answer
