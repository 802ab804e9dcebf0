"""A sector of the live file: 512 bytes, whole or absent, as a CRC tells (FORMAT.md, "Live file")."""

from __future__ import annotations

import binascii
import struct
from enum import IntEnum
from typing import Final

import msgspec

from vault.ids import GrantId, VaultId
from vault.labels import KEY_SIZE

SECTOR: Final = 512
NOTHING: Final = bytes(16)  # where a record is of no grant, or of no vault
_BODY = struct.Struct(">4sB3xQ16s16s32s16s")  # magic, record, turn, vault, grant, secret, numbers
_MAGIC: Final = b"HTLV"
_NUMBERS = struct.Struct(">qq")
_ANSWERS = struct.Struct(">qq16x")  # of a counter, where others have a secret


class Record(IntEnum):
    """What a sector holds; 0 is free."""

    CLOCK = 1  # numbers: mark (ms), total uptime (ms); secret[0]: frozen
    VAULT = 2  # numbers: generation, 0
    PEPPER = 3
    PICKUP = 4
    COUNTER = 5  # numbers: uses begun, when the last one began (ms); in place of the secret: day, answers


class Frozen(IntEnum):
    """Why grants are refused for now."""

    NO = 0
    AHEAD = 1  # the wall clock ran more than an hour ahead of the uptime clock
    BEHIND = 2  # the wall clock is behind the mark

    @property
    def text(self) -> str:
        """One word for the wire; empty when grants are served."""
        return "" if self is Frozen.NO else self.name.lower()


class ClockMark(msgspec.Struct, frozen=True):
    """The latest time this node believed (ms), its total uptime (ms), and whether grants are frozen."""

    mark: int = 0
    uptime: int = 0
    frozen: Frozen = Frozen.NO


class Counter(msgspec.Struct, frozen=True):
    """How often a grant was used: uses begun, when the last began (ms), and the answers of a UTC day.

    Answers are reserved in blocks, so that a counter may say too many, and never too few.
    """

    uses: int = 0
    began: int = 0
    day: int = 0
    answers: int = 0


Key = tuple[Record, bytes, bytes]


class Sector(msgspec.Struct, frozen=True):
    """A record, of which vault and grant, and which turn of its pair it is."""

    record: Record
    turn: int = 0
    vault: bytes = NOTHING
    grant: bytes = NOTHING
    secret: bytes = bytes(KEY_SIZE)
    numbers: tuple[int, int] = (0, 0)

    def encode(self) -> bytes:
        """The 512 bytes."""
        body = _BODY.pack(
            _MAGIC, self.record, self.turn, self.vault, self.grant, self.secret, _NUMBERS.pack(*self.numbers)
        ).ljust(SECTOR - 4, b"\0")
        return body + struct.pack(">I", binascii.crc32(body))

    @classmethod
    def decode(cls, data: bytes) -> Sector | None:
        """None: free, or not whole."""
        if len(data) != SECTOR or binascii.crc32(data[:-4]).to_bytes(4, "big") != data[-4:]:
            return None
        magic, record, turn, vault, grant, secret, numbers = _BODY.unpack_from(data)
        if magic != _MAGIC or record not in Record.__members__.values():
            return None
        return cls(Record(record), turn, vault, grant, secret, _NUMBERS.unpack(numbers))

    @classmethod
    def of_clock(cls, mark: ClockMark) -> Sector:
        """The clock mark."""
        secret = bytes((mark.frozen,)).ljust(KEY_SIZE, b"\0")
        return cls(Record.CLOCK, secret=secret, numbers=(mark.mark, mark.uptime))

    @property
    def clock(self) -> ClockMark:
        """What a clock's sector says."""
        return ClockMark(*self.numbers, Frozen(self.secret[0]))

    @classmethod
    def of_counter(cls, vault: VaultId, grant: GrantId, counter: Counter) -> Sector:
        """How often a grant was used."""
        answers = _ANSWERS.pack(counter.day, counter.answers)
        return cls(Record.COUNTER, 0, vault, grant, answers, (counter.uses, counter.began))

    @property
    def counter(self) -> Counter:
        """What a counter's sector says."""
        return Counter(*self.numbers, *_ANSWERS.unpack(self.secret))

    @property
    def key(self) -> Key:
        """What it is about."""
        return self.record, self.vault, self.grant


def of_grant(vault: VaultId, grant: GrantId) -> tuple[Key, ...]:
    """All that goes when a grant ends."""
    return tuple((record, vault, grant) for record in (Record.PEPPER, Record.PICKUP, Record.COUNTER))
