"""What SQLite really writes and syncs, seen and made to fail beneath it.

The default VFS's ``xOpen`` is replaced for a while, and with it ``xWrite``, ``xTruncate`` and ``xSync`` of
every file that is opened: as strace would see it, but repeatable and without a process of its own.
``Disk.cut`` is what a power cut leaves: of what was not synced each 512-byte sector made it or did not.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

SECTOR = 512
IOERR_WRITE, IOERR_FSYNC, FULL = 10 | 3 << 8, 10 | 4 << 8, 13  # SQLITE_*

_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)  # the name is a pointer that SQLite goes on using: not to be made a Python string on the way
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Methods(ctypes.Structure):
    _fields_: ClassVar = [
        ("version", ctypes.c_int),
        *(
            (name, ctypes.c_void_p)
            for name in (
                "close", "read", "write", "truncate", "sync", "file_size", "lock", "unlock", "reserved",
                "control", "sector_size", "characteristics", "shm_map", "shm_lock", "shm_barrier",
                "shm_unmap", "fetch", "unfetch",
            )
        ),
    ]  # fmt: skip


class _Vfs(ctypes.Structure):
    _fields_: ClassVar = [
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("max_path", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
    ]


class Disk:
    """Everything that SQLite wrote to files below ``root`` since it was made, and what of it was synced."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.writes = self.syncs = 0
        self.synced: list[str] = []
        self._durable: dict[str, bytearray] = {}
        self._unsynced: dict[str, list[tuple[int, bytes | None]]] = {}  # None: cut to that size
        self._fail_write: tuple[int, int, bool] | None = None
        self._fail_sync: tuple[int, bool] | None = None

    def fail_write(self, at: int, code: int = IOERR_WRITE, *, persistent: bool = False) -> None:
        """Let the ``at``-th write from now fail, or all from then on."""
        self.writes, self._fail_write = 0, (at, code, persistent)

    def fail_sync(self, at: int, *, persistent: bool = False) -> None:
        """Let the ``at``-th fsync from now fail; what it was to make durable is not."""
        self.syncs, self._fail_sync = 0, (at, persistent)

    def heal(self) -> None:
        """All goes well from now on."""
        self._fail_write = self._fail_sync = None

    def cut(self, to: Path, chance: random.Random) -> None:
        """Write what a power cut now would leave of ``root`` into a new directory."""
        for path in sorted(p for p in self.root.rglob("*") if p.is_file() and not p.name.endswith("-shm")):
            content = self._durable.get(str(path))
            if content is None:
                kept = bytearray(path.read_bytes())  # not SQLite's
            else:
                kept = bytearray(content)
                for offset, data in self._unsynced.get(str(path), ()):
                    _apply(kept, offset, data, chance)
            copy = to / path.relative_to(self.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(kept)

    # --- called by SQLite -----------------------------------------------------------------------------

    def opened(self, path: str) -> None:
        if path not in self._durable or not os.path.getsize(path):
            self._durable[path] = bytearray(Path(path).read_bytes())
            self._unsynced[path] = []

    def wrote(self, path: str, offset: int, data: bytes | None) -> int:
        self.writes += 1
        if self._fail_write is not None:
            at, code, persistent = self._fail_write
            if self.writes == at or (persistent and self.writes > at):
                return code
        self._unsynced[path].append((offset, data))
        return 0

    def sync(self, path: str) -> int:
        self.syncs += 1
        if self._fail_sync is not None:
            at, persistent = self._fail_sync
            if self.syncs == at or (persistent and self.syncs > at):
                return IOERR_FSYNC
        self.synced.append(Path(path).name)
        for offset, data in self._unsynced[path]:
            _apply(self._durable[path], offset, data, None)
        self._unsynced[path] = []
        return 0


def _apply(content: bytearray, offset: int, data: bytes | None, chance: random.Random | None) -> None:
    if data is None:
        if chance is None or chance.random() < 0.5:
            del content[offset:]
            content.extend(bytes(max(0, offset - len(content))))
        return
    for at in range(0, len(data), SECTOR):
        if chance is None or chance.random() < 0.5:
            part = data[at : at + SECTOR]
            content.extend(bytes(max(0, offset + at - len(content))))
            content[offset + at : offset + at + len(part)] = part


@contextmanager
def watching(root: Path) -> Iterator[Disk]:
    """See all of SQLite's writes below ``root`` until the block ends; files must be opened inside."""
    library = _library()
    vfs = ctypes.cast(library.sqlite3_vfs_find(None), ctypes.POINTER(_Vfs)).contents
    real_open = _OPEN(vfs.open)
    disk, names = Disk(root), dict[int, str]()
    tables: dict[int, _Methods] = {}
    callbacks: list[object] = []

    def patched(real: int) -> _Methods:
        methods = _Methods.from_buffer_copy(_Methods.from_address(real))
        write, truncate, sync = _WRITE(methods.write), _TRUNCATE(methods.truncate), _SYNC(methods.sync)

        def on_write(file: int, data: int, size: int, offset: int) -> int:
            name = names.get(file)
            if name and (code := disk.wrote(name, offset, ctypes.string_at(data, size))):
                return code
            return int(write(file, data, size, offset))

        def on_truncate(file: int, size: int) -> int:
            name = names.get(file)
            if name and (code := disk.wrote(name, size, None)):
                return code
            return int(truncate(file, size))

        def on_sync(file: int, flags: int) -> int:
            name = names.get(file)
            if name and (code := disk.sync(name)):
                return code
            return int(sync(file, flags))

        mine = _WRITE(on_write), _TRUNCATE(on_truncate), _SYNC(on_sync)
        callbacks.extend(mine)
        methods.write, methods.truncate, methods.sync = (
            ctypes.cast(callback, ctypes.c_void_p).value for callback in mine
        )
        return methods

    def on_open(self: int, name: int | None, file: int, flags: int, out: int) -> int:
        code = int(real_open(self, name, file, flags, out))
        path = os.fsdecode(ctypes.string_at(name)) if name else ""
        if code == 0 and path.startswith(str(root)):
            slot = ctypes.c_void_p.from_address(file)
            if slot.value is not None:
                methods = tables.setdefault(slot.value, tables.get(slot.value) or patched(slot.value))
                slot.value = ctypes.addressof(methods)
            disk.opened(path)
            names[file] = path
        else:
            names.pop(file, None)
        return code

    mine = _OPEN(on_open)
    original = vfs.open
    vfs.open = ctypes.cast(mine, ctypes.c_void_p).value
    try:
        yield disk
    finally:
        gc.collect()  # connections that an exception still refers to
        vfs.open = original
        _KEPT.append((tables, callbacks, mine))  # a connection may be closed later than this


_KEPT: list[object] = []


def _library() -> ctypes.CDLL:
    """The SQLite that Python uses; where it is linked in and hidden, these tests cannot see beneath it."""
    extension = sys.modules.get("_sqlite3")
    library = ctypes.CDLL(getattr(extension, "__file__", None))
    try:
        find = library.sqlite3_vfs_find
    except AttributeError:
        pytest.skip(f"SQLite {sqlite3.sqlite_version} is hidden inside this Python")
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    return library
