"""Errors of the command line: what went wrong, what to do next, and the exit status.

CliError (1)
├── UsageError (2)            the command line, or an answer, cannot be used
├── NotAuthorisedError (3)    the server does not know this client, or says no to it
├── LockedError (4)           the vault is locked and no passphrase was given
├── NotFoundError (5)         no such device, request, grant ...
├── RefusedError (6)          a policy says no
├── ConflictError (7)         done already, or changed meanwhile
├── PartialError (8)          some of it was done, and the text says which part
├── NoVaultError (10)         there is no vault on this computer yet
├── WrongPassphraseError (12) the passphrase or the recovery phrase opens nothing
├── UnreachableError (69)     nobody answers at the server's address
└── CancelledError (130)      the person said no, or pressed Ctrl-C

``cli.main`` alone turns these into a line on stderr. No text may hold a passphrase, token, key or payload.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit status of every command; scripts rely on the numbers."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_AUTHORISED = 3
    LOCKED = 4
    NOT_FOUND = 5
    REFUSED = 6
    CONFLICT = 7
    PARTIAL = 8
    NO_VAULT = 10
    WRONG_PASSPHRASE = 12
    UNREACHABLE = 69  # EX_UNAVAILABLE of sysexits.h
    CANCELLED = 130  # 128 + SIGINT, as shells report it


class CliError(Exception):
    """A failure with words for the person who typed the command.

    ``what`` is one line without a full stop: what happened. ``hint`` is what to do next, and may be empty.
    """

    exit: ClassVar[ExitCode] = ExitCode.FAILED
    next_step: ClassVar[str] = ""  # the hint where the raiser has nothing better to say

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = self.next_step if hint is None else hint


class UsageError(CliError):
    """The command line, a file it names, or an answer cannot be used."""

    exit = ExitCode.USAGE
    next_step = "see the command's --help"


class NotAuthorisedError(CliError):
    """The server does not accept this client for what it asked."""

    exit = ExitCode.NOT_AUTHORISED
    next_step = "log in again with: hypertouch login"


class LockedError(CliError):
    """The command needs the vault's keys and they are locked away."""

    exit = ExitCode.LOCKED
    next_step = "unlock it with: hypertouch unlock, or give --passphrase-file"


class NotFoundError(CliError):
    """What was named does not exist, or is not yours: the two are not told apart."""

    exit = ExitCode.NOT_FOUND


class RefusedError(CliError):
    """A policy says no; ``what`` holds its reason."""

    exit = ExitCode.REFUSED


class ConflictError(CliError):
    """It was done already, or somebody changed it meanwhile."""

    exit = ExitCode.CONFLICT


class PartialError(CliError):
    """Some of it was done; ``what`` says what was not."""

    exit = ExitCode.PARTIAL


class NoVaultError(CliError):
    """This computer holds no vault's profile."""

    exit = ExitCode.NO_VAULT
    next_step = "make one with: hypertouch init, or use one you have with: hypertouch login"


class WrongPassphraseError(CliError):
    """A passphrase, or a recovery phrase, that opens nothing."""

    exit = ExitCode.WRONG_PASSPHRASE
    next_step = "try again; if it is lost: hypertouch recovery use"


class UnreachableError(CliError):
    """Nobody answers at the server's address, or what answers is not Hypertouch."""

    exit = ExitCode.UNREACHABLE
    next_step = "is it running? start it with: hypertouch up"


class CancelledError(CliError):
    """The person changed their mind; nothing was done."""

    exit = ExitCode.CANCELLED
