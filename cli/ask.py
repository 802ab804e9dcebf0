"""Questions to the person. Without a terminal nobody can answer, so a question is an error, never a wait."""

from __future__ import annotations

import sys

from cli.errors import CancelledError, UsageError
from cli.text import escape


def interactive() -> bool:
    """Whether somebody can answer: standard input is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def say(text: str = "") -> None:
    """A message for the person: on stderr, so that stdout holds data only. The text is printed as it is."""
    print(text, file=sys.stderr, flush=True)


def ask(question: str, *, instead: str) -> str:
    """One line from the person, without the spaces around it.

    Raises:
        UsageError: there is no terminal; ``instead`` names what to give, such as ``--yes``.
        CancelledError: the input ended, or Ctrl-C.
    """
    require_terminal(instead)
    print(f"{question} ", end="", file=sys.stderr, flush=True)
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        line = ""
    if not line:
        say()
        raise CancelledError("cancelled")
    return line.strip()


def confirm(question: str, *, yes: bool) -> None:
    """Return if the person agrees, at once where ``yes`` was given.

    Raises:
        UsageError: there is no terminal and no ``--yes``.
        CancelledError: the person did not agree.
    """
    if yes:
        return
    if choose(f"{question} [y]es [n]o", {"y": "yes", "n": "no"}, instead="--yes") == "n":
        raise CancelledError("nothing was done", "")


def choose(question: str, answers: dict[str, str], *, instead: str) -> str:
    """Ask until the answer is a key of ``answers``, or the word it stands for; return the key.

    Raises:
        UsageError, CancelledError: as ``ask``.
    """
    while True:
        given = ask(question, instead=instead).lower()
        for key, word in answers.items():
            if given in (key, word):
                return key
        say(f"please answer {' or '.join(answers)}" + (f", not {escape(given)!r}" if given else ""))


def require_terminal(instead: str) -> None:
    """Raise ``UsageError`` where nobody can answer."""
    if not interactive():
        raise UsageError("needs an answer and there is no terminal to ask at", f"give {instead}")
