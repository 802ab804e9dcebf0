"""Errors of the store.

StoreError
├── Unavailable    the disk did not take it, or a file is damaged: nothing was acknowledged
├── InUse          another process has the data directory
├── TooNew         a file was written by a newer version; it is left as it is
└── NotAVault      a file that is not ours, or whose schema is not ours
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from vault.errors import VaultError


class StoreError(VaultError):
    """Anything the store raises."""


class Unavailable(StoreError):
    """The disk did not take it: nothing of it counts as stored."""


class InUse(StoreError):
    """Another process has this data directory open."""


class TooNew(StoreError):
    """A file was written by a newer version of Hypertouch."""


class NotAVault(StoreError):
    """A file that is not a vault of ours."""


@contextmanager
def unavailable(what: str) -> Iterator[None]:
    """The edge where errors of SQLite, of the disk and of damaged rows become ours.

    Raises:
        Unavailable: ``what``, from the error behind it.
    """
    try:
        yield
    except (sqlite3.Error, OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable(what) from error
