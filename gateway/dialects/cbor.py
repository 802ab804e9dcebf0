"""SenML's CBOR form to the values of its JSON form (RFC 8428 section 6), within limits.

Only what the standard lets a pack hold is read: an array of maps of numbers, texts, booleans and bytes.
Tags are refused but for decimal fractions: the library would make dates, patterns and MIME messages of
them, or objects that hold themselves.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import cbor2

from gateway.dialects.decode import MAX_PAYLOAD

# Section 6, table 4.  The table is complete; what is added later has texts for labels.
LABELS: Mapping[int, str] = {
    -6: "bs",
    -5: "bv",
    -4: "bu",
    -3: "bt",
    -2: "bn",
    -1: "bver",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}

_ARRAYS = range(0x80, 0xA0)  # first bytes of an array: none begins JSON, nor any text in UTF-8

# Array, map, and in a map a tag with its array.  The latter also lets an array be the name of a field,
# and hashes of arrays are easily made to collide: no more than a few hundred of them fit in this.
_DEPTH_SMALL = 4
_DEPTH_LARGE = 2
_SMALL_MAX = 8 * 1024  # bytes

_DECIMAL_FRACTION = 4


def is_pack(payload: bytes) -> bool:
    """Whether a payload begins as a CBOR array does."""
    return bool(payload) and payload[0] in _ARRAYS


def decode(payload: bytes) -> list[dict[str, Any]] | None:
    """Decode a pack, its labels as in JSON and its bytes in base64url; None when it is not one.

    Refused are labels that come twice (also once as a number and once as a text), NaN and infinities,
    NULs in texts, bytes after the pack, and what is nested deeper than a pack is.  Never raises.
    """
    if len(payload) > MAX_PAYLOAD or not is_pack(payload):
        return None
    decoder = cbor2.CBORDecoder(
        io.BytesIO(payload),
        semantic_decoders=_TAGS,
        max_depth=_DEPTH_SMALL if len(payload) <= _SMALL_MAX else _DEPTH_LARGE,
        allow_duplicate_keys=False,
    )
    try:
        pack = decoder.decode()
        return [_record(fields) for fields in pack] if _ended(decoder) else None
    except (cbor2.CBORDecodeError, ValueError):
        return None


class _NotSenMLError(ValueError):
    """Sound CBOR, perhaps, and no pack."""


def _ended(decoder: cbor2.CBORDecoder) -> bool:
    try:
        decoder.read(1)
    except cbor2.CBORDecodeEOF:
        return True
    return False


def _record(fields: object) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise _NotSenMLError
    record = {_label(key): _value(value) for key, value in fields.items()}
    if len(record) != len(fields):
        raise _NotSenMLError  # "n" and 0
    return record


def _label(key: object) -> str:
    if type(key) is int and key in LABELS:
        return LABELS[key]
    if isinstance(key, str) and "\0" not in key:
        return key
    raise _NotSenMLError


def _value(value: object) -> str | float | bool:
    match value:
        case bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case str() if "\0" not in value:
            return value
        case bytes():
            return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
        case _:
            raise _NotSenMLError


def _decimal(value: Any, _immutable: bool) -> float:
    """The number mantissa * 10**exponent (RFC 8949 section 3.4.4); the nearest float, as from JSON."""
    exponent, mantissa = value
    if type(exponent) is not int or type(mantissa) is not int:
        raise _NotSenMLError
    return float(f"{mantissa}e{exponent}")  # beyond a float's range it is infinite, and refused for that


def _refuse(_value: object, _immutable: bool) -> NoReturn:
    raise _NotSenMLError


class _Tags(dict[int, Callable[[Any, bool], Any]]):
    """What is made of a tag: of all that are not in it, nothing."""

    def __missing__(self, tag: int) -> Callable[[Any, bool], Any]:
        return _refuse


_TAGS = _Tags({_DECIMAL_FRACTION: _decimal})
