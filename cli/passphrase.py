"""Passphrases: read by hidden prompt, from a file or from a command's output; never given as a value.

Command lines and environments are visible to other programs of the same person, so neither may carry one.
"""

from __future__ import annotations

import secrets
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from cli.ask import require_terminal
from cli.errors import CancelledError, UsageError

MAX_SIZE = 4096  # bytes; what is longer is some other file
WORDS = 6  # of 2048: 66 bits
OPTIONS = "--passphrase-file PATH (- for standard input) or --passphrase-command CMD"


class PassphraseSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the person said the passphrase comes from; neither given: ask at the terminal."""

    file: str | None = None  # a path, or - for standard input
    command: str | None = None

    @property
    def given(self) -> bool:
        """Whether the command line names a source, so that nobody need be asked."""
        return self.file is not None or self.command is not None


def read(source: PassphraseSource, prompt: str = "Passphrase") -> str:
    """The passphrase as it was given, less one trailing newline of a file.

    Raises:
        UsageError: both sources given, or one that is unreadable, empty, over 4096 bytes or not UTF-8; or no
            terminal.
        CancelledError: the person ended the prompt.
    """
    match source:
        case PassphraseSource(file=None, command=None):
            text = _prompt(prompt)
        case PassphraseSource(file=str() as path, command=None):
            text = from_file(path, "passphrase")
        case PassphraseSource(file=None, command=str() as command):
            text = _text(_from_command(command), "passphrase")
        case _:
            raise UsageError("the passphrase can come from one place only", f"give {OPTIONS}")
    if not text:
        raise UsageError("the passphrase is empty", f"give {OPTIONS}")
    return text


def read_new(source: PassphraseSource, prompt: str = "New passphrase") -> str:
    """A passphrase that is being chosen: typed twice at the terminal, read once from elsewhere.

    Raises:
        UsageError: as ``read``, or the two differ.
    """
    first = read(source, prompt)
    if not source.given and _prompt(f"{prompt} once more") != first:
        raise UsageError("the two passphrases differ", "nothing was changed; try again")
    return first


def read_bytes(source: PassphraseSource, prompt: str = "Passphrase") -> bytes:
    """The passphrase in the form that keys derive from (NFKC, UTF-8). Raises as ``read``."""
    return normalised(read(source, prompt))


def normalised(passphrase: str) -> bytes:
    """NFKC, UTF-8; raises ``UsageError`` where it is longer than the vault accepts."""
    from vault.errors import FormatError
    from vault.person import normalise

    try:
        return normalise(passphrase)
    except FormatError as error:
        raise UsageError(str(error), f"give {OPTIONS}") from None


def generate(choose: Callable[[Sequence[str]], str] = secrets.choice) -> str:
    """Six words of the BIP-39 English list, 66 bits, separated by single spaces."""
    from mnemonic import Mnemonic

    words: list[str] = Mnemonic("english").wordlist
    return " ".join(choose(words) for _ in range(WORDS))


def _prompt(prompt: str) -> str:
    import getpass

    require_terminal(OPTIONS)
    try:
        return getpass.getpass(f"{prompt}: ", stream=sys.stderr)
    except (EOFError, KeyboardInterrupt):
        raise CancelledError("cancelled") from None


def from_file(path: str, noun: str) -> str:
    """A secret, called ``noun`` in what is raised, as a file or standard input holds it, less one newline.

    Raises:
        UsageError: it is unreadable, over 4096 bytes or not UTF-8.
    """
    try:
        if path == "-":
            return _text(sys.stdin.buffer.read(MAX_SIZE + 1), noun)
        with Path(path).open("rb") as file:
            return _text(file.read(MAX_SIZE + 1), noun)
    except OSError as error:
        raise UsageError(f"the {noun} file cannot be read: {error.strerror}", "check its path") from None


def _from_command(command: str) -> bytes:
    """What the command prints. It runs without a shell; its own messages go to our stderr."""
    try:
        words = shlex.split(command)
        done = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    except (OSError, ValueError, IndexError):
        raise UsageError("the passphrase command cannot be run", "try it by itself first") from None
    if done.returncode != 0:
        raise UsageError(f"the passphrase command ended with status {done.returncode}", "try it by itself")
    return done.stdout


def _text(data: bytes, noun: str) -> str:
    if len(data) > MAX_SIZE:
        raise UsageError(f"the {noun} is longer than {MAX_SIZE} bytes", "is it the right file?")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"the {noun} is not UTF-8 text", "is it the right file?") from None
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
