"""Integers, strings and binary data (MQTT 5 section 1.5): a reader bounded by its packet, and the writers."""

from __future__ import annotations

from gateway.errors import MisuseError, ProtocolError
from gateway.mqtt.reasons import Reason
from gateway.mqtt.text import text

VARINT_LIMIT = 268_435_455  # the largest value of four 7-bit groups


class Reader:
    """Takes fields from ``data[start:stop]``, in order.

    Every method raises ``ProtocolError`` (malformed packet) where the field would reach beyond ``stop``.
    """

    __slots__ = ("_data", "at", "stop")

    def __init__(self, data: bytes, start: int, stop: int) -> None:
        self._data = data
        self.at = start
        self.stop = stop

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return self.stop - self.at

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        start, self.at = self.at, self.at + size
        if self.at > self.stop:
            raise ProtocolError(Reason.MALFORMED, "a field reaches beyond its packet")
        return self._data[start : self.at]

    def section(self, size: int) -> Reader:
        """A reader of the next ``size`` bytes alone."""
        start = self.at
        self.take(size)
        return Reader(self._data, start, self.at)

    def byte(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def uint16(self) -> int:
        """Two bytes, big-endian."""
        return int.from_bytes(self.take(2), "big")

    def uint32(self) -> int:
        """Four bytes, big-endian."""
        return int.from_bytes(self.take(4), "big")

    def varint(self) -> int:
        """A variable byte integer of at most four bytes, in its shortest form (MQTT-1.5.5-1)."""
        value = 0
        for shift in (0, 7, 14, 21):
            group = self.byte()
            value |= (group & 0x7F) << shift
            if group < 0x80:
                if not group and shift:
                    raise ProtocolError(Reason.MALFORMED, "a length is not in its shortest form")
                return value
        raise ProtocolError(Reason.MALFORMED, "a length has more than four bytes")

    def binary(self) -> bytes:
        """Binary data with a two-byte length."""
        return self.take(self.uint16())

    def string(self) -> str:
        """A UTF-8 string with a two-byte length."""
        return text(self.binary())

    def packet_id(self) -> int:
        """A packet identifier, 1..65535."""
        value = self.uint16()
        if not value:
            raise ProtocolError(Reason.MALFORMED, "packet identifier 0")
        return value

    def end(self) -> None:
        """Nothing may be left."""
        if self.at != self.stop:
            raise ProtocolError(Reason.MALFORMED, "bytes behind the last field of a packet")


def put_varint(value: int) -> bytes:
    """Write a variable byte integer, 0..268,435,455."""
    if not 0 <= value <= VARINT_LIMIT:
        raise MisuseError("a variable byte integer has at most 28 bits")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put_binary(value: bytes) -> bytes:
    """Write binary data, 0..65535 bytes."""
    if len(value) > 0xFFFF:
        raise MisuseError("a field has at most 65535 bytes")
    return len(value).to_bytes(2, "big") + value


def put_string(value: str) -> bytes:
    """Write a UTF-8 string."""
    return put_binary(value.encode())
